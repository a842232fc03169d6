"""Arms times seeds: trains the arms of an experiment as ordinary runs, and resumes if interrupted.

The seeds of an arm are a population (`gan_jax.training.population`), so that they share one compiled program; each
leaves the directory of a run, which can be sampled, evaluated and compared like any other.
"""

import argparse
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import DivergedError
from gan_jax.layers.choices import choose
from gan_jax.records import files
from gan_jax.train import train_population
from gan_jax.training.datasets import load_data
from gan_jax.values import with_values

ROOT = pathlib.Path(__file__).parent.parent


class Arm(NamedTuple):
    """One of the things compared.

    Attributes:
        recipe: recipe of `configs/`, as for `--config`: 'configs/dcgan.py:cifar10'.
        overrides: overrides of its keys, as texts: {'loss.name': 'hinge'}.
    """

    recipe: str
    overrides: Mapping[str, str] = {}


class Options(NamedTuple):
    """The command line of an experiment.

    Attributes:
        seeds: number of seeds; the first is 0.
        full: whether the published recipe is run.
        runs: directory of the runs.
        out: directory of the results.
        overrides: overrides of every arm's config.
        setting: the name of the setting where the experiment has several; else ''.
        arms: the names of the arms to train; empty: all.
    """

    seeds: int
    full: bool
    runs: pathlib.Path
    out: pathlib.Path
    overrides: dict[str, str]
    setting: str = ''
    arms: tuple[str, ...] = ()


def parse(
    name: str,
    description: str,
    argv: Sequence[str] | None,
    *,
    seeds: int = 3,
    settings: Sequence[str] = ('',),
    some_arms: bool = False,
    has_full: bool = True,
) -> Options:
    """Reads a command line such as `--seeds 5 --out /tmp/results --config.duration='100 steps'`.

    Args:
        name: name of the experiment's folder.
        description: for --help.
        argv: the arguments; those of the process by default.
        seeds: how many there are by default.
        settings: names of its settings, the default first; each has a directory of its own.
        some_arms: whether there is a flag to train some of the arms alone.
        has_full: whether there is a flag to train the published recipes.
    """
    parser = argparse.ArgumentParser(prog=f'python -m experiments.{name}', description=description, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        '--seeds', type=positive, default=seeds, help=f'number of seeds; the first is 0 (default: {seeds})'
    )
    if len(settings) > 1:
        what = f'the setting (default: {settings[0]})'
        parser.add_argument('--setting', choices=settings, default=settings[0], help=what)
    if some_arms:
        parser.add_argument('--arms', nargs='+', default=(), metavar='ARM', help='train these alone (default: all)')
    if has_full:
        what = f'train the published recipes, for a GPU (default directories: in runs/{name}-full)'
        parser.add_argument('--full', action='store_true', help=what)
    inside = '/SETTING' if len(settings) > 1 else ''
    what = f'directory of the runs (default: runs/{name}{inside})'
    parser.add_argument('--runs', type=files.user_path, help=what)
    what = f'directory of the results (default: experiments/{name}/results{inside})'
    parser.add_argument('--out', type=files.user_path, help=what)
    words = sys.argv[1:] if argv is None else argv
    overrides = [word for word in words if re.fullmatch(r'--config\.[^=]+=.*', word)]
    # argparse takes a word with a space, such as --config.duration='9 steps', for another value of --arms
    flags, wrong = parser.parse_known_args([word for word in words if word not in overrides])
    if wrong:
        parser.error(f"unknown argument {wrong[0]}; overrides of every arm are written --config.x.y='value'")
    full, setting = getattr(flags, 'full', False), getattr(flags, 'setting', '')
    variant = f'{name}-full' if full else name
    return Options(
        flags.seeds,
        full,
        flags.runs or pathlib.Path('runs') / variant / setting,
        flags.out or (pathlib.Path('runs') / variant if full else ROOT / f'experiments/{name}') / 'results' / setting,
        dict(word.removeprefix('--config.').split('=', 1) for word in overrides),
        setting,
        tuple(getattr(flags, 'arms', ())),
    )


def positive(text: str) -> int:
    """A whole number of at least 1, as the type of an argument of a command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'it is {number}; it must be at least 1')
    return number


def train(arms: Mapping[str, Arm], options: Options) -> dict[str, list[pathlib.Path]]:
    """Trains every arm that the options name with every seed, or what of it is not done yet.

    An arm that diverges is a result too: it keeps what it recorded until then, and perhaps has no checkpoint.

    Returns:
        The directories of each arm's runs, by seed.

    Raises:
        UserError: an arm does not exist, or another problem that the user can fix.
        InterruptedRunError: SIGTERM or Ctrl-C came; the same command goes on from there.
    """
    directories = {}
    for name in options.arms:
        choose(arms, name, 'arm')
    for name, arm in arms.items():
        if options.arms and name not in options.arms:
            continue
        workdir = options.runs / slug(name)
        print(f'== {name}: {workdir}', flush=True)
        try:
            train_population(config_of(arm, options), workdir)
        except DivergedError as error:
            print(f'{name}: {error}', flush=True)
        directories[name] = [workdir / f'member-{i}' for i in range(options.seeds)]
    return directories


def config_of(arm: Arm, options: Options) -> ConfigDict:
    """The config of an arm's population."""
    overrides = {**arm.overrides, **options.overrides, 'population': str(options.seeds)}
    return configs.load(f'{ROOT}/{arm.recipe}', overrides)


def kimg(config: ConfigDict) -> float:
    """How many thousand images the generator of a config makes in a complete training."""
    if 'epoch' in str(config.duration):  # their length is known when the data are loaded
        config = with_values(config, {'data.examples': len(load_data(config.data))})
    return configs.steps(config, 'duration') * config.batch_size / 1000


def slug(name: str) -> str:
    """A name as part of a path: 'WGAN-GP, no batch norm' is 'wgan-gp-no-batch-norm'."""
    return re.sub(r'[^a-z0-9.]+', '-', name.lower()).strip('-')
