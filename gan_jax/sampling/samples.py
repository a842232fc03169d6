"""Samples of a generator: from its state, or from a run's directory."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gan_jax.data import Dataset, to_stored
from gan_jax.errors import UserError
from gan_jax.examples.kinds import kind_of
from gan_jax.game import Game, Player, named_key
from gan_jax.ranges import SEED
from gan_jax.records import report
from gan_jax.runtime import compiler
from gan_jax.sampling import shown
from gan_jax.sampling.latents import drawn, towards_mean
from gan_jax.sampling.trained import TrainedRun
from gan_jax.training import cost
from gan_jax.training.datasets import load_data


def fixed_latents(game: Game, num: int, seed: int, *, threshold: float | None = None) -> jax.Array:
    """The same latents [num, ...] for the same seed; a larger `num` keeps the first ones.

    Args:
        game: the game.
        num: how many.
        seed: seed of all of them.
        threshold: their largest absolute value; larger components are drawn again, see
            `gan_jax.sampling.latents.truncated`.
    """
    return _drawn(game, seed, num, threshold)


def seed_latents(game: Game, seeds: Sequence[int], *, threshold: float | None = None) -> jax.Array:
    """One latent per seed [len(seeds), ...]: the first of its `fixed_latents`, independent of the other seeds.

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
    params, variables = generator.weights
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
        shown = shown[: grid[0] if grid else num]  # the first classes, if there are more classes than pictures
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
    if grid:  # the last rows may have only some of the classes
        latents, conditions = (None if x is None else x[: grid[0] * grid[1]] for x in samples[:2])
        samples = Samples(latents, conditions, columns)
    return samples


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
    if styles is not None and game.style_of is None:
        raise UserError('--styles names examples of styles, but this game translates without styles: omit it.')
    if prompt is not None:
        return shown.of_prompt(game, num, seed, prompt, run.class_names, *run.shapes[game.given])
    if inputs is not None and not game.translates:
        raise UserError('--inputs names images to translate, but this game does not translate: omit it.')
    if inputs is None and styles is None:
        return shown.fixed_examples(game, num, seed, load_data(options, split_of(run)))
    if inputs is None:
        dataset = load_data(options, split_of(run))
    else:
        dataset = shown.load_inputs(inputs, game.given, run.shapes, options, is_map=game.maps is not None)
    if styles is None:
        return shown.of_inputs(game, num, seed, dataset)
    examples = shown.load_inputs(styles, 'real', run.shapes, options, 'takes styles from')
    return shown.in_styles(game, run.generator, num, dataset, examples)


def made_of_shown(run: TrainedRun, samples: shown.Shown) -> np.ndarray:
    """The translations of the shown examples: float32 [n, H, W, C] in [-1, 1]."""
    conditions = samples.batch[run.game.given] if run.game.given else None
    return generate(run.game, run.generator, samples.latents, conditions)


def split_of(run: TrainedRun) -> str:
    """The split of a run's data whose examples are shown."""
    return run.config.evaluation.split or run.config.data.split
