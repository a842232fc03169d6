"""Gradient penalties and other regularisers, as pure functions of a critic, of logits or of parameters.

A critic is any function from examples [B, ...] to logits [B], such as a discriminator with fixed parameters. Each
function returns the term without its weight (lambda, gamma or beta in the papers); the caller applies the weight.
Inputs and the penalty are cast up to float32; float64 stays float64. The critic chooses its internal arithmetic:
under mixed precision, use a discriminator that computes in float32.

Gradients are those of the sum of the logits with respect to the examples. This is each logit's gradient with respect to
its own example only if the critic does not mix the examples of a batch, which `mixes_examples` checks.

The noise of each example depends on its position in the global batch, so devices that share a batch draw what one
device would draw. `positions` are these positions [B], by default 0 to B - 1.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.errors import UserError
from gan_jax.judgement import widened
from gan_jax.layers.choices import is_traced, require

Array = jax.Array
Key = jax.Array
PyTree = Any
Critic = Callable[[Array], Array]

MIXING_WARNING = (
    '{penalty} differentiates each logit with respect to its own example, but this discriminator mixes the '
    'examples of a batch (batch norm or a minibatch layer), so each gradient also contains the effect of its '
    "example on the other logits; choose normalization 'layer', 'instance' or 'none'."
)


def input_gradients(critic: Callable[[Array], Any], examples: Array, *, has_aux: bool = False) -> Any:
    """The gradient of each example's logit with respect to that example: [B, ...].

    Args:
        critic: examples -> logits.
        examples: [B, ...].
        has_aux: whether the critic returns (logits, more); the result is then (gradients, more). A loss of the logits
            in `more` and a penalty of the gradients share one pass of the critic.
    """

    def total(examples: Array) -> tuple[Array, Any]:
        logits, more = critic(examples) if has_aux else (critic(examples), None)
        return _logits(logits).sum(), more

    gradients, more = jax.grad(total, has_aux=True)(widened(examples))
    return (gradients, more) if has_aux else gradients


def gradient_norms(critic: Critic, examples: Array) -> Array:
    """The Euclidean norms [B] of `input_gradients`; where a gradient is 0, the norm's own derivative is 0."""
    return _root(_squared_norms(input_gradients(critic, examples)))


def gradient_penalty(
    critic: Critic,
    real: Array,
    fake: Array,
    key: Key,
    positions: Array | None = None,
    *,
    target: float = 1.0,
    one_sided: bool = False,
) -> Array:
    """WGAN-GP: mean (||gradient|| - target)^2 at points between real and fake examples.

    Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", equation 3, where the weight is 10.

    Args:
        critic: examples -> logits.
        real: [B, ...].
        fake: [B, ...], of the same shape.
        key: random key of the points, uniform on the line from each fake example to its real one.
        positions: positions [B] in the global batch.
        target: the norm without penalty.
        one_sided: whether only norms above the target are penalised: mean max(0, ||gradient|| - target)^2, the WGAN-LP
            of Petzka et al. 2018, "On the regularization of Wasserstein GANs".

    Returns:
        A scalar.
    """
    excess = gradient_norms(critic, _between(real, fake, key, positions)) - target
    return jnp.mean((jax.nn.relu(excess) if one_sided else excess) ** 2)


def zero_centered_penalty(critic: Critic, real: Array, fake: Array, key: Key, positions: Array | None = None) -> Array:
    """0-GP: mean ||gradient||^2 at points between real and fake examples, as `gradient_penalty` draws them.

    Thanh-Tung et al. 2019, "Improving Generalization and Stability of Generative Adversarial Networks".
    """
    return jnp.mean(_squared_norms(input_gradients(critic, _between(real, fake, key, positions))))


def dragan(
    critic: Critic,
    real: Array,
    key: Key,
    positions: Array | None = None,
    *,
    target: float = 1.0,
    scale: float = 0.5,
    axis_name: str | None = None,
) -> Array:
    """DRAGAN: mean (||gradient|| - target)^2 around the real examples.

    Kodali et al. 2017, "On Convergence and Stability of GANs", where the weight is 10. The points are x + scale s u
    with s the standard deviation of all values in the batch and u uniform in [0, 1) for each value, as in the authors'
    code; the paper's text has Gaussian noise.

    Args:
        critic: examples -> logits.
        real: [B, ...].
        key: random key of the noise.
        positions: positions [B] in the global batch.
        target: the norm without penalty.
        scale: scale of the noise, in standard deviations.
        axis_name: the mapped axis of the global batch, for the standard deviation.

    Returns:
        A scalar.
    """
    real = widened(real)
    deviation = jnp.sqrt(_mean((real - _mean(real, axis_name)) ** 2, axis_name))
    noise = _noise(jax.random.uniform, key, positions, real)
    return jnp.mean((gradient_norms(critic, real + scale * deviation * noise) - target) ** 2)


