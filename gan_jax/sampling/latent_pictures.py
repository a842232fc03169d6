"""The pictures of `--mode sample` other than samples: a function for each `--what`.

Every function gets a `Chosen` and returns the path of the picture, which it writes to the run's
`generated/`. Its other arguments are flags of the command line, so some have names of built-ins. If
the generator is conditional, each row and each frame is shown in every requested class.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_jax.errors import UserError
from gan_jax.examples.kinds import IMAGES
from gan_jax.layers.choices import choose
from gan_jax.sampling import latents
from gan_jax.sampling.anomaly_pictures import anomalies
from gan_jax.sampling.chosen import Chosen, animate, save_images, save_rows
from gan_jax.sampling.inversion_pictures import inversion
from gan_jax.sampling.latents import sweep_code, towards_mean
from gan_jax.sampling.samples import class_interpolation, generate, seed_latents
from gan_jax.sampling.semantics import FIRST_LAYER, first_kernel, semantic_directions, style_kernel
from gan_jax.sampling.style_pictures import mixing, noise, truncation
from gan_jax.sampling.styles import chosen_layers
from gan_jax.sampling.trained import load_run, warn_of_divergence


def draw(
    workdir: pathlib.Path,
    what: str,
    *,
    step: int | None = None,
    seeds: Sequence[int] | None = None,
    classes: Sequence[int | str] | None = None,
    threshold: float | None = None,
    psi: float = 1.0,
    noise: str | None = None,
    standing_statistics: int | None = None,
    **options: Any,
) -> pathlib.Path:
    """Draws one of `PICTURES` of a run.

    Args:
        workdir: the run's directory.
        what: 'interpolation', 'traversal' and so on.
        step: step of the checkpoint; None: the latest.
        seeds: seeds of the latents; None: as many as the picture needs.
        classes: numbers or names; None: all of them, but the first for directions.
        threshold: truncation by resampling, see `gan_jax.sampling.latents.truncated`.
        psi: truncation of styles, or else latents, towards their mean, see `trained.TrainedRun.truncated`.
        noise: for a style generator, see `trained.TrainedRun.noisy`.
        standing_statistics: as in `gan_jax.sampling.sample_files.sample_workdir`.
        **options: options of the picture's function.

    Returns:
        The picture's file.

    Raises:
        UserError: the run, picture or class does not exist, or an option is impossible.
    """
    function, default_seeds = choose(PICTURES, what, 'picture')
    run = load_run(workdir, step)
    if run.kind is not IMAGES:
        raise UserError(f'{workdir} generates {run.kind.name}, not images: only --what samples is available.')
    if run.game.translates:
        raise UserError(f'{workdir} translates images and has no latents to choose: only --what samples is available.')
    run = run.standing(standing_statistics, threshold)
    shown = run.classes(classes)
    warn_of_divergence(pathlib.Path(workdir), run.step)
    run, rest = run.truncated(psi)
    points = towards_mean(seed_latents(run.game, seeds or default_seeds, threshold=threshold), rest)
    facts = {
        'seeds': seeds or default_seeds,
        'classes': classes,
        'threshold': threshold,
        'psi': psi,
        'noise': noise,
        'standing': standing_statistics,
    }
    path = function(Chosen(pathlib.Path(workdir), run.noisy(noise), points, shown, facts, seeds), **options)
    print(f'Step {run.step}: {path}')
    return path


def interpolation(chosen: Chosen, *, path: str | None = None, columns: int = 10, space: str = 'z') -> pathlib.Path:
    """One row from each seed to the next, on a great circle or (path 'linear') a line; in W on a line."""
    chosen, between, words = _paths(chosen, path, space)
    legs = chosen.legs()
    share = np.linspace(0, 1, chosen.checked('--columns', columns, 2, len(legs)))
    rows = [between(chosen.latents[i : i + 1], chosen.latents[i + 1 : i + 2], share) for i in legs]
    return save_rows(chosen.name('interpolation', words), chosen, rows)


def traversal(
    chosen: Chosen, *, dimension: Sequence[int] = (0,), range: Sequence[float] | None = None, columns: int = 9
) -> pathlib.Path:
    """One row per seed and dimension, along which that component takes the values of the range."""
    values = chosen.values(range, columns, len(dimension))
    rows = [latents.traverse(latent, one, values) for latent in chosen.latents for one in dimension]
    return save_rows(chosen.name('traversal', dimension=dimension, range=range), chosen, rows)


def codes(
    chosen: Chosen, *, dimension: Sequence[int] = (0,), range: Sequence[float] | None = None, columns: int = 9
) -> pathlib.Path:
    """A row per seed, continuous code and category, along which that code takes the values of the range (-2 to 2)."""
    found = chosen.run.game.codes
    if found is None:
        raise UserError(f'The latents of {chosen.workdir} have no codes, which the game infogan has: use traversal.')
    values = chosen.values(range, columns, len(dimension) * max(found.categories[:1], default=1), reach=2.0)
    rows = [row for latent in chosen.latents for one in dimension for row in sweep_code(found, latent, one, values)]
    return save_rows(chosen.name('codes', dimension=dimension, range=range), chosen, rows)


def directions(
    chosen: Chosen,
    *,
    directions: int = 6,
    range: Sequence[float] | None = None,
    columns: int = 9,
    space: str = 'z',
    layers: Sequence[int] | None = None,
) -> pathlib.Path:
    """One row per seed and semantic direction, the strongest first, along which the latent is moved.

    In W the directions are those of the style weights of some layers, and only their styles are moved. For a
    conditional generator they are shown in the first class unless classes are given.
    """
    run, amounts = chosen.run, chosen.values(range, columns, max(1, directions))
    chosen = chosen.in_one_class()
    if _is_w(space):
        chosen = chosen.in_w()
        shape = chosen.latents.shape[-2:]
        params, variables = run.weights
        kernel = style_kernel(lambda styles: run.game.synthesize(params, variables, styles), params, shape, layers)
        moved, matrix = chosen_layers(layers, shape[0])[:, None], 'are the style weights'
    elif layers is not None:
        raise UserError('--layers selects layers with styles, but latents z affect all layers: add --space w.')
    elif run.game.styles is not None:
        raise UserError('Directions of a style generator exist in W only: add --space w.')
    else:
        kernel = first_kernel(run.weights[0], run.config.latents.size)
        moved, matrix = 1.0, f'is the weight of {FIRST_LAYER} of the latents'
    found = semantic_directions(kernel, directions)
    gains = ', '.join(f'{gain:.3g}' for gain in found.gains)
    print(f'Eigenvectors of A^T A, where A {matrix}; gains: {gains}.')
    rows = [
        latents.move(latent, direction * moved, amounts) for latent in chosen.latents for direction in found.vectors
    ]
    words = f'directions{directions}', *(['w'] if _is_w(space) else [])
    return save_rows(chosen.name(*words, range=range, layers=layers), chosen, rows)


def classes(chosen: Chosen, *, columns: int = 10) -> pathlib.Path:
    """One row from each class to the next, and from the last to the first, for each seed."""
    run = chosen.run
    if chosen.classes is None:
        raise UserError(f'The generator of {chosen.workdir} is unconditional, so there are no classes to interpolate.')
    conditions = class_interpolation(
        run.num_classes, chosen.checked('--columns', columns, 2, len(chosen.latents)), chosen.classes
    )
    conditions = np.tile(conditions, (len(chosen.latents), 1))
    points = np.repeat(chosen.latents, len(conditions) // len(chosen.latents), axis=0)
    return save_images(chosen.name('classes'), generate(run.game, run.generator, points, conditions), columns)


def walk(
    chosen: Chosen, *, path: str | None = None, frames: int = 20, format: str = 'gif', space: str = 'z'
) -> pathlib.Path:
    """An animation from each seed to the next that stops at the last."""
    chosen, between, words = _paths(chosen, path, space)
    frames = chosen.checked('--frames', frames, 1, len(chosen.legs()))
    points = latents.walk(chosen.latents, frames, between)
    return animate(chosen.name('walk', words), chosen, points, format, hold=1.0)


def loop(
    chosen: Chosen, *, path: str | None = None, frames: int = 20, format: str = 'gif', space: str = 'z'
) -> pathlib.Path:
    """An animation through all seeds and back to the first, smooth everywhere; see `gan_jax.sampling.latents.loop`."""
    chosen, between, words = _paths(chosen, path, space)
    frames = chosen.checked('--frames', frames, 1, len(chosen.legs()) + 1)
    distribution = None if between is latents.lerp else chosen.distribution
    points = latents.loop(chosen.latents, frames, distribution)
    return animate(chosen.name('loop', words), chosen, points, format)


PICTURES = {
    'interpolation': (interpolation, (0, 1)),
    'traversal': (traversal, (0,)),
    'codes': (codes, (0,)),
    'directions': (directions, (0,)),
    'classes': (classes, (0,)),
    'walk': (walk, (0, 1, 2)),
    'loop': (loop, (0, 1, 2, 3)),
    'truncation': (truncation, (0, 1, 2)),
    'mixing': (mixing, (0, 1, 2)),
    'noise': (noise, (0, 1, 2)),
    'anomalies': (anomalies, (0,)),
    'inversion': (inversion, (0, 1, 2, 3, 4, 5, 6, 7)),
}
"""Each picture's function and its seeds where none are given."""


def _is_w(space: str) -> bool:
    return choose({'z': False, 'w': True}, space, 'space')


def _paths(chosen: Chosen, path: str | None, space: str) -> tuple[Chosen, latents.Interpolation, str]:
    """The space of paths, their interpolation, and its name."""
    if not _is_w(space):
        ways = {'spherical': latents.SPHERICAL[chosen.distribution], 'linear': latents.lerp}
        path = path or 'spherical'
        return chosen, choose(ways, path, 'path'), path
    if path not in (None, 'linear'):
        raise UserError(f'--path {path} does not apply to W, where paths are lines: omit it.')
    return chosen.in_w(), latents.lerp, 'w'
