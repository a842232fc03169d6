"""The phases of a run: consecutive parts of the training, each with its own config.

`config.earlier_phases` lists the phases before the last. Each text changes some keys of the config: 'duration=600 kimg;
batch_size=128; data.size=8'. The config itself is the last phase. A phase is trained like a separate run: its steps,
schedules and epochs begin at 0. It starts from the last state of the previous phase (see `carried`).
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.game import GanState, Player
from gan_jax.values import with_values

PyTree = Any


def line_up(parts: Iterable[ConfigDict]) -> list[ConfigDict]:
    """Adds to the configs of phases their place in the run: the section `phase`.

    Args:
        parts: the config of each phase, in order, as `gan_jax.config.split` makes them.
    """
    found, place = [], {'number': 0, 'steps': 0, 'images': 0}
    for config in parts:
        found.append(with_values(config, {f'phase.{name}': value for name, value in place.items()}))
        steps = configs.steps(config, 'duration')
        place = {
            'number': place['number'] + 1,
            'steps': place['steps'] + steps,
            'images': place['images'] + steps * config.batch_size,
        }
    return found


def recorded(config: Mapping[str, Any], several: Sequence[Mapping[str, Any]]) -> list[ConfigDict]:
    """The configs of a run's phases, as recorded in its directory.

    Args:
        config: config of the whole run, as JSON values.
        several: the entries of run.json for each phase; empty if there is only one.
    """
    return [json_values.from_json(dict(phase['config'])) for phase in several or [{'config': config}]]


def end(phase: ConfigDict) -> int:
    """The last step of a phase, counted from the beginning of the run."""
    return phase.phase.steps + configs.steps(phase, 'duration')


def kimg(phases: Sequence[ConfigDict], step: int) -> float:
    """Thousands of images by the generator's steps, at a step of the run.

    Args:
        phases: the phases of the run, with their places.
        step: counted from the beginning of the run.
    """
    phase = phases[trained_in(phases, step)]
    return configs.kimg(phase, step - phase.phase.steps)


def trained_in(phases: Sequence[ConfigDict], step: int) -> int:
    """The number of the phase that made a step; the first for step 0, the last for steps after its end."""
    return next((number for number, phase in enumerate(phases) if step <= end(phase)), len(phases) - 1)


def goes_on(phases: Sequence[ConfigDict], step: int) -> int:
    """The number of the phase that makes the next step; the last phase if there is none."""
    return next((number for number, phase in enumerate(phases) if step < end(phase)), len(phases) - 1)


def check_place(step: int, saved: Mapping[str, Any], phase: ConfigDict) -> None:
    """Raises a UserError if a checkpoint belongs to another phase than the one that has its step now.

    Args:
        step: step of the checkpoint.
        saved: the config saved with it, as JSON values.
        phase: the config of the phase that makes this step.
    """
    then = json_values.completed(dict(saved))['phase']
    now = phase.phase.to_dict()
    if any(then[name] != now[name] for name in ('number', 'steps')):
        raise UserError(
            f'Step {step} was made in phase {then["number"] + 1}, which began after step {then["steps"]}, and is now '
            f'in phase {now["number"] + 1}, which begins after step {now["steps"]}: change only the end of the current '
            'phase and phases that have not begun, or choose another --workdir.'
        )


def carried(
    before: GanState, fresh: GanState, *, optimizers: bool = True, inherits: Mapping[str, str] = MappingProxyType({})
) -> GanState:
    """The initial state of a phase, from the last state of the previous phase.

    Arrays of a player that the former state has at the same path, with the same shape and type, are kept. Everything
    else is as in `fresh`: the step, the key, new layers, and the counts of learning-rate schedules. The optimiser of a
    player with new layers is reset, because Adam's bias correction assumes moments of the same age.

    Args:
        before: the last state of the previous phase.
        fresh: the newly initialised state of the new phase.
        optimizers: whether the state of an optimiser is kept if all parameters are kept.
        inherits: {player: the former player whose state it takes}; the others take their own.
    """

    def player(name: str, new: Player) -> Player:
        former = before.players.get(inherits.get(name, name))
        if former is None:
            return new
        kept = _kept(former, new)
        if former.ema is None and new.ema is not None:
            kept = kept._replace(ema=(kept.params, kept.variables))
        parameters = _by_path(former.params)
        is_whole = all(_fits(parameters.get(path), leaf) for path, leaf in _by_path(new.params).items())
        return kept if optimizers and is_whole else kept._replace(opt_state=new.opt_state)

    players = {name: player(name, new) for name, new in fresh.players.items()}
    return fresh.replace(players=players, memory=_kept(before.memory, fresh.memory))


def count_carried(before: GanState, fresh: GanState, inherits: Mapping[str, str] = MappingProxyType({})) -> str:
    """Describes how many parameters each player keeps from the previous phase: 'generator 1,024 of 2,048'."""
    words = []
    for name, player in fresh.players.items():
        source = before.players.get(inherits.get(name, name))
        former = {} if source is None else _by_path(source.params)
        sizes = [(leaf.size, _fits(former.get(path), leaf)) for path, leaf in _by_path(player.params).items()]
        words.append(f'{name} {sum(size for size, kept in sizes if kept):,} of {sum(size for size, _ in sizes):,}')
    return ', '.join(words)


def _kept(before: PyTree, fresh: PyTree) -> PyTree:
    former = _by_path(before)

    def chosen(path: tuple, new: Any) -> Any:
        if isinstance(new, optax.ScaleByScheduleState):
            return new
        old = former.get(path)
        return old if _fits(old, new) else new

    return jax.tree_util.tree_map_with_path(
        chosen, fresh, is_leaf=lambda leaf: isinstance(leaf, optax.ScaleByScheduleState)
    )


def _by_path(tree: PyTree) -> dict[tuple, Any]:
    return dict(jax.tree_util.tree_leaves_with_path(tree))


def _fits(old: Any, new: Any) -> bool:
    return old is not None and jnp.shape(old) == jnp.shape(new) and old.dtype == new.dtype
