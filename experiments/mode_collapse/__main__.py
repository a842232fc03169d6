"""Trains the plain GAN and its remedies on data whose modes can be counted, and writes the results.

python -m experiments.mode_collapse                      # all three data sets; see README.md
python -m experiments.mode_collapse --data ring --recipes 'plain GAN' R1 --steps 500
"""

import argparse
import functools
import json
import pathlib
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments.mode_collapse import pictures
from experiments.mode_collapse.classifier import DigitClassifier
from experiments.mode_collapse.recipes import MIXTURE, RECIPES, STACKED, STACKED_RECIPES
from experiments.population import watch_population
from experiments.results import markdown, table, to_json
from experiments.sweep import positive
from gan_jax import build, data
from gan_jax import config as configs
from gan_jax.data.toys import MIXTURES
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluation import modes
from gan_jax.game import Game, GanState
from gan_jax.judgement import judgement
from gan_jax.layers.choices import choose
from gan_jax.records import files, report
from gan_jax.runtime import parallel
from gan_jax.sampling.plane import landscape_grid

HERE = pathlib.Path(__file__).parent
FRAMES = 25  # of an animation
LANDSCAPE = 64  # points of the discriminator's landscape along each axis
TITLES = {
    'ring': 'Ring of 8: radius 1, standard deviation 0.01',
    'grid': 'Grid of 25: spacing 2, standard deviation 0.05',
    'stacked:mnist': 'Stacked MNIST: 1,000 modes',
}
QUESTION = (
    'A GAN can fool its discriminator with a few kinds of examples and omit the others. How many modes does the '
    'plain game lose, and which remedies recover them?'
)


def load_config(dataset: str, recipe: str, steps: int | None) -> ConfigDict:
    """The config of a recipe on 'ring', 'grid' or 'stacked:NAME'."""
    if dataset.startswith('stacked:'):
        file, overrides = 'mlp.py', STACKED | STACKED_RECIPES[recipe]
    else:
        file, overrides = 'toy.py', MIXTURE | RECIPES[recipe]
    if steps is not None:
        overrides = overrides | {'duration': str(steps)}
    return configs.load(f'{HERE.parent.parent}/configs/{file}:{dataset}', overrides)


def draw(game: Game, states: GanState, num: int) -> np.ndarray:
    """`num` samples of each member: [members, num, ...]."""

    def one(params, variables):
        return game.sample(params, variables, game.latents(jax.random.key(0), jnp.arange(num)))

    return np.asarray(jax.jit(jax.vmap(one))(states.generator.params, states.generator.variables))


def landscapes(config: ConfigDict, states: GanState, limit: float) -> np.ndarray | None:
    """Each member's (first) discriminator on a grid: [members, LANDSCAPE, LANDSCAPE], of scale one.

    None for discriminators that look at whole batches, which say nothing of a single point.
    """
    if config.discriminator.minibatch != 'none':
        return None
    points = landscape_grid(limit, LANDSCAPE)
    discriminator = build.make_networks(config, points.shape[1:]).discriminator

    def one(params, variables):
        if config.discriminators.number > 1:
            params, variables = (min(tree.items())[1] for tree in (params, variables))
        return judgement(discriminator.apply(params, variables, points, None, False)[0]).logits

    logits = np.asarray(jax.vmap(one)(states.discriminator.params, states.discriminator.variables))
    if config.loss.name == 'wasserstein':  # a critic's values have no zero and no unit
        logits = (logits - logits.mean(1, keepdims=True)) / (logits.std(1, keepdims=True) + 1e-8)
    return logits.reshape(-1, LANDSCAPE, LANDSCAPE)


