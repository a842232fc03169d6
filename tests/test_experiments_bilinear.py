"""The bilinear game: the factor of a round in closed form, from the Jacobian of the step, and from a training."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.bilinear import __main__ as experiment
from experiments.bilinear.methods import METHODS, SINGULAR_VALUES, SIZE, bilinear_game, matrix
from gan_jax import steps
from gan_jax.dynamics.spectrum import eigenvalues, round_jacobian

RATE = 0.3
CLOSED = [name for name, method in METHODS.items() if method.polynomial is not None]


def test_the_game_has_its_singular_values():
    np.testing.assert_allclose(np.linalg.svd(matrix(), compute_uv=False), SINGULAR_VALUES[::-1], rtol=1e-9)


@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=() if name == 'optimism' else pytest.mark.slow) for name in CLOSED]
)
def test_the_closed_form_is_the_largest_eigenvalue_of_a_round(name):
    method = METHODS[name]
    with jax.enable_x64(True):
        optimizers = dict.fromkeys(('generator', 'discriminator'), method.optimizer(RATE))
        state = steps.init_state(bilinear_game(), optimizers, jax.random.key(0))
        step = steps.make_train_step(bilinear_game(), optimizers, play=method.play(RATE))
        batch = {'real': jnp.zeros((1, SIZE))}
        state, _ = jax.jit(step)(state, batch)  # optimism begins with the second round
        found = eigenvalues(round_jacobian(step, state, batch))
    np.testing.assert_allclose(np.abs(found).max(), method.radius(RATE), rtol=1e-6)


def test_rates_of_the_papers():
    """Gidel et al. 2019: factors of the squared distance for one singular value s, here the one that decides."""
    for name, factor in (
        ('simultaneous', 1 + (RATE * 1.0) ** 2),
        ('alternating', 1.0),
        ('extragradient', 1 - (RATE * 0.5) ** 2 + (RATE * 0.5) ** 4),
        ('competitive', 1 / (1 + (RATE * 0.5) ** 2)),
    ):
        assert METHODS[name].radius(RATE) ** 2 == pytest.approx(factor, rel=1e-9)
    assert (
        METHODS['negative momentum, simultaneous'].radius(RATE)
        > 1
        > METHODS['negative momentum, alternating'].radius(RATE)
    )


@pytest.mark.slow
def test_trainings_descend_by_the_factor_of_theory(tmp_path):
    experiment.run(tmp_path)
    record = json.loads((tmp_path / 'results.json').read_text())['methods']
    assert list(record) == list(METHODS)
    for name in CLOSED:
        one = record[name]
        assert one['measured'] == pytest.approx(one['theory'], abs=4e-3), name
    for name in ('table.md', 'distances.png'):
        assert (tmp_path / name).stat().st_size > 500
