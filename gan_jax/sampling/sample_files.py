"""Samples of a trained run as files in its directory: pictures, films, solids and point clouds."""

import io
import pathlib
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.data import to_stored
from gan_jax.errors import UserError
from gan_jax.examples.kinds import Kind, kind_of
from gan_jax.ranges import SEED, Range
from gan_jax.records import files, report
from gan_jax.sampling import animation
from gan_jax.sampling.samples import choose_samples, choose_shown, made_of_shown, picture, save_interpolation, split_of
from gan_jax.sampling.trained import TrainedRun, load_run, warn_of_divergence

_WRITTEN = re.compile(r'(grid|interpolation|\d{5,})\.(png|gif|mp4|obj|ply|npy)|points\.npy')
_FILM_RATE = 10  # frames per second
MOST_PICTURES = 10**6  # files in one directory
_LONGEST = 200  # bytes of a name; a file system takes 255, with a suffix and those of a temporary file


def sample_workdir(
    workdir: pathlib.Path,
    *,
    num: int | None = None,
    seed: int | None = None,
    step: int | None = None,
    seeds: Sequence[int] | None = None,
    classes: Sequence[int | str] | None = None,
    grid: tuple[int, int] | None = None,
    threshold: float | None = None,
    psi: float = 1.0,
    noise: str | None = None,
    inputs: str | None = None,
    styles: str | None = None,
    prompt: str | None = None,
    format: str = 'gif',
    standing_statistics: int | None = None,
) -> pathlib.Path:
    """Writes a grid and the single images of samples from a run's checkpoint; only translations need its data.

    Args:
        workdir: a directory that `gan_jax.train.train` wrote.
        num: how many; None: 64.
        seed: seed of all latents; None: 0.
        step: which checkpoint; the latest by default.
        seeds: one latent for each, instead of `num` of one seed.
        classes: numbers or names, a row for each; None: all of them.
        grid: (rows, columns) of images, instead of `num`; the rows cycle through the classes.
        threshold: truncation by resampling, see `gan_jax.sampling.latents.truncated`.
        psi: truncation of styles, or else latents, towards their mean, see `trained.TrainedRun.truncated`.
        noise: for a style generator, see `trained.TrainedRun.noisy`.
        inputs: for a run that translates images, the data whose images are translated, such as 'folder:/path'; None:
            examples of the run's own data.
        styles: for a run that translates with styles, the data whose images give them, such as 'folder:/path'; None:
            styles are drawn.
        prompt: for a run that makes images of captions, the caption of all images; None: captions of the run's data.
        format: of films, 'gif' or 'mp4'.
        standing_statistics: passes of `gan_jax.sampling.standing`, with the truncation of the threshold; 0: the running
            averages; None: as the run's config has it.

    Returns:
        The directory of the pictures: `grid.png` with `00000.png`, ... (images), also films of that format, `grid.gif`
        and `00000.gif`, ... (clips, and solids and point clouds as they turn), `00000.obj`, ... (solids), `00000.ply`
        and `00000.npy`, ... (point clouds), or `points.npy` (two-dimensional data).
        The grid of a conditional generator has one row for each class, and `interpolation.png` goes from class to
        class.

    Raises:
        UserError: the directory is not a run, has no checkpoint or cannot be written; or an option is impossible.
    """
    Range(1, MOST_PICTURES).check('--num', num)
    SEED.check('--seed', seed)
    animation.check_format(format)
    if seeds and (num, seed) != (None, None):
        raise UserError('--seeds cannot be combined with --num or --seed.')
    if grid and num is not None:
        raise UserError('--grid cannot be combined with --num.')
    workdir = pathlib.Path(workdir)
    run = load_run(workdir, step).standing(standing_statistics, threshold)
    warn_of_divergence(workdir, run.step)
    if noise is not None:
        run.styled('--noise')
    _check_film(format, run.kind, workdir)
    options = {'seeds': seeds, 'classes': classes, 'grid': grid, 'threshold': threshold, 'psi': psi}
    chosen = list(given(options))
    if run.game.translates and chosen:
        raise UserError(f'{workdir} translates images and has no latents to choose: omit --{chosen[0]}.')
    if prompt is not None and run.game.captions is None:
        raise UserError(f'--prompt is the caption of images, but {workdir} makes none of captions: omit it.')
    if run.game.shows_examples and not chosen:
        shown = num or (64 if prompt is None else 16)
        return _sample_shown(workdir, run, shown, seed or 0, inputs, styles, prompt, format, standing_statistics)
    if (inputs, styles) != (None, None):
        what = '--styles names examples of styles' if inputs is None else '--inputs names images to translate'
        raise UserError(f'{what}, but {workdir} generates images from latents: omit it.')
    if grid and run.kind.view is None:
        raise UserError(f'{workdir} generates {run.kind.name}, which have no grid: omit --grid.')
    run, rest = run.truncated(psi)
    run = run.noisy(noise)
    samples = choose_samples(run, num=num or 64, seed=seed or 0, **(options | {'psi': rest}))
    examples = samples.draw(run.game, run.generator)

    if not seeds:
        options = {'seed': seed or 0, **options}
    options['grid'] = grid and f'{grid[0]}x{grid[1]}'
    options |= {'noise': noise, 'standing': standing_statistics}
    directory = generated(workdir, run.step, **options)
    _remove_earlier(directory)
    report.save_png(directory / 'grid.png', picture(examples, columns=samples.columns))
    if run.kind.view is not None:
        _save_single(directory, np.asarray(to_stored(examples)), samples.columns, format)
        if run.is_conditional:
            shown, path = run.classes(classes), directory / 'interpolation.png'
            save_interpolation(path, run.game, run.generator, samples.latents[:1], run.num_classes, classes=shown)
    else:
        points = io.BytesIO()
        np.save(points, examples)
        files.replace(directory / 'points.npy', points.getvalue())
    print(f'{len(examples)} samples of step {run.step}: see {directory}/grid.png and the single images beside it.')
    return directory


