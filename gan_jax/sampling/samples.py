"""Samples of a generator: from its state, or from a run's directory."""

import io
import pathlib
import re
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gan_jax import cost
from gan_jax.data import Dataset, to_stored
from gan_jax.datasets import load_data
from gan_jax.errors import UserError
from gan_jax.examples.kinds import kind_of
from gan_jax.game import Game, Player, named_key
from gan_jax.ranges import SEED, Range
from gan_jax.records import files, report
from gan_jax.runtime import compiler
from gan_jax.sampling import animation, shown
from gan_jax.sampling.latents import drawn, towards_mean
from gan_jax.sampling.trained import TrainedRun, load_run

_WRITTEN = re.compile(
    r'(grid|interpolation|\d{5,})\.(png|gif|mp4|obj|ply|npy)|points\.npy'
)  # into a directory of samples
_FILM_RATE = 10  # frames per second
MOST_PICTURES = 10**6  # in one directory, a file each


def fixed_latents(game: Game, num: int, seed: int, *, threshold: float | None = None) -> jax.Array:
    """The same latents [num, ...] for the same seed; a larger `num` keeps the first ones.

    Args:
        game: the game.
        num: how many.
        seed: seed of all of them.
        threshold: their largest absolute value, kept to by drawing components again, see
            `gan_jax.sampling.latents.truncated`.
    """
    return _drawn(game, seed, num, threshold)


def seed_latents(game: Game, seeds: Sequence[int], *, threshold: float | None = None) -> jax.Array:
    """One latent per seed [len(seeds), ...]: the first of its `fixed_latents`, whatever the other seeds are.

    Raises:
        UserError: a seed is not from 0 to 2^32 - 1.
    """
    for seed in seeds:
        SEED.check('A seed', seed)

    def first(seed: jax.Array) -> jax.Array:
        return _drawn(game, seed, 1, threshold)[0]

    return jax.vmap(first)(jnp.asarray(seeds, jnp.uint32))


def _drawn(game: Game, seed: int | jax.Array, num: int, threshold: float | None) -> jax.Array:
    if game.codes is not None and threshold is not None:
        raise UserError('--threshold draws components of latents again, and this game has codes there: omit it.')
    return drawn(game.latents, named_key(seed, 'samples'), jnp.arange(num), threshold)


def class_interpolation(num_classes: int, columns: int, classes: Sequence[int] | None = None) -> jax.Array:
    """Conditions that interpolate from each class to the next, and from the last to the first.

    Args:
        num_classes: how many there are.
        columns: number of columns of each way.
        classes: the classes in order; None: all of them.

    Returns:
        float32 [len(classes) columns, num_classes]: row by row mixtures of two classes' one-hot vectors.
    """
    vectors = jnp.eye(num_classes)[jnp.arange(num_classes) if classes is None else jnp.asarray(classes)]
    share = jnp.linspace(0, 1, columns)[None, :, None]
    rows = (1 - share) * vectors[:, None] + share * jnp.roll(vectors, -1, axis=0)[:, None]
    return rows.reshape(-1, num_classes)


def generate(
    game: Game,
    generator: Player,
    latents: ArrayLike,
    conditions: ArrayLike | None = None,
    *,
    batch_size: int = 64,
) -> np.ndarray:
    """The examples generated in evaluation mode, with averaged weights if there are some.

    Args:
        game: the game.
        generator: its player, on the host or one device.
        latents: [n, ...].
        conditions: [n, ...] for a conditional game.
        batch_size: number of examples per batch.

    Returns:
        float32 [n, ...], images in [-1, 1].
    """
    params, variables = generator.ema or (generator.params, generator.variables)
    sample = jax.jit(game.sample, compiler_options=compiler.often())
    parts = [slice(i, i + batch_size) for i in range(0, len(latents), batch_size)]
    return np.concatenate(
        [sample(params, variables, latents[part], None if conditions is None else conditions[part]) for part in parts]
    )


def picture(
    examples: np.ndarray, real: np.ndarray | None = None, limit: float | None = None, columns: int | None = None
) -> np.ndarray:
    """A uint8 picture of a generator's examples [n, ...]: a grid of their views, or a scatter plot of points [n, 2].

    Args:
        examples: the generated examples.
        real: points of the data set to draw under generated points.
        limit: half the width of the scatter plot.
        columns: number of columns of the grid; by default as many as make it nearly square.
    """
    view = kind_of(examples.shape[1:]).view
    if view is None:
        return report.scatter(examples, real, limit)
    return report.image_grid(view(np.asarray(to_stored(examples))), columns)


class Samples(NamedTuple):
    """The latents and conditions of one picture, which a run draws repeatedly.

    Attributes:
        latents: [n, ...].
        conditions: classes [n], vectors [n, num_classes], or None.
        columns: number of columns of the picture, or None.
    """

    latents: ArrayLike
    conditions: ArrayLike | None
    columns: int | None

    @property
    def caption(self) -> str:
        """The content of the picture, if it is more than samples."""
        return ''

    def draw(self, game: Game, generator: Player, encoder: Player | None = None) -> np.ndarray:
        """The examples [n, ...] generated from them."""
        del encoder
        return generate(game, generator, self.latents, self.conditions)


