"""MUNIT: translation between two domains with several outputs for one input, by codes of content and of style."""

from collections.abc import Mapping
from typing import Annotated, Any

import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, Key, Pair, Player, PyTree, normal_latents
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import NO_TERMS, View, check_weights, joined
from gan_jax.translators import at_scales, distance, of_generator
from gan_jax.two_domains import (
    Coder,
    both_ways,
    check_domains,
    coders,
    decay_of,
    from_parts,
    of_unpaired_data,
)


def munit(
    generators: Mapping[str, Coder],
    discriminators: Mapping[str, Network],
    loss: Loss | None = None,
    *,
    shapes: Mapping[str, tuple[int, int, int]],
    style_size: int = 8,
    image: float = 10.0,
    content: float = 1.0,
    style: float = 1.0,
    cycle: float = 0.0,
    decay: float = 0.0,
    terms: Pair = NO_TERMS,
    critics: Mapping[str, Network] | None = None,
    **options: Any,
) -> Game:
    """The game of two domains with content and style (Huang et al. 2018, equations 1 to 5).

    A translation decodes the content of an image with a style that is drawn from a standard normal distribution. Each
    of the losses below is a mean absolute difference.

    Args:
        generators: 'a_to_b' and 'b_to_a': contents of images of the source, styles of images of the target, and a
            decoder of both in the target.
        discriminators: 'a' and 'b', images of a domain -> logits [B, ...], or several such arrays, one for each scale.
        loss: the loss of each player, which is summed over the scales; None: `gan_jax.losses.mean_squares`.
        shapes: (H, W, C) of the images of 'a' and of 'b'.
        style_size: size of a style.
        image: weight of the difference of an image and its reconstruction from its own content and style (equation 1).
        content: weight of the difference of a content and the content of its translation (equation 2).
        style: weight of the difference of a drawn style and the style of the translation (equation 3).
        cycle: weight of the difference of an image and its reconstruction from the content of its translation and its
            own style (appendix).
        decay: half of it times the sum of squared parameters is added to the losses; half of that to the
            discriminator's.
        terms: added to each player's loss in both directions; see `gan_jax.terms`.
        critics: the discriminators for gradient penalties; see `gan_jax.adversarial`. None: the discriminators.
        **options: options of `gan_jax.adversarial.adversarial`, for both directions.

    Returns:
        A game as `gan_jax.two_domains.both_ways` makes it; the latents are styles. `sample(params, variables, styles,
        images, direction='a_to_b')` translates images; `style_of` are the styles of images of b.

    Raises:
        UserError: a network or a shape is missing, or an option is impossible.
    """
    check_domains(generators, discriminators, shapes)
    weights = {'image': image, 'content': content, 'style': style, 'cycle': cycle}
    check_weights(weights)

    def in_common(source: str, target: str, players: Player, batch: Batch, key: Key) -> Pair:
        del key
        direction, back = f'{source}_to_{target}', f'{target}_to_{source}'
        images, own, other = batch[source], players.params[direction], players.params[back]
        its_content = generators[direction].content(own, images)
        its_style = generators[back].style(other, images)

        def again(content: Array) -> Array:
            return distance(generators[back].decode(other, content, its_style), images)

        def content_of(view: View) -> Array:
            return generators[back].content(other, view.fake)

        values = {
            'image': lambda view: again(its_content),
            'content': lambda view: distance(content_of(view), its_content),
            'style': lambda view: distance(generators[direction].style(own, view.fake), view.latents),
            'cycle': lambda view: again(content_of(view)),
        }
        return joined([of_generator(name, weight, values[name]) for name, weight in weights.items()])

    def sample(params: PyTree, variables: PyTree, styles: Array, images: Array, direction: str = 'a_to_b') -> Array:
        del variables
        coder, own = generators[direction], params[direction]
        return coder.decode(own, coder.content(own, images), styles)

    def style_of(params: PyTree, variables: PyTree, examples: Array) -> Array:
        del variables
        return generators['a_to_b'].style(params['a_to_b'], examples)

    def show(params: PyTree, variables: PyTree, styles: Array, batch: Batch) -> dict[str, Array]:
        a, b = batch['a'], batch['b']
        drawn = {
            name: sample(params, variables, jnp.roll(styles, i, axis=0), a)
            for i, name in enumerate(('a to b', 'another style', 'a third'))
        }
        like_b = sample(params, variables, style_of(params, variables, b), a)
        return {'a': a, **drawn, 'b': b, 'a like b': like_b, 'b to a': sample(params, variables, styles, b, 'b_to_a')}

    game = both_ways(
        generators={direction: _with_styles(coder) for direction, coder in generators.items()},
        latents=normal_latents(style_size),
        in_common=in_common,
        shapes=shapes,
        terms=joined([decay_of(decay), terms]),
        **at_scales(loss, discriminators, critics, shapes['a']),
        **options,
    )
    return game._replace(sample=sample, show=show, style_of=style_of)


def from_config(
    image: Annotated[float, AMOUNT] = 10.0,
    content: Annotated[float, AMOUNT] = 1.0,
    style: Annotated[float, AMOUNT] = 1.0,
    cycle: Annotated[float, AMOUNT] = 0.0,
    decay: Annotated[float, AMOUNT] = 0.0,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over unpaired domains: batches {'a', 'real'}, the real images being those of b.

    Args:
        image: weight of the difference of an image and its reconstruction from its own content and style.
        content: weight of the difference of a content and the content of its translation.
        style: weight of the difference of a drawn style and the style of the translation.
        cycle: weight of the difference of an image and its reconstruction from its translation and its own style.
        decay: half of it times the sum of squared parameters is added to the losses; half of that to the
            discriminator's.
        parts: parts of the game.
    """
    given = from_parts(parts)
    game = munit(
        coders(parts, given['shapes'], styles=True),
        style_size=parts.config.generator.style_size,
        image=image,
        content=content,
        style=style,
        cycle=cycle,
        decay=decay,
        **given,
    )
    return of_unpaired_data(game)


def _with_styles(coder: Coder) -> Network:
    """The generator of a direction: styles, and images as condition -> images."""
    if coder.style is None:
        raise UserError('MUNIT needs a generator with styles, and this one has none: choose the family munit.')

    def apply(params, variables, styles, key, train, condition=None):
        del key, train
        return coder.decode(params, coder.content(params, condition), styles), variables

    return Network(coder.init, apply)
