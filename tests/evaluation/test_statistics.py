"""Statistics mu and sigma in a file: written and read as pytorch-fid and clean-fid do, and judged by."""

import json

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluate import main
from gan_jax.evaluation.fid import fid
from gan_jax.evaluation.moments import Moments
from gan_jax.evaluation.statistics import is_statistics, read_statistics, write_statistics
from tests.extractors import QUADRANTS, look
from tools import save_statistics

EXTRACTOR = '--extractor=tests.extractors:QUADRANTS'
FEATURES = np.random.default_rng(0).standard_normal((40, 4))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Images of two sets, and the statistics of both as pytorch-fid writes them."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    random = np.random.default_rng(0)
    sets = {'real': random.integers(0, 256, (40, 2, 2, 1)), 'fake': random.integers(0, 200, (30, 2, 2, 1))}
    for name, images in sets.items():
        sets[name] = images.repeat(4, 1).repeat(4, 2).astype(np.uint8)
        np.savez(tmp_path / f'{name}.npz', sets[name])
        features = np.asarray(look(sets[name]).features, np.float64)
        mu, sigma = features.mean(axis=0), np.cov(features, rowvar=False)
        np.savez_compressed(tmp_path / f'{name}_statistics.npz', mu=mu, sigma=sigma)
    expected = fid(*(np.asarray(look(sets[name]).features) for name in ('real', 'fake'))).value
    return tmp_path, expected


def evaluated(directory, *arguments):
    code = main(
        [*(str(directory / a) if a.endswith('.npz') else a for a in arguments), '--output', str(directory / 'o')]
    )
    return code, json.loads((directory / 'o').read_text()) if (directory / 'o').exists() else None


@pytest.mark.parametrize(
    ('fakes', 'reals'),
    [('fake', 'real_statistics'), ('fake_statistics', 'real'), ('fake_statistics', 'real_statistics')],
)
def test_statistics_stand_on_either_side_of_fid(files, fakes, reals):
    directory, expected = files
    extractor = [] if fakes.endswith('statistics') and reals.endswith('statistics') else [EXTRACTOR]
    code, records = evaluated(directory, f'{fakes}.npz', f'{reals}.npz', '--metrics=fid', *extractor)
    assert code == 0
    assert records[0]['value'] == pytest.approx(expected, rel=1e-6)
    protocol = records[0]['protocol']
    if reals == 'real_statistics':
        assert protocol['reals'].startswith('statistics in real_statistics.npz, 4 features (')
    if fakes == 'fake_statistics':
        assert protocol['fakes'].startswith('statistics in fake_statistics.npz, 4 features (')
    assert protocol['extractor'] == ('quadrants (version 1)' if extractor else 'none')


def test_other_metrics_say_what_they_lack_and_fid_infinity_needs_no_real_images(files, capsys):
    directory, _ = files
    metrics = '--metrics=fid,kid,fid_infinity'
    code, found = evaluated(directory, 'fake.npz', 'real_statistics.npz', metrics, EXTRACTOR)
    assert code != 0
    by_name = {record['metric']: record for record in found}
    assert 'the file contains only their mean and covariance.' in by_name['kid']['failure']
    assert 'value' in by_name['fid']
    assert 'value' in by_name['fid_infinity']


def test_statistics_of_another_extractor_get_one_sentence(files, capsys):
    directory, _ = files
    np.savez(directory / 'wide.npz', mu=np.zeros(5), sigma=np.eye(5))
    assert evaluated(directory, 'fake.npz', 'wide.npz', '--metrics=fid', EXTRACTOR)[0] != 0
    captured = capsys.readouterr()
    assert 'have 5 and 4 dimensions: use the same extractor for both.' in captured.out + captured.err


def test_an_extractor_for_statistics_alone_is_refused(files, capsys):
    directory, _ = files
    assert evaluated(directory, 'fake_statistics.npz', 'real_statistics.npz', '--metrics=fid', EXTRACTOR)[0] == 2
    assert (
        '--extractor has no effect here: it is not used, because both sides are statistics' in capsys.readouterr().err
    )


def test_what_is_written_is_read_by_the_names_of_pytorch_fid(tmp_path):
    write_statistics(tmp_path / 'a.npz', Moments.of(FEATURES))
    with np.load(tmp_path / 'a.npz') as file:
        assert sorted(file.files) == ['mu', 'sigma']
        np.testing.assert_allclose(file['mu'], FEATURES.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(file['sigma'], np.cov(FEATURES, rowvar=False), rtol=1e-12)
    assert is_statistics(tmp_path / 'a.npz')
    read = read_statistics(tmp_path / 'a.npz')
    write_statistics(tmp_path / 'b.npz', read)
    np.testing.assert_array_equal(read_statistics(tmp_path / 'b.npz').covariance, read.covariance)


def test_the_tool_writes_the_statistics_of_images(files, capsys):
    directory, _ = files
    code = save_statistics.main([str(directory / 'real.npz'), str(directory / 'made.npz'), EXTRACTOR])
    assert code == 0
    assert QUADRANTS.name in capsys.readouterr().out
    made, given = (read_statistics(directory / name) for name in ('made.npz', 'real_statistics.npz'))
    np.testing.assert_allclose(made.mean, given.mean, rtol=1e-6)
    np.testing.assert_allclose(made.covariance, given.covariance, rtol=1e-5, atol=1e-9)


def test_images_beside_statistics_are_taken_as_images(tmp_path):
    np.savez(tmp_path / 'adm.npz', arr_0=np.zeros((2, 4, 4, 3), np.uint8), mu=np.zeros(3), sigma=np.eye(3))
    assert not is_statistics(tmp_path / 'adm.npz')
    assert not is_statistics(tmp_path / 'gone.npz')


@pytest.mark.parametrize(
    ('mu', 'sigma', 'sentence'),
    [
        (np.zeros(3), np.eye(4), r'mu float64\[3\] and sigma float64\[4, 4\]; statistics are a mean'),
        (np.zeros((3, 1)), np.eye(3), 'statistics are a mean'),
        (np.array([np.nan, 0]), np.eye(2), 'not all finite numbers'),
        (np.zeros(2, complex), np.eye(2), 'not all finite numbers'),
        (np.zeros(2), np.array([[1.0, 0.5], [0, 1]]), 'must be symmetric'),
        (np.zeros(2), -np.eye(2), 'variances of at least 0'),
        (np.array(['a', 'b']), np.eye(2), 'not all finite numbers'),
        (np.array([None, None]), np.eye(2), 'cannot be read as statistics'),
    ],
)
def test_what_are_no_statistics_gets_one_sentence(tmp_path, mu, sigma, sentence):
    np.savez(tmp_path / 'a.npz', mu=mu, sigma=sigma)
    with pytest.raises(UserError, match=sentence):
        read_statistics(tmp_path / 'a.npz')
