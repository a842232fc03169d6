"""Samples of a generator: from its state, or from nothing but what a run's directory holds."""

import io
import json
import os
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gan_jax import build, checkpoint, files, report
from gan_jax import config as configs
from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.game import Game, Player, named_key


def fixed_latents(game: Game, num: int, seed: int) -> jax.Array:
    """The same latents [num, ...] for the same seed; a larger `num` keeps the first ones."""
    return game.latents(named_key(seed, 'samples'), jnp.arange(num))


def class_grid(game: Game, num: int, seed: int, num_classes: int) -> tuple[jax.Array, jax.Array, int]:
    """What to generate for a grid with one row for each class, the same latents in every row.

    Args:
        game: a conditional game.
        num: about how many examples; as many columns as fit, at least one.
        seed: of the latents.
        num_classes: how many classes; of more than `num`, the first `num` are taken.

    Returns:
        latents [rows columns, ...], classes int32 [rows columns], and the number of columns.
    """
    rows = min(num_classes, num)
    columns = num // rows
    latents = fixed_latents(game, columns, seed)
    return (
        jnp.tile(latents, (rows, *[1] * (latents.ndim - 1))),
        jnp.repeat(jnp.arange(rows, dtype=jnp.int32), columns),
        columns,
    )


def class_interpolation(num_classes: int, columns: int) -> jax.Array:
    """Conditions that go from each class to the next, and from the last to the first.

    Returns:
        float32 [num_classes columns, num_classes]: row by row mixtures of two classes' one-hot vectors.
    """
    classes = jnp.eye(num_classes)
    share = jnp.linspace(0, 1, columns)[None, :, None]
    rows = (1 - share) * classes[:, None] + share * jnp.roll(classes, -1, axis=0)[:, None]
    return rows.reshape(-1, num_classes)


def generate(
    game: Game,
    generator: Player,
    latents: jax.Array,
    conditions: jax.Array | None = None,
    *,
    batch_size: int = 64,
) -> np.ndarray:
    """What the generator makes in evaluation mode, with averaged weights where it keeps them.

    Args:
        game: the game.
        generator: its player, on the host or one device.
        latents: [n, ...].
        conditions: [n, ...] for a conditional game.
        batch_size: how many are made at a time.

    Returns:
        float32 [n, ...], images in [-1, 1].
    """
    params, variables = generator.ema or (generator.params, generator.variables)
    sample = jax.jit(game.sample)
    parts = [slice(i, i + batch_size) for i in range(0, len(latents), batch_size)]
    return np.concatenate(
        [sample(params, variables, latents[part], None if conditions is None else conditions[part]) for part in parts]
    )


def picture(
    examples: np.ndarray, real: np.ndarray | None = None, limit: float | None = None, columns: int | None = None
) -> np.ndarray:
    """A uint8 picture of examples: a grid of images [n, H, W, C] in [-1, 1], or a scatter plot of points [n, 2].

    Args:
        examples: what the generator made.
        real: points of the data set to draw beneath generated points.
        limit: half the width of the scatter plot.
        columns: of the grid; by default as many as make it nearly square.
    """
    if examples.ndim == 4:
        return report.image_grid(np.asarray(to_uint8(examples)), columns)
    return report.scatter(examples, real, limit)


class Samples(NamedTuple):
    """What a run draws again and again.

    Attributes:
        latents: [n, ...].
        conditions: [n] or None.
        columns: of the picture, or None.
    """

    latents: jax.Array
    conditions: jax.Array | None
    columns: int | None

    def draw(self, game: Game, generator: Player) -> np.ndarray:
        """The examples [n, ...] that the generator makes of them."""
        return generate(game, generator, self.latents, self.conditions)


def fixed_samples(game: Game, num: int, seed: int, num_classes: int | None) -> Samples:
    """The samples of a run: a class grid where `num_classes` is given."""
    if num_classes is None:
        return Samples(fixed_latents(game, num, seed), None, None)
    return Samples(*class_grid(game, num, seed, num_classes))


