"""Temporal consistency of clips: how much a frame differs from the one before it, moved along the known flow."""

import jax
import numpy as np

from gan_jax.data import to_float
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import of_mean
from gan_jax.flow import warp
from gan_jax.game import Game

_AT_ONCE = 100  # clips


def warp_error(real: np.ndarray, fake: np.ndarray, maps: np.ndarray, game: Game) -> Estimate:
    """The mean absolute difference of frames from the frames before them where these show the same.

    After the warping error of Lai et al. 2018, "Learning Blind Video Temporal Consistency", section 4.2, with absolute
    differences instead of squares, the flow of the game and its visible pixels.

    Args:
        real: uint8 [n, T, H, W, C], the clips that belong to the maps.
        fake: uint8 [n, T, H, W, C], made of the maps.
        maps: uint8 [n, T, H, W, 1].
        game: a game with `flow`.

    Returns:
        The mean over the clips as a share of white. The rule gives the value of the real clips.
    """

    @jax.jit
    def errors(maps: jax.Array, *sets: jax.Array) -> list[jax.Array]:
        flow, visible = game.flow(to_float(maps))

        def error(clips: jax.Array) -> jax.Array:
            difference = abs(warp(clips[:, :-1], flow) - clips[:, 1:]) / 255
            return (difference * visible).sum((1, 2, 3, 4)) / (visible.sum((1, 2, 3, 4)) * clips.shape[-1])

        return [error(clips) for clips in sets]

    parts = [slice(start, start + _AT_ONCE) for start in range(0, len(fake), _AT_ONCE)]
    of_fake, of_real = np.concatenate([errors(maps[part], fake[part], real[part]) for part in parts], axis=1)
    rule = f'share of white, mean over {len(fake)} clips and standard error; the real clips have {of_real.mean():.4g}'
    return Estimate(float(of_fake.mean(dtype=np.float64)), of_mean(of_fake), rule)
