"""The networks of l-GAN: Achlioptas et al. 2018, https://arxiv.org/abs/1707.02392, section 3 and appendix.

An autoencoder of point clouds, whose encoder does not depend on the order of the points, and a generator and a
discriminator of its codes. With 128 latents and codes of 128 numbers, the generator of codes has 33,024 parameters and
the discriminator 165,121; the decoder of 2,048 points has 1,677,824.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork, LayerOptions
from gan_jax.models.pointgan import DEVIATION, hidden_layers, to_cloud
from gan_jax.ranges import COUNT


class Generator(GeneratorNetwork):
    """Latents [B, n] -> codes -> point clouds [B, points, 3], with the encoder of the codes.

    Attributes:
        shape: (points, 3) of a cloud.
        widths: widths of the hidden layers of the generator of codes. Its last layer has a ReLU too, as the encoder's
            codes are not negative.
        encoder_widths: widths of the layers that each point goes through; the last is the size of a code.
        decoder_widths: widths of the hidden layers of the decoder.
        normalization: normalization of the encoder; the other parts have none.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (128,)
    encoder_widths: Annotated[tuple[int, ...], COUNT] = (64, 128, 128, 256, 128)
    decoder_widths: Annotated[tuple[int, ...], COUNT] = (256, 256)
    normalization: str = 'batch'
    initializer: str = 'xavier'

    def setup(self) -> None:
        """The three parts."""
        require_positive(self, 'widths', 'encoder_widths', 'decoder_widths')
        options = {'initializer': self.initializer, 'dtype': self.dtype}
        own = {name: getattr(self, name) for name in ('normalization', 'spectral_iterations', 'momentum', 'axis_name')}
        self.mapping = _Layers(widths=(*self.widths, self.encoder_widths[-1]), **options)
        self.encoder = _Layers(widths=self.encoder_widths, **options, **own)
        self.decoder = _Decoder(widths=self.decoder_widths, shape=self.shape, **options)

    def __call__(self, latents: jax.Array, *, train: bool) -> jax.Array:
        """The clouds made from the latents."""
        clouds = self.decode(self.code(latents, train=train), train=train)
        if self.is_initializing():
            self.encode(clouds, train=train)
        return clouds

    def code(self, latents: jax.Array, *, train: bool) -> jax.Array:
        """Latents [B, n] -> codes [B, c], at least 0, float32; latents are multiplied by 0.2, as in r-GAN."""
        latents, _ = self.take(DEVIATION * latents, None, train=train)
        return self.mapping(latents, train=train).astype(jnp.float32)

    def encode(self, clouds: jax.Array, *, train: bool) -> jax.Array:
        """Point clouds [B, points, 3] -> codes [B, c], float32: the maximum over the points."""
        return self.encoder(clouds, train=train).max(axis=1).astype(jnp.float32)

    def decode(self, codes: jax.Array, *, train: bool) -> jax.Array:
        """Codes [B, c] -> point clouds [B, points, 3], float32."""
        return self.decoder(codes, train=train)


class _Layers(LayerOptions):
    """Dense layers of the last axis: [..., n] -> [..., the last width].

    Attributes:
        widths: their widths.
    """

    widths: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, hidden: jax.Array, *, train: bool) -> jax.Array:
        return hidden_layers(self, hidden, self.widths, train=train)[-1]


class _Decoder(LayerOptions):
    """Codes [B, c] -> point clouds [B, *shape].

    Attributes:
        widths: widths of the hidden layers.
        shape: shape of a cloud.
    """

    widths: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, codes: jax.Array, *, train: bool) -> jax.Array:
        (*_, hidden) = hidden_layers(self, codes, self.widths, train=train)
        return to_cloud(self, hidden, self.shape, train=train)


class Discriminator(DiscriminatorNetwork):
    """Codes [B, c] -> judgement with float32 logits [B] and features 'layer0', 'layer1' and so on.

    Attributes:
        widths: widths of the hidden layers, with ReLU.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (256, 512)
    initializer: str = 'xavier'

    @nn.compact
    def __call__(self, codes: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the codes being those of real clouds."""
        require_positive(self, 'widths')
        outputs = hidden_layers(self, self.see(codes, condition), self.widths, train=train)
        features = {f'layer{layer}': values for layer, values in enumerate(outputs)}
        return self.judgement(outputs[-1], condition, features, train=train)
