"""Views of a game of points in the plane: samples, the directions of the generator's loss, the discriminator."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.data import Dataset
from gan_jax.game import Game, GanState
from gan_jax.losses import Loss
from gan_jax.records.plane import Frame
from gan_jax.runtime import compiler

_POINTS = 256  # real points and samples of a frame
_SIDE = 48  # squares of the landscape along each axis
_MARGIN = 1.25  # around the data, as in `gan_jax.records.report.scatter`


def landscape_grid(limit: float, size: int) -> np.ndarray:
    """The points for the discriminator's landscape: the centres of size x size equal squares.

    Args:
        limit: the squares fill the plane from -limit to limit along both axes.
        size: how many along each axis.

    Returns:
        float32 [size * size, 2], row by row from the bottom left; logits there, reshaped to [size, size], are a
        landscape.
    """
    ticks = limit * ((2 * np.arange(size) + 1) / size - 1)
    x, y = np.meshgrid(ticks, ticks)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def make_view(
    config: ConfigDict, game: Game, dataset: Dataset, latents: ArrayLike
) -> Callable[[GanState], Frame] | None:
    """The function that makes the frame of a run's state, or None if the game has no frames.

    It exists for unconditional games of points whose discriminator takes single points.

    Args:
        config: config of the run.
        game: the game.
        dataset: that it is trained on.
        latents: [n, ...], of the samples; the first 256 are taken, or as many as there are real points.
    """
    if dataset.shape != (2,) or game.discriminate is None or game.given:
        return None
    if config.packing > 1 or config.discriminator.get('minibatch', 'none') != 'none':
        return None
    real = np.asarray(dataset.examples[:_POINTS])
    latents = latents[: len(real)]
    limit = _MARGIN * float(np.abs(dataset.examples).max())
    grid, loss = landscape_grid(limit, _SIDE), configs.make(config, 'loss')

    @jax.jit(compiler_options=compiler.ONCE)
    def look(generator, discriminator):
        def discriminate(points):
            return game.discriminate(*discriminator, points)

        samples = game.sample(*generator, latents)
        return samples, pulls(loss, discriminate, samples, real), discriminate(grid).reshape(_SIDE, _SIDE)

    def view(state: GanState) -> Frame:
        return Frame(real, *map(np.asarray, look(state.generator[:2], state.discriminator[:2])), limit)

    return view


def pulls(loss: Loss, discriminate: Callable[[jax.Array], jax.Array], samples: jax.Array, real: jax.Array) -> jax.Array:
    """The direction of the generator's loss for each sample: minus the gradient with respect to that sample.

    The gradient of the loss, a mean over samples, is taken times their number, so that it does not depend on it. The
    loss is the adversarial one, without penalties and other terms.

    Args:
        loss: loss of the game.
        discriminate: points [k, 2] -> logits [k] of the discriminator.
        samples: [n, 2].
        real: [m, 2], for losses that compare real and fake logits; the first n are taken.

    Returns:
        [n, 2].
    """
    real_logits = discriminate(jnp.asarray(real)[: len(samples)])
    return -len(samples) * jax.grad(lambda points: loss.generator(discriminate(points), real_logits))(samples)
