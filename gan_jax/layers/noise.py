"""Gaussian noise on activations, drawn by position in the global batch, not by device."""

import flax.linen as nn
import jax

from gan_jax import global_batch
from gan_jax.augmentation.augment import instance_noise
from gan_jax.layers.choices import require


class GaussianNoise(nn.Module):
    """Adds noise N(0, deviation^2) to each value in training, a draw of its own for each position in the global batch.

    The regulariser of the semi-supervised discriminator of Salimans et al. 2016, "Improved Techniques for Training
    GANs", section 6.1. The random stream is 'noise'.

    Attributes:
        deviation: standard deviation of the noise, at least 0.
        axis_name: the mapped axis of the batch, or None.
    """

    deviation: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """Inputs [B, ...] unchanged, or with noise if `train` is true; a UserError for an impossible deviation."""
        require(self.deviation >= 0, 'The standard deviation of noise', self.deviation, 'at least 0')
        if not train or not self.deviation:
            return inputs
        positions = global_batch.positions(len(inputs), global_batch.axis_of(self))
        return instance_noise(inputs, self.make_rng('noise'), positions, self.deviation)


class PlaceNoise(nn.Module):
    """Adds noise [H, W], the same for all channels, times a learnt strength that starts at 0 (StyleGAN, StyleGAN2).

    In training each example has different noise, drawn from its position in the global batch. Otherwise all have the
    same noise, a variable in the collection 'noise', so a latent always gives the same image.

    Attributes:
        sampling: whether there is noise outside of training.
        per_channel: whether each channel has a separate strength.
        axis_name: the mapped axis of the batch, or None.
    """

    sampling: bool = True
    per_channel: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, H, W, C] with the noise; the random stream is 'noise'."""
        shape = images.shape[1:3]
        strength = self.param('strength', nn.initializers.zeros, images.shape[3:] if self.per_channel else ())
        constant = self.variable('noise', 'constant', lambda: jax.random.normal(self.make_rng('params'), shape))
        if train and not self.is_initializing():
            positions = global_batch.positions(images.shape[0], self.axis_name)
            noise = global_batch.draw(lambda key: jax.random.normal(key, shape), self.make_rng('noise'), positions)
        elif self.sampling:
            noise = constant.value
        else:
            return images
        return images + (strength * noise[..., None]).astype(images.dtype)
