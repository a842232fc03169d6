"""Records of a run: lines that are whole, rewound and on a full disk; TensorBoard events; the progress line."""

import io
import json
import os
import struct
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from experiments import results
from gan_jax import build, config
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation.record import Evaluation, Failure, Record
from gan_jax.pages import workdir
from gan_jax.records.metrics import MetricsFile, evaluations_of, metrics_of, timing_of
from gan_jax.records.progress import Progress
from gan_jax.records.tensorboard import TensorBoard
from gan_jax.records.writers import Writers
from gan_jax.training import run

FULL_DISK = r'{path} cannot be written \(No space left on device\): free some space or change the permissions, then '


def test_a_record_is_one_line_of_strict_json(tmp_path):
    file = MetricsFile(tmp_path / 'run' / 'metrics.jsonl')
    assert file.read() == []
    file.write(50, 3.2, {'generator/loss': 0.5, 'fid': float('nan'), 'kid': float('-inf')})
    file.write(np.int64(100), 6.4, {'generator/loss': np.float32(0.25)})
    assert file.path.read_text() == (
        '{"step": 50, "kimg": 3.2, "generator/loss": 0.5, "fid": null, "kid": null}\n'
        '{"step": 100, "kimg": 6.4, "generator/loss": 0.25}\n'
    )
    assert file.read()[1] == {'step': 100, 'kimg': 6.4, 'generator/loss': 0.25}


@pytest.mark.parametrize('torn', ['', '{"step": 50, "ki', '{"step": 50, "kimg": 3.2}'], ids=['whole', 'torn', 'no end'])
def test_a_resumed_file_equals_that_of_a_run_never_stopped(tmp_path, torn):
    straight, resumed = MetricsFile(tmp_path / 'straight'), MetricsFile(tmp_path / 'resumed')
    for step in (10, 20, 30, 40, 50):
        straight.write(step, step / 10, {'loss': step / 7})
    for step in (10, 20, 30, 40):
        resumed.write(step, step / 10, {'loss': step / 7})
    with open(resumed.path, 'a') as stream:
        stream.write(torn)
    assert [record['step'] for record in resumed.read()] == [10, 20, 30, 40]
    resumed.rewind(20)
    for step in (30, 40, 50):
        resumed.write(step, step / 10, {'loss': step / 7})
    assert resumed.path.read_bytes() == straight.path.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ['resumed', 'straight']


NO_RECORDS = ['not json', '5', 'null', '[]', '{}', '{"step": "1"}', '{"step": true}', '[' * 100_000, '\\xff']


