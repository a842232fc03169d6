"""The rotation of a DCGAN: its measurements at toy size, and the summary of eigenvalues."""

import json

import numpy as np
import pytest

from experiments.rotation import __main__ as experiment
from experiments.rotation.measures import EIGENVALUES, SHARES, summary


def test_a_summary_by_hand():
    record = {'eigenvalues': {'5': [[3.0, 4.0], [3.0, -4.0], [-1.0, 0.0], [1.0, 0.05]]}}
    assert summary(record) == {
        '5': {
            'largest magnitude': 5.0,
            'smallest real part': -1.0,
            'largest imaginary part': 4.0,
            'share that rotates': 0.5,
        }
    }


def test_no_seeds_are_refused(capsys):
    with pytest.raises(SystemExit):
        experiment.main(['--seeds', '0'])
    assert 'it must be at least 1' in capsys.readouterr().err


@pytest.mark.slow
def test_at_toy_size_every_stage_is_measured(tmp_path):
    overrides = ['generator.width=2', 'discriminator.width=2', 'batch_size=8', 'duration=20 steps']
    argv = ['--seeds=1', f'--out={tmp_path}', *(f'--config.{one}' for one in overrides)]
    assert experiment.main(argv) == 0
    records = json.loads((tmp_path / 'results.json').read_text())['records']
    assert list(records) == list(experiment.ARMS)
    for (record,) in records.values():
        assert list(record['eigenvalues']) == ['0', '1', '5', '20']
        for pairs in record['eigenvalues'].values():
            values = np.array(pairs) @ [1, 1j]
            assert len(values) == EIGENVALUES
            np.testing.assert_allclose(np.sort_complex(values)[0], np.sort_complex(values.conj())[0], rtol=1e-3)
        assert len(record['angle']) == len(record['norm']) == len(SHARES)
        assert np.abs(record['angle']).max() <= 1
    for name in ('table.md', 'eigenvalues.png'):
        assert (tmp_path / name).stat().st_size > 500