def r1(critic: Critic, real: Array) -> Array:
    """R1: 1/2 mean ||gradient||^2 at real examples, a scalar whose weight is gamma.

    Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", equation 9.
    """
    return half_squared_norm(input_gradients(critic, real))


def r2(critic: Critic, fake: Array) -> Array:
    """R2: 1/2 mean ||gradient||^2 at generated examples, a scalar whose weight is gamma (equation 10 beside R1's)."""
    return half_squared_norm(input_gradients(critic, fake))


def half_squared_norm(gradients: Array) -> Array:
    """1/2 mean ||gradient||^2 of gradients [B, ...]: R1 or R2 from `input_gradients`."""
    return jnp.mean(_squared_norms(gradients)) / 2


def approximate_gradients(
    critic: Critic,
    examples: Array,
    key: Key,
    positions: Array | None = None,
    *,
    deviation: float = 0.01,
    logits: Array | None = None,
) -> Array:
    """R1 or R2 without second derivatives: 1/2 mean ((D(x + n) - D(x)) / deviation)^2 with noise n.

    Lin et al. 2025, "Diffusion Adversarial Post-Training for One-Step Video Generation", with the factors of `r1`: its
    expectation is 1/2 mean ||gradient||^2 for a linear critic, and close to it for small deviations. Each example
    has one random direction, so the value of a batch scatters around this.

    Args:
        critic: examples -> logits; its own randomness, if it has any, must be the same in all calls.
        examples: [B, ...], real or generated.
        key: random key of the noise.
        positions: positions [B] in the global batch.
        deviation: standard deviation of the noise, above 0.
        logits: logits [B] of the examples, if they are already known.

    Returns:
        A scalar whose weight is gamma.
    """
    require(
        is_traced(deviation) or deviation > 0, 'The standard deviation of an approximate penalty', deviation, 'above 0'
    )
    examples = widened(examples)
    noise = _noise(jax.random.normal, key, positions, examples)
    logits = _logits(critic(examples)) if logits is None else widened(logits)
    moved_logits = _logits(critic(examples + deviation * noise))
    _check_pairs(logits, moved_logits)
    return jnp.mean(((moved_logits - logits) / deviation) ** 2) / 2


def stage_consistency(stages: Array) -> Array:
    """The mean over the early stages of an image of mean (stage - last stage)^2 / number of remaining stages.

    The generator's cross-scale consistency of CAT (arXiv 2605.26449) as in a third-party re-implementation, with
    gradients through both; the paper itself was not available. CAT has one stage per scale, and its
    discriminator evaluates each separately; this is only the loss.

    Args:
        stages: [B, K, ...], the last one being the example; K of at least 2.

    Returns:
        A scalar.
    """
    stages = widened(stages)
    left = jnp.arange(stages.shape[1] - 1, 0, -1)
    distances = jnp.square(stages[:, :-1] - stages[:, -1:]).mean(axis=(0, *range(2, stages.ndim)))
    return jnp.mean(distances / left)


def drift(real_logits: Array) -> Array:
    """Mean logit^2 of real examples, which prevents a Wasserstein critic from drifting away from 0.

    Karras et al. 2018, "Progressive Growing of GANs", appendix A.1, where the weight is 0.001.
    """
    return jnp.mean(widened(real_logits) ** 2)


def centring(real_logits: Array, fake_logits: Array) -> Array:
    """Mean (real logit + fake logit)^2 of pairs [n], which keeps logits near 0 if the loss only depends on differences.

    For relativistic losses; in "Adversarial Flow Models" (Lin et al. 2025) its weight is 0.01.
    """
    _check_pairs(real_logits, fake_logits)
    return jnp.mean((widened(real_logits) + widened(fake_logits)) ** 2)


def mode_seeking(
    examples: Array, others: Array, latents: Array, other_latents: Array, axis_name: str | None = None
) -> Array:
    """The generator's mode-seeking term: 1 / (mean |examples - others| / mean |latents - other latents| + 1e-5).

    Mao et al. 2019, "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis", equation 3, in the form
    of the authors' code, where the weight is 1.

    Args:
        examples: [B, ...], generated from the latents.
        others: [B, ...], generated from other latents with the same conditions.
        latents: [B, ...].
        other_latents: [B, ...].
        axis_name: the mapped axis of the global batch, for the means.

    Returns:
        A scalar.
    """
    distance, between = (
        _mean(jnp.abs(widened(one) - widened(other)), axis_name)
        for one, other in ((examples, others), (latents, other_latents))
    )
    return 1 / (distance / between + 1e-5)


