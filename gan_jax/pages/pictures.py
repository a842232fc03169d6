"""Pictures for a run's page that need its data or its generator: PNG files that contain their description."""

import pathlib

import numpy as np

from gan_jax.data import Dataset, to_stored
from gan_jax.evaluation.neighbours import nearest_training, neighbour_grid
from gan_jax.examples.kinds import kind_of
from gan_jax.game import Game, Player
from gan_jax.records import report
from gan_jax.sampling import latents
from gan_jax.sampling import samples as sampling

_ROWS, _COLUMNS = 8, 8  # of the neighbours and the interpolation
_CHUNK = 8192  # real examples that are compared at a time
_BLOCK = 64
_MOST_VALUES = 2**28  # of real examples that are searched for neighbours; more take longer than a person waits


def save_reals(path: pathlib.Path, dataset: Dataset, samples: sampling.Samples, seed: int) -> None:
    """Writes as many real examples as a picture of samples has, laid out like it; nothing where they are points.

    In a picture of classes a real image has the class of the sample in its place; a class without examples is black.
    """
    kind = kind_of(dataset.shape)
    if kind.view is None:
        return
    rng = np.random.default_rng(seed)
    if samples.conditions is None:
        count = len(samples.latents)
        images = dataset.examples[rng.choice(len(dataset), count, replace=count > len(dataset))]
    else:
        images = np.zeros((len(samples.conditions), *dataset.shape), dataset.examples.dtype)
        for i, label in enumerate(np.asarray(samples.conditions)):
            if len(of_class := np.flatnonzero(dataset.labels == label)):
                images[i] = dataset.examples[rng.choice(of_class)]
    grid = report.image_grid(kind.view(np.asarray(images)), samples.columns)
    report.save_png(path, grid, f'real {kind.name} of {dataset.name}')


def save_neighbours(
    path: pathlib.Path, fakes: np.ndarray, dataset: Dataset, seed: int, step: int | None = None
) -> None:
    """Writes some samples, each beside its nearest training examples; nothing where examples are points.

    Args:
        path: the file.
        fakes: float32 [n, ...] of a generator; eight of them are taken, evenly spaced.
        dataset: the training set; of a large one a part is searched, chosen at random, and the caption says so.
        seed: seed of that choice.
        step: step of the run, which the picture keeps.
    """
    kind = kind_of(fakes.shape[1:])
    if kind.view is None:
        return
    chosen = np.linspace(0, len(fakes) - 1, min(len(fakes), _ROWS)).round().astype(int)
    shown = np.asarray(to_stored(fakes[chosen]))
    searched = np.arange(len(dataset))
    if (most := _MOST_VALUES // shown[0].size) < len(dataset):
        searched = np.sort(np.random.default_rng(seed).choice(len(dataset), most, replace=False))
    nearest = nearest_rows(dataset.examples, searched, shown, min(_COLUMNS - 1, len(searched)))
    rows, places = np.unique(nearest, return_inverse=True)
    reals = kind.view(np.asarray(dataset.examples[rows]))
    grid = neighbour_grid(kind.view(shown), reals, places.reshape(nearest.shape))
    part = '' if len(searched) == len(dataset) else f'{len(searched):,} of '
    caption = (
        f'Each row: a generated one, then the training {kind.name} nearest to it by the Euclidean distance of '
        f'{kind.parts}, among {part}{len(dataset):,}.'
    )
    report.save_png(path, grid, caption, step=step)


def nearest_rows(examples: np.ndarray, searched: np.ndarray, fakes: np.ndarray, k: int) -> np.ndarray:
    """The rows of the k examples whose values are nearest to each fake.

    Args:
        examples: [m, ...] as stored, perhaps memory-mapped: a part is read at a time.
        searched: int [r], the rows to search, at least k.
        fakes: [n, ...], likewise.
        k: how many.

    Returns:
        int [n, k], nearest first.
    """
    compared = kind_of(fakes.shape[1:]).compared
    queries = compared(fakes).reshape(len(fakes), -1).astype(np.float32)
    distances, rows = np.empty((len(fakes), 0)), np.empty((len(fakes), 0), int)
    for start in range(0, len(searched), _CHUNK):
        chunk = searched[start : start + _CHUNK]
        reals = compared(examples[chunk]).reshape(len(chunk), -1).astype(np.float32)
        closer, places = nearest_training(reals, queries, min(k, len(chunk)), block=_BLOCK)
        distances, rows = np.hstack([distances, closer]), np.hstack([rows, chunk[places]])
        best = distances.argsort(axis=1, kind='stable')[:, :k]
        distances, rows = np.take_along_axis(distances, best, 1), np.take_along_axis(rows, best, 1)
    return rows


def save_interpolation(
    path: pathlib.Path,
    game: Game,
    generator: Player,
    seed: int,
    distribution: str,
    shape: tuple[int, ...],
    step: int | None = None,
) -> None:
    """Writes rows that go from one latent to another on a great circle; nothing where examples are points.

    With continuous codes the rows are categories instead, along which the first of these codes changes.

    Args:
        path: the file.
        game: the game, without classes.
        generator: its player.
        seed: seed of the latents: those of the run's samples.
        distribution: distribution of the latents, 'normal' or 'uniform'.
        shape: shape of an example.
        step: step of the run, which the picture keeps.
    """
    if kind_of(shape).view is None:
        return
    drawn = np.asarray(sampling.fixed_latents(game, 2 * _ROWS, seed))
    if game.codes is not None and game.codes.continuous:
        swept = latents.sweep_code(game.codes, drawn[0], 0, np.linspace(-2, 2, _COLUMNS))
        points = swept.reshape(-1, swept.shape[-1])
        caption = 'Each row has another category. Along a row the first continuous code goes from -2 to 2.'
    else:
        start, end = (np.repeat(part, _COLUMNS, axis=0) for part in np.split(drawn, 2))
        points = latents.SPHERICAL[distribution](start, end, np.tile(np.linspace(0, 1, _COLUMNS), _ROWS))
        caption = 'Each row interpolates from one latent to another on a great circle.'
    examples = sampling.generate(game, generator, points)
    report.save_png(path, sampling.picture(examples, columns=_COLUMNS), caption, step=step)
