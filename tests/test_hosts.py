"""Processes join in time or say why not, agree on what they train, and talk past their devices."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from gan_jax import config
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.runtime import hosts, relay
from gan_jax.training import agreement

ROOT = pathlib.Path(__file__).parent.parent
TOY = ['--config', 'configs/toy.py', '--config.duration=20 steps', '--config.log_every=10 steps']


def free_port():
    with socket.socket() as free:
        free.bind(('localhost', 0))
        return free.getsockname()[1]


def start(*arguments, prefix=()):
    """A process of Python with one device that prints."""
    environment = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
    return subprocess.Popen(
        [*prefix, sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def start_training(port, process, workdir, *arguments, processes=2):
    identity = ['--coordinator', f'localhost:{port}', '--num_processes', str(processes), '--process_id', str(process)]
    return start('-m', 'gan_jax.main', *TOY, '--workdir', str(workdir), *identity, *arguments)


def sentences(process, code=2):
    """What it said as an error, after it ended with that exit code."""
    _, errors = process.communicate(timeout=100)
    assert process.returncode == code, errors
    assert 'Traceback' not in errors
    return [line for line in errors.splitlines() if line.startswith('gan_jax: ')]


@pytest.mark.parametrize(
    ('identity', 'sentence'),
    [
        (
            ('localhost:1', None, None),
            '--coordinator, --num_processes and --process_id must be given together; or give',
        ),
        ((None, 2, 1), 'must be given together; or give only --distributed.'),
        (('localhost', 2, 0), r"--coordinator is 'localhost'; write HOST:PORT"),
        (('localhost:http', 2, 0), r"--coordinator is 'localhost:http'; write HOST:PORT"),
        (('localhost:70000', 2, 0), r"--coordinator is 'localhost:70000'; write HOST:PORT"),
        (('http://localhost:1234', 2, 0), 'write HOST:PORT, such as 10.0.0.1:1234'),
        (('no-such-host.invalid:1234', 2, 0), 'names the unknown host no-such-host.invalid:'),
        (('localhost:1234', 0, 0), '--num_processes is 0; it must be at least 1'),
        (('localhost:1234', 2, 2), '--process_id is 2; processes are numbered from 0 to 1'),
        (('localhost:1234', 2, -1), '--process_id is -1; processes are numbered from 0 to 1'),
    ],
)
def test_what_cannot_join_is_refused_before_anything_is_waited_for(identity, sentence):
    with pytest.raises(UserError, match=sentence):
        hosts.join(*identity, seconds=1000)


@pytest.mark.parametrize('number', [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_process_that_is_alone_gives_up_in_time(number, tmp_path):
    alone = start_training(free_port(), number, tmp_path, '--join_seconds=2')
    (line,) = sentences(alone)
    assert 'Not all of the 2 processes have joined at localhost:' in line
    assert 'within 2 s: start one process on each host' in line


def test_a_port_that_is_taken_is_said():
    with socket.create_server(('localhost', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f'names port {port}, at which the first process cannot listen'):
            hosts.join(f'localhost:{port}', 2, 0, seconds=1000)


@pytest.mark.slow  # what is compared has fast tests below
def test_hosts_with_different_configs_refuse_to_train(tmp_path):
    port = free_port()
    pair = [start_training(port, i, tmp_path / str(i), f'--config.seed={i}', '--join_seconds=150') for i in range(2)]
    for process in pair:
        (line,) = sentences(process)
        assert 'Process 1 differs from process 0 in seed (0 -> 1): start the same command' in line
    assert not list(tmp_path.rglob('config.json'))


@pytest.fixture
def second(monkeypatch):
    """Lets a second process say what it is told to say, word by word; None: what the first says."""
    words = []
    monkeypatch.setattr(hosts, 'gather', lambda word: [word, words.pop(0)(word)])
    return words


def test_other_code_and_other_versions_are_found(second):
    options = config.load(str(ROOT / 'configs' / 'toy.py'))
    same = str
    second += [same, same]
    agreement.check_config(options)
    second += [lambda word: word.replace(f'"code": "{agreement._code()[:8]}"', '"code": "0"')]
    with pytest.raises(UserError, match=r'Process 1 differs from process 0 in code \(\w{8} -> 0\)'):
        agreement.check_config(options)
    version = agreement.package_versions()['jax']
    second += [lambda word: word.replace(f'"jax": "{version}"', '"jax": "0.1"')]
    with pytest.raises(UserError, match=rf'in jax \({version} -> 0.1\): start the same command'):
        agreement.check_config(options)


def test_hosts_may_keep_their_files_in_other_places_but_must_judge_the_same_samples(second):
    options = config.load(str(ROOT / 'configs' / 'toy.py'), {'data.cache': '/a', 'evaluate_every': '10 steps'})
    second += [str, lambda word: word.replace('"/a"', '"/b"')]
    agreement.check_config(options)
    second += [str, lambda word: word.replace('"10 steps"', '"20 steps"')]
    with pytest.raises(UserError, match=r"evaluate_every \('10 steps' -> '20 steps'\)"):
        agreement.check_config(options)


def test_other_data_are_found(second):
    dataset = Dataset('points', 'train', np.zeros((5, 2), np.float32), None, None, 'abc')
    second += [str]
    agreement.check_data(dataset)
    second += [lambda word: word.replace('"abc"', '"xyz"')]
    with pytest.raises(UserError, match=r'Process 1 differs from process 0 in fingerprint \(abc -> xyz\)'):
        agreement.check_data(dataset)


_TALK = """
import os, sys
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from gan_jax.runtime import hosts
process = int(sys.argv[1])
hosts.join('localhost:{port}', 2, process, seconds=120)
split = NamedSharding(Mesh(np.array(jax.devices()), ('x',)), PartitionSpec('x'))
array = jax.make_array_from_callback((4,), split, lambda index: np.ones(1, np.float32))
work = jax.jit(lambda array: array.sum())
if process == 0:  # its devices are at work on what the other process starts only after the word
    total = work(array)