def pulling_away(features: Array) -> Array:
    """EBGAN's pulling-away term: the mean squared cosine between the features of different generated examples.

    Zhao et al. 2017, "Energy-based Generative Adversarial Networks", section 2.4, where the weight is 0.1.

    Args:
        features: [B, ...] of the whole global batch, two or more; the codes of an autoencoder.

    Returns:
        A scalar in [0, 1].

    Raises:
        UserError: there is only one example.
    """
    number = len(features)
    require(number > 1, 'The batch size of the pulling-away term', number, 'at least 2')
    vectors = widened(features).reshape(number, -1)
    vectors *= jax.lax.rsqrt(jnp.sum(vectors**2, axis=1, keepdims=True) + 1e-12)
    squares = (vectors @ vectors.T) ** 2
    return jnp.sum(jnp.where(jnp.eye(number, dtype=bool), 0.0, squares)) / (number * (number - 1))


def lecam(real_logits: Array, fake_logits: Array, real_average: Array, fake_average: Array) -> Array:
    """LeCam: mean (real logit - fake average)^2 + mean (fake logit - real average)^2.

    Tseng et al. 2021, "Regularizing Generative Adversarial Networks under Limited Data", equation 3. The authors' code
    differs from it: it squares only the positive parts of real logit - fake average and real average - fake logit.

    Args:
        real_logits: [n].
        fake_logits: [m].
        real_average: moving average of the mean logit of real examples, a scalar without gradient.
        fake_average: the same for generated examples.

    Returns:
        A scalar.
    """
    real_average, fake_average = jax.lax.stop_gradient((real_average, fake_average))
    return jnp.mean((widened(real_logits) - fake_average) ** 2) + jnp.mean((widened(fake_logits) - real_average) ** 2)


def consistency(logits: Array, moved_logits: Array) -> Array:
    """Mean (logit - logit of the same example, transformed)^2, of equal shapes, for these terms of the discriminator.

    - CR: real examples against augmented ones, D(x) and D(T(x)). Zhang et al. 2020, "Consistency Regularization for
      Generative Adversarial Networks"; weight 10.
    - bCR: CR and the same for generated examples, D(G(z)) and D(T(G(z))). Zhao et al. 2021, "Improved Consistency
      Regularization for GANs"; weights 10 and 10.
    - zCR: generated examples against those of latents with small noise, D(G(z)) and D(G(z + noise)); the
      generator's term is `latent_diversity`. Zhao et al. 2021.
    - ICR: bCR and zCR together. Zhao et al. 2021.
    """
    _check_pairs(logits, moved_logits)
    return jnp.mean((widened(logits) - widened(moved_logits)) ** 2)


def latent_diversity(examples: Array, moved_examples: Array) -> Array:
    """The generator's term of zCR: minus the mean squared difference of G(z) and G(z + noise).

    Zhao et al. 2021, "Improved Consistency Regularization for GANs", section 2.2. The mean is over all values.
    """
    return -consistency(examples, moved_examples)


def orthogonal(params: PyTree, *, off_diagonal: bool = False) -> Array:
    """Orthogonal regularisation: the sum over kernels of ||W^T W - I||_F^2.

    Brock et al. 2017, "Neural Photo Editing with Introspective Adversarial Networks". A kernel [..., D] is the matrix W
    [-1, D] whose columns are the weights of the D outputs.

    Args:
        params: parameters of a network; leaves with fewer than two axes (biases, scales) and the `table` of each
            embedding are skipped.
        off_diagonal: whether the columns can have any length: ||W^T W (1 - I)||_F^2, elementwise, as in Brock et al.
            2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", equation 3.

    Returns:
        A scalar.
    """

    def departure(kernel: Array) -> Array:
        matrix = widened(kernel).reshape(-1, kernel.shape[-1])
        products = jnp.matmul(matrix.T, matrix, precision='highest')  # or accelerators would round the inputs
        identity = jnp.eye(len(products), dtype=products.dtype)
        return jnp.sum((products * (1 - identity) if off_diagonal else products - identity) ** 2)

    leaves = [
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if leaf.ndim >= 2 and jax.tree_util.keystr(path[-1:], simple=True) != 'table'
    ]
    return sum(map(departure, leaves), start=jnp.float32(0))


def path_lengths(generate: Callable[[Array], Array], latents: Array, key: Key, positions: Array | None = None) -> Array:
    """How much each image changes with its latent, along a random direction y: ||J^T y|| with J = d image / d latent.

    Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", equation 4. y is normal noise divided
    by the root of the number of pixels H W, as in the authors' code.

    Args:
        generate: latents -> images [B, H, W, C].
        latents: w [B, n]; or [B, layers, n], one for each layer of a style generator; the squares of the layers
            are averaged.
        key: random key of the noise.
        positions: positions [B] in the global batch.

    Returns:
        Lengths [B].
    """
    images, pull_back = jax.vjp(lambda latents: widened(generate(latents)), widened(latents))
    directions = _noise(jax.random.normal, key, positions, images) / math.sqrt(math.prod(images.shape[1:-1]))
    (gradients,) = pull_back(directions)
    return _root(jnp.sum(gradients**2, axis=-1).reshape(len(gradients), -1).mean(axis=1))


