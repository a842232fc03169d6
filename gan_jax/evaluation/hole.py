"""Errors of inpainting in the hole alone, beside those of a fill with the mean colour."""

import jax
import numpy as np

from gan_jax.evaluation.image_pairs import mean_over_pairs
from gan_jax.evaluation.record import Estimate
from gan_jax.game import Game, named_key


def hole_errors(real: np.ndarray, fake: np.ndarray, masks: np.ndarray) -> dict[str, Estimate]:
    """The mean absolute difference and the PSNR of images in their holes.

    Args:
        real: uint8 [n, H, W, C].
        fake: uint8 [n, H, W, C], with the holes filled.
        masks: bool [n, H, W, 1], true in the holes; none is empty.

    Returns:
        'hole_l1', as a share of white, and 'hole_psnr' in dB. The rules give the values of holes filled with the mean
        colour of these real images.
    """
    plain = np.broadcast_to(real.mean((0, 1, 2)), real.shape)
    of_fake, of_plain = _errors(real, fake, masks), _errors(real, plain, masks)
    found = {}
    for name, unit in (('hole_l1', 'share of white'), ('hole_psnr', 'dB, peak 255')):
        rule = f'{unit}, pixels of the hole; filled with the mean colour: {of_plain[name].mean():.4f}'
        found[name] = mean_over_pairs(of_fake[name], rule)
    return found


def masks_of(game: Game, seed: int, count: int) -> np.ndarray:
    """The masks of the holes in the first samples of a game with that seed: bool [count, H, W, 1]."""
    latents = game.latents(named_key(seed, 'evaluation'), np.arange(count, dtype=np.uint32))
    return np.asarray(jax.device_get(game.hole(latents)))


def _errors(real: np.ndarray, fake: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    difference = (real.astype(np.float64) - fake) * masks
    pixels = masks.sum((1, 2, 3)) * real.shape[-1]
    squares = (difference**2).sum((1, 2, 3)) / pixels
    return {
        'hole_l1': np.abs(difference).sum((1, 2, 3)) / pixels / 255,
        'hole_psnr': 10 * np.log10(255**2 / np.maximum(squares, 1e-10)),
    }
