"""Perceptual path length: how much images change along short steps between latents; smooth generators have short paths.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", arXiv:1812.04948,
section 4.1, equations 2 and 3. StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) reports space 'w' with sampling 'end'.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor, look
from gan_jax.evaluation.record import Estimate
from gan_jax.game import named_key
from gan_jax.layers.choices import choose, require
from gan_jax.runtime import compiler
from gan_jax.sampling.latents import SPHERICAL, lerp

Array = jax.Array
Key = jax.Array


def perceptual_path_length(
    generate: Callable[[Any], Any],
    latents: Callable[[Key, Array], Any],
    distance: Callable[[Any, Any], Any],
    *,
    mapping: Callable[[Any], Any] = lambda latents: latents,
    num: int = 50_000,
    epsilon: float = 1e-4,
    space: str = 'z',
    distribution: str = 'normal',
    sampling: str = 'full',
    trim: tuple[float, float] | None = (1, 99),
    batch_size: int = 32,
    seed: int = 0,
) -> Estimate:
    """The mean of distance(image at t, image at t + epsilon) / epsilon^2 over paths between random pairs of latents.

    The functions are called without compilation and can use any framework: compile them first. They must not draw
    noise, because both images of a step need the same, and must compute in float32 or better, because bfloat16 and the
    default precision of accelerators round by more than a step. The paper computes distances of images of at most
    256x256 pixels; a distance can resize them first.

    Args:
        generate: the output of `mapping` [n, ...] -> images [n, H, W, C], floats in [-1, 1].
        latents: (key, positions [n]) -> z [n, ...], as `Game.latents`.
        distance: images x, y -> [n], quadratic in small differences: `Lpips.distance`, or `feature_distance`'s.
        mapping: z [n, ...] -> w [n, ...]; z itself for generators that have no mapping.
        num: pairs of latents.
        epsilon: the step along a path of length 1.
        space: 'z': a great circle between latents, then the mapping; 'w': the mapping, then a line.
        distribution: distribution of the latents z, 'normal' (`slerp`, as published) or 'uniform' (`uniform_slerp`).
        sampling: 'full': steps anywhere on the path; 'end': at its beginning.
        trim: only distances from the first to the second percentile count, both in [0, 100]; None: all of them.
        batch_size: pairs at a time; memory depends on it and the value does not.
        seed: seed of the latents and of the steps' places.

    Returns:
        The mean and its standard error over the pairs that count. 0 is a generator of one image. Values of different
        distances, spaces or sampling must not be compared.

    Raises:
        UserError: an option is none of the above, the images are not floats, or a distance is not finite.
    """
    require(space in ('z', 'w'), 'space', space, "'z' or 'w'")
    spherical = choose(SPHERICAL, distribution, 'distribution of latents')
    require(sampling in ('full', 'end'), 'sampling', sampling, "'full' or 'end'")
    require(num >= 2, 'num', num, 'at least 2')
    require(epsilon > 0, 'epsilon', epsilon, 'above 0')
    ordered = trim is None or (len(trim) == 2 and 0 <= trim[0] < trim[1] <= 100)
    require(ordered, 'trim', trim, 'None or two percentiles in [0, 100], the lower first')
    key = named_key(seed, 'path length')
    places = np.random.default_rng(seed).uniform(size=num) if sampling == 'full' else np.zeros(num)
    batches = np.resize(np.arange(num), (-(-num // batch_size), batch_size))  # whole ones, to compile once
    distances = []
    for pairs in batches:
        ends = [latents(key, jnp.asarray(2 * pairs + end)) for end in (0, 1)]
        if space == 'w':
            ends = [mapping(z) for z in ends]
        images = []
        for place in (places[pairs], places[pairs] + epsilon):
            if space == 'w':
                images.append(generate(lerp(*ends, place)))
            else:
                images.append(generate(mapping(spherical(*ends, place))))
            if not jnp.issubdtype(images[-1].dtype, jnp.floating):
                raise UserError(
                    f'The generator made images of {images[-1].dtype}; a path length needs floats in [-1, 1], because '
                    'rounding would hide such small steps.'
                )
        distances.append(np.asarray(distance(*images), np.float64))
    lengths = np.concatenate(distances)[:num] / epsilon**2
    if not np.isfinite(lengths).all():
        raise UserError(
            f'{(~np.isfinite(lengths)).sum()} of {num} path lengths are not finite: check the images of the generator.'
        )
    counted = lengths
    if trim is not None:
        low = np.percentile(lengths, trim[0], method='lower')
        high = np.percentile(lengths, trim[1], method='higher')
        counted = lengths[(lengths >= low) & (lengths <= high)]
    error = counted.std(ddof=1) / np.sqrt(len(counted)) if len(counted) > 1 else None
    return Estimate(float(counted.mean()), error, _rule(space, distribution, sampling, epsilon, num, trim))


def feature_distance(extractor: Extractor) -> Callable[[Any, Any], Array]:
    """The squared Euclidean distance of an extractor's features, as a distance of images in [-1, 1].

    The extractor gets the images as floats in [0, 255] without rounding, which would hide the small steps of a
    path.

    Args:
        extractor: one whose `apply` takes floats as well as uint8, of the size and channels that it gets.
    """

    def distance(x: Any, y: Any) -> Array:
        one, other = (look(extractor, (jnp.asarray(images) + 1) * 127.5).features for images in (x, y))
        return jnp.sum((one - other) ** 2, axis=-1)

    return jax.jit(distance, compiler_options=compiler.often())


def _rule(
    space: str, distribution: str, sampling: str, epsilon: float, num: int, trim: tuple[float, float] | None
) -> str:
    circle = {'normal': 'slerp in z', 'uniform': 'slerp of normal scores in z'}[distribution]
    path = circle if space == 'z' else 'lerp in w'
    counted = 'all' if trim is None else f'percentiles {trim[0]:g} to {trim[1]:g}'
    return f'{path}, {sampling}, epsilon {epsilon:g}, {num} pairs, {counted}, standard error over pairs'
