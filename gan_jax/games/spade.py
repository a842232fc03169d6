"""The game of label maps: SPADE (GauGAN)."""

import colorsys
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import losses
from gan_jax.adversarial import adversarial, refuse_augmentation
from gan_jax.encoding import kullback_leibler, reparameterized
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, Pair, PlayerLoss, PyTree, normal_latents, stream
from gan_jax.losses import Loss
from gan_jax.models.spade import Encoder
from gan_jax.networks import Network, from_flax
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT
from gan_jax.terms import NO_TERMS, View, check_weights, joined
from gan_jax.translators import (
    distance,
    in_rows,
    logits_of_scales,
    no_latents,
    of_generator,
    over_batches,
    over_scales,
    renamed,
)

_GOLDEN = (5**0.5 - 1) / 2


def spade(
    generator: Network,
    discriminator: Network,
    loss: Loss | None = None,
    *,
    classes: int,
    shape: tuple[int, ...],
    latents: Callable[[Key, Array], Array] | int = no_latents,
    encoder: Network | None = None,
    features: float = 10.0,
    divergence: float = 0.05,
    l1: float = 0.0,
    adversary: float = 1.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of label maps (Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization").

    Args:
        generator: latents [B, n] and maps [B, H, W, classes] -> images [B, *shape].
        discriminator: a map and an image, concatenated [B, H, W, classes + C] -> a `Judgement` with a tuple of logits
            [B, h, w], one array per scale, and features.
        loss: the loss of each player, whose mean over the scales counts; None: the hinge loss.
        classes: number of classes in the maps.
        shape: shape of one image, or of another example with a map for each image in it, such as a clip (T, H, W, C).
        latents: how latents are drawn, or the size of a standard normal latent vector; none by default.
        encoder: images [B, *shape] -> [B, 2, n], the means and logarithms of variances of latents. In training the
            latents are drawn from that distribution of the real image (section 3.2, multi-modal synthesis). None: they
            are `latents` in training too.
        features: weight of feature matching (Wang et al. 2018, pix2pixHD, equation 4): the mean absolute difference
            of each feature of the discriminator between an image and the real one, summed over the layers, mean over
            the scales.
        divergence: weight of the Kullback-Leibler divergence of the encoder's distribution from the normal one, summed
            over the latents, mean over the images. The authors' code adds the images of a device (4 as published).
        l1: weight of the mean absolute difference from the real image; SPADE has none.
        adversary: weight of the adversarial part of the generator's loss.
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'input': [B, H, W, 1], 'real': [B,
        *shape]}`. The input is the map as an image, class k as 2 k / 255 - 1. With an encoder the generator's
        parameters are a dict of 'generator' and 'encoder'. `sample(params, variables, latents, maps)` paints such maps.

    Raises:
        UserError: an option is impossible, including augmentation, which would move an image without its map.
    """
    check_weights({'features': features, 'divergence': divergence, 'l1': l1, 'adversary': adversary})
    refuse_augmentation(options, 'SPADE', 'the image would move without its map')
    seen = (*shape[:-1], classes + shape[-1])
    counts = logits_of_scales(discriminator, seen)
    share = 1 / len(counts)
    critic = options.pop('critic', None)
    game = adversarial(
        generator if encoder is None else _with_encoder(generator, encoder, classes),
        _of_pairs(discriminator, classes),
        losses.weighted(over_scales(loss or losses.hinge(), counts), discriminator=share, generator=share * adversary),
        latents,
        condition=jax.ShapeDtypeStruct(seen if encoder else (*shape[:-1], classes), jnp.float32),
        terms=joined(
            [
                of_generator('features', features, lambda view: share * _feature_distance(view)),
                of_generator('l1', l1, lambda view: distance(view.fake, view.real)),
                terms,
            ]
        ),
        critic=critic and _of_pairs(critic, classes),
        **options,
    )

    def with_maps(batch: Batch, *_: Array) -> Batch:
        found = renamed(batch, {'real': 'real', 'label': 'input'})
        found['label'] = one_hot(found['label'], classes)
        if encoder is not None:
            found['label'] = jnp.concatenate([found['label'], found['real']], axis=-1)
        return found

    def with_divergence(loss: PlayerLoss) -> PlayerLoss:
        def whole(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            value, outcome = loss(params, state, batch, key, positions)
            variables = state.generator.variables['encoder']
            moments, _ = encoder.apply(params['encoder'], variables, batch['real'], stream(key, 'encoder'), True)
            found = kullback_leibler(moments.astype(jnp.float32))
            metrics = {**outcome.metrics, 'divergence': found}
            return value + divergence * found, Outcome(outcome.variables, metrics, outcome.memory)

        return whole

    def sample(params: PyTree, variables: PyTree, latents: Array, maps: Array) -> Array:
        if encoder is not None:
            params, variables = params['generator'], variables['generator']
        return generator.apply(params, variables, latents, None, False, one_hot(maps, classes))[0]

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        maps = batch['input']
        edited = edit(maps, classes)
        return {
            'map': coloured(maps, classes),
            'output': sample(params, variables, latents, maps),
            'real': batch['real'],
            'edited map': coloured(edited, classes),
            'its output': sample(params, variables, latents, edited),
        }

    turns = tuple(
        turn._replace(loss=with_divergence(turn.loss)) if encoder is not None and turn.title == 'generator' else turn
        for turn in over_batches(game.turns, with_maps)
    )
    return game._replace(
        turns=turns, sample=sample, given='input', show=show, maps=classes, discriminate=None, training_pass=None
    )


def from_config(
    features: Annotated[float, AMOUNT] = 10.0,
    encoder: bool = False,
    encoder_width: Annotated[int, COUNT] = 64,
    divergence: Annotated[float, AMOUNT] = 0.05,
    l1: Annotated[float, AMOUNT] = 0.0,
    adversary: Annotated[float, AMOUNT] = 1.0,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over images and their label maps: batches {'input', 'real'}.

    Args:
        features: weight of feature matching.
        encoder: whether an encoder of the real image gives the latents; otherwise there are none.
        encoder_width: channels of the encoder's first layer.
        divergence: weight of the divergence of the encoder's distribution from the normal one.
        l1: weight of the mean absolute difference from the real image.
        adversary: weight of the adversarial part of the generator's loss; 0: none.
        parts: parts of the game.
    """
    shape, classes = parts.shape('real'), parts.num_classes
    if classes is None or parts.shape('input')[-1] != 1:
        raise UserError(
            f'The game spade needs label maps, and {parts.config.data.name!r} has none: choose scenes or '
            'maps:/path/to/data.'
        )
    size, options = parts.config.latents.size if encoder else 0, parts.options
    seen = (*shape[:2], classes + shape[-1])
    maps = jax.ShapeDtypeStruct((*shape[:2], classes), jnp.float32)

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', seen, seen, dtype=dtype)

    module = Encoder(encoder_width, size=size, dtype=jnp.dtype(parts.config.dtype), axis_name=parts.axis_name)
    return spade(
        parts.network('generator', (size,), shape, condition=maps),
        discriminator(),
        parts.loss,
        classes=classes,
        shape=shape,
        latents=normal_latents(size) if encoder else no_latents,
        encoder=from_flax(module, shape) if encoder else None,
        features=features,
        divergence=divergence,
        l1=l1,
        adversary=adversary,
        critic=parts.critic(discriminator),
        **options,
    )


def one_hot(maps: Array, classes: int) -> Array:
    """Maps as images [..., H, W, 1] -> [..., H, W, classes]; zeros where a class does not exist."""
    return jax.nn.one_hot(_indices(maps), classes)


def coloured(maps: Array, classes: int) -> Array:
    """Maps as images [..., H, W, 1] -> images [..., H, W, 3] with a colour for each class."""
    hues = [colorsys.hsv_to_rgb((0.6 + _GOLDEN * k) % 1, 0.7, 0.95 - 0.3 * (k % 2)) for k in range(classes)]
    return 2 * jnp.asarray(np.array(hues, np.float32))[jnp.clip(_indices(maps), 0, classes - 1)] - 1


def edit(maps: Array, classes: int) -> Array:
    """Maps as images in which the class at the middle of the lower edge becomes the next one, everywhere."""
    indices = _indices(maps)
    chosen = indices[:, -1:, indices.shape[2] // 2, None]
    return jnp.where(indices == chosen, (chosen + 1) % classes, indices)[..., None] / 127.5 - 1


def _indices(maps: Array) -> Array:
    """The classes int32 [..., H, W] of maps as images [..., H, W, 1]."""
    return jnp.round((maps[..., 0] + 1) * 127.5).astype(jnp.int32)


def _feature_distance(view: View) -> Array:
    """The mean absolute differences of the features of fake and real images, summed over the layers."""
    real, fake = view.real_judgement.features, view.fake_judgement.features
    if not fake:
        raise UserError("Feature matching needs features in the discriminator's Judgement: set features=0.")
    return sum(distance(fake[name], real[name]) for name in fake)


def _of_pairs(network: Network, classes: int) -> Network:
    """A discriminator whose condition begins with the map, which is concatenated before the image."""

    def apply(params, variables, images, key, train, condition=None):
        pairs = jnp.concatenate([condition[..., :classes].astype(images.dtype), images], axis=-1)
        return in_rows(network.apply(params, variables, pairs, key, train))

    return Network(network.init, apply)


def _with_encoder(generator: Network, encoder: Network, classes: int) -> Network:
    """A generator whose condition is a map and the real image, and whose latents are standard normal noise.

    The noise draws the latents of `generator` from the distribution that the encoder gives for the image.
    """

    def init(key: Key) -> tuple[PyTree, PyTree]:
        parts = {'generator': generator.init(key), 'encoder': encoder.init(stream(key, 'encoder'))}
        return {name: part[0] for name, part in parts.items()}, {name: part[1] for name, part in parts.items()}

    def apply(params, variables, latents, key, train, condition=None):
        maps, images = condition[..., :classes], condition[..., classes:]
        moments, of_encoder = encoder.apply(
            params['encoder'], variables['encoder'], images, stream(key, 'encoder'), train
        )
        drawn = reparameterized(moments, latents)
        made, of_generator = generator.apply(params['generator'], variables['generator'], drawn, key, train, maps)
        return made, {'generator': of_generator, 'encoder': of_encoder}

    return Network(init, apply)
