"""The Dirac-GAN: measured eigenvalues against the closed forms, and whether training converges."""

import json

import jax
import numpy as np
import pytest

from experiments.dirac import __main__ as experiment
from experiments.dirac.methods import METHODS, NOISE

EXACT = [name for name, method in METHODS.items() if method.linear is not None and name != 'instance noise']
QUICK = ('gradient penalty (R1)',)


def marked(names):
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


@pytest.mark.parametrize('name', marked(EXACT))
def test_eigenvalues_of_the_field_and_of_a_round_are_the_closed_forms(name):
    method = METHODS[name]
    with jax.enable_x64(True):
        found = experiment.measured_eigenvalues(method)
        radii = {order: experiment.measured_radius(method, order) for order in method.orders()}
    np.testing.assert_allclose(np.poly(found), np.poly(method.field_eigenvalues()), atol=1e-5)
    # A double eigenvalue is off by the root of the rounding error of the penalty, whose critic is float32.
    rtol = 2e-5 if name == 'critical gradient penalty' else 1e-6
    for order, radius in radii.items():
        np.testing.assert_allclose(radius, method.round_radius(order), rtol=rtol)


def test_closed_forms_are_those_of_the_paper():
    """Mescheder et al. 2018, lemmas on the Dirac-GAN, with f'(0) = 1/2 and f''(0) = -1/4."""
    gamma = 0.3
    expected = {
        'GAN': [0.5j, -0.5j],
        'WGAN': [1j, -1j],
        'instance noise': -(NOISE**2) / 4 + np.sqrt(NOISE**4 / 16 - 0.25 + 0j) * np.array([1, -1]),
        'gradient penalty (R1)': -gamma / 2 + np.sqrt(gamma**2 / 4 - 0.25 + 0j) * np.array([1, -1]),
        'critical gradient penalty': [-0.5, -0.5],
        'consensus optimisation': -gamma / 4 + 0.5j * np.array([1, -1]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(np.poly(METHODS[name].field_eigenvalues()), np.poly(values), atol=1e-12)
    assert METHODS['GAN'].round_radius('alternating') == pytest.approx(1, abs=1e-6)
    assert METHODS['GAN'].round_radius('simultaneous') == pytest.approx(np.sqrt(1 + 0.05**2), rel=1e-9)


@pytest.mark.slow
def test_what_is_published_as_convergent_converges_and_nothing_else(tmp_path):
    experiment.run(tmp_path)
    record = json.loads((tmp_path / 'results.json').read_text())['methods']
    assert list(record) == list(METHODS)
    for name, one in record.items():
        least = min(one[order]['distance'] for order in ('simultaneous', 'alternating') if order in one)
        if one['published'] is not None:
            assert (least < 0.1) == one['published'], name
    for name in ('table.md', 'fields.png'):
        assert (tmp_path / name).stat().st_size > 500
