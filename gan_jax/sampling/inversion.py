"""Inversion of an image: finds the latent whose generated image is most similar; StyleGAN2 calls it projection.

Creswell and Bharath 2016, "Inverting the Generator of a Generative Adversarial Network", arXiv:1611.05644: gradient
descent on the latent, from several starts, as the loss has many minima; Abdal et al. 2019, "Image2StyleGAN",
arXiv:1904.03189, compare images by features too.
"""

import functools
import os
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from gan_jax.data.images import read_image
from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor, look
from gan_jax.game import Array, PyTree
from gan_jax.ranges import AMOUNT, Range
from gan_jax.runtime.canonical import canonical

Distance = Callable[[Array, Array], Array]


class Inversion(NamedTuple):
    """The result of inverting an image.

    Attributes:
        latent: the best start's last latent [...].
        image: the image generated from it [H, W, C], in [-1, 1].
        losses: its distances from the target [iterations + 1], before the first iteration and after each.
        path: its latents at the same times [iterations + 1, ...].
        start: which of the starts was the best.
        noise: the optimised noise inputs of a style generator, or None.
    """

    latent: np.ndarray
    image: np.ndarray
    losses: np.ndarray
    path: np.ndarray
    start: int
    noise: PyTree = None


def invert(
    generate: Callable[..., Array],
    target: ArrayLike,
    starts: ArrayLike,
    conditions: ArrayLike | None = None,
    *,
    distance: Distance | None = None,
    iterations: int = 300,
    learning_rate: float = 0.1,
    prior: float = 0.0,
    variance: float = 1.0,
) -> Inversion:
    """Optimises all starts together, in one compiled program, and keeps the best.

    The optimiser is Adam, whose rate falls to 0 along half a cosine. With a prior the loss is distance + prior
    (|z|^2 / E|z|^2 - 1)^2, which keeps latents on the shell of the training latents; without it they may
    leave it for images that are unlike any sample.

    Args:
        generate: (latents [n, ...], conditions [n]) -> images [n, H, W, C] in [-1, 1], each from its own latent only;
            without conditions it is called with the latents only. A `jax.tree_util.Partial` has its parameters passed
            to the program instead of written into it.
        target: the image [H, W, C] in [-1, 1].
        starts: latents [n, ...].
        conditions: conditions of the starts, or None.
        distance: images [n, H, W, C], target [H, W, C] -> [n]; None: `squared_error`.
        iterations: number of iterations of the descent.
        learning_rate: learning rate of the first iteration.
        prior: weight of the shell.
        variance: variance of a component of the latents, which gives the shell's radius.

    Raises:
        UserError: an option is impossible, or the target has another shape than the generated images.
    """
    Range(1, 10**6).check('iterations', iterations)
    Range(0, 1000, above=True).check('learning_rate', learning_rate)
    AMOUNT.check('prior', prior)
    given = () if conditions is None else (jnp.asarray(conditions),)
    starts, generate = jnp.asarray(starts), jax.tree_util.Partial(generate)
    target = check_target(target, generate, starts, *given)
    weights = {'learning_rate': learning_rate, 'prior': prior, 'variance': variance}
    found = _descend(generate, target, starts, given, weights, distance or squared_error, iterations)
    latent, image, losses, path, start = jax.device_get(found)
    return Inversion(latent, image, losses, path, int(start))


@functools.partial(jax.jit, static_argnames=('distance', 'iterations'))
def _descend(
    generate: Callable[..., Array],
    target: Array,
    starts: Array,
    given: tuple[Array, ...],
    weights: dict[str, Array],
    distance: Distance,
    iterations: int,
) -> tuple[Array, Array, Array, Array, Array]:
    """The fields of an `Inversion`; compiled once per generator, for all images."""
    optimizer = optax.adam(optax.cosine_decay_schedule(weights['learning_rate'], iterations))

    def losses(latents: Array) -> tuple[Array, tuple[Array, Array]]:
        distances = distance(generate(latents, *given), target)
        lengths = jnp.mean(jnp.square(latents.reshape(len(latents), -1)), axis=1)
        objectives = distances + weights['prior'] * (lengths / weights['variance'] - 1) ** 2
        # Each image depends on its own latent only, so the gradient of the sum has the gradient of each objective.
        return jnp.sum(objectives), (distances, objectives)

    def iterate(carry, _):
        latents, state = carry
        gradients, (distances, _) = jax.grad(losses, has_aux=True)(latents)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(latents, updates), state), (distances, latents)

    (latents, _), (distances, path) = jax.lax.scan(
        canonical(iterate), (starts, optimizer.init(starts)), length=iterations
    )
    _, (last, objectives) = losses(latents)
    best = jnp.nanargmin(objectives)
    image = generate(latents, *given)[best]
    curve = jnp.append(distances[:, best], last[best])
    return latents[best], image, curve, jnp.append(path[:, best], latents[best][None], axis=0), best


def check_target(target: ArrayLike, generate: Callable[..., Array], *given: Array) -> Array:
    """The target as float32; raises a UserError if its shape differs from that of the image generated from `given`."""
    target, made = jnp.asarray(target, jnp.float32), jax.eval_shape(generate, *given).shape[1:]
    if made != target.shape:
        raise UserError(
            f'The image has shape {target.shape}, but the generator makes {made}: convert it to that shape.'
        )
    return target


def squared_error(images: Array, target: Array) -> Array:
    """The mean squared difference of pixels in [-1, 1] of images [n, H, W, C] from a target [H, W, C]: [n]."""
    return jnp.mean(jnp.square(images - target), axis=tuple(range(1, images.ndim)))


def feature_error(extractor: Extractor) -> Distance:
    """The squared distance of an extractor's features from the target's, relative to the length of the target's."""

    def distance(images: Array, target: Array) -> Array:
        features = look(extractor, (jnp.append(target[None], images, axis=0) + 1) * 127.5).features
        return jnp.sum(jnp.square(features[1:] - features[0]), axis=1) / jnp.sum(jnp.square(features[0]))

    return distance


def load_image(path: str | os.PathLike | None, shape: tuple[int, ...], resize: bool = False) -> np.ndarray:
    """Reads an image file as float32 [H, W, C] in [-1, 1], with the shape of a generator's images.

    Grey and colour are converted to the generator's channels. The size is changed only with `resize`, by the rule of
    `gan_jax.data.images.decode`: the largest central square, resampled by an antialiased Lanczos filter.

    Args:
        path: the file.
        shape: (H, W, C).
        resize: whether to change the size; the generator's images must then be square.

    Raises:
        UserError: the image does not exist, or has another size.
    """
    height, width, channels = shape
    if path is None:
        raise UserError('An inversion needs --image, the file of the image to invert.')
    if resize and height != width:
        raise UserError(
            f'The generator makes {height}x{width}, which is not square: resize the image to that yourself.'
        )
    image = read_image(path, size=height if resize else None, channels=channels)
    if image.shape != tuple(shape):
        raise UserError(
            f'{path} is {image.shape[0]}x{image.shape[1]}, but the generator makes {height}x{width}: add --resize to '
            'resample its central square, or give an image of that size.'
        )
    return image.astype(np.float32) / 127.5 - 1
