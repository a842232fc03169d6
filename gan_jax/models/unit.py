"""The networks of UNIT: an encoder of one domain and a decoder of the other, and MUNIT's discriminator.

Liu et al. 2017, "Unsupervised Image-to-Image Translation Networks". The layers are those of UNIT in the code of MUNIT,
whose encoder and decoder they are.
"""

import jax

from gan_jax.layers.choices import require_positive
from gan_jax.models.munit import Coding, ContentEncoder, Decoder, Discriminator

__all__ = ['Discriminator', 'Generator']


class Generator(Coding):
    """Encodes an image of one domain and decodes its code in the other domain.

    Attributes:
        channels: number of channels of the images that are made.
    """

    channels: int = 3

    def setup(self) -> None:
        """Both parts."""
        require_positive(self, 'width', 'channels')
        self.contents = ContentEncoder(self.width, self.blocks, self.layers)
        self.decoder = Decoder(self.code_width, self.channels, self.blocks, self.layers)

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Images [B, H, W, C] of the source -> images [B, H, W, channels] of the target."""
        del train
        return self.decode(self.content(images))

    def content(self, images: jax.Array) -> jax.Array:
        """Images [B, H, W, C] of the source -> codes [B, H / 4, W / 4, 4 width]."""
        return self.contents(images)

    def decode(self, content: jax.Array) -> jax.Array:
        """Codes -> images [B, H, W, channels] of the target, in [-1, 1]."""
        return self.decoder(content)
