"""The networks of SAGAN: Zhang et al. 2019, "Self-Attention Generative Adversarial Networks", https://arxiv.org/abs/1805.08318.

Those of `gan_jax.models.resnet` with self-attention in both players, spectral normalisation in both, and wide blocks in
the discriminator, in the form of the authors' code.
"""

from typing import Annotated

from gan_jax.models import resnet
from gan_jax.ranges import COUNT_OR_NONE, POSITIVE_AMOUNT, Range


class Generator(resnet.Generator):
    """The generator of `gan_jax.models.resnet`; by default with spectral normalisation, and attention at 32x32."""

    spectral_iterations: Annotated[int, Range(0, 100)] = 1
    attention: Annotated[int, COUNT_OR_NONE] = 32
    branch_gain: Annotated[float, POSITIVE_AMOUNT] = 1.0
    epsilon: Annotated[float, Range(0, 1)] = 1e-5


class Discriminator(resnet.Discriminator):
    """The discriminator of `gan_jax.models.resnet`; by default with wide blocks, and attention at 32x32."""

    attention: Annotated[int, COUNT_OR_NONE] = 32
    branch_gain: Annotated[float, POSITIVE_AMOUNT] = 1.0
    wide: bool = True
