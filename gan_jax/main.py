"""Trains a GAN, draws samples of a trained one, or evaluates it.

python -m gan_jax.main --config dcgan:fashion_mnist --config.batch_size=128
python -m gan_jax.main --mode sample --workdir runs/dcgan-digits --num 64 --seed 0
python -m gan_jax.main --mode eval --workdir runs/dcgan-digits --metrics fid,kid
"""

import argparse
import os
import pathlib
import sys
from typing import Any, NamedTuple

from gan_jax import evaluate, sample
from gan_jax.errors import DivergedError, InterruptedRunError, UserError, exit_code
from gan_jax.records import files

_USAGE = {
    'train': '--config NAME[:DATA] [--config.x.y=value ...] [flags]',
    'sample': '--mode sample --workdir RUN [flags]',
    'eval': '--mode eval --workdir RUN [flags]',
}
_NEXT = """more help:
  python -m gan_jax.main --mode sample --help                      the flags of sampling
  python -m gan_jax.main --mode eval --help                        the flags of evaluation
  python -m gan_jax.tools.list                                     all configs, data sets, losses, metrics, ...
  python -m gan_jax.tools.list --config dcgan                      every key of a config, with a comment"""


class _Unlisted(NamedTuple):
    """A group of flags that are parsed, but are not shown in the help."""

    parser: argparse.ArgumentParser

    def add_argument(self, *names: str, **options: Any) -> None:
        self.parser.add_argument(*names, **{**options, 'help': argparse.SUPPRESS})


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags and the `x.y=value` overrides of a command line. `--help` shows the flags of its mode."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument('--mode', default='train')
    mode = first.parse_known_args(argv)[0].mode
    command = 'python -m gan_jax.main'
    parser = argparse.ArgumentParser(
        prog=command,
        usage=f'{command} {_USAGE.get(mode, _USAGE["train"])}',
        description=__doc__,
        epilog=_NEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def group(title: str, *modes: str) -> Any:
        return parser.add_argument_group(title) if mode in modes else _Unlisted(parser)

    parser.add_argument('--mode', choices=tuple(_USAGE), default='train', help='what to do (default: train)')
    parser.add_argument('--workdir', type=files.user_path, help='directory of the run (default: runs/CONFIG-DATA)')
    training = group('training', 'train')
    training.add_argument(
        '--config',
        metavar='NAME[:DATA]',
        help='a recipe of gan_jax or a config file, FILE.py[:DATA]; --config.x.y=value overrides any of its keys',
    )
    training.add_argument(
        '--accept_config_changes', action='store_true', help='continue although config or data have changed'
    )
    samples = group('samples', 'sample', 'eval')
    samples.add_argument('--num', type=int, help='number of samples (default: 64 pictures; 10,000 to evaluate)')
    samples.add_argument('--seed', type=int, help='seed of the latents (default: 0)')
    samples.add_argument(
        '--step', type=_step, help='step of the checkpoint (default: the latest); in mode eval also all'
    )
    samples.add_argument('--standing_statistics', **evaluate.STANDING_FLAG)
    samples.add_argument(
        '--import_model', action='store_true', help="import the run's own modules, which executes their code"
    )
    pictures = group('pictures', 'sample')
    for name, options in sample.FLAGS.items():
        pictures.add_argument(f'--{name}', **options)
    evaluate.add_flags(group('evaluation', 'eval'))
    processes = group('several processes or hosts', 'train')
    processes.add_argument(
        '--distributed', action='store_true', help="read the processes from the cluster's environment"
    )
    processes.add_argument('--coordinator', metavar='HOST:PORT', help='address of the first process')
    processes.add_argument('--num_processes', type=int, help='number of processes on all hosts')
    processes.add_argument('--process_id', type=int, help='number of this process, starting at 0')
    processes.add_argument(
        '--join_seconds', type=float, default=300, help='how long to wait for all processes (default: 300)'
    )
    flags, rest = parser.parse_known_args(argv)
    return flags, overrides_of(rest, parser)


def overrides_of(rest: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """The `x.y=value` overrides among the arguments unknown to a parser; any other argument ends the program."""
    rest, overrides = list(rest), []
    while rest:
        argument = rest.pop(0)
        if not argument.startswith('--config.'):
            parser.error(f'unknown argument {argument}; overrides are written --config.x.y=value')
        override = argument.removeprefix('--config.')
        if '=' not in override and rest and not rest[0].startswith('--'):
            override += '=' + rest.pop(0)
        overrides.append(override)
    return overrides


def _step(text: str) -> int | str:
    return text if text == 'all' else int(text)


def run(flags: argparse.Namespace, overrides: list[str]) -> None:
    """Trains, samples or evaluates."""
    from gan_jax import config as configs
    from gan_jax import train
    from gan_jax.runtime import hosts, parallel
    from gan_jax.sampling import trained

    parallel.enable_compilation_cache()
    _refuse_others(flags)
    if flags.mode != 'train':
        doing = {'sample': 'Sampling', 'eval': 'Evaluation'}[flags.mode]
        if overrides:
            raise UserError(f'{doing} uses the config of the run: omit --config.x.y=value.')
        if flags.workdir is None:
            raise UserError(f'{doing} needs --workdir, the directory of a run.')
        if flags.import_model:
            trained.import_model(flags.workdir)
    if flags.mode == 'sample':
        sample.run(flags)
        return
    if flags.mode == 'eval':
        evaluate.evaluate_workdir(flags.workdir, **evaluate.given(flags, 'num', 'seed', 'step', 'standing_statistics'))
        return
    if flags.config is None:
        raise UserError(
            'Training needs --config, such as --config dcgan:fashion_mnist; python -m gan_jax.tools.list '
            'configs shows all.'
        )
    identity = (flags.coordinator, flags.num_processes, flags.process_id)
    if flags.distributed or identity != (None, None, None):
        hosts.join(*identity, by_environment=flags.distributed, seconds=flags.join_seconds)
    config = configs.load(flags.config, overrides)
    workdir = flags.workdir or pathlib.Path('runs') / configs.run_name(flags.config, config)
    start = train.train_population if config.population > 1 or config.vary else train.train
    try:
        start(config, workdir, accept_config_changes=flags.accept_config_changes)
    except (DivergedError, InterruptedRunError):  # in all processes; the first has more to write
        hosts.meet()
        raise
    hosts.meet()


def _refuse_others(flags: argparse.Namespace) -> None:
    """Raises a UserError for a flag that has no effect in this mode."""
    training = ('config', 'accept_config_changes', 'distributed', 'coordinator', 'num_processes', 'process_id')
    for names, modes in (
        (sample.FLAGS, ('sample',)),
        (evaluate.FLAGS, ('eval',)),
        (('import_model', *sample.SHARED), ('sample', 'eval')),
        (training, ('train',)),
    ):
        given = [name for name in names if getattr(flags, name) is not None and getattr(flags, name) is not False]
        if given and flags.mode not in modes:
            others = ' and '.join(f'--mode {mode}' for mode in modes)
            raise UserError(f'--{given[0]} is for {others} and does not apply to --mode {flags.mode}: omit it.')


def main(argv: list[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    flags, overrides = parse(sys.argv[1:] if argv is None else argv)
    from gan_jax.runtime import hosts

    return hosts.leave(exit_code(lambda: run(flags, overrides)))


if __name__ == '__main__':
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # XLA's own chatter
    sys.exit(main())
