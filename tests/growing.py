"""Sizes of networks that grow by phases, as published: with the layers to and from the image of all stages."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def count_published(generator: nn.Module, discriminator: nn.Module, side: int) -> tuple[int, int]:
    """The parameters of a generator of 512 latents and a discriminator of images [side, side, 3].

    gan_jax has the layers to and from the image of the last stage alone; those of the earlier ones are added.
    """

    def count(module, *inputs):
        variables = jax.eval_shape(lambda key: module.init(key, *inputs, train=False), jax.random.key(0))
        return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))

    earlier = [min(16384 // one, 512) for one in (4, 8, 16, 32, 64, 128, 256, 512) if one < side]
    return (
        count(generator, jnp.zeros((1, 512))) + sum(3 * width + 3 for width in earlier),
        count(discriminator, jnp.zeros((1, side, side, 3))) + sum(4 * width for width in earlier),
    )
