"""The game of two domains without pairs: CycleGAN."""

from collections.abc import Mapping
from typing import Annotated, Any

from gan_jax import losses
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, Key, Pair, Player, PyTree, stream
from gan_jax.layers.choices import is_on
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import NO_TERMS, View, check_weights, joined
from gan_jax.translators import distance, no_latents, of_generator, translator, without_condition
from gan_jax.two_domains import both_ways, check_domains, from_parts, of_unpaired_data, show_both_ways


def cyclegan(
    generators: Mapping[str, Network],
    discriminators: Mapping[str, Network],
    loss: Loss | None = None,
    *,
    shapes: Mapping[str, tuple[int, int, int]],
    cycle: float = 10.0,
    identity: float = 0.0,
    replay: int = 50,
    terms: Pair = NO_TERMS,
    critics: Mapping[str, Network] | None = None,
    **options: Any,
) -> Game:
    """The game of two domains (Zhu et al. 2017, "Unpaired Image-to-Image Translation", equations 1 to 3).

    Args:
        generators: 'a_to_b' and 'b_to_a', images [B, H, W, C] of one domain -> images of the other.
        discriminators: 'a' and 'b', images of a domain -> logits [B, ...], one for each patch.
        loss: the loss of each player; None: `gan_jax.losses.mean_squares`.
        shapes: (H, W, C) of the images of 'a' and of 'b'.
        cycle: weight of the mean absolute difference between an image and its reconstruction (equation 2).
        identity: weight, as a share of `cycle`, of the mean absolute difference between an image of a domain and its
            translation into that domain (section 5.2); the paper uses 0.5 for paintings. The domains need equal
            channels.
        replay: size of the replay buffer of translated images of each domain (section 4).
        terms: added to each player's loss in both directions; see `gan_jax.terms`.
        critics: the discriminators for gradient penalties; see `gan_jax.adversarial`. None: the discriminators.
        **options: options of `gan_jax.adversarial.adversarial`, for both directions.

    Returns:
        A game over batches `{'a': [B, ...], 'b': [B, ...]}`. The player 'generator' has the parameters of both
        generators by direction, 'discriminator' those of both discriminators by domain; each minimises the sum of its
        two losses. Metrics are means over the directions. `sample(params, variables, latents, images,
        direction='a_to_b')` translates images; the latents are empty.

    Raises:
        UserError: a network or a shape is missing, or an option is impossible; `identity` of domains that differ in
            channels.
    """
    check_domains(generators, discriminators, shapes)
    check_weights({'cycle': cycle, 'identity': identity})
    if is_on(identity) and shapes['a'][-1] != shapes['b'][-1]:
        raise UserError(
            f'The identity loss of a CycleGAN needs domains with the same number of channels, but a has '
            f'{shapes["a"][-1]} channels and b {shapes["b"][-1]}: set its weight to 0, or set data.channels.'
        )

    def translate(players: Player, direction: str, images: Array, key: Key) -> Array:
        params, variables = players.params[direction], players.variables[direction]
        return generators[direction].apply(params, variables, images, key, True)[0]

    def in_common(source: str, target: str, players: Player, batch: Batch, key: Key) -> Pair:
        def comes_back(view: View) -> Array:
            return distance(translate(players, f'{target}_to_{source}', view.fake, stream(key, 'cycle')), batch[source])

        def stays(view: View) -> Array:
            made = translate(players, f'{source}_to_{target}', batch[target], stream(key, 'identity'))
            return distance(made, batch[target])

        return joined([of_generator('cycle', cycle, comes_back), of_generator('identity', identity * cycle, stays)])

    def sample(params: PyTree, variables: PyTree, latents: Array, images: Array, direction: str = 'a_to_b') -> Array:
        del latents
        return generators[direction].apply(params[direction], variables[direction], images, None, False)[0]

    game = both_ways(
        {direction: translator(network) for direction, network in generators.items()},
        {domain: without_condition(network) for domain, network in discriminators.items()},
        loss or losses.mean_squares(),
        no_latents,
        in_common,
        shapes=shapes,
        critics=critics and {domain: without_condition(network) for domain, network in critics.items()},
        replay=replay,
        terms=terms,
        **options,
    )
    return game._replace(sample=sample, show=show_both_ways(sample))


def from_config(
    cycle: Annotated[float, AMOUNT] = 10.0, identity: Annotated[float, AMOUNT] = 0.0, *, parts: Parts
) -> Game:
    """The game of a config, over unpaired domains: batches {'a', 'real'}, the real images being those of b.

    Args:
        cycle: weight of the difference between an image and its reconstruction.
        identity: weight, as a share of `cycle`, of the difference of an image and its translation into its own domain.
        parts: parts of the game.
    """
    given = from_parts(parts)
    a, b = given['shapes'].values()
    generators = {'a_to_b': parts.network('generator', a, b), 'b_to_a': parts.network('generator', b, a)}
    return of_unpaired_data(cyclegan(generators, cycle=cycle, identity=identity, **given))
