"""The sides of `tools.benchmark`: what is measured, each in a process of its own.

A maker returns the function to measure and facts that it found out on the way. gan_jax trains as `gan_jax.train` does:
whole stretches with the data on the device, metrics read back one stretch late.
"""

import concurrent.futures
import multiprocessing
import os
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

STRETCHES = 2  # in a measurement
PEAK_SIZE, PEAK_PRODUCTS = 2048, 8
PEAK_FLOPS = PEAK_PRODUCTS * 2 * PEAK_SIZE**3
_MEMORY_UNIT = 1 if sys.platform == 'darwin' else 1024  # of ru_maxrss, in bytes
_RUN: dict[str, Callable] = {}  # 'it': what this process measures

Side = tuple[Callable[[], Any], dict[str, Any]]


class Training(NamedTuple):
    """The training loop of `gan_jax.train` in its parts.

    Attributes:
        feed: feed of the data.
        stretch: (state, data, positions, slot, count) -> (state, metrics), compiled; it donates the state.
        state: to start from.
        data: those of the first stretch, on the device.
        whole: positions, slot and count, as a whole stretch wants them.
        seconds: that compiling took.
    """

    feed: Any
    stretch: Any
    state: Any
    data: Any
    whole: tuple[Any, ...]
    seconds: float


def make_training(config: Any, dataset: Any, steps: int, placement: str) -> Training:
    """A config's training with stretches of so many steps and the data placed on the 'device' or the 'host'."""
    from gan_jax import build
    from gan_jax.runtime import parallel
    from gan_jax.training.run import make_feed, of_data
    from gan_jax.training.stretch import make_stretch

    layout = parallel.make_layout(config.batch_size, num_devices=config.parallel.devices)
    known = of_data(dataset, dataset.num_classes)
    game = build.make_game(config, dataset.shape, layout.axis_name, **known)
    feed = make_feed(config, dataset, layout, game, placement=placement)
    step = build.make_step(config, game, layout.axis_name)
    state = layout.replicate(build.init_state(config, game))
    whole = (layout.split(layout.local_positions), np.int32(0), np.int32(steps))
    with feed.open([(0, steps)]) as stretches:
        data = next(stretches)
    begin = time.perf_counter()
    jitted = layout.compile(make_stretch(step, feed.batch_at, steps), data_axis=feed.data_axis)
    stretch = jitted.lower(state, data, *whole).compile()
    return Training(feed, stretch, state, data, whole, time.perf_counter() - begin)


def gan_jax_side(values: dict[str, Any], steps: int) -> Side:
    """The training loop of a config (of `gan_jax.config.json_values.to_json`) with stretches of so many steps.

    The facts are 'compile' in seconds and 'program', the bytes that the compiled stretch needs.
    """
    os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')  # several sides share the accelerator
    from gan_jax.config import json_values

    config = json_values.from_json(values)
    training = make_training(config, load_data(config), steps, 'device')
    facts = {'compile': training.seconds, 'program': _program_bytes(training.stretch.memory_analysis())}
    return repeat(training), facts


def repeat(training: Training) -> Callable[[], None]:
    """A function that trains on for `STRETCHES` stretches and reads their metrics, on the data of the first."""
    import jax

    state = training.state

    def run() -> None:
        nonlocal state
        waiting = []
        for _ in range(STRETCHES):
            state, metrics = training.stretch(state, training.data, *training.whole)
            waiting.append(metrics)
            if len(waiting) > 1:
                _means(jax.device_get(waiting.pop(0)))
        _means(jax.device_get(waiting.pop()))

    return run


def population_side(values: dict[str, Any], steps: int, members: int) -> Side:
    """Several seeds of a config in one program, by `gan_jax.training.population`."""
    import jax

    from gan_jax.config import json_values
    from gan_jax.training.population import Program, make_population

    config = json_values.from_json(values | {'population': members})
    program = Program(make_population(config), load_data(config), None)
    states, stretch = program.start(), program.stretch(steps)
    with program.open([(0, steps)]) as blocks:
        block = next(blocks)

    def run() -> None:
        nonlocal states
        for _ in range(STRETCHES):
            states, metrics = stretch(states, *block, np.int32(0), np.int32(steps))
        jax.device_get(metrics)

    return run, {}


