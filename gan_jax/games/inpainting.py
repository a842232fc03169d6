"""The game of holes in images: the context encoder."""

import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax import global_batch, losses
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Pair, PyTree, stream
from gan_jax.layers.choices import require
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, Range
from gan_jax.terms import NO_TERMS, View, check_weights, joined
from gan_jax.translators import no_latents, of_generator, over_batches, renamed, translator, without_condition

FILL = 0.0  # the grey of the hole


@dataclasses.dataclass(frozen=True)
class Holes:
    """Square holes of half the height and width of images.

    Attributes:
        shape: (H, W, C) of the images.
        overlap: width of the border of each hole that is not filled, so that it is known and predicted.
        random: whether holes lie anywhere in the image; else in its middle.
    """

    shape: tuple[int, int, int]
    overlap: int = 0
    random: bool = False

    def corners(self, key: Key, positions: Array) -> Array:
        """The upper left corners of holes, int32 [n, 2], one draw for each position."""
        sides = jnp.array(self.shape[:2])

        if self.random:
            return global_batch.draw(
                lambda key: jax.random.randint(key, (2,), 0, sides - sides // 2 + 1), key, positions
            )
        return jnp.broadcast_to(sides // 4, (len(positions), 2))

    def contents(self, images: Array, corners: Array) -> Array:
        """The holes' places in images [n, H, W, C] -> [n, H / 2, W / 2, C]."""
        size = (self.shape[0] // 2, self.shape[1] // 2, images.shape[-1])
        return jax.vmap(lambda image, corner: jax.lax.dynamic_slice(image, (*corner, 0), size))(images, corners)

    def mask(self, corners: Array) -> Array:
        """Where images have no pixels: bool [n, H, W, 1]."""
        inside = []
        for axis in range(2):
            place = jnp.arange(self.shape[axis]) - corners[:, axis, None]
            inside.append((place >= self.overlap) & (place < self.shape[axis] // 2 - self.overlap))
        return (inside[0][:, :, None] & inside[1][:, None, :])[..., None]

    def filled(self, images: Array, contents: Array, corners: Array) -> Array:
        """Images whose holes are filled with contents [n, H / 2, W / 2, C]."""
        there = jax.vmap(lambda image, part, corner: jax.lax.dynamic_update_slice(image, part, (*corner, 0)))
        return jnp.where(self.mask(corners), there(images, contents.astype(images.dtype), corners), images)


def inpainting(
    generator: Network,
    discriminator: Network,
    loss: Loss | None = None,
    *,
    shape: tuple[int, int, int],
    reconstruction: float = 0.999,
    adversary: float = 0.001,
    overlap: int = 4,
    border: float = 10.0,
    random: bool = False,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of holes (Pathak et al. 2016, "Context Encoders: Feature Learning by Inpainting", section 3.2).

    Args:
        generator: images with a grey hole [B, H, W, C] -> its contents [B, H / 2, W / 2, C].
        discriminator: contents [B, H / 2, W / 2, C] -> logits [B] or a `Judgement`.
        loss: the loss of each player; None: the non-saturating one.
        shape: shape of one image.
        reconstruction: weight of the mean squared difference of the contents (equation 3).
        adversary: weight of the adversarial part of the generator's loss.
        overlap: width in pixels of the hole's border that the generator sees and predicts too; 7 in the paper.
        border: factor of the squared difference in that border.
        random: whether holes lie anywhere in the image; else in its middle.
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'real': [B, H, W, C]}`. The discriminator
        sees contents only. `sample(params, variables, corners, images)` replaces the holes of images with these
        corners [n, 2], which `latents` draws; `Game.hole` tells where the holes are.

    Raises:
        UserError: an option is impossible, or the sides of the images are odd.
    """
    check_weights({'reconstruction': reconstruction, 'adversary': adversary, 'border': border})
    if any(side % 2 for side in shape[:2]):
        raise UserError(f'Holes are half of an image, but the images are {shape[0]}x{shape[1]}: use even sides.')
    most = min(shape[:2]) // 4 - 1
    require(0 <= overlap <= most, 'The overlap', overlap, f'from 0 to {most} for images of {shape[0]}x{shape[1]}')
    holes, loss = Holes(tuple(shape), overlap, random), loss or losses.non_saturating()
    inner = (slice(None), slice(overlap, shape[0] // 2 - overlap), slice(overlap, shape[1] // 2 - overlap))

    def difference(view: View) -> Array:
        squares = jnp.square(view.fake.astype(jnp.float32) - view.real)
        return (squares * jnp.full_like(squares, border).at[inner].set(1.0)).mean()

    game = adversarial(
        translator(generator),
        without_condition(discriminator),
        losses.weighted(loss, generator=adversary),
        no_latents,
        condition=jax.ShapeDtypeStruct(tuple(shape), jnp.float32),
        terms=joined([of_generator('reconstruction', reconstruction, difference), terms]),
        **options,
    )

    def seen(images: Array, corners: Array) -> Array:
        return jnp.where(holes.mask(corners), FILL, images)

    def with_holes(batch: Batch, state: GanState, key: Key, positions: Array) -> Batch:
        del state
        images = renamed(batch, {'real': 'real'})['real']
        corners = holes.corners(stream(key, 'holes'), positions)
        return {'real': holes.contents(images, corners), 'label': seen(images, corners)}

    def sample(params: PyTree, variables: PyTree, corners: Array, images: Array) -> Array:
        contents, _ = generator.apply(params, variables, seen(images, corners), None, False)
        return holes.filled(images, contents, corners)

    def show(params: PyTree, variables: PyTree, corners: Array, batch: Batch) -> dict[str, Array]:
        images = batch['real']
        return {
            'with a hole': seen(images, corners),
            'output': sample(params, variables, corners, images),
            'real': images,
        }

    return game._replace(
        turns=over_batches(game.turns, with_holes),
        sample=sample,
        latents=holes.corners,
        given='real',
        show=show,
        hole=holes.mask,
        discriminate=None,
        training_pass=None,
    )


def from_config(
    reconstruction: Annotated[float, AMOUNT] = 0.999,
    adversary: Annotated[float, AMOUNT] = 0.001,
    overlap: Annotated[int, Range(0, 1024)] = 4,
    border: Annotated[float, AMOUNT] = 10.0,
    random: bool = False,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over images: batches {'real'}.

    Args:
        reconstruction: weight of the mean squared difference of the hole's contents.
        adversary: weight of the adversarial part of the generator's loss; 0: none.
        overlap: width in pixels of the hole's border that is known and predicted too.
        border: factor of the squared difference in that border.
        random: whether holes lie anywhere in the image; else in its middle.
        parts: parts of the game.
    """
    shape, options = parts.shape('real'), parts.options
    if len(shape) != 3:
        raise UserError(
            f'{parts.config.data.name!r} is a set of points, and only images can have holes: choose images.'
        )
    contents = (shape[0] // 2, shape[1] // 2, shape[2])

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', contents, contents, dtype=dtype)

    return inpainting(
        parts.network('generator', shape, shape),
        discriminator(),
        parts.loss,
        shape=shape,
        reconstruction=reconstruction,
        adversary=adversary,
        overlap=overlap,
        border=border,
        random=random,
        critic=parts.critic(lambda dtype: without_condition(discriminator(dtype))),
        **options,
    )
