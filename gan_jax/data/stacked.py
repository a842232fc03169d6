"""Stacked images: three grey ones as the channels of one, whose modes are the triples of classes.

Stacked MNIST has 1,000 modes that a classifier of digits can count (Unrolled GAN, Metz et al., arXiv:1611.02163,
section 3.3.1; VEEGAN, Srivastava et al., arXiv:1705.07761, section 5).
"""

import numpy as np

from gan_jax.errors import UserError
from gan_jax.examples.kinds import IMAGES, kind_of

NUM_EXAMPLES = 60_000


def stack(
    images: np.ndarray, labels: np.ndarray, num_classes: int, seed: str, num_examples: int = NUM_EXAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """Triples of images drawn independently and with replacement, built in memory: 141 MB of 28x28 by default.

    Args:
      images: uint8 [n, height, width, 1].
      labels: int [n] in [0, num_classes).
      num_classes: the number of classes.
      seed: the same text gives the same triples.
      num_examples: how many triples.

    Returns:
      uint8 [num_examples, height, width, 3], read-only, and the labels of the triples, int32 [num_examples].
    """
    triples = np.random.default_rng(list(seed.encode())).integers(len(images), size=(num_examples, 3))
    examples = np.empty((num_examples, *images.shape[1:3], 3), np.uint8)
    for channel in range(3):
        examples[..., channel] = images[triples[:, channel], ..., 0]
    examples.setflags(write=False)
    return examples, stacked_labels(labels[triples], num_classes)


def stacked_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The class of each triple, (a, b, c) -> (a * num_classes + b) * num_classes + c: 100 a + 10 b + c for digits.

    Args:
      labels: int [n, 3] in [0, num_classes), of the first, second and third channel.
      num_classes: the number of classes of one channel.

    Returns:
      int32 [n] in [0, num_classes**3).
    """
    return (np.asarray(labels) @ num_classes ** np.arange(2, -1, -1)).astype(np.int32)


def check_stackable(name: str, shape: tuple[int, ...], labels: np.ndarray | None) -> None:
    """Checks that examples of this shape [height, width, channels] with these labels can be stacked.

    Raises:
      UserError: they are not images, not grey, or not all labelled.
    """
    if (kind := kind_of(shape)) is not IMAGES:
        raise UserError(
            f'{name!r} is a set of {kind.name}, and only images can be stacked: choose an image data set such as mnist.'
        )
    if shape[-1] != 1:
        raise UserError(f'the images of {name!r} are in colour, and only grey ones can be stacked: set channels to 1.')
    if labels is None or labels.min() < 0:
        raise UserError(
            f'{name!r} has examples without a class, but the modes of stacked images are triples of classes: '
            'choose labelled data.'
        )
