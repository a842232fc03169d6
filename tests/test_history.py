"""When runs started, stopped and went on: the records, and the words on the page."""

import json
import subprocess
import sys

import pytest

from gan_jax.pages import history, run_page, workdir
from gan_jax.records import lock, starts
from gan_jax.records.metrics import MetricsFile
from tests.page_tools import Tree, make_run

START = {'time': '2026-11-29T09:30:05+00:00', 'command': 'python x', 'commit': None, 'host': 'abacus'}


def test_a_start_has_its_command_commit_and_what_was_reached(tmp_path):
    metrics, file = MetricsFile(tmp_path / 'metrics.jsonl'), starts.starts_of(tmp_path)
    starts.add(tmp_path, 0)
    for step in (10, 20, 30):
        metrics.write(step, step / 10, {'generator/loss': 1.0})
    starts.add(tmp_path, 20)
    starts.add(tmp_path, 20, 'it became NaN')
    first, *others = file.read()
    assert (first['step'], first['reached'], first['diverged']) == (0, None, None)
    assert [(one['step'], one['reached'], one['diverged']) for one in others] == [
        (20, 30, None),
        (20, 30, 'it became NaN'),
    ]
    assert first['command'].startswith('python ')
    starts.add(tmp_path, 0)  # anew
    assert len(file.read()) == 1


@pytest.mark.parametrize(
    'damage', [{'time': 'noon'}, {'time': 5}, {'reached': 'x'}, {'command': None}, {'diverged': 1}]
)
def test_a_damaged_start_is_left_out(tmp_path, damage):
    path = make_run(tmp_path / 'run')
    whole = {**START, 'step': 0, 'reached': None, 'diverged': None}
    for record in (whole, whole | {'step': 1} | damage):
        starts.starts_of(path).append(record)
    (path / 'diverged.json').write_text('[')
    page = run_page.page(workdir.read(path))
    assert f'{path}/starts.jsonl is damaged: line 2 is not a record and is skipped.' in page
    assert f'{path}/diverged.json is damaged' in page
    assert 'Resumed' not in page


def test_a_start_at_an_earlier_step_is_the_last_one(tmp_path):
    path = make_run(tmp_path / 'run')
    for minute, step in enumerate((0, 400, 300)):  # the checkpoint of step 400 is damaged meanwhile
        start = {**START, 'time': f'2026-11-29T09:3{minute}:00+00:00', 'command': f'python {minute}'}
        starts.starts_of(path).append({**start, 'step': step, 'reached': 450, 'diverged': None})
    run = workdir.read(path)
    assert [start['step'] for start in run.starts] == [0, 400, 300]
    assert ('command', 'python 2') in history.facts(run)


def test_the_commit_is_that_of_the_working_directory(tmp_path):
    script = 'import sys; from gan_jax.records import starts; starts.add(sys.argv[1], 0)'

    def commit():
        subprocess.run([sys.executable, '-c', script, str(tmp_path / 'run')], cwd=tmp_path, check=True)
        return json.loads((tmp_path / 'run' / 'starts.jsonl').read_text())['commit']

    assert commit() is None
    git = ['git', '-C', str(tmp_path), '-c', 'user.name=x', '-c', 'user.email=x']
    (tmp_path / 'file').touch()
    for command in (['init', '-q'], ['add', 'file'], ['commit', '-q', '-m', 'x']):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True).stdout.strip()
    assert commit() == head
    (tmp_path / 'file').write_text('changed')
    assert commit() == f'{head}-dirty'


@pytest.mark.parametrize(
    ('reached', 'diverged', 'sentence'),
    [
        (450, None, 'Resumed from step 400 (2026-11-29 09:30 UTC). The run was killed after step 450.'),
        (400, None, 'Resumed from step 400 (2026-11-29 09:30 UTC). The run was stopped there.'),
        (450, 'x became NaN', 'Resumed from step 400 (2026-11-29 09:30 UTC). The run had diverged: x became NaN.'),
    ],
)
def test_why_a_run_had_to_go_on(reached, diverged, sentence):
    assert history.resumption({**START, 'step': 400, 'reached': reached, 'diverged': diverged}) == sentence


def test_the_page_says_in_what_state_a_run_is(tmp_path):
    path = make_run(tmp_path / 'run', steps=(10, 20))

    def above():
        return run_page.page(workdir.read(path)).partition('<h2>')[0].partition('<h1>')[2]

    assert 'Stopped after step 20, before the end. Run the same command to resume.' in above()
    with lock.exclusive(path):
        assert 'In training when this page was written, <time datetime="20' in above()
        assert 'Stopped after step 20' in run_page.write(path, stopped=True).read_text()
    file = starts.starts_of(path)
    for record in ({'step': 0, 'reached': None}, {'step': 10, 'reached': 15}, {'step': 15, 'reached': 15}):
        file.append({**START, **record, 'diverged': None})
    tree = Tree(run_page.page(workdir.read(path)))
    assert 'Resumed 2 times' in tree.texts('summary')
    assert tree.texts('li')[0].endswith('The run was killed after step 15.')
    cells = tree.texts('td')
    assert cells[cells.index('started') + 1] == '2026-11-29 09:30 UTC on abacus'
    assert cells[cells.index('command') + 1] == 'python x'
    (path / 'diverged.json').write_text('{"reason": "x became NaN in step 21"}')
    assert 'Diverged and stopped: x became NaN in step 21.' in above()
    assert 'Stopped after' not in above()
    (path / 'diverged.json').unlink()
    MetricsFile(path / 'metrics.jsonl').write(30, 3.0, {'generator/loss': 1.0})
    assert 'Stopped' not in above()
