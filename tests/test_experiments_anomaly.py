"""The experiment on left-out digits: its arms, its table, and a toy run."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import results, sweep
from experiments.anomaly import __main__ as experiment
from experiments.anomaly import search as anogan
from experiments.anomaly.search import search, searched_auroc
from gan_jax.config import json_values
from tests import toy_experiments


@pytest.mark.parametrize('arms', [experiment.ARMS, experiment.FULL])
def test_arms_differ_in_the_digit_that_is_left_out(arms):
    options = sweep.parse('anomaly', '', [])
    made = [sweep.config_of(arm, options) for arm in arms.values()]
    assert [config.data.left_out for config in made] == [str(digit) for digit in range(10)]
    changed = json_values.differences(made[0].to_dict(), made[5].to_dict())
    assert changed == ["data.left_out ('0' -> '5')"]


def test_the_last_row_is_the_mean_over_the_digits(tmp_path):
    def finished(*values):
        names = [f'eval/{metric}' for metric in experiment.METRICS]
        return results.Finished(tmp_path, [{'kimg': 1, **dict(zip(names, values, strict=True))}], {})

    arms = {'a': [finished(0.5, 0.7, 1.0), finished(0.6, 0.7, 1.0)], 'b': [finished(0.7, 0.9, 0.5)] * 2}
    found = experiment.tabulate(arms, lambda workdir: 0.25)
    assert found['b']['auroc_image'] == [0.9, 0.9]
    assert found['mean']['auroc'] == pytest.approx([0.6, 0.65])
    assert found['mean']['auroc_neighbour'] == pytest.approx([0.75, 0.75])
    assert found['b']['auroc_search'] == found['mean']['auroc_search'] == [0.25, 0.25]


@pytest.mark.parametrize('at_once', [500, 2])
def test_the_search_finds_the_nearest_image_that_the_generator_makes(at_once, monkeypatch):
    """The generator makes the plane of the first two of three pixels, and the features are ten times the pixels."""
    monkeypatch.setattr(anogan, 'AT_ONCE', at_once)
    images = np.array([[0.3, -0.8, 0.0], [0.1, 0.2, 0.5], [-0.6, 0.4, -0.2]], np.float32)
    found = search(lambda z: jnp.pad(z, ((0, 0), (0, 1))), lambda x: 10 * x, jnp.zeros((3, 2)), jnp.asarray(images))
    np.testing.assert_allclose(found, (0.9 + 0.1 * 10) * np.abs(images[:, 2]), atol=0.1)


def test_a_run_without_a_checkpoint_has_no_area(tmp_path):
    assert math.isnan(searched_auroc(tmp_path))


def test_at_toy_size_all_files_are_written(tmp_path):
    arms = {'without 0': sweep.Arm(toy_experiments.RECIPE, {'data.left_out': '0'})}
    toy_experiments.run(experiment, tmp_path, arms, {})
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == ['without 0', 'mean']
    assert values['mean']['auroc'] == values['mean']['auroc_search'] == [None]  # a game without scores
    for name in ('table.md', 'curves.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 200
