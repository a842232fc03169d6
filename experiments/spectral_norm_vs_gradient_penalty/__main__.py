"""Trains one network without a constraint, with spectral norm or with gradient penalties, and measures its steepness.

python -m experiments.spectral_norm_vs_gradient_penalty              # four arms, three seeds; see README.md
python -m experiments.spectral_norm_vs_gradient_penalty --config.duration='9 steps' --out /tmp/results --runs /tmp/runs
"""

import math
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments import cost, results, sweep
from experiments.spectral_norm_vs_gradient_penalty import lipschitz
from experiments.sweep import Arm, Options
from gan_jax import build
from gan_jax.errors import exit_code
from gan_jax.judgement import judgement
from gan_jax.records import report
from gan_jax.runtime import checkpoint, parallel
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.trained import load_run
from gan_jax.training import run

QUESTION = (
    'Spectral norm and gradient penalties both keep the discriminator from becoming steep. How steep does the same '
    'network become with each, measured by its layers and by its gradients? What does a step cost? Which gives '
    'better samples?'
)
METRICS = ('fid', 'precision', 'recall', 'inception_score')
CURVES = {
    'eval/fid': 'FID',
    'eval/recall': 'recall',
    'discriminator/loss': "discriminator's loss",
    'generator/gradient_norm': "norm of the generator's gradient",
}
POINTS = 2000  # of each kind at which slopes are measured

_NONE = {'discriminator.normalization': 'none'}
_CHANGES = {
    'nothing': _NONE,
    'spectral norm': {'discriminator.normalization': 'spectral'},
    'gradient penalty': {**_NONE, 'penalties.gradient_penalty.weight': '10.0'},
    'R1': {**_NONE, 'penalties.r1.weight': '10.0'},
}
_SMALL = {
    'generator.width': '16',
    'discriminator.width': '16',
    'discriminator.initializer': 'he',
    'duration': '2000 steps',
    'log_every': '50 steps',
    'evaluate_every': '200 steps',
    'sample_every': '2000 steps',
    'checkpoint_every': '2000 steps',
    'evaluate': "('fid', 'precision_recall')",
    'evaluation.samples': '2000',
    'evaluation.extractor': 'classifier',
    'evaluation.split': 'train[:5000]',
}
_PUBLISHED = {
    'loss.name': 'hinge',
    'duration': '100000 steps',
    'log_every': '100 steps',
    'evaluate_every': '10000 steps',
    'sample_every': '10000 steps',
    'checkpoint_every': '10000 steps',
    'evaluate': "('fid', 'precision_recall', 'inception_score')",
    'evaluation.extractor': 'inception',
}
ARMS = {arm: Arm('configs/hinge.py:fashion_mnist', {**_SMALL, **change}) for arm, change in _CHANGES.items()}
FULL = {arm: Arm('configs/sngan.py:cifar10', {**_PUBLISHED, **change}) for arm, change in _CHANGES.items()}


class Steepness(NamedTuple):
    """The steepness of a run's last discriminator.

    Attributes:
        layers: {name: its singular values}, in order.
        slopes: {where: norms of gradients [n]}, or empty.
    """

    layers: dict[str, lipschitz.Layer]
    slopes: dict[str, np.ndarray]

    def bound(self, of: str) -> float:
        """The product over the layers of the singular values of the 'operator' or of the reshaped 'kernel'."""
        return math.prod(getattr(layer, of) for layer in self.layers.values()) if self.layers else math.nan

    def columns(self) -> dict[str, float]:
        """Its columns of the table."""
        everywhere = np.concatenate([*self.slopes.values()]) if self.slopes else np.full(1, np.nan)
        return {
            'bound by operators': self.bound('operator'),
            'product of kernels': self.bound('kernel'),
            **{f'slope, {where}': float(norms.mean()) for where, norms in self.slopes.items()},
            'slope, 99 %': float(np.percentile(everywhere, 99)),
            'slope, largest': float(everywhere.max()),
        }


def measure(workdir: pathlib.Path) -> Steepness:
    """The steepness of a run's last discriminator; empty where there is no checkpoint."""
    if checkpoint.peek(workdir / 'checkpoints') is None:
        return Steepness({}, {})
    made = load_run(workdir)
    config, shape = made.config, made.shape
    target = jax.eval_shape(build.initializer(config, made.game), jax.random.key(0))
    with checkpoint.Checkpoints(workdir / 'checkpoints') as checkpoints:
        player = checkpoints.restore(target, made.step)[1].discriminator
    network = build.make_networks(config, shape).discriminator

    def critic(examples: jax.Array) -> jax.Array:
        return judgement(network.apply(player.params, player.variables, examples, None, False)[0]).logits

    dataset = run.load_data(config.data)
    chosen = np.random.default_rng(0).choice(len(dataset), min(POINTS, len(dataset)), replace=False)
    real = np.asarray(dataset.examples[np.sort(chosen)], np.float32) / 127.5 - 1
    latents = sampling.fixed_latents(made.game, len(real), 0)
    weights = made.generator._replace(ema=None)  # the generator that this discriminator plays against
    fake = sampling.generate(made.game, weights, latents, batch_size=250)
    module = build.make_modules(config, shape).discriminator
    variables = {'params': player.params, **player.variables}
    return Steepness(lipschitz.layers(module, variables, shape), lipschitz.slopes(critic, real, fake))


