"""Games that translate images: pix2pix of pairs, CycleGAN of two domains without pairs.

Both are made of `gan_jax.adversarial.adversarial`, whose condition is the image to translate, so that its losses,
terms, replay, balance, lazy updates and averages work here as they do there.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax import losses
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Network, Outcome, Pair, Player, PyTree, stream
from gan_jax.judgement import judgement
from gan_jax.layers.choices import require
from gan_jax.losses import Loss
from gan_jax.terms import NO_TERMS, Term, View, joined

DIRECTIONS = ('a_to_b', 'b_to_a')


def least_squares() -> Loss:
    """CycleGAN's loss: mean squares for the generator, half of them for the discriminator (Zhu et al. 2017, section 4).

    `gan_jax.losses.least_squares` has LSGAN's factor 1/2 in both, with which the other weights would weigh twice.
    """
    made = losses.least_squares()
    return made._replace(generator=lambda fake, real=None: 2 * made.generator(fake, real))


def pix2pix(
    generator: Network,
    discriminator: Network,
    loss: Loss | None = None,
    *,
    input_shape: tuple[int, int, int],
    l1: float = 100.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of pairs (Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks").

    Args:
        generator: images [B, H, W, C] -> images [B, H, W, D]; its noise is dropout.
        discriminator: an input and a target behind one another [B, H, W, C + D] -> logits [B, ...], one for each patch.
        loss: what each minimises; None: the non-saturating one.
        input_shape: (H, W, C).
        l1: weight of the mean absolute difference between output and target (equation 4).
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: of `gan_jax.adversarial.adversarial`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'input': [B, H, W, C],
        'target': [B, H, W, D]}`. `sample(params, variables, images, key)` translates images as published: with dropout,
        and with batch statistics of the images at hand (section 3.3).

    Raises:
        UserError: an option is impossible; augmentation is one, as it would move the target without its input.
    """
    require(l1 >= 0, 'The weight of l1', l1, 'at least 0')
    if options.get('augmentation') is not None:
        raise UserError('pix2pix cannot augment: the target would move without its input. Leave augmentation away.')

    def difference(view: View) -> Array:
        return _distance(view.fake, view.real)

    game = adversarial(
        _translator(generator),
        _of_pairs(discriminator),
        loss or losses.non_saturating(),
        _no_latents,
        condition=jax.ShapeDtypeStruct(tuple(input_shape), jnp.float32),
        terms=joined([_of_generator('l1', l1, difference), terms]),
        **options,
    )

    def over_pairs(loss: Callable) -> Callable:
        def renamed(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            _check_fields(batch, ('input', 'target'))
            return loss(params, state, {'real': batch['target'], 'label': batch['input']}, key, positions)

        return renamed

    def sample(params: PyTree, variables: PyTree, images: Array, key: Key) -> Array:
        return generator.apply(params, variables, images, key, True)[0]

    turns = tuple(turn._replace(loss=over_pairs(turn.loss)) for turn in game.turns)
    return game._replace(turns=turns, sample=sample)


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
    **options: Any,
) -> Game:
    """The game of two domains (Zhu et al. 2017, "Unpaired Image-to-Image Translation", equations 1 to 3).

    Args:
        generators: 'a_to_b' and 'b_to_a', images [B, H, W, C] of one domain -> images of the other.
        discriminators: 'a' and 'b', images of a domain -> logits [B, ...], one for each patch.
        loss: what each minimises; None: `least_squares`.
        shapes: (H, W, C) of the images of 'a' and of 'b'.
        cycle: weight of the mean absolute difference between an image and what comes back of it (equation 2).
        identity: weight, as a share of `cycle`, of the mean absolute difference between an image of a domain and its
            translation into that domain (section 5.2); the paper has 0.5 for paintings. The domains need equal
            channels.
        replay: translated images of each domain that the discriminator is shown again (section 4).
        terms: added to each player's loss in both directions; see `gan_jax.terms`.
        **options: of `gan_jax.adversarial.adversarial`, for both directions.

    Returns:
        A game over batches `{'a': [B, ...], 'b': [B, ...]}`. The player 'generator' has the parameters of both
        generators by direction, 'discriminator' those of both discriminators by domain; each minimises the sum of its
        two losses. Metrics are means over the directions. `sample(params, variables, images, direction='a_to_b')`
        translates images.

    Raises:
        UserError: a network or a shape is missing, or an option is impossible.
    """
    for what, given, names in (
        ('generators', generators, DIRECTIONS),
        ('discriminators', discriminators, ('a', 'b')),
        ('shapes', shapes, ('a', 'b')),
    ):
        if not isinstance(given, Mapping) or sorted(given) != sorted(names):
            raise UserError(f'The {what} of a CycleGAN are a dict of {names[0]!r} and {names[1]!r}.')
    require(cycle >= 0, 'The weight of cycle', cycle, 'at least 0')
    require(identity >= 0, 'The weight of identity', identity, 'at least 0')
    rules = _Cycle(
        generators,
        discriminators,
        loss or least_squares(),
        shapes,
        cycle,
        identity,
        terms,
        {'replay': replay, **options},
    )
    turns = rules.game('a_to_b').turns
    return Game(
        rules.init,
        tuple(turn._replace(loss=functools.partial(rules.loss, turn.title, turn.player)) for turn in turns),
        rules.sample,
        _no_latents,
        rules.memory,
    )


