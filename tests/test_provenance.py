"""Runs whose data have changed since they were started."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from gan_jax import config, data
from gan_jax.errors import UserError
from gan_jax.main import main
from gan_jax.records import provenance

pytestmark = pytest.mark.usefixtures('quick_curves')

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'data.size': '8',
    'batch_size': '4',
    'parallel.devices': '1',
    'latents.size': '4',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'log_every': '2',
    'sample_every': '2',
    'checkpoint_every': '2',
    'samples': '4',
}


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder 'pictures' of eight images of two classes, in the current directory, and a cache of its own."""
    for i in range(8):
        path = tmp_path / f'pictures/{"ab"[i % 2]}/{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'pictures'


def run(path, duration, *more):
    overrides = [f'--config.{key}={value}' for key, value in {**SMALL, 'duration': str(duration)}.items()]
    return main(['--config', f'{ROOT}/configs/mlp.py:folder:{path}', '--workdir', 'run', *overrides, *more])


def facts():
    return json.loads(pathlib.Path('run/run.json').read_text())


def paint(path):
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(path)


def test_a_run_goes_on_with_changed_data_only_if_that_is_accepted_and_keeps_the_record(pictures, capsys):
    assert run('pictures', 2) == 0
    before = facts()['data']
    assert before['name'] == f'folder:{pictures}'  # from wherever it is read
    paint(pictures / 'a/0.png')
    config_file = pathlib.Path('run/config.json')
    config_file.write_text(config_file.read_text().replace('"duration": "2"', '"duration": "4"'))
    left = {path: path.read_bytes() for path in pathlib.Path('run').rglob('*') if path.is_file()}
    capsys.readouterr()
    assert run('pictures', 4) == 2
    told = capsys.readouterr().err
    changed = data.load(f'folder:{pictures}', size=8).fingerprint
    assert told.endswith(
        f"gan_jax: run contains a run on other data: 'folder:{pictures}' has changed in fingerprint "
        f'({before["fingerprint"][:8]} -> {changed[:8]}). Restore them, choose another --workdir, or continue '
        f'with the current data by --accept_config_changes.\n'
    )
    assert {path: path.read_bytes() for path in left} == left
    assert run('pictures', 4, '--accept_config_changes') == 0
    assert facts()['data']['fingerprint'] == changed
    assert facts()['former_data'] == [before | {'until_step': 2}]
    again = provenance.record('run', data.load(f'folder:{pictures}', size=8), step=4)
    assert again == {name: facts()[name] for name in ('data', 'former_data')}


def test_what_no_step_was_trained_on_is_not_kept(tmp_path):
    digits = record(tmp_path / 'run', examples=3)
    assert provenance.record(tmp_path / 'run', digits, step=0) == {'data': provenance.describe(digits)}


def test_a_run_goes_on_where_its_folder_has_been_moved(pictures, tmp_path):
    assert run('pictures', 2) == 0
    before = facts()['data']
    pictures.rename(tmp_path / 'moved')
    config_file = pathlib.Path('run/config.json')
    config_file.write_text(config_file.read_text().replace('"duration": "2"', '"duration": "4"'))
    assert run('moved', 4) == 0
    assert facts()['data'] == before | {'name': f'folder:{tmp_path}/moved'}
    assert 'former_data' not in facts()


def test_members_of_a_population_keep_to_their_data(pictures, capsys):
    before = provenance.describe(data.load(f'folder:{pictures}', size=8))
    paint(pictures / 'a/0.png')
    pathlib.Path('run/member-1').mkdir(parents=True)
    pathlib.Path('run/member-1/run.json').write_text(json.dumps({'data': before}))
    assert run('pictures', 2, '--config.population=2') == 2
    assert 'run/member-1 contains a run on other data' in capsys.readouterr().err


def record(path, **changes):
    """Leaves in a directory what a run of digits would."""
    digits = data.load('digits')
    path.mkdir()
    (path / 'run.json').write_text(json.dumps({'data': provenance.describe(digits) | changes}))
    return digits


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'examples': 3, 'classes': 2}, r'has changed in examples \(3 -> 1500\), classes \(2 -> 10\)\.'),
        ({'shape': [8, 8, 3]}, r'has changed in shape \(\[8, 8, 3\] -> \[8, 8, 1\]\)\.'),
        ({'class_names': ['a', 'b']}, r'has changed in class_names'),
    ],
)
def test_what_has_changed_is_named(tmp_path, changes, sentence):
    digits = record(tmp_path / 'run', **changes)
    with pytest.raises(UserError, match=sentence):
        provenance.check_same_data(tmp_path / 'run', [digits], accept_changes=False)
    provenance.check_same_data(tmp_path / 'run', [digits], accept_changes=True)


