"""Initial weights by name."""

import jax.numpy as jnp
from flax.linen import initializers
from jax.nn.initializers import Initializer

from gan_jax.layers.choices import choose

INITIALIZERS: dict[str, Initializer] = {
    'normal': initializers.normal(0.02),  # Radford et al. 2016, section 3
    'xavier': initializers.xavier_uniform(),  # Glorot and Bengio 2010, equation 16
    'he': initializers.he_normal(),  # He et al. 2015, equation 10
    'lecun': initializers.variance_scaling(1.0, 'fan_in', 'normal'),  # LeCun et al. 1998, section 4.6
    'orthogonal': initializers.orthogonal(),  # Saxe et al. 2014
}


def initializer(name: str) -> Initializer:
    """The initialiser called 'normal' (of deviation 0.02), 'xavier', 'he', 'lecun' or 'orthogonal'.

    The fan-in of a convolution's kernel [h, w, C, D] is h w C, also for a transposed convolution. Where the convolution
    has groups, C are the channels of one.

    Raises:
        UserError: no initialiser has that name.
    """
    return choose(INITIALIZERS, name, 'initialiser')


def scaled(initialize: Initializer, factor: float) -> Initializer:
    """The initialiser whose values are that factor times another's."""
    return lambda key, shape, dtype=jnp.float32: factor * initialize(key, shape, dtype)
