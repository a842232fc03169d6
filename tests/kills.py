"""Kills populations at random, lets them end, and compares all that they leave with one never killed.

    python -m tests.kills DIRECTORY --kills 60 --seed 0

Two populations take turns: three members on the ring, two on digits. A kill comes at a random time of a start, in the
middle of a checkpoint's writing, or while the last pictures are drawn; by SIGKILL, by SIGTERM, or by SIGTERM and then
SIGKILL. Processes are forked from this one, which has imported all and started nothing, so that a start costs little.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable

from gan_jax import train  # noqa: F401, so that it is imported once
from gan_jax.main import main as gan_jax_main
from tests.contents import differences

ROOT = pathlib.Path(__file__).parent.parent
COMMON = (
    *('batch_size=16', 'duration=300', 'log_every=20', 'sample_every=100', 'checkpoint_every=40'),
    *('generator.widths=(8,)', 'discriminator.widths=(8,)', 'parallel.devices=1', 'checkpoints.keep_last=1'),
)
POPULATIONS = {
    'ring': ('configs/toy.py', 'population=3', 'samples=100'),
    'digits': ('configs/mlp.py', 'population=2', 'samples=9', 'latents.size=4'),
}
LAST_STEP = b'"step": 300'


def start(name: str, workdir: pathlib.Path, log: pathlib.Path) -> int:
    """Starts a population's command in a process of its own; returns the process."""
    if process := os.fork():
        return process
    try:
        with open(log, 'ab') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        config, *own = POPULATIONS[name]
        overrides = [f'--config.{override}' for override in (*COMMON, *own)]
        code = gan_jax_main(['--config', str(ROOT / config), '--workdir', str(workdir), *overrides])
    except BaseException as error:
        print(repr(error), flush=True)
        code = 99
    os._exit(code)


def ended(process: int) -> int | None:
    """The exit code of a process, minus the signal that ended it, or None."""
    found, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def wait(process: int, until: Callable[[], bool] = lambda: False, seconds: float = 900) -> int | None:
    """Waits until a process has ended, and returns its exit code, or until something else is so, and returns None."""
    deadline = time.monotonic() + seconds
    while (code := ended(process)) is None and not until():
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            raise TimeoutError(f'process {process} did not end in {seconds} s')
        time.sleep(0.001)
    return code


def moment(
    kind: str, chance: random.Random, workdir: pathlib.Path, log: pathlib.Path, life: float
) -> Callable[[], bool]:
    """A random moment of the start that has just begun, as a function that says whether it has come.

    Args:
        kind: 'training' for any time of training and drawing, 'saving' or 'drawing'.
        chance: decides.
        workdir: of the population.
        log: what its starts print.
        life: seconds of training and drawing, about.
    """
    if kind == 'saving':
        member, number, seen = chance.randrange(2), chance.randint(1, 8), set()

        def is_saving() -> bool:
            seen.update(workdir.glob(f'member-{member}/checkpoints/*.orbax-checkpoint-tmp*'))
            return len(seen) >= number

        return is_saving
    before, records = log.stat().st_size if log.exists() else 0, workdir / 'member-0' / 'metrics.jsonl'

    def has_begun() -> bool:
        if kind == 'training':
            return b'The first step took' in log.read_bytes()[before:]
        return records.exists() and LAST_STEP in records.read_bytes()

    delay, begun = chance.uniform(0, life if kind == 'training' else life / 2), []

    def has_come() -> bool:
        if not begun and log.exists() and has_begun():
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() - begun[0] > delay

    return has_come


def kill(process: int, chance: random.Random) -> str:
    """Sends a signal, perhaps another after it, and waits for the end; returns what it did."""
    kind = chance.choice(('SIGKILL', 'SIGTERM', 'SIGTERM, SIGKILL'))
    os.kill(process, signal.SIGKILL if kind == 'SIGKILL' else signal.SIGTERM)
    if kind == 'SIGTERM, SIGKILL':
        time.sleep(chance.uniform(0, 0.5))
        os.kill(process, signal.SIGKILL)  # which does no harm to a process that has ended and is not waited for
    wait(process)
    return kind


def undisturbed(name: str, workdir: pathlib.Path, log: pathlib.Path) -> float:
    """Lets a population train without a kill; returns the seconds from its first step to its end."""
    process = start(name, workdir, log)
    code = wait(process, lambda: log.exists() and b'The first step took' in log.read_bytes())
    begun = time.monotonic()
    if (wait(process) if code is None else code) != 0:
        raise RuntimeError(log.read_text())
    return time.monotonic() - begun


def attack(directory: pathlib.Path, kills: int, seed: int) -> list[str]:
    """Kills so many times; returns what differs in the end.

    Args:
        directory: of all that is trained and printed.
        kills: how many, over as many populations as they take.
        seed: of all chances.
    """
    chance, troubles, done = random.Random(seed), [], 0
    life = {
        name: undisturbed(name, directory / f'{name}-whole', directory / f'{name}-whole.log') for name in POPULATIONS
    }
    for number in range(kills):
        name = list(POPULATIONS)[number % len(POPULATIONS)]
        workdir, log = directory / f'{name}-{number}', directory / f'{name}-{number}.log'
        code, story = None, []
        while code is None:
            process = start(name, workdir, log)
            kind = chance.choices(('training', 'saving', 'drawing'), (2, 1, 1))[0]
            code = wait(process, moment(kind, chance, workdir, log, life[name]) if done < kills else lambda: False)
            if code is None:
                story.append(f'{kind}: {kill(process, chance)}')
                done += 1
        found = differences(workdir, directory / f'{name}-whole')
        print(f'{done} kills: {name} ({"; ".join(story)}): exit {code}, {found or "nothing differs"}', flush=True)
        if found or code:
            troubles.append(
                f'{workdir.name} ({"; ".join(story)}): exit {code}, differs in {found}\n' + log.read_text()[-2000:]
            )
        else:
            shutil.rmtree(workdir)
        if done >= kills:
            break
    return troubles


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('directory', type=pathlib.Path)
    parser.add_argument('--kills', type=int, default=60)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True)
    found = attack(arguments.directory, arguments.kills, arguments.seed)
    print('\n'.join(found) or 'Every file is that of a population never killed.')
    sys.exit(bool(found))
