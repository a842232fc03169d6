"""Kills populations at random, lets them end, and compares all that they leave with one never killed.

    python -m tests.kills DIRECTORY --kills 60 --seed 0

Four populations take turns: three members on the ring, two on digits, two that have three phases, two that grow from
4x4 to 8x8. A kill comes at a random time of a start, in the middle of a checkpoint's writing, or while the last
pictures are drawn; by SIGKILL, by SIGTERM, or by SIGTERM and then SIGKILL. Only those that end a process by SIGKILL
are counted. Half of the populations get SIGKILL alone, and every file of theirs is compared. A stop by SIGTERM saves
a checkpoint of its own step, which may take the place of an older one: where there was one, of the checkpoints only
the last is compared.
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

from tests.contents import differences
from tests.forks import start, wait

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 300
SIGNALS = ('SIGKILL', 'SIGTERM', 'SIGTERM, SIGKILL')
COMMON = (
    *('batch_size=16', f'duration={STEPS}', 'log_every=20', 'sample_every=100', 'checkpoint_every=40'),
    *('generator.widths=(8,)', 'discriminator.widths=(8,)', 'parallel.devices=1', 'checkpoints.keep_last=1'),
)
POPULATIONS = {
    'ring': ('configs/toy.py', 'population=3', 'samples=100'),
    'digits': ('configs/mlp.py', 'population=2', 'samples=9', 'latents.size=4'),
    'phases': (
        *('configs/mlp.py', 'population=2', 'samples=9', 'latents.size=4', f'duration={STEPS - 170}'),
        "earlier_phases=('duration=110; batch_size=8; data.size=8', 'duration=60; data.size=8; fresh_optimizers=True')",
    ),
    'growing': (
        *('configs/progan.py', 'population=2', 'samples=9', 'latents.size=4', f'duration={STEPS - 200}'),
        *('data.size=8', 'generator.widths=(8, 8)', 'discriminator.widths=(8, 8)'),
        "earlier_phases=('duration=200; data.size=4; real_fade=0.0; generator.fade=0.0; discriminator.fade=0.0',)",
    ),
}


def begin(name: str, workdir: pathlib.Path, log: pathlib.Path) -> int:
    """Starts a population's command; returns the process."""
    config, *own = POPULATIONS[name]
    overrides = [f'--config.{override}' for override in (*COMMON, *own)]
    return start(['--config', str(ROOT / config), '--workdir', str(workdir), *overrides], log)


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
        member, number, seen = chance.randrange(2), chance.randint(1, 4), set()

        def is_saving() -> bool:
            seen.update(workdir.glob(f'member-{member}/checkpoints/*.orbax-checkpoint-tmp*'))
            return len(seen) >= number

        return is_saving
    before, records = log.stat().st_size if log.exists() else 0, workdir / 'member-0' / 'metrics.jsonl'

    def has_begun() -> bool:
        if kind == 'training':
            return b'The first step took' in log.read_bytes()[before:]
        return records.exists() and f'"step": {STEPS}'.encode() in records.read_bytes()

    delay, begun = chance.uniform(0, life if kind == 'training' else life / 2), []

    def has_come() -> bool:
        if not begun and log.exists() and has_begun():
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() - begun[0] > delay

    return has_come


def kill(process: int, chance: random.Random, signals: tuple[str, ...]) -> tuple[str, bool]:
    """Sends one of the signals, or two of them one after the other, and waits for the end.

    Returns:
        The signals, and whether SIGKILL ended the process.
    """
    kind = chance.choice(signals)
    os.kill(process, signal.SIGKILL if kind == 'SIGKILL' else signal.SIGTERM)
    if kind == 'SIGTERM, SIGKILL':
        time.sleep(chance.uniform(0, 0.5))
        os.kill(process, signal.SIGKILL)  # which does no harm to a process that has ended and is not waited for
    return kind, wait(process) == -signal.SIGKILL


def undisturbed(name: str, workdir: pathlib.Path, log: pathlib.Path) -> float:
    """Lets a population train without a kill; returns the seconds from its first step to its end."""
    process = begin(name, workdir, log)
    code = wait(process, lambda: log.exists() and b'The first step took' in log.read_bytes())
    begun = time.monotonic()
    if (wait(process) if code is None else code) != 0:
        raise RuntimeError(log.read_text())
    return time.monotonic() - begun


def attack(directory: pathlib.Path, kills: int, seed: int) -> list[str]:
    """Kills so many times by SIGKILL; returns what differs in the end.

    Args:
        directory: of all that is trained and printed.
        kills: how many, over as many populations as they take.
        seed: of all chances.
    """
    chance, troubles, done = random.Random(seed), [], 0
    life = {}
    for name in POPULATIONS:  # twice, as the second time all programs are compiled already
        for which in ('whole', 'again'):
            life[name] = undisturbed(name, directory / f'{name}-{which}', directory / f'{name}-{which}.log')
    for number in range(kills):
        name = list(POPULATIONS)[number % len(POPULATIONS)]
        workdir, log = directory / f'{name}-{number}', directory / f'{name}-{number}.log'
        signals, code, story = chance.choice((SIGNALS, SIGNALS[:1])), None, []
        while code is None:
            process = begin(name, workdir, log)
            kind = chance.choice(('training', 'saving', 'drawing'))
            code = wait(process, moment(kind, chance, workdir, log, life[name]) if done < kills else lambda: False)
            if code is None:
                sent, killed = kill(process, chance, signals)
                story.append(f'{kind}: {sent}')
                done += killed
        found = differences(workdir, directory / f'{name}-whole')
        if any('SIGTERM' in one for one in story):
            found = [path for path in found if '/checkpoints/' not in path or path.endswith(f'/{STEPS}')]
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
