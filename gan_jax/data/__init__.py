"""Data: data sets by name, the order of their examples, and batches of them on the device or streamed from the host."""

from gan_jax.data.batches import gather, prepare, prepare_parts, to_float, to_stored, to_uint8
from gan_jax.data.dataset import MAIN, Dataset, batch_field
from gan_jax.data.domains import check_labelled_domains
from gan_jax.data.loading import absolute_name, for_training, load
from gan_jax.data.order import batch_indices, group_seed, poisson_sample
from gan_jax.data.stream import Stream

__all__ = [
    'MAIN',
    'Dataset',
    'Stream',
    'absolute_name',
    'batch_field',
    'batch_indices',
    'check_labelled_domains',
    'for_training',
    'gather',
    'group_seed',
    'load',
    'poisson_sample',
    'prepare',
    'prepare_parts',
    'to_float',
    'to_stored',
    'to_uint8',
]
