"""UNIT: translation between two domains whose images have codes in one shared latent space."""

from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax.game import Array, Batch, Game, Key, Pair, Player, PyTree, normal_latents, stream
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import NO_TERMS, View, check_weights, joined
from gan_jax.translators import at_scales, distance, no_latents, of_generator
from gan_jax.two_domains import (
    Coder,
    both_ways,
    check_domains,
    coders,
    decay_of,
    from_parts,
    of_unpaired_data,
    show_both_ways,
)


def unit(
    generators: Mapping[str, Coder],
    discriminators: Mapping[str, Network],
    loss: Loss | None = None,
    *,
    shapes: Mapping[str, tuple[int, int, int]],
    image: float = 10.0,
    divergence: float = 0.01,
    cycle: float = 10.0,
    cycle_divergence: float = 0.01,
    decay: float = 0.0,
    terms: Pair = NO_TERMS,
    critics: Mapping[str, Network] | None = None,
    **options: Any,
) -> Game:
    """The game of two variational autoencoders with a shared latent space (Liu et al. 2017, equations 3 to 7).

    The terms are those of UNIT in the code of MUNIT. An encoder gives the mean of a code, to which standard normal
    noise is added; the mean square of the means is the divergence from the prior up to a factor. As in that code, no
    layer belongs to both domains. In the paper the last layers of the encoders and the first ones of the decoders do.

    Args:
        generators: 'a_to_b' and 'b_to_a': an encoder of the source and a decoder of the target.
        discriminators: 'a' and 'b', images of a domain -> logits [B, ...], or several such arrays, one for each scale.
        loss: the loss of each player, which is summed over the scales; None: `gan_jax.losses.mean_squares`.
        shapes: (H, W, C) of the images of 'a' and of 'b'.
        image: weight of the mean absolute difference of an image and its reconstruction in its own domain.
        divergence: weight of the mean square of the codes of images.
        cycle: weight of the mean absolute difference of an image and its reconstruction from its translation.
        cycle_divergence: weight of the mean square of the codes of translations.
        decay: half of it times the sum of squared parameters is added to the losses; half of that to the
            discriminator's.
        terms: added to each player's loss in both directions; see `gan_jax.terms`.
        critics: the discriminators for gradient penalties; see `gan_jax.adversarial`. None: the discriminators.
        **options: options of `gan_jax.adversarial.adversarial`, for both directions.

    Returns:
        A game as `gan_jax.two_domains.both_ways` makes it. `sample(params, variables, latents, images,
        direction='a_to_b')` translates images without noise; the latents are empty.

    Raises:
        UserError: a network or a shape is missing, or an option is impossible.
    """
    check_domains(generators, discriminators, shapes)
    weights = {'image': image, 'divergence': divergence, 'cycle': cycle, 'cycle_divergence': cycle_divergence}
    check_weights(weights)

    def in_common(source: str, target: str, players: Player, batch: Batch, key: Key) -> Pair:
        direction, back = f'{source}_to_{target}', f'{target}_to_{source}'
        images, own, other = batch[source], players.params[direction], players.params[back]
        code = generators[direction].content(own, images)

        def again(code: Array, noise: Array) -> Array:
            return distance(generators[back].decode(other, code + noise), images)

        def translated(view: View) -> Array:
            return generators[back].content(other, view.fake)

        values = {
            'image': lambda view: again(code, view.latents),
            'divergence': lambda view: _mean_square(code),
            'cycle': lambda view: again(translated(view), view.draw(stream(key, 'cycle'))),
            'cycle_divergence': lambda view: _mean_square(translated(view)),
        }
        return joined([of_generator(name, weight, values[name]) for name, weight in weights.items()])

    def sample(params: PyTree, variables: PyTree, latents: Array, images: Array, direction: str = 'a_to_b') -> Array:
        del variables, latents
        coder, own = generators[direction], params[direction]
        return coder.decode(own, coder.content(own, images))

    def code_of(key: Key) -> Array:
        coder = generators['a_to_b']
        return coder.content(coder.init(key)[0], jnp.zeros((1, *shapes['a'])))[0]

    game = both_ways(
        generators={direction: _with_noise(coder) for direction, coder in generators.items()},
        latents=normal_latents(jax.eval_shape(code_of, jax.random.key(0)).shape),
        in_common=in_common,
        shapes=shapes,
        terms=joined([decay_of(decay), terms]),
        **at_scales(loss, discriminators, critics, shapes['a']),
        **options,
    )
    return game._replace(sample=sample, show=show_both_ways(sample), latents=no_latents)


def from_config(
    image: Annotated[float, AMOUNT] = 10.0,
    divergence: Annotated[float, AMOUNT] = 0.01,
    cycle: Annotated[float, AMOUNT] = 10.0,
    cycle_divergence: Annotated[float, AMOUNT] = 0.01,
    decay: Annotated[float, AMOUNT] = 0.0,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over unpaired domains: batches {'a', 'real'}, the real images being those of b.

    Args:
        image: weight of the difference of an image and its reconstruction in its own domain.
        divergence: weight of the mean square of the codes of images.
        cycle: weight of the difference of an image and its reconstruction from its translation.
        cycle_divergence: weight of the mean square of the codes of translations.
        decay: half of it times the sum of squared parameters is added to the losses; half of that to the
            discriminator's.
        parts: parts of the game.
    """
    given = from_parts(parts)
    game = unit(
        coders(parts, given['shapes']),
        image=image,
        divergence=divergence,
        cycle=cycle,
        cycle_divergence=cycle_divergence,
        decay=decay,
        **given,
    )
    return of_unpaired_data(game)


def _mean_square(codes: Array) -> Array:
    return jnp.square(codes.astype(jnp.float32)).mean()


def _with_noise(coder: Coder) -> Network:
    """The generator of a direction: noise that is added to codes, and images as condition -> images."""

    def apply(params, variables, noise, key, train, condition=None):
        del key, train
        return coder.decode(params, coder.content(params, condition) + noise), variables

    return Network(coder.init, apply)
