"""Whole runs: what they leave, how they are killed and resumed, and how they end when something is wrong."""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax import config
from gan_jax.config import json_values
from gan_jax.errors import DivergedError, InterruptedRunError, UserError
from gan_jax.main import main
from gan_jax.records.starts import starts_of
from gan_jax.runtime import checkpoint
from gan_jax.sampling import sample_files
from gan_jax.train import train

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'batch_size': '32',
    'duration': '60 steps',
    'log_every': '5 steps',
    'sample_every': '20 steps',
    'checkpoint_every': '10 steps',
    'samples': '9',
    'latents.size': '16',
    'generator.widths': '(32,)',
    'discriminator.widths': '(32,)',
    'parallel.devices': '1',
    'evaluate': 'fid,precision_recall',
    'evaluate_every': '20 steps',
    'evaluation.samples': '100',
    'evaluation.extractor': 'tests.extractors:QUADRANTS',
}
# A critic that nothing bounds: at a learning rate of 1000 it overflows within ten steps.
UNBOUNDED = {'loss.name': 'wasserstein', 'discriminator_optimizer.name': 'sgd'}


def small_config(name='mlp', **overrides):
    return config.load(str(ROOT / 'configs' / f'{name}.py'), SMALL | overrides)


def command(workdir, *more):
    overrides = [f'--config.{key}={value}' for key, value in SMALL.items()]
    return [
        *(sys.executable, '-m', 'gan_jax.main', '--config', 'configs/mlp.py', '--workdir', str(workdir)),
        *overrides,
        *more,
    ]


def environment(cache=None):
    """That of the tests, whose compiled programs a process of its own shares, and so its bits."""
    return os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache or jax.config.jax_compilation_cache_dir)}


