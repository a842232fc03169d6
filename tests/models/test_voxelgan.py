"""3D-GAN: published sizes, and a run of solids from training to files."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax import build, config
from gan_jax import load as load_run
from gan_jax.data import furniture
from gan_jax.errors import UserError
from gan_jax.evaluate import evaluate
from gan_jax.models import voxelgan
from gan_jax.sampling.sample_files import sample_workdir
from gan_jax.sampling.sliders import Sliders
from gan_jax.train import train

pytestmark = pytest.mark.usefixtures('quick_curves')


def test_published_parameter_counts():
    networks = build.make_networks(config.load('voxelgan:furniture'), (64, 64, 64, 1))
    counts = [
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0))[0]))
        for network in networks
    ]
    assert counts == [17_569_664, 11_048_832]


@pytest.mark.parametrize(('shape', 'message'), [((16, 16, 1), 'for solids'), ((24, 24, 24, 1), '8, 16, 32, 64 or 128')])
def test_other_shapes_get_a_sentence(shape, message):
    with pytest.raises(UserError, match=message):
        voxelgan.Discriminator().init(jax.random.key(0), jnp.zeros((1, *shape)), train=False)


def test_a_run_of_solids(tmp_path, monkeypatch):
    monkeypatch.setattr(furniture, '_SPLITS', {'train': 16, 'test': 8})
    options = config.load(
        'voxelgan:debug',
        {
            **{f'{player}.width': '2' for player in ('generator', 'discriminator')},
            'data.size': '16',
            'data.cache': str(tmp_path / 'cache'),
            'batch_size': '4',
            'duration': '2 steps',
            'samples': '4',
            'parallel.devices': '1',
            'evaluate': 'solids',
            'evaluation.samples': '16',
            'evaluation.split': 'test',
        },
    )
    workdir = tmp_path / 'run'
    train(options, workdir)
    for name in ('samples.png', 'real.png', 'neighbours.png', 'interpolation.png'):
        assert Image.open(workdir / name).size > (64, 64)
    judged = evaluate(workdir, num=16, metrics=['solids']).records
    assert {record.metric for record in judged} == {f'solids_{x}' for x in ('connected', 'symmetry', 'iou', 'coverage')}
    directory = sample_workdir(workdir, num=4)
    assert {'00003.png', '00003.obj', '00003.gif', 'grid.png', 'grid.gif'} <= {
        path.name for path in directory.iterdir()
    }
    assert Image.open(directory / 'grid.gif').n_frames == 24
    samples = load_run(workdir).sample(4)
    assert samples.shape == (4, 16, 16, 16, 1)
    assert samples.dtype == np.uint8
    with pytest.raises(UserError, match='sliders need a run that generates images'):
        Sliders(load_run(workdir).run)
