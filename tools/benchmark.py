"""Measures training by gan_jax against PyTorch: speed, start-up, compile time, memory and share of the machine's peak.

    pip install 'gan_jax[benchmark]'
    python -m gan_jax.tools.benchmark [--cases mlp dcgan28] [--sides gan_jax eager] [--rounds 5] [--output table.md]

Every case is a recipe of `configs/` on the embedded digits, brought to the case's size. The peers are `tools.twins`,
the same computation in PyTorch, which sample, mirror, average and measure as gan_jax does. Each side runs in a process
of its own with all cores, and the sides take turns; the figures are medians over the rounds, beside the range.

The start is that of `python -m gan_jax.main` until the metrics of the first two steps are written, with an empty
compilation cache and then with a full one; that of the twin lasts until its first two steps are done. The memory is the
process's peak until then. FLOPs are PyTorch's count of the twin's convolutions and matrix products.
"""

import argparse
import dataclasses
import functools
import pathlib
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from gan_jax.errors import exit_code
from gan_jax.records import files

from . import benchmark_sides
from .benchmark_sides import STRETCHES, Worker


@dataclasses.dataclass(frozen=True)
class Case:
    """A recipe to measure.

    Attributes:
        title: for the table.
        recipe: for `--config`.
        overrides: overrides of its keys; the networks' widths among them, which the twins take from the config.
        steps: number of steps of the generator in a stretch.
        members: seeds that gan_jax trains at once, and PyTorch one after the other.
    """

    title: str
    recipe: str
    overrides: tuple[str, ...]
    steps: int
    members: int = 1

    def config(self, overrides: Sequence[str] = ()) -> Any:
        """The config; further overrides take precedence."""
        from gan_jax import config as configs

        return configs.load(self.recipe, [*self.overrides, *overrides])


def _images(size: int, channels: int, generator: str, discriminator: str, *more: str) -> tuple[str, ...]:
    widths = f'generator.widths={generator}', f'discriminator.widths={discriminator}'
    return f'data.size={size}', f'data.channels={channels}', *widths, 'parallel.devices=1', *more


def _translation(size: int, width: int, patch: int, *more: str) -> tuple[str, ...]:
    widths = f'generator.width={width}', f'discriminator.width={width}', f'discriminator.receptive_field={patch}'
    sizes = f'data.size={size}', 'data.channels=3', 'batch_size=4', *widths
    return *sizes, 'schedule.name=constant', 'parallel.devices=1', *more


