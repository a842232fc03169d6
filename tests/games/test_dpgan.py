"""DP-GAN: the private gradient in closed form, what one example can change, several devices, what is refused."""

import functools
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import config as configs
from gan_jax import losses, steps
from gan_jax.build import make_game
from gan_jax.errors import UserError
from gan_jax.games.dpgan import dpgan
from gan_jax.models import mlp
from gan_jax.networks import from_flax, pure
from gan_jax.privacy import Privacy
from gan_jax.runtime import checkpoint
from gan_jax.sampling.trained import load_run
from gan_jax.train import train
from tests import toy_experiments

SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
BATCH, SIZE, CLASSES, CLIP = 16, 5, 3, 0.02
PROMISE = Privacy(1000, BATCH, 0.25, rounds=10)  # four examples expected, and no noise
KEY, PLACES = jax.random.key(3), jnp.arange(BATCH)


def batch_of(seed=0):
    rng = np.random.default_rng(seed)
    real, labels = rng.normal(size=(BATCH, SIZE)).astype(np.float32), rng.integers(0, CLASSES, BATCH)
    index = np.where(np.arange(BATCH) < 10, np.sort(rng.choice(1000, BATCH, replace=False)), -1)
    return {'real': real, 'label': labels.astype(np.int32), 'index': index.astype(np.int32)}


def without(batch, place):
    """A batch in which an example is not drawn: the later ones move up, and another follows them as padding."""
    rows = np.r_[np.delete(np.arange(BATCH), place), 0]
    other = {name: array[rows] for name, array in batch.items()}
    other['index'][-1] = -1
    return other


def conditional(promise=PROMISE, normalization='none', **options):
    """With batch norm in the generator, classes, and a clip that most gradients exceed."""
    networks = {'dtype': jnp.float32, 'num_classes': CLASSES}
    condition = {'condition': jax.ShapeDtypeStruct((), jnp.int32)}
    generator = mlp.Generator(
        shape=(SIZE,), widths=(6,), output='linear', conditioning='concatenate', normalization='batch', **networks
    )
    discriminator = mlp.Discriminator(widths=(6,), conditioning='planes', normalization=normalization, **networks)
    return dpgan(
        from_flax(generator, (4,), **condition),
        from_flax(discriminator, (SIZE,), **condition),
        losses.non_saturating(),
        4,
        promise,
        num_classes=CLASSES,
        **{'clip': CLIP, 'microbatch': 2} | options,
    )


@functools.cache
def compiled(noise=0.0):
    """The initial state of the conditional game, and its private gradient."""
    game = conditional(PROMISE._replace(noise=noise, delta=1e-5))
    state = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0))

    def gradient(state, batch, key):
        def loss(params):
            return game.turn('discriminator').loss(params, state, batch, key, PLACES)

        (value, outcome), found = jax.value_and_grad(loss, has_aux=True)(state.discriminator.params)
        return found, value, outcome

    return state, jax.jit(gradient)


def flat(tree):
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in jax.tree.leaves(tree)])


def test_the_gradient_is_the_clipped_sum_over_pairs_of_real_and_fake_over_the_expected_number():
    """All generated examples are equal, so that the pairs do not matter."""
    generator = pure(lambda key: jnp.float32(0.7), lambda w, z: w * jnp.ones_like(z))
    linear = pure(lambda key: jnp.arange(1.0, SIZE + 1) / 10, lambda w, x: x @ w)
    game = dpgan(generator, linear, losses.non_saturating(), SIZE, PROMISE, clip=1.3, microbatch=4)
    batch, state = batch_of(), steps.init_state(game, SGD, jax.random.key(0))
    w = state.discriminator.params

    def loss(w):
        return game.turn('discriminator').loss(w, state, batch, KEY, PLACES)

    (value, outcome), found = jax.jit(jax.value_and_grad(loss, has_aux=True))(w)
    real, fake, drawn = batch['real'].astype(np.float64), np.full((BATCH, SIZE), 0.7), batch['index'] >= 0

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    each = -sigmoid(-real @ w)[:, None] * real + sigmoid(fake @ w)[:, None] * fake
    norms = np.linalg.norm(each, axis=1)
    wanted = (each * np.minimum(1, 1.3 / norms)[:, None])[drawn].sum(0) / 4
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    each_loss = np.log1p(np.exp(-real @ w)) + np.log1p(np.exp(fake @ w))
    assert value == pytest.approx(each_loss[drawn].mean(), rel=1e-5)
    assert outcome.metrics['clipped'] == pytest.approx((norms > 1.3)[drawn].mean())
    assert 0 < outcome.metrics['clipped'] < 1
    assert outcome.metrics['examples'] == 10


