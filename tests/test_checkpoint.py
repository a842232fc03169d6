"""Checkpoints: bits, damage, retention, full disks, killed processes and several processes."""

import logging
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from typing import Any, NamedTuple

import absl.logging
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from gan_jax.errors import UserError
from gan_jax.runtime import checkpoint_files
from gan_jax.runtime.checkpoint import Checkpoints, peek

CONFIG = {'name': 'dcgan', 'rate': 2e-4, 'widths': [1, 2], 'nan': float('inf')}


class Moments(NamedTuple):
    count: jax.Array
    mean: dict[str, jax.Array]


class State(flax.struct.PyTreeNode):
    step: jax.Array
    key: jax.Array
    params: dict[str, Any]
    moments: tuple


def make_state(seed: int, width: int = 700) -> State:
    normal = jax.random.normal(jax.random.key(seed), (5, width))
    return State(
        step=jnp.uint32(seed),
        key=jax.random.key(seed, impl='rbg'),
        params={
            'kernel': normal.at[0, 0].set(jnp.nan).at[0, 1].set(-0.0),
            'keys': jax.random.split(jax.random.key(seed), 3),
            'empty': jnp.zeros((0, 3)),
            'half': normal[0].astype(jnp.bfloat16),
            'mask': normal[0] > 0,
        },
        moments=(Moments(jnp.int32(-seed), {'a/b': normal[1]}), ()),
    )


def bits(state: Any) -> list:
    def leaf_bits(leaf: jax.Array) -> tuple:
        raw = jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        return str(leaf.dtype), leaf.shape, np.asarray(raw).tobytes()

    return [(path, leaf_bits(leaf)) for path, leaf in jax.tree.leaves_with_path(state)]


def abstract(width: int = 700) -> State:
    return jax.eval_shape(lambda: make_state(0, width))


def save_two(directory: pathlib.Path) -> None:
    with Checkpoints(directory) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, make_state(step), config=CONFIG, metrics={'fid': 100.0 / step})


@pytest.mark.parametrize('target', [abstract, lambda: make_state(3)], ids=['shapes', 'arrays'])
def test_state_round_trips_bit_for_bit(tmp_path, target):
    save_two(tmp_path)
    step, state = Checkpoints(tmp_path).restore(target())
    assert step == 20
    assert bits(state) == bits(make_state(20))
    assert jax.random.key_impl(state.key) == 'rbg'
    assert bits(Checkpoints(tmp_path).restore(target(), step=10)[1]) == bits(make_state(10))


def test_buffers_may_be_donated_as_soon_as_save_returns(tmp_path):
    replicated = jax.NamedSharding(jax.make_mesh((8,), ('batch',)), jax.P())
    overwrite = jax.jit(lambda x: x * 0 + 1, donate_argnums=0)
    state = {'x': jax.device_put(jnp.arange(100_000.0), replicated), 'y': jnp.arange(100_000.0)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, config={})
        jax.block_until_ready([overwrite(x) for x in state.values()])
        assert state['y'].is_deleted()
    _, restored = Checkpoints(tmp_path).restore(
        jax.eval_shape(lambda: {'x': jnp.zeros(100_000), 'y': jnp.zeros(100_000)})
    )
    np.testing.assert_array_equal(restored['x'], np.arange(100_000.0))
    np.testing.assert_array_equal(restored['y'], np.arange(100_000.0))


def test_a_directory_without_checkpoints_is_left_alone(tmp_path):
    with Checkpoints(tmp_path / 'none') as checkpoints:
        assert checkpoints.restore(abstract()) is None
        assert checkpoints.latest_step() is None
    assert peek(tmp_path / 'none') is None
    assert not (tmp_path / 'none').exists()


def test_peek_reads_the_description_alone(tmp_path):
    save_two(tmp_path)
    shutil.rmtree(tmp_path / '20' / 'state')
    meta = peek(tmp_path)
    assert (meta['step'], meta['config'], meta['metrics']) == (20, CONFIG, {'fid': 5.0})
    assert meta['versions']['jax'] == jax.__version__
    assert peek(tmp_path, step=10)['metrics'] == {'fid': 10.0}


def test_a_saved_step_is_not_saved_again(tmp_path):
    save_two(tmp_path)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(20, make_state(99), config={})
        checkpoints.save(30, make_state(30), config={})
        checkpoints.save(30, make_state(99), config={})
    for step in (20, 30):
        assert bits(Checkpoints(tmp_path).restore(abstract(), step)[1]) == bits(make_state(step))