_MLP = _images(28, 1, '(256,512,1024)', '(1024,512,256)')
_DCGAN28 = _images(28, 1, '(128,64)', '(64,128)')
_DCGAN32 = _images(32, 3, '(512,256,128)', '(64,128,256)', 'data.flip=True')
_DCGAN64 = _images(64, 3, '(512,256,128,64)', '(64,128,256,512)', 'data.flip=True')
_WGAN_GP32 = _images(32, 3, '(256,128,64)', '(64,128,256)', 'data.flip=True')
_SNGAN32 = _images(32, 3, '(256,128,64,32)', '(32,64,128,256)', 'data.flip=True', 'loss.name=hinge')
_RESIDUAL32 = _images(32, 3, '(32,32,32,32)', '(32,32,32,32)', 'data.flip=True')
_R3GAN32 = _images(32, 3, '(64,64,32,16)', '(16,32,64,64)', 'data.flip=True', 'generator.blocks=(2,)')
_R3GAN32 = (*_R3GAN32, 'discriminator.blocks=(2,)', 'augment.name=none', 'schedules=()')
_STYLEGAN2_32 = _images(32, 3, '(64,64,32,16)', '(64,64,32,16)', 'data.flip=True')
_PIX2PIX64 = _translation(64, 32, 70)
_CYCLEGAN32 = _translation(32, 16, 16, 'generator.blocks=3')
_CONSTANT = 'schedule.name=constant', 'parallel.devices=1'
CASES = {
    'mlp': Case('MLP 28x28, batch 128', 'mlp:digits', _MLP, 30),
    'population': Case('MLP 28x28, batch 128, 8 seeds', 'mlp:digits', _MLP, 5, members=8),
    'dcgan28': Case('DCGAN 28x28, batch 64', 'dcgan:digits', _DCGAN28, 15),
    'dcgan32': Case('DCGAN 32x32 from 4x4x512, batch 64', 'dcgan:digits', _DCGAN32, 4),
    'dcgan64': Case('DCGAN 64x64, batch 64', 'dcgan:digits', _DCGAN64, 2),
    'wgan_gp32': Case('WGAN-GP 32x32, batch 64', 'wgan_gp:digits', _WGAN_GP32, 2),
    'sngan32': Case(
        'SNGAN 32x32 (4x4x256, half the published width), hinge, five critic steps, batch 64',
        'sngan:digits',
        (*_SNGAN32, 'discriminator_steps=5'),
        2,
    ),
    'sngan_resnet32': Case(
        'Residual SNGAN 32x32, 32 channels, hinge, two critic steps, batch 64',
        'sngan_resnet:digits,small',
        _RESIDUAL32,
        3,
    ),
    'biggan32': Case('BigGAN 32x32, 32 channels, two critic steps, batch 50', 'biggan:digits,small', _RESIDUAL32, 3),
    'r3gan32': Case('R3GAN 32x32, 16 to 64 channels, R1 and R2, batch 64', 'r3gan', _R3GAN32, 2),
    'stylegan2_32': Case(
        'StyleGAN2 32x32, 16 to 64 channels, lazy R1 and path length, batch 32',
        'stylegan2:digits,small',
        _STYLEGAN2_32,
        16,
    ),
    'pix2pix64': Case('pix2pix 64x64, half the published width, batch 4', 'pix2pix', _PIX2PIX64, 10),
    'cyclegan32': Case(
        'CycleGAN 32x32, a quarter of the published width, three blocks, batch 4',
        'cyclegan',
        _CYCLEGAN32,
        10,
    ),
    'munit32': Case(
        'MUNIT 32x32, a quarter of the published width, two blocks, two scales, batch 8',
        'munit',
        ('data.size=32', 'batch_size=8', *_CONSTANT),
        5,
    ),
    'spade32': Case(
        'SPADE 32x32, an eighth of the published width, a quarter in the discriminator, batch 16',
        'spade',
        _CONSTANT,
        5,
    ),
    'esrgan32': Case(
        'ESRGAN x4, crops of 32x32, half the published width, two blocks, pixels and adversary, batch 16',
        'esrgan',
        ('earlier_phases=()', *_CONSTANT),
        5,
    ),
}
SIDES = ('gan_jax', 'gan_jax bf16', 'eager', 'channels last', 'compile', 'bf16')
COLUMNS = (
    'case',
    'side',
    'images/s (range)',
    'ratio to the best PyTorch of its precision',
    'share of the matrix peak',
    'start to second step, s (cold, warm)',
    'compile, s',
    'peak memory, GiB',
    'compiled stretch, GiB',
    'GFLOP per step',
)


def is_bfloat16(side: str) -> bool:
    """Whether a side computes in bfloat16."""
    return side.endswith('bf16')


def is_pytorch(side: str) -> bool:
    """Whether a side is a twin."""
    return not side.startswith('gan_jax')


def starts(case: Case, steps: int, images: pathlib.Path) -> dict[str, Callable[[], Worker]]:
    """How to start each side of a case."""
    from gan_jax.config import json_values

    single, half = (json_values.to_json(case.config([f'dtype={dtype}'])) for dtype in ('float32', 'bfloat16'))
    mine = (benchmark_sides.gan_jax_side,) if case.members == 1 else (benchmark_sides.population_side, case.members)
    make, *more = mine
    made = {
        'gan_jax': functools.partial(Worker, make, single, steps, *more),
        'gan_jax bf16': functools.partial(Worker, make, half, steps, *more),
    }
    memory_format = {'channels_last': True} if single['model'] != 'mlp' else {}
    twins = {
        'eager': {},
        **({'channels last': memory_format} if memory_format else {}),
        'compile': {**memory_format, 'compiled': True},
        'bf16': {**memory_format, 'bfloat16': True},
    }
    for name, options in twins.items():
        arguments = benchmark_sides.pytorch_side, single, steps * case.members, images, options
        made[name] = functools.partial(Worker, *arguments)
    return made


