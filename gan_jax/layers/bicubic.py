"""Images of another size by interpolation without parameters, as super-resolution makes and measures them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.layers.choices import choose


def bicubic(images: jax.Array, height: int, width: int) -> jax.Array:
    """Images [B, H, W, C] resampled to [B, height, width, C] in float32 by Keys' cubic kernel (a = -1/2).

    Where an image becomes smaller, the kernel is as much wider: the antialiased bicubic of MATLAB's imresize and of
    Pillow. At the border it is Pillow's, which leaves out places outside; MATLAB mirrors the image there.
    Values may be outside of the range of the images.
    """
    shape = (images.shape[0], height, width, images.shape[-1])
    return jax.image.resize(images.astype(jnp.float32), shape, 'cubic', antialias=True)


def repeated(images: jax.Array, factor: int) -> jax.Array:
    """Each pixel repeated: [B, H, W, C] -> [B, factor H, factor W, C]."""
    return images.repeat(factor, 1).repeat(factor, 2)


def _bicubic(images: jax.Array, factor: int) -> jax.Array:
    return bicubic(images, factor * images.shape[1], factor * images.shape[2])


ENLARGEMENTS: dict[str, Callable[[jax.Array, int], jax.Array]] = {'bicubic': _bicubic, 'nearest': repeated}


def enlarged(name: str, images: jax.Array, factor: int) -> jax.Array:
    """Images [B, H, W, C] -> [B, factor H, factor W, C] by 'bicubic' interpolation or that of the 'nearest' pixel.

    Raises:
        UserError: no interpolation has that name.
    """
    return choose(ENLARGEMENTS, name, 'interpolation')(images, factor)
