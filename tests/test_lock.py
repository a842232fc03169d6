"""The lock of a run's directory: held, left by the dead on this host and on others, and raced for."""

import errno
import fcntl
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from gan_jax import config
from gan_jax.errors import UserError
from gan_jax.records import lock
from gan_jax.train import train, train_population

ROOT = pathlib.Path(__file__).parent.parent
HOLD = (
    'import sys, time\nfrom gan_jax.records import lock\n'
    'with lock.exclusive(sys.argv[1]):\n    print()\n    time.sleep(60)\n'
)


def refusal(directory, process, host=None):
    host = host or socket.gethostname()
    return (
        rf'^{directory} is the directory of a run that is being trained by process {process} on {host}: wait for its '
    )


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the directory."""
    command = [sys.executable, '-c', HOLD, str(tmp_path / 'run')]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {'XLA_FLAGS': ''})
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_a_directory_is_held_by_one_and_free_afterwards(tmp_path):
    run = tmp_path / 'runs' / 'run'
    with lock.exclusive(run):
        with pytest.raises(UserError, match=refusal(run, os.getpid())), lock.exclusive(run):
            pass
        assert [path.name for path in run.iterdir()] == [lock.NAME]
        with lock.exclusive(tmp_path / 'runs' / 'another'):
            pass
        (run / 'config.json').write_text('{}')
    with lock.exclusive(run):
        pass
    assert [path.name for path in run.iterdir()] == ['config.json']
    assert [path.name for path in run.parent.iterdir()] == ['run']  # a directory that stayed empty is gone


def test_a_process_that_was_killed_holds_nothing(tmp_path, holder):
    with pytest.raises(UserError, match=refusal(tmp_path / 'run', holder.pid)), lock.exclusive(tmp_path / 'run'):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / 'run' / lock.NAME).exists()
    begin = time.monotonic()
    with lock.exclusive(tmp_path / 'run'):
        assert json.loads((tmp_path / 'run' / lock.NAME).read_text())['process'] == os.getpid()
    assert time.monotonic() - begin < 1


@pytest.fixture
def left(tmp_path, monkeypatch):
    """The lock of a process on another host, touched just now."""
    monkeypatch.setattr(lock, '_PATIENCE', 3)
    path = tmp_path / lock.NAME
    path.write_text('{"host": "elsewhere", "process": 7}\n')
    return path


@pytest.mark.parametrize('age', [100, 0])
def test_a_lock_of_another_host_that_nobody_touches_is_free(tmp_path, left, age, capsys):
    os.utime(left, (time.time() - age,) * 2)
    with lock.exclusive(tmp_path):
        assert json.loads(left.read_text()) == {'host': socket.gethostname(), 'process': os.getpid()}
    waited = f'{left} was left by process 7 on elsewhere: checking for up to 3 s whether it is alive.\n'
    assert capsys.readouterr().out == (waited if age == 0 else '')


def test_a_lock_of_another_host_that_is_touched_is_held(tmp_path, left):
    ended = threading.Event()

    def touch():
        while not ended.wait(0.2):
            os.utime(left)

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        with pytest.raises(UserError, match=refusal(tmp_path, 7, 'elsewhere')), lock.exclusive(tmp_path):
            pass
    finally:
        ended.set()
        thread.join()


def test_where_the_file_system_locks_nothing_the_touches_decide(tmp_path, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, 'flock', unsupported)
    monkeypatch.setattr(lock, '_BEAT', 0.2)
    monkeypatch.setattr(lock, '_PATIENCE', 3)
    with lock.exclusive(tmp_path / 'run'):
        with pytest.raises(UserError, match=refusal(tmp_path / 'run', os.getpid())), lock.exclusive(tmp_path / 'run'):
            pass
        with lock.exclusive(tmp_path / 'another'):
            pass


@pytest.mark.parametrize('content', ['', 'torn {', '[]', '{"host": 3}'])
def test_a_damaged_lock_is_free(tmp_path, content, monkeypatch):
    monkeypatch.setattr(lock, '_PATIENCE', 1)
    (tmp_path / lock.NAME).write_text(content)
    with lock.exclusive(tmp_path):
        pass


def test_of_many_at_once_one_has_it(tmp_path):
    barrier, inside, most = threading.Barrier(8), [], []

    def compete():
        for _ in range(50):
            barrier.wait()
            try:
                with lock.exclusive(tmp_path / 'run'):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except UserError:
                pass

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) >= 50  # somebody had it in every round


def test_what_the_killed_left_unfinished_is_removed(tmp_path):
    left = [tmp_path / f'.config.json.{"0a" * 16}.tmp', tmp_path / 'samples' / f'.00000020.png.{"f1" * 16}.tmp']
    kept = [tmp_path / 'config.json', tmp_path / 'mine.tmp', tmp_path / '.hidden.tmp', tmp_path / 'samples' / '1.png']
    (tmp_path / 'samples').mkdir()
    for path in [*left, *kept]:
        path.write_text('x')
    with lock.exclusive(tmp_path):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_a_directory_that_cannot_be_one_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('')
    for path, reason in ((tmp_path / 'file', 'File exists'), (tmp_path / 'file' / 'run', 'Not a directory')):
        sentence = rf'^{path} cannot be the directory of a run \({reason}\): choose another --workdir\.$'
        with pytest.raises(UserError, match=sentence), lock.exclusive(path):
            pass
    (tmp_path / lock.NAME).mkdir()
    with (
        pytest.raises(UserError, match=r'cannot be the directory of a run \(Is a directory\)'),
        lock.exclusive(tmp_path),
    ):
        pass


def test_a_path_that_is_no_text_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    no_text = os.fsdecode(b'run-\xff')
    sentence = r'run-.* cannot be the directory of a run, because this path is not text in UTF-8: choose another'
    recipe = config.load(str(ROOT / 'configs' / 'mlp.py'), {'duration': '1 steps'})
    with pytest.raises(UserError, match=sentence):
        train(recipe, tmp_path / no_text)
    assert not list(tmp_path.iterdir())
    (tmp_path / no_text).mkdir()
    monkeypatch.chdir(tmp_path / no_text)
    with pytest.raises(UserError, match=sentence):
        train(recipe, 'run')
    assert not list((tmp_path / no_text).iterdir())


def test_training_holds_the_lock(tmp_path):
    """Of its directory, and those of a population's members, which could be trained on alone."""
    recipe = str(ROOT / 'configs' / 'mlp.py')
    with lock.exclusive(tmp_path), pytest.raises(UserError, match=refusal(tmp_path, os.getpid())):
        train(config.load(recipe), tmp_path)
    population = config.load(recipe, {'population': '2'})
    for held in (tmp_path, tmp_path / 'member-1'):
        with lock.exclusive(held), pytest.raises(UserError, match=refusal(held, os.getpid())):
            train_population(population, tmp_path)
    assert not list(tmp_path.rglob('config.json'))
