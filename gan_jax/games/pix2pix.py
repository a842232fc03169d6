"""The game of pairs: pix2pix."""

import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax import global_batch, losses
from gan_jax.adversarial import adversarial, refuse_augmentation
from gan_jax.game import Array, Batch, Game, Key, Pair, PyTree
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import NO_TERMS, View, check_weights, joined
from gan_jax.translators import (
    distance,
    flat,
    of_generator,
    over_fields,
    translator,
)

BATCHES_OF_ONE = True


def pix2pix(
    generator: Network,
    discriminator: Network,
    loss: Loss | None = None,
    *,
    input_shape: tuple[int, int, int],
    sampler: Network | None = None,
    single: bool = False,
    l1: float = 100.0,
    adversary: float = 1.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of pairs (Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks").

    Args:
        generator: images [B, H, W, C] -> images [B, H, W, D]; its noise is dropout.
        discriminator: an input and a target, concatenated [B, H, W, C + D] -> logits [B, ...], one per patch.
        loss: the loss of each player; None: the non-saturating one.
        input_shape: (H, W, C).
        sampler: the generator for sampling, outside of any mapped axis; None: `generator`.
        single: whether batches contain one image, as published; samples then use their own batch statistics too
            (section 3.3), else running averages.
        l1: weight of the mean absolute difference between output and target (equation 4).
        adversary: weight of the adversarial part of the generator's loss; 0 leaves only L1, as in section 4.1. The
            discriminator is trained in both cases.
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'input': [B, H, W, C],
        'real': [B, H, W, D]}`, the real images being the targets. `sample(params, variables, noise, images)` translates
        images independently. Its noise is dropout, which stays on (section 2.2): a key for each image, uint32 [B, 2]
        from `latents`.

    Raises:
        UserError: an option is impossible, including augmentation, which would move the target without its input.
    """
    check_weights({'l1': l1, 'the adversary': adversary})
    refuse_augmentation(options, 'pix2pix', 'the target would move without its input')

    def difference(view: View) -> Array:
        return distance(view.fake, view.real)

    loss = loss or losses.non_saturating()
    game = adversarial(
        translator(generator),
        _of_pairs(discriminator),
        losses.weighted(loss, generator=adversary),
        _dropout_keys,
        condition=jax.ShapeDtypeStruct(tuple(input_shape), jnp.float32),
        terms=joined([of_generator('l1', l1, difference), terms]),
        **options,
    )

    def sample(params: PyTree, variables: PyTree, noise: Array, images: Array) -> Array:
        def one(noise: Array, image: Array) -> Array:
            key = jax.random.wrap_key_data(noise)
            return (sampler or generator).apply(params, variables, image[None], key, single)[0][0]

        return jax.vmap(one)(noise, images)

    def show(params: PyTree, variables: PyTree, noise: Array, batch: Batch) -> dict[str, Array]:
        made = sample(params, variables, noise, batch['input'])
        return {'input': batch['input'], 'output': made, 'target': batch['real']}

    turns = over_fields(game.turns, {'real': 'real', 'label': 'input'})
    return game._replace(turns=turns, sample=sample, given='input', show=show, discriminate=None)


def from_config(
    l1: Annotated[float, AMOUNT] = 100.0, adversary: Annotated[float, AMOUNT] = 1.0, *, parts: Parts
) -> Game:
    """The game of a config, over pairs: batches {'input', 'real'}.

    Args:
        l1: weight of the mean absolute difference between output and target.
        adversary: weight of the adversarial part of the generator's loss; 0: L1 only.
        parts: parts of the game.
    """
    inputs, shape = parts.shape('input'), parts.shape('real')
    options = parts.options
    pair = (*shape[:2], inputs[-1] + shape[-1])

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', pair, pair, dtype=dtype)

    return pix2pix(
        parts.network('generator', inputs, shape),
        discriminator(),
        parts.loss,
        input_shape=inputs,
        sampler=dataclasses.replace(parts, axis_name=None).network('generator', inputs, shape),
        single=parts.config.batch_size == parts.config.accumulate,
        l1=l1,
        adversary=adversary,
        critic=parts.critic(lambda dtype: _of_pairs(discriminator(dtype))),
        **options,
    )


def _dropout_keys(key: Key, positions: Array) -> Array:
    """A key of dropout uint32 [n, 2] for each position."""
    return global_batch.draw(jax.random.key_data, key, positions)


def _of_pairs(network: Network) -> Network:
    """A discriminator whose condition, an image, is concatenated before the example's channels."""

    def apply(params, variables, examples, key, train, condition=None):
        pairs = jnp.concatenate([condition.astype(examples.dtype), examples], axis=-1)
        return flat(network.apply(params, variables, pairs, key, train))

    return Network(network.init, apply)