def _save_single(
    directory: pathlib.Path, examples: np.ndarray, columns: int | None, format: str, together: np.ndarray | None = None
) -> None:
    """Writes a picture of each stored example, with the files and film of its kind, and a film of a grid.

    The grid is that of the examples `together`; None: of the same examples.
    """
    kind = kind_of(examples.shape[1:])
    for i, image in enumerate(kind.view(examples)):
        report.save_png(directory / f'{i:05d}.png', image)
        for ending, contents in kind.files(examples[i]).items():
            files.replace(directory / f'{i:05d}{ending}', contents)
    if kind.film is not None:
        frames = kind.film(examples)
        whole = frames if together is None else kind.film(together)
        films = {'grid': [report.image_grid(frame, columns) for frame in whole]}
        films |= {f'{i:05d}': list(frames[:, i]) for i in range(len(examples))}
        for name, film in films.items():
            animation.save_animation(directory / f'{name}.{format}', film, frames_per_second=_FILM_RATE)


def _check_film(format: str, kind: Kind, workdir: pathlib.Path) -> None:
    if format != 'gif' and kind.film is None:
        raise UserError(f'--format is that of films, but {workdir} generates {kind.name}: omit it.')


def _sample_shown(
    workdir: pathlib.Path,
    run: TrainedRun,
    num: int,
    seed: int,
    inputs: str | None,
    styles: str | None,
    prompt: str | None,
    format: str,
    standing: int | None,
) -> pathlib.Path:
    """`sample_workdir` for a game that translates: a grid of examples, and the single translations."""
    samples = choose_shown(run, num, seed, inputs, styles, prompt)
    of = {'split': split_of(run)} if inputs is None else {'inputs': inputs}
    of = of if prompt is None else {'prompt': prompt}
    of |= {'seed': seed} if styles is None else {'styles': styles}
    directory = generated(workdir, run.step, **of, standing=standing)
    _remove_earlier(directory)
    examples = samples.draw(run.game, run.generator, run.encoder)
    report.save_png(directory / 'grid.png', picture(examples, columns=samples.columns), samples.caption)
    made = made_of_shown(run, samples)
    stored, together = (np.asarray(to_stored(one)) for one in (made, examples))
    _save_single(directory, stored, samples.columns, format, together)
    print(f'{len(made)} images of step {run.step}: see {directory}/grid.png and the single images beside it.')
    return directory


def generated(workdir: pathlib.Path, step: int, *names: str, **options: Any) -> pathlib.Path:
    """A descriptive path in a run's directory for generated files: step0007000-traversal-seed0-dimension3.

    Args:
        workdir: the run's directory.
        step: step of the checkpoint.
        *names: what it is.
        **options: the options; those that are None or do not truncate (psi=1) are omitted.

    The end of a name that is too long for a file is replaced by a checksum.
    """
    words = (f'{name}{_short(value)}' for name, value in given(options).items())
    whole = re.sub('[\ud800-\udfff]', '_', '-'.join([f'step{step:07d}', *names, *words]))  # bytes that are no text
    if len(encoded := whole.encode()) > _LONGEST:
        whole = f'{encoded[: _LONGEST - 9].decode(errors="ignore")}-{zlib.crc32(encoded):08x}'
    return pathlib.Path(workdir) / 'generated' / whole


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those that are None or do not truncate (psi=1)."""
    return {name: value for name, value in options.items() if value is not None and (name, value) != ('psi', 1)}


def _remove_earlier(directory: pathlib.Path) -> None:
    """Removes the pictures of earlier samples, which may have been more; other files stay."""
    files.sweep(directory)
    for path in directory.glob('*'):
        if _WRITTEN.fullmatch(path.name) and not path.is_dir():
            files.remove(path)


def _short(value: Any) -> str:
    """A value in a file name, without invalid characters; long lists are represented by their ends and a checksum."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        whole = ','.join(map(str, value))
        value = whole if len(value) <= 8 else f'{value[0]}..{value[-1]}-{zlib.crc32(whole.encode()):08x}'
    return re.sub(r'[^\w.,-]+', '_', str(value))
