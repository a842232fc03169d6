"""r-GAN and l-GAN: published sizes, and runs of point clouds from training to files."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax import build, config
from gan_jax import load as load_run
from gan_jax.data import furniture_points
from gan_jax.errors import UserError
from gan_jax.evaluate import evaluate
from gan_jax.evaluation.metrics import METRICS
from gan_jax.examples.clouds import from_ply
from gan_jax.models import latent_pointgan, pointgan
from gan_jax.sampling.sample_files import sample_workdir
from gan_jax.train import train
from tests import compiled

pytestmark = pytest.mark.usefixtures('quick_curves')

SMALL = {
    'data.size': '24',
    'batch_size': '4',
    'discriminator_steps': '1',
    'samples': '4',
    'parallel.devices': '1',
    'discriminator.widths': '(8,)',
    'evaluate': 'clouds',
    'evaluation.samples': '8',
    'evaluation.split': 'test',
}
CODED = {'generator.encoder_widths': '(8,4)', 'generator.decoder_widths': '(8,)', 'generator.widths': '(8,)'}


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def test_published_parameter_counts():
    networks = build.make_networks(config.load('pointgan:furniture_points,raw'), (2048, 3))
    assert [count(jax.eval_shape(network.init, jax.random.key(0))[0]) for network in networks] == [6_905_536, 312_961]
    game = build.make_game(config.load('pointgan:furniture_points'), (2048, 3))
    players = jax.eval_shape(game.init, jax.random.key(0))
    generator, discriminator = players['generator'][0], players['discriminator'][0]
    assert count(generator['mapping']) == 33_024
    assert count(generator['decoder']) == 1_677_824
    assert count(discriminator) == 165_121


@pytest.fixture(scope='module')
def cloud():
    return jax.random.normal(jax.random.key(0), (2, 24, 3))


def test_the_order_of_points_does_not_matter(cloud):
    critic = pointgan.Discriminator(widths=(8, 16), joined_widths=(8,))
    variables = compiled.init(critic, jax.random.key(1), cloud, train=False)
    logits = [compiled.apply(critic, variables, some, train=False).logits for some in (cloud, cloud[:, ::-1])]
    np.testing.assert_allclose(*logits, rtol=1e-6)
    coder = latent_pointgan.Generator((24, 3), widths=(8,), encoder_widths=(8, 4), decoder_widths=(8,))
    variables = compiled.init(coder, jax.random.key(1), jnp.zeros((1, 5)), train=False)
    encode = jax.jit(functools.partial(coder.apply, train=False, method='encode'))
    codes = [encode(variables, some) for some in (cloud, cloud[:, ::-1])]
    np.testing.assert_allclose(*codes, rtol=1e-6)
    assert (codes[0] >= 0).all()
    made = compiled.apply(coder, variables, jnp.ones((2, 5)), train=False, method='code')
    assert (made >= 0).all()
    assert (made > 0).any()


def test_latents_have_the_published_deviation():
    generator, latents = pointgan.Generator((4, 3), widths=(8,)), jax.random.normal(jax.random.key(0), (2, 5))
    variables = generator.init(jax.random.key(1), latents, train=False)
    layers = variables['params']
    hidden = np.maximum(0.2 * latents @ layers['Dense_0']['kernel'], 0)  # biases are 0
    made = generator.apply(variables, latents, train=False)
    np.testing.assert_allclose(made, (hidden @ layers['Dense_1']['kernel']).reshape(2, 4, 3), rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings('ignore:generator.family=pointgan drops options')
@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'data.name': 'digits'}, r'for point clouds of shape \(points, 3\), not \(8, 8, 1\)'),
        ({'game.stage': 'neither'}, "'neither'"),
        ({'generator_optimizer.weight_decay': '1e-4'}, 'would change the autoencoder'),
        ({'generator.family': 'pointgan'}, 'this one has no code'),
        ({'generator.conditioning': 'concatenate'}, 'num_classes is None'),
    ],
)
def test_what_is_impossible_gets_a_sentence(overrides, message):
    options = config.load('pointgan:debug', overrides)
    with pytest.raises(UserError, match=message):
        build.make_game(options, (8, 8, 1) if 'data.name' in overrides else (24, 3))


@pytest.fixture
def few(tmp_path, monkeypatch):
    monkeypatch.setattr(furniture_points, '_SPLITS', {'train': 16, 'test': 8})
    return SMALL | {'data.cache': str(tmp_path / 'cache')}


def test_the_autoencoder_moves_as_often_in_a_round_as_the_generator_of_codes():
    for phase in config.split(config.load('pointgan', SMALL | CODED | {'generator_steps': '2'})):
        (turn,) = (t for t in build.make_game(phase, (24, 3)).turns if t.player == 'generator')
        assert turn.times == 2


def test_a_run_of_codes(tmp_path, few):
    first = 'game.stage=autoencoder; duration=2 steps'
    often = {'duration': '2 steps', 'log_every': '2 steps', 'checkpoint_every': '2 steps'}
    options = config.load('pointgan:debug', few | CODED | often | {'earlier_phases': f"('{first}',)"})
    workdir = tmp_path / 'run'
    train(options, workdir)
    for name in ('samples.png', 'real.png', 'neighbours.png', 'interpolation.png'):
        assert Image.open(workdir / name).size > (96, 96)
    judged = evaluate(workdir, num=8, metrics=['clouds']).records
    assert {record.metric for record in judged} == METRICS['clouds'].best.keys()
    assert judged[0].protocol['rule'] == 'Chamfer distance of squares, 8 clouds of each set, 24 points'
    directory = sample_workdir(workdir, num=4)
    assert {'00003.png', '00003.ply', '00003.npy', '00003.gif', 'grid.png', 'grid.gif'} <= {
        path.name for path in directory.iterdir()
    }
    samples = load_run(workdir).sample(4)
    assert samples.shape == (4, 24, 3)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(from_ply((directory / '00003.ply').read_bytes()), np.load(directory / '00003.npy'))
    np.testing.assert_allclose(np.load(directory / '00003.npy'), samples[3], atol=1e-6)

    before, after = (load_run(workdir, step=step).run.generator for step in (2, 4))
    for part in ('encoder', 'decoder'):  # which the game of codes leaves as they are
        jax.tree.map(np.testing.assert_array_equal, before.params[part], after.params[part])
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before.params['mapping'], after.params['mapping'])
    assert any(jax.tree.leaves(changed))
    jax.tree.map(np.testing.assert_array_equal, before.variables, after.variables)


@pytest.mark.slow
@pytest.mark.parametrize('loss', ['wasserstein', 'non_saturating'])
def test_a_raw_run(loss, tmp_path, few):
    overrides = few | {'duration': '4 steps', 'loss.name': loss, 'generator.widths': '(8,)'}
    if loss == 'non_saturating':
        overrides |= {'penalties.gradient_penalty.weight': '0.0', 'discriminator.slope': '0.2'}
    workdir = tmp_path / 'run'
    train(config.load('pointgan:raw,debug', overrides), workdir)
    assert Image.open(workdir / 'samples.png').size > (96, 96)
    assert load_run(workdir).sample(2).shape == (2, 24, 3)