def draw(path: pathlib.Path, arms: Mapping[str, Sequence[Steepness]]) -> None:
    """Two panels over the seeds: singular values of the layers, and slopes at three kinds of places."""
    figure = report.new_figure(13, 4.4)
    figure.set_layout_engine('constrained')
    left, right = figure.subplots(1, 2)
    for i, (arm, seeds) in enumerate(arms.items()):
        measured, shift = [one for one in seeds if one.layers], 0.18 * (i - (len(arms) - 1) / 2)
        for j, one in enumerate(measured):
            label, color = None if j else arm, f'C{i}'
            places = np.arange(len(one.layers)) + shift
            left.plot(places, [layer.operator for layer in one.layers.values()], 'o', color=color, label=label)
            left.plot(
                places, [layer.kernel for layer in one.layers.values()], 'o', color=color, markerfacecolor='white'
            )
            left.set_xticks(range(len(one.layers)), one.layers)
            places = np.arange(len(one.slopes)) + shift + 0.04 * (j - 1)
            means, highs, tops = zip(
                *((norms.mean(), np.percentile(norms, 99), norms.max()) for norms in one.slopes.values()), strict=True
            )
            right.vlines(places, means, tops, color=color, linewidth=1)
            right.plot(places, means, 'o', color=color, label=label)
            right.plot(places, highs, '_', color=color, markersize=9)
            right.plot(places, tops, '^', color=color, markersize=4)
            right.set_xticks(range(len(one.slopes)), one.slopes)
    left.set_title(
        'largest singular values: filled of the layer, hollow of its reshaped kernel', loc='left', fontsize=10
    )
    right.set_title('norms of gradients: dot mean, dash 99th percentile, triangle largest', loc='left', fontsize=10)
    for axes in (left, right):
        report.scale_by_logarithms(axes)
        axes.axhline(1, color='0.6', linewidth=1, linestyle=(0, (4, 4)), zorder=0)
        axes.grid(color='0.92')
        axes.spines[['top', 'right']].set_visible(False)
    if left.get_legend_handles_labels()[0]:
        left.legend(frameon=False, fontsize=9)
    results.save_figure(path, figure)


def last_grid(runs: Sequence[results.Finished]) -> np.ndarray | None:
    """The last samples uint8 [height, width, C] of the first seed that left some; None if none did."""
    path = results.first_file(runs, 'samples.png')
    return None if path is None else results.read_picture(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('spectral_norm_vs_gradient_penalty', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    recipes = FULL if options.full else ARMS
    directories = sweep.train(recipes, options)
    arms = results.read_all(directories)
    configs = {arm: sweep.config_of(recipe, options) for arm, recipe in recipes.items()}
    seconds = cost.seconds_per_step(options.runs / 'cost.json', configs)
    steepness = {arm: [measure(workdir) for workdir in workdirs] for arm, workdirs in directories.items()}
    values = results.final_and_best(arms, METRICS)
    for arm, seeds in steepness.items():
        rows = [one.columns() for one in seeds]
        values[arm] |= {name: [row.get(name, math.nan) for row in rows] for name in max(rows, key=len)}
        values[arm]['ms a step'] = [1000 * seconds[arm]]
        values[arm]['images/s'] = [configs[arm].batch_size / seconds[arm]]
    out, protocols = options.out, results.protocols(arms)
    protocols['slope'] = f'norms of gradients at {POINTS} real, generated and intermediate images each'
    of_layers = {
        arm: [{name: layer._asdict() for name, layer in one.layers.items()} for one in seeds]
        for arm, seeds in steepness.items()
    }
    draw(out / 'steepness.png', steepness)
    grids = [last_grid(runs) for runs in arms.values()]
    report.save_png(out / 'samples.png', results.side_by_side(grids, columns=2))
    results.publish(
        out,
        'Spectral norm against gradient penalty',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=protocols,
        facts={'layers': of_layers},
        pictures={
            'Steepness of each seed; spectral norm brings the hollow dots to 1.': out / 'steepness.png',
            f'Samples of the first seed that left some: {", ".join(arms)}.': out / 'samples.png',
        },
        of_samples=None,
    )


if __name__ == '__main__':
    sys.exit(main())
