"""Training and the networks of metrics lower for accelerators, also on a machine that has none.

Their programs run on the device alone. They contain no float64, which TPUs emulate and GPUs compute slowly, and no call
of the host or of any other function outside XLA. `test_export` lowers the generators.
"""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from gan_jax import build
from gan_jax import config as configs
from gan_jax.evaluation import lpips
from gan_jax.evaluation.features import inception_network, resize, vgg
from gan_jax.layers.platforms import traced_for
from gan_jax.runtime import parallel
from gan_jax.training import run
from gan_jax.training.datasets import load_data
from gan_jax.training.stretch import make_stretch
from tests.slow import slow_but

QUICK = ('cyclegan', 'dcgan', 'gat', 'semi_supervised', 'wgan_gp')  # whose step is quickly traced
CONFIGS = sorted((pathlib.Path(__file__).parent.parent / 'configs').glob('*.py'))


def lower(function, *arguments):
    """What the program for CUDA and TPUs returns, once its text has been examined."""
    with traced_for('cuda'):
        program = export.export(jax.jit(function), platforms=('cuda', 'tpu'))(*arguments)
    text = program.mlir_module()
    assert 'stablehlo' in text
    assert 'custom_call' not in text
    assert not re.search(r'\bf64\b|xf64', text)
    return program.out_avals


def outline(shape, dtype=np.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


@pytest.mark.parametrize(
    'path', [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in CONFIGS]
)
def test_a_stretch_of_every_config(path):
    config = configs.load(f'{path}:debug', {'data.placement': 'device'})
    dataset = load_data(config.data)
    config.data.examples = len(dataset)
    layout = parallel.make_layout(config.batch_size, num_devices=1)
    game = run.make_game(config, dataset, run.count_classes(config, dataset), layout)
    feed = run.make_feed(config, dataset, layout, game)
    stretch = make_stretch(build.make_step(config, game, layout.axis_name), feed.batch_at, 2)
    state = jax.eval_shape(build.initializer(config, game), jax.random.key(0))
    arrays = jax.tree.map(lambda array: outline(array.shape, array.dtype), dataset.arrays)
    results = lower(stretch, state, arrays, layout.local_positions, jnp.int32(0), jnp.int32(2))
    assert len(results) > len(jax.tree.leaves(state))  # the state and the metrics


@pytest.mark.parametrize('rule', resize.RESIZES)
def test_resizes(rule):
    (resized,) = lower(resize.RESIZES[rule], outline((4, 32, 32, 3), np.uint8))
    assert resized.shape == (4, 299, 299, 3)


@pytest.mark.parametrize('rule', slow_but(('tf1',), resize.RESIZES))
def test_inception(rule):
    parameters = jax.tree.map(
        outline, inception_network.parameter_shapes(), is_leaf=lambda leaf: isinstance(leaf, tuple)
    )

    def look(parameters, images):
        return inception_network.Inception().apply({'params': parameters}, resize.RESIZES[rule](images))

    results = lower(look, parameters, outline((4, 32, 32, 3), np.uint8))
    assert {result.shape for result in results} == {(4, 64), (4, 192), (4, 768), (4, 1008), (4, 2048)}


@pytest.mark.parametrize('trunk', vgg.TRUNKS.values(), ids=vgg.TRUNKS)
def test_lpips(trunk):
    weights = {name: outline(shape) for name, shape in lpips.weight_shapes(trunk).items()}
    images = outline((4, 64, 64, 3), np.uint8)
    (distances,) = lower(lambda weights, x, y: lpips._distance_by(weights, trunk)(x, y), weights, images, images)
    assert distances.shape == (4,)


def test_what_does_not_run_on_the_device_alone_is_noticed():
    x = np.ones(3, np.float32)
    with jax.enable_x64(True), pytest.raises(AssertionError):
        lower(lambda x: jnp.sin(x.astype('float64')), x)
    with pytest.raises(NotImplementedError, match='python_callback'):
        lower(lambda x: jax.pure_callback(np.sin, x, x), x)
