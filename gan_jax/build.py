"""Builds the game, the optimisers, the step and the initial state of a config."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax.errors import FlaxError
from ml_collections import ConfigDict

from gan_jax import combinations, games, optim, privacy, schedules, steps
from gan_jax import config as configs
from gan_jax.config import defaults, json_values
from gan_jax.data import batch_field
from gan_jax.errors import UserError, blaming
from gan_jax.game import Array, Batch, Game, GanState, Key, Pair, named_key
from gan_jax.games import adversarial
from gan_jax.layers.choices import is_on, nearest
from gan_jax.parts import Parts
from gan_jax.runtime.compiler import ONCE
from gan_jax.values import entering_as_values, with_values

_ADAM_EPS_ROOT = 1e-16  # where an unrolled step is differentiated through Adam's square root at a gradient of zero


def make_modules(
    config: ConfigDict,
    shape: tuple[int, ...],
    axis_name: str | None = None,
    *,
    num_classes: int | None = None,
    dtype: str | None = None,
) -> Pair:
    """The two linen modules of a config's image game.

    Args:
        config: from `gan_jax.config.load`.
        shape: shape of one example, (H, W, C) or (n,).
        axis_name: the mapped axis over which batch statistics are global.
        num_classes: number of classes of the labels, where the game is conditional.
        dtype: dtype of the arithmetic; None: the config's.

    Raises:
        UserError: the family cannot make examples of that shape, or an option's value is impossible.
    """
    parts = Parts(config, {'real': tuple(shape)}, axis_name, num_classes)
    return Pair(*(parts.module(role, shape, dtype) for role in Pair._fields))


def make_networks(
    config: ConfigDict, shape: tuple[int, ...], *, num_classes: int | None = None, dtype: str | None = None
) -> Pair:
    """The players' networks of a config's image game; arguments as in `make_modules`."""
    return adversarial.make_networks(Parts(config, {'real': tuple(shape)}, num_classes=num_classes), dtype)


def make_game(
    config: ConfigDict,
    shape: tuple[int, ...],
    axis_name: str | None = None,
    *,
    num_classes: int | None = None,
    reference: tuple[Array, Array | None] | None = None,
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    label_sets: Mapping[str, Sequence[str | int]] = MappingProxyType({}),
) -> Game:
    """The game of a config, for examples of the given shape.

    Args:
        config: from `gan_jax.config.load`.
        shape: shape of one example.
        axis_name: the mapped axis of the global batch.
        num_classes: number of classes of the labels, which a conditional game needs.
        reference: real examples [R, *shape] and their labels for virtual batch normalisation; None if only the
            shapes matter, or the generator alone.
        shapes: shapes of one example in each other field of the batches, such as the 'input' of pairs.
        label_sets: the classes of each labelled part of the data, as `Dataset.label_sets`.

    Raises:
        UserError: the parts cannot be combined, or an option's value is impossible.
    """
    name, roles, moves = config.game.name, configs.roles_of(config), configs.make_schedules(config)
    own = Parts(config, {**shapes, 'real': tuple(shape)}, axis_name, num_classes, reference, label_sets)
    _check_schedules(own, moves)
    parts = _at(own, moves, jnp.int32(0))
    combinations.check(parts.config, shape)
    game = _join(parts)
    configs.make(parts.config, 'play').check(game)
    if moves:
        game = game._replace(at=lambda step: _join(_at(own, moves, step)))
    with blaming(f'The model {config.model}'):
        try:
            made = jax.eval_shape(functools.partial(_first_examples, game, parts), jax.random.key(0))
        except jax.errors.ConcretizationTypeError:  # a traced number of a population; the caller explains it
            raise
        except (TypeError, ValueError, FlaxError) as error:
            if config.game.name in games.names() and not json_values.foreign_modules(json_values.to_json(config)):
                families = ' and '.join(f'the {role} of {defaults.family_of(config, role)}' for role in roles)
                reason = ' '.join(str(error).split())
                raise UserError(f'The game {name} cannot be played by {families}: {reason}') from error
            raise
    if getattr(made, 'shape', (2,))[1:] != tuple(shape):
        what = f'examples of shape {made.shape[1:]}' if hasattr(made, 'shape') else f'a {type(made).__name__}'
        raise UserError(f'The generator of {config.model} makes {what}, not {tuple(shape)}.')
    return game


def make_float32_game(config: ConfigDict, shape: tuple[int, ...], **known: Any) -> Game | None:
    """The game with the same players in float32 arithmetic; None: that of the config is float32 already.

    Arguments are those of `make_game`.
    """
    if config.dtype == 'float32':
        return None
    return make_game(with_values(config, {'dtype': 'float32'}), shape, **known)


def _join(parts: Parts) -> Game:
    """The game of these parts."""
    options = parts.config.game.to_dict()
    name = options.pop('name')
    with blaming(f'The game {name}'):
        game = games.find(name, importing=False).from_config(**options, parts=parts)
    if not isinstance(game, Game):
        raise UserError(f'The from_config of the game {name} returns a {type(game).__name__}, not a gan_jax.game.Game.')
    return game


def _check_schedules(parts: Parts, moves: Sequence[schedules.Schedule]) -> None:
    """Raises a UserError for a schedule of a number that determines the game, the networks or the optimisers.

    Args:
        parts: parts of the game, with the config's own numbers.
        moves: its schedules.
    """
    if any(one.key == 'augment.initial' for one in moves) and not parts.config.augment.fixed:
        raise UserError('schedules names augment.initial, which the controller of ada also changes: set augment.fixed.')
    for one in moves:

        def make(step: Array, one: schedules.Schedule = one) -> Array:
            now = _at(parts, [one], step)
            game = _join(now)
            make_optimizers(now.config, game)
            if one.key.partition('.')[0] in configs.roles_of(parts.config):
                _first_examples(game, now, jax.random.key(0))
            return step

        with _unchanging(one.key):
            jax.eval_shape(make, jnp.int32(0))


def _at(parts: Parts, moves: Sequence[schedules.Schedule], step: Array) -> Parts:
    """The parts with the config's numbers at a step."""
    if not moves:
        return parts
    return dataclasses.replace(parts, config=_config_at(parts.config, moves, step))


