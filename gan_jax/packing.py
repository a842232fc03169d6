"""Packing: a discriminator judges several examples together.

Lin et al. 2018, "PacGAN: The Power of Two Samples in Generative Adversarial Networks", section 2.
"""

import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.game import Array
from gan_jax.networks import Network


def pack(examples: Array, number: int) -> Array:
    """Concatenates the channels of neighbouring examples: [B, ..., C] -> [B / number, ..., number C].

    Raises:
        UserError: the examples cannot be divided into packs.
    """
    if len(examples) % number:
        raise UserError(
            f'{len(examples)} examples cannot be divided into packs of {number}: choose a batch size of which each '
            'device (and each accumulated part) gets a multiple of that.'
        )
    packs = examples.reshape(-1, number, *examples.shape[1:])
    packs = jnp.moveaxis(packs, 1, -2)
    return packs.reshape(*packs.shape[:-2], -1)


def packed(network: Network, number: int) -> Network:
    """A discriminator of packs of examples, all of them real or all fake: [B, ..., C] -> [B / number] logits.

    Args:
        network: for inputs of `number` times the channels; unconditional.
        number: examples per pack.
    """

    def apply(params, variables, inputs, key, train, condition=None):
        if condition is not None:
            raise UserError('A discriminator of packs cannot be conditional: set packing=1.')
        return network.apply(params, variables, pack(inputs, number), key, train)

    return network._replace(apply=apply)
