"""Games of two domains without pairs: two adversarial games, one for each direction, with losses in common."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, Key, Pair, Player, PyTree
from gan_jax.joint import Side, joint
from gan_jax.layers.choices import require
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.terms import NO_TERMS, View, joined, one_term
from gan_jax.translators import over_fields, renamed

DIRECTIONS = ('a_to_b', 'b_to_a')


def check_domains(generators: Mapping, discriminators: Mapping, shapes: Mapping) -> None:
    """Raises a UserError unless there are generators of both directions, and the others of both domains."""
    for what, given, names in (
        ('generators', generators, DIRECTIONS),
        ('discriminators', discriminators, ('a', 'b')),
        ('shapes', shapes, ('a', 'b')),
    ):
        if not isinstance(given, Mapping) or sorted(given) != sorted(names):
            raise UserError(f'The {what} of two domains are a dict of {names[0]!r} and {names[1]!r}.')


def both_ways(
    generators: Mapping[str, Network],
    discriminators: Mapping[str, Network],
    loss: Loss,
    latents: Callable[[Key, Array], Array],
    in_common: Callable[[str, str, Player, Batch, Key], Pair],
    *,
    shapes: Mapping[str, tuple[int, int, int]],
    terms: Pair = NO_TERMS,
    critics: Mapping[str, Network] | None = None,
    **options: Any,
) -> Game:
    """The game of two domains without pairs: two adversarial games, one for each direction, with losses in common.

    Args:
        generators: 'a_to_b' and 'b_to_a': latents, and images of one domain as condition -> images of the other.
        discriminators: 'a' and 'b', images of a domain -> logits; they ignore the condition.
        loss: the loss of each player.
        latents: how latents are drawn.
        in_common: (source, target, all generators, batch, key) -> the terms of the direction from source to target that
            need the generators of both directions.
        shapes: (H, W, C) of the images of 'a' and of 'b'.
        terms: added to each player's loss in both directions.
        critics: the discriminators for gradient penalties, or None.
        **options: options of `gan_jax.adversarial.adversarial`, for both directions.

    Returns:
        A game over batches `{'a': [B, ...], 'b': [B, ...]}`, as `gan_jax.joint.joint` makes it. The player 'generator'
        has the parameters of both generators by direction, 'discriminator' those of both discriminators by domain.

    Raises:
        UserError: a network or a shape is missing, or an option is impossible.
    """
    check_domains(generators, discriminators, shapes)

    def side(source: str, target: str) -> Side:
        def game(extra: Pair) -> Game:
            return adversarial(
                generators[f'{source}_to_{target}'],
                discriminators[target],
                loss,
                latents,
                condition=jax.ShapeDtypeStruct(tuple(shapes[source]), jnp.float32),
                terms=joined([extra, terms]),
                critic=critics[target] if critics else None,
                **options,
            )

        batch_of = functools.partial(renamed, names={'real': target, 'label': source})
        networks = {'generator': f'{source}_to_{target}', 'discriminator': target}
        return Side(game, batch_of, networks, functools.partial(in_common, source, target))

    return joint({'a_to_b': side('a', 'b'), 'b_to_a': side('b', 'a')})._replace(given='a')


def show_both_ways(sample: Callable[..., Array]) -> Callable[..., dict[str, Array]]:
    """What a game of two domains shows: an image of each domain, its translation and the translation of that.

    Args:
        sample: (params, variables, latents, images, direction) -> translations.
    """

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        shown = {}
        for source, target in ('ab', 'ba'):
            made = sample(params, variables, latents, batch[source], f'{source}_to_{target}')
            back = sample(params, variables, latents, made, f'{target}_to_{source}')
            shown |= {source: batch[source], f'{source} to {target}': made, f'{source} again': back}
        return shown

    return show


def of_unpaired_data(game: Game) -> Game:
    """A game of two domains over the batches of unpaired data, whose real images are those of b."""
    fields = {'a': 'a', 'b': 'real'}

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        return game.show(params, variables, latents, renamed(batch, fields))

    return game._replace(turns=over_fields(game.turns, fields), show=show)


class Coder(NamedTuple):
    """The network of one direction, which encodes images of its source and decodes images of its target.

    Attributes:
        init: key -> (params, variables).
        content: (params, images of the source) -> content codes.
        decode: (params, content codes) -> images of the target; (params, content codes, styles) if it has styles.
        style: (params, images of the target) -> styles [B, n]; None: it has none.
    """

    init: Callable[[Key], tuple[PyTree, PyTree]]
    content: Callable[[PyTree, Array], Array]
    decode: Callable[..., Array]
    style: Callable[[PyTree, Array], Array] | None = None


def coder_of(module: nn.Module, *shapes: tuple[int, int, int], recompute: bool = False) -> Coder:
    """The `Coder` of a linen module with the methods `content`, `decode` and perhaps `style`.

    Args:
        module: the module.
        *shapes: shapes of one of each of its inputs.
        recompute: whether forward passes are computed again for the gradient.

    Raises:
        UserError: it has not these methods.
    """
    if not (hasattr(module, 'content') and hasattr(module, 'decode')):
        raise UserError(
            f'This game needs a generator with the methods content and decode, and {type(module).__module__} has none: '
            'choose the family munit or unit.'
        )

    def init(key: Key) -> tuple[PyTree, PyTree]:
        return module.init(key, *(jnp.zeros((1, *shape)) for shape in shapes))['params'], {}

    def part(method: str) -> Callable[..., Array]:
        def apply(params: PyTree, *inputs: Array) -> Array:
            return module.apply({'params': params}, *inputs, method=method)

        return jax.checkpoint(apply) if recompute else apply

    return Coder(init, part('content'), part('decode'), part('style') if hasattr(module, 'style') else None)


def decay_of(weight: float) -> Pair:
    """The terms weight / 2 times the sum of all squared parameters, of the discriminator half of that.

    Adam with PyTorch's weight decay minimises the same. The half is for `mean_squares`, which is half of the loss of
    MUNIT's discriminator.
    """

    def value(view: View) -> Array:
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(view.params)) / 2

    return Pair(one_term('decay', weight, value), one_term('decay', weight / 2, value))


def coders(parts: Parts, shapes: Mapping[str, tuple[int, int, int]], *, styles: bool = False) -> dict[str, Coder]:
    """The generators of both directions that a config names.

    Args:
        parts: parts of the game.
        shapes: (H, W, C) of the images of 'a' and of 'b'.
        styles: whether they have styles, so that they are called with images of both domains.
    """
    made = {}
    for direction, (source, target) in zip(DIRECTIONS, ('ab', 'ba'), strict=True):
        module = parts.module('generator', shapes[target])
        inputs = (shapes[source], shapes[target]) if styles else (shapes[source],)
        made[direction] = coder_of(module, *inputs, recompute=parts.config.recompute)
    return made


def from_parts(parts: Parts) -> dict[str, Any]:
    """What a config gives to a game of two domains: discriminators, critics, loss, shapes, and adversarial's options.

    Args:
        parts: parts of the game; its real images are those of b. There is one discriminator for each domain.

    Raises:
        UserError: it has several.
    """
    shapes, options = {'a': parts.shape('a'), 'b': parts.shape('real')}, parts.options
    require(options.pop('discriminators') == 1, 'discriminators.number', 'several', '1 for each of two domains')

    def discriminators(dtype: str | None = None) -> dict[str, Network]:
        return {domain: parts.network('discriminator', shape, shape, dtype=dtype) for domain, shape in shapes.items()}

    critics = parts.critic(discriminators)
    return {'discriminators': discriminators(), 'critics': critics, 'loss': parts.loss, 'shapes': shapes, **options}
