"""What `--mode sample` draws of a run beside samples: a function for each `--what`.

Every function is given what all of them have in common, `Chosen`, and returns the picture that it wrote below the run's
`generated/`. Its other arguments are flags of the command line, which is why some are called as built-ins are. Where
the generator is conditional, each row and each frame is shown in every class asked for.
"""

import io
import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax import cost
from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.layers.choices import choose, require
from gan_jax.ranges import Range
from gan_jax.records import files, report
from gan_jax.sampling import animation, latents
from gan_jax.sampling.latents import towards_mean
from gan_jax.sampling.projection import feature_error, load_image, project
from gan_jax.sampling.samples import (
    Samples,
    arrange,
    class_interpolation,
    generate,
    generated,
    picture,
    seed_latents,
)
from gan_jax.sampling.semantics import FIRST_LAYER, first_kernel, semantic_directions
from gan_jax.sampling.trained import Run, load_run

_VARIANCE = {'normal': 1.0, 'uniform': 1 / 3}
_REACH = {'normal': 3.0, 'uniform': 1.0}
_MOST_STEPS = 10_000  # of a row, or from one seed to the next
_ANIMATION_WIDTH = 448  # pixels of two images or more side by side, unless they are larger themselves


class Chosen(NamedTuple):
    """What is common to all pictures.

    Attributes:
        workdir: the run's directory.
        run: the run, of images, at a step.
        latents: float32 [k, n], one for each seed.
        classes: the numbers of the classes to show, or None where the generator is not told classes.
        options: how these were chosen, for the names of files.
    """

    workdir: pathlib.Path
    run: Run
    latents: np.ndarray
    classes: tuple[int, ...] | None
    options: dict[str, Any]

    @property
    def distribution(self) -> str:
        """The distribution of the latents, 'normal' or 'uniform'."""
        return self.run.config.latents.distribution

    def name(self, *words: str, **more: Any) -> pathlib.Path:
        """The path of a picture without its suffix."""
        return generated(self.workdir, self.run.step, *words, **more, **self.options)


def draw(
    workdir: pathlib.Path,
    what: str,
    *,
    step: int | None = None,
    seeds: Sequence[int] | None = None,
    classes: Sequence[int | str] | None = None,
    threshold: float | None = None,
    psi: float = 1.0,
    standing_statistics: int | None = None,
    **options: Any,
) -> pathlib.Path:
    """Draws one of `PICTURES` of a run.

    Args:
        workdir: the run's directory.
        what: 'interpolation', 'traversal' and so on.
        step: of the checkpoint; None: the latest.
        seeds: of the latents; None: as many as the picture needs.
        classes: numbers or names; None: all of them, but the first for directions.
        threshold: truncates by drawing again, see `gan_jax.sampling.latents.truncated`.
        psi: truncates styles or else latents towards their mean, see `gan_jax.sampling.trained.Run.truncated`.
        standing_statistics: as in `gan_jax.sampling.samples.sample_workdir`.
        **options: of the picture's function.

    Returns:
        The picture's file.

    Raises:
        UserError: there is no such run, picture or class, or an option is impossible.
    """
    function, default_seeds = choose(PICTURES, what, 'picture')
    run = load_run(workdir, step)
    if len(run.shape) != 3:
        raise UserError(f'{workdir} generates points, not images: of the pictures, only --what samples shows points.')
    if run.game.translates:
        raise UserError(
            f'{workdir} translates images, and has no latents to choose: of the pictures, only --what samples.'
        )
    run = run.standing(standing_statistics, threshold)
    shown = run.classes(classes)
    seeds = seeds or default_seeds
    run, rest = run.truncated(psi)
    points = towards_mean(seed_latents(run.game, seeds, threshold=threshold), rest)
    facts = {'seeds': seeds, 'classes': classes, 'threshold': threshold, 'psi': psi, 'standing': standing_statistics}
    path = function(Chosen(pathlib.Path(workdir), run, points, shown, facts), **options)
    print(f'Step {run.step}: {path}')
    return path


def interpolation(chosen: Chosen, *, path: str = 'spherical', columns: int = 10) -> pathlib.Path:
    """A row from each seed to the next, on a great circle or (path 'linear') a line."""
    between, legs = _between(chosen, path), _legs(chosen)
    share = np.linspace(0, 1, _checked(chosen, '--columns', columns, 2, len(legs)))
    rows = [between(chosen.latents[i : i + 1], chosen.latents[i + 1 : i + 2], share) for i in legs]
    return _save_rows(chosen.name('interpolation', path), chosen, rows)


