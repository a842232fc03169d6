"""A small classifier of single digits, used to count the modes of stacked ones."""

from typing import NamedTuple

import numpy as np
from sklearn.neural_network import MLPClassifier

from gan_jax import data
from gan_jax.data.stacked import stacked_labels

_TRAINING, _TEST = 20_000, 5_000


class DigitClassifier(NamedTuple):
    """Recognises digits.

    Attributes:
        network: scikit-learn's.
        accuracy: on test digits it was not trained on.
    """

    network: MLPClassifier
    accuracy: float

    @classmethod
    def train(cls, name: str, size: int) -> 'DigitClassifier':
        """Trains on the first 20,000 digits of a data set with a test split, brought to `size` pixels a side."""
        train, test = (data.load(name, split=split, size=size) for split in ('train', 'test'))
        network = MLPClassifier((128,), early_stopping=True, max_iter=100, random_state=0)
        network.fit(_vectors(train.examples[:_TRAINING]), np.asarray(train.labels[:_TRAINING]))
        accuracy = network.score(_vectors(test.examples[:_TEST]), np.asarray(test.labels[:_TEST]))
        return cls(network, float(accuracy))

    def stacked(self, images: np.ndarray) -> np.ndarray:
        """The modes [n] of stacked images [n, H, W, 3] in [-1, 1]."""
        digits = np.moveaxis(images, -1, 1).reshape(len(images) * 3, -1)
        return stacked_labels(self.network.predict(digits).reshape(-1, 3), 10)


def _vectors(examples: np.ndarray) -> np.ndarray:
    """uint8 images as vectors in [-1, 1]."""
    return np.asarray(examples, np.float32).reshape(len(examples), -1) / 127.5 - 1
