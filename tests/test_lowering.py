"""Training on accelerators lowers to their programs, also on a machine that has none."""

import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax import export

from gan_jax import build, run
from gan_jax import config as configs
from gan_jax.datasets import load_data
from gan_jax.runtime import parallel
from gan_jax.stretch import make_stretch

QUICK = ('cyclegan', 'dcgan', 'gat', 'semi_supervised', 'wgan_gp')  # whose step is quickly traced
CONFIGS = sorted((pathlib.Path(__file__).parent.parent / 'configs').glob('*.py'))


@pytest.mark.parametrize(
    'path', [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in CONFIGS]
)
def test_a_stretch_of_every_config_lowers_for_cuda_and_tpu(path):
    config = configs.load(f'{path}:debug', {'data.placement': 'device'})
    dataset = load_data(config.data)
    config.data.examples = len(dataset)
    layout = parallel.make_layout(config.batch_size, num_devices=1)
    game = run.make_game(config, dataset, run.count_classes(config, dataset), layout)
    feed = run.make_feed(config, dataset, layout, game)
    stretch = make_stretch(build.make_step(config, game, layout.axis_name), feed.batch_at, 2)
    state = jax.eval_shape(build.initializer(config, game), jax.random.key(0))
    arrays = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), dataset.arrays)
    program = export.export(jax.jit(stretch), platforms=('cuda', 'tpu'))(
        state, arrays, layout.local_positions, jnp.int32(0), jnp.int32(2)
    )
    assert program.platforms == ('cuda', 'tpu')
    assert len(program.out_avals) > len(jax.tree.leaves(state))  # the state and the metrics
