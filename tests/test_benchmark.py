"""The PyTorch twins of the benchmark are the same computation as gan_jax's recipes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build
from gan_jax.game import stream
from tools import benchmark

torch = pytest.importorskip('torch', reason='the twins need the extra `benchmark`')

from tools.twins import translations, weights  # noqa: E402

TINY = {
    'mlp': ['generator.widths=(16,24)', 'discriminator.widths=(24,16)', 'discriminator.dropout=0.0', 'data.size=8'],
    'dcgan32': ['generator.widths=(12,8)', 'discriminator.widths=(8,12)', 'data.size=16'],
    'wgan_gp32': ['generator.widths=(12,8)', 'discriminator.widths=(8,12)', 'data.size=16'],
    'sngan32': ['generator.widths=(12,10,8)', 'discriminator.widths=(8,10,12)', 'data.size=16'],
}
BATCH = 6


def make(name):
    """A tiny case's config, game and state, and the twin with the same weights."""
    config = benchmark.CASES[name].config([*TINY[name], f'batch_size={BATCH}'])
    shape = (config.data.size, config.data.size, config.data.channels)
    game = build.make_game(config, shape)
    state = build.init_state(config, game)
    twin = training.Twin(config.to_dict(), np.zeros((BATCH, *shape), np.uint8))
    for network, player in ((twin.generator, state.generator), (twin.discriminator, state.discriminator)):
        weights.load_flax(network, *jax.device_get((player.params, player.variables)))
    return config, game, state, twin


def assert_same_gradients(loss, network, flax_gradients):
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    for twins, ours in zip(gradients, weights.from_flax(network, flax_gradients), strict=True):
        assert twins.shape == ours.shape
        assert (twins - ours).norm() <= 1e-4 * ours.norm()


def assert_same_vectors(network, variables):
    for twins, ours in weights.spectral_vectors(network, variables):
        torch.testing.assert_close(twins, ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize('name', TINY)
def test_losses_and_gradients_equal_those_of_gan_jax(name):
    config, game, state, twin = make(name)
    key, positions = jax.random.key(3), jnp.arange(BATCH)
    shape = config.data.size, config.data.size, config.data.channels
    real = jax.random.uniform(jax.random.key(4), (BATCH, *shape), minval=-1.0)

    @jax.jit
    def evaluate(state, real):
        arguments = (state, {'real': real}, key, positions)
        losses = game.turn('discriminator').loss, game.turn('generator').loss
        params = state.discriminator.params, state.generator.params
        return [jax.value_and_grad(loss, has_aux=True)(p, *arguments) for loss, p in zip(losses, params, strict=True)]

    ((judged, outcome), judge_gradients), ((made, _), maker_gradients) = jax.device_get(evaluate(state, real))
    latents = torch.tensor(np.array(game.latents(stream(key, 'latents'), positions)))
    penalty_key = stream(jax.random.fold_in(stream(key, 'terms'), 0), 'gradient_penalty')
    draw = jax.vmap(lambda place: jax.random.uniform(jax.random.fold_in(penalty_key, place)))
    shares = torch.tensor(np.array(draw(positions)))

    loss, metrics = twin.discriminator_loss(torch.tensor(np.array(real).transpose(0, 3, 1, 2)), latents, shares)
    assert loss.item() == pytest.approx(float(judged), rel=1e-4)
    expected = {metric: float(value) for metric, value in outcome.metrics.items()}
    assert {metric: value.item() for metric, value in metrics.items()} == pytest.approx(expected, rel=1e-4)
    assert_same_gradients(loss, twin.discriminator, judge_gradients)
    assert_same_vectors(twin.discriminator, outcome.variables)  # moved on by two passes
    weights.load_flax(twin.discriminator, state.discriminator.params, state.discriminator.variables)
    twin.discriminator.requires_grad_(False)
    loss = twin.generator_loss(latents)
    assert_same_vectors(twin.discriminator, state.discriminator.variables)  # left alone
    assert loss.item() == pytest.approx(float(made), rel=1e-4)
    assert_same_gradients(loss, twin.generator, maker_gradients)


def test_a_step_reports_the_metrics_of_gan_jax_and_moves_everything():
    config, game, state, twin = make('mlp')
    batch = {'real': jnp.zeros((BATCH, config.data.size, config.data.size, 1))}
    _, metrics = jax.eval_shape(build.make_step(config, game), state, batch)
    moving = [*twin.averages, *twin.generator.parameters(), *twin.discriminator.parameters()]
    before = [value.detach().clone() for value in moving]
    means = twin.run(2)
    assert means.keys() == metrics.keys()
    assert np.isfinite(list(means.values())).all()
    assert all((old != new).any() for old, new in zip(before, moving, strict=True))


def test_the_average_follows_the_rule_of_gan_jax():
    config, _, _, twin = make('mlp')
    decay = float(build.optim.ema_decay(config.ema.half_life_kimg, config.ema.ramp_up, BATCH)(jnp.asarray(5)))
    twin.steps, old, new = 5, twin.averages[0].clone(), twin.averaged[0].detach().clone()
    twin.average()
    torch.testing.assert_close(twin.averages[0], decay * old + (1 - decay) * new)
