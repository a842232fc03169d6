"""Data: data sets by name, the order of their examples, and batches of them on the device or streamed from the host."""

from gan_jax.data.batches import gather, prepare, to_uint8
from gan_jax.data.dataset import Dataset, absolute_name, load
from gan_jax.data.order import batch_indices
from gan_jax.data.stream import Stream

__all__ = ['Dataset', 'Stream', 'absolute_name', 'batch_indices', 'gather', 'load', 'prepare', 'to_uint8']