def run(*arguments, expect=0, cache=None):
    """In a process of its own."""
    done = subprocess.run(
        arguments, cwd=ROOT, env=environment(cache), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.fixture
def run_here(capsys, monkeypatch):
    """Runs a command in this process, without the time that a start takes."""
    monkeypatch.chdir(ROOT)

    def run_here(*arguments, expect=0):
        assert arguments[:3] == (sys.executable, '-m', 'gan_jax.main')
        assert main(list(arguments[3:])) == expect
        return capsys.readouterr()

    return run_here


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A run that nothing disturbed, by the command line."""
    workdir = tmp_path_factory.mktemp('finished') / 'run'
    done = run(*command(workdir))
    return workdir, done.stdout


def checkpoint_arrays(workdir):
    """Every array of the last checkpoint, as the product itself restores it."""
    from gan_jax import build
    from gan_jax.runtime.checkpoint import Checkpoints

    options = json_values.from_json(json.loads((workdir / 'config.json').read_text()))
    shape = tuple(json.loads((workdir / 'run.json').read_text())['data']['shape'])
    game = build.make_game(options, shape)
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        step, state = checkpoints.restore(jax.eval_shape(build.initializer(options, game), jax.random.key(0)))
    return step, jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))


def test_a_run_leaves_everything_it_promises(finished):
    workdir, output = finished
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record['step'] for record in records if 'generator/loss' in record] == list(range(5, 65, 5))
    assert [record['step'] for record in records if 'eval/fid' in record] == [20, 40, 60]
    assert records[-1]['kimg'] == pytest.approx(60 * 32 / 1000)
    assert all(np.isfinite(value) for record in records for value in record.values())
    assert [path.name for path in sorted((workdir / 'samples').iterdir())] == [
        f'{step:08d}.png' for step in (20, 40, 60)
    ]
    with Image.open(workdir / 'samples.png') as grid:
        assert min(grid.size) > 100
        assert grid.getextrema()[0] < grid.getextrema()[1]  # not one flat colour
    with Image.open(workdir / 'samples.gif') as animation:
        assert animation.n_frames == 3
    for name in ('curves.png', 'report.html', 'real.png', 'neighbours.png', 'interpolation.png'):
        assert (workdir / name).exists()
    assert list((workdir / 'tensorboard').glob('*tfevents*'))
    facts = json.loads((workdir / 'run.json').read_text())
    assert facts['data']['shape'] == [16, 16, 1]
    assert facts['versions']['jax'] == jax.__version__
    for network in facts['networks'].values():
        assert f'Total: {network["parameters"]:,}' in output  # clu's table of parameters
    assert 'step 60/60 100%' in output
    assert f'step 60  fid {records[-1]["eval/fid"]:.5g}  precision' in output
    assert 'D(real)' in output
    assert f'{workdir}/report.html' in output


def test_evaluations_leave_records_with_their_protocol_and_are_of_the_averaged_generator(finished):
    workdir, _ = finished
    metrics = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
    records = [json.loads(line) for line in (workdir / 'evaluations.jsonl').read_text().splitlines()]
    assert [(record['step'], record['metric']) for record in records] == [
        (step, metric) for step in (20, 40, 60) for metric in ('fid', 'precision', 'recall')
    ]
    assert records[-3]['value'] == metrics[-1]['eval/fid']
    protocol = records[0]['protocol']
    assert protocol['extractor'] == 'quadrants (version 1)'
    assert protocol['reals'].startswith('1500 of digits train 16x16x1')
    assert (protocol['fakes'], protocol['weights']) == ('100 samples', 'averaged')
    saved = checkpoint.peek(workdir / 'checkpoints', 40)['metrics']  # by which the best are chosen
    assert saved['eval/fid'] == next(
        record['eval/fid'] for record in metrics if record['step'] == 40 and 'eval/fid' in record
    )


def test_a_finished_run_is_evaluated_from_its_directory_as_it_was_in_training(finished, capsys):
    workdir, _ = finished
    options = ['--metrics=fid', '--extractor=tests.extractors:QUADRANTS', '--num=100', '--step=all']
    assert main(['--mode', 'eval', '--workdir', str(workdir), *options]) == 0
    during = {
        record['step']: record['value']
        for line in (workdir / 'evaluations.jsonl').read_text().splitlines()
        if (record := json.loads(line))['metric'] == 'fid'
    }
    for step in (40, 60):
        (after,) = json.loads((workdir / 'evaluation' / f'step{step:07d}-seed0.json').read_text())
        assert after['value'] == pytest.approx(during[step], rel=1e-5)
        assert after['subject'] == f'{workdir} at step {step}'
    assert f'{60:12}  {after["value"]:12.6g}' in capsys.readouterr().out  # the table over steps
    assert main(['--mode', 'eval', '--workdir', str(workdir), *options[:2], '--num=50']) == 0
    assert main(['--mode', 'eval', '--workdir', str(workdir), *options[:2], '--num=50']) == 0  # takes its own place
    both = json.loads((workdir / 'evaluation' / 'step0000060-seed0.json').read_text())
    assert [record['protocol']['fakes'] for record in both] == ['100 samples', '50 samples']
    assert '<h3>By --mode eval</h3>' in (workdir / 'report.html').read_text()


def test_a_finished_run_says_so_and_does_nothing(finished, run_here):
    workdir, _ = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob('*') if path.is_file()}
    done = run_here(*command(workdir))
    assert 'This run is already finished (step 60 of 60)' in done.out
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob('*') if path.is_file()} == before


@pytest.mark.parametrize('kills', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_was_killed_ends_with_the_same_bits_and_lines(finished, tmp_path, kills):
    workdir, _ = finished
    killed = tmp_path / 'run'
    metrics = killed / 'metrics.jsonl'
    chance = random.Random(0)
    for kill in range(kills):
        process = subprocess.Popen(
            command(killed), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # Kill it somewhere after it has made some progress of its own, wherever it then is.
        seen, wanted = None, chance.randint(1, 3)
        while process.poll() is None:
            lines = metrics.read_bytes().count(b'\n') if metrics.exists() else 0
            seen = lines if seen is None else seen
            if lines >= seen + wanted or (lines < seen and lines >= wanted):
                time.sleep(chance.uniform(0, 0.05))
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f'the run ended before kill {kill}'
    run(*command(killed))
    for name in ('metrics.jsonl', 'evaluations.jsonl'):
        assert (killed / name).read_bytes() == (workdir / name).read_bytes()
    (step, arrays), (expected_step, expected) = checkpoint_arrays(killed), checkpoint_arrays(workdir)
    assert step == expected_step == 60
    for array, other in zip(arrays, expected, strict=True):
        assert np.array_equal(array, other)
    for path in (workdir / 'samples').iterdir():
        assert path.read_bytes() == (killed / 'samples' / path.name).read_bytes()


@pytest.mark.parametrize(
    ('number', 'code'), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_leaves_with_its_code(number, code, tmp_path):
    process = subprocess.Popen(
        [*command(tmp_path), '--config.duration=100000 steps'],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / 'metrics.jsonl').exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert 'the run is saved at step' in errors
    assert 'Traceback' not in errors
    saved = int(errors.split('saved at step ')[1].split()[0])
    assert (tmp_path / 'checkpoints' / str(saved)).is_dir()
    assert 'Run the same command to resume.' in (tmp_path / 'report.html').read_text()


def test_a_changed_config_names_the_keys_and_stops(finished, tmp_path, run_here):
    workdir = tmp_path / 'run'
    shutil.copytree(finished[0], workdir)
    done = run_here(*command(workdir), '--config.seed=1', '--config.loss.real_label=0.8', expect=2)
    assert 'differs in loss.real_label (1.0 -> 0.8), seed (0 -> 1): choose another --workdir' in done.err
    assert 'Traceback' not in done.err
    done = run_here(*command(workdir), '--config.duration=65 steps', '--accept_config_changes')
    assert 'Resuming from step 60' in done.out


def test_sampling_needs_nothing_but_the_directory(finished, tmp_path):
    workdir = tmp_path / 'elsewhere'
    shutil.copytree(finished[0], workdir)
    no_data = environment() | {'XDG_CACHE_HOME': str(tmp_path / 'empty'), 'TFDS_DATA_DIR': str(tmp_path / 'none')}
    arguments = [sys.executable, '-m', 'gan_jax.main', '--mode', 'sample', '--workdir', str(workdir), '--num', '5']
    done = subprocess.run(arguments, cwd=ROOT, env=no_data, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    directory = workdir / 'generated' / 'step0000060-seed0'
    assert sorted(path.name for path in directory.iterdir()) == [*(f'{i:05d}.png' for i in range(5)), 'grid.png']
    (directory / '.ipynb_checkpoints').mkdir()
    (directory / 'mine').mkdir()
    (directory / 'mine.png').write_bytes(b'')
    (directory / f'.grid.png.{"0a" * 16}.tmp').write_bytes(b'')
    with Image.open(directory / '00000.png') as image:
        assert image.size == (16, 16)
        first = np.asarray(image)
    again = sample_files.sample_workdir(workdir, num=2, seed=0)
    with Image.open(again / '00000.png') as image:
        assert np.array_equal(np.asarray(image), first)  # the same latents whatever their number
    names = [
        '.ipynb_checkpoints',
        '00000.png',
        '00001.png',
        'grid.png',
        'mine',
        'mine.png',
    ]  # what is not its own stays
    assert sorted(path.name for path in directory.iterdir()) == names


def test_a_directory_without_a_run_cannot_be_sampled(tmp_path):
    with pytest.raises(UserError, match=r'is not the directory of a run: its run.json cannot be read'):
        sample_files.sample_workdir(tmp_path)


def test_a_run_stopped_on_its_last_yards_gets_its_pictures(finished, tmp_path, run_here):
    workdir = tmp_path / 'run'
    shutil.copytree(finished[0], workdir)
    names = ('samples.png', 'samples.gif', 'curves.png', 'neighbours.png', 'interpolation.png', 'report.html')
    for name in names:
        (workdir / name).unlink()
    assert 'This run is already finished' in run_here(*command(workdir)).out
    for name in names[:-1]:
        assert (workdir / name).read_bytes() == (finished[0] / name).read_bytes(), name
    assert (workdir / 'report.html').exists()


def test_sampling_takes_no_overrides(finished, capsys):
    assert main(['--mode', 'sample', '--workdir', str(finished[0]), '--config.seed', '1']) == 2
    assert capsys.readouterr().err.startswith('gan_jax: Sampling uses the config of the run:')


@pytest.mark.parametrize('content', ['[]', 'null', '{}', '{"data": 3}', 'torn {', None])
def test_a_damaged_config_in_the_directory_is_one_sentence(tmp_path, content):
    if content is None:
        (tmp_path / 'config.json').mkdir()
    else:
        (tmp_path / 'config.json').write_text(content)
    what = rf'^{tmp_path}/config.json (is damaged|cannot be read)'
    with pytest.raises(UserError, match=what + r'.*\. Choose another --workdir, or remove the file to continue\.$'):
        train(small_config(), tmp_path)


@pytest.mark.parametrize('content', ['[]', 'null', '{"data": 3}', '{"data": {"shape": 5, "classes": 10}}'])
def test_a_damaged_run_json_is_one_sentence_for_sampling(tmp_path, content):
    (tmp_path / 'run.json').write_text(content)
    with pytest.raises(UserError, match=rf'^{tmp_path}/run.json is damaged: '):
        sample_files.sample_workdir(tmp_path)


def test_a_workdir_that_is_a_file_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(
        UserError, match=r'file cannot be the directory of a run \(File exists\): choose another --workdir'
    ):
        train(small_config(), tmp_path / 'file')


def test_two_processes_stop_together_resume_and_write_the_lines_of_one(tmp_path, finished):
    """SIGTERM to one process only; then the same command again, in both."""

    def start(duration):
        with socket.socket() as free:
            free.bind(('localhost', 0))
            port = free.getsockname()[1]
        join = ['--coordinator', f'localhost:{port}', '--num_processes', '2', '--process_id']
        return [
            subprocess.Popen(
                [
                    *command(tmp_path),
                    '--config.parallel.devices=0',
                    '--config.data.placement=host',
                    f'--config.duration={duration}',
                    *join,
                    str(i),
                ],
                cwd=ROOT,
                env=environment() | {'XLA_FLAGS': '--xla_backend_optimization_level=0'},  # one device in each
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for i in range(2)
        ]

    def ends(processes):
        outputs = [process.communicate(timeout=300) for process in processes]
        return [process.returncode for process in processes], outputs

    processes = start('100000 steps')
    while not (tmp_path / 'metrics.jsonl').exists():
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    codes, outputs = ends(processes)
    assert codes == [143, 143], outputs
    saved = int(outputs[0][1].split('saved at step ')[1].split()[0])
    (tmp_path / 'config.json').write_text(
        (tmp_path / 'config.json').read_text().replace('100000 steps', f'{saved + 5} steps')
    )
    codes, outputs = ends(start(f'{saved + 5} steps'))
    assert codes == [0, 0], outputs
    assert f'Resuming from step {saved}' in outputs[0][0]
    assert 'Resuming' not in outputs[1][0]  # the first process speaks for all
    lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
    evaluations = [line for line in lines if 'eval/fid' in line]
    lines = [line for line in lines if line not in evaluations]
    assert json.loads(evaluations[-1])['step'] == saved + 5
    steps = sorted({*range(5, saved + 5, 5), saved + 5})  # it may have stopped inside a line
    assert [json.loads(line)['step'] for line in lines] == steps
    for line, alone in zip(lines, (finished[0] / 'metrics.jsonl').read_text().splitlines()[:2], strict=False):
        assert json.loads(line) == pytest.approx(json.loads(alone), rel=1e-3)


def test_nan_stops_with_the_step_and_the_last_good_checkpoint(tmp_path):
    options = small_config(**UNBOUNDED, **{'discriminator_optimizer.learning_rate': '1000'})
    with pytest.raises(DivergedError, match=r'became NaN or infinite in step \d+; there is no checkpoint yet') as error:
        train(options, tmp_path)
    assert json.loads((tmp_path / 'diverged.json').read_text()) == {'reason': str(error.value).partition(';')[0]}
    assert 'NaN' in (tmp_path / 'report.html').read_text().partition('<h2>Samples</h2>')[0].partition('<h2>Health')[2]
    train(small_config(duration='5 steps'), tmp_path, accept_config_changes=True)
    assert not (tmp_path / 'diverged.json').exists()


def test_nan_with_on_nan_restore_goes_back_and_gives_up_in_the_end(tmp_path, capsys):
    good = small_config(duration='20 steps', **UNBOUNDED)
    train(good, tmp_path)
    bad = small_config(on_nan='restore', **UNBOUNDED, **{'discriminator_optimizer.learning_rate': '1000'})
    with pytest.raises(DivergedError, match=r'the last good checkpoint is step 20'):
        train(bad, tmp_path, accept_config_changes=True)
    assert capsys.readouterr().out.count('is step 20: trying to return to it') == 3
    begun = starts_of(tmp_path).read()
    assert [(one['step'], one['reached']) for one in begun[:2]] == [(0, None), (20, 20)]
    assert [(one['step'], 'became NaN' in one['diverged']) for one in begun[2:]] == [(20, True)] * 3


def test_what_cannot_be_trained_gets_one_sentence(tmp_path, run_here):
    arguments = [sys.executable, '-m', 'gan_jax.main', '--workdir', str(tmp_path / 'run')]
    done = run_here(*arguments, '--config', 'configs/dcgan.py:fashion_mist', expect=2)
    assert 'fashion_mnist' in done.err
    assert done.err.count('\n') == 1
    done = run_here(*arguments, expect=2)
    assert done.err == (
        'gan_jax: Training needs --config, such as --config dcgan:fashion_mnist; python -m '
        'gan_jax.tools.list configs shows all.\n'
    )
    done = run_here(*arguments, '--config', 'configs/dcgan.py', '--config.data.size', '37', expect=2)
    assert 'cannot make images 37 pixels high' in done.err
    assert 'the nearest valid sizes are 36 and 38' in done.err
    assert not (tmp_path / 'run').exists()  # what was wrong leaves no claim on the directory
    done = run_here(*arguments, '--config', 'configs/dcgan.py', '--config.batchsize=3', expect=2)
    assert done.err == "gan_jax: The config has no key 'batchsize'; the nearest name is 'batch_size'.\n"


def test_a_damaged_checkpoint_falls_back_to_the_one_before(finished, tmp_path, run_here, caplog):
    workdir = tmp_path / 'run'
    shutil.copytree(finished[0], workdir)
    for path in (workdir / 'checkpoints' / '60').rglob('*'):
        if path.is_file() and path.stat().st_size > 1000:
            os.truncate(path, 100)
    done = run_here(*command(workdir))
    assert 'The checkpoint of step 60' in caplog.text
    assert 'Resuming from step 50' in done.out
    assert (workdir / 'metrics.jsonl').read_bytes() == (finished[0] / 'metrics.jsonl').read_bytes()
    for array, other in zip(checkpoint_arrays(workdir)[1], checkpoint_arrays(finished[0])[1], strict=True):
        assert np.array_equal(array, other)


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path):
    def entries_after(name):
        run(*command(tmp_path / name), '--config.duration=5', cache=tmp_path / 'cache')
        return {path.name for path in (tmp_path / 'cache').iterdir()}

    first = entries_after('first')
    assert first
    assert entries_after('second') == first


@pytest.mark.slow  # checkpoints on a full disk have a fast test of their own
def test_a_full_disk_gets_one_sentence_and_loses_nothing(finished, tmp_path, run_here):
    """A limit on the size of files stands in for the disk: what is too large cannot be written."""
    workdir = tmp_path / 'run'
    shutil.copytree(finished[0], workdir)
    limited = ['bash', '-c', 'ulimit -f 50; exec "$@"', 'bash', *command(workdir)]
    done = run(*limited, '--config.duration=80 steps', '--accept_config_changes', expect=2)
    assert f'The checkpoint of step 70 could not be written to {workdir}/checkpoints' in done.stderr
    assert 'the last good checkpoint is that of step 60' in done.stderr
    done = run_here(*command(workdir), '--config.duration=80 steps')
    assert 'Resuming from step 60' in done.out


def test_points_are_trained_and_pictured(tmp_path):
    options = small_config('toy', duration='20 steps', evaluate='()', **{'data.name': 'grid'})
    train(options, tmp_path)
    with Image.open(tmp_path / 'samples.png') as picture:
        assert picture.mode == 'RGB'
    directory = sample_files.sample_workdir(tmp_path, num=7)
    assert np.load(directory / 'points.npy').shape == (7, 2)


def test_a_stop_from_inside_a_program_is_an_exception(tmp_path, monkeypatch):
    begun = tmp_path / 'run.json'
    monkeypatch.setattr('gan_jax.runtime.hosts.any_process', lambda flag: begun.exists())
    with pytest.raises(
        InterruptedRunError, match=r'Interrupted; the run is saved at step 0 of 60. Run the same command'
    ):
        train(small_config(), tmp_path)
