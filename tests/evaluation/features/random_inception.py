"""Weights for tests of Inception: seeded random kernels in the published names, in the place of the published ones.

Kernels are uniform with a fifth of He's deviation, so that the batch norms see small variances and their epsilon
matters. The batch norms' statistics are those of torch-fidelity's network over the images of inception_images.npz with
these kernels, rounded to float16 (golden/inception_make.py); without them so deep a network says the same of all
images. Their shifts are about 1, so that most ReLUs let their input pass: about 0 the network would amplify float32's
rounding.
"""

import pathlib

import numpy as np

from gan_jax.evaluation.features.inception_weights import published_shapes

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'


def random_arrays(statistics=None):
    """All arrays by published name; with means of 0 and variances of 1 where there are no statistics."""
    random = np.random.RandomState(20151205)
    arrays = {}
    for name, shape in published_shapes().items():
        noise = 2 * random.random_sample(shape) - 1
        part = name.rsplit('.', 1)[1]
        if name.endswith(('conv.weight', 'fc.weight')):
            arrays[name] = noise * np.sqrt(6 / np.prod(shape[1:])) / 5
        elif part in ('running_mean', 'running_var'):
            arrays[name] = np.full(shape, part == 'running_var') if statistics is None else statistics[name]
        else:
            arrays[name] = noise / 4 + 1
        arrays[name] = arrays[name].astype(np.float32)
    return arrays


def calibrated_arrays():
    widths = {
        name.removesuffix('.running_mean'): shape[0]
        for name, shape in published_shapes().items()
        if name.endswith('running_mean')
    }
    ends = np.cumsum(list(widths.values()))[:-1]
    statistics = {}
    with np.load(GOLDEN / 'inception_statistics.npz') as file:
        for part in file.files:
            pieces = np.split(file[part], ends)
            statistics |= {f'{layer}.{part}': piece for layer, piece in zip(widths, pieces, strict=True)}
    return random_arrays(statistics)