def path_length(
    generate: Callable[[Array], Array],
    latents: Array,
    average: Array,
    key: Key,
    positions: Array | None = None,
    *,
    decay: float = 0.01,
    axis_name: str | None = None,
) -> tuple[Array, Array]:
    """Path length regularisation of a style generator: mean (length - average)^2.

    Karras et al. 2020, equation 4, where the weight is 2. The lengths are compared with the average after the update by
    this batch. As in the equation, the average is a constant; the authors' code passes decay times its gradient.

    Args:
        generate: latents -> images, as in `path_lengths`.
        latents: as in `path_lengths`.
        average: the moving average of lengths, a scalar that starts at 0.
        key: random key of the noise.
        positions: positions [B] in the global batch.
        decay: weight of the mean of the batch in the new average, in [0, 1].
        axis_name: the mapped axis of the global batch, for that mean.

    Returns:
        The penalty, a scalar, and the new average.
    """
    lengths = path_lengths(generate, latents, key, positions)
    average += decay * (_mean(jax.lax.stop_gradient(lengths), axis_name) - average)
    return jnp.mean((lengths - average) ** 2), average


def historical_average(params: PyTree, average: PyTree) -> Array:
    """||params - average||^2, over all leaves, for the average of all past parameters.

    Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.3.
    """
    squares = jax.tree.map(lambda now, past: jnp.sum((widened(now) - widened(past)) ** 2), params, average)
    return sum(jax.tree.leaves(squares), start=jnp.float32(0))


def mixes_examples(critic: Critic, examples: Array) -> Array:
    """Whether an example's logit depends on the other examples of the batch, as with batch norm or a minibatch layer.

    The check uses the gradient of the first logit with respect to the other examples. It needs a critic in training
    mode, and examples that differ, but not by much, because some layers compare only neighbours.

    Args:
        critic: examples -> logits.
        examples: [B, ...] with B of at least 2.

    Returns:
        A bool scalar.

    Raises:
        UserError: there is only one example.
    """
    require(len(examples) > 1, 'The number of examples', len(examples), 'at least 2')
    first, others = jnp.split(widened(examples), [1])
    gradient = jax.jit(jax.grad(lambda others: critic(jnp.concatenate([first, others]))[0].sum()))(others)
    return jnp.any(gradient != 0)


def _logits(outputs: Any) -> Array:
    """The outputs of a critic in at least float32; raises a UserError for other outputs than logits."""
    if not hasattr(outputs, 'dtype'):
        raise UserError(f'The critic returns a {type(outputs).__name__}; it must return logits [B] alone.')
    return widened(outputs)


def _check_pairs(values: Array, others: Array) -> None:
    """Raises a UserError for arrays of different shapes, which arithmetic may broadcast: [B] and [B, 1] to [B, B]."""
    shape, other = jnp.shape(values), jnp.shape(others)
    require(shape == other, 'The shape of compared values', other, f'that of the others, {shape}')


def _mean(array: Array, axis_name: str | None) -> Array:
    """The mean of all values of the global batch, a scalar."""
    return global_batch.mean(jnp.mean(array), axis_name)


def _squared_norms(gradients: Array) -> Array:
    return jnp.sum(gradients**2, axis=range(1, gradients.ndim))


def _root(squares: Array) -> Array:
    """The square root with derivative 0 at 0; the inner `where` keeps 1 / 0 out of the derivative."""
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def _noise(draw: Callable[..., Array], key: Key, positions: Array | None, like: Array) -> Array:
    """Noise of the shape and dtype of `like` [B, ...], one independent draw for each position."""
    positions = jnp.arange(len(like)) if positions is None else positions
    return global_batch.draw(lambda key: draw(key, like.shape[1:], like.dtype), key, positions)


def _between(real: Array, fake: Array, key: Key, positions: Array | None) -> Array:
    """One point on the line between each real and fake example."""
    real, fake = widened(real), widened(fake)
    require(real.shape == fake.shape, 'The shape of generated examples', fake.shape, f'that of real ones, {real.shape}')
    share = _noise(jax.random.uniform, key, positions, real.reshape(len(real), -1)[:, 0])
    share = share.reshape(-1, *[1] * (real.ndim - 1))
    return share * real + (1 - share) * fake
