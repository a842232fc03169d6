"""Tables on mixtures of Gaussians: the published networks, losses and protocols; a toy run."""

import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import results, sweep
from experiments.mixtures import __main__ as experiment
from experiments.mixtures import pacgan, remedies, unrolled
from experiments.mixtures.arms import RECIPE, tables
from gan_jax import build
from gan_jax import config as configs
from tests import toy_experiments

TOY = {
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'duration': '4 steps',
    **dict.fromkeys(('log_every', 'evaluate_every', 'sample_every', 'checkpoint_every'), '2 steps'),
}


def config_of(setting, arm, *argv):
    options = sweep.parse('mixtures', '', argv, settings=tuple(tables(full=False)))
    return sweep.config_of(tables(options.full)[setting].arms[arm][0], options)


def sizes(config):
    """The number of trained numbers of each player."""
    players = jax.eval_shape(build.make_game(config, (2,)).init, jax.random.key(0))
    return {name: sum(leaf.size for leaf in jax.tree.leaves(params)) for name, (params, _) in players.items()}


def test_pacgan_has_the_networks_and_the_protocol_of_the_authors_code():
    config = config_of('grid', 'PacGAN3', '--full', '--seeds', '10')
    assert sizes(config) == {
        'generator': 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + 400 * 2 + 2,  # normalised layers have scales and shifts
        'discriminator': (6 * 1000 + 1000) + 2 * (200 * 1000 + 1000) + 200 + 1,
    }
    assert (config.data.name, config.batch_size, config.latents.size, config.population) == ('grid', 300, 2, 10)
    assert configs.steps(config, 'duration') == 400 * 1000
    assert (config.loss.name, config.play.name, config.evaluation.samples) == ('non_saturating', 'simultaneous', 2500)
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        assert (optimizer.name, optimizer.learning_rate, optimizer.b1) == ('adam', 1e-4, 0.8)


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    network = pacgan.Discriminator(widths=(2,), pieces=2)
    params = {
        'Dense_0': {'kernel': jnp.array([[1.0, -1.0, 0.0, 2.0]]), 'bias': jnp.array([0.0, 0.0, 5.0, 0.0])},
        'Dense_1': {'kernel': jnp.array([[1.0], [10.0]]), 'bias': jnp.zeros(1)},
    }
    logits = network.apply({'params': params}, jnp.array([[-3.0], [4.0]]))
    np.testing.assert_array_equal(logits, [3 + 50, 4 + 80])


@pytest.mark.filterwarnings('ignore:.*drops options')
def test_a_step_of_pacgan_is_that_of_the_authors_losses_for_both_players_at_once():
    """Gradient descent of rate 1 on losses written out by hand, for a generator whose points are all one bias."""
    changes = {'generator.widths': '(4,)', 'discriminator.widths': '(3,)', 'packing': '2', 'batch_size': '8'}
    changes |= {f'{role}_optimizer.name': 'sgd' for role in ('generator', 'discriminator')}
    changes |= {f'{role}_optimizer.learning_rate': '1.0' for role in ('generator', 'discriminator')}
    config = configs.load(f'{sweep.ROOT}/{RECIPE}:pacgan,ring', changes)
    game = build.make_game(config, (2,))
    state, real = build.init_state(config, game), jax.random.normal(jax.random.key(1), (8, 2))
    bias = jnp.array([0.5, -2.0])
    params = state.generator.params | {'Dense_1': {'kernel': jnp.zeros((4, 2)), 'bias': bias}}
    weights = jax.tree.map(lambda leaf: 50 * leaf, state.discriminator.params)  # of about one
    state = state.with_player('generator', params=params).with_player('discriminator', params=weights)
    after, _ = jax.jit(build.make_step(config, game))(state, {'real': real})

    def logits(weights, packs):
        first, last = weights['Dense_0'], weights['Dense_1']
        units = (packs @ first['kernel'] + first['bias']).reshape(-1, 3, 5).max(-1)
        return (units @ last['kernel'] + last['bias'])[:, 0]

    def fake(bias):
        return jnp.tile(bias, (4, 2))

    def loss(weights):
        on_real, on_fake = logits(weights, real.reshape(4, 4)), logits(weights, fake(bias))
        return jax.nn.softplus(-on_real).mean() + jax.nn.softplus(on_fake).mean()

    slope = jax.grad(lambda bias: jax.nn.softplus(-logits(weights, fake(bias))).mean())(bias)
    expected = jax.tree.map(jnp.subtract, weights, jax.grad(loss)(weights))
    jax.tree.map(
        lambda *pair: np.testing.assert_allclose(*pair, rtol=1e-5, atol=1e-6), after.discriminator.params, expected
    )
    np.testing.assert_allclose(after.generator.params['Dense_1']['bias'], bias - slope, rtol=1e-5)


def test_unrolled_gan_has_the_published_networks_on_a_ring_of_half_the_size():
    config = config_of('unrolled', '5 unrolled steps')
    assert sizes(config) == {
        'generator': 257 * 128 + 129 * 128 + 129 * 2,
        'discriminator': 3 * 128 + 129,
    }
    assert (config.batch_size, config.latents.size, config.unrolled_steps) == (512, 256, 5)
    key, latents, points = jax.random.key(0), jnp.ones((1, 8)), jnp.array([[0.25, 0.5]])
    generator, discriminator = unrolled.Generator((2,), widths=()), unrolled.Discriminator(width=2)
    params, state = generator.init(key, latents), discriminator.init(key, points)
    layer, hidden, last = params['params']['Dense_0'], *state['params'].values()
    np.testing.assert_allclose(generator.apply(params, latents), latents @ layer['kernel'] / 2, rtol=1e-6)
    np.testing.assert_allclose(layer['kernel'].T @ layer['kernel'], 0.64 * np.eye(2), atol=1e-6)
    published = 2 * points  # at radius 2, which the discriminator divides by 4
    logits = jnp.maximum(published / 4 @ hidden['kernel'], 0) @ last['kernel']
    np.testing.assert_allclose(discriminator.apply(state, points), logits[:, 0], rtol=1e-5)


