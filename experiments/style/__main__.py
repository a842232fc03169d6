"""Trains a small StyleGAN, and variants without one of its parts; see README.md.

python -m experiments.style              # six arms, three seeds
python -m experiments.style --arms all 'no noise'
python -m experiments.style --full       # at 32x32, as long as the small config
python -m experiments.style --seeds 1 --config.duration='100 steps' --out /tmp/results --runs /tmp/runs
"""

import sys
from collections.abc import Sequence

from experiments import results, sweep
from experiments.sweep import Arm, Options
from gan_jax.errors import exit_code
from gan_jax.runtime import parallel

QUESTION = (
    'What does each part of a style-based generator contribute: the mapping of latents to styles, style mixing, '
    'noise, growing, and path length regularisation?'
)
METRICS = ('fid', 'recall', 'precision', 'path_length_w')
CURVES = {'eval/fid': 'FID', 'eval/recall': 'recall', 'eval/path_length_w': 'path length in W'}
WITHOUT = {
    'mapping': {'generator.depth': '0'},  # w is the normalised latent
    'mixing': {'generator.mixing': '0.0'},
    'noise': {'generator.noise_layers': 'False'},
    'path length': {'penalties.path_length.weight': '0.0', 'lazy.generator': '1'},
}


def _arms(recipe: str, sides: Sequence[int], kimg: int, options: dict[str, str]) -> dict[str, Arm]:
    """All arms, which see as many images: `kimg` thousand on the first level and twice as many on each other."""
    levels = [f'{kimg if side == sides[0] else 2 * kimg} kimg' for side in sides]
    first = 'real_fade=0.0; generator.fade=0.0; discriminator.fade=0.0'
    earlier = tuple(
        f'duration={length}; data.size={side}' + (f'; {first}' if side == sides[0] else '')
        for side, length in zip(sides[:-1], levels[:-1], strict=True)
    )
    common = {
        'data.size': str(sides[-1]),
        'penalties.path_length.weight': '2.0',
        'penalties.path_length.shrink': '2',
        'lazy.generator': '4',
        'evaluate': "('fid', 'precision_recall', 'path_length_w')",
        'evaluation.extractor': 'classifier',
        'evaluation.split': 'test',
        'log_every': '25 steps',
        **options,
    }
    grown = {'earlier_phases': repr(earlier), 'duration': levels[-1]}
    whole = {
        'earlier_phases': '()',
        'duration': f'{kimg * (2 * len(sides) - 1)} kimg',
        'real_fade': '0.0',
        'generator.fade': '0.0',
        'discriminator.fade': '0.0',
    }
    every = {f'{event}_every': f'{kimg} kimg' for event in ('evaluate', 'sample', 'checkpoint')}
    arms = {'all': Arm(recipe, common | every | grown)}
    arms |= {f'no {part}': Arm(recipe, common | every | grown | changes) for part, changes in WITHOUT.items()}
    arms['no growing'] = Arm(recipe, common | every | whole)
    return arms


_TINY = {'generator.max_width': '32', 'discriminator.max_width': '32', 'evaluation.samples': '2000'}
ARMS = _arms('configs/stylegan.py:fashion_mnist,16,small', (8, 16), 8, _TINY)
FULL = _arms('configs/stylegan.py:fashion_mnist,32,small', (8, 16, 32), 60, {'evaluation.samples': '10000'})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('style', __doc__, argv, some_arms=True)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    arms = results.read_all(sweep.train(FULL if options.full else ARMS, options))
    values = {arm: {metric: [run.final(metric) for run in runs] for metric in METRICS} for arm, runs in arms.items()}
    results.publish(
        options.out,
        'What each part of a style-based generator gives',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=results.protocols(arms),
        of_curves='Metrics of all arms, over thousands of images.',
    )


if __name__ == '__main__':
    sys.exit(main())