def run_mixture(name: str, recipe: str, seeds: Sequence[int], steps: int | None) -> dict:
    """Trains and counts; returns the reports of the members, their last points and what the animation needs."""
    config, dataset, mixture = load_config(name, recipe, steps), data.load(name), MIXTURES[name]
    game = build.make_game(config, dataset.shape)
    limit = 1.25 * float(np.abs(mixture.centres).max())
    frames = []
    every = max(1, configs.steps(config, 'duration') // FRAMES)
    for step, states, _ in watch_population(config, dataset, seeds, every=every):
        frames.append((step, draw(game, states, modes.NUM_SAMPLES), landscapes(config, states, limit)))
    points = frames[-1][1]
    reports = [modes.mixture_modes(member, mixture) for member in points]
    chosen = pictures.median_seed([report.captured for report in reports])
    animation = [
        pictures.density_frame(
            points[chosen],
            None if landscape is None else landscape[chosen],
            limit,
            f'{recipe}, step {step:,}',
            mixture.centres,
        )
        for step, points, landscape in frames
    ]
    return {'reports': reports, 'points': points[chosen], 'animation': animation}


def run_stacked(name: str, recipe: str, seeds: Sequence[int], steps: int | None, classifier: DigitClassifier) -> dict:
    """Trains and counts with a classifier; returns the reports of the members and a grid of the median one."""
    config = load_config(name, recipe, steps)
    dataset = data.load(name, size=config.data.size)
    game = build.make_game(config, dataset.shape)
    *_, (_, states, _) = watch_population(config, dataset, seeds, every=configs.steps(config, 'duration'))
    made = draw(game, states, modes.NUM_STACKED_SAMPLES)
    reports = [modes.label_modes(classifier.stacked(member), 1000) for member in made]
    chosen = pictures.median_seed([report.captured for report in reports])
    return {'reports': reports, 'examples': made[chosen][:48]}


def columns(reports: Sequence[modes.ModeReport]) -> dict[str, list[float]]:
    """The columns of the table: a list over the seeds each."""
    found = {'modes': [report.captured for report in reports]}
    if reports[0].high_quality is not None:
        found['high quality'] = [report.high_quality for report in reports]
    return found | {'reverse KL': [report.reverse_kl for report in reports]}


def study(
    name: str, title: str, run: Callable[[str], dict], recipes: Sequence[str], out: pathlib.Path
) -> tuple[pictures.Study, dict]:
    """Runs every recipe and draws what came out."""
    made, seconds = {}, {}
    for recipe in recipes:
        start = time.perf_counter()
        made[recipe] = run(recipe)
        seconds[recipe] = round(time.perf_counter() - start, 1)
        reports = made[recipe]['reports']
        captured = ', '.join(str(report.captured) for report in reports)
        print(f'{name}: {recipe}: modes {captured} of {reports[0].num_modes}  ({seconds[recipe]} s)', flush=True)
    results = {recipe: columns(result['reports']) for recipe, result in made.items()}
    stem, animations = name.replace(':', '_'), {}
    if name in MIXTURES:
        mixture, real = MIXTURES[name], data.load(name).examples[:2000]
        notes = {
            recipe: f'{np.mean(row["modes"]):.1f} of {len(mixture.centres)} modes, '
            f'{np.mean(row["high quality"]):.0%} high quality'
            for recipe, row in results.items()
        }
        limit = 1.25 * float(np.abs(mixture.centres).max())
        points = {recipe: result['points'] for recipe, result in made.items()}
        overview = pictures.overview(points, real, limit, mixture.centres, notes)
        for recipe, result in made.items():
            path = out / 'animations' / f'{stem}-{recipe.replace(" ", "_").replace(",", "")}.gif'
            report.save_animation(path, result['animation'], max_size=240)
            animations[recipe] = (path, notes[recipe])
    else:
        images = [np.asarray(data.to_uint8(result['examples'])) for result in made.values()]
        overview = report.image_grid(np.concatenate(images), 24, scale=2)
    report.save_png(out / f'{stem}.png', overview)
    protocol = next(iter(made.values()))['reports'][0].protocol
    record = {'protocol': protocol, 'seconds': seconds, 'results': to_json(results)}
    text = findings(results, made[recipes[0]]['reports'][0].num_modes)
    return pictures.Study(title, protocol, results, text, overview, animations), record


def findings(results: Mapping[str, Mapping[str, Sequence[float]]], num_modes: int) -> str:
    """The results in words: which recipes keep the modes, and how sharp their samples are."""
    kept = {recipe: float(np.mean(table['modes'])) for recipe, table in results.items()}
    plain = kept.get('plain GAN')
    if plain is None or len(kept) == 1:
        return ''
    best = max(kept, key=kept.get)
    helped = [recipe for recipe, modes in kept.items() if recipe != 'plain GAN' and modes > plain + 0.05 * num_modes]
    idle = [recipe for recipe in kept if recipe not in (*helped, 'plain GAN')]
    sentences = [
        f'The plain GAN captures {plain:.4g} of {num_modes} modes on average.',
        f'More than a twentieth of the modes is gained by: {", ".join(helped)}.' if helped else 'No remedy helps.',
        f'Less than that by: {", ".join(idle)}.' if helped and idle else '',
        f'{best} captures the most modes ({kept[best]:.4g}).',
    ]
    if 'high quality' in results[best]:
        quality = {recipe: float(np.mean(table['high quality'])) for recipe, table in results.items()}
        sharpest = max(quality, key=quality.get)
        sentences.append(
            f'The largest share of high quality is that of {sharpest} ({quality[sharpest]:.0%}, with '
            f'{kept[sharpest]:.4g} modes).'
        )
    return ' '.join(filter(None, sentences))


def write(
    out: pathlib.Path, studies: Sequence[pictures.Study], records: Mapping[str, dict], seeds: Sequence[int]
) -> None:
    """results.json, table.md and page.html."""
    facts = {'seeds': list(seeds), 'jax': jax.__version__, 'studies': records}
    files.replace(out / 'results.json', (json.dumps(facts, indent=1) + '\n').encode())
    tables = [f'## {one.title}\n\n{one.protocol}\n\n{markdown(table(one.results))}' for one in studies]
    heading = f'# Mode collapse\n\nMean and deviation over the seeds {", ".join(map(str, seeds))}.\n\n'
    files.replace(out / 'table.md', (heading + '\n'.join(tables)).encode())
    files.replace(out / 'page.html', pictures.page('Mode collapse, measured', QUESTION, studies).encode())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m experiments.mode_collapse', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('--data', nargs='+', default=['ring', 'grid', 'stacked:mnist'])
    parser.add_argument('--recipes', nargs='+', choices=list(RECIPES), metavar='RECIPE', help='default: all')
    parser.add_argument('--seeds', type=positive, default=5, help='how many; the first is 0')
    parser.add_argument('--steps', type=int, help='of the generator (default: the recipe)')
    parser.add_argument('--out', type=files.user_path, default=HERE / 'results')
    flags = parser.parse_args(argv)
    parallel.enable_compilation_cache()
    warnings.filterwarnings('ignore', message='Explicitly requested dtype')
    return exit_code(lambda: _run(flags))


def recipes_of(names: Sequence[str], wanted: Sequence[str] | None) -> dict[str, list[str]]:
    """{data set: its recipes among the wanted ones, or all}, without data sets that have none of them.

    Raises:
        UserError: a data set does not exist, or none has a recipe.
    """
    found = {}
    for name in names:
        stacked = name.startswith('stacked:')
        available = STACKED_RECIPES if stacked else RECIPES
        if not stacked:
            choose(MIXTURES, name, 'mixture')
        found[name] = [recipe for recipe in wanted or available if recipe in available]
    if not any(found.values()):
        raise UserError(f'{", ".join(names)} has none of these recipes: choose others, or another data set.')
    return {name: recipes for name, recipes in found.items() if recipes}


def _run(flags: argparse.Namespace) -> None:
    """Trains and writes what the flags ask for."""
    seeds, studies, records = range(flags.seeds), [], {}
    for name, recipes in recipes_of(flags.data, flags.recipes).items():
        stacked = name.startswith('stacked:')
        if stacked:
            classifier = DigitClassifier.train(name.removeprefix('stacked:'), size=int(STACKED['data.size']))
            print(f'{name}: the classifier recognises {classifier.accuracy:.1%} of the test digits.', flush=True)
            run = functools.partial(run_stacked, name, seeds=seeds, steps=flags.steps, classifier=classifier)
        else:
            run = functools.partial(run_mixture, name, seeds=seeds, steps=flags.steps)
        one, records[name] = study(name, TITLES.get(name, name), run, recipes, flags.out)
        if stacked:
            records[name]['classifier accuracy'] = classifier.accuracy
        studies.append(one)
        write(flags.out, studies, records, seeds)
    print(f'Done. Open {flags.out}/page.html; the table is in {flags.out}/table.md.')


if __name__ == '__main__':
    sys.exit(main())
