"""Terms for a discriminator that classifies, which shape its class probabilities on examples without labels.

Virtual adversarial training makes them smooth, the conditional entropy and pseudo-labels make them certain. All use the
real examples of a batch and the class logits in the `Judgement`.
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from gan_jax.augmentation import augment
from gan_jax.errors import UserError
from gan_jax.game import Array, Key, Pair
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require
from gan_jax.ranges import COUNT, POSITIVE_AMOUNT, SHARE
from gan_jax.terms.term import View, one_term

Classify = Callable[[Array], Array]


def divergence(log_p: Array, log_q: Array) -> Array:
    """KL(p || q) in nats of each example's classes, [B], from logarithms of probabilities [B, K]."""
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


def virtual_adversarial_directions(
    classify: Classify,
    examples: Array,
    log_p: Array,
    key: Key,
    positions: Array,
    *,
    xi: float = 1e-2,
    iterations: int = 1,
) -> Array:
    """The directions in which the classes of examples change most: unit vectors of the shape of `examples`.

    Miyato et al. 2018, "Virtual Adversarial Training: A Regularization Method for Supervised and Semi-Supervised
    Learning", section 3.3: the dominant eigenvectors of the Hessian of KL(p(x) || p(x + r)) at r = 0, by power
    iterations from random directions. A product with the Hessian is the gradient at r = xi d, divided by xi.

    Args:
        classify: examples [B, ...] -> class logits [B, K]; the same function, with the same noise, in all calls.
        examples: [B, ...].
        log_p: [B, K], logarithms of the probabilities of their classes.
        key: random key.
        positions: [B], positions in the global batch, from which the first directions are drawn.
        xi: length of the step of finite differences. The authors' code has 1e-6, where the rounding errors of
            float32 are about a tenth of the difference of probabilities.
        iterations: number of power iterations; the paper has 1.

    Returns:
        The directions, without a gradient. That of an example whose classes do not change at all is 0.
    """

    def change(moves: Array) -> Array:
        return divergence(log_p, jax.nn.log_softmax(classify(examples + moves))).sum()

    directions = _unit(augment.instance_noise(jnp.zeros_like(examples), key, positions, 1.0))
    for _ in range(iterations):
        directions = _unit(jax.lax.stop_gradient(jax.grad(change)(xi * directions)))
    return directions


def virtual_adversarial_loss(
    classify: Classify,
    examples: Array,
    key: Key,
    positions: Array,
    *,
    epsilon: float,
    xi: float = 1e-2,
    iterations: int = 1,
) -> Array:
    """The mean of KL(p(x) || p(x + epsilon d)) over examples x with their adversarial directions d.

    Miyato et al. 2018, equation 8. The classes p(x) are constant: only those of the moved examples have a gradient.

    Args:
        classify: as in `virtual_adversarial_directions`.
        examples: [B, ...].
        key: random key.
        positions: [B].
        epsilon: Euclidean distance by which examples are moved.
        xi: length of the step of finite differences.
        iterations: number of power iterations.

    Returns:
        A scalar.
    """
    log_p = jax.lax.stop_gradient(jax.nn.log_softmax(classify(examples)))
    directions = virtual_adversarial_directions(classify, examples, log_p, key, positions, xi=xi, iterations=iterations)
    return divergence(log_p, jax.nn.log_softmax(classify(examples + epsilon * directions))).mean()


def entropy(logits: Array) -> Array:
    """The entropy in nats of the classes of each example, [B], from class logits [B, K]."""
    log_p = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)


def pseudo_label_loss(logits: Array, threshold: float = 0.0) -> Array:
    """The mean cross-entropy of class logits [B, K] with their own most probable class.

    Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks",
    equation 15.

    Args:
        logits: [B, K].
        threshold: an example counts only if its most probable class has at least this probability; as published 0.

    Returns:
        A scalar, the sum over the examples that count, divided by B.
    """
    counts = jax.nn.softmax(logits).max(-1) >= threshold
    return jnp.mean(counts * optax.softmax_cross_entropy_with_integer_labels(logits, logits.argmax(-1)))


def virtual_adversarial(
    weight: float = 0.0,
    epsilon: Annotated[float, POSITIVE_AMOUNT] = 0.6,
    xi: Annotated[float, POSITIVE_AMOUNT] = 1e-2,
    iterations: Annotated[int, COUNT] = 1,
) -> Pair:
    """Virtual adversarial training on the real examples, `virtual_adversarial_loss`; the paper's weight is 1.

    All passes have the same noise, dropout and augmentation, and update no statistics.

    Args:
        weight: its factor; 0: off.
        epsilon: Euclidean distance by which examples are moved. The authors' 0.3 for 100 labels of MNIST is of pixels
            in [0, 1], which are in [-1, 1] here.
        xi: length of the step of finite differences.
        iterations: number of power iterations.
    """
    require(iterations >= 1, 'The number of power iterations', iterations, 'at least 1')

    def value(view: View) -> Array:
        return virtual_adversarial_loss(
            lambda examples: _classes(view.discriminate(examples)),
            view.real,
            view.key,
            view.positions,
            epsilon=epsilon,
            xi=xi,
            iterations=iterations,
        )

    return Pair((), one_term('virtual_adversarial', weight, value))


def conditional_entropy(weight: float = 0.0) -> Pair:
    """The mean `entropy` of the classes of real examples (Grandvalet and Bengio 2005).

    Miyato et al. 2018, equation 14, add it to virtual adversarial training, with weight 1.

    Args:
        weight: its factor; 0: off.
    """
    return Pair(
        (),
        one_term('conditional_entropy', weight, lambda view: entropy(_classes(view.real_judgement)).mean()),
    )


def pseudo_labels(weight: float = 0.0, threshold: Annotated[float, SHARE] = 0.0) -> Pair:
    """Pseudo-labels of the real examples, `pseudo_label_loss`.

    The paper's weight rises from 0 to 3 between the epochs 100 and 600, which a schedule of the config can do.

    Args:
        weight: its factor; 0: off.
        threshold: the least probability of a pseudo-label.
    """
    return Pair(
        (),
        one_term('pseudo_labels', weight, lambda view: pseudo_label_loss(_classes(view.real_judgement), threshold)),
    )


def _classes(judged: Judgement) -> Array:
    if judged.classes is None:
        raise UserError("Terms of unlabelled examples need class logits in the discriminator's Judgement.")
    return judged.classes


def _unit(vectors: Array) -> Array:
    """Vectors [B, ...] divided by their lengths, or 0 where they are 0; squares of small ones would be 0 in float32."""
    axes = tuple(range(1, vectors.ndim))
    largest = jnp.max(jnp.abs(vectors), axis=axes, keepdims=True)
    vectors = vectors / jnp.where(largest > 0, largest, 1)
    return vectors / jnp.maximum(jnp.linalg.norm(vectors.reshape(len(vectors), -1), axis=1).reshape(largest.shape), 1)