@dataclasses.dataclass(frozen=True)
class _Cycle:
    """The functions of a CycleGAN, which is two adversarial games with terms in common; fields as of `cyclegan`."""

    generators: Mapping[str, Network]
    discriminators: Mapping[str, Network]
    loss_of: Loss
    shapes: Mapping[str, tuple[int, int, int]]
    cycle: float
    identity: float
    terms: Pair
    options: Mapping[str, Any]

    def game(self, direction: str, extra: Pair = NO_TERMS) -> Game:
        """The adversarial game of one direction."""
        source, target = direction.split('_to_')
        return adversarial(
            _translator(self.generators[direction]),
            _without_condition(self.discriminators[target]),
            self.loss_of,
            _no_latents,
            condition=jax.ShapeDtypeStruct(tuple(self.shapes[source]), jnp.float32),
            terms=joined([extra, self.terms]),
            **self.options,
        )

    def names(self) -> list[tuple[str, dict[str, str]]]:
        """Each direction with its share of each player's networks."""
        return [(direction, {'generator': direction, 'discriminator': direction[-1]}) for direction in DIRECTIONS]

    def init(self, key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        """See `Game.init`."""
        networks: dict[str, tuple[dict, dict]] = {'generator': ({}, {}), 'discriminator': ({}, {})}
        for direction, share in self.names():
            for player, made in self.game(direction).init(stream(key, direction)).items():
                for whole, part in zip(networks[player], made, strict=True):
                    whole[share[player]] = part
        return networks

    def memory(self, networks: dict[str, tuple[PyTree, PyTree]]) -> dict[str, PyTree]:
        """See `Game.memory`."""
        kept = {}
        for direction, share in self.names():
            own = {name: tuple(tree[share[name]] for tree in trees) for name, trees in networks.items()}
            if memory := self.game(direction).memory(own):
                kept[direction] = memory
        return kept

    def common_terms(self, direction: str, generators: Player, batch: Batch, key: Key) -> Pair:
        """What the generator of a direction minimises beside its adversarial loss, given the other one."""
        source, target = direction.split('_to_')

        def translate(images: Array, direction: str, name: str) -> Array:
            params, variables = generators.params[direction], generators.variables[direction]
            return self.generators[direction].apply(params, variables, images, stream(key, name), True)[0]

        def comes_back(view: View) -> Array:
            return _distance(translate(view.fake, f'{target}_to_{source}', 'cycle'), batch[source])

        def stays(view: View) -> Array:
            return _distance(translate(batch[target], direction, 'identity'), batch[target])

        return joined(
            [
                _of_generator('cycle', self.cycle, comes_back),
                _of_generator('identity', self.identity * self.cycle, stays),
            ]
        )

    def loss(self, title: str, player: str, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        """The sum of a turn's losses over both directions; see `Turn.loss`."""
        _check_fields(batch, ('a', 'b'))
        total, variables, metrics, memory = jnp.zeros(()), {}, [], {}
        for direction, share in self.names():
            source, target = direction.split('_to_')
            own_key = stream(key, direction)
            extra = NO_TERMS
            if title == 'generator':
                generators = state.players['generator']._replace(params=params)
                extra = self.common_terms(direction, generators, batch, own_key)
            own = {
                name: Player(one.params[share[name]], one.variables[share[name]], ())
                for name, one in state.players.items()
            }
            part = state.replace(players=own, memory=state.memory.get(direction, {}))
            value, outcome = (
                self.game(direction, extra)
                .turn(title)
                .loss(params[share[player]], part, {'real': batch[target], 'label': batch[source]}, own_key, positions)
            )
            total += value
            variables[share[player]] = outcome.variables
            metrics.append(outcome.metrics)
            if direction in state.memory:
                memory[direction] = {**state.memory[direction], **outcome.memory}
        means = jax.tree.map(lambda *values: sum(values) / len(values), *metrics)
        return total, Outcome(variables, means, memory)

    def sample(self, params: PyTree, variables: PyTree, images: Array, direction: str = 'a_to_b') -> Array:
        """See `cyclegan`."""
        return self.generators[direction].apply(params[direction], variables[direction], images, None, False)[0]


def _distance(one: Array, other: Array) -> Array:
    return jnp.abs(one.astype(jnp.float32) - other).mean()


def _of_generator(name: str, weight: float, value: Callable[[View], Array]) -> Pair:
    """A term of the generator's loss, if it weighs anything."""
    made = (Term(name, weight, lambda view, memory: (value(view), memory)),) if weight else ()
    return Pair(made, ())


def _no_latents(key: Key, positions: Array) -> Array:
    del key
    return jnp.zeros((len(positions), 0))


def _translator(network: Network) -> Network:
    """A network of images as a generator whose condition is the image and whose latents are empty."""

    def apply(params, variables, latents, key, train, condition=None):
        del latents
        return network.apply(params, variables, condition, key, train)

    return Network(network.init, apply)


def _of_pairs(network: Network) -> Network:
    """A discriminator that is given its condition, an image, in front of the example's channels."""

    def apply(params, variables, examples, key, train, condition=None):
        pairs = jnp.concatenate([condition.astype(examples.dtype), examples], axis=-1)
        return _flat(network.apply(params, variables, pairs, key, train))

    return Network(network.init, apply)


def _without_condition(network: Network) -> Network:
    """A discriminator that looks at the example alone."""

    def apply(params, variables, examples, key, train, condition=None):
        del condition
        return _flat(network.apply(params, variables, examples, key, train))

    return Network(network.init, apply)


def _flat(applied: tuple[Any, PyTree]) -> tuple[Any, PyTree]:
    """Logits [B, h, w] as [B h w]: each patch is judged as an example is."""
    outputs, variables = applied
    judged = judgement(outputs)
    return judged._replace(logits=judged.logits.reshape(-1)), variables


def _check_fields(batch: Batch, names: Sequence[str]) -> None:
    for name in names:
        if name not in batch:
            raise UserError(f'The batch has {", ".join(sorted(batch))}, but this game needs {" and ".join(names)}.')
