"""Several seeds of one recipe trained in one compiled program, by `jax.vmap` over whole train steps."""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gan_jax import build, data, steps
from gan_jax import config as configs
from gan_jax.game import Game, GanState, named_key


def train_population(
    config: ConfigDict, game: Game, dataset: data.Dataset, seeds: Sequence[int], *, every: int
) -> Iterator[tuple[int, GanState, dict[str, np.ndarray]]]:
    """Trains one member for each seed; member i starts and draws as the recipe alone with seed i would.

    Args:
        config: the recipe; its own seed is not used.
        game: the unconditional game of the config, for one device.
        dataset: examples without conditions.
        seeds: one for each member.
        every: steps between two looks at the population.

    Yields:
        The step, the members' states stacked along a first axis, and the metrics [members] at that step: before the
        first step without metrics, then after every `every` steps, and at the end.
    """
    total = configs.steps(config, 'duration')
    count = config.discriminator_steps
    step = build.make_step(config, game)

    def batch_at(members, number, slot, positions):
        del slot

        def one(batch_number):
            indices = data.batch_indices(
                members['seed'], batch_number, positions, batch_size=config.batch_size, num_examples=len(dataset)
            )
            examples, _ = data.gather(members['examples'], None, indices)
            return data.prepare(examples, None, members['key'], positions, flip=False)

        first = number * count
        return one(first) if count == 1 else jax.vmap(one)(first + jnp.arange(count))

    def stretch(length: int):
        axes = {'examples': None, 'seed': 0, 'key': None}
        return jax.jit(jax.vmap(steps.scan_steps(step, batch_at, length), in_axes=(0, axes, None)), donate_argnums=0)

    members = {
        'examples': jnp.asarray(np.asarray(dataset.examples)),
        'seed': jnp.asarray(seeds, jnp.uint32),
        'key': jax.random.key(0),
    }
    positions = jnp.arange(config.batch_size)
    keys = jnp.stack([named_key(seed, 'state') for seed in seeds])
    states = jax.vmap(lambda key: build.init_state(config, game, key))(keys)
    yield 0, states, {}
    compiled = stretch(every)
    for last in [*range(every, total, every), total]:
        length = last - int(states.step[0])
        states, metrics = (compiled if length == every else stretch(length))(states, members, positions)
        yield last, states, {name: np.asarray(values[:, -1]) for name, values in metrics.items()}
