"""Samples of a generator: from its state, or from nothing but what a run's directory holds."""

import io
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import build, checkpoint, files, report
from gan_jax import config as configs
from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.game import Game, Player, named_key


def fixed_latents(game: Game, num: int, seed: int) -> jax.Array:
    """The same latents [num, ...] for the same seed; a larger `num` keeps the first ones."""
    return game.latents(named_key(seed, 'samples'), jnp.arange(num))


def generate(game: Game, generator: Player, latents: jax.Array, batch_size: int = 64) -> np.ndarray:
    """What the generator makes in evaluation mode, with averaged weights where it keeps them.

    Args:
        game: the game.
        generator: its player, on the host or one device.
        latents: [n, ...].
        batch_size: how many are made at a time.

    Returns:
        float32 [n, ...], images in [-1, 1].
    """
    params, variables = generator.ema or (generator.params, generator.variables)
    sample = jax.jit(game.sample)
    return np.concatenate(
        [sample(params, variables, latents[i : i + batch_size]) for i in range(0, len(latents), batch_size)]
    )


def picture(examples: np.ndarray, real: np.ndarray | None = None, limit: float | None = None) -> np.ndarray:
    """A uint8 picture of examples: a grid of images [n, H, W, C] in [-1, 1], or a scatter plot of points [n, 2].

    Args:
        examples: what the generator made.
        real: points of the data set to draw beneath generated points.
        limit: half the width of the scatter plot.
    """
    if examples.ndim == 4:
        return report.image_grid(np.asarray(to_uint8(examples)))
    return report.scatter(examples, real, limit)


def sample_workdir(workdir: pathlib.Path, *, num: int = 64, seed: int = 0, step: int | None = None) -> pathlib.Path:
    """Writes a grid and the single pictures of `num` samples from a run's checkpoint; needs no data set.

    Args:
        workdir: a directory that `gan_jax.train.train` wrote.
        num: how many.
        seed: of the latents.
        step: which checkpoint; the latest by default.

    Returns:
        The directory of the pictures: `grid.png` with `00000.png`, ... (images) or `points.npy` (two-dimensional data).

    Raises:
        UserError: the directory holds no run or no checkpoint, or cannot be written.
    """
    if num < 1:
        raise UserError(f'--num is {num}; ask for at least one picture.')
    workdir = pathlib.Path(workdir)
    try:
        shape = tuple(json.loads((workdir / 'run.json').read_text())['data']['shape'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{workdir} is not the directory of a run: its run.json cannot be read.') from error
    about = checkpoint.peek(workdir / 'checkpoints', step)
    if about is None:
        raise UserError(f'{workdir} has no checkpoint yet; let the run reach its first one.')
    config = configs.from_json(about['config'])
    game = build.make_game(config, shape)
    target = jax.eval_shape(lambda: build.init_state(config, game))
    with checkpoint.Checkpoints(workdir / 'checkpoints') as checkpoints:
        step, state = checkpoints.restore(target, step)
    examples = generate(game, state.generator, fixed_latents(game, num, seed))

    directory = workdir / 'generated' / f'step{step:07d}-seed{seed}'
    for stale in directory.glob('*'):
        stale.unlink()
    report.save_png(directory / 'grid.png', picture(examples))
    if examples.ndim == 4:
        for i, image in enumerate(np.asarray(to_uint8(examples))):
            report.save_png(directory / f'{i:05d}.png', image)
    else:
        points = io.BytesIO()
        np.save(points, examples)
        files.replace(directory / 'points.npy', points.getvalue())
    print(f'{num} samples of step {step}: {directory}/grid.png and the single pictures beside it.')
    return directory