def measure(case: Case, names: Sequence[str], rounds: int, steps: int) -> dict[str, Worker]:
    """The closed workers of the named sides, with their times; a side that does not start is skipped with a message."""
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        dataset = benchmark_sides.load_data(case.config())
        np.savez(root / 'images.npz', **dataset.fields)
        workers = {}
        if case.members == 1 and 'gan_jax' in names:
            runs = [
                benchmark_sides.start_up(case.recipe, case.overrides, root / 'cache', root / name)
                for name in ('cold', 'warm')
            ]
        for name, start in starts(case, steps, root / 'images.npz').items():
            if name not in names:
                continue
            try:
                workers[name] = start()
            except Exception as error:  # torch.compile needs a C++ compiler, which not every machine has
                print(f'{case.title}, {name}, is skipped: {error}', file=sys.stderr, flush=True)
        for _ in range(rounds):
            for worker in workers.values():
                worker.measure()
        for worker in workers.values():
            worker.close()
    if case.members == 1 and 'gan_jax' in workers:
        (cold, _), (warm, memory) = runs
        workers['gan_jax'].facts |= {'start': cold, 'warm': warm, 'memory': memory}
    return workers


def rows(case: Case, workers: dict[str, Worker], steps: int, peak: float) -> list[list[str]]:
    """The table's rows of a case."""
    config = case.config()
    rounds = STRETCHES * steps * case.members  # of the game, in a measurement
    images = rounds * config.batch_size * config.discriminator_steps
    medians = {name: statistics.median(worker.times) for name, worker in workers.items()}
    flops = next((worker.facts['flops'] for worker in workers.values() if 'flops' in worker.facts), None)
    made = []
    for name, worker in workers.items():
        peers = [medians[peer] for peer in medians if is_pytorch(peer) and is_bfloat16(peer) == is_bfloat16(name)]
        facts, rates = worker.facts, [images / seconds for seconds in worker.times]
        made.append(
            [
                case.title,
                f'PyTorch {name}' if is_pytorch(name) else name,
                f'{images / medians[name]:,.0f} ({min(rates):,.0f} to {max(rates):,.0f})',
                f'{min(peers) / medians[name]:.2f}' if peers else '-',
                f'{rounds * flops / medians[name] / peak:.0%}' if flops else '-',
                ', '.join(f'{facts[key]:.1f}' for key in ('start', 'warm') if key in facts) or '-',
                f'{facts["compile"]:.1f}' if 'compile' in facts else '-',
                *(f'{facts[key] / 2**30:.2f}' if key in facts else '-' for key in ('memory', 'program')),
                f'{case.members * flops / 1e9:.1f}' if flops else '-',
            ]
        )
    return made


def matrix_peak(rounds: int) -> tuple[float, dict[str, Any]]:
    """FLOP/s of the better of XLA's and PyTorch's float32 matrix products, and facts of the machine."""
    workers = [Worker(benchmark_sides.jax_products), Worker(benchmark_sides.pytorch_products)]
    for _ in range(rounds):
        for worker in workers:
            worker.measure()
    for worker in workers:
        worker.close()
    fastest = min(statistics.median(worker.times) for worker in workers)
    return benchmark_sides.PEAK_FLOPS / fastest, workers[0].facts | workers[1].facts


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--sides', nargs='+', choices=SIDES, default=SIDES)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--quick', action='store_true', help='one short round, to check that everything runs')
    parser.add_argument('--output', type=files.user_path, help='file to write the table to')
    arguments = parser.parse_args()
    if arguments.output:
        files.check_writable(arguments.output)
    rounds = 1 if arguments.quick else arguments.rounds
    lines = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    peak, facts = matrix_peak(max(rounds, 3))
    names = [name for name in arguments.sides if facts['bfloat16'] or not is_bfloat16(name)]
    versions = ', '.join(f'{name} {metadata.version(name)}' for name in ('jax', 'flax', 'torch'))
    models = [
        line.partition(': ')[2] for line in benchmark_sides.processor_facts().splitlines() if 'model name' in line
    ]
    say(
        f'`python -m gan_jax.tools.benchmark {" ".join(sys.argv[1:])}`: {versions}, Python {platform.python_version()};'
    )
    say(f'{facts["device"]}, {benchmark_sides.cores()} cores of {models[0] if models else platform.machine()};')
    say(f'float32 matrix products {peak / 1e9:,.0f} GFLOP/s; medians of {rounds}.\n')
    say(f'| {" | ".join(COLUMNS)} |\n|{" --- |" * len(COLUMNS)}')
    for case in map(CASES.get, arguments.cases):
        steps = 2 if arguments.quick else case.steps
        for row in rows(case, measure(case, names, rounds, steps), steps, peak):
            say(f'| {" | ".join(row)} |')
    if arguments.output:
        files.replace(arguments.output, ('\n'.join(lines) + '\n').encode())


if __name__ == '__main__':
    sys.exit(exit_code(main))
