"""Augmentation of the discriminator's inputs, differentiable so that the generator learns through it.

An `Augmentation` is applied equally to real and to generated images. Each example's randomness depends on its position
in the global batch, so a batch split over devices is augmented as on a single device.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.augmentation import adaptive as adaptive_augment
from gan_jax.errors import UserError
from gan_jax.layers.choices import choose, is_on, require
from gan_jax.ranges import POSITIVE_AMOUNT, SHARE, Range, checked

Array = jax.Array
Key = jax.Array


class Augmentation(NamedTuple):
    """A random change of a batch of images, and the controller of its strength.

    Attributes:
        apply: (images [B, H, W, C], key, positions [B], probability scalar) -> images of the same shape. An example may
            be several images [B, K, H, W, C], which are all changed in the same way.
        controller: (probability, mean_sign, batch_size) -> new probability, or None if nothing adapts. `mean_sign`
            is the mean of sign(D(x)) over real images, all of them if they lie on several devices; `batch_size` is the
            number of real images since the last call.
        initial: the probability at the start.
    """

    apply: Callable[[Array, Key, Array, Array], Array]
    controller: Callable[[Array, Array, int], Array] | None = None
    initial: float = 0.0


def none() -> Augmentation:
    """Examples of any shape, unchanged."""
    return Augmentation(lambda examples, key, positions, probability: examples)


@checked
def diff_augment(
    policy: tuple[str, ...] = ('color', 'translation', 'cutout'),
    colour_share: Annotated[float, SHARE] = 1.0,
    flip_share: Annotated[float, SHARE] = 0.0,
) -> Augmentation:
    """DiffAugment: every image is changed, whatever the probability.

    Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", with the ranges of its official
    code. In the order given:

    - color: brightness + U(-0.5, 0.5), saturation times U(0, 2), contrast times U(0.5, 1.5).
    - translation: by whole pixels up to 1/8 of each side (rounded down), zeros moving in.
    - cutout: zeros in a rectangle of half of each side, around a place anywhere in the image.

    Args:
        policy: the names.
        colour_share: share of the images whose colours change.
        flip_share: share of the images that are mirrored left to right, at the end; Hyun et al. 2026 (GAT) have 0.5 and
            0.4.

    Raises:
        UserError: no policy has that name; from `apply`, examples that are not images.
    """
    _check_names('augmentation.policy', policy)
    require(len(policy) > 0, 'augmentation.policy', policy, f'at least one of {", ".join(_POLICIES)}')
    changes = [choose(_POLICIES, name, 'policy of diffaugment') for name in policy]

    def change(image: Array, key: Key) -> Array:
        for i, one in enumerate(changes):
            own_key = jax.random.fold_in(key, i)
            changed = one(image, own_key)
            image = _sometimes(colour_share, changed, image, own_key) if one is _color else changed
        if not is_on(flip_share):
            return image
        return _sometimes(flip_share, image[:, ::-1], image, jax.random.fold_in(key, len(changes)))

    def apply(images: Array, key: Key, positions: Array, probability: Array) -> Array:
        del probability
        _check_images('diffaugment', images)
        _check_floats('diffaugment', images)
        return _change_images(change, images, key, positions)

    return Augmentation(apply)


@checked
def adaptive(
    transforms: tuple[str, ...] = ('bgc',),
    target: Annotated[float, Range(-1, 1, above=True, below=True)] = 0.6,
    adjust_kimg: Annotated[float, POSITIVE_AMOUNT] = 500.0,
    initial: Annotated[float, SHARE] = 0.0,
    fixed: bool = False,
    colour_share: Annotated[float, SHARE] = 1.0,
    resampling: str = 'wavelet',
) -> Augmentation:
    """Adaptive discriminator augmentation (ADA), with StyleGAN2-ADA's distributions.

    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 3 and appendix B. The
    probability moves at a constant speed towards where the mean of sign(D(x)) over real images is `target`: above it
    the discriminator overfits, and more is augmented. The default transforms are the paper's best set, 'bgc': pixel
    blitting, geometry and colour.

    Args:
        transforms: groups (blit, geom, color, filter, noise, cutout), published sets of them (bg, bgc, bgcf, bgcfn,
            bgcfnc) or single ones: flip, rotate90, translate_integer; scale, rotate, anisotropic_scale, translate;
            brightness, contrast, luma_flip, hue, saturation. They are always applied in this order.
        target: target of the mean sign, in (-1, 1).
        adjust_kimg: thousands of real images in which the probability goes from 0 to 1.
        initial: the probability at the start.
        fixed: the probability stays at `initial`.
        colour_share: share of the probability, with which the transforms of colour strike; 0.5 in R3GAN's recipe.
        resampling: resampling for geometric transforms: 'wavelet', as published, at twice the resolution; 'bilinear',
            at a fraction of the cost on a CPU.

    Raises:
        UserError: an unknown transform or an impossible value; from `apply`, examples that are not images of 1 or 3
            channels, and rotate90 of images that are not square.
    """
    _check_names('augmentation.transforms', transforms)
    require(len(transforms) > 0, 'augmentation.transforms', transforms, 'at least one transform')
    choose(adaptive_augment.RESAMPLING, resampling, 'resampling of ada')
    table = {name: (name,) for name in adaptive_augment.TRANSFORMS} | adaptive_augment.GROUPS
    transforms = tuple(one for name in transforms for one in choose(table, name, 'transform of ada'))

    def apply(images: Array, key: Key, positions: Array, probability: Array) -> Array:
        _check_images('ada', images)
        _check_floats('ada', images)
        height, width, channels = images.shape[-3:]
        require(channels in (1, 3), 'The number of channels of images under ada', channels, '1 or 3')
        if 'rotate90' in transforms and height != width:
            raise UserError(f'rotate90 cannot turn images of {height}x{width}: remove it from augmentation.transforms.')

        def change(image: Array, key: Key) -> Array:
            return adaptive_augment.transform(image, key, probability, transforms, colour_share, resampling)

        return _change_images(change, images, key, positions)

    def controller(probability: Array, mean_sign: Array, batch_size: int) -> Array:
        step = jnp.sign(mean_sign - target) * (batch_size / (adjust_kimg * 1000))
        return jnp.clip(probability + step, 0.0, 1.0)

    return Augmentation(apply, None if fixed else controller, initial)


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    'none': none,
    'diffaugment': diff_augment,
    'ada': adaptive,
}


def translate_and_flip(images: Array, key: Key, positions: Array, *, pixels: int = 4) -> Array:
    """Images [B, H, W, C] mirrored left to right with probability 1/2 and moved by up to `pixels` each way.

    They move by whole pixels; what moves in is mirrored at the border. The transform of
    consistency regularisation (Zhang et al. 2020, "Consistency Regularization for Generative Adversarial Networks";
    Zhao et al. 2021, "Improved Consistency Regularization for GANs").

    Raises:
        UserError: examples that are not images.
    """
    _check_images('translate_and_flip', images)

    def change(image: Array, key: Key) -> Array:
        flip_key, shift_key = jax.random.split(key)
        image = jnp.where(jax.random.bernoulli(flip_key), image[:, ::-1], image)
        shift = jax.random.randint(shift_key, (2,), -pixels, pixels + 1)
        return _shift(image, shift, (pixels, pixels), 'reflect')

    return _change_images(change, images, key, positions)


def quarter_turns(images: Array, turns: Array) -> Array:
    """Images [B, S, S, C], each turned counter-clockwise by its number of quarter turns [B], from 0 to 3.

    Raises:
        UserError: examples that are not square images.
    """
    _check_images('quarter_turns', images)
    require(images.shape[1] == images.shape[2], 'The shape of turned images', images.shape[1:], 'that of a square')
    turned = [jnp.rot90(images, number, axes=(1, 2)) for number in range(4)]
    return jnp.choose(turns[:, None, None, None], turned, mode='clip')


def instance_noise(examples: Array, key: Key, positions: Array, deviation: Array | float) -> Array:
    """Examples [B, ...] plus Gaussian noise of a standard deviation.

    Sønderby et al. 2017, "Amortised MAP Inference for Image Super-resolution"; Arjovsky and Bottou 2017, "Towards
    Principled Methods for Training Generative Adversarial Networks".
    """

    def change(example: Array, key: Key) -> Array:
        return example + (deviation * jax.random.normal(key, example.shape)).astype(example.dtype)

    return _by_position(change, examples, key, positions)


def _by_position(change: Callable[[Array, Key], Array], examples: Array, key: Key, positions: Array) -> Array:
    return global_batch.draw(lambda key, example: change(example, key), key, positions, examples)


def _change_images(change: Callable[[Array, Key], Array], images: Array, key: Key, positions: Array) -> Array:
    """The change of each image [H, W, C]; several images of one example [K, H, W, C] are changed in the same way."""
    return _by_position(jax.vmap(change, in_axes=(0, None)) if images.ndim == 5 else change, images, key, positions)


def _check_images(name: str, examples: Array) -> None:
    if examples.ndim not in (4, 5):
        raise UserError(
            f"{name} applies to images, not to examples of shape {examples.shape[1:]}: set the augmentation 'none'."
        )


def _check_names(option: str, names: tuple[str, ...]) -> None:
    require(not isinstance(names, str), option, names, f'a tuple of names, such as ({names!r},)')


def _check_floats(name: str, images: Array) -> None:
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(f'{name} changes images in [-1, 1], and these are {images.dtype}: take images / 127.5 - 1.')


def _sometimes(share: float, changed: Array, image: Array, key: Key) -> Array:
    return jnp.where(jax.random.bernoulli(jax.random.fold_in(key, 0), share), changed, image)


def _color(image: Array, key: Key) -> Array:
    brightness, saturation, contrast = jax.random.uniform(key, (3,)).astype(image.dtype)
    image = image + (brightness - 0.5)
    mean = image.mean(-1, keepdims=True)
    image = (image - mean) * (2 * saturation) + mean
    mean = image.mean()
    return (image - mean) * (contrast + 0.5) + mean


def _translation(image: Array, key: Key) -> Array:
    limits = (image.shape[0] // 8, image.shape[1] // 8)
    shift = jax.random.randint(key, (2,), -jnp.array(limits), jnp.array(limits) + 1)
    return _shift(image, shift, limits, 'constant')


def _shift(image: Array, shift: Array, limits: tuple[int, int], mode: str) -> Array:
    """An image [H, W, C] moved (down, right) by a shift within limits; what moves in is as `jnp.pad` has it."""
    (rows, columns), (down, right) = limits, shift
    padded = jnp.pad(image, ((rows, rows), (columns, columns), (0, 0)), mode)
    return jax.lax.dynamic_slice(padded, (rows - down, columns - right, 0), image.shape)


def _cutout(image: Array, key: Key) -> Array:
    def inside(size: int, key: Key) -> Array:
        length = size // 2
        start = jax.random.randint(key, (), 0, size + 1 - length % 2) - length // 2
        places = jnp.arange(size)
        return (places >= start) & (places < start + length)

    rows, columns = (inside(size, one) for size, one in zip(image.shape[:2], jax.random.split(key), strict=True))
    return jnp.where((rows[:, None] & columns)[..., None], 0, image)


_POLICIES = {'color': _color, 'translation': _translation, 'cutout': _cutout}
