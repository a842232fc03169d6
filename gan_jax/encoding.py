"""The outputs of an encoder, and the normal distributions of a variational one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Encoding(NamedTuple):
    """An encoder's outputs.

    Attributes:
        codes: [B, n], the latents that it infers, as the generator takes them.
        features: [B, ...], in which examples are compared.
    """

    codes: jax.Array
    features: jax.Array


def encoding(outputs: 'jax.Array | Encoding') -> Encoding:
    """Converts a network's outputs to an `Encoding`: plain codes [B, n] are also the features."""
    return outputs if isinstance(outputs, Encoding) else Encoding(outputs, outputs)


def reparameterized(moments: jax.Array, noise: jax.Array) -> jax.Array:
    """Draws from normal distributions, differentiable by their moments: [B, n].

    The reparameterisation trick of Kingma and Welling 2014, "Auto-Encoding Variational Bayes", section 2.4.

    Args:
        moments: [B, 2, n], means and logarithms of variances.
        noise: [B, n], standard normal.
    """
    return moments[:, 0] + jnp.exp(moments[:, 1] / 2) * noise


def kullback_leibler(moments: jax.Array) -> jax.Array:
    """The divergence of normal distributions from the standard one: sum over n, mean over B.

    Args:
        moments: [B, 2, n], means and logarithms of variances.
    """
    mean, log_variance = moments[:, 0], moments[:, 1]
    return 0.5 * jnp.sum(jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance) / len(mean)
