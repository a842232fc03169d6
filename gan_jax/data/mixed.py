"""Images of several sizes, which do not fit in one array."""

import concurrent.futures
from collections.abc import Callable, Iterator

import numpy as np

from gan_jax.data.images import Decoder, ImageSource

_LABELS_AT_A_TIME = 512


class MixedImages:
    """The images of a source in their own sizes, decoded each time they are asked for.

    Args:
      source: the encoded images.
      channels: 1 or 3.
      difference: which images differ in size, in words.

    Attributes:
      shape: (number of images, None, None, channels).
      difference: as given.
    """

    def __init__(self, source: ImageSource, channels: int, difference: str):
        self._source = source
        self.shape = (source.num_examples, None, None, channels)
        self.difference = difference

    def __len__(self) -> int:
        return self.shape[0]

    def batches(
        self, number: int, prepare: Callable[[np.ndarray], np.ndarray] = lambda image: image
    ) -> Iterator[list[np.ndarray]]:
        """All images in order, `number` at a time, each as `prepare` makes it of uint8 [H, W, C], in parallel threads.

        Raises:
          UserError: an image cannot be read, or all of 16 bits are dark.
        """
        decoder = Decoder(self._source, size=None, channels=self.shape[3])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for start in range(0, len(self), number):
                indices = range(start, min(start + number, len(self)))
                files = [file for file, _ in self._source.read(indices.start, indices.stop)]
                yield list(pool.map(lambda index, file: prepare(decoder(index, file)), indices, files))
        decoder.check_brightness()

    def labels(self) -> np.ndarray | None:
        """int32 [n], the classes; or None if there are none."""
        if self._source.num_classes is None:
            return None
        starts = range(0, len(self), _LABELS_AT_A_TIME)
        parts = (self._source.read(start, min(start + _LABELS_AT_A_TIME, len(self))) for start in starts)
        return np.array([label for part in parts for _, label in part], np.int32)