def test_the_generator_of_the_zero_sum_game_has_the_whole_loss():
    loss, real, fake = unrolled.zero_sum(), jnp.array([2.0, 0.0]), jnp.array([-1.0])
    expected = math.log1p(math.exp(-2)) / 2 + math.log(2) / 2 + math.log1p(math.exp(-1))
    assert loss.discriminator(real, fake) == pytest.approx(expected, rel=1e-6)
    assert loss.generator(fake, real) == pytest.approx(-expected, rel=1e-6)
    assert loss.generator_sees_real


def test_the_last_evaluation_counts_though_its_divergence_is_infinite(tmp_path):
    kept = {'eval/mixture_modes': 3, 'eval/mixture_quality': 0.5, 'eval/mixture_divergence': 1.0}
    later = {'eval/mixture_modes': 0, 'eval/mixture_quality': 0.0}
    run = results.Finished(tmp_path, [kept, {'step': 2}, later, {'step': 4}], {})
    found = experiment.last(run)
    assert (found['modes'], found['high quality']) == (0, 0.0)
    assert math.isnan(found['reverse KL'])


def run_of(modes, qualities):
    records = [
        {'kimg': float(i), 'eval/mixture_modes': mode, 'eval/mixture_quality': quality}
        for i, (mode, quality) in enumerate(zip(modes, qualities, strict=True))
    ]
    return results.Finished(pathlib.Path(), records, {})


def test_rise_and_score_are_of_the_last_fifths():
    run = run_of([8] * 8 + [4, 8], [0.0] * 6 + [0.1, 0.3, 0.5, 0.7])
    assert experiment.rise(run) == pytest.approx(0.6 - 0.2)
    assert experiment.score(run, 8) == pytest.approx((0.5 * 0.5 + 0.7) / 2)
    assert math.isnan(experiment.rise(run_of([8], [1.0])))
    assert experiment.score(run_of([], []), 8) == -math.inf


def test_every_remedy_has_as_many_settings_and_the_best_is_chosen(monkeypatch):
    arms = remedies.arms('ring')
    assert {len({str(arm.overrides) for arm in settings}) for settings in arms.values()} == {4}
    trained = {}

    def train(trials, options):
        trained.update(trials)
        assert (options.seeds, options.runs.name) == (1, 'tuning')
        return {name: [name] for name in trials}

    monkeypatch.setattr(sweep, 'train', train)
    kept = {'replay, setting 2': run_of([8], [0.9]), 'replay, setting 3': run_of([2], [1.0])}
    read = {name: [kept.get(name, run_of([0], [0.0]))] for name in (f'replay, setting {i}' for i in range(4))}
    monkeypatch.setattr(results, 'read_all', lambda directories: {name: read[name] for name in directories})
    options = sweep.parse('mixtures', '', ['--arms', 'replay'], some_arms=True)
    chosen = experiment.choose(arms, options)
    assert list(trained) == [f'replay, setting {i}' for i in range(4)]
    assert {arm.overrides['seed'] for arm in trained.values()} == {'100'}
    assert chosen['replay'] == arms['replay'][2]
    assert remedies.differences(chosen['replay'], arms['replay']) == (
        'generator_optimizer.learning_rate=3e-4; discriminator_optimizer.learning_rate=3e-4; replay=512'
    )
    assert chosen['R1'] == arms['R1'][0]


@pytest.mark.slow
def test_at_toy_size_the_paper_stands_beside_ours(tmp_path):
    argv = ['--seeds=2', f'--runs={tmp_path}/runs', f'--out={tmp_path}/results', '--arms', 'GAN', 'PacGAN2']
    with toy_experiments.without_pages():
        assert experiment.main([*argv, *(f'--config.{key}={value}' for key, value in TOY.items())]) == 0
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == ['GAN', 'PacGAN2']
    assert all(0 <= modes <= 8 for row in values.values() for modes in row['modes'])
    header, _, gan, packed = (tmp_path / 'results/table.md').read_text().splitlines()[4:8]
    assert header.endswith('| paper: modes | paper: high quality | paper: reverse KL |')
    assert gan.endswith('| 6.3 ± 0.5 | 0.982 ± 0.002 | 0.45 ± 0.09 |')
    assert packed.startswith('| PacGAN2 |')
    assert '- paper: Lin et al. 2018, table 1' in (tmp_path / 'results/table.md').read_text()
    for name in ('curves.png', 'gan.png', 'pacgan2.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 200


@pytest.mark.slow
def test_at_toy_size_remedies_are_tuned_and_say_their_setting(tmp_path):
    argv = ['--setting=remedies', '--seeds=1', f'--runs={tmp_path}/runs', f'--out={tmp_path}/results', '--arms=replay']
    changes = TOY | {'evaluate_every': '1 steps', 'duration': '10 steps'}
    with toy_experiments.without_pages():
        assert experiment.main([*argv, *(f'--config.{key}={value}' for key, value in changes.items())]) == 0
    assert len(list((tmp_path / 'runs/tuning').iterdir())) == 4
    header, _, row = (tmp_path / 'results/table.md').read_text().splitlines()[4:7]
    assert header == '| recipe | modes | high quality | reverse KL | rise of quality | setting |'
    assert 'replay=' in row
