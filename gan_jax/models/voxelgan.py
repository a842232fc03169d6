"""The networks of 3D-GAN: Wu et al. 2016, https://arxiv.org/abs/1610.07584.

DCGAN in three dimensions. A solid of D^3 voxels is halved until 4^3 remain: 32 has three halvings, 64 has four. At
64^3, with the published widths and 200 latents, the generator has 17,569,664 parameters and the discriminator
11,048,832. Neither has biases: in the authors' code those of convolutions are zero.
"""

from collections.abc import Sequence
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, ConvTranspose, Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork, dense_logits
from gan_jax.layers.normalization import normalizer
from gan_jax.ranges import COUNT

_BASE = 4


class Generator(GeneratorNetwork):
    """Latents [B, n] -> solids [B, D, D, D, 1] in [-1, 1], float32.

    A dense layer to 4^3, then transposed convolutions of size 4, all normalised and through a ReLU but the last. The
    paper's occupancy is the logistic function of the last features x; here solids are 2 occupancy - 1 = tanh(x / 2).
    The paper's latents are uniform in [0, 1], those of the recipe in [-1, 1].

    Attributes:
        shape: (D, D, D, 1) of a solid.
        width: channels of the last hidden layer; they double towards the base.
        max_width: maximum number of channels.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The solids made from the latents."""
        widths = _widths(self, self.shape)[::-1]
        latents, condition = self.take(latents, condition, train=train)
        weights, normalize = weight_options(self), normalizer(self, condition)
        linear = {'use_bias': False, **weights}

        hidden = Dense(_BASE**3 * widths[0], **linear)(latents, train=train)
        hidden = nn.relu(normalize(hidden.reshape(-1, _BASE, _BASE, _BASE, widths[0]), train=train))
        for features in widths[1:]:
            hidden = nn.relu(normalize(ConvTranspose(features, **linear)(hidden, train=train), train=train))
        solids = ConvTranspose(self.shape[-1], **linear)(hidden, train=train)
        return jnp.tanh(solids.astype(jnp.float32) / 2)


class Discriminator(DiscriminatorNetwork):
    """Solids [B, D, D, D, 1] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    Strided convolutions of size 4 to 4^3 voxels, normalised, with LeakyReLU 0.2, then one layer to the logit.

    Attributes:
        width: channels of the first layer; they double with each further one.
        max_width: maximum number of channels.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, solids: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the solids being real."""
        weights, normalize = weight_options(self), normalizer(self)
        hidden, features = self.see(solids, condition), {}
        for stage, width in enumerate(_widths(self, solids.shape[1:])):
            hidden = Conv(width, kernel_size=4, stride=2, use_bias=False, **weights)(hidden, train=train)
            hidden = features[f'stage{stage}'] = nn.leaky_relu(normalize(hidden, train=train), 0.2)
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        return self.judgement(hidden, condition, features, train=train, final=_without_bias)


def _widths(network: Generator | Discriminator, shape: Sequence[int]) -> list[int]:
    """Channels after each halving of a solid to 4^3, from the solid to the base."""
    if len(shape) != 4 or len(set(shape[:3])) > 1:
        raise UserError(f'3D-GAN is for solids of shape (D, D, D, channels), not {tuple(shape)}: use furniture.')
    side = shape[0]
    halvings = (side // _BASE).bit_length() - 1
    if side != _BASE << halvings or not halvings:
        raise UserError(f'3D-GAN makes solids of 8, 16, 32, 64 or 128 voxels a side, not {side}: set data.size.')
    return [min(network.width << stage, network.max_width) for stage in range(halvings)]


def _without_bias(hidden, outputs, train, weights):
    return dense_logits(hidden, outputs, train, weights | {'use_bias': False})
