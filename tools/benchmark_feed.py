"""Measures whether data larger than memory keep the training step fed, and in how much memory. For Linux.

    python -m gan_jax.tools.benchmark_feed [--case dcgan64] [--gigabytes 2] [--directory DIR] [--steps 2] [--rounds 5]

It writes random images of the case's size to a file, drops them from the page cache, so that they come from the disk,
and trains through gan_jax's own streamed feed. Rounds of streamed stretches take turns with rounds of the same compiled
stretch on a block that is on the device already; the difference is what the feed costs. The loop asks for a
block while the stretch before still runs, so that the time it spends there is not all lost.

The anonymous memory is the process's own. Pages of the file belong to the kernel, which can reclaim them.
"""

import argparse
import collections
import contextlib
import itertools
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from gan_jax.errors import exit_code
from gan_jax.records import files

from . import benchmark_sides
from .benchmark import CASES
from .benchmark_sides import Training

_CHUNK_BYTES = 2**26


def write_images(path: pathlib.Path, shape: tuple[int, ...], num_bytes: int) -> None:
    """Writes at least so many bytes of random uint8 images of a shape to a .npy file, unless it is there."""
    if path.exists():
        return
    image_bytes = int(np.prod(shape))
    count, chunk = -(-num_bytes // image_bytes), max(1, _CHUNK_BYTES // image_bytes)
    generator, unfinished = np.random.default_rng(0), path.with_suffix('.incomplete')
    with unfinished.open('wb') as file:
        header = {'descr': '|u1', 'fortran_order': False, 'shape': (count, *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for begin in range(0, count, chunk):
            file.write(generator.bytes(min(chunk, count - begin) * image_bytes))
    unfinished.rename(path)


def open_cold(path: pathlib.Path) -> np.ndarray:
    """The memory-mapped array of a .npy file, none of whose pages are in the page cache."""
    with path.open('rb') as file:
        os.fsync(file.fileno())  # only clean pages are dropped
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return np.load(path, mmap_mode='r')


def resident_memory() -> tuple[int, int]:
    """This process's anonymous memory and its mapped pages of files, in bytes."""
    lines = pathlib.Path('/proc/self/status').read_text().splitlines()
    fields = dict(line.split(':') for line in lines if line.startswith('Rss'))
    anonymous, files = (int(fields[name].split()[0]) * 1024 for name in ('RssAnon', 'RssFile'))
    return anonymous, files


@contextlib.contextmanager
def peak_memory(seconds: float = 0.01) -> Iterator[list[int]]:
    """A list that holds the peaks of `resident_memory`, looked up every so many seconds until the end of the block."""
    peaks, done = list(resident_memory()), threading.Event()

    def watch() -> None:
        while not done.wait(seconds):
            peaks[:] = map(max, peaks, resident_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def train(training: Training, state: Any, blocks: Iterator[Any], stretches: int) -> tuple[Any, float, float]:
    """Trains as `gan_jax.train` does: (last state, seconds in all, seconds in which the loop asked for blocks)."""
    import jax

    waiting, asked, begin = [], 0.0, time.perf_counter()
    for _ in range(stretches):
        before = time.perf_counter()
        block = next(blocks)
        asked += time.perf_counter() - before
        state, metrics = training.stretch(state, block, *training.whole)
        waiting.append(metrics)
        if len(waiting) > 1:
            jax.device_get(waiting.pop(0))
    jax.device_get(waiting.pop())
    return state, time.perf_counter() - begin, asked


def measure(config: Any, examples: np.ndarray, steps: int, stretches: int, rounds: int) -> dict[str, float]:
    """The cost of training on the examples: medians of seconds, and bytes.

    'streamed' and 'resident' are seconds of a round of so many stretches, 'lost' is the share of a streamed round by
    which it is longer than the resident one after it, 'asked' the share in which the loop asked for its next block.
    'start', 'peak' and 'files' are the anonymous memory before streaming, its peak and the peak of the mapped pages.
    'budget' is what the blocks may take: three on the host, of which two are read ahead, and two on the device, one in
    use and the next.
    """
    from gan_jax.data import Dataset

    dataset = Dataset('synthetic', 'train', examples, None, None, 'synthetic')
    training = benchmark_sides.make_training(config, dataset, steps, 'host')
    resident = itertools.repeat(training.data)
    state, _, _ = train(training, training.state, resident, stretches)  # warms up
    start, _ = resident_memory()
    first, measured = 0, collections.defaultdict(list)
    with peak_memory() as peaks:
        for _ in range(rounds):
            ends = range(first, first + (stretches + 2) * steps, steps)
            first = ends[-1]
            with training.feed.open(list(itertools.pairwise(ends))) as blocks:
                next(blocks)  # the start of a run, of which there is one
                state, seconds, waited = train(training, state, blocks, stretches)
            state, alone, _ = train(training, state, resident, stretches)
            facts = {'streamed': seconds, 'resident': alone, 'lost': 1 - alone / seconds, 'asked': waited / seconds}
            for name, value in facts.items():
                measured[name].append(value)
    block = examples[0].nbytes * config.batch_size * config.discriminator_steps * steps
    memory = {'start': start, 'peak': peaks[0], 'files': peaks[1], 'budget': 5 * block}
    return {name: statistics.median(values) for name, values in measured.items()} | memory


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = [name for name, case in CASES.items() if case.members == 1]
    parser.add_argument('--case', choices=cases, default='dcgan64')
    parser.add_argument('--gigabytes', type=float, default=2.0)
    parser.add_argument(
        '--directory', type=files.user_path, help='directory of the file (default: a temporary directory)'
    )
    parser.add_argument('--steps', type=int, help="steps per stretch (default: the case's)")
    parser.add_argument('--stretches', type=int, default=10, help='in a round')
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    config, steps = case.config(), arguments.steps or case.steps
    shape = config.data.size, config.data.size, config.data.channels
    with contextlib.ExitStack() as stack:
        directory = arguments.directory or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f'{"x".join(map(str, shape))}-{arguments.gigabytes:g}GB.npy'
        write_images(path, shape, int(arguments.gigabytes * 1e9))
        facts = measure(config, open_cold(path), steps, arguments.stretches, arguments.rounds)
    images = arguments.stretches * steps * config.batch_size * config.discriminator_steps
    print(f'{case.title}, stretches of {steps} steps, {arguments.gigabytes:g} GB; medians of {arguments.rounds}')
    print(f'streamed {images / facts["streamed"]:,.1f} images/s, resident {images / facts["resident"]:,.1f};')
    growth = facts['peak'] - facts['start']
    print(
        f'lost to the feed {facts["lost"]:.1%}; the loop waited for its next block for {facts["asked"]:.1%} of the '
        'time.'
    )
    print(f'Anonymous memory {facts["start"] / 2**20:,.0f} MiB before, {growth / 2**20:,.1f} MiB more at the peak;')
    print(
        f'blocks may take {facts["budget"] / 2**20:,.1f} MiB; mapped pages {facts["files"] / 2**20:,.0f} MiB at most.'
    )


if __name__ == '__main__':
    sys.exit(exit_code(main))
