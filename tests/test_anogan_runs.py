"""Runs of f-AnoGAN: the second phase keeps the first one's networks, and a stop in either phase loses no bit."""

import jax
import numpy as np
import pytest

from gan_jax import config
from gan_jax.errors import InterruptedRunError
from gan_jax.sampling.trained import load_run
from gan_jax.train import train
from tests import toy_experiments
from tests.contents import differences
from tests.test_loop import stop_at_look

ROLES = ('generator', 'discriminator', 'encoder')
SMALL = {f'{role}.widths': '(8,)' for role in ROLES} | {
    'earlier_phases': "('game.name=adversarial; evaluate=(); duration=6 steps; discriminator_steps=2',)",
    'duration': '6 steps',
    'batch_size': '8',
    **{f'{event}_every': '3 steps' for event in ('log', 'sample', 'checkpoint', 'evaluate')},
    'checkpoints.keep_last': '20',
    'samples': '6',
    'parallel.devices': '1',
}


def start(workdir, **overrides):
    with toy_experiments.without_pages():
        return train(config.load('anogan', SMALL | overrides), workdir)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('undisturbed')
    return workdir, start(workdir)


@pytest.mark.slow
def test_the_encoder_is_trained_for_the_networks_of_the_first_phase(undisturbed):
    workdir, state = undisturbed
    before = load_run(workdir, 6)
    assert set(state.players) == set(ROLES)
    jax.tree.map(np.testing.assert_array_equal, state.generator.params, before.generator.params)
    found = load_run(workdir)
    jax.tree.map(np.testing.assert_array_equal, found.discriminator.params, state.discriminator.params)
    assert 'eval/auroc' in (workdir / 'metrics.jsonl').read_text()


@pytest.mark.slow
@pytest.mark.parametrize('look', [4, 6, 8])  # in the first phase, at its end, in the second
def test_a_stop_loses_no_bit(undisturbed, tmp_path, monkeypatch, look):
    stop_at_look(monkeypatch, look)
    with pytest.raises(InterruptedRunError, match=f'is saved at step {look} of 12'):
        start(tmp_path, stretch_seconds='0.0')
    monkeypatch.undo()
    start(tmp_path)
    assert [path for path in differences(tmp_path, undisturbed[0]) if not path.endswith(f'checkpoints/{look}')] == []