def test_a_record_of_an_earlier_version_lacks_what_it_lacks(tmp_path):
    digits = record(tmp_path / 'run')
    described = provenance.describe(digits)
    del described['class_names']
    (tmp_path / 'run/run.json').write_text(json.dumps({'data': described}))
    provenance.check_same_data(tmp_path / 'run', [digits], accept_changes=False)


@pytest.mark.parametrize(
    'content', ['', 'null', '[]', '{}', '{"data": 3}', '{"data": {}, "former_data": 3}', '{"data": {}, "phases": [3]}']
)
def test_a_damaged_record_gets_one_sentence(tmp_path, content):
    (tmp_path / 'run.json').write_text(content)
    with pytest.raises(
        UserError, match=r'run.json is damaged: .*\. Choose another --workdir, or remove the file to continue\.$'
    ):
        provenance.check_same_data(tmp_path, [data.load('digits')], accept_changes=True)


def test_nothing_is_compared_where_there_is_no_record(tmp_path):
    provenance.check_same_data(tmp_path / 'nowhere', [data.load('ring')], accept_changes=False)


def test_paths_in_a_config_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = {
        'data.cache': 'cache',
        'data.directory': '~/tfds',
        'evaluation.extractor': 'classifier:made/it.npz',
    }
    for name, absolute in (
        ('folder:a/b/', f'folder:{tmp_path}/a/b'),
        ('folder:~/x', f'folder:{os.path.expanduser("~")}/x'),
        ('stacked:folder:a', f'stacked:folder:{tmp_path}/a'),
        ('stacked:mnist', 'stacked:mnist'),
        ('mnist/config:1.0.0', 'mnist/config:1.0.0'),
    ):
        made = config.load(f'{ROOT}/configs/mlp.py:{name}', overrides)
        assert made.data.name == absolute
    assert made.data.cache == f'{tmp_path}/cache'
    assert made.data.directory == os.path.expanduser('~/tfds')
    assert made.evaluation.extractor == f'classifier:{tmp_path}/made/it.npz'


def test_a_run_of_a_relative_path_is_evaluated_from_elsewhere(pictures, tmp_path, monkeypatch, capsys):
    assert run('pictures', 2) == 0
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    options = ['--metrics=fid', '--num=16', '--extractor=tests.extractors:QUADRANTS']
    assert main(['--mode', 'eval', '--workdir', str(tmp_path / 'run'), *options]) == 0
    assert 'has changed' not in capsys.readouterr().err
    paint(pictures / 'a/0.png')
    assert main(['--mode', 'eval', '--workdir', str(tmp_path / 'run'), *options]) == 0
    assert (
        f"Since {tmp_path}/run was trained, 'folder:{pictures}' has changed in fingerprint" in capsys.readouterr().err
    )
    shutil.rmtree(pictures)
    assert main(['--mode', 'eval', '--workdir', str(tmp_path / 'run'), *options]) == 2


def test_a_run_of_few_labels_is_judged_by_all_of_them(pictures, capsys):
    assert run('pictures', 2, '--config.data.labels_per_class=2') == 0
    assert facts()['data']['groups']['labelled']['examples'] == 4
    options = ['--metrics=fid', '--num=16', '--extractor=tests.extractors:QUADRANTS']
    assert main(['--mode', 'eval', '--workdir', 'run', *options]) == 0
    assert 'has changed' not in capsys.readouterr().err
    paint(pictures / 'a/0.png')
    assert main(['--mode', 'eval', '--workdir', 'run', *options]) == 0
    assert 'has changed in fingerprint' in capsys.readouterr().err


def test_inputs_and_groups_are_told_and_compared():
    images = np.zeros((4, 2, 3, 1), np.uint8)

    def described(fingerprint, count):
        group = data.Dataset('other', 'train', images[:count], None, None, fingerprint)
        pairs = data.Dataset('pairs', 'train', images, None, None, 'f', inputs=images, groups={'a': group})
        return json.loads(json.dumps(provenance.describe(pairs)))

    before = described('abc', 4)
    assert before['input_shape'] == before['groups']['a']['shape'] == [2, 3, 1]
    assert provenance.differences(before, described('abc', 4)) == []
    assert provenance.differences(before, described('def', 3)) == ['a examples (4 -> 3)', 'a fingerprint (abc -> def)']