def traversal(
    chosen: Chosen, *, dimension: Sequence[int] = (0,), range: Sequence[float] | None = None, columns: int = 9
) -> pathlib.Path:
    """A row for each seed and dimension, along which that component goes through the range."""
    values = _values(chosen, range, columns, len(dimension))
    rows = [latents.traverse(latent, one, values) for latent in chosen.latents for one in dimension]
    return _save_rows(chosen.name('traversal', dimension=dimension, range=range), chosen, rows)


def directions(
    chosen: Chosen, *, directions: int = 6, range: Sequence[float] | None = None, columns: int = 9
) -> pathlib.Path:
    """A row for each seed and semantic direction, the strongest first, along which the latent is moved.

    Of a conditional generator they are shown in the first class unless some are named.
    """
    run, amounts = chosen.run, _values(chosen, range, columns, max(1, directions))
    if chosen.classes and chosen.options['classes'] is None:  # there are rows enough without all classes
        chosen = chosen._replace(classes=chosen.classes[:1])
    params, _ = run.generator.ema or (run.generator.params, run.generator.variables)
    found = semantic_directions(first_kernel(params, run.config.latents.size), directions)
    gains = ', '.join(f'{gain:.3g}' for gain in found.gains)
    print(f'Eigenvectors of A^T A, where A is the weight of {FIRST_LAYER} of the latents; gains: {gains}.')
    rows = [latents.move(latent, direction, amounts) for latent in chosen.latents for direction in found.vectors]
    return _save_rows(chosen.name(f'directions{directions}', range=range), chosen, rows)