@pytest.mark.parametrize('name', ['runs[1]', '[!a]', r'back\slash', '{x,y}*?', 'a b#c%20', '~', 'file:'])
def test_no_path_breaks_a_checkpoint(tmp_path, name):
    save_two(tmp_path / name / 'checkpoints')
    moved = (tmp_path / name).rename(tmp_path / 'moved')
    assert bits(Checkpoints(moved / 'checkpoints').restore(abstract())[1]) == bits(make_state(20))
    back = moved.rename(tmp_path / name) / 'checkpoints'
    with Checkpoints(back) as checkpoints:
        assert checkpoints.restore(abstract())[0] == 20
        checkpoints.save(30, make_state(30), config=CONFIG)
    assert Checkpoints(back).restore(abstract())[0] == 30
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing was written elsewhere


def test_a_first_save_that_does_not_read_is_told_at_once(tmp_path, monkeypatch):
    write = checkpoint_files.write_durably
    monkeypatch.setattr(checkpoint_files, 'write_durably', lambda path, data: write(path, bytes(data)[:-1]))
    checkpoints = Checkpoints(tmp_path)
    sentence = rf'^The checkpoint of step 10 was written to {tmp_path}, but cannot be read back \(.+\): choose a --work'
    with pytest.raises(UserError, match=sentence):
        checkpoints.save(10, make_state(1), config={})


def test_what_orbax_warns_of_is_seen(caplog):
    checkpoint_files.manager(pathlib.Path('nowhere')).close()
    record = {'pathname': '/x/orbax/checkpoint/y.py', 'lineno': 1, 'args': (), 'exc_info': None}
    for level, name in ((logging.INFO, 'report'), (logging.WARNING, 'warning')):
        absl.logging.get_absl_logger().handle(logging.LogRecord('absl', level, msg=f'a {name}', **record))
    assert caplog.messages == ['a warning']


def test_files_are_on_the_disk_before_a_checkpoint_has_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, 'fsync', lambda descriptor: synced.append(os.readlink(f'/proc/self/fd/{descriptor}')))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, make_state(1), config={})
    assert sorted(pathlib.Path(path).name for path in synced) == ['bytes', 'metadata']
    assert all('/10.orbax-checkpoint-tmp/' in path for path in synced)


def test_checkpoints_that_tensorstore_wrote_are_read(tmp_path):
    save_two(tmp_path)
    data = {'bytes': np.fromfile(tmp_path / '20' / 'state' / 'bytes', np.uint8)}
    shutil.rmtree(tmp_path / '20' / 'state')
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / '20' / 'state', data)
    assert bits(Checkpoints(tmp_path).restore(abstract())[1]) == bits(make_state(20))


def largest_file(directory: pathlib.Path) -> pathlib.Path:
    return max((path for path in directory.rglob('*') if path.is_file()), key=lambda path: path.stat().st_size)


def flip_one_bit(path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    'truncated': lambda step: os.truncate(largest_file(step / 'state'), 40),
    'empty': lambda step: os.truncate(largest_file(step / 'state'), 0),
    'deleted': lambda step: largest_file(step / 'state').unlink(),
    'one flipped bit': lambda step: flip_one_bit(largest_file(step / 'state')),
    'garbage': lambda step: largest_file(step / 'state').write_bytes(os.urandom(5000)),
    'no state': lambda step: shutil.rmtree(step / 'state'),
    'no description': lambda step: shutil.rmtree(step / 'meta'),
    'flipped config': lambda step: (step / 'meta/metadata').write_text(
        (step / 'meta/metadata').read_text().replace('dcgan', 'dcgaN')
    ),
    'nothing': lambda step: [shutil.rmtree(path) for path in step.iterdir() if path.is_dir()],
}


