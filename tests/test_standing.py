"""Standing statistics: the mean statistics of batches of fresh latents, whatever the running averages are."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import config as configs
from gan_jax import losses
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.evaluation.gather import GeneratorSamples
from gan_jax.game import Player, named_key, stream
from gan_jax.main import main
from gan_jax.networks import from_flax, pure
from gan_jax.sampling.latents import drawn
from gan_jax.sampling.samples import generate
from gan_jax.sampling.standing import with_standing_statistics
from gan_jax.sampling.trained import load_run
from tests.test_latent_pictures import save_untrained

SIZE, BATCH, PASSES, CLASSES = 2, 32, 5, 3


class Twice(nn.Module):
    """Latents, stretched, normalised, cubed and normalised again; a class moves them."""

    @nn.compact
    def __call__(self, latents, classes=None, *, train):
        options = {'use_running_average': not train, 'use_bias': False, 'use_scale': False, 'epsilon': 0.0}
        stretched = latents * self.param('stretch', nn.initializers.constant(1.0), (SIZE,))
        moved = stretched if classes is None else stretched + classes[:, None]
        hidden = nn.BatchNorm(momentum=0.7, **options)(moved) ** 3
        return nn.BatchNorm(momentum=0.99, **options)(hidden)


def game_of(condition=None):
    discriminator = pure(lambda key: jnp.zeros(()), lambda params, points, condition=None: points.sum(-1))
    generator = from_flax(Twice(), (SIZE,), condition=condition)
    return adversarial(generator, discriminator, losses.non_saturating(), SIZE, condition=condition)


def stale(value):
    """A player's parameters, and variables that belong to nothing."""
    statistics = {f'BatchNorm_{i}': {'mean': jnp.full(SIZE, 7.0), 'var': jnp.full(SIZE, 0.1)} for i in (0, 1)}
    return {'stretch': jnp.full(SIZE, value)}, {'batch_stats': statistics}


def by_hand(game, stretch, threshold, num_classes):
    """The mean mean and the mean variance of both layers."""
    found = []
    for i in range(PASSES):
        key = jax.random.fold_in(named_key(4, 'standing'), i)
        values = stretch * np.asarray(drawn(game.latents, stream(key, 'latents'), jnp.arange(BATCH), threshold))
        if num_classes:
            classes = jax.random.randint(stream(key, 'classes'), (BATCH,), 0, num_classes)
            values = values + np.asarray(classes)[:, None]
        hidden = ((values - values.mean(0)) / values.std(0)) ** 3
        found.append([(part.mean(0), part.var(0)) for part in (values, hidden)])
    return np.mean(found, axis=0)


@pytest.mark.parametrize('num_classes', [None, CLASSES])
@pytest.mark.parametrize('threshold', [None, 0.5])
def test_they_are_the_mean_statistics_of_the_passes_of_the_averaged_weights(threshold, num_classes):
    game = game_of(None if num_classes is None else jax.ShapeDtypeStruct((), jnp.int32))
    player = Player(*stale(1.0), None, stale(2.0))
    options = {'num_classes': num_classes, 'threshold': threshold, 'seed': 4}
    made = with_standing_statistics(game, player, PASSES, BATCH, **options)
    assert made[:3] == player[:3]
    params, variables = made.ema
    assert params is player.ema[0]
    expected = by_hand(game, 2.0, threshold, num_classes)
    for i, (mean, variance) in enumerate(expected):
        statistics = variables['batch_stats'][f'BatchNorm_{i}']
        np.testing.assert_allclose(statistics['mean'], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(statistics['var'], variance, rtol=1e-4)

    latents, classes = jnp.array([[0.3, -0.2]]), None if num_classes is None else jnp.array([1])
    moved = 2 * np.asarray(latents) + (0 if num_classes is None else 1)
    hidden = ((moved - expected[0][0]) / np.sqrt(expected[0][1])) ** 3
    wanted = (hidden - expected[1][0]) / np.sqrt(expected[1][1])
    np.testing.assert_allclose(generate(game, made, latents, classes), wanted, rtol=1e-3, atol=1e-5)


def test_without_averages_they_are_those_of_the_last_weights():
    game, player = game_of(), Player(*stale(2.0), None)
    made = with_standing_statistics(game, player, PASSES, BATCH, seed=4)
    mean = made.variables['batch_stats']['BatchNorm_0']['mean']
    np.testing.assert_allclose(mean, by_hand(game, 2.0, None, None)[0][0], rtol=1e-4, atol=1e-5)
    assert made.ema is None


def test_a_generator_without_batch_normalisation_has_none():
    game, player = game_of(), Player({}, {}, None)
    with pytest.raises(UserError, match='set standing_statistics to 0'):
        with_standing_statistics(game, player, PASSES, BATCH)
    with pytest.raises(UserError, match='set standing_statistics to 0'):
        with_standing_statistics(game._replace(given='input'), Player(*stale(1.0), None), PASSES, BATCH)
    assert configs.base('dcgan').standing_statistics == 0


def test_a_run_samples_with_them_and_its_records_say_so(tmp_path):
    sizes = {'generator.width': '4', 'discriminator.width': '4', 'batch_size': '8', 'samples': '4'}
    workdir = save_untrained(tmp_path / 'run', 'configs/cgan.py', (8, 8, 1), 3, **sizes)
    flags = ['--num', '3', '--standing_statistics', '2', '--threshold', '0.5']
    assert main(['--mode', 'sample', '--workdir', str(workdir), *flags]) == 0
    assert (workdir / 'generated' / 'step0000003-seed0-threshold0.5-standing2' / 'grid.png').exists()
    plain = load_run(workdir)
    assert plain.standing(None) is plain
    standing = plain.standing(2)
    mean, other = (run.generator.ema[1]['batch_stats']['BatchNorm_0']['mean'] for run in (plain, standing))
    assert np.abs(mean - other).max() > 1e-3
    asked = GeneratorSamples(standing.game, standing.generator, 4, 0, None, 'it')
    assert asked.protocol['batch_norm'] == 'running averages'
    assert asked._replace(standing=standing.passes).protocol['batch_norm'] == 'standing statistics of 2 passes'

    config = plain.config.copy_and_resolve_references()
    config.standing_statistics = 2
    by_config = plain._replace(config=config).standing(None)
    np.testing.assert_array_equal(by_config.generator.ema[1]['batch_stats']['BatchNorm_0']['mean'], other)
