"""Feeds batches to the compiled stretch: gathered from data on the devices, or streamed from the host.

Either way batch k contains the same examples in the same order, and normalisation and flips run on the device. Each
group of the data has as many examples in a batch as the data set itself, with a separate order and separate flips.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import MAIN, Dataset, Stream, batch_indices, gather, group_seed, poisson_sample, prepare_parts
from gan_jax.errors import UserError
from gan_jax.game import named_key
from gan_jax.runtime import parallel
from gan_jax.runtime.parallel import Layout

_DEVICE_SHARE = 0.4  # of a device's memory that data may take
_STRETCH_LIMIT = 2**30  # bytes of a streamed stretch; two are read ahead
_HOST_LIMIT = 2 * 2**30  # bytes, where the devices are the host's own cores


class Feed(NamedTuple):
    """How a run's batches reach the compiled stretch.

    Attributes:
        batch_at: (data, step, slot, positions) -> batch, for `gan_jax.training.stretch.make_stretch`.
        data_axis: the axis along which the data are split over devices; None when they are replicated.
        open: spans [(first step, last step), ...] -> context manager of an iterator over the data of each.
    """

    batch_at: Callable[..., dict[str, jax.Array]]
    data_axis: int | None
    open: Callable[[Iterable[tuple[int, int]]], contextlib.AbstractContextManager[Iterator[Any]]]


def make_feed(
    dataset: Dataset,
    layout: Layout,
    *,
    seed: int,
    batches: int,
    flip: bool,
    placement: str,
    poisson_rate: float | None = None,
) -> Feed:
    """The feed of a run.

    Args:
        dataset: the training data.
        layout: the devices.
        seed: seed of the order and of flips.
        batches: number of batches per round; several are stacked.
        flip: mirror every example with probability 1/2.
        placement: 'device' keeps the complete data set, with its groups, on every device, 'host' streams it, 'auto'
            keeps what fits.
        poisson_rate: the probability with which each example is in a batch, independently of all others: Poisson
            sampling. A batch then also has 'index', int [B]: the numbers of its examples in the data, followed by -1
            for padding. Examples beyond the size of the batch are left out. Whether an example is mirrored depends on
            its number. None: all batches are full, in random order.

    Raises:
        UserError: `flip` is set for points or images with captions; Poisson sampling of data that are streamed or have
            groups.
    """
    if flip:
        _check_flips(dataset)
    lengths = {name: len(part) for name, part in dataset.parts.items()}
    seeds = {name: seed if name == MAIN else group_seed(seed, name) for name in lengths}

    def stacked(one: Callable, first) -> Any:
        if batches == 1:
            return one(first)
        return jax.vmap(one)(first + jnp.arange(batches))

    def finish(found, batch_number, positions):
        def key_of(name):
            return jax.random.fold_in(named_key(seed, 'flips' if name == MAIN else f'flips of {name}'), batch_number)

        return prepare_parts(found, key_of, positions, flip=flip)

    def resident_batch(data, step, slot, positions):
        del slot

        def part_of(name, batch_number):
            indices = batch_indices(
                seeds[name], batch_number, positions, batch_size=layout.batch_size, num_examples=lengths[name]
            )
            return gather(data[name], indices)

        def one(batch_number):
            return finish({name: part_of(name, batch_number) for name in lengths}, batch_number, positions)

        return stacked(one, step * batches)

    def poisson_batch(data, step, slot, positions):
        del slot

        def one(batch_number):
            key = jax.random.fold_in(named_key(seed, 'Poisson sampling'), batch_number)
            drawn = poisson_sample(key, poisson_rate, num_examples=lengths[MAIN], most=layout.batch_size)
            indices, included = (array[positions] for array in drawn)
            batch = finish({MAIN: gather(data[MAIN], indices)}, batch_number, indices)
            return batch | {'index': jnp.where(included, indices, -1)}

        return stacked(one, step * batches)

    def streamed_batch(data, step, slot, positions):
        def one(ahead):
            here = jax.tree.map(lambda array: array[slot * batches + ahead], data)
            return finish(here, step * batches + ahead, positions)

        return stacked(one, 0)

    @contextlib.contextmanager
    def open_resident(spans):
        del spans
        data = layout.replicate(dataset.arrays)
        yield itertools.repeat(data)

    @contextlib.contextmanager
    def open_stream(spans):
        spans = list(spans)
        _check_stretches(dataset, spans, batches * layout.batch_size)
        counts = ((begin * batches, (end - begin) * batches) for begin, end in spans)
        with Stream(
            dataset.arrays,
            counts,
            seeds=seeds,
            batch_size=layout.batch_size,
            positions=layout.local_positions,
        ) as stream:
            yield (layout.split(item, axis=1) for item in stream)

    is_resident = placement == 'device' or (placement == 'auto' and _fits(dataset, layout))
    if poisson_rate is not None:
        if not is_resident or len(lengths) > 1:
            raise UserError(
                'Poisson sampling draws from one set of examples in the memory of the device: set '
                'data.placement=device, and choose data without groups.'
            )
        return Feed(poisson_batch, None, open_resident)
    if is_resident:
        return Feed(resident_batch, None, open_resident)
    return Feed(streamed_batch, 1, open_stream)


def _check_flips(dataset: Dataset) -> None:
    """Raises a UserError for data that cannot be mirrored: other examples than images, and images with captions."""
    for part in dataset.parts.values():
        if len(part.shape) != 3:
            raise UserError(
                f'data.flip mirrors images, but {part.name!r} has examples of shape {part.shape}: unset it.'
            )
        if part.inputs is not None and part.inputs.ndim == 2:
            raise UserError(f'data.flip would mirror images but not their captions in {part.name!r}: unset it.')


def _check_stretches(dataset: Dataset, spans: list[tuple[int, int]], examples_per_step: int) -> None:
    """Raises a UserError if the batches of the longest span need too much memory of the host."""
    bytes_per_step = examples_per_step * sum(image[0].nbytes for image in _images(dataset))
    longest = max(end - begin for begin, end in spans)
    if longest * bytes_per_step > _STRETCH_LIMIT:
        raise UserError(
            f'log_every of {longest} steps makes stretches of {longest * bytes_per_step / 2**30:.1f} GiB, and streaming'
            f' keeps several in memory: lower it to {max(1, _STRETCH_LIMIT // bytes_per_step)} steps or fewer.'
        )


def _fits(dataset: Dataset, layout: Layout) -> bool:
    """Whether the data take only a small share of a device's memory."""
    memory = parallel.device_memory()
    limit = _HOST_LIMIT // len(layout.local_devices) if memory is None else _DEVICE_SHARE * memory
    return sum(images.nbytes for images in _images(dataset)) <= limit


def _images(dataset: Dataset) -> list[np.ndarray]:
    """The examples and inputs of all parts of the data."""
    return [arrays[kind] for arrays in dataset.arrays.values() for kind in ('examples', 'inputs') if kind in arrays]
