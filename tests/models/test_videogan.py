"""VideoGAN: published sizes, its equation, and a run of clips from training to films."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_jax import build, config
from gan_jax import load as load_run
from gan_jax.data import motions
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.models import videogan
from gan_jax.sampling.sample_files import sample_workdir
from gan_jax.train import train
from tests import compiled, toy_experiments

TINY = {'shape': (8, 16, 16, 3), 'width': 2}


def test_published_parameter_counts():
    networks = build.make_networks(config.load('videogan:motions'), (32, 64, 64, 3))
    counts = [
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0))[0]))
        for network in networks
    ]
    assert counts == [16_245_383 - 2 * 512, 11_057_858 - (2 * 4 * 4 * 512 + 1)]


def test_a_clip_is_the_foreground_where_the_mask_is_and_the_background_elsewhere():
    network, latents = videogan.Generator(**TINY), jax.random.normal(jax.random.key(1), (3, 5))
    variables = compiled.init(network, jax.random.key(0), latents, train=False)
    clips = compiled.apply(network, variables, latents, train=False)
    foreground, mask, background = compiled.apply(network, variables, latents, train=False, method='streams')
    assert clips.shape == foreground.shape == (3, 8, 16, 16, 3)
    assert mask.shape == (3, 8, 16, 16, 1)
    assert background.shape == (3, 1, 16, 16, 3)
    np.testing.assert_allclose(clips, mask * foreground + (1 - mask) * background, rtol=1e-6)
    assert 0 < mask.min() < mask.max() < 1
    assert np.ptp(foreground, axis=1).max() > 0  # it moves


@pytest.mark.parametrize('normalization', ['batch', 'spectral', 'virtual'])
def test_the_mask_of_the_loss_is_that_of_the_clips(normalization):
    shape, key, places = (2, 8, 8, 3), jax.random.key(1), jnp.arange(3)
    given = {'generator.width': '2', 'discriminator.width': '2', 'generator.normalization': normalization}
    options = config.load('videogan:motions,small', given | {'latents.size': '5', 'reference_batch': '4'})
    reference = (jnp.zeros((4, *shape)), None) if normalization == 'virtual' else None
    game = build.make_game(options, shape, reference=reference)
    state = compiled.init_state(game, dict.fromkeys(('generator', 'discriminator'), optax.sgd(0.1)), key)
    params, variables = state.generator[:2]
    batch = {'real': jnp.zeros((3, *shape))}
    _, outcome = jax.jit(game.turn('generator').loss)(params, state, batch, key, places)

    network, latents = (
        videogan.Generator(shape, width=2, normalization=normalization),
        game.latents(stream(key, 'latents'), places),
    )
    given = {'params': params, **variables}
    if reference is not None:
        examples, _ = given.pop('reference')
        given |= compiled.apply(network, given, examples, train=False, mutable=['virtual'])[1]
    mutable = [name for name in variables if name in ('batch_stats', 'spectral')]
    (_, mask, _), _ = compiled.apply(network, given, latents, train=True, mutable=mutable, method='streams')
    np.testing.assert_allclose(outcome.metrics['mask'], mask.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((16, 16, 3), 'for clips'),
        ((16, 24, 24, 3), '8, 16, 32, 64 or 128 pixels'),
        ((6, 16, 16, 3), 'a multiple of 4, not 6'),
    ],
)
def test_other_shapes_get_a_sentence(shape, message):
    with pytest.raises(UserError, match=message):
        videogan.Discriminator().init(jax.random.key(0), jnp.zeros((1, *shape)), train=False)


def test_a_run_of_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(motions, '_SPLITS', {'train': 12, 'test': 3})
    options = config.load(
        'videogan:motions,small,debug',
        {
            **{f'{player}.width': '2' for player in ('generator', 'discriminator')},
            'data.size': '16',
            'data.cache': str(tmp_path / 'cache'),
            'batch_size': '4',
            'duration': '2 steps',
            'samples': '4',
            'evaluate': '()',
            'parallel.devices': '1',
        },
    )
    workdir = tmp_path / 'run'
    with toy_experiments.without_pages():
        train(options, workdir)
    assert 'generator/mask' in (workdir / 'metrics.jsonl').read_text()
    assert Image.open(workdir / 'real.png').width > 4 * 16
    directory = sample_workdir(workdir, num=4)
    for name in ('grid.gif', '00003.gif'):
        assert Image.open(directory / name).n_frames == motions.FRAMES
    assert b'ftyp' in (sample_workdir(workdir, num=2, format='mp4') / 'grid.mp4').read_bytes()[:16]
    assert load_run(workdir).sample(2).shape == (2, 16, 16, 16, 3)


def test_a_generator_without_streams_is_refused():
    options = config.load('voxelgan', {'game.name': 'videogan'})
    with pytest.raises(UserError, match='needs a generator with streams'):
        build.make_game(options, (32, 32, 32, 1))