def _config_at(config: ConfigDict, moves: Sequence[schedules.Schedule], step: Array) -> ConfigDict:
    return with_values(config, schedules.values(moves, config, step))


def _unchanging(keys: str) -> contextlib.AbstractContextManager[None]:
    return entering_as_values(f'schedules names {keys}', 'so it cannot change during training')


def _first_examples(game: Game, parts: Parts, key: Key) -> Array:
    """Two examples of an untrained generator, where only their shape matters."""
    networks = game.init(key)
    if 'generator' not in networks:
        raise UserError(
            f'The game {parts.config.game.name} has no player {"generator"!r}, which makes the samples: its init '
            f'makes {", ".join(sorted(networks))}.'
        )
    condition = None
    if game.given:
        is_label = game.given == 'label'
        condition = jnp.zeros((2,) if is_label else (2, *parts.shape(game.given)), jnp.int32 if is_label else None)
    return game.sample(*networks['generator'], game.latents(key, jnp.arange(2)), condition)


def warn_of_networks(
    config: ConfigDict,
    shape: tuple[int, ...],
    num_classes: int | None = None,
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    label_sets: Mapping[str, Sequence[str | int]] = MappingProxyType({}),
) -> None:
    """Runs the slow checks of a game's networks, if the game has any, and warns about problems.

    Arguments are those of `make_game`.
    """
    look = getattr(games.find(config.game.name, importing=False), 'warn_of_networks', None)
    if look is not None:
        look(Parts(config, {**shapes, 'real': tuple(shape)}, num_classes=num_classes, label_sets=label_sets))


def make_optimizers(config: ConfigDict, game: Game) -> steps.Optimizers:
    """An optax optimiser for each player of a config's game; a schedule counts all updates of its turns."""
    rounds, made = configs.steps(config, 'duration'), configs.make_terms(config)
    play = configs.make(config, 'play')

    def one(player: str):
        is_lazy = player in Pair._fields and combinations.is_lazy(config, made, player)
        every = config.lazy[player] if is_lazy else 1
        options = optim.lazy_adam_options(config[f'{player}_optimizer'].to_dict(), every)
        name = options.pop('name')
        if name == 'adam' and config.unrolled_steps and player == 'discriminator':
            options['eps_root'] = _ADAM_EPS_ROOT
        schedule = None
        if config.schedule.name != 'constant' or config.schedule.warm_up:
            updates = sum(turn.moves(rounds) for turn in game.turns if turn.player == player) * play.updates or 1
            schedule = configs.make(config, 'schedule')(updates)
        return defaults.choices(f'{player}_optimizer')[name](**options, schedule=schedule)

    return {player: one(player) for player in games.roles(config.game.name)}


