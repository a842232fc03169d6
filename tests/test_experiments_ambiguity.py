"""The experiment on CAN: its arms, images that nobody trained, and a toy run."""

import json

import numpy as np
import pytest

from experiments import sweep
from experiments.ambiguity import __main__ as experiment
from experiments.ambiguity.__main__ import ARMS, FULL, references
from gan_jax import build, data
from tests import toy_experiments


@pytest.mark.parametrize('arms', [ARMS, FULL])
def test_arms_have_equal_networks_and_optimisers(arms):
    options = sweep.parse('ambiguity', '', [])
    made = {name: sweep.config_of(arm, options) for name, arm in arms.items()}
    plain = made['DCGAN']
    for config in made.values():
        for key in ('generator_optimizer', 'discriminator_optimizer', 'batch_size', 'duration', 'latents', 'loss'):
            assert config[key] == plain[key], key
        for player in ('generator', 'discriminator'):
            assert config[player].width == plain[player].width
        assert config.discriminator.dropout == 0
        build.make_game(config, (28, 28, 1), num_classes=10)
    assert (made['CAN'].game.target, made['CAN, uniform target'].game.target) == ('binary', 'uniform')


def test_references_are_real_images_means_of_two_classes_and_noise():
    real = data.load('digits')
    found = references(real, 50)
    known = {image.tobytes(): label for image, label in zip(real.examples, real.labels, strict=True)}
    first, mean, noise = found.values()
    assert all(image.tobytes() in known for image in first)
    assert first.shape == mean.shape == noise.shape == (50, *real.shape)
    assert not any(image.tobytes() in known for image in (*mean, *noise))
    others = 2 * mean.astype(int) - first  # to rounding
    assert others.min() >= -1
    assert np.abs(others - first).max(axis=(1, 2, 3)).min() > 20  # another image


@pytest.mark.slow
def test_at_toy_size_arms_and_references_are_in_the_table(tmp_path):
    arms = {'DCGAN': sweep.Arm(toy_experiments.RECIPE)}
    changes = {
        'evaluate': 'fid,class_entropy',
        'evaluation.extractor': 'tests.test_experiments_conditional:BRIGHTEST_ROW',
        'data.size': '16',
    }
    toy_experiments.run(experiment, tmp_path, arms, changes)
    record = json.loads((tmp_path / 'results/results.json').read_text())
    assert list(record['values']) == ['DCGAN', 'real training images', 'mean of two classes', 'uniform noise']
    entropies = {name: columns['class_entropy'][0] for name, columns in record['values'].items()}
    assert all(0 < value <= np.log(10) for value in entropies.values())
    distances = {name: columns['fid'][0] for name, columns in record['values'].items()}
    assert distances['uniform noise'] > distances['real training images']
    assert 'real images' in record['protocols']['class_entropy']
    for name in ('table.md', 'curves.png', 'dcgan.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 300
