"""The train step of any game: (state, batch) -> (state, metrics), a pure function to jit, pmap, scan or vmap."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from gan_jax import global_batch
from gan_jax.dynamics.field import Field, field_of_turns, linearize, moving_params
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Player, PlayerLoss, PyTree, Turn, batch_size, stream
from gan_jax.layers.choices import require, require_functions_of_step
from gan_jax.layers.progress import with_share
from gan_jax.networks import check_network
from gan_jax.plays import Play, alternating

Metrics = dict[str, Array]
Optimizers = Mapping[str, optax.GradientTransformation]
TrainStep = Callable[..., tuple[GanState, Metrics]]
ALTERNATING = alternating()


def init_state(game: Game, optimizers: Optimizers, key: Key, *, ema: bool = False) -> GanState:
    """The initial state. The function is pure: run it under `jax.jit` to initialise in one compiled call.

    Args:
        game: the game.
        optimizers: an `optax.GradientTransformation` for each player with a turn, by name.
        key: the run's root key, from `jax.random.key`.
        ema: whether moving averages of the players in `game.averaged` are kept.

    Raises:
        UserError: a player with a turn has no optimiser, or the game does not have the player.
    """
    check_optimizers(game, optimizers)
    init_key, root_key = jax.random.split(key)
    networks = game.init(init_key)
    moving = {turn.player for turn in game.turns}
    for field, needed in (('turns', moving), ('averaged', game.averaged)):
        for name in needed:
            if name not in networks:
                raise UserError(
                    f'Game.{field} names a player, but the game has no player {name!r}: its init makes '
                    f'{", ".join(sorted(networks))}.'
                )
    for name, network in networks.items():
        check_network(name, network)

    def player(name: str) -> Player:
        params, variables = networks[name]
        opt_state = optimizers[name].init(params) if name in moving else ()
        return Player(params, variables, opt_state, (params, variables) if ema and name in game.averaged else None)

    memory = game.memory(networks)
    if kept := {turn.title: {name: jnp.zeros(()) for name in turn.keeps} for turn in game.turns if turn.keeps}:
        memory = {**memory, 'turns': kept}
    return GanState(jnp.zeros((), jnp.int32), root_key, {name: player(name) for name in networks}, memory)


def make_train_step(
    game: Game,
    optimizers: Optimizers,
    *,
    ema_decay: Callable[[Array], Array] | None = None,
    progress: Callable[[Array], Array] | None = None,
    play: Play = ALTERNATING,
    accumulate: int = 1,
    axis_name: str | None = None,
) -> TrainStep:
    """Makes the train step: one round of the game, with the turns of its players in order.

    Args:
        game: the game.
        optimizers: an `optax.GradientTransformation` for each player that has a turn, as given to `init_state`.
        ema_decay: step -> decay in [0, 1] of the moving averages; needs `init_state(..., ema=True)`.
        progress: step -> the completed share of the training, in [0, 1], for networks that use it
            (see `gan_jax.layers.progress`).
        play: how the players move in a round (see `gan_jax.plays`).
        accumulate: number of parts of each batch, computed one after the other to save memory: their gradients are
            averaged into one update. Each part has its own batch statistics.
        axis_name: the mapped axis when the step runs inside `pmap` or `shard_map`, and each instance has its share of
            the global batch: gradients and metrics are averaged over it. The game and its networks need the same
            name.

    Returns:
        `step(state, batch, positions=None) -> (state, metrics)`. The batch is a dict of arrays [B, ...], or
        [game.batches, B, ...] if a round uses several batches. `positions` [B] are the positions of these examples in
        the global batch (default 0 .. B-1). The metrics are float32 scalars named `PLAYER/...` (means over the moves
        of a turn): `loss`, `gradient_norm`, `parameter_norm` and what the game adds; with a gate also `moved`, the
        share of the moves that were made, with a `gradient_norm` of 0 for the others.

    Raises:
        UserError: a player with a turn has no optimiser; two turns have the same name; a turn has no moves; the game
            has moves that `play` does not allow; an argument has the wrong type. When the step is traced: the batch is
            not a dict, has no leading axis of length `game.batches` or cannot be divided into `accumulate` parts, a
            loss is not a scalar with an `Outcome`, or only one of state and step has averages.
    """
    check_optimizers(game, optimizers)
    titles = [turn.title for turn in game.turns]
    if doubled := sorted({title for title in titles if titles.count(title) > 1}):
        raise UserError(f'Two turns of the game are called {doubled[0]!r}: give each a different name.')
    require_functions_of_step(ema_decay=ema_decay, progress=progress)
    if not isinstance(play, Play):
        raise UserError(
            f'The play is a {type(play).__name__}: give what a function of gan_jax.plays returns, such as '
            'plays.extragradient().'
        )
    require(accumulate >= 1, 'accumulate', accumulate, 'at least 1')
    for turn in game.turns:
        require(turn.times >= 1, f'The number of moves of the turn {turn.title!r}', turn.times, 'at least 1')
    play.check(game)
    return _Round(game, optimizers, ema_decay, progress, play, accumulate, axis_name).step


def check_optimizers(game: Game, optimizers: Optimizers) -> None:
    """Raises a UserError unless every player with a turn has an optimiser."""
    names = sorted({turn.player for turn in game.turns})
    if not isinstance(optimizers, Mapping):
        raise UserError(
            f'The optimizers are a {type(optimizers).__name__}: pass a dict with an optimizer for each of '
            f'{", ".join(names)}.'
        )
    for name in names:
        if name not in optimizers:
            raise UserError(f'The player {name!r} moves and has no optimizer: add one to the dict of optimizers.')
        if not hasattr(optimizers[name], 'update'):
            raise UserError(
                f'The optimizer of {name!r} is a {type(optimizers[name]).__name__}: give an '
                'optax.GradientTransformation, such as optax.adam(1e-3).'
            )


@dataclasses.dataclass(frozen=True)
class _Round:
    """The arguments of `make_train_step`, the directions of a round, and the step made from them."""

    game: Game
    optimizers: Optimizers
    ema_decay: Callable[[Array], Array] | None
    progress: Callable[[Array], Array] | None
    play: Play
    accumulate: int
    axis_name: str | None
    directions: PyTree | None = None  # directions by player, used instead of gradients

    def step(self, state: GanState, batch: Batch, positions: Array | None = None) -> tuple[GanState, Metrics]:
        """One round: (state, batch) -> (state, metrics)."""
        several = self.game.batches > 1
        size = batch_size(batch, self.game.batches)
        if positions is None:
            positions = jnp.arange(size)
        round_key = jax.random.fold_in(state.key, state.step)
        if several:
            keys = jax.random.split(round_key, self.game.batches)
            batch = jax.vmap(self.game.prepared, (0, 0, None))(batch, keys, positions)
        else:
            batch = self.game.prepared(batch, round_key, positions)
        last = jax.tree.map(lambda leaf: leaf[-1], batch) if several else batch
        state = self.advance(state)
        before, moves = state.players, self
        if self.play.is_directed:
            state, directions = self.direct(state, last, round_key, positions)
            moves = dataclasses.replace(self, directions=directions)

        metrics = {}
        for turn in self.game.turns:
            seen = batch if several and turn.fresh else last
            held = state
            if self.play.simultaneous:
                held = state.replace(players={**before, turn.player: state.players[turn.player]})
            after, reported = moves.play_if_due(turn, held, seen, turn.key(round_key), positions)
            state = after.replace(players={**state.players, turn.player: after.players[turn.player]})
            metrics |= {f'{turn.player}/{name}': value for name, value in reported.items()}
        return self.average(state).replace(step=state.step + 1), metrics

    def direct(self, state: GanState, batch: Batch, key: Key, positions: Array) -> tuple[GanState, PyTree]:
        """The state, with the optimiser states of an extrapolation, and the directions of a directed play."""
        field, params = self.field(state, batch, key, positions), moving_params(self.game, state)
        here = linearize(field, params, mean=self.mean, spread=self.spread)
        if self.play.direct is not None:
            return state, self.play.direct(here)
        ahead = {name: self.moved(name, state.players[name], here.value[name]) for name in params}
        for name, player in ahead.items():
            state = state.with_player(name, opt_state=player.opt_state)
        point = self.spread({name: player.params for name, player in ahead.items()})
        return state, self.mean(field(point, point))

    def field(self, state: GanState, batch: Batch, key: Key, positions: Array) -> Field:
        """The vector field at the beginning of a round, on this device's share of a batch."""
        keys = {turn.title: turn.key(key) for turn in self.game.turns}
        if self.accumulate == 1:
            return field_of_turns(self.game.turns, state, batch, keys, positions)
        parts = _cut((batch, positions), self.accumulate)
        keys = {title: jax.random.split(key, self.accumulate) for title, key in keys.items()}

        def field(own: PyTree, seen: PyTree) -> PyTree:
            @jax.checkpoint  # the backward pass recomputes one part at a time, too
            def add(total: PyTree, xs) -> tuple[PyTree, None]:
                (batch, positions), keys = xs
                part = field_of_turns(self.game.turns, state, batch, keys, positions)(own, seen)
                return jax.tree.map(jnp.add, total, part), None

            total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, own), (parts, keys))
            return jax.tree.map(lambda leaf: leaf / self.accumulate, total)

        return field

    def moved(self, name: str, player: Player, gradients: PyTree) -> Player:
        """A player after an update by its optimiser."""
        updates, opt_state = self.optimizers[name].update(gradients, player.opt_state, player.params)
        return player._replace(params=optax.apply_updates(player.params, updates), opt_state=opt_state)

    def play_if_due(
        self, turn: Turn, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[GanState, Metrics]:
        """Plays a player's turn, if it is due."""
        if turn.every == 1:
            return self.play_turn(turn, state, batch, key, positions)

        def due(state: GanState) -> GanState:
            return self.play_turn(turn, state, batch, key, positions)[0]

        state = jax.lax.cond(state.step % turn.every == 0, due, lambda state: state, state)
        return state, state.memory.get('turns', {}).get(turn.title, {})

    def play_turn(
        self, turn: Turn, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[GanState, Metrics]:
        """Makes the moves of a turn; returns the means of their metrics."""
        several = turn.fresh and self.game.batches > 1
        if turn.times == 1:
            batch = jax.tree.map(lambda leaf: leaf[0], batch) if several else batch
            return self.move(turn, state, batch, key, positions, jnp.int32(0))

        def move(state: GanState, xs) -> tuple[GanState, Metrics]:
            i, key, own = xs
            return self.move(turn, state, own if several else batch, key, positions, i)

        own = jax.tree.map(lambda leaf: leaf[: turn.times], batch) if several else None
        xs = jnp.arange(turn.times), jax.random.split(key, turn.times), own
        if turn.count is None:
            return _scan(move, state, xs)
        count = turn.moves_at(state.step)

        def move_if_asked(state: GanState, xs) -> tuple[GanState, Metrics]:
            _, silent = jax.eval_shape(move, state, xs)
            silent = jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), silent)
            return jax.lax.cond(xs[0] < count, move, lambda state, xs: (state, silent), state, xs)

        state, metrics = jax.lax.scan(move_if_asked, state, xs)
        return state, jax.tree.map(lambda values: values.sum(0) / count, metrics)

    def move(
        self, turn: Turn, state: GanState, batch: Batch, key: Key, positions: Array, i: Array
    ) -> tuple[GanState, Metrics]:
        """One gradient step of a player on the turn's loss, unless the gate is closed."""
        name, before = turn.player, state.players[turn.player]
        loss = turn.checked_loss if turn.unrolled is None else self.unrolled(turn)
        metrics, state, backward = self.forward(name, loss, state, batch, key, positions)

        def update() -> tuple[Player, Array]:
            gradients = backward() if self.directions is None else self.directions[name]
            norm = optax.tree.norm(gradients).astype(float)  # the type of `skip`, whatever that of the parameters
            return self.moved(name, state.players[name], gradients), norm

        def skip() -> tuple[Player, Array]:
            return before, jnp.zeros(())

        if turn.gate is None:
            player, gradient_norm = update()
        else:
            moves = turn.gate(metrics, state.memory.get('turns', {}), i)
            player, gradient_norm = jax.lax.cond(moves, update, skip)
            metrics['moved'] = moves.astype(jnp.float32)
        metrics |= {'gradient_norm': gradient_norm, 'parameter_norm': optax.tree.norm(player.params)}
        state = state.replace(players={**state.players, name: player})
        if turn.keeps:
            kept = {metric: metrics[metric] for metric in turn.keeps}
            state = state.with_memory({'turns': {**state.memory['turns'], turn.title: kept}})
        return state, metrics

    def forward(
        self, name: str, loss: PlayerLoss, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[Metrics, GanState, Callable[[], PyTree]]:
        """Computes a player's loss on a batch.

        Returns:
            The metrics, the state with the player's new variables and the new memory, and a function that computes the
            player's gradients.
        """

        def part(state: GanState, batch: Batch, key: Key, positions: Array):
            params = self.spread(state.players[name].params)
            value, gradients, outcome = jax.vjp(
                lambda params: loss(params, state, batch, key, positions), params, has_aux=True
            )
            metrics = self.mean({'loss': value, **outcome.metrics})
            state = state.with_player(name, variables=outcome.variables).with_memory(outcome.memory)
            return metrics, state, lambda: self.mean(gradients(jnp.ones_like(value))[0])

        if self.accumulate == 1:
            return part(state, batch, key, positions)

        def add(carry, xs):
            total, state = carry
            metrics, state, backward = part(state, *xs)
            return (jax.tree.map(jnp.add, total, backward()), state), metrics

        (batch, positions), keys = _cut((batch, positions), self.accumulate), jax.random.split(key, self.accumulate)
        zeros = jax.tree.map(jnp.zeros_like, state.players[name].params)
        (total, state), metrics = _scan(add, (zeros, state), (batch, keys, positions))
        return metrics, state, lambda: jax.tree.map(lambda leaf: leaf / self.accumulate, total)

    def unrolled(self, turn: Turn) -> PlayerLoss:
        """The loss of a turn against an opponent after some further moves."""
        name, count = turn.unrolled
        opponent = self.game.turn(name)._replace(gate=None, unrolled=None, keeps=())
        whole = dataclasses.replace(self, accumulate=1)  # the batch is already one of the accumulated parts

        def loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            def one(ahead: GanState, key: Key):
                return whole.move(opponent, ahead, batch, key, positions, jnp.int32(0))

            ahead = state.with_player(turn.player, params=params)
            ahead, _ = _scan(one, ahead, jax.random.split(stream(key, 'unrolled'), count))
            against = {**state.players, opponent.player: ahead.players[opponent.player]}
            return turn.checked_loss(params, state.replace(players=against), batch, key, positions)

        return loss

    def advance(self, state: GanState) -> GanState:
        """Sets the completed share of the training in the networks that use it."""
        if self.progress is None:
            return state
        share = self.progress(state.step)

        def with_progress(player: Player) -> Player:
            ema = None if player.ema is None else (player.ema[0], with_share(player.ema[1], share))
            return player._replace(variables=with_share(player.variables, share), ema=ema)

        return state.replace(players={name: with_progress(player) for name, player in state.players.items()})

    def average(self, state: GanState) -> GanState:
        """Updates the moving averages, if there are any."""
        if self.ema_decay is None:
            if any(player.ema is not None for player in state.players.values()):
                raise UserError(
                    'The state keeps averages, but the step has no ema_decay to update them: pass it to '
                    'make_train_step, or use init_state(..., ema=False).'
                )
            return state
        decay, players = self.ema_decay(state.step), dict(state.players)
        for name in self.game.averaged:
            player = players[name]
            if player.ema is None:
                raise UserError('ema_decay was given, but the state keeps no averages: use init_state(..., ema=True).')
            ema = _moving_average(player.ema, (player.params, player.variables), decay)
            players[name] = player._replace(ema=ema)
        return state.replace(players=players)

    def mean(self, tree: PyTree) -> PyTree:
        """The mean over the devices."""
        return global_batch.mean(tree, self.axis_name)

    def spread(self, tree: PyTree) -> PyTree:
        """A copy for each device; shard_map would sum the gradients of values that the devices share by itself."""
        if self.axis_name is None:
            return tree
        return jax.tree.map(lambda leaf: jax.lax.pcast(leaf, self.axis_name, to='varying'), tree)


def _scan(body: Callable, carry: PyTree, xs: PyTree) -> tuple[PyTree, Metrics]:
    """`jax.lax.scan` with the mean of the metrics over the steps."""
    carry, metrics = jax.lax.scan(body, carry, xs)
    return carry, jax.tree.map(lambda values: values.mean(0), metrics)


def _moving_average(average: PyTree, value: PyTree, decay: Array) -> PyTree:
    """Computes decay * average + (1 - decay) * value for floating-point leaves; integer leaves are copied."""

    def blend(old: Array, new: Array) -> Array:
        if not jnp.issubdtype(new.dtype, jnp.floating):
            return new
        return (old + (1.0 - decay) * (new - old)).astype(new.dtype)

    return jax.tree.map(blend, average, value)


def _cut(tree: PyTree, parts: int) -> PyTree:
    """Reshapes arrays [B, ...] to [parts, B / parts, ...]."""

    def cut(leaf: Array) -> Array:
        if len(leaf) % parts:
            raise UserError(f'A batch of {len(leaf)} examples (on each device) cannot be divided into {parts} parts.')
        return leaf.reshape(parts, len(leaf) // parts, *leaf.shape[1:])

    return jax.tree.map(cut, tree)
