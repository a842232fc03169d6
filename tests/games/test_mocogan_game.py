"""MoCoGAN: its losses, the frames that its discriminators see, and runs from training to films."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_jax import build, config, evaluate, losses, steps
from gan_jax import load as load_run
from gan_jax.data import motions
from gan_jax.errors import UserError
from gan_jax.evaluation.metrics import METRICS
from gan_jax.game import stream
from gan_jax.games.mocogan import random_frames
from gan_jax.models.mocogan import Discriminator
from gan_jax.sampling.sample_files import sample_workdir
from gan_jax.train import train
from tests import toy_experiments

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
    options = config.load('mocogan', {**NARROW, 'latents.size': '63', 'penalties.r1.weight': '0'})
    options.generator.normalization = options.discriminator.normalization = 'none'
    game, loss = build.make_game(options, SHAPE, num_classes=3), losses.non_saturating()
    state = steps.init_state(game, dict.fromkeys(('generator', 'discriminator'), optax.sgd(0.1)), KEY)
    batch = {'real': jnp.tanh(jax.random.normal(KEY, (BATCH, *SHAPE))), 'label': jnp.array([0, 1, 2, 1])}

    @jax.jit
    def found(state):
        turns = {name: game.turn(name) for name in ('generator', 'discriminator')}
        made = {name: turn.loss(state.players[name].params, state, batch, KEY, PLACES) for name, turn in turns.items()}
        return {name: (value, outcome.metrics['class_loss']) for name, (value, outcome) in made.items()}

    def discriminate(side, state, examples):
        of_classes = {'num_classes': 3, 'conditioning': 'auxiliary'} if side == 'clip' else {}
        network = Discriminator(width=2, normalization='none', **of_classes)
        judged = network.apply({'params': state.discriminator.params[side]}, examples, train=True)
        return judged._replace(logits=judged.logits.reshape(-1))

    def shown(side, clips, name):
        key = stream(stream(stream(KEY, side), f'show_{name}'), 'augmentation')
        return random_frames(clips, key, PLACES, 0.0) if side == 'frame' else clips

    @jax.jit
    def by_hand(state):
        generator, discriminator = 0.0, 0.0
        for side in ('clip', 'frame'):
            latents = game.latents(stream(stream(KEY, side), 'latents'), PLACES)
            clips = game.sample(state.generator.params, state.generator.variables, latents, batch['label'])
            real, fake = (
                discriminate(side, state, shown(side, clips, name))
                for name, clips in (('real', batch['real']), ('fake', clips))
            )
            discriminator += loss.discriminator(real.logits, fake.logits)
            generator += loss.generator(fake.logits)
            if side == 'clip':
                of_real, of_fake = (
                    optax.softmax_cross_entropy_with_integer_labels(one.classes, batch['label']).mean()
                    for one in (real, fake)
                )
        both = of_real + of_fake
        return {'generator': (generator + of_fake, of_fake), 'discriminator': (discriminator + both, both)}

    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), found(state), by_hand(state))


def test_images_are_refused():
    with pytest.raises(UserError, match='The game mocogan is for clips'):
        build.make_game(config.load('dcgan', {'game.name': 'mocogan'}), (16, 16, 3))


@pytest.mark.slow  # 60 s: a training step and its pictures
def test_a_run_of_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(motions, '_SPLITS', {'train': 12, 'test': 3})
    given = {**NARROW, 'data.size': '16', 'data.cache': str(tmp_path / 'cache'), 'batch_size': '4', 'samples': '3'}
    given |= {'evaluation.samples': '6'}
    workdir = tmp_path / 'run'
    with toy_experiments.without_pages():
        train(config.load('mocogan:debug', given | {'duration': '2 steps'}), workdir)
    assert 'generator/class_loss' in (workdir / 'metrics.jsonl').read_text()
    judged = (workdir / 'evaluations.jsonl').read_text()
    assert all(f'"{name}"' in judged for name in METRICS['clips'].best)
    again = evaluate(workdir, metrics=('clips',), num=6)
    assert {record.metric for record in again.records} == set(METRICS['clips'].best)
    directory = sample_workdir(workdir, num=3)
    for name in ('grid.gif', '00002.gif'):
        assert Image.open(directory / name).n_frames == motions.FRAMES
    assert load_run(workdir).sample(3).shape == (3, 16, 16, 16, 3)