@pytest.mark.parametrize('seed', range(3))
def test_an_example_changes_the_sum_of_gradients_by_at_most_the_clip(seed):
    state, gradient = compiled()
    batch, key = batch_of(seed), jax.random.key(seed)
    whole, _, outcome = gradient(state, batch, key)
    assert outcome.metrics['clipped'] > 0.5
    for place in range(10):
        rest, _, changed = gradient(state, without(batch, place), key)
        change = np.linalg.norm(flat(whole) - flat(rest)) * PROMISE.expected
        assert 0 < change <= CLIP
        assert changed.metrics['examples'] == 9
    padded = {**batch, 'real': batch['real'].copy(), 'label': (batch['label'] + (batch['index'] < 0)) % CLASSES}
    padded['real'][batch['index'] < 0] = 100
    jax.tree.map(np.testing.assert_array_equal, (whole, outcome), gradient(state, padded, key)[::2])


def test_the_gradient_has_noise_of_the_stated_deviation():
    (state, plain), (_, gradient) = compiled(), compiled(1.5)
    batch = batch_of()
    clean, _, _ = plain(state, batch, KEY)
    noise = [
        flat(gradient(state, batch, jax.random.key(i))[0]) - flat(plain(state, batch, jax.random.key(i))[0])
        for i in range(60)
    ]
    noise = np.array(noise) * PROMISE.expected / (1.5 * CLIP)
    assert noise.shape == (60, flat(clean).size)
    assert noise.std() == pytest.approx(1, rel=4 / (2 * noise.size) ** 0.5)
    assert np.abs(np.corrcoef(noise)[~np.eye(60, dtype=bool)]).max() < 5 / noise.shape[1] ** 0.5


def test_the_generator_learns_from_no_data():
    game, (state, _) = conditional(), compiled()

    @jax.jit
    def after(batch):
        loss = lambda params: game.turn('generator').loss(params, state, batch, KEY, PLACES)  # noqa: E731
        return jax.value_and_grad(loss, has_aux=True)(state.generator.params)

    jax.tree.map(np.testing.assert_array_equal, after(batch_of(0)), after(batch_of(1)))


def test_vectors_of_spectral_normalisation_do_not_depend_on_the_data():
    game = conditional(normalization='spectral')
    state = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0))

    @jax.jit
    def updated(batch):
        return game.turn('discriminator').loss(state.discriminator.params, state, batch, KEY, PLACES)[1].variables

    first, second = updated(batch_of(0)), updated(batch_of(1))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert np.any(flat(first) != flat(state.discriminator.variables))


def test_eight_devices_play_the_game_of_one():
    def after_one_step(axis_name):
        promise = PROMISE._replace(noise=0.3, delta=1e-5)
        generator = from_flax(
            mlp.Generator(shape=(SIZE,), widths=(6,), output='linear', normalization='batch', axis_name=axis_name), (4,)
        )
        discriminator = from_flax(mlp.Discriminator(widths=(6,)), (SIZE,))
        game = dpgan(generator, discriminator, losses.hinge(), 4, promise, clip=CLIP, axis_name=axis_name)
        step = steps.make_train_step(game, SGD, axis_name=axis_name)
        state, batch = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0)), batch_of()
        if axis_name is None:
            return jax.jit(step)(state, batch, PLACES)
        shared = jax.tree.map(lambda leaf: leaf.reshape(8, 2, *leaf.shape[1:]), (batch, PLACES))
        return jax.tree.map(lambda leaf: leaf[0], jax.pmap(step, axis_name, in_axes=(None, 0, 0))(state, *shared))

    (one, metrics), (eight, others) = after_one_step(None), after_one_step('devices')
    for name in metrics:
        np.testing.assert_allclose(metrics[name], others[name], rtol=1e-4)
    for name in SGD:
        trees = [state.players[name].params for state in (one, eight)]
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), *trees)


