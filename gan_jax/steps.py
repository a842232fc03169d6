"""The train step of any game: (state, batch) -> (state, metrics), a pure function to jit, pmap, scan or vmap."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Pair, Player

Metrics = dict[str, Array]
TrainStep = Callable[..., tuple[GanState, Metrics]]


def init_state(game: Game, optimizers: Pair, key: Key, *, ema: bool = False) -> GanState:
    """The state before the first step. Pure: run it under `jax.jit` to initialise in one compiled call.

    Args:
        game: the game.
        optimizers: an `optax.GradientTransformation` for each player.
        key: the run's root key, from `jax.random.key`.
        ema: whether the generator's moving average is kept.
    """
    init_key, root_key = jax.random.split(key)
    networks = game.init(init_key)

    def player(network, optimizer, averaged):
        params, variables = network
        return Player(params, variables, optimizer.init(params), (params, variables) if averaged else None)

    return GanState(
        step=jnp.zeros((), jnp.int32),
        key=root_key,
        generator=player(networks.generator, optimizers.generator, ema),
        discriminator=player(networks.discriminator, optimizers.discriminator, False),
    )


def make_train_step(
    game: Game,
    optimizers: Pair,
    *,
    discriminator_steps: int = 1,
    ema_decay: Callable[[Array], Array] | None = None,
    axis_name: str | None = None,
) -> TrainStep:
    """One round of the game: `discriminator_steps` steps of the discriminator, then one of the generator.

    Args:
        game: the game.
        optimizers: an `optax.GradientTransformation` for each player, as given to `init_state`.
        discriminator_steps: steps of the discriminator in each round, each on a fresh batch and fresh noise.
        ema_decay: step -> decay in [0, 1] of the generator's moving average; needs `init_state(..., ema=True)`.
        axis_name: the mapped axis when the step runs inside `pmap` or `shard_map`, each instance holding its share of
            the global batch: gradients and metrics are averaged over it. The networks' own batch norms need the
            same name.

    Returns:
        `step(state, batch, positions=None) -> (state, metrics)`. The batch is a dict of arrays [B, ...], or
        [discriminator_steps, B, ...] when `discriminator_steps` > 1; the generator's step sees the last one.
        `positions` [B] are the places of these examples in the global batch (default 0 .. B-1). The metrics are
        float32 scalars named `discriminator/...` (means over the discriminator's steps) and `generator/...`: `loss`,
        `gradient_norm`, `parameter_norm` and what the game adds.

    Raises:
        UserError: when the batch has no leading axis of length `discriminator_steps`, or the state no average.
    """

    def mean(tree):
        return tree if axis_name is None else jax.lax.pmean(tree, axis_name)

    def update(player: Player, loss, optimizer, state, batch, key, positions):
        params = player.params
        if axis_name is not None:  # else shard_map would sum the gradients of replicated parameters by itself
            params = jax.tree.map(lambda leaf: jax.lax.pcast(leaf, axis_name, to='varying'), params)
        grad = jax.value_and_grad(loss, has_aux=True)
        (value, (variables, metrics)), gradients = grad(params, state, batch, key, positions)
        gradients, metrics = mean((gradients, {'loss': value, **metrics}))
        updates, opt_state = optimizer.update(gradients, player.opt_state, player.params)
        params = optax.apply_updates(player.params, updates)
        metrics |= {'gradient_norm': optax.tree.norm(gradients), 'parameter_norm': optax.tree.norm(params)}
        return player._replace(params=params, variables=variables, opt_state=opt_state), metrics

    def discriminator_step(state: GanState, batch: Batch, key: Key, positions: Array):
        player, metrics = update(
            state.discriminator, game.discriminator_loss, optimizers.discriminator, state, batch, key, positions
        )
        return state.replace(discriminator=player), metrics

    def generator_step(state: GanState, batch: Batch, key: Key, positions: Array):
        player, metrics = update(
            state.generator, game.generator_loss, optimizers.generator, state, batch, key, positions
        )
        if ema_decay is not None:
            if player.ema is None:
                raise UserError('ema_decay was given but the state keeps no average: use init_state(..., ema=True).')
            decay = ema_decay(state.step)
            player = player._replace(ema=_moving_average(player.ema, (player.params, player.variables), decay))
        return state.replace(generator=player), metrics

    def step(state: GanState, batch: Batch, positions: Array | None = None):
        leaves = jax.tree.leaves(batch)
        if discriminator_steps > 1 and any(leaf.shape[0] != discriminator_steps for leaf in leaves):
            raise UserError(
                f'With discriminator_steps={discriminator_steps} every array of the batch needs the leading axis '
                f'[{discriminator_steps}, batch, ...], but the shapes are {[leaf.shape for leaf in leaves]}.'
            )
        if positions is None:
            positions = jnp.arange(leaves[0].shape[0 if discriminator_steps == 1 else 1])
        discriminator_key, generator_key = jax.random.split(jax.random.fold_in(state.key, state.step))

        if discriminator_steps == 1:
            last = batch
            state, discriminator = discriminator_step(state, batch, discriminator_key, positions)
        else:
            last = jax.tree.map(lambda leaf: leaf[-1], batch)
            keys = jax.random.split(discriminator_key, discriminator_steps)
            state, each = jax.lax.scan(
                lambda state, xs: discriminator_step(state, xs[0], xs[1], positions), state, (batch, keys)
            )
            discriminator = jax.tree.map(lambda values: values.mean(0), each)
        state, generator = generator_step(state, last, generator_key, positions)

        metrics = {f'discriminator/{name}': value for name, value in discriminator.items()}
        metrics |= {f'generator/{name}': value for name, value in generator.items()}
        return state.replace(step=state.step + 1), metrics

    return step


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
