"""Images over patches of other pictures: a second domain with the same labels, as MNIST-M is for MNIST.

Ganin et al., arXiv:1505.07818, section 5.2.4: in each channel, the absolute difference of an image and a patch cropped
at a random place from a colour picture. MNIST-M takes its patches from the photographs of BSDS500.
"""

import dataclasses

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError

PICTURE_SIZE = 128  # of the pictures that patches are cropped from
_RULE = 'blended 1'
_CELLS = 4  # of a computed texture, along each side
_BRIGHTEST = 127  # corner of a texture: a white image stays brighter than the texture around it


def split_names(text: str) -> tuple[str, str]:
    """Splits 'NAME+PATCHES' at its last plus into the two data sets; PATCHES is '' without one.

    Raises:
      UserError: a name is empty.
    """
    name, plus, patches = text.rpartition('+') if '+' in text else (text, '', '')
    if not name or (plus and not patches):
        raise UserError(
            f"'blended:{text}' does not name its data sets: write blended:NAME, or blended:NAME+PATCHES, such as "
            'blended:mnist+tf_flowers.'
        )
    return name, patches


def over_patches(name: str, images: Dataset, pictures: Dataset | None, channels: int | None) -> Dataset:
    """The images blended with patches, with their labels; built in memory.

    The patches depend on the split. A split called 'train...' takes them from every other picture, all other splits
    from the rest.

    Args:
      name: name of the result.
      images: the images.
      pictures: where the patches are cropped from; None: from computed textures, smooth in random colours.
      channels: of the textures, 1 or 3; None: 3.

    Raises:
      UserError: the data are not images, have several domains, or are larger than the pictures.
    """
    images.check_images()
    images.check_without_groups()
    height, width = images.shape[:2]
    random = np.random.default_rng([*_RULE.encode(), *images.split.encode()])
    if pictures is None:
        patches = textures(len(images), height, width, channels or 3, random)
    else:
        pictures.check_images()
        if max(height, width) > min(pictures.shape[:2]):
            raise UserError(
                f'the images of {images.name!r} are {height}x{width}, larger than the pictures of {pictures.name!r}, '
                f'which are {pictures.shape[0]}x{pictures.shape[1]}: set a smaller data.size.'
            )
        first = 0 if images.split.startswith('train') else 1
        if len(pictures) <= first:
            raise UserError(
                f'{pictures.name!r} has one picture, which {images.split!r} cannot share with the training split: add '
                'another one.'
            )
        patches = crops(pictures.examples[first::2], len(images), height, width, random)
    examples = blend(images.examples, patches)
    examples.setflags(write=False)
    source = 'textures' if pictures is None else pictures.fingerprint
    fingerprint = fingerprints.of_value([_RULE, images.fingerprint, images.split, source, examples.shape[-1]])
    return dataclasses.replace(images, name=name, examples=examples, fingerprint=fingerprint)


def blend(images: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """|patch - image|, uint8 [n, H, W, C]; either has C channels, or one that counts for all."""
    return np.maximum(images, patches) - np.minimum(images, patches)


def crops(pictures: np.ndarray, number: int, height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Patches uint8 [number, height, width, C] at random places of random pictures uint8 [n, H, W, C]."""
    which = random.integers(len(pictures), size=number)
    top = random.integers(pictures.shape[1] - height + 1, size=number)
    left = random.integers(pictures.shape[2] - width + 1, size=number)
    patches = np.empty((number, height, width, pictures.shape[3]), np.uint8)
    for i in range(number):
        patches[i] = pictures[which[i], top[i] : top[i] + height, left[i] : left[i] + width]
    return patches


def textures(number: int, height: int, width: int, channels: int, random: np.random.Generator) -> np.ndarray:
    """Computed patches uint8 [number, height, width, channels]: 4x4 cells between whose random corners is interpolated.

    The arithmetic is that of whole numbers, so that every machine computes the same.
    """
    corners = random.integers(_BRIGHTEST + 1, size=(number, _CELLS + 1, _CELLS + 1, channels))
    for axis, side in ((1, height), (2, width)):
        place = np.arange(side) * _CELLS
        cell, share = np.divmod(place, side)
        share = share.reshape(-1, *(1,) * (3 - axis))
        low, high = corners.take(cell, axis), corners.take(cell + 1, axis)
        corners = (low * (side - share) + high * share) // side
    return corners.astype(np.uint8)