@pytest.mark.parametrize('damage', DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_falls_back_and_is_replaced(tmp_path, damage, caplog, capfd):
    save_two(tmp_path)
    damage(tmp_path / '20')
    with Checkpoints(tmp_path) as checkpoints:
        step, state = checkpoints.restore(abstract())
        assert step == 10
        assert bits(state) == bits(make_state(10))
        assert f'The checkpoint of step 20 in {tmp_path} cannot be read' in caplog.text
        assert 'Traceback' not in capfd.readouterr().err
        assert (tmp_path / '20').exists()  # reading alone moves nothing
        checkpoints.save(20, make_state(20), config=CONFIG)
    assert (tmp_path / 'set-aside-20').exists()
    assert bits(Checkpoints(tmp_path).restore(abstract())[1]) == bits(make_state(20))


def test_checkpoints_of_an_abandoned_course_are_set_aside(tmp_path):
    save_two(tmp_path)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.restore(abstract(), step=10)
        checkpoints.save(15, make_state(15), config={})
    assert Checkpoints(tmp_path).all_steps() == [10, 15]
    assert (tmp_path / 'set-aside-20').exists()


def test_all_damaged_is_one_sentence(tmp_path):
    save_two(tmp_path)
    for step in ('10', '20'):
        shutil.rmtree(tmp_path / step / 'meta')
    sentence = (
        rf'^No checkpoint in {tmp_path} can be read \(tried: 10, 20\); restore a copy, or move the directory '
        rf'away'
    )
    with pytest.raises(UserError, match=sentence):
        Checkpoints(tmp_path).restore(abstract())
    with pytest.raises(UserError, match=sentence):
        peek(tmp_path)


def test_another_state_is_one_sentence_and_no_fall_back(tmp_path):
    save_two(tmp_path)
    start = rf'^The checkpoint of step 20 in {tmp_path} has another state: '
    with pytest.raises(
        UserError,
        match=start + r'params/half is bfloat16\[700\] in the checkpoint and bfloat16\[8\] here \(the first of 4',
    ):
        Checkpoints(tmp_path).restore(abstract(width=8))
    target = abstract()
    with pytest.raises(
        UserError, match=start + r'key is key<rbg>\[\] in the checkpoint and key<fry>\[\] here \(the first of 1 '
    ):
        Checkpoints(tmp_path).restore(target.replace(key=jax.eval_shape(lambda: jax.random.key(0))))
    with pytest.raises(UserError, match=start + r'params/new is absent in the checkpoint and float32\[2\] here'):
        Checkpoints(tmp_path).restore(
            target.replace(params=target.params | {'new': jax.ShapeDtypeStruct((2,), jnp.float32)})
        )
    with pytest.raises(UserError, match=start + r'params/empty is float32\[0, 3\] in the checkpoint and absent here'):
        Checkpoints(tmp_path).restore(target.replace(params={k: v for k, v in target.params.items() if k != 'empty'}))


def test_a_step_that_does_not_exist_is_one_sentence(tmp_path):
    save_two(tmp_path)
    with pytest.raises(UserError, match=rf'^There is no checkpoint of step 15 in {tmp_path}; there are: 10, 20\.$'):
        Checkpoints(tmp_path).restore(abstract(), step=15)
    with pytest.raises(UserError, match=r'^There is no checkpoint of step 1 in .*; there are: none\.$'):
        peek(tmp_path / 'none', step=1)


@pytest.mark.parametrize(('mode', 'best'), [('min', [20, 30]), ('max', [10, 40])])
def test_keeps_the_last_and_the_best(tmp_path, mode, best):
    metrics = {
        10: {'fid': 9.0},
        20: {'fid': 2.0},
        30: {'fid': 3.0},
        40: {'fid': 8.0},
        50: {},
        60: {'fid': float('nan')},
    }
    metrics |= {70: {'kid': 0.0}, 80: {'fid': 5.0}}
    for step, values in metrics.items():  # a new object for each, so that the earlier scores come from the disk
        with Checkpoints(tmp_path, keep_last=2, keep_best=2, best_metric='fid', best_mode=mode) as checkpoints:
            checkpoints.save(step, {'x': jnp.zeros(3)}, config={}, metrics=values)
    assert Checkpoints(tmp_path).all_steps() == [*best, 70, 80]


def test_without_a_metric_only_the_last_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep_last=2) as checkpoints:
        for step in range(5):
            checkpoints.save(step, {'x': jnp.full(3, float(step))}, config={}, metrics={'fid': float(step)})
    assert Checkpoints(tmp_path).all_steps() == [3, 4]
    with pytest.raises(UserError, match=r'^keep_last must be at least 1'):
        Checkpoints(tmp_path, keep_last=0)


