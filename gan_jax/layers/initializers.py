"""Initial weights by name."""

from flax.linen import initializers
from jax.nn.initializers import Initializer

from gan_jax.layers.choices import choose

INITIALIZERS: dict[str, Initializer] = {
    'normal': initializers.normal(0.02),  # Radford et al. 2016, section 3
    'xavier': initializers.xavier_uniform(),  # Glorot and Bengio 2010, equation 16
    'he': initializers.he_normal(),  # He et al. 2015, equation 10
    'orthogonal': initializers.orthogonal(),  # Saxe et al. 2014
}


def initializer(name: str) -> Initializer:
    """The initialiser called 'normal' (of deviation 0.02), 'xavier', 'he' or 'orthogonal'.

    The fan-in of a convolution's kernel [h, w, C, D] is h w C, also for a transposed convolution.

    Raises:
        UserError: no initialiser has that name.
    """
    return choose(INITIALIZERS, name, 'initialiser')
