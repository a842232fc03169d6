"""Batches of a data set that does not fit the device, read ahead from the host's memory map."""

import collections
import concurrent.futures
from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np

from gan_jax.data.order import batch_indices


class Stream(Iterator[dict[str, np.ndarray]]):
    """Iterates over stacks of consecutive batches, in the order of `batch_indices`, read ahead by one thread.

    An item is {'examples': [num_batches, len(positions), ...]}, of the data set's own dtype, and, where there are
    labels, {'labels': int32 [num_batches, len(positions)]}. At most `num_ahead` items are in memory besides the one
    last yielded. What goes wrong in the thread is raised where the item is asked for. Closing, which leaving a `with`
    block and reaching the end do by themselves, ends the thread.
    """

    def __init__(
        self,
        examples: np.ndarray,
        labels: np.ndarray | None,
        spans: Iterable[tuple[int, int]],
        *,
        seed: int,
        batch_size: int,
        positions: np.ndarray,
        num_ahead: int = 2,
    ):
        """Starts to read.

        Args:
          examples: [num_examples, ...], usually memory-mapped.
          labels: int32 [num_examples] or None.
          spans: (first batch, number of batches) of each item.
          seed: of the order, as in `batch_indices`.
          batch_size: number of examples in the global batch.
          positions: [n] the places in the global batch that this process reads.
          num_ahead: how many items are read ahead, at least 1.
        """
        self._examples, self._labels = np.asarray(examples), labels  # asarray: the items shall not be np.memmap
        self._spans = iter(spans)
        self._order = {'seed': seed, 'batch_size': batch_size, 'num_examples': len(examples)}
        self._positions = np.asarray(positions)
        self._reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix='stream')
        self._ahead = collections.deque()
        for _ in range(num_ahead):
            self._read_ahead()

    def __next__(self) -> dict[str, np.ndarray]:
        if not self._ahead:
            self.close()
            raise StopIteration
        try:
            item = self._ahead.popleft().result()
            self._read_ahead()
        except BaseException:
            self.close()
            raise
        return item

    def close(self) -> None:
        """Stops reading; waits for the item that is being read."""
        self._spans = iter(())
        self._ahead.clear()
        self._reader.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_ahead(self) -> None:
        if (span := next(self._spans, None)) is not None:
            self._ahead.append(self._reader.submit(self._read, *span))

    def _read(self, first: int, num_batches: int) -> dict[str, np.ndarray]:
        batches = np.arange(first, first + num_batches)[:, None]
        indices = batch_indices(batch_number=batches, positions=self._positions, **self._order)
        item = {'examples': np.take(self._examples, indices, axis=0)}
        if self._labels is not None:
            item['labels'] = self._labels[indices]
        return item
