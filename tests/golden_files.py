"""Outputs of published implementations with seeded weights, as NumPy files, and their weights in our layouts.

The files in tests/golden are always there; others are looked for in `golden` beside TFDS_DATA_DIR.
"""

import os
import pathlib

import jax
import numpy as np
import pytest

_HERE = pathlib.Path(__file__).parent / 'golden'


def read(name):
    """The arrays of a golden file; skips the test where there is none."""
    elsewhere = pathlib.Path(os.environ.get('TFDS_DATA_DIR', '')).parent / 'golden'
    for folder in (_HERE, elsewhere):
        if (folder / f'{name}.npz').is_file():
            with np.load(folder / f'{name}.npz') as file:
                return dict(file)
    return pytest.skip(f'there is no golden file {name}.npz')


def nhwc(images):
    """[B, C, H, W] -> [B, H, W, C]."""
    return images.transpose(0, 2, 3, 1)


def kernel(weight, kind):
    """A weight of a PyTorch `kind` of layer as ours."""
    if weight.ndim == 4:
        return weight.transpose((2, 3, 0, 1) if kind == 'ConvTranspose' else (2, 3, 1, 0))
    return weight.T if weight.ndim == 2 else weight


def outline(module, *inputs, **options):
    """The variables of a linen network in the order of their making, of which only the shapes are known."""
    made = {}
    jax.eval_shape(lambda: made.update(module.init(jax.random.key(0), *inputs, **options)))  # its result is sorted
    return made


def load_in_order(variables, arrays, prefix):
    """The variables of a linen network, as `init` or `outline` has made them, with PyTorch's weights.

    Both are taken layer by layer in the order of their making, linear layers and batch normalisations apart.
    """
    groups = {}
    for key, array in arrays.items():
        if key.startswith(prefix) and not key.endswith('num_batches_tracked'):
            layer, _, leaf = key.removeprefix(prefix).rpartition('.')
            groups.setdefault(layer, {})[leaf] = array
    norms = [group for group in groups.values() if 'running_mean' in group]
    linear = [group for group in groups.values() if 'running_mean' not in group]

    params, statistics = {}, {}
    names = list(variables['params'])
    for name, group in zip([name for name in names if 'Norm' not in name], linear, strict=True):
        params[name] = {'kernel': kernel(group['weight'], name.partition('_')[0])}
        if 'bias' in group:
            params[name]['bias'] = group['bias']
    for name, group in zip([name for name in names if 'Norm' in name], norms, strict=True):
        params[name] = {'scale': group['weight'], 'bias': group['bias']}
        statistics[name] = {'mean': group['running_mean'], 'var': group['running_var']}
    loaded = {'params': params} | ({'batch_stats': statistics} if statistics else {})
    jax.tree.map(lambda here, there: np.testing.assert_equal(here.shape, there.shape), dict(variables), loaded)
    return loaded


def assert_close(ours, golden, tolerance=1e-5):
    """Equal within a share of the largest value."""
    np.testing.assert_allclose(ours, golden, rtol=0, atol=tolerance * np.abs(golden).max())
