"""Encoders of captions and of images, whose vectors can be compared; see `gan_jax.matching`."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.dropout import Dropout
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.networks import flatten


class Matcher(nn.Module):
    """Captions and images as vectors of one space: Xu et al. 2018 (AttnGAN), section 3.2, with a small image encoder.

    Captions are read by an LSTM in each direction, whose states are the words, and whose last states are the sentence.
    The image encoder, in the place of the paper's Inception-v3, has three convolutions, of which two halve the image;
    its pixels are the regions.

    Attributes:
        words: number of words of the vocabulary.
        size: d, an even number: that of all vectors.
        word_width: size of a word's embedding.
        image_width: channels of the image encoder's first convolution.
        dropout: rate of the words' embeddings in training.
        axis_name: the mapped axis of the batch, or None.
    """

    words: int
    size: int = 256
    word_width: int = 300
    image_width: int = 32
    dropout: float = 0.5
    axis_name: str | None = None

    def setup(self) -> None:
        """Creates the layers."""
        weights = {'kernel_init': initializer('he')}
        self.embedding = nn.Embed(self.words, self.word_width, embedding_init=nn.initializers.uniform(0.1))
        self.thinned = Dropout(self.dropout, self.axis_name)
        self.onwards = nn.RNN(nn.OptimizedLSTMCell(self.size // 2), return_carry=True)
        self.backwards = nn.RNN(nn.OptimizedLSTMCell(self.size // 2), return_carry=True, reverse=True, keep_order=True)
        self.layers = [
            Conv(self.image_width, kernel_size=3, **weights),
            *(Conv(self.image_width * 2**i, kernel_size=4, stride=2, **weights) for i in (1, 2)),
        ]
        self.region = Dense(self.size, **weights)
        self.whole = Dense(self.size, **weights)

    def __call__(self, images: jax.Array, captions: jax.Array, *, train: bool) -> tuple[jax.Array, ...]:
        """The results of `see` and of `read`."""
        return *self.see(images), *self.read(captions, train=train)

    def read(self, captions: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Captions, int [B, w] with 0 after the end, -> words [B, w, d], which of them exist, and sentences [B, d]."""
        is_word = captions > 0
        embedded = self.thinned(self.embedding(captions), train=train)
        lengths = is_word.sum(1)
        (_, last), onwards = self.onwards(embedded, seq_lengths=lengths)
        (_, first), backwards = self.backwards(embedded, seq_lengths=lengths)
        return jnp.concatenate([onwards, backwards], -1), is_word, jnp.concatenate([last, first], -1)

    def see(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Images [B, H, W, C] -> regions [B, H W / 16, d] and the images as wholes [B, d]."""
        hidden = images
        for layer in self.layers:
            hidden = nn.leaky_relu(layer(hidden), 0.2)
        regions = hidden.reshape(hidden.shape[0], -1, hidden.shape[-1])
        return self.region(regions), self.whole(flatten(hidden))