@pytest.mark.parametrize('line', NO_RECORDS)
def test_a_line_that_is_no_record_is_left_out_with_a_warning(tmp_path, line):
    file = MetricsFile(tmp_path / 'metrics.jsonl')
    file.path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    sentence = rf'^{file.path} is damaged: line 2 is not a record and is skipped\.$'
    with pytest.warns(UserWarning, match=sentence):
        assert [record['step'] for record in file.read()] == [1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # what follows the checkpoint is dropped anyway
        file.rewind(1)
    assert file.path.read_text() == '{"step": 1}\n'

    file.path.write_text(f'{line}\n{line}\n{{"step": 2}}\n')
    with pytest.warns(UserWarning, match=r'is damaged: lines 1, 2 are not records and are skipped\.$'):
        file.rewind(2)
    assert file.path.read_text() == '{"step": 2}\n'


@pytest.mark.parametrize(
    ('file_of', 'whole', 'damaged'),
    [
        (metrics_of, '"kimg": 1.0, "fid": null', ['"fid": 1.0', '"kimg": 1.0, "fid": "x"', '"kimg": 1.0, "fid": {}']),
        (timing_of, '"kimg": 1.0, "seconds": 2.0', ['"kimg": 1.0', '"kimg": 1.0, "seconds": null']),
        (
            evaluations_of,
            '"metric": "fid", "value": null, "error": 1.0, "protocol": {}',
            [
                '"metric": "fid", "value": 3.0, "error": 1.0',
                '"metric": "fid", "value": "3", "error": 1, "protocol": {}',
            ],
        ),
    ],
)
def test_what_a_record_of_each_file_needs(tmp_path, file_of, whole, damaged):
    file = file_of(tmp_path)
    file.path.write_text('\n'.join(f'{{"step": 1, {inside}}}' for inside in [whole, *damaged]) + '\n')
    records, trouble = file.scan()
    assert records == [json.loads(f'{{"step": 1, {whole}}}')]
    assert trouble.startswith(f'{file.path} is damaged: line')


def test_records_of_two_processes_at_once_count_once(tmp_path):
    straight, doubled = metrics_of(tmp_path / 'straight'), metrics_of(tmp_path / 'doubled')
    for step in (10, 20, 30, 40):
        straight.write(step, step / 10, {'loss': step / 7})
        straight.write(step, step / 10, {'eval/fid': step / 3})
    one, *rest = straight.path.read_bytes().splitlines(keepends=True)
    doubled.path.parent.mkdir()
    doubled.path.write_bytes(b''.join([one, *rest[:5], *rest, *rest[2:]]))
    assert doubled.read() == straight.read()
    doubled.rewind(40)
    assert doubled.path.read_bytes() == straight.path.read_bytes()


@pytest.mark.parametrize(
    ('steps', 'begin', 'gaps'),
    [
        ([10, 20, 30], 30, None),
        ([10, 20, 27], 27, None),  # the end of a run that was made longer
        ([10, 20], 27, None),  # saved before the stretch was over
        ([10, 40, 50], 50, '10 and 40'),
        ([30, 40, 60], 60, '0 and 30, 40 and 60'),
        ([10, 20], 50, '20 and 50'),
        ([], 20, '0 and 20'),
    ],
)
def test_a_gap_before_the_checkpoint_is_told(tmp_path, steps, begin, gaps):
    file = metrics_of(tmp_path)
    file.path.touch()
    for step in (*steps, 90):
        file.write(step, step / 10, {'loss': 1.0})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        file.rewind(begin, every=10)
    sentences = [f'{file.path} lacks the records between the steps {gaps}.'] if gaps else []
    assert [str(one.message) for one in told] == sentences
    assert [record['step'] for record in file.read()] == steps


def test_a_directory_in_the_place_of_records_is_one_sentence(tmp_path):
    (tmp_path / 'metrics.jsonl').mkdir()
    for use in (metrics_of(tmp_path).read, lambda: metrics_of(tmp_path).rewind(1)):
        with pytest.raises(UserError, match=r'metrics.jsonl cannot be read \(Is a directory\): move it away\.$'):
            use()


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
def test_a_full_disk_is_one_sentence(tmp_path):
    (tmp_path / 'metrics.jsonl').symlink_to('/dev/full')
    with pytest.raises(UserError, match=FULL_DISK.format(path=tmp_path / 'metrics.jsonl')):
        MetricsFile(tmp_path / 'metrics.jsonl').write(1, 0.1, {'loss': 1.0})


def test_what_a_write_did_not_take_whole_is_a_full_disk_too(tmp_path):
    script = """
import resource, sys
from gan_jax.records.metrics import MetricsFile
file = MetricsFile(sys.argv[1])
file.write(1, 0.1, {'loss': 1.0})
resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
try:
    file.write(2, 0.2, {'loss': 2.0})
except ValueError as error:
    print(error)
"""
    path = tmp_path / 'metrics.jsonl'
    output = subprocess.run([sys.executable, '-c', script, path], capture_output=True, text=True, check=True).stdout
    assert output.startswith(f'{path} cannot be written (No space left on device): ')
    assert path.stat().st_size == 60  # the second line is torn ...
    assert [record['step'] for record in MetricsFile(path).read()] == [1]  # ... and passed over


def read_events(directory) -> list[Event]:
    events = []
    for path in sorted(directory.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack('<Q', data[:8])
            events.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return events


def test_tensorboard_events(tmp_path):
    board = TensorBoard(tmp_path, purge_step=51)
    board.scalars(60, {'generator/loss': 0.5, 'fid': float('nan')})
    board.image(60, 'samples', np.full((3, 4, 1), 200, np.uint8))
    board.close()
    version, purge, loss, fid, image = read_events(tmp_path)
    assert version.file_version == 'brain.Event:2'
    assert (purge.step, purge.session_log.status) == (51, 1)  # SessionLog.START
    assert (loss.step, loss.summary.value[0].tag, loss.summary.value[0].simple_value) == (60, 'generator/loss', 0.5)
    assert np.isnan(fid.summary.value[0].simple_value)
    picture = np.asarray(Image.open(io.BytesIO(image.summary.value[0].image.encoded_image_string)).convert('L'))
    np.testing.assert_array_equal(picture, np.full((3, 4), 200))


def steps_in(path) -> list[int]:
    return [json.loads(line)['step'] for line in path.read_text().splitlines()]


def test_writers_compose_and_go_on(tmp_path, capsys):
    picture = np.zeros((4, 4, 3), np.uint8)
    with Writers(tmp_path, begin=0, total=40) as out:
        for step in (10, 20, 30):
            out.metrics(step, step / 10, {'generator/loss': 1.5})
        for step in (20, 30):
            out.samples(step, picture)
    tags = [(event.step, value.tag) for event in read_events(tmp_path / 'tensorboard') for value in event.summary.value]
    assert {(10, 'generator/loss'), (10, 'kimg'), (20, 'samples'), (30, 'samples')} <= set(tags)
    (tmp_path / 'samples' / 'mine.png').write_bytes(b'')  # not a step's, so nobody's business
    assert 'step 10/40  25%  G 1.500' in capsys.readouterr().out
    with Writers(tmp_path, begin=20, total=40) as out:
        out.metrics(30, 3.0, {'generator/loss': 1.5})
        out.metrics(40, 4.0, {'generator/loss': 1.5})
    assert steps_in(tmp_path / 'metrics.jsonl') == steps_in(tmp_path / 'timing.jsonl') == [10, 20, 30, 40]
    assert set(MetricsFile(tmp_path / 'metrics.jsonl').read()[3]) == {'step', 'kimg', 'generator/loss'}
    assert set(MetricsFile(tmp_path / 'timing.jsonl').read()[3]) == {
        *('step', 'kimg', 'seconds', 'images_per_second', 'memory_gib')
    }
    (tmp_path / 'samples' / 'mine.png').unlink()
    (kept,) = (tmp_path / 'samples').iterdir()  # the later picture is of a course that was given up
    assert kept.name == '00000020.png'
    np.testing.assert_array_equal(np.asarray(Image.open(kept)), picture)
    assert 21 in [event.step for event in read_events(tmp_path / 'tensorboard') if event.HasField('session_log')]

    with Writers(tmp_path, begin=0, total=40) as out:  # no checkpoint was reached: everything anew
        out.metrics(0, 0.0, {'fid': 300.0})
    assert steps_in(tmp_path / 'metrics.jsonl') == [0]


def test_disabled_writers_write_nothing(tmp_path, capsys):
    with Writers(tmp_path / 'run', begin=0, total=10, enabled=False) as out:
        out.metrics(10, 0.1, {'generator/loss': 1.0})
        out.samples(10, np.zeros((2, 2, 1), np.uint8))
    assert not (tmp_path / 'run').exists()
    assert capsys.readouterr().out == ''


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


METRICS = {
    'discriminator/loss': 0.6834,
    'generator/loss': 0.9121,
    'discriminator/real_probability': 0.61,
    'discriminator/fake_probability': 0.33,
}


def show(progress: Progress, clock: Clock, reports: list[tuple[float, int]], metrics=METRICS) -> None:
    for seconds, step in reports:
        clock.seconds = 1000.0 + seconds
        progress.report(step, step * 64 / 1000, metrics)


def test_progress_leaves_compilation_out_of_the_speed_and_starts_anywhere():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(1000, stream=stream, clock=clock)
    # Begun at step 400; 60 seconds of compilation, then 2 steps (128 images) a second.
    show(progress, clock, [(60, 500), (110, 600)])
    assert stream.getvalue().splitlines() == [
        'step 500/1000  50%  D 0.683  G 0.912  D(real) 0.61  D(fake) 0.33',
        'step 600/1000  60%  D 0.683  G 0.912  D(real) 0.61  D(fake) 0.33  128 images/s  3m 20s left',
    ]
    assert (progress.images_per_second, progress.seconds) == (128.0, 110.0)


def test_progress_in_a_log_file_is_first_last_and_at_most_one_in_ten_seconds():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(10, stream=stream, clock=clock)
    show(progress, clock, [(4 * step, step) for step in range(1, 11)], metrics={})
    progress.close()
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ['1/10', '4/10', '7/10', '10/10']

    stream = io.StringIO()
    progress = Progress(10, stream=stream, clock=clock)
    show(progress, clock, [(1, 1), (2, 2), (3, 3)], metrics={})  # stopped early: close shows where
    progress.close()
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ['1/10', '3/10']


@pytest.mark.parametrize(
    ('columns', 'line'),
    [
        (100, 'step 600/1000  60%  D 0.683  G 0.912  D(real) 0.61  D(fake) 0.33  128 images/s  3m 20s left'),
        (80, 'step 600/1000  60%  D 0.683  G 0.912  D(real) 0.61  D(fake) 0.33  3m 20s left'),
        (60, 'step 600/1000  60%  D 0.683  G 0.912  3m 20s left'),
        (40, 'step 600/1000  60%  3m 20s left'),
        (12, 'step 600/10'),
    ],
)
def test_progress_fits_the_terminal(monkeypatch, columns, line):
    monkeypatch.setenv('COLUMNS', str(columns))
    stream, clock = Terminal(), Clock()
    progress = Progress(1000, stream=stream, clock=clock)
    show(progress, clock, [(60, 500), (110, 600)])
    progress.close()
    assert stream.getvalue().endswith(f'\r{line}\x1b[K\n')
    assert stream.getvalue().count('\n') == 1


def test_progress_skips_absent_metrics_and_counts_days():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(1_000_000, stream=stream, clock=clock)
    show(progress, clock, [(0, 1), (1, 2)], metrics={'generator/loss': 2.0})
    progress.close()
    assert stream.getvalue().splitlines()[-1] == 'step 2/1000000   0%  G 2.000  64 images/s  11d 13h left'


def test_progress_shows_the_losses_of_all_players():
    stream, clock = io.StringIO(), Clock()
    losses = {'encoder/loss': 3.0, 'generator/loss': 2.0, 'classifier/loss': 0.5, 'discriminator/loss': 1.0}
    show(Progress(10, stream=stream, clock=clock), clock, [(0, 1)], metrics=losses)
    assert stream.getvalue().strip() == 'step 1/10  10%  D 1.000  G 2.000  classifier 0.500  encoder 3.000'


def test_importing_starts_nothing_and_draws_on_no_plotting_state():
    script = """
import sys, threading
from gan_jax.records import files, progress, report, writers
from gan_jax.runtime import checkpoint, snapshot
print(threading.active_count(), 'matplotlib' in sys.modules, 'tensorflow' in sys.modules)
"""
    output = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True).stdout
    assert output == '1 False False\n'


def test_a_metric_that_fails_while_training_is_warned_about_and_recorded_beside_the_others(tmp_path, monkeypatch):
    """Readers of the records pass it over."""
    record = Record('fid', 2.0, None, 'step 5', {'rule': 'a rule'})
    failure = Failure('kid', 'There are too few.', 'step 5')
    found = iter([Evaluation([record], [failure]), Evaluation([], [failure])])
    monkeypatch.setattr(run, 'Evaluator', lambda *_: types.SimpleNamespace(evaluate=lambda samples: next(found)))
    overrides = {'evaluate': 'fid,kid', 'evaluation.extractor': 'tests.extractors:QUADRANTS', 'batch_size': '10'}
    reals = Dataset('squares', 'train', np.zeros((4, 8, 8, 1), np.uint8), None, None, 'f00d')
    options = config.load('configs/mlp.py:digits', overrides)
    evaluate = run.make_evaluation(options, reals, build.make_game(options, reals.shape), None)
    with Writers(tmp_path, begin=0, total=10, quiet=True) as out:
        for step, values in ((5, {'eval/fid': 2.0}), (6, {})):
            with pytest.warns(UserWarning, match=f'^kid of step {step} could not be computed: There are too few'):
                assert evaluate(step, {'generator': None}, out, 0) == values
    assert MetricsFile(tmp_path / 'metrics.jsonl').read() == [{'step': 5, 'kimg': 0.05, 'eval/fid': 2.0}]
    lines = MetricsFile(tmp_path / 'evaluations.jsonl').read()
    assert [line['metric'] for line in lines] == ['fid', 'kid', 'kid']
    assert lines[1] == {'step': 5, 'kimg': 0.05, **failure.to_json()}
    assert results.read(tmp_path).protocols == {'fid': "rule=a rule; seed=the run's own"}
    assert list(workdir.protocols(types.SimpleNamespace(evaluations=lines))) == ['fid']


def test_evaluated_samples_have_the_classes_of_the_real_images_they_are_compared_with(tmp_path, monkeypatch):
    """As in `--mode eval`, which does not read the training data."""
    seen = []

    def evaluate(samples):
        seen.append(samples)
        return Evaluation([], [])

    def images(split, labels):
        return Dataset('squares', split, np.zeros((4, 8, 8, 1), np.uint8), np.array(labels), 2, split, ('a', 'b'))

    train, held_out = images('train', [0, 0, 0, 1]), images('test', [1, 1, 1, 1])
    monkeypatch.setattr(run, 'Evaluator', lambda *_: types.SimpleNamespace(evaluate=evaluate))
    monkeypatch.setattr(run, 'choose_reference', lambda *_: (held_out, None))
    overrides = {'evaluate': 'fid', 'batch_size': '4', 'data.size': '8', 'latents.distribution': 'uniform'}
    options = config.load('configs/cgan.py:digits', overrides)
    game = build.make_game(options, train.shape, num_classes=2)
    with Writers(tmp_path, begin=0, total=10, quiet=True) as out:
        run.make_evaluation(options, train, game, None)(5, {'generator': None}, out, 0)
    (samples,) = seen
    assert set(samples.conditions) == {1}
    assert samples.class_names == ('a', 'b')
    assert samples.distribution == 'uniform'
