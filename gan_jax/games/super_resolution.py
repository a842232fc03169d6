"""The game of super-resolution: SRGAN and ESRGAN, and their first phase without an adversary."""

import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax import global_batch, losses
from gan_jax.adversarial import adversarial, refuse_augmentation
from gan_jax.augmentation.augment import quarter_turns
from gan_jax.content import NORMS, Content, make_content
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, Key, Pair, PyTree, stream
from gan_jax.layers.bicubic import enlarged
from gan_jax.layers.choices import choose, is_on, require, require_not_negative
from gan_jax.losses import Loss
from gan_jax.networks import Network, pure
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT_OR_NONE
from gan_jax.terms import NO_TERMS, joined
from gan_jax.translators import no_latents, of_generator, over_fields, renamed, translator, without_condition

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Crops:
    """The crops of pairs of images.

    Attributes:
        inputs: (h, w, C) of the small images.
        shape: (H, W, C) of the images, `factor` times as large.
        side: height and width of a crop of the images; 0: crops are whole images.
        rotate: whether crops are turned by 0 to 3 quarter turns.

    Raises:
        UserError: the images are not a whole number of times as large as their inputs, or not as large as a crop.
    """

    inputs: Shape
    shape: Shape
    side: int = 0
    rotate: bool = False

    def __post_init__(self) -> None:
        (h, w, _), (height, width, _) = self.inputs, self.shape
        if height % h or height * w != width * h or height == h:
            raise UserError(
                f'Images of {height}x{width} pixels are not enlargements of inputs of {h}x{w}: use data such as '
                "'quarter:tf_flowers'."
            )
        if self.side > min(height, width):
            raise UserError(
                f'game.crop={self.side} is larger than the images of {height}x{width} pixels: choose a smaller crop, '
                'or larger images by data.size.'
            )
        require(self.side % self.factor == 0, 'game.crop', self.side, f'a multiple of the factor {self.factor}')
        if self.rotate and not self.side and height != width:
            raise UserError(
                f'Images of {height}x{width} pixels cannot be rotated: set game.crop, or game.rotate=False.'
            )

    @property
    def factor(self) -> int:
        """The enlargement."""
        return self.shape[0] // self.inputs[0]

    @property
    def large(self) -> Shape:
        """The shape of a crop of the images."""
        return (self.side, self.side, self.shape[2]) if self.side else self.shape

    @property
    def small(self) -> Shape:
        """The shape of a crop of the inputs."""
        return (self.side // self.factor, self.side // self.factor, self.inputs[2]) if self.side else self.inputs

    def cut(self, images: Array, inputs: Array, key: Key, positions: Array) -> tuple[Array, Array]:
        """The same crop of images [B, *shape] and inputs [B, *inputs], drawn for each position."""
        rooms = [whole - part + 1 for whole, part in zip(self.inputs[:2], self.small[:2], strict=True)]
        ends = jnp.array([*rooms, 4 if self.rotate else 1])

        drawn = global_batch.draw(lambda key: jax.random.randint(key, (3,), 0, ends), key, positions)
        corners, turns = drawn[:, :2], drawn[:, 2]
        if self.side:

            def crop(image: Array, corner: Array, shape: Shape) -> Array:
                return jax.lax.dynamic_slice(image, (*corner, 0), shape)

            images = jax.vmap(lambda image, corner: crop(image, self.factor * corner, self.large))(images, corners)
            inputs = jax.vmap(lambda image, corner: crop(image, corner, self.small))(inputs, corners)
        if self.rotate:
            images, inputs = quarter_turns(images, turns), quarter_turns(inputs, turns)
        return images, inputs


def super_resolution(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    crops: Crops,
    *,
    pixels: float = 1.0,
    norm: str = 'squared',
    content: Content | None = None,
    content_weight: float = 1.0,
    adversary: float = 1e-3,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of images and their enlargements.

    Ledig et al. 2017 (SRGAN), equation 3; Wang et al. 2018 (ESRGAN), equation 3. The generator enlarges small images.
    It minimises the distance of its enlargements from the images, in pixels and in features, and the adversarial loss
    of a discriminator of crops.

    Args:
        generator: small crops [B, *crops.small] -> crops [B, *crops.large]; of images of any other size as well.
        discriminator: crops [B, *crops.large] -> logits [B].
        loss: the loss of each player.
        crops: the crops that are trained on.
        pixels: weight of the distance of pixels.
        norm: that distance, 'squared' or 'absolute', a mean over all values in [-1, 1].
        content: the perceptual loss; None: there is none.
        content_weight: its weight.
        adversary: weight of the adversarial part of the generator's loss. Without one, only the generator is trained:
            the first phase of both papers.
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'input': [B, *crops.inputs],
        'real': [B, *crops.shape]}`. `sample(params, variables, latents, images)` enlarges whole images; the latents
        are empty.

    Raises:
        UserError: an option is impossible, including augmentation, which would move the images without their inputs.
    """
    for name, weight in (('pixels', pixels), ('content_weight', content_weight), ('adversary', adversary)):
        require_not_negative(name, weight)
    reason, remedy = 'the images would move without their inputs', 'unset augment, and use data.flip and game.rotate'
    refuse_augmentation(options, 'super_resolution', reason, remedy)
    measure = choose(NORMS, norm, 'norm')
    parts = [of_generator('pixels', pixels, lambda view: measure(view.fake.astype(jnp.float32) - view.real).mean())]
    if content is not None:
        parts.append(of_generator('content', content_weight, lambda view: content.distance(view.fake, view.real)))
    network = without_condition(discriminator)
    against = is_on(adversary)
    if not against:  # the discriminator is replaced by a constant without parameters
        network = pure(lambda key: {}, lambda params, examples, condition: jnp.zeros(len(examples)))
        terms = terms._replace(discriminator=())
        options = {name: value for name, value in options.items() if name in ('axis_name', 'generator_steps')}
    game = adversarial(
        translator(generator),
        network,
        losses.weighted(loss, generator=adversary),
        no_latents,
        condition=jax.ShapeDtypeStruct(crops.small, jnp.float32),
        terms=joined([*parts, terms]),
        **options,
    )

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        return game.init(key) | ({} if against else {'discriminator': discriminator.init(stream(key, 'judge'))})

    def prepare(batch: Batch, key: Key, positions: Array) -> Batch:
        pair = renamed(batch, {'real': 'real', 'input': 'input'})
        return dict(zip(pair, crops.cut(*pair.values(), key, positions), strict=True))

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        made = game.sample(params, variables, latents, batch['input'])
        return {'bicubic': enlarged('bicubic', batch['input'], crops.factor), 'output': made, 'target': batch['real']}

    turns = over_fields(game.turns, {'real': 'real', 'label': 'input'})
    return game._replace(
        init=init,
        turns=tuple(turn for turn in turns if against or turn.player == 'generator'),
        prepare=prepare,
        given='input',
        show=show,
        discriminate=None,
        note='' if content is None else f'perceptual loss: {content.protocol}',
    )


def from_config(
    crop: Annotated[int, COUNT_OR_NONE] = 0,
    rotate: bool = False,
    pixels: Annotated[float, AMOUNT] = 1.0,
    norm: str = 'squared',
    content: str = 'none',
    content_weight: Annotated[float, AMOUNT] = 1.0,
    adversary: Annotated[float, AMOUNT] = 1e-3,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over pairs: batches {'input', 'real'}.

    Args:
        crop: height and width of the random crops of the images that are trained on; 0: the whole images.
        rotate: whether crops are turned by a random number of quarter turns.
        pixels: weight of the distance of pixels.
        norm: distance of pixels and of features: 'squared' or 'absolute', a mean over all of them.
        content: the perceptual loss: 'none', 'vgg19' (conv5_4 before its ReLU), 'vgg19_relu' (after it), 'lpips', or
            an extractor such as 'classifier:NAME'; see `gan_jax.content`.
        content_weight: weight of the perceptual loss.
        adversary: weight of the adversarial part of the generator's loss; 0: the discriminator is not trained.
        parts: parts of the game.
    """
    crops = Crops(parts.shape('input'), parts.shape('real'), crop, rotate)
    factor = parts.config.generator.get('factor', crops.factor)
    if factor != crops.factor:
        raise UserError(
            f'generator.factor is {factor}, but the images of {parts.config.data.name!r} are {crops.factor} times as '
            f'large as their inputs: set it to {crops.factor}, or choose other data.'
        )
    perceptual = None
    if content != 'none' and is_on(content_weight):
        perceptual = make_content(content, norm, parts.config.data.name, crops.large)

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', crops.large, crops.large, dtype=dtype)

    return super_resolution(
        parts.network('generator', crops.small, crops.large),
        discriminator(),
        parts.loss,
        crops,
        pixels=pixels,
        norm=norm,
        content=perceptual,
        content_weight=content_weight,
        adversary=adversary,
        critic=parts.critic(lambda dtype: without_condition(discriminator(dtype))),
        **parts.options,
    )
