"""Trains DCGANs, freezes them at several stages, and measures the generator's gradient as a new discriminator learns.

python -m experiments.vanishing_gradients              # three seeds; see README.md
python -m experiments.vanishing_gradients --seeds 1 --config.duration='200 steps' --out /tmp/results --runs /tmp/runs
"""

import json
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from experiments import results, sweep
from experiments.sweep import Arm, Options
from experiments.vanishing_gradients.probe import BATCHES, Record, make_probe
from gan_jax import build
from gan_jax.config import json_values
from gan_jax.errors import UserError, exit_code
from gan_jax.records import files, report
from gan_jax.runtime import checkpoint, parallel
from gan_jax.sampling.trained import load_run
from gan_jax.training import run

QUESTION = (
    'Does the generator of the original (saturating) game learn less from a better discriminator? What changes with '
    'the non-saturating loss? Does a Wasserstein critic still give a gradient after long training?'
)
STAGES = {'early': 1 / 25, 'middle': 10 / 25, 'late': 1.0}  # shares of the run: epochs 1, 10 and 25 in the paper


class Probe(NamedTuple):
    """A kind of discriminator and the generator's losses that are measured against it.

    Attributes:
        arm: its recipe.
        losses: {label: name of the loss}.
    """

    arm: Arm
    losses: Mapping[str, str]


_SMALL = {
    'generator.width': '16',
    'discriminator.width': '16',
    'duration': '1250 steps',
    'checkpoint_every': '50 steps',
    'sample_every': '50 steps',
    'checkpoints.keep_last': '25',
    'ema.half_life_kimg': '0.0',
}
_PUBLISHED = {  # 25 epochs of LSUN's three million bedrooms
    **_SMALL,
    'generator.width': '64',
    'discriminator.width': '64',
    'data.size': '64',
    'duration': '1184750 steps',
    'checkpoint_every': '47390 steps',
    'sample_every': '47390 steps',
}


def _study(data: str, options: Mapping[str, str], steps: str) -> tuple[dict[str, Arm], dict[str, Probe]]:
    """The runs, and the discriminators that are trained against what they were on the way."""
    alone = {**options, 'duration': steps, 'discriminator_steps': '1'}
    hard = {'loss.real_label': '1.0'}
    return {'DCGAN': Arm(f'configs/dcgan.py:{data}', {**options, **hard})}, {
        'cross-entropy': Probe(
            Arm(f'configs/dcgan.py:{data}', {**alone, **hard}),
            {'saturating': 'minimax', 'non-saturating': 'non_saturating'},
        ),
        'clipped critic': Probe(Arm(f'configs/wgan.py:{data}', alone), {'Wasserstein, clipped': 'wasserstein'}),
        'penalised critic': Probe(Arm(f'configs/wgan_gp.py:{data}', alone), {'Wasserstein, penalty': 'wasserstein'}),
    }


SMALL = _study('fashion_mnist', _SMALL, '1000 steps')
FULL = _study('lsun/bedroom', _PUBLISHED, '4000 steps')


def stages(workdir: pathlib.Path) -> dict[str, int]:
    """The checkpoint of a run that is nearest to each stage."""
    with checkpoint.Checkpoints(workdir / 'checkpoints') as kept:
        steps = np.array(kept.all_steps())
    return {name: int(steps[np.abs(steps - share * steps[-1]).argmin()]) for name, share in STAGES.items()}


def probe_all(
    name: str, probe: Probe, options: Options, workdirs: Mapping[int, pathlib.Path]
) -> dict[str, list[Record]]:
    """The measurements {stage: one for each run} of one kind of discriminator; those that were kept are not repeated.

    Args:
        name: name of the kind.
        probe: its recipe and losses.
        options: of the command line.
        workdirs: {seed: directory of its run}.
    """
    arms = {label: probe.arm._replace(overrides={**probe.arm.overrides, 'loss.name': loss})
            for label, loss in probe.losses.items()}  # fmt: skip
    of_losses = {label: sweep.config_of(arm, options) for label, arm in arms.items()}
    config, measure, records = next(iter(of_losses.values())), None, {stage: [] for stage in STAGES}
    for seed, workdir in workdirs.items():
        for stage, step in stages(workdir).items():
            path = workdir / 'probes' / f'{sweep.slug(name)}-{step}.json'
            wanted = json_values.to_json(config)
            record = json.loads(path.read_text()) if path.exists() else {}
            if record.get('config') != wanted:
                frozen = load_run(workdir, step)
                if measure is None:
                    measure = _make(of_losses, frozen.shape)
                record = {'config': wanted, **measure(frozen.generator, seed)}
                files.replace(path, json.dumps(record).encode())
                print(f'{name} against seed {seed} at step {step}: done.', flush=True)
            records[stage].append(record)
    return records


def _make(of_losses: Mapping[str, ConfigDict], shape: tuple[int, ...]):
    config = next(iter(of_losses.values()))
    games = {label: build.make_game(one, shape) for label, one in of_losses.items()}
    return make_probe(config, games, run.load_data(config.data))


Measured = dict[str, dict[str, list[Record]]]  # {loss: {stage: a record for each seed}}


