"""The experiment on codes: its arms are the published recipes; a toy run."""

import json

from experiments import sweep
from experiments.codes import __main__ as experiment
from gan_jax import config as configs
from tests import toy_experiments


def test_arms_are_the_published_recipes():
    options = sweep.parse('codes', '', [])
    infogan, bigan = (sweep.config_of(arm, options) for arm in experiment.ARMS.values())
    assert {config.data.name for config in (infogan, bigan)} == {'mnist'}
    assert {(config.batch_size, config.population, config.evaluation.split) for config in (infogan, bigan)} == {
        (128, 3, 'test')
    }
    assert (infogan.latents.size, infogan.evaluate, configs.steps(infogan, 'duration')) == (74, ('class_error',), 5000)
    bigan.data.examples = 60_000
    assert (bigan.latents.size, bigan.encoder.widths) == (50, (1024, 1024))
    assert configs.steps(bigan, 'duration') == 400 * 60_000 / 128


def test_at_toy_size_arms_are_in_table_and_pictures(tmp_path):
    arms = {'InfoGAN': sweep.Arm(toy_experiments.RECIPE)}
    toy_experiments.run(experiment, tmp_path, arms, {})
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert values['InfoGAN'] == {metric: [None] for metric in experiment.METRICS}
    for name in ('table.md', 'curves.png', 'infogan.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 200
