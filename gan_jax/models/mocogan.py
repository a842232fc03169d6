"""The networks of MoCoGAN: Tulyakov et al. 2018, https://arxiv.org/abs/1707.04993.

At the published size, 16 frames of 64x64 and six categories, the authors' code has 3,298,836 parameters in the
generator, 663,296 in the discriminator of frames and 11,253,504 in that of clips. The generator here has 20 fewer, the
second biases of the recurrent cell's gates, and 3 more, the biases of its last layer; the discriminator of clips has 7
more, the biases of its logits.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.conditioning import as_vectors
from gan_jax.layers.convolution import neighbours
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.models import dcgan
from gan_jax.ranges import COUNT, COUNT_OR_NONE

_FRAMES = 4  # frames in the kernel of a convolution over time


class Generator(GeneratorNetwork):
    """Latents [B, n] -> clips [B, T, H, W, C] in [-1, 1], float32; section 3.1.

    Each frame is made by one DCGAN from content, category and motion. The content and the category, a one-hot vector,
    are the same for all frames. A recurrent cell (GRU) makes the motion of each frame from that of the frame before and
    new noise. The latents are the content, then the motion before the first frame, then the noise of each frame.

    Attributes:
        shape: (T, H, W, C) of a clip.
        motion_size: size of the motion and of the noise of a frame; the content has the other components of the
            latents.
        width: channels of the last hidden layer; they double towards the base.
        max_width: maximum number of channels.
    """

    motion_size: Annotated[int, COUNT] = 10
    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    normalization: str = 'batch'

    @nn.compact
    def __call__(
        self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool, at: jax.Array | None = None
    ) -> jax.Array:
        """The clips made from the latents, or one frame [B, H, W, C] of each, that of number `at` [B]."""
        condition = self._checked(condition, ('none', 'concatenate'))
        count, length = latents.shape[0], _shape_of_clip(self.shape)[0]
        content_size = latents.shape[1] - (length + 1) * self.motion_size
        if content_size < 1:
            raise UserError(
                f'latents.size={latents.shape[1]} leaves no content beside the motion, {self.motion_size} numbers for '
                f'each of {length} frames and as many before the first: make it larger than '
                f'{(length + 1) * self.motion_size}.'
            )
        noise = latents[:, content_size:].reshape(count, length + 1, self.motion_size)
        still = [latents[:, :content_size]] + ([] if condition is None else [as_vectors(condition, self.num_classes)])
        motion = nn.RNN(nn.GRUCell(self.motion_size))(noise[:, 1:], initial_carry=noise[:, 0])
        vectors = [*(jnp.repeat(one[:, None], length, axis=1) for one in still), motion]
        options = ('width', 'max_width', 'normalization', 'spectral_iterations', 'momentum', 'initializer', 'dtype')
        image = dcgan.Generator(
            self.shape[1:], axis_name=self.axis_name, name='image', **{name: getattr(self, name) for name in options}
        )
        vectors = jnp.concatenate(vectors, axis=-1)
        if at is not None:
            return image(frames_at(vectors, at), train=train)
        return image(vectors.reshape(count * length, -1), train=train).reshape(count, *self.shape)

    def random_frame(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """A random frame [B, H, W, C] of each clip; the others are not computed."""
        positions = global_batch.positions(len(latents), global_batch.axis_of(self))
        at = random_frames(self.make_rng('frame'), positions, self.shape[0])
        return self(latents, condition, train=train, at=at)


def random_frames(key: jax.Array, positions: jax.Array, length: int) -> jax.Array:
    """The number of a random frame of a clip with that many, for each position: int32 [B] in [0, length)."""
    return global_batch.draw(lambda key: jax.random.randint(key, (), 0, length), key, positions)


def frames_at(clips: jax.Array, at: jax.Array) -> jax.Array:
    """Frame number `at` [B] of each clip: [B, T, ...] -> [B, ...]. No clip leaves its device."""
    return jax.vmap(lambda clip, number: clip[number])(clips, at)


class Discriminator(DiscriminatorNetwork):
    """Clips [B, T, H, W, C] or single frames [B, H, W, C] -> judgement with float32 logits and features 'stage0', ....

    Each layer halves height and width by a kernel of 4x4; in clips it sees four frames, and makes three frames fewer.
    LeakyReLU 0.2, normalised except for the first. Clips are halved to the base of DCGAN, where a dense layer gives
    logits [B]. Frames are halved once less, and a convolution of 4x4 gives logits [B, h, w] of patches.

    Attributes:
        width: channels of the first layer; they double with each further one.
        frame_width: those of the first layer for single frames; 0: as many.
        max_width: maximum number of channels.
    """

    width: Annotated[int, COUNT] = 64
    frame_width: Annotated[int, COUNT_OR_NONE] = 0
    max_width: Annotated[int, COUNT] = 512
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, examples: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the examples being real."""
        is_frame = examples.ndim == 4
        stages = dcgan.count_stages(examples.shape[-3:], 'MoCoGAN') - is_frame
        if not is_frame and _shape_of_clip(examples.shape[1:])[0] <= stages * (_FRAMES - 1):
            raise UserError(
                f'MoCoGAN takes {_FRAMES - 1} frames from a clip with each of {stages} halvings, so it needs more than '
                f'{stages * (_FRAMES - 1)} frames of {examples.shape[2]} pixels, not {examples.shape[1]}.'
            )
        weights, normalize = weight_options(self), normalizer(self)
        use_bias = not replaces_bias(self.normalization)

        def halved(hidden: jax.Array, width: int) -> jax.Array:
            seen = hidden if is_frame else neighbours(hidden, _FRAMES)
            layer = Conv(width, kernel_size=4, stride=2, use_bias=use_bias, **weights)
            made = layer(seen.reshape(-1, *seen.shape[-3:]), train=train)
            return made.reshape(*seen.shape[:-3], *made.shape[1:])

        width = self.frame_width if is_frame and self.frame_width else self.width
        hidden, features = self.see(examples, condition), {}
        for stage in range(stages):
            hidden = halved(hidden, min(width << stage, self.max_width))
            hidden = nn.leaky_relu(normalize(hidden, train=train) if stage else hidden, 0.2)
            features[f'stage{stage}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        if is_frame:
            return Judgement(halved(hidden, 1)[..., 0].astype(jnp.float32), features=features)
        return self.judgement(hidden, condition, features, train=train)


def _shape_of_clip(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 4:
        raise UserError(f'MoCoGAN is for clips of shape (T, H, W, channels), not {tuple(shape)}: use motions.')
    return tuple(shape)
