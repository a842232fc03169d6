"""MoCoGAN: its losses, the frames that are judged, and runs from training to films."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_jax import build, config, losses, steps
from gan_jax import load as load_run
from gan_jax.data import motions
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.games.mocogan import random_frames
from gan_jax.models.mocogan import Discriminator
from gan_jax.sampling.samples import sample_workdir
from gan_jax.train import train
from tests import same_players, toy_experiments

SHAPE, BATCH = (5, 8, 8, 3), 4
NARROW = {'generator.width': '2', 'discriminator.width': '2', 'parallel.devices': '1'}
KEY, PLACES = jax.random.key(3), jnp.arange(BATCH)


def test_the_random_frame_of_a_clip_depends_on_its_position_alone():
    clips = jnp.broadcast_to(jnp.arange(5.0)[:, None, None, None], (64, 5, 2, 2, 1))
    positions = jnp.arange(64)
    frames = random_frames(clips, KEY, positions, jnp.float32(0))
    assert frames.shape == (64, 2, 2, 1)
    assert set(np.unique(frames)) == set(range(5))
    np.testing.assert_array_equal(frames[40:], random_frames(clips[40:], KEY, positions[40:], jnp.float32(1)))


def test_losses_are_those_of_clips_with_classes_and_of_frames():
    options = config.load('mocogan', {**NARROW, 'latents.size': '63', 'generator.normalization': 'none'})
    options.discriminator.normalization = 'none'
    game = build.make_game(options, SHAPE, num_classes=3)
    state = steps.init_state(game, dict.fromkeys(('generator', 'discriminator'), optax.sgd(0.1)), KEY)
    batch = {'real': jnp.tanh(jax.random.normal(KEY, (BATCH, *SHAPE))), 'label': jnp.array([0, 1, 2, 1])}
    found = {
        name: game.turn(name).loss(state.players[name].params, state, batch, KEY, PLACES)
        for name in ('generator', 'discriminator')
    }
    loss, expected = losses.non_saturating(), dict.fromkeys(found, 0.0)
    for side in ('clip', 'frame'):
        key = stream(KEY, side)
        latents = game.latents(stream(key, 'latents'), PLACES)
        fake = game.sample(state.generator.params, state.generator.variables, latents, batch['label'])
        shown = {'real': batch['real'], 'fake': fake}
        if side == 'frame':
            shown = {
                name: random_frames(clips, stream(stream(key, f'show_{name}'), 'augmentation'), PLACES, 0.0)
                for name, clips in shown.items()
            }
        judged = {name: judge(options, side, state, examples) for name, examples in shown.items()}
        logits = {name: one.logits.reshape(-1) for name, one in judged.items()}
        expected['discriminator'] += loss.discriminator(logits['real'], logits['fake'])
        expected['generator'] += loss.generator(logits['fake'])
        if side == 'clip':
            of_class = {
                name: optax.softmax_cross_entropy_with_integer_labels(one.classes, batch['label']).mean()
                for name, one in judged.items()
            }
            expected['discriminator'] += of_class['real'] + of_class['fake']
            expected['generator'] += of_class['fake']
            told = found['generator'][1].metrics['class_loss']
            assert float(told) == pytest.approx(float(of_class['fake']), rel=1e-5)
    for name, (value, _) in found.items():
        assert float(value) == pytest.approx(float(expected[name]), rel=1e-5)


def judge(options, side, state, examples):
    conditioning = {'num_classes': 3, 'conditioning': 'auxiliary'} if side == 'clip' else {}
    network = Discriminator(width=2, normalization='none', **conditioning)
    return network.apply({'params': state.discriminator.params[side]}, examples, train=True)


def test_images_are_refused():
    with pytest.raises(UserError, match='The game mocogan is for clips'):
        build.make_game(config.load('dcgan', {'game.name': 'mocogan'}), (16, 16, 3))


@pytest.mark.slow  # 60 s: a training step and its pictures
def test_a_run_of_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(motions, '_SPLITS', {'train': 12, 'test': 3})
    given = {**NARROW, 'data.size': '16', 'data.cache': str(tmp_path / 'cache'), 'batch_size': '4', 'samples': '4'}

    def run(name, **changes):
        with toy_experiments.without_pages():
            return train(config.load('mocogan:debug', given | changes), tmp_path / name)

    whole = run('run', duration='4 steps', checkpoint_every='2 steps', log_every='2 steps')
    assert 'class_loss' in (tmp_path / 'run' / 'metrics.jsonl').read_text()
    directory = sample_workdir(tmp_path / 'run', num=4)
    for name in ('grid.gif', '00003.gif'):
        assert Image.open(directory / name).n_frames == motions.FRAMES
    assert load_run(tmp_path / 'run').sample(2).shape == (2, 16, 16, 16, 3)
    of_two = run('two', duration='4 steps', log_every='2 steps', **{'parallel.devices': '2'})
    same_players.assert_close(whole, of_two)