SPEC = 'configs/dpgan.py:debug'


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        ({'game.delta': '0.0'}, r'game\.epsilon needs a game\.delta above 0'),
        ({'discriminator.normalization': 'batch'}, 'A private discriminator cannot have batch norm'),
        ({'discriminator.normalization': 'virtual'}, 'A private discriminator cannot have batch norm'),
        ({'discriminator.minibatch': 'deviation'}, r'cannot have discriminator\.minibatch=deviation'),
        ({'penalties.r1.weight': '1'}, 'r1 is not a part of the clipped gradient of an example'),
        ({'feature_matching.weight': '1'}, 'feature_matching is not a part of the clipped gradient'),
        ({'loss.name': 'relativistic'}, "discriminator's loss must be a mean over examples"),
        ({'loss.name': 'equilibrium'}, "discriminator's loss must be a mean over examples"),
        ({'augment.name': 'ada'}, 'cannot have augment'),
        ({'replay': '64'}, 'cannot have replay'),
        ({'flip_labels': '0.1'}, 'cannot have flip_labels'),
        ({'discriminators.number': '2'}, 'cannot have several discriminators'),
        ({'balance.measure': 'accuracy'}, 'cannot have balance'),
        ({'accumulate': '2'}, r'cannot have accumulate=2: set it to 1'),
        ({'play.name': 'extragradient'}, r'cannot have play\.name=extragradient'),
        ({'on_nan': 'restore'}, r'cannot have on_nan=restore: set it to stop'),
        ({'earlier_phases': "('duration=5 steps',)"}, 'cannot have earlier_phases'),
        ({'schedules': "('game.clip: linear to 0.5 in 10 steps',)"}, 'accounts for constant noise'),
    ],
)
def test_what_is_not_private_is_refused(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        make_game(configs.load(SPEC, overrides), (8, 8, 1), num_classes=10)


def test_a_batch_says_which_of_its_places_are_examples():
    game = conditional()
    state = jax.eval_shape(lambda: steps.init_state(game, SGD, jax.random.key(0)))
    batch = batch_of()
    del batch['index']
    with pytest.raises(UserError, match="needs Poisson batches: add 'index'"):
        jax.eval_shape(steps.make_train_step(game, SGD), state, batch)


SMALL = {
    'parallel.devices': '1',
    'duration': '20 steps',
    'discriminator_steps': '2',
    'game.accountant': 'rdp',
    'game.filling': '0.1',
    'evaluate': '',
}


@pytest.mark.slow
def test_a_resumed_run_has_the_same_epsilon_and_bits_and_another_config_is_refused(tmp_path):
    def trained(directory, **changes):
        with toy_experiments.without_pages():
            train(configs.load(SPEC, SMALL | changes), directory, accept_config_changes=bool(changes))
        return (directory / 'metrics.jsonl').read_text(), checkpoint.peek(directory / 'checkpoints', None)

    lines, about = trained(tmp_path / 'whole')
    shutil.copytree(tmp_path / 'whole', tmp_path / 'killed')
    shutil.rmtree(checkpoint_of(tmp_path / 'killed', 20))
    again, about_again = trained(tmp_path / 'killed')
    assert again == lines
    assert about_again['metrics'] == about['metrics']
    assert 0 < about['metrics']['privacy/epsilon'] <= 10
    one, other = (load_run(tmp_path / name) for name in ('whole', 'killed'))
    assert one.step == other.step == 20
    jax.tree.map(np.testing.assert_array_equal, one.generator, other.generator)
    jax.tree.map(np.testing.assert_array_equal, one.discriminator, other.discriminator)
    with pytest.raises(UserError, match='a private run cannot continue with it'):
        trained(tmp_path / 'whole', **{'game.epsilon': '3.0'})


def checkpoint_of(workdir, step):
    (found,) = (path for path in pathlib.Path(workdir, 'checkpoints').iterdir() if path.name.lstrip('0') == str(step))
    return found
