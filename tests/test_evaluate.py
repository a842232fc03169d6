"""`python -m gan_jax.evaluate` on files of any origin; runs are evaluated in test_train."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_jax.evaluate import main

EXTRACTOR = '--extractor=tests.extractors:QUADRANTS'


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 2, 2, 1)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    np.savez(tmp_path / 'real.npz', images)
    np.savez(tmp_path / 'dark.npz', images=images // 2)
    (tmp_path / 'folder').mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / 'folder' / f'{i}.png')
    return tmp_path


def evaluate(files, *arguments, output='out.json'):
    code = main([*map(str, arguments), EXTRACTOR, '--output', str(files / output)])
    return code, json.loads((files / output).read_text()) if code == 0 else None


def test_files_are_judged_by_files_and_the_result_is_a_table_and_json(files, capsys):
    code, records = evaluate(files, files / 'dark.npz', files / 'real.npz', '--metrics', 'fid,precision_recall')
    assert code == 0
    assert [record['metric'] for record in records] == ['fid', 'precision', 'recall']
    assert records[0]['value'] > 0.01
    assert records[0]['protocol']['reals'].startswith('40 of real.npz all 8x8x1')
    output = capsys.readouterr().out
    assert f'{records[0]["value"]:.6g}' in output
    assert 'extractor: quadrants (version 1)' in output


def test_a_directory_of_the_same_images_is_the_same(files):
    code, records = evaluate(files, files / 'folder', files / 'real.npz', '--metrics=fid,kid')
    assert code == 0
    assert records[0]['value'] == pytest.approx(0, abs=1e-12)


def test_two_results_are_compared_if_they_may_be(files, capsys):
    for name, fakes, reals in (('a', 'dark', 'real'), ('b', 'real', 'real'), ('c', 'dark', 'dark')):
        evaluate(files, files / f'{fakes}.npz', files / f'{reals}.npz', '--metrics=fid', output=f'{name}.json')
    capsys.readouterr()
    assert main([str(files / 'a.json'), str(files / 'b.json')]) == 0
    assert 'not comparable' not in capsys.readouterr().out
    assert main([str(files / 'a.json'), str(files / 'c.json')]) == 0
    assert 'not comparable: reals (40 of real.npz' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['real.npz'], 'is not the directory of a run, and no real images are named to judge it by.'),
        (['real.npz', 'real.npz', '--num=0'], '--num is 0; it must be at least 2'),
        (['real.npz', 'real.npz', '--seed=-1'], '--seed is -1; it must be a whole number'),
        (['real.npz', 'gone.npz'], 'cannot be read as a NumPy file'),
        (['real.npz', 'no_such_data'], 'no_such_data'),
        (['real.npz', 'digits@tset'], 'tset'),
        (['real.npz', 'real.npz', '--metrics=fdi'], "There is no metric 'fdi': did you mean 'fid'"),
        (['real.npz', 'real.npz', '--extractor=xception'], "There is no extractor 'xception': write auto, inception"),
        (['real.npz', 'real.npz', '--extractor=json:dumps'], 'json:dumps is not a gan_jax'),
        (['real.npz', 'real.npz', '--extractor=no.such:thing'], 'cannot be imported'),
        (['real.npz', 'real.npz', '--extractor=inception'], 'tools.convert_inception'),
        (['real.npz', 'real.npz', '--extractor=classifier:mnist'], 'tools.train_classifier mnist'),
        (['real.npz', 'real.npz', '--extractor=auto'], 'There is nothing to look at images of'),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(files, arguments, sentence, capsys):
    paths = [str(files / argument) if argument.endswith('.npz') else argument for argument in arguments]
    extractor = [] if any('extractor' in argument for argument in arguments) else [EXTRACTOR]
    assert main([*paths, *extractor, '--output', str(files / 'out.json')]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('gan_jax: ')]
    assert sentence in line
    assert not (files / 'out.json').exists()
