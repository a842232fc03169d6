"""Values and gradients against closed forms, and finite differences in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.errors import UserError

REAL, FAKE = np.array([2.0, -1.0, 0.5]), np.array([-3.0, 0.25])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def test_discriminator_losses_are_the_textbook_cross_entropy():
    expected = -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean()
    for loss in (losses.non_saturating(), losses.minimax()):
        np.testing.assert_allclose(loss.discriminator(REAL, FAKE), expected, rtol=1e-6)


def test_generator_losses_are_log_d_and_log_one_minus_d():
    np.testing.assert_allclose(losses.non_saturating().generator(FAKE), -np.log(sigmoid(FAKE)).mean(), rtol=1e-6)
    np.testing.assert_allclose(losses.minimax().generator(FAKE), np.log(1 - sigmoid(FAKE)).mean(), rtol=1e-6)


def test_label_smoothing_weighs_both_terms():
    smooth = losses.non_saturating(real_label=0.9, fake_label=0.2)
    real, fake = sigmoid(REAL), sigmoid(FAKE)
    expected = (
        -(0.9 * np.log(real) + 0.1 * np.log(1 - real)).mean() - (0.2 * np.log(fake) + 0.8 * np.log(1 - fake)).mean()
    )
    np.testing.assert_allclose(smooth.discriminator(REAL, FAKE), expected, rtol=1e-6)


def test_one_sided_smoothing_makes_the_label_the_best_answer_on_real_data():
    gradient = jax.grad(losses.non_saturating(real_label=0.9).discriminator)
    best = math.log(0.9 / 0.1)
    np.testing.assert_allclose(gradient(jnp.full((4,), best), jnp.zeros(4)), 0.0, atol=1e-7)


def test_losses_and_gradients_stay_finite_and_exact_at_large_logits():
    loss = losses.non_saturating()
    value, gradients = jax.value_and_grad(loss.discriminator, argnums=(0, 1))(jnp.array([-200.0]), jnp.array([300.0]))
    assert value == 500.0
    assert gradients[0][0] == -1.0
    assert gradients[1][0] == 1.0
    # A tiny probability survives: d/dx softplus(-x) at 60 is -e^-60, which 1 - sigmoid would round to 0.
    np.testing.assert_allclose(jax.grad(loss.generator)(jnp.array([60.0])), -math.exp(-60), rtol=1e-5)


def test_saturating_gradient_vanishes_where_the_other_does_not():
    confident = jnp.array([-20.0])
    assert abs(jax.grad(losses.minimax().generator)(confident)[0]) < 1e-8
    assert abs(jax.grad(losses.non_saturating().generator)(confident)[0] + 1) < 1e-8


@pytest.mark.parametrize('name', list(losses.LOSSES))
def test_gradients_match_finite_differences(name, float64):
    loss = losses.LOSSES[name](real_label=0.9, fake_label=0.1)
    logits = np.concatenate([REAL, FAKE])

    def both(logits):
        return loss.discriminator(logits[:3], logits[3:]) + 1.7 * loss.generator(logits[3:])

    gradient, step = jax.grad(both)(jnp.asarray(logits)), 1e-6
    for i, direction in enumerate(np.eye(len(logits))):
        numeric = (both(logits + step * direction) - both(logits - step * direction)) / (2 * step)
        np.testing.assert_allclose(gradient[i], numeric, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize('name', list(losses.LOSSES))
def test_a_label_outside_0_to_1_is_refused(name):
    with pytest.raises(UserError, match=r'loss.real_label is 1.2, but a label is a probability'):
        losses.LOSSES[name](real_label=1.2)


def test_at_the_optimum_the_discriminator_is_the_density_ratio_and_the_value_minus_log_4(float64):
    """Goodfellow et al. 2014, proposition 1 and theorem 1, on a discrete game solved by Newton's method."""
    p_data, p_model = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.2, 0.1])

    def solve(p_model):
        # The loss of one atom is the loss of its logit; an expectation is their weighted sum.
        def value(logits):
            each = jax.vmap(
                lambda x, p, q: p * losses.binary_cross_entropy(x, 1.0) + q * losses.binary_cross_entropy(x, 0.0)
            )
            return each(logits, p_data, p_model).sum()

        logits = jnp.zeros(4)
        for _ in range(20):
            logits = logits - jax.grad(value)(logits) / jnp.diagonal(jax.hessian(value)(logits))
        return jax.nn.sigmoid(logits), -value(logits)

    best, _ = solve(p_model)
    np.testing.assert_allclose(best, p_data / (p_data + p_model), rtol=1e-9)
    best, value = solve(p_data)
    np.testing.assert_allclose(best, 0.5, rtol=1e-9)
    np.testing.assert_allclose(value, -math.log(4), rtol=1e-9)
