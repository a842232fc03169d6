"""Noise on the stages of an image: the multi-level noise-perturbed guidance (MNG) of Hyun et al. 2026.

The input of a stage is signal x + deviation eps, with less signal at earlier stages. The noises of an example are
nested: each stage keeps the noise of the next, attenuated like the image, and adds to it. The stages of a real
image are therefore one path of a diffusion.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import global_batch

Levels = tuple[np.ndarray, np.ndarray]  # signal and deviation of each stage, the noisiest first


def linear(stages: int) -> Levels:
    """The blend (1 - t) x + t eps with t = 1.01 - 0.125^left, as in the authors' code.

    `left` falls from 1 to 0 over the stages: with four, t is 0.885, 0.76, 0.51 and 0.01.
    """
    noise = 1.01 - 0.125 ** _left(stages)
    return 1 - noise, noise


def exponential(stages: int) -> Levels:
    """The blend a x + sqrt(1 - a^2) eps with a = 0.125^left, which grows to 1, as reported for the paper.

    `left` is as in `linear`; the paper's base was not available, and 0.125 is that of the code.
    """
    signal = 0.125 ** _left(stages)
    return signal, np.sqrt(1 - signal**2)


LEVELS: dict[str, Callable[[int], Levels | None]] = {
    'linear': linear,
    'exponential': exponential,
    'none': lambda stages: None,
}


def perturb(
    stages: jax.Array, levels: Levels, key: jax.Array, positions: jax.Array, deviation: float = 1.0
) -> jax.Array:
    """Stages [B, K, ...] with the noise of their levels, drawn for each example from its position in the global batch.

    Args:
        stages: the images of each example, the noisiest first.
        levels: signal and deviation of each stage.
        key: random key of the noise.
        positions: positions [B] in the global batch.
        deviation: standard deviation of the data, by which all noise is scaled.

    Returns:
        [B, K, ...]. The noise of stage k has deviation s_k, and is a_k / a_(k+1) times that of the next stage plus
        fresh noise.
    """
    signal, spread = levels
    decay = np.append(signal[:-1] / signal[1:], 0.0)  # a_k / a_(k+1)
    fresh = np.sqrt(spread**2 - (decay * np.append(spread[1:], 0.0)) ** 2)
    # Noise of stage k is the sum of the fresh noise of the stages from k on, each weakened by a_k / a_j.
    mix = np.triu(signal[:, None] / signal) * fresh * deviation

    def noisy(key: jax.Array, example: jax.Array) -> jax.Array:
        noise = jax.random.normal(key, example.shape, example.dtype)
        flat = jnp.asarray(mix, example.dtype) @ noise.reshape(len(example), -1)
        scale = jnp.asarray(signal, example.dtype).reshape(-1, *(1,) * (example.ndim - 1))
        return scale * example + flat.reshape(example.shape)

    return global_batch.draw(noisy, key, positions, stages)


def _left(stages: int) -> np.ndarray:
    """The share of the stages that are still to come, from 1 to 0."""
    return np.arange(stages)[::-1] / max(stages - 1, 1)