def test_an_unwritable_directory_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('')
    directory = tmp_path / 'file' / 'checkpoints'
    sentence = (
        rf'^The checkpoint of step 10 could not be written to {directory} \(Not a directory\); there is no earlier'
    )
    with pytest.raises(UserError, match=sentence):
        Checkpoints(directory).save(10, make_state(1), config={})


PREAMBLE = """
import os, pathlib, resource, signal, sys
import jax, jax.numpy as jnp, numpy as np
from gan_jax.runtime.checkpoint import Checkpoints
directory = pathlib.Path(sys.argv[1])
noise = lambda size: {str(i): np.random.default_rng(i).integers(0, 255, size, np.uint8) for i in range(20)}
"""


def start(script: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, '-c', PREAMBLE + textwrap.dedent(script), *map(str, arguments)]
    environment = os.environ | {'PYTHONPATH': str(pathlib.Path(__file__).parents[1]), 'XLA_FLAGS': ''}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_a_full_disk_is_one_sentence_and_nothing_else_on_the_terminal(tmp_path):
    # A limit on the size of a file stands in for the full disk: the same failing write, without a file system to mount.
    script = """
        with Checkpoints(directory) as checkpoints:
            checkpoints.save(10, noise(100), config={})
            checkpoints.save(20, noise(100), config={})
            checkpoints.wait()
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
            try:
                checkpoints.save(30, noise(50_000), config={})
                checkpoints.save(40, noise(50_000), config={})
            except ValueError as error:
                print(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(checkpoints.restore(noise(100))[0])
            checkpoints.save(30, noise(50_000), config={})
        print(checkpoints.all_steps(), sorted(path.name for path in directory.iterdir()))
    """
    stdout, stderr = start(script, tmp_path).communicate()
    assert stderr == ''
    assert stdout.splitlines() == [
        f'The checkpoint of step 30 could not be written to {tmp_path} (File too large); the last good '
        f'checkpoint is that of step 20: free some space or change the permissions, then run the same command '
        f'again.',
        '20',
        "[10, 20, 30] ['10', '20', '30']",
    ]


def test_sigkill_in_the_middle_of_a_save_leaves_the_earlier_one(tmp_path):
    script = """
        checkpoints = Checkpoints(directory)
        checkpoints.save(10, noise(100), config={})
        checkpoints.wait()
        checkpoints.save(20, noise(4_000_000), config={})
        while not list(directory.glob('20*')):
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = start(script, tmp_path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.glob('20*')] == ['20.orbax-checkpoint-tmp']
    target = {str(i): jax.ShapeDtypeStruct((100,), np.uint8) for i in range(20)}
    with Checkpoints(tmp_path) as checkpoints:
        step, state = checkpoints.restore(target)
        assert step == 10
        np.testing.assert_array_equal(state['3'], np.random.default_rng(3).integers(0, 255, 100, np.uint8))
        checkpoints.save(20, state, config={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ['10', '20']


@pytest.mark.slow  # a run of two processes is among the fast tests
def test_two_processes_save_and_restore(tmp_path):
    script = """
        process = int(sys.argv[3])
        jax.config.update('jax_cpu_collectives_implementation', 'gloo')
        jax.distributed.initialize(f'localhost:{sys.argv[2]}', 2, process)
        everywhere = jax.NamedSharding(jax.make_mesh((jax.device_count(),), ('batch',)), jax.P())
        make = jax.jit(lambda: {'x': jnp.arange(1000.0) / 7, 'key': jax.random.key(5)}, out_shardings=everywhere)
        target = jax.eval_shape(make)
        with Checkpoints(directory) as checkpoints:
            assert checkpoints.restore(target) is None
            for step in (10, 20):
                checkpoints.save(step, make(), config={})
            step, state = checkpoints.restore(target)
            print(step, np.array_equal(state['x'], make()['x']), jax.random.key_data(state['key']))
            checkpoints.save(30, jax.tree.map(lambda x: x, make()), config={})
        try:
            Checkpoints(directory if process else directory / 'elsewhere').restore(target)
        except ValueError as error:
            print(error)
    """
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    processes = [start(script, tmp_path, port, index) for index in range(2)]
    for process in processes:
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        first, second = [line for line in stdout.splitlines() if 'Gloo' not in line]
        assert first == '20 True [0 5]'
        assert 'The processes read different checkpoints' in second
        assert '(steps by process: none, ' in second
    assert Checkpoints(tmp_path).all_steps() == [10, 20, 30]