def columns(measured: Measured) -> dict[str, dict[str, list[float]]]:
    """A row for each stage and loss: norms at a few iterations, then noise and accuracy of the last discriminator."""
    rows = {}
    for stage in STAGES:
        for loss, of_stages in measured.items():
            records = of_stages[stage]
            whens = records[0]['iterations']
            chosen = sorted({0, *(min(whens, key=lambda when: abs(when - about)) for about in (10, 100)), whens[-1]})
            row = {
                f'norm at {when}': [record['norms'][loss][whens.index(when)] for record in records] for when in chosen
            }
            row['last / norm at 1'] = [
                record['norms'][loss][-1] / record['norms'][loss][whens.index(1)] for record in records
            ]
            noise = [np.sqrt(record['variances'][loss]) / record['norms'][loss] for record in records]
            row |= {f'noise, {when}': [float(one[i]) for one in noise] for when, i in (('first', 0), ('last', -1))}
            row['accuracy'] = [] if 'Wasserstein' in loss else [record['accuracy'][-1] for record in records]
            rows[f'{stage}, {loss}'] = row
    return rows


def draw(path: pathlib.Path, measured: Measured, steps: Mapping[str, int]) -> None:
    """Three rows of panels, a column for each stage: norms, variances, and how right the discriminator is."""
    figure = report.new_figure(13, 9.5)
    figure.set_layout_engine('constrained')
    panels = figure.subplots(3, len(STAGES), sharex=True, sharey='row')
    titles = ("norm of the generator's gradient", 'its variance over batches', "discriminator's accuracy")
    for column, stage in enumerate(STAGES):
        for i, (loss, of_stages) in enumerate(measured.items()):
            records = of_stages[stage]
            rows = [[record['norms'][loss] for record in records], [record['variances'][loss] for record in records]]
            rows += [] if 'Wasserstein' in loss else [[record['accuracy'] for record in records]]
            for row, seeds in enumerate(rows):
                axes, whens = panels[row][column], records[0]['iterations']
                for values in seeds:
                    axes.plot(whens, values, color=f'C{i}', alpha=0.3, linewidth=0.8)
                mean = np.mean(seeds, axis=0) if row == 2 else np.exp(np.mean(np.log(seeds), axis=0))
                style = '--' if row == 2 and i == 1 else '-'  # the same discriminator
                axes.plot(whens, mean, color=f'C{i}', linewidth=1.8, linestyle=style, label=loss)
        panels[0][column].set_title(f'{stage}: generator of step {steps[stage]:,}', loc='left', fontsize=11)
        panels[2][column].set_xlabel("discriminator's iterations", color='0.3')
    for row, title in enumerate(titles):
        panels[row][0].set_ylabel(title)
        for axes in panels[row]:
            axes.set_xscale('symlog', linthresh=1)
            axes.set_yscale('log' if row < 2 else 'linear')
            axes.grid(color='0.92')
            axes.spines[['top', 'right']].set_visible(False)
    panels[0][0].legend(frameon=False, fontsize=9)
    results.save_figure(path, figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('vanishing_gradients', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def trained(directories: Sequence[pathlib.Path]) -> dict[int, pathlib.Path]:
    """{seed: directory} of the runs that have a checkpoint; one that diverged before has none.

    Raises:
        UserError: no run has one.
    """
    found = {seed: path for seed, path in enumerate(directories) if checkpoint.peek(path / 'checkpoints') is not None}
    if not found:
        raise UserError('All DCGANs diverged before their first checkpoint: lower their learning rates.')
    return found


def grid_of(workdir: pathlib.Path, steps: Iterable[int]) -> np.ndarray:
    """The samples of a run at some steps side by side, uint8 [height, width, C]."""
    pictures = [results.read_picture(workdir / 'samples' / f'{step:08d}.png') for step in steps]
    return results.side_by_side(pictures, len(pictures))


def _run(options: Options) -> None:
    arms, probes = FULL if options.full else SMALL
    (directories,) = sweep.train(arms, options).values()
    workdirs = trained(directories)
    seed, first = next(iter(workdirs.items()))
    measured, last = {}, {}
    for name, probe in probes.items():
        records = probe_all(name, probe, options, workdirs)
        measured |= dict.fromkeys(probe.losses, records)
        last[name] = {'steps': records['late'][0]['iterations'][-1], 'batches of a reading': BATCHES}
    values, steps = columns(measured), stages(first)
    whole = {loss: {stage: [{key: value for key, value in record.items() if key != 'config'} for record in records]
                    for stage, records in of_stages.items()} for loss, of_stages in measured.items()}  # fmt: skip
    title, out = 'Vanishing gradients', options.out
    facts = {'seeds': list(workdirs), 'stages': steps, 'discriminators': last, 'curves': whole}
    results.write(out, title, values, facts)
    draw(out / 'gradients.png', measured, steps)
    report.save_png(out / 'samples.png', grid_of(first, steps.values()))
    pictures = {
        'Mean over the seeds (geometric for norms and variances), thin lines for each.': out / 'gradients.png',
        f'Samples of seed {seed} at steps {", ".join(map(str, steps.values()))}.': out / 'samples.png',
    }
    results.page(out / 'page.html', title, QUESTION, values, pictures=pictures)
    print(f'Done. Open {out}/page.html; the table is in {out}/table.md.')


if __name__ == '__main__':
    sys.exit(main())