def pytorch_side(values: dict[str, Any], steps: int, images: pathlib.Path, options: dict[str, bool]) -> Side:
    """The twin of a config, with options of `tools.twins.training.Twin`, on a .npz file of uint8 images by field.

    The facts are 'ready', the time when two steps were done; 'memory' in bytes by then; 'flops' of a step unless it is
    compiled, and else 'compile' in seconds.
    """
    import torch

    from .twins.flops import FlopCounter
    from .twins.translations import make_twin

    torch.set_num_threads(cores())
    begin = time.perf_counter()
    with np.load(images) as fields:
        twin = make_twin(values, dict(fields), **options)
    twin.run(2)
    facts = {'ready': time.time(), 'memory': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MEMORY_UNIT}
    if options.get('compiled'):
        facts['compile'] = time.perf_counter() - begin
    else:
        with FlopCounter() as counter:
            twin.step()
        facts['flops'] = counter.total

    def run() -> None:
        for _ in range(STRETCHES):
            twin.run(steps)
        twin.synchronize()

    return run, facts


def jax_products() -> Side:
    """A chain of float32 matrix products by XLA; the fact is the 'device'."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.full((PEAK_SIZE, PEAK_SIZE), 1 / PEAK_SIZE)
    chain = jax.jit(lambda matrix: jax.lax.fori_loop(0, PEAK_PRODUCTS, lambda _, product: product @ matrix, matrix))
    device = jax.devices()[0]
    return lambda: jax.block_until_ready(chain(matrix)), {'device': f'{device.platform} ({device.device_kind})'}


def pytorch_products() -> Side:
    """The same by PyTorch; the fact is whether the hardware has 'bfloat16'."""
    import torch

    torch.set_num_threads(cores())
    torch.set_float32_matmul_precision('high')  # TF32 where there is such a thing, as JAX's default
    on_gpu = torch.cuda.is_available()
    matrix = torch.full((PEAK_SIZE, PEAK_SIZE), 1 / PEAK_SIZE, device='cuda' if on_gpu else 'cpu')

    def chain() -> None:
        product = matrix
        for _ in range(PEAK_PRODUCTS):
            product = product @ matrix
        product[0, 0].item()  # waits

    return chain, {'bfloat16': on_gpu or 'bf16' in processor_facts()}


def load_data(config: Any) -> Any:
    """The data set of a config."""
    from gan_jax import data

    options = config.data
    return data.load(options.name, size=options.size, channels=options.channels, show_progress=False)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()


def processor_facts() -> str:
    """Facts about the processor from Linux; empty on other systems."""
    path = pathlib.Path('/proc/cpuinfo')
    return path.read_text() if path.exists() else ''


def _program_bytes(analysis: Any) -> int:
    held = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return held + analysis.temp_size_in_bytes


def _means(metrics: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in metrics.items()}


class Worker:
    """One side in a process of its own.

    Attributes:
        facts: what its maker found out, and 'start' in seconds where the maker said when it was ready.
        times: the measurements in seconds.
    """

    def __init__(self, make: Callable[..., Side], *arguments: Any):
        self._pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn'))
        begin = time.time()
        try:
            self.facts = self._pool.submit(_start, make, *arguments).result()
        except BaseException:
            self.close()
            raise
        if 'ready' in self.facts:
            self.facts['start'] = self.facts['ready'] - begin
        self.times: list[float] = []

    def measure(self) -> None:
        """Adds a time."""
        self.times.append(self._pool.submit(_seconds).result())

    def close(self) -> None:
        """Ends the process."""
        self._pool.shutdown()


def _start(make: Callable[..., Side], *arguments: Any) -> dict[str, Any]:
    _RUN['it'], facts = make(*arguments)
    _RUN['it']()  # warms up
    return facts


def _seconds() -> float:
    begin = time.perf_counter()
    _RUN['it']()
    return time.perf_counter() - begin


def start_up(recipe: str, overrides: Sequence[str], cache: pathlib.Path, workdir: pathlib.Path) -> tuple[float, int]:
    """Seconds until the command line has written the metrics of two steps, and its peak memory in bytes until then.

    What follows, samples and a checkpoint, is cut off.

    Args:
        recipe: for `--config`.
        overrides: overrides of its keys.
        cache: for compiled programs.
        workdir: a directory that does not exist yet.
    """
    workdir.mkdir()
    command = [sys.executable, '-m', 'gan_jax.main', '--config', recipe, '--workdir', str(workdir)]
    command += [f'--config.{override}' for override in (*overrides, 'duration=2', 'log_every=2')]
    metrics, log = workdir / 'metrics.jsonl', workdir / 'log.txt'
    begin = time.perf_counter()
    with log.open('w') as output:
        environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache)}
        child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    while not (metrics.exists() and metrics.stat().st_size):
        if child.poll() is not None:
            raise RuntimeError(f'{" ".join(command)} failed:\n{log.read_text()}')
        time.sleep(0.01)
    seconds = time.perf_counter() - begin
    child.kill()
    _, child.returncode, usage = os.wait4(child.pid, 0)
    return seconds, usage.ru_maxrss * _MEMORY_UNIT
