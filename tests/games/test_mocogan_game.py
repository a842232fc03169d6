"""MoCoGAN: its losses, the frames that its discriminators see, and runs from training to films."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_jax import build, config, evaluate, losses
from gan_jax import load as load_run
from gan_jax.data import motions
from gan_jax.errors import UserError
from gan_jax.evaluation.metrics import METRICS
from gan_jax.game import stream
from gan_jax.games.mocogan import with_frames
from gan_jax.models.mocogan import Discriminator, Generator, random_frames
from gan_jax.sampling.sample_files import sample_workdir
from gan_jax.train import train
from tests import compiled, toy_experiments

SHAPE, BATCH = (5, 8, 8, 3), 4
NARROW = {'generator.width': '2', 'discriminator.width': '2', 'parallel.devices': '1'}
KEY, PLACES = jax.random.key(3), jnp.arange(BATCH)


def narrow(changes=None):
    """The config of a game without normalisation."""
    options = config.load('mocogan', {**NARROW, 'latents.size': '63', 'penalties.r1.weight': '0', **(changes or {})})
    options.generator.normalization = options.discriminator.normalization = 'none'
    return options


def test_random_frames_depend_on_their_positions_alone():
    drawn = random_frames(KEY, jnp.arange(64), 5)
    assert set(np.unique(drawn)) == set(range(5))
    np.testing.assert_array_equal(drawn[40:], random_frames(KEY, jnp.arange(40, 64), 5))


def test_a_random_frame_is_a_frame_of_the_clip_with_these_latents():
    options = {'num_classes': 3, 'conditioning': 'concatenate', 'normalization': 'none', 'initializer': 'he'}
    network = Generator(SHAPE, motion_size=3, width=2, **options)
    latents, labels = jax.random.normal(KEY, (16, 30)), jnp.arange(16) % 3
    params = network.init(KEY, latents, labels, train=False)
    clips = network.apply(params, latents, labels, train=True)
    frames = network.apply(params, latents, labels, train=True, rngs=KEY, method='random_frame')
    same = jnp.isclose(clips, frames[:, None], atol=1e-6).all((2, 3, 4))
    np.testing.assert_array_equal(same.sum(1), 1)
    assert len(set(np.argmax(same, 1).tolist())) > 2


def test_both_sides_of_a_batch_have_the_same_clips():
    clips = jnp.broadcast_to(jnp.arange(5.0)[:, None, None, None], (16, 5, 2, 2, 1))
    batch = with_frames({'real': clips, 'label': jnp.zeros(16)}, KEY, jnp.arange(16))
    np.testing.assert_array_equal(batch['real'], clips)
    np.testing.assert_array_equal(batch['frame'][:, 0, 0, 0], random_frames(KEY, jnp.arange(16), 5))
    assert batch['frame'].shape == (16, 2, 2, 1)


@pytest.mark.parametrize('sides', [('clip', 'frame'), ('frame',)])
def test_losses_are_those_of_clips_with_classes_and_of_frames(sides):
    options = narrow({'game.clips': '0.5' if 'clip' in sides else '0'})
    game, loss = build.make_game(options, SHAPE, num_classes=3), losses.non_saturating()
    state = compiled.init_state(game, dict.fromkeys(('generator', 'discriminator'), optax.sgd(0.1)), KEY)
    batch = {'real': jnp.tanh(jax.random.normal(KEY, (BATCH, *SHAPE))), 'label': jnp.array([0, 1, 2, 1])}
    batch = game.prepared(batch, KEY, PLACES)
    assert set(state.discriminator.params) == set(sides)

    @jax.jit
    def found(state):
        turns = {name: game.turn(name) for name in ('generator', 'discriminator')}
        made = {name: turn.loss(state.players[name].params, state, batch, KEY, PLACES) for name, turn in turns.items()}
        return {name: (value, outcome.metrics.get('class_loss', 0.0)) for name, (value, outcome) in made.items()}

    def generate(side, state):
        key = stream(KEY, side)
        latents = game.latents(stream(key, 'latents'), PLACES)
        if side == 'clip':
            return game.sample(*state.generator[:2], latents, batch['label'])
        network = Generator(SHAPE, width=2, num_classes=3, conditioning='concatenate', normalization='none')
        params = {'params': state.generator.params['generator']}
        rngs = stream(key, 'generator')
        return network.apply(params, latents, batch['label'], train=True, rngs=rngs, method='random_frame')

    def discriminate(side, state, examples):
        of_classes = {'num_classes': 3, 'conditioning': 'auxiliary'} if side == 'clip' else {}
        network = Discriminator(width=2, normalization='none', **of_classes)
        judged = network.apply({'params': state.discriminator.params[side]}, examples, train=True)
        return judged._replace(logits=judged.logits.reshape(-1))

    @jax.jit
    def by_hand(state):
        generator = discriminator = of_real = of_fake = 0.0
        for side in sides:
            seen = batch['real' if side == 'clip' else 'frame']
            real, fake = (discriminate(side, state, examples) for examples in (seen, generate(side, state)))
            weight = 0.5 if side == 'clip' else 1.0
            discriminator += weight * loss.discriminator(real.logits, fake.logits)
            generator += weight * loss.generator(fake.logits)
            if side == 'clip':
                of_real, of_fake = (
                    optax.softmax_cross_entropy_with_integer_labels(one.classes, batch['label']).mean()
                    for one in (real, fake)
                )
        both = of_real + of_fake
        return {'generator': (generator + 0.5 * of_fake, of_fake), 'discriminator': (discriminator + 0.5 * both, both)}

    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), found(state), by_hand(state))


def test_samples_of_a_game_of_frames_are_clips():
    whole, alone = (build.make_game(narrow({'game.clips': clips}), SHAPE, num_classes=3) for clips in ('1', '0'))
    networks = whole.init(KEY)
    latents, labels = whole.latents(KEY, PLACES), jnp.array([0, 1, 2, 1])
    clips = alone.sample(*networks['generator'], latents, labels)
    assert clips.shape == (BATCH, *SHAPE)
    np.testing.assert_array_equal(clips, whole.sample(*networks['generator'], latents, labels))


@pytest.mark.parametrize('axis_name', [None, 'devices'])
def test_generated_frames_can_be_replayed(axis_name):
    options = narrow({'replay': '8'})
    game = build.make_game(options, SHAPE, axis_name, num_classes=3)
    memory = jax.eval_shape(build.initializer(options, game), KEY).memory
    shapes = {side: kept['replay'].examples.shape for side, kept in memory.items()}
    assert shapes == {'clip': (8, *SHAPE), 'frame': (8, *SHAPE[1:])}


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
