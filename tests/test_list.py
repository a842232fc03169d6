"""The lists of what there is, and configs with comments."""

import ast
import re
import subprocess
import sys

import pytest

from gan_jax import config as configs
from gan_jax.docstrings import entries, summary
from gan_jax.evaluation.metrics import METRICS
from gan_jax.losses import LOSSES
from gan_jax.terms import PENALTIES
from gan_jax.values import flat
from tools import list as lists

CONFIGS = sorted((lists.ROOT / 'configs').glob('*.py'))


class Base:
    """A base.

    Attributes:
        first: of two. A second sentence.
        second: said
            over two lines; 0: off.
    """


class Derived(Base):
    """A class.

    More of it.

    Attributes:
        second: said again.
    """


def test_a_docstring_gives_a_summary_and_a_line_for_each_option():
    assert summary(Derived) == 'A class'
    assert entries(Base) == {'first': 'of two. A second sentence', 'second': 'said over two lines; 0: off'}
    assert entries(Derived) == {'first': 'of two. A second sentence', 'second': 'said again'}


@pytest.mark.parametrize('section', lists.SECTIONS)
def test_each_name_of_a_section_has_a_line(section):
    found = lists.SECTIONS[section][1]()
    assert found
    assert [name for name, line in found.items() if not line] == []


def test_the_sections_are_the_registries():
    for section, names in {'losses': LOSSES, 'penalties': PENALTIES, 'metrics': METRICS}.items():
        assert set(lists.SECTIONS[section][1]()) == set(names)
    assert set(lists.SECTIONS['configs'][1]()) == {path.stem for path in CONFIGS}


def test_prepared_data_sets_are_listed_with_their_splits(tmp_path, monkeypatch):
    splits = '[{"name": "train", "shardLengths": ["1000", "500"]}, {"name": "test", "shardLengths": ["20"]}]'
    for name, form in (('faces/small/1.0.0', 'array_record'), ('old/1.0.0', 'tfrecord')):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / 'dataset_info.json').write_text(f'{{"fileFormat": "{form}", "splits": {splits}}}')
    for number, damaged in enumerate(('{', '[]', '{"fileFormat": "array_record"}')):
        (tmp_path / f'damaged{number}/1.0.0').mkdir(parents=True)
        (tmp_path / f'damaged{number}/1.0.0/dataset_info.json').write_text(damaged)
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    found = lists.SECTIONS['data'][1]()
    assert found['faces/small'] == 'train 1,500, test 20'
    assert not {'old', 'damaged0', 'damaged1', 'damaged2'} & set(found)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_each_key_of_a_config_is_printed_with_its_value_and_a_comment(path):
    config = configs.load(str(path))
    rows = re.findall(r'^([\w.]+) = (.*?) +# (.+)$', lists.explained(config), re.MULTILINE)
    assert {key: ast.literal_eval(value) for key, value, _ in rows} == flat(config)
    assert [key for key, _, comment in rows if comment[0] in '[('] == []


def test_values_of_the_recipe_are_told_from_defaults(capsys):
    command = ['--config', str(lists.ROOT / 'configs/dcgan.py'), '--config.batch_size=32']
    assert lists.main(command) == 0
    text = capsys.readouterr().out
    assert re.search(r"^loss.real_label = 0.9 +# the discriminator's target on real examples", text, re.MULTILINE)
    assert re.search(r'^batch_size = 32 +# global batch size, over all devices \[default: 64\]$', text, re.MULTILINE)
    assert re.search(r'^seed = 0 +# seed of initial parameters[^[]*$', text, re.MULTILINE)


def test_sections_can_be_chosen(capsys):
    assert lists.main(['optimizers', 'losses']) == 0
    text = capsys.readouterr().out
    assert re.findall(r'^\w+', text, re.MULTILINE) == ['optimizers', 'losses']
    with pytest.raises(SystemExit):
        lists.main(['loses'])
    assert "there is no section 'loses': choose from configs, models" in capsys.readouterr().err


def test_a_reader_may_stop_early():
    command = [sys.executable, '-m', 'gan_jax.tools.list', 'configs']
    with subprocess.Popen(command, cwd=lists.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b''
    assert process.returncode == 0
