"""What cannot be fed."""

import numpy as np
import pytest

from gan_jax import parallel
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.feed import make_feed


def feed(examples, **options):
    dataset = Dataset('some', 'train', examples, None, None, '')
    layout = parallel.make_layout(8, num_devices=1)
    given = {'seed': 0, 'batches': 1, 'flip': False, 'placement': 'host'}
    return make_feed(dataset, layout, **given | options)


def test_points_cannot_be_mirrored():
    with pytest.raises(UserError, match=r"data.flip mirrors images, but 'some' has examples of shape \(2,\): unset it"):
        feed(np.zeros((10, 2), np.float32), flip=True)


def test_streamed_stretches_that_would_fill_the_memory_are_refused():
    examples = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (10, 1024, 1024, 3), (0, 0, 0, 0))
    with pytest.raises(UserError, match=r'log_every of 100 steps makes stretches of 2.3 GiB, .* lower it to 42 steps'):
        feed(examples).open([(0, 100), (100, 110)]).__enter__()