def save_interpolation(
    path: pathlib.Path, game: Game, generator: Player, seed: int, num_classes: int, columns: int = 10
) -> None:
    """Writes a picture whose row i goes from class i to the next with one latent; nothing where examples are points.

    Raises:
        UserError: the file cannot be written.
    """
    conditions = class_interpolation(num_classes, columns)
    latents = jnp.repeat(fixed_latents(game, 1, seed), len(conditions), axis=0)
    examples = generate(game, generator, latents, conditions)
    if examples.ndim == 4:
        report.save_png(path, picture(examples, columns=columns))


class Run(NamedTuple):
    """A run at one of its checkpoints.

    Attributes:
        config: the run's.
        step: of the checkpoint.
        game: the game.
        generator: its player.
        shape: of one example.
        num_classes: of the data's labels, or None.
    """

    config: ConfigDict
    step: int
    game: Game
    generator: Player
    shape: tuple[int, ...]
    num_classes: int | None

    @property
    def is_conditional(self) -> bool:
        """Whether the generator is told classes."""
        return build.is_conditional(self.config)


def is_run(path: str | os.PathLike) -> bool:
    """Whether a path is the directory of a run."""
    return (pathlib.Path(path) / 'run.json').is_file()


def load_run(workdir: pathlib.Path, step: int | None = None) -> Run:
    """Reads a run from its directory; needs no data set.

    Args:
        workdir: a directory that `gan_jax.train.train` wrote.
        step: which checkpoint; the latest by default.

    Raises:
        UserError: the directory holds no run or no such checkpoint.
    """
    workdir = pathlib.Path(workdir)
    try:
        facts = json.loads((workdir / 'run.json').read_text())['data']
        shape, num_classes = tuple(facts['shape']), facts['classes']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{workdir} is not the directory of a run: its run.json cannot be read.') from error
    about = checkpoint.peek(workdir / 'checkpoints', step)
    if about is None:
        raise UserError(f'{workdir} has no checkpoint yet; let the run reach its first one.')
    config = configs.from_json(about['config'])
    game = build.make_game(config, shape, num_classes=num_classes)
    target = jax.eval_shape(lambda: build.init_state(config, game))
    with checkpoint.Checkpoints(workdir / 'checkpoints') as checkpoints:
        step, state = checkpoints.restore(target, step)
    return Run(config, step, game, state.generator, shape, num_classes)


def sample_workdir(workdir: pathlib.Path, *, num: int = 64, seed: int = 0, step: int | None = None) -> pathlib.Path:
    """Writes a grid and the single pictures of `num` samples from a run's checkpoint; needs no data set.

    Args:
        workdir: a directory that `gan_jax.train.train` wrote.
        num: how many.
        seed: of the latents.
        step: which checkpoint; the latest by default.

    Returns:
        The directory of the pictures: `grid.png` with `00000.png`, ... (images) or `points.npy` (two-dimensional data).
        The grid of a conditional generator has one row for each class, and `interpolation.png` goes from class to
        class.

    Raises:
        UserError: the directory holds no run or no checkpoint, or cannot be written.
    """
    if num < 1:
        raise UserError(f'--num is {num}; ask for at least one picture.')
    workdir = pathlib.Path(workdir)
    run = load_run(workdir, step)
    step, game = run.step, run.game
    samples = fixed_samples(game, num, seed, run.num_classes if run.is_conditional else None)
    examples = samples.draw(game, run.generator)

    directory = workdir / 'generated' / f'step{step:07d}-seed{seed}'
    for stale in directory.glob('*'):
        stale.unlink()
    report.save_png(directory / 'grid.png', picture(examples, columns=samples.columns))
    if examples.ndim == 4:
        for i, image in enumerate(np.asarray(to_uint8(examples))):
            report.save_png(directory / f'{i:05d}.png', image)
        if run.is_conditional:
            save_interpolation(directory / 'interpolation.png', game, run.generator, seed, run.num_classes)
    else:
        points = io.BytesIO()
        np.save(points, examples)
        files.replace(directory / 'points.npy', points.getvalue())
    print(f'{len(examples)} samples of step {step}: {directory}/grid.png and the single pictures beside it.')
    return directory