def make_step(config: ConfigDict, game: Game, axis_name: str | None = None) -> steps.TrainStep:
    """The train step of a config.

    Where the config has schedules, the game and the optimisers of each round are those of its numbers, which are
    metrics: 'penalties.r1/weight'.
    """
    moves = configs.make_schedules(config)
    if not moves:
        return _make_step(config, game, axis_name)

    def step(state: GanState, batch: Batch, positions: Array | None = None) -> tuple[GanState, steps.Metrics]:
        values = schedules.values(moves, config, state.step)
        with _unchanging(' or '.join(values)):
            one = _make_step(with_values(config, values), game.at(state.step), axis_name)
            state, metrics = one(state, batch, positions)
        return state, metrics | {schedule.metric: values[schedule.key] for schedule in moves}

    return step


def _make_step(config: ConfigDict, game: Game, axis_name: str | None) -> steps.TrainStep:
    """The train step of a config whose numbers stay, or of one round."""
    average, total = config.ema, configs.steps(config, 'duration')
    return steps.make_train_step(
        game,
        make_optimizers(config, game),
        ema_decay=optim.ema_decay(average.half_life_kimg, average.ramp_up, config.batch_size, config.phase.images)
        if is_on(average.half_life_kimg)
        else None,
        progress=lambda step: step / total,
        play=configs.make(config, 'play'),
        accumulate=config.accumulate,
        axis_name=axis_name,
    )


def check_best_metric(
    config: ConfigDict,
    shape: tuple[int, ...],
    num_classes: int | None = None,
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    label_sets: Mapping[str, Sequence[str | int]] = MappingProxyType({}),
) -> None:
    """Raises a UserError if the best checkpoint is chosen by a metric of the step that this game does not have."""
    wanted = config.checkpoints.best_metric
    if wanted is None or wanted.startswith('eval/'):
        return
    metrics = step_metrics(config, shape, num_classes, shapes, label_sets)
    if wanted not in metrics:
        raise UserError(
            f'checkpoints.best_metric is {wanted!r}, which this game does not have; the nearest name is '
            f'{nearest(wanted, metrics)!r}.'
        )


def step_metrics(
    config: ConfigDict,
    shape: tuple[int, ...],
    num_classes: int | None = None,
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    label_sets: Mapping[str, Sequence[str | int]] = MappingProxyType({}),
) -> steps.Metrics:
    """The shapes of the metrics of a config's step, found by tracing it; arguments are those of `make_game`.

    Raises:
        UserError: the step cannot be traced.
    """
    game = make_game(config, shape, num_classes=num_classes, shapes=shapes, label_sets=label_sets)
    leading = (game.batches,) * (game.batches > 1) + (config.batch_size,)
    fields = {**shapes, 'real': shape}
    batch = {name: jax.ShapeDtypeStruct((*leading, *shape), jnp.float32) for name, shape in fields.items()}
    if num_classes is not None:
        batch |= {
            name: jax.ShapeDtypeStruct(leading, jnp.int32) for name in {batch_field(part, 'label') for part in fields}
        }
    if privacy.of_config(config):
        batch['index'] = jax.ShapeDtypeStruct(leading, jnp.int32)
    state = jax.eval_shape(initializer(config, game), jax.random.key(0))
    return jax.eval_shape(make_step(config, game), state, batch)[1]


def init_state(config: ConfigDict, game: Game) -> GanState:
    """The state of the config's seed before the first step, made by one compiled call."""
    return jax.jit(initializer(config, game), compiler_options=ONCE)(initial_key(config, config.seed))


def initial_key(config: ConfigDict, seed: int | Array) -> Key:
    """The root key of a phase's first state; another one for each phase. The seed may be traced."""
    number = config.phase.number
    return named_key(seed, f'state of phase {number}' if number else 'state')


def initializer(config: ConfigDict, game: Game) -> Callable[[Key], GanState]:
    """The pure function from a root key to the state before the first step."""
    if moves := configs.make_schedules(config):
        config = _config_at(config, moves, jnp.int32(0))
    return functools.partial(
        steps.init_state, game, make_optimizers(config, game), ema=is_on(config.ema.half_life_kimg)
    )
