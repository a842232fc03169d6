"""Combines several adversarial games, with shared losses, into one: for example two domains, one game per direction."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp

from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, Pair, Player, PyTree, stream
from gan_jax.terms import NO_TERMS


class Side(NamedTuple):
    """One of the games.

    Attributes:
        game: additional terms of its players, a `Pair` of terms, -> the game, as
            `gan_jax.adversarial.adversarial` makes it.
        batch: the complete batch -> the batch of this game.
        networks: the name of the network of each player in this game, by the player's name.
        terms: (all generators, the complete batch, key) -> a `Pair` of terms for `game`: the terms of the generator of
            this game that need the other generators. The generators are a `Player` whose parameters and variables are
            dicts.
        weight: of its losses in the sums.
    """

    game: Callable[[Pair], Game]
    batch: Callable[[Batch], Batch]
    networks: Mapping[str, str]
    terms: Callable[[Player, Batch, Key], Pair] = lambda generators, batch, key: NO_TERMS
    weight: float = 1.0


def joint(sides: Mapping[str, Side]) -> Game:
    """The combined game of all sides: each player minimises the weighted sum of its losses over the sides.

    Args:
        sides: the sides by name, which also names a stream of randomness. All must have the same turns.

    Returns:
        A game whose players have dicts of networks, with the names given by the sides, which may share one: its new
        variables, such as batch statistics, are those of the last of these sides. Metrics are means over the sides that
        have them. Its latents are those of the first side. It has no `sample` yet: that of
        the first side, for its share of the generators.
    """
    plain = {name: side.game(NO_TERMS) for name, side in sides.items()}
    first = next(iter(sides))

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        networks: dict[str, tuple[dict, dict]] = {}
        for name, side in sides.items():
            for player, made in plain[name].init(stream(key, name)).items():
                for whole, part in zip(networks.setdefault(player, ({}, {})), made, strict=True):
                    whole[side.networks[player]] = part
        return networks

    def memory(networks: dict[str, tuple[PyTree, PyTree]]) -> dict[str, PyTree]:
        kept = {}
        for name, side in sides.items():
            own = {player: tuple(tree[share] for tree in networks[player]) for player, share in side.networks.items()}
            if of_side := plain[name].memory(own):
                kept[name] = of_side
        return kept

    def loss(title: str, player: str, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        total, variables, metrics, kept = jnp.zeros(()), {}, [], {}
        for name, side in sides.items():
            own_key, game = stream(key, name), plain[name]
            if title == 'generator':
                generators = state.players['generator']._replace(params=params)
                game = side.game(side.terms(generators, batch, own_key))
            own = {
                other: Player(state.players[other].params[share], state.players[other].variables[share], ())
                for other, share in side.networks.items()
            }
            part = state.replace(players=own, memory=state.memory.get(name, {}))
            share = side.networks[player]
            value, outcome = game.turn(title).loss(params[share], part, side.batch(batch), own_key, positions)
            total += side.weight * value
            variables[share] = outcome.variables
            metrics.append(outcome.metrics)
            if name in state.memory:
                kept[name] = {**state.memory[name], **outcome.memory}
        return total, Outcome(variables, _means(metrics), kept)

    def sample(params: PyTree, variables: PyTree, latents: Array, condition: Array | None = None) -> Array:
        share = sides[first].networks['generator']
        return plain[first].sample(params[share], variables[share], latents, condition)

    turns = tuple(turn._replace(loss=functools.partial(loss, turn.title, turn.player)) for turn in plain[first].turns)
    return Game(init, turns, sample, plain[first].latents, memory, given=plain[first].given)


def _means(metrics: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """The mean of each metric over the sides that have it."""
    found: dict[str, list[Array]] = {}
    for one in metrics:
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}
