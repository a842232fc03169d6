"""Starts a run on two hosts again and again, and looks whether each start trains to its end.

    python -m tests.two_hosts DIRECTORY --starts 50 --seed 0

A host is a process with two CPU devices; the mode is pmap, and every start has a new directory. One of the hosts,
chosen at random, starts up to a second late and compiles up to a second longer. `--slow 40` makes that 40 seconds in
the first start, which is more than collective operations wait for another host.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import socket
import sys
import time
from collections.abc import Callable

import jax

from tests.forks import start, wait

ROOT = pathlib.Path(__file__).parent.parent
OVERRIDES = (
    *('batch_size=16', 'duration=20', 'log_every=10', 'sample_every=20', 'checkpoint_every=20', 'samples=9'),
    *('latents.size=4', 'generator.widths=(8,)', 'discriminator.widths=(8,)', 'evaluate=fid', 'evaluate_every=20'),
    *('evaluation.samples=64', 'evaluation.extractor=tests.extractors:QUADRANTS'),
    "earlier_phases=('duration=20; batch_size=8; data.size=4',)",
)


def run(workdir: pathlib.Path, late: int, delay: float, slow: float, seconds: float = 300) -> str:
    """Starts both hosts, and waits for their end; returns what went wrong, or nothing.

    Args:
        workdir: of the run.
        late: the number of the host that is late and slow.
        delay: seconds by which it starts later.
        slow: seconds that it compiles longer.
        seconds: after which a host that has not ended is stuck.
    """
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    overrides = [f'--config.{override}' for override in OVERRIDES]
    command = ['--config', str(ROOT / 'configs' / 'mlp.py'), '--workdir', str(workdir), *overrides]
    environment = {
        'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
        'JAX_COMPILATION_CACHE_DIR': str(workdir.parent / 'compiled'),
    }
    logs = [workdir.with_suffix(f'.{host}.log') for host in range(2)]
    processes = []
    for host, log in enumerate(logs):
        join = ['--coordinator', f'localhost:{port}', '--num_processes', '2', '--process_id', str(host)]
        before = _hindered(delay, slow) if host == late else lambda: None
        processes.append(start([*command, *join], log, environment, before))
    try:
        codes = [wait(process, seconds=seconds) for process in processes]
    except TimeoutError:
        codes = [None, None]
        for process in processes:
            os.kill(process, signal.SIGKILL)
    text = ''.join(log.read_text() for log in logs)
    if codes != [0, 0] or 'Traceback' in text:
        return f'exit codes {codes}\n{text}'
    steps = [json.loads(line)['step'] for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
    return '' if sorted(set(steps)) == [10, 20, 30, 40] else f'the records are of the steps {steps}'


def _hindered(delay: float, slow: float) -> Callable[[], None]:
    """What makes a process start later and its first compilation take longer."""

    def before() -> None:
        time.sleep(delay)
        usual = jax.stages.Lowered.compile

        def compile_slowly(*arguments, **options):
            jax.stages.Lowered.compile = usual
            time.sleep(slow)
            return usual(*arguments, **options)

        jax.stages.Lowered.compile = compile_slowly

    return before


def main(directory: pathlib.Path, starts: int, seed: int, slow: float) -> int:
    """Prints each start, and returns how many failed."""
    chance, failed = random.Random(seed), 0
    directory.mkdir(parents=True)
    for number in range(starts):
        begun = time.monotonic()
        late, delay, longer = chance.randrange(2), chance.uniform(0, 1), chance.uniform(0, 1)
        trouble = run(directory / str(number), late, delay, longer if number else max(slow, longer))
        failed += bool(trouble)
        print(f'start {number + 1}: {time.monotonic() - begun:.0f} s, {trouble or "all went well"}', flush=True)
    print(f'{failed} of {starts} starts failed.')
    return failed


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('directory', type=pathlib.Path)
    parser.add_argument('--starts', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--slow', type=float, default=0)
    arguments = parser.parse_args()
    sys.exit(main(arguments.directory, arguments.starts, arguments.seed, arguments.slow) > 0)
