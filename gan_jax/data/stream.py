"""Batches of a data set that does not fit the device, read ahead from the host's memory map."""

import collections
import concurrent.futures
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import numpy as np

from gan_jax.data.order import batch_indices


class Stream(Iterator[dict[str, dict[str, np.ndarray]]]):
    """Iterates over stacks of consecutive batches, in the order of `batch_indices`, read ahead by one thread.

    An item has of each part of the data each of its arrays as [num_batches, len(positions), ...], in its own dtype. At
    most `num_ahead` items are in memory besides the one last yielded. What goes wrong in the thread is raised where the
    item is asked for. Closing, which leaving a `with` block and reaching the end do by themselves, ends the thread.
    """

    def __init__(
        self,
        parts: Mapping[str, Mapping[str, np.ndarray]],
        spans: Iterable[tuple[int, int]],
        *,
        seeds: Mapping[str, int],
        batch_size: int,
        positions: np.ndarray,
        num_ahead: int = 2,
    ):
        """Starts to read.

        Args:
          parts: for each part of the data its arrays [num_examples, ...], usually memory-mapped, which have one order.
          spans: (first batch, number of batches) of each item.
          seeds: seeds of the order of each part, as in `batch_indices`.
          batch_size: number of examples of each part in the global batch.
          positions: [n] the places in the global batch that this process reads.
          num_ahead: how many items are read ahead, at least 1.
        """
        self._parts, self._seeds, self._batch_size = parts, seeds, batch_size
        self._spans = iter(spans)
        self._positions = np.asarray(positions)
        self._reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix='stream')
        self._ahead = collections.deque()
        for _ in range(num_ahead):
            self._read_ahead()

    def __next__(self) -> dict[str, dict[str, np.ndarray]]:
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

    def _read(self, first: int, num_batches: int) -> dict[str, dict[str, np.ndarray]]:
        batches = np.arange(first, first + num_batches)[:, None]

        def take(part: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            indices = batch_indices(
                self._seeds[part],
                batches,
                self._positions,
                batch_size=self._batch_size,
                num_examples=len(arrays['examples']),
            )
            # asarray: the items shall not be np.memmap
            return {name: np.take(np.asarray(array), indices, axis=0) for name, array in arrays.items()}

        return {part: take(part, arrays) for part, arrays in self._parts.items()}
