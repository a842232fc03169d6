"""The train step of any game: (state, batch) -> (state, metrics), a pure function to jit, pmap, scan or vmap."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Pair, Player, PlayerLoss, PyTree, stream

Metrics = dict[str, Array]
TrainStep = Callable[..., tuple[GanState, Metrics]]


class Balance(NamedTuple):
    """When the discriminator sits a step out, so that it does not run away from the generator.

    Attributes:
        measure: 'accuracy': it moves while its accuracy on the batch is at most the threshold; 'loss_ratio': it moves
            while its loss is at least the threshold times the generator's last loss, for losses that are positive.
        threshold: in [0, 1] for the accuracy.
    """

    measure: str
    threshold: float

    def moves(self, metrics: Metrics, memory: dict[str, PyTree]) -> Array:
        """Whether the discriminator, of which the metrics are, makes its step."""
        if self.measure == 'accuracy':
            return metrics['accuracy'] <= self.threshold
        return metrics['loss'] >= self.threshold * memory['generator_loss']


BALANCES = ('none', 'accuracy', 'loss_ratio')


def init_state(
    game: Game, optimizers: Pair, key: Key, *, ema: bool = False, balance: Balance | None = None
) -> GanState:
    """The state before the first step. Pure: run it under `jax.jit` to initialise in one compiled call.

    Args:
        game: the game.
        optimizers: an `optax.GradientTransformation` for each player.
        key: the run's root key, from `jax.random.key`.
        ema: whether the generator's moving average is kept.
        balance: as given to `make_train_step`.
    """
    init_key, root_key = jax.random.split(key)
    networks = game.init(init_key)

    def player(network, optimizer, averaged):
        params, variables = network
        return Player(params, variables, optimizer.init(params), (params, variables) if averaged else None)

    state = GanState(
        step=jnp.zeros((), jnp.int32),
        key=root_key,
        generator=player(networks.generator, optimizers.generator, ema),
        discriminator=player(networks.discriminator, optimizers.discriminator, False),
        memory=game.memory(networks),
    )
    if balance is not None:
        state.memory['generator_loss'] = jnp.zeros(())
    return state


def make_train_step(
    game: Game,
    optimizers: Pair,
    *,
    discriminator_steps: int = 1,
    generator_steps: int = 1,
    ema_decay: Callable[[Array], Array] | None = None,
    unrolled_steps: int = 0,
    balance: Balance | None = None,
    accumulate: int = 1,
    axis_name: str | None = None,
) -> TrainStep:
    """One round of the game: `discriminator_steps` steps of the discriminator, then `generator_steps` of the generator.

    Args:
        game: the game.
        optimizers: an `optax.GradientTransformation` for each player, as given to `init_state`.
        discriminator_steps: steps of the discriminator in each round, each on a fresh batch and fresh noise.
        generator_steps: steps of the generator in each round, each on fresh noise.
        ema_decay: step -> decay in [0, 1] of the generator's moving average; needs `init_state(..., ema=True)`.
        unrolled_steps: steps that a copy of the discriminator takes, as its optimiser would, before the generator's
            loss is computed against it; the gradient passes through them (Metz et al. 2017, "Unrolled Generative
            Adversarial Networks", equations 7 to 10). Adam needs `eps_root` above 0 for that.
        balance: when the discriminator sits a step out; needs `init_state(..., balance=...)`.
        accumulate: parts into which each batch is cut, one after the other, for the memory's sake: their gradients are
            averaged into one update. Batch statistics are each part's own.
        axis_name: the mapped axis when the step runs inside `pmap` or `shard_map`, each instance holding its share of
            the global batch: gradients and metrics are averaged over it. The game and its networks need the same
            name.

    Returns:
        `step(state, batch, positions=None) -> (state, metrics)`. The batch is a dict of arrays [B, ...], or
        [discriminator_steps, B, ...] when `discriminator_steps` > 1; the generator's step sees the last one.
        `positions` [B] are the places of these examples in the global batch (default 0 .. B-1). The metrics are
        float32 scalars named `discriminator/...` and `generator/...` (means over a player's steps): `loss`,
        `gradient_norm`, `parameter_norm` and what the game adds; with a balance, `discriminator/moved`.

    Raises:
        UserError: when the batch has no leading axis of length `discriminator_steps` or does not divide into
            `accumulate` parts, or the state has no average or no balance.
    """
    return _Round(
        game,
        optimizers,
        discriminator_steps,
        generator_steps,
        ema_decay,
        unrolled_steps,
        balance,
        accumulate,
        axis_name,
    ).step


@dataclasses.dataclass(frozen=True)
class _Round:
    """The arguments of `make_train_step`, and the step made of them."""

    game: Game
    optimizers: Pair
    discriminator_steps: int
    generator_steps: int
    ema_decay: Callable[[Array], Array] | None
    unrolled_steps: int
    balance: Balance | None
    accumulate: int
    axis_name: str | None

    def step(self, state: GanState, batch: Batch, positions: Array | None = None) -> tuple[GanState, Metrics]:
        """One round: (state, metrics) -> (state, metrics)."""
        several = self.discriminator_steps > 1
        leaves = jax.tree.leaves(batch)
        if several and any(leaf.shape[0] != self.discriminator_steps for leaf in leaves):
            raise UserError(
                f'With discriminator_steps={self.discriminator_steps} every array of the batch needs the leading axis '
                f'[{self.discriminator_steps}, batch, ...], but the shapes are {[leaf.shape for leaf in leaves]}.'
            )
        if positions is None:
            positions = jnp.arange(leaves[0].shape[1 if several else 0])
        last = jax.tree.map(lambda leaf: leaf[-1], batch) if several else batch
        key = jax.random.fold_in(state.key, state.step)
        discriminator_key, generator_key = stream(key, 'discriminator'), stream(key, 'generator')

        if several:
            keys = jax.random.split(discriminator_key, self.discriminator_steps)
            state, discriminator = _scan(
                lambda state, xs: self.discriminator_step(state, xs[0], xs[1], positions), state, (batch, keys)
            )
        else:
            state, discriminator = self.discriminator_step(state, batch, discriminator_key, positions)
        state, lazy_discriminator = self.lazy_update('discriminator', state, last, discriminator_key, positions)
        if self.generator_steps > 1:
            keys = jax.random.split(generator_key, self.generator_steps)
            state, generator = _scan(lambda state, key: self.generator_step(state, last, key, positions), state, keys)
        else:
            state, generator = self.generator_step(state, last, generator_key, positions)
        state, lazy_generator = self.lazy_update('generator', state, last, generator_key, positions)
        if self.ema_decay is not None:
            state = self.average(state)

        metrics = {f'discriminator/{name}': value for name, value in (discriminator | lazy_discriminator).items()}
        metrics |= {f'generator/{name}': value for name, value in (generator | lazy_generator).items()}
        return state.replace(step=state.step + 1), metrics

    def discriminator_step(self, state: GanState, batch: Batch, key: Key, positions: Array):
        """One step of the discriminator, unless the balance lets it rest."""
        before = state.discriminator
        state, metrics = self.update('discriminator', self.game.discriminator_loss, state, batch, key, positions)
        if self.balance is None:
            return state, metrics
        if 'generator_loss' not in state.memory:
            raise UserError('balance was given but the state keeps none: use init_state(..., balance=...).')
        moves = self.balance.moves(metrics, state.memory)
        player = jax.tree.map(lambda old, new: jnp.where(moves, new, old), before, state.discriminator)
        return state.replace(discriminator=player), metrics | {'moved': moves.astype(jnp.float32)}

    def generator_step(self, state: GanState, batch: Batch, key: Key, positions: Array):
        """One step of the generator."""
        loss = self.unrolled_loss if self.unrolled_steps else self.game.generator_loss
        state, metrics = self.update('generator', loss, state, batch, key, positions)
        if self.balance is not None:
            state = state.replace(memory={**state.memory, 'generator_loss': metrics['loss']})
        return state, metrics

    def unrolled_loss(self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        """The generator's loss against the discriminator as it will be some steps from now."""
        live = state.replace(generator=state.generator._replace(params=params))
        whole = dataclasses.replace(self, accumulate=1)  # the batch is a part already

        def one(live: GanState, key: Key):
            return whole.update('discriminator', self.game.discriminator_loss, live, batch, key, positions)

        live, _ = _scan(one, live, jax.random.split(stream(key, 'unrolled'), self.unrolled_steps))
        return self.game.generator_loss(params, state.replace(discriminator=live.discriminator), batch, key, positions)

    def lazy_update(self, name: str, state: GanState, batch: Batch, key: Key, positions: Array):
        """The player's lazy step when it is due; its metrics stay in the memory until the next."""
        lazy, kept = getattr(self.game.lazy, name), f'{name}_lazy'
        if lazy is None:
            return state, {}

        def due(state: GanState) -> GanState:
            state, metrics = self.update(name, lazy.loss, state, batch, stream(key, 'lazy'), positions)
            own = {term: metrics[term] for term in state.memory[kept]}
            return state.replace(memory={**state.memory, kept: own})

        state = jax.lax.cond(state.step % lazy.every == 0, due, lambda state: state, state)
        return state, state.memory[kept]

    def update(self, name: str, loss: PlayerLoss, state: GanState, batch: Batch, key: Key, positions: Array):
        """Moves a player down the gradient of its loss."""
        before, optimizer = getattr(state, name), getattr(self.optimizers, name)
        gradients, metrics, state = self.gradients(name, loss, state, batch, key, positions)
        updates, opt_state = optimizer.update(gradients, before.opt_state, before.params)
        params = optax.apply_updates(before.params, updates)
        metrics |= {'gradient_norm': optax.tree.norm(gradients), 'parameter_norm': optax.tree.norm(params)}
        player = getattr(state, name)._replace(params=params, opt_state=opt_state)
        return state.replace(**{name: player}), metrics

    def gradients(self, name: str, loss: PlayerLoss, state: GanState, batch: Batch, key: Key, positions: Array):
        """The player's gradients and metrics, and the state with its new variables and memory."""

        def part(state: GanState, batch: Batch, key: Key, positions: Array):
            params = getattr(state, name).params
            if self.axis_name is not None:  # else shard_map would sum the gradients of replicated parameters by itself
                params = jax.tree.map(lambda leaf: jax.lax.pcast(leaf, self.axis_name, to='varying'), params)
            (value, outcome), gradients = jax.value_and_grad(loss, has_aux=True)(params, state, batch, key, positions)
            gradients, metrics = self.mean((gradients, {'loss': value, **outcome.metrics}))
            player = getattr(state, name)._replace(variables=outcome.variables)
            return gradients, metrics, state.replace(**{name: player}, memory={**state.memory, **outcome.memory})

        if self.accumulate == 1:
            return part(state, batch, key, positions)

        def add(carry, xs):
            total, state = carry
            gradients, metrics, state = part(state, *xs)
            return (jax.tree.map(jnp.add, total, gradients), state), metrics

        (batch, positions), keys = _cut((batch, positions), self.accumulate), jax.random.split(key, self.accumulate)
        zeros = jax.tree.map(jnp.zeros_like, getattr(state, name).params)
        (total, state), metrics = _scan(add, (zeros, state), (batch, keys, positions))
        return jax.tree.map(lambda leaf: leaf / self.accumulate, total), metrics, state

    def average(self, state: GanState) -> GanState:
        """Moves the generator's average on."""
        player = state.generator
        if player.ema is None:
            raise UserError('ema_decay was given but the state keeps no average: use init_state(..., ema=True).')
        ema = _moving_average(player.ema, (player.params, player.variables), self.ema_decay(state.step))
        return state.replace(generator=player._replace(ema=ema))

    def mean(self, tree: PyTree) -> PyTree:
        """The mean over the devices."""
        return tree if self.axis_name is None else jax.lax.pmean(tree, self.axis_name)


def _scan(body: Callable, carry: PyTree, xs: PyTree) -> tuple[PyTree, Metrics]:
    """`jax.lax.scan` with the mean of the metrics over the steps."""
    carry, metrics = jax.lax.scan(body, carry, xs)
    return carry, jax.tree.map(lambda values: values.mean(0), metrics)


def scan_steps(step: TrainStep, batch_at: Callable[..., Batch], num_steps: int) -> TrainStep:
    """A stretch of training as one function, so that a whole stretch is one compiled call.

    Args:
        step: from `make_train_step`.
        batch_at: (data, step, slot, positions) -> the batch of step number `step`, the `slot`-th of this stretch.
        num_steps: the length of the stretch.

    Returns:
        `stretch(state, data, positions) -> (state, metrics)` with every metric of shape [num_steps].
    """

    def stretch(state: GanState, data, positions: Array):
        def body(state, slot):
            return step(state, batch_at(data, state.step, slot, positions), positions)

        return jax.lax.scan(body, state, jnp.arange(num_steps))

    return stretch


def _moving_average(average, value, decay):
    """Blends as decay * average + (1 - decay) * value for floating leaves; integer leaves are taken as they are."""

    def blend(old, new):
        if not jnp.issubdtype(new.dtype, jnp.floating):
            return new
        return (old + (1.0 - decay) * (new - old)).astype(new.dtype)

    return jax.tree.map(blend, average, value)


def _cut(tree, parts: int):
    """Arrays [B, ...] as [parts, B / parts, ...]."""

    def cut(leaf):
        if len(leaf) % parts:
            raise UserError(f'A batch of {len(leaf)} examples (on each device) does not divide into {parts} parts.')
        return leaf.reshape(parts, len(leaf) // parts, *leaf.shape[1:])

    return jax.tree.map(cut, tree)