def classes(chosen: Chosen, *, columns: int = 10) -> pathlib.Path:
    """A row from each class to the next, and from the last to the first, for each seed."""
    run = chosen.run
    if chosen.classes is None:
        raise UserError(f'The generator of {chosen.workdir} is not told classes: there is no way from one to another.')
    conditions = class_interpolation(
        run.num_classes, _checked(chosen, '--columns', columns, 2, len(chosen.latents)), chosen.classes
    )
    conditions = np.tile(conditions, (len(chosen.latents), 1))
    points = np.repeat(chosen.latents, len(conditions) // len(chosen.latents), axis=0)
    return _save(chosen.name('classes'), run, Samples(points, conditions, columns))


def walk(chosen: Chosen, *, path: str = 'spherical', frames: int = 20, format: str = 'gif') -> pathlib.Path:
    """An animation from each seed to the next that rests at the last."""
    frames = _checked(chosen, '--frames', frames, 1, len(_legs(chosen)))
    points = latents.walk(chosen.latents, frames, _between(chosen, path))
    return _animate(chosen.name('walk', path), chosen, points, format, hold=1.0)


def loop(chosen: Chosen, *, path: str = 'spherical', frames: int = 20, format: str = 'gif') -> pathlib.Path:
    """An animation through all seeds and back to the first, smooth everywhere; see `gan_jax.sampling.latents.loop`."""
    frames = _checked(chosen, '--frames', frames, 1, len(_legs(chosen)) + 1)
    _between(chosen, path)
    distribution = chosen.distribution if path == 'spherical' else None
    points = latents.loop(chosen.latents, frames, distribution)
    return _animate(chosen.name('loop', path), chosen, points, format)


def projection(
    chosen: Chosen,
    *,
    image: pathlib.Path | None = None,
    resize: bool = False,
    loss: str = 'pixels',
    extractor: str = 'auto',
    iterations: int = 300,
    learning_rate: float = 0.1,
    prior: float = 0.0,
) -> pathlib.Path:
    """The given image, the most similar one that was found, and how the search went there from the best start.

    Every seed is a start, in every class. Beside the picture, an .npz file of the same name has `latent`, `image`,
    `losses` and, of a conditional generator, `condition`.
    """
    run, points, conditions = chosen.run, chosen.latents, None
    target = load_image(image, run.shape, resize)
    if chosen.classes is not None:
        points, conditions, _ = arrange(points, len(points), chosen.classes)
    distance = None
    if choose({'pixels': False, 'features': True}, loss, 'loss'):
        distance = feature_error(find_extractor(extractor, run.config.data.name, run.shape))
    maker = jax.tree_util.Partial(
        run.game.sample, *(run.generator.ema or (run.generator.params, run.generator.variables))
    )
    found = project(
        maker,
        target,
        points,
        conditions,
        distance=distance,
        iterations=iterations,
        learning_rate=learning_rate,
        prior=prior,
        variance=_VARIANCE[chosen.distribution],
    )
    condition = {} if conditions is None else {'condition': conditions[found.start]}
    times = np.unique(np.geomspace(1, iterations + 1, 7).round().astype(int)) - 1
    steps = generate(
        run.game, run.generator, found.path[times], np.tile(conditions[found.start], len(times)) if condition else None
    )
    usual = {'extractor': 'auto', 'iterations': 300, 'learning_rate': 0.1, 'prior': 0.0}
    used = {'extractor': extractor, 'iterations': iterations, 'learning_rate': learning_rate, 'prior': prior}
    changed = {option: value for option, value in used.items() if value != usual[option]}
    name = chosen.name('projection', pathlib.Path(image).stem, loss, **changed)
    path = _save_images(name, np.concatenate([target[None], found.image[None], steps]), len(times) + 2)
    arrays = io.BytesIO()
    np.savez(arrays, latent=found.latent, image=found.image, losses=found.losses, **condition)
    files.replace(path.with_name(f'{path.stem}.npz'), arrays.getvalue())
    print(
        f'Given, found, and the search after {", ".join(map(str, times))} steps; loss {found.losses[0]:.4g} to '
        f'{found.losses[-1]:.4g}' + (f', class {condition["condition"]}.' if condition else '.')
    )
    return path


PICTURES = {
    'interpolation': (interpolation, (0, 1)),
    'traversal': (traversal, (0,)),
    'directions': (directions, (0,)),
    'classes': (classes, (0,)),
    'walk': (walk, (0, 1, 2)),
    'loop': (loop, (0, 1, 2, 3)),
    'projection': (projection, (0, 1, 2, 3, 4, 5, 6, 7)),
}
"""Each picture's function and its seeds where none are given."""


def _between(chosen: Chosen, path: str) -> latents.Interpolation:
    return choose({'spherical': latents.SPHERICAL[chosen.distribution], 'linear': latents.lerp}, path, 'path')


def _legs(chosen: Chosen) -> Sequence[int]:
    """The numbers of the ways from seed to seed."""
    if len(chosen.latents) < 2:
        raise UserError('There is no way from one seed alone: give at least two, such as --seeds 0,1.')
    return np.arange(len(chosen.latents) - 1)


def _values(chosen: Chosen, given: Sequence[float] | None, columns: int, rows: int) -> np.ndarray:
    """What each of the rows that a seed has goes through."""
    reach = _REACH[chosen.distribution]
    low, high = given or (-reach, reach)
    require(math.isfinite(low) and math.isfinite(high), '--range', f'{low:g} {high:g}', 'two finite numbers')
    return np.linspace(low, high, _checked(chosen, '--columns', columns, 2, rows * len(chosen.latents)))


def _checked(chosen: Chosen, flag: str, value: int, least: int, rows: int) -> int:
    """The flag's value: how many pictures each of the rows has, or each leg of a path."""
    Range(least, _MOST_STEPS).check(flag, value)
    number = value * rows * len(chosen.classes or [None])
    cost.check_pictures(number, chosen.run.shape, chosen.run.config.latents.size)
    return value


def _save_rows(name: pathlib.Path, chosen: Chosen, rows: Sequence[np.ndarray]) -> pathlib.Path:
    samples = arrange(np.concatenate(rows), len(rows[0]), chosen.classes)
    return _save(name, chosen.run, samples)


def _save(name: pathlib.Path, run: Run, samples: Samples) -> pathlib.Path:
    return _save_images(name, samples.draw(run.game, run.generator), samples.columns)


def _save_images(name: pathlib.Path, images: np.ndarray, columns: int) -> pathlib.Path:
    path = name.with_name(f'{name.name}.png')  # with_suffix would cut a name at its last dot
    report.save_png(path, picture(images, columns=columns))
    return path


def _animate(
    name: pathlib.Path, chosen: Chosen, points: np.ndarray, format: str, hold: float | None = None
) -> pathlib.Path:
    """All classes side by side in each frame."""
    animation.check_format(format)
    together = len(chosen.classes or [None])
    samples = arrange(points, 1, chosen.classes)
    images = np.asarray(to_uint8(samples.draw(chosen.run.game, chosen.run.generator)))
    columns = math.ceil(math.sqrt(together))
    scale = max(1, _ANIMATION_WIDTH // (max(columns, 2) * images.shape[2]))
    frames = [
        report.image_grid(images[i : i + together], columns, scale=scale) for i in np.arange(0, len(images), together)
    ]
    path = name.with_name(f'{name.name}.{format}')
    animation.save_animation(path, frames, hold=hold)
    return path