words = hosts.gather(f'word {{process}}')
if process == 1:
    total = work(array)
print(words, [hosts.any_process(process == 1), hosts.any_process(False)], float(total))
"""


def test_a_word_waits_for_no_device():
    script = _TALK.format(port=free_port())
    pair = [start('-c', script, str(process)) for process in range(2)]
    for process in pair:
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        assert output.splitlines()[-1] == "['word 0', 'word 1'] [True, False] 4.0"


_LOST = """
import sys, time
from gan_jax.errors import UserError, exit_code
from gan_jax.runtime import hosts
process, what = int(sys.argv[1]), sys.argv[2]
hosts._END_SECONDS = 1
hosts.join('{address}', 2, process, seconds=120)
print('joined', flush=True)

def run():
    if what == 'wait':
        hosts.gather('word')
    if what == 'fail':
        raise UserError('The disk is full.')
    time.sleep(1000)

sys.exit(hosts.leave(exit_code(run)))
"""


def join(address, first, second, prefix=((), ())):
    """Two processes that have joined; each waits for the other's word, fails or sleeps."""
    script = _LOST.format(address=address)
    pair = [start('-c', script, str(i), what, prefix=prefix[i]) for i, what in enumerate((first, second))]
    for process in pair:
        assert process.stdout.readline() == 'joined\n', process.communicate()[1]
    return pair


def assert_lost(process, number):
    (line,) = sentences(process, relay.LOST)
    assert f'Process {number} of this run has ended or cannot be reached, so this process ends too.' in line
    assert 'the same command resumes from the last checkpoint.' in line


@pytest.mark.parametrize('lost', [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_ends_the_other_at_once(lost):
    pair = join(f'localhost:{free_port()}', *(['sleep', 'wait'] if lost == 0 else ['wait', 'sleep']))
    pair[lost].kill()
    begun = time.monotonic()
    assert_lost(pair[1 - lost], lost)
    assert time.monotonic() - begun < 5
    pair[lost].communicate()


def test_an_error_of_one_process_ends_the_other_too():
    pair = join(f'localhost:{free_port()}', 'wait', 'fail')
    assert_lost(pair[0], 1)
    assert sentences(pair[1]) == ['gan_jax: The disk is full.']


@pytest.fixture
def two_networks():
    """Two hosts on a cable: the commands that run something on each, their addresses, and what pulls the cable out."""
    if (
        os.geteuid()
        or not shutil.which('ip')
        or subprocess.run(['ip', 'netns', 'add', 'gan-a'], check=False).returncode
    ):
        pytest.skip('needs root and the network namespaces of Linux')

    def ip(command):
        subprocess.run(['ip', *command.split()], check=True)

    try:
        ip('netns add gan-b')
        ip('link add one netns gan-a type veth peer name two netns gan-b')
        for name, end, address in (('gan-a', 'one', '10.99.0.1/24'), ('gan-b', 'two', '10.99.0.2/24')):
            ip(f'-n {name} addr add {address} dev {end}')
            ip(f'-n {name} link set lo up')
            ip(f'-n {name} link set {end} up')
        prefix = [['ip', 'netns', 'exec', name] for name in ('gan-a', 'gan-b')]
        yield prefix, '10.99.0.1', lambda: ip('-n gan-b link set two down')
    finally:
        for name in ('gan-a', 'gan-b'):
            subprocess.run(['ip', 'netns', 'delete', name], check=False)


@pytest.mark.slow
def test_a_host_without_power_ends_the_other_within_a_minute(two_networks):
    prefix, address, cut = two_networks
    pair = join(f'{address}:1234', 'wait', 'sleep', prefix)
    cut()
    begun = time.monotonic()
    for process in pair:  # neither hears of the other, and both are there to say so
        assert_lost(process, 1 - pair.index(process))
    assert 10 < time.monotonic() - begun < 60


@pytest.mark.slow
def test_the_same_command_goes_on_after_a_process_was_killed(tmp_path):
    often = ('--config.checkpoint_every=20 steps', '--config.duration=200 steps', '--config.sample_every=100 steps')

    def begin():
        port = free_port()
        return [start_training(port, process, tmp_path, *often) for process in range(2)]

    pair = begin()
    while not list((tmp_path / 'checkpoints').glob('[0-9]*')):
        assert pair[0].poll() is None, pair[0].communicate()
        time.sleep(0.1)
    pair[1].send_signal(signal.SIGKILL)
    assert_lost(pair[0], 1)
    pair[1].communicate()
    for process in begin():
        assert process.wait(timeout=300) == 0, process.communicate()
    steps = [json.loads(line)['step'] for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert steps == list(range(10, 201, 10))
