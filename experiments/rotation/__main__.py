"""Trains DCGANs on the digits and follows the eigenvalues of their games; see README.md.

python -m experiments.rotation
python -m experiments.rotation --seeds 1 --out /tmp/results --config.duration='100 steps'
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import results, sweep
from experiments.rotation.measures import SHARES, Record, make_program, measure, summary
from gan_jax import config as configs
from gan_jax.errors import exit_code
from gan_jax.main import overrides_of
from gan_jax.records import files, report
from gan_jax.runtime import parallel

_COMMON = {
    'generator.width': '4',
    'discriminator.width': '4',
    'discriminator.normalization': 'none',
    'discriminator.dropout': '0.0',
    'latents.size': '16',
    'duration': '2000 steps',
    'loss.real_label': '1.0',
    'ema.half_life_kimg': '0.0',
}
ARMS = {
    'GAN': _COMMON,
    'R1, gamma 10': _COMMON | {'penalties.r1.weight': '10.0'},
    'R1, gamma 100': _COMMON | {'penalties.r1.weight': '100.0'},
}
STAGES = (0.0, 0.05, 0.25, 1.0)  # shares of the run


def draw(path: pathlib.Path, records: Mapping[str, Sequence[Record]]) -> None:
    """A row for each arm: the eigenvalues at each stage in the plane, and the path angle."""
    figure = report.new_figure(15, 3 * len(records))
    figure.set_layout_engine('constrained')
    panels = figure.subplots(len(records), len(STAGES) + 1, squeeze=False)
    for row, (arm, of_seeds) in zip(panels, records.items(), strict=True):
        for axes, step in zip(row, of_seeds[0]['eigenvalues'], strict=False):
            for i, record in enumerate(of_seeds):
                axes.plot(*np.array(record['eigenvalues'][step]).T, '.', color=f'C{i}', markersize=5)
            axes.axhline(0, color='0.8', linewidth=0.8)
            axes.axvline(0, color='0.8', linewidth=0.8)
            axes.set_title(f'{arm}: step {step}', loc='left', fontsize=10)
            axes.set_xlabel('real part', fontsize=8)
            axes.tick_params(labelsize=7)
        for i, record in enumerate(of_seeds):
            row[-1].plot(SHARES, record['angle'], color=f'C{i}', label=f'seed {i}')
        row[-1].axhline(0, color='0.8', linewidth=0.8)
        row[-1].axvline(1, color='0.8', linewidth=0.8)
        row[-1].set_title(f'{arm}: path angle', loc='left', fontsize=10)
        row[-1].set_xlabel('share of the way', fontsize=8)
    panels[0][0].set_ylabel('imaginary part')
    panels[0][-1].legend(frameon=False, fontsize=8)
    results.save_figure(path, figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m experiments.rotation', description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    default = pathlib.Path(__file__).parent / 'results'
    parser.add_argument('--seeds', type=sweep.positive, default=3, help='number of seeds; the first is 0 (default: 3)')
    parser.add_argument('--out', type=files.user_path, default=default, help='directory of the results')
    flags, rest = parser.parse_known_args(argv)
    overrides = overrides_of(rest, parser)
    parallel.enable_compilation_cache()
    return exit_code(lambda: run(flags.out, flags.seeds, overrides))


def run(out: pathlib.Path, seeds: int, overrides: Sequence[str]) -> None:
    """Trains and measures all arms and writes the results."""
    records = {}
    for arm, own in ARMS.items():
        config = configs.load('dcgan', [*(f'{key}={value}' for key, value in own.items()), *overrides])
        program, total = make_program(config), configs.steps(config, 'duration')
        records[arm] = []
        for seed in range(seeds):
            records[arm].append(measure(program, seed, [round(share * total) for share in STAGES]))
            print(f'{arm}, seed {seed}: done.', flush=True)
    values = {
        f'{arm}, step {step}': {
            name: [summary(one)[step][name] for one in of_seeds] for name in summary(of_seeds[0])[step]
        }
        for arm, of_seeds in records.items()
        for step in of_seeds[0]['eigenvalues']
    }
    results.write(out, 'Rotation', values, {'shares': SHARES.tolist(), 'records': records})
    draw(out / 'eigenvalues.png', records)
    print(f'Done. The table is in {out}/table.md, the picture {out}/eigenvalues.png.')


if __name__ == '__main__':
    sys.exit(main())
