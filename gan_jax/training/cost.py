"""Estimates the memory of a config before anything is allocated."""

import math
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.game import GanState
from gan_jax.parts import starts_from_examples
from gan_jax.runtime import parallel
from gan_jax.values import value_of

_METRICS = 20  # roughly the number of metrics of a step
_PICTURE_SHARE = 0.5  # share of the memory that samples may take


def check_batches(config: ConfigDict, shape: tuple[int, ...], devices: int = 1) -> None:
    """Raises a UserError that names the key if a setting of a config needs more memory than a device has.

    Args:
        config: config of a run.
        shape: shape of one example.
        devices: number of devices that share a batch.
    """
    example, latents = 4 * math.prod(shape), 4 * config.latents.size
    share = config.batch_size / devices
    stretch = min(configs.steps(config, 'log_every'), configs.steps(config, 'duration'))
    taken = {
        'batch_size': share * example / config.accumulate,
        'discriminator_steps': config.discriminator_steps * share * example,
        'discriminator_schedule.steps': config.discriminator_schedule.steps * share * example,
        'generator_steps': 8 * config.generator_steps,
        'samples': config.samples * example,
        'replay': config.replay * example,
        'reference_batch': starts_from_examples(config) * config.reference_batch * example,
        'log_every': 4 * _METRICS * stretch,
        'evaluation.samples': bool(config.evaluate) * config.evaluation.samples * math.prod(shape),
        'latents.size': latents * max(share / config.accumulate, config.samples),
    }
    for key, size in taken.items():
        _check(size, f'{key}={value_of(config, key)}')


def check_state(config: ConfigDict, state: GanState, members: int = 1) -> GanState:
    """Returns the training state; raises a UserError if it, or the copies for unrolled steps, do not fit on a device.

    Args:
        config: config of a run.
        state: its shapes, from `jax.eval_shape`.
        members: number of members of a population on one device.
    """
    largest, array = max(jax.tree_util.tree_leaves_with_path(state), key=lambda leaf: leaf[1].size)
    name = jax.tree_util.keystr(largest, simple=True, separator='/')
    what = f'The state of {members} members' if members > 1 else 'The state'
    _check(members * size_of(state), f'{what}, most of it {name} of shape {"x".join(map(str, array.shape))},')
    if 'discriminator' not in state.players:
        return state
    kept = size_of((state.discriminator.params, state.discriminator.opt_state))
    _check(config.unrolled_steps * kept, f'unrolled_steps={config.unrolled_steps}')
    return state


def size_of(tree: Any) -> int:
    """The bytes of a tree's arrays, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def check_pictures(number: int, shape: tuple[int, ...], latents: int) -> None:
    """Raises a UserError if a number of samples of a shape, with their latents, does not fit in memory."""
    size, available = 4 * number * (math.prod(shape) + latents), parallel.available_memory() * _PICTURE_SHARE
    if size > available:
        raise UserError(
            f'{number:,} samples of {"x".join(map(str, shape))} take {_words(size)}, but {_words(available)} are '
            'available: use fewer.'
        )


def _check(size: float, what: str) -> None:
    available = parallel.available_memory()
    if size > available:
        raise UserError(f'{what} takes at least {_words(size)}, but a device has {_words(available)}: make it smaller.')


def _words(size: float) -> str:
    unit = int(np.clip(math.log2(max(size, 1)) // 10, 2, 4))
    return f'{size / 2 ** (10 * unit):,.3g} {("MiB", "GiB", "TiB")[unit - 2]}'