def arrange(latents: ArrayLike, columns: int | None, classes: Sequence[int] | None = None) -> Samples:
    """Arranges latents row by row, with each row repeated for each class.

    Args:
        latents: [rows columns, ...].
        columns: number of columns of a row; None, without classes only: as makes the picture nearly square.
        classes: the classes of each row of latents, one below the other; None for an unconditional game.
    """
    if classes is None:
        return Samples(latents, None, columns)
    latents = np.asarray(latents)
    rows = latents.reshape(-1, columns, *latents.shape[1:])
    conditions = np.tile(np.repeat(np.asarray(classes, np.int32), columns), len(rows))
    return Samples(np.repeat(rows, len(classes), axis=0).reshape(-1, *latents.shape[1:]), conditions, columns)


def fixed_samples(game: Game, num: int, seed: int, num_classes: int | None) -> Samples:
    """The samples of a run: with `num_classes`, one row per class, with the same latents in every row.

    With a categorical code there is one row per category, with the same noise and other codes. There are about `num`
    samples: as many columns as fit, at least one; with more classes than `num`, the first are used.
    """
    if game.codes is not None and game.codes.categories:
        rows = min(game.codes.categories[0], num)
        latents = game.codes.in_each_category(fixed_latents(game, num // rows, seed))[:rows]
        return arrange(latents.reshape(-1, latents.shape[-1]), num // rows)
    if num_classes is None:
        return arrange(fixed_latents(game, num, seed), None)
    rows = min(num_classes, num)
    return arrange(fixed_latents(game, num // rows, seed), num // rows, range(rows))


def of_run(game: Game, num: int, seed: int, dataset: Dataset, num_classes: int | None) -> Samples | shown.Shown:
    """The content of a run's pictures: examples of its data if the game shows such, else `fixed_samples`."""
    if game.shows_examples:
        return shown.fixed_examples(game, num, seed, dataset)
    return fixed_samples(game, num, seed, num_classes if game.given else None)


def save_interpolation(
    path: pathlib.Path,
    game: Game,
    generator: Player,
    latent: ArrayLike,
    num_classes: int,
    *,
    classes: Sequence[int] | None = None,
    columns: int = 10,
    step: int | None = None,
) -> None:
    """Writes a picture whose rows interpolate between classes with one latent [1, ...]; nothing if examples are points.

    Raises:
        UserError: the file cannot be written.
    """
    conditions = class_interpolation(num_classes, columns, classes)
    latents = jnp.repeat(latent, len(conditions), axis=0)
    examples = generate(game, generator, latents, conditions)
    if kind_of(examples.shape[1:]).view is not None:
        report.save_png(path, picture(examples, columns=columns), step=step)


def choose_samples(
    run: TrainedRun,
    *,
    num: int = 64,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    classes: Sequence[int | str] | None = None,
    grid: tuple[int, int] | None = None,
    threshold: float | None = None,
    psi: float = 1.0,
) -> Samples:
    """The samples described by a command line; arguments as in `sample_workdir`.

    Raises:
        UserError: a class does not exist, or the number of seeds differs from that of the grid.
    """
    shown = run.classes(classes)
    if grid and classes and len(shown) > grid[0]:
        raise UserError(f'--grid has {grid[0]} rows, too few for {len(shown)} classes: use at least one row per class.')
    if shown and classes is None:
        shown = shown[: grid[0] if grid else num]  # of more classes than pictures, the first
    rows = len(shown or [None])
    needed = len(seeds) if seeds else max(1, num // rows)
    columns = needed if shown else None
    if grid:
        columns, needed = grid[1], grid[1] * -(-grid[0] // rows)
    cost.check_pictures(needed * rows, run.shape, run.config.latents.size)
    if seeds and len(seeds) != needed:
        raise UserError(f'--grid {grid[0]}x{grid[1]} shows {needed} latents, but there are {len(seeds)} seeds.')
    if seeds:
        latents = seed_latents(run.game, seeds, threshold=threshold)
    else:
        latents = fixed_latents(run.game, needed, seed, threshold=threshold)
    samples = arrange(towards_mean(latents, psi), columns, shown)
    if grid:  # its last rows need not be all classes
        latents, conditions = (None if x is None else x[: grid[0] * grid[1]] for x in samples[:2])
        samples = Samples(latents, conditions, columns)
    return samples


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
    if noise is not None:
        run.styled('--noise')
    latent = {
        'seeds': seeds,
        'classes': classes,
        'grid': grid,
        'threshold': threshold,
        'psi': psi if psi != 1 else None,
    }
    given = [name for name, value in latent.items() if value is not None]
    if run.game.translates and given:
        raise UserError(f'{workdir} translates images and has no latents to choose: omit --{given[0]}.')
    if prompt is not None and run.game.captions is None:
        raise UserError(f'--prompt is the caption of images, but {workdir} makes none of captions: omit it.')
    if run.game.shows_examples and not given:
        shown = num or (64 if prompt is None else 16)
        return _sample_shown(workdir, run, shown, seed or 0, inputs, styles, prompt, format)
    if (inputs, styles) != (None, None):
        what = '--styles names examples of styles' if inputs is None else '--inputs names images to translate'
        raise UserError(f'{what}, but {workdir} generates images from latents: omit it.')
    if grid and run.kind.view is None:
        raise UserError(f'{workdir} generates {run.kind.name}, which have no grid: omit --grid.')
    options = {'seeds': seeds, 'classes': classes, 'grid': grid, 'threshold': threshold, 'psi': psi}
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
        stored = np.asarray(to_stored(examples))
        _save_single(directory, stored, stored, samples.columns, format)
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
    directory: pathlib.Path, examples: np.ndarray, together: np.ndarray, columns: int | None, format: str
) -> None:
    """Writes a picture of each stored example, with the files and film of its kind, and a film of others in a grid."""
    kind = kind_of(examples.shape[1:])
    for i, image in enumerate(kind.view(examples)):
        report.save_png(directory / f'{i:05d}.png', image)
        for ending, contents in kind.files(examples[i]).items():
            files.replace(directory / f'{i:05d}{ending}', contents)
    if kind.film is not None:
        frames = kind.film(examples)
        films = {'grid': [report.image_grid(frame, columns) for frame in kind.film(together)]}
        films |= {f'{i:05d}': list(frames[:, i]) for i in range(len(examples))}
        for name, film in films.items():
            animation.save_animation(directory / f'{name}.{format}', film, frames_per_second=_FILM_RATE)


def _sample_shown(
    workdir: pathlib.Path,
    run: TrainedRun,
    num: int,
    seed: int,
    inputs: str | None,
    styles: str | None,
    prompt: str | None,
    format: str,
) -> pathlib.Path:
    """`sample_workdir` for a game that translates: a grid of examples, and the single translations."""
    samples = choose_shown(run, num, seed, inputs, styles, prompt)
    of = {'split': _split(run)} if inputs is None else {'inputs': inputs}
    of = of if prompt is None else {'prompt': prompt}
    directory = generated(workdir, run.step, **of, **({'seed': seed} if styles is None else {'styles': styles}))
    _remove_earlier(directory)
    examples = samples.draw(run.game, run.generator, run.encoder)
    report.save_png(directory / 'grid.png', picture(examples, columns=samples.columns), samples.caption)
    made = made_of_shown(run, samples)
    stored = (np.asarray(to_stored(one)) for one in (made, examples))
    _save_single(directory, *stored, samples.columns, format)
    print(f'{len(made)} images of step {run.step}: see {directory}/grid.png and the single images beside it.')
    return directory


def choose_shown(
    run: TrainedRun,
    num: int,
    seed: int,
    inputs: str | None = None,
    styles: str | None = None,
    prompt: str | None = None,
) -> shown.Shown:
    """The examples shown by a run that translates; arguments as in `sample_workdir`.

    Raises:
        UserError: the data do not exist, the run does not translate or has no styles, or the prompt cannot be read.
    """
    options, game = run.config.data, run.game
    if inputs is not None and len(run.shapes.get(game.given, ())) == 1:
        raise UserError('--inputs names images to translate, but this run makes images of captions: use --prompt.')
    if prompt is not None:
        return shown.of_prompt(game, num, seed, prompt, run.class_names, *run.shapes[game.given])
    if styles is not None and game.style_of is None:
        raise UserError('--styles names examples of styles, but this game translates without styles: omit it.')
    if inputs is not None and not game.translates:
        raise UserError('--inputs names images to translate, but this game does not translate: omit it.')
    if inputs is None and styles is None:
        return shown.fixed_examples(game, num, seed, load_data(options, _split(run)))
    if inputs is None:
        dataset = load_data(options, _split(run))
    else:
        dataset = shown.load_inputs(inputs, game.given, run.shapes, options)
    if styles is None:
        return shown.of_inputs(game, num, seed, dataset)
    examples = shown.load_inputs(styles, 'real', run.shapes, options, 'takes styles from')
    return shown.in_styles(game, run.generator, num, dataset, examples)


def made_of_shown(run: TrainedRun, samples: shown.Shown) -> np.ndarray:
    """The translations of the shown examples: float32 [n, H, W, C] in [-1, 1]."""
    conditions = samples.batch[run.game.given] if run.game.given else None
    return generate(run.game, run.generator, samples.latents, conditions)


def _split(run: TrainedRun) -> str:
    return run.config.evaluation.split or run.config.data.split


def generated(workdir: pathlib.Path, step: int, *names: str, **options: Any) -> pathlib.Path:
    """A descriptive path in a run's directory for generated files: step0007000-traversal-seed0-dimension3.

    Args:
        workdir: the run's directory.
        step: step of the checkpoint.
        *names: what it is.
        **options: the options; those that are None or do not truncate (psi=1) are omitted.
    """
    given = {name: value for name, value in options.items() if value is not None and (name, value) != ('psi', 1)}
    words = (f'{name}{_short(value)}' for name, value in given.items())
    return pathlib.Path(workdir) / 'generated' / '-'.join([f'step{step:07d}', *names, *words])


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
