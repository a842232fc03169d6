"""The game of the image recipes: a generator of latents against a discriminator; see `gan_jax.adversarial`."""

import functools
import warnings

import jax
import jax.numpy as jnp

from gan_jax import penalties
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Array, Game, Key, Pair
from gan_jax.judgement import judgement
from gan_jax.networks import Network
from gan_jax.packing import pack, packed
from gan_jax.parts import Parts, is_conditional
from gan_jax.runtime.compiler import ONCE
from gan_jax.terms import NO_TERMS, joined

_CROSS_SAMPLE_TERMS = ('gradient_penalty', 'zero_centered', 'dragan', 'r1', 'r2', 'approximate_r1', 'approximate_r2')


def from_config(*, parts: Parts, terms: Pair = NO_TERMS) -> Game:
    """The game of a config, over batches {'real'} and, where the networks are conditional, 'label'.

    Args:
        parts: parts of the game.
        terms: terms of each player's loss beside those of the config.

    Raises:
        UserError: the networks are conditional, and the data have no classes.
    """
    networks, options = make_networks(parts), parts.options
    return adversarial(
        networks.generator,
        networks.discriminator,
        parts.loss,
        parts.latents,
        condition=condition_of(parts),
        critic=parts.critic(lambda dtype: make_networks(parts, dtype).discriminator),
        **options | {'terms': joined([terms, options['terms']])},
    )


def make_networks(parts: Parts, dtype: str | None = None, generate: str = '__call__') -> Pair:
    """The players' networks.

    Args:
        parts: parts of the game.
        dtype: dtype of the arithmetic; None: the config's.
        generate: the method of the generator's module that makes its examples.
    """
    shape, condition, count = parts.shape('real'), condition_of(parts), parts.config.reference_batch

    packing = parts.config.packing

    def references(role: str, key: Key) -> tuple[Array, Array | None]:
        labels = None if condition is None else jnp.zeros((count, *condition.shape), condition.dtype)
        examples, labels = parts.reference or (jnp.zeros((count, *shape)), labels)
        return (parts.latents(key, jnp.arange(count)) if role == 'generator' else pack(examples, packing)), labels

    def network(role: str, inputs: tuple[int, ...], method: str = '__call__') -> Network:
        reference = lambda key: references(role, key)  # noqa: E731
        return parts.network(role, inputs, shape, condition=condition, reference=reference, dtype=dtype, method=method)

    generator = network('generator', (parts.config.latents.size,), generate)
    if packing == 1:
        return Pair(generator, network('discriminator', shape))
    if condition is not None:
        raise UserError(
            f'packing={packing} shows the discriminator several examples at once, which cannot be conditional: set '
            'it to 1, or unset the conditioning of both players.'
        )
    discriminator = network('discriminator', (*shape[:-1], packing * shape[-1]))
    return Pair(generator, packed(discriminator, packing))


def condition_of(parts: Parts) -> jax.ShapeDtypeStruct | None:
    """Shape and dtype of an example's condition, a class label; None in an unconditional game.

    Raises:
        UserError: only one of the players is conditional, or the data have no classes.
    """
    if not is_conditional(parts.config):
        return None
    if parts.num_classes is None:
        raise UserError(
            'The networks are conditional, but the data set has no classes: unset the conditioning of both players.'
        )
    return jax.ShapeDtypeStruct((), jnp.int32)


def warn_of_networks(parts: Parts) -> None:
    """Warns if a gradient penalty meets a discriminator that mixes the examples of a batch.

    Such a penalty differentiates each logit with respect to its own example, which is not meaningful if every logit
    depends on all examples. The check computes one gradient of the discriminator at its initial weights.
    """
    used = [term.name for term in parts.terms.discriminator if term.name in _CROSS_SAMPLE_TERMS]
    if not used or parts.config.packing > 1:  # packs are mixed on purpose
        return
    network, condition = make_networks(parts, dtype='float32').discriminator, condition_of(parts)
    count = 2 * max(2, parts.config.discriminator.get('minibatch_group') or 0)
    labels = None if condition is None else jnp.zeros((count, *condition.shape), condition.dtype)

    @functools.partial(jax.jit, compiler_options=ONCE)
    def mixes(key: Key) -> Array:
        params, variables = network.init(key)

        def critic(examples: Array) -> Array:
            return judgement(network.apply(params, variables, examples, key, True, labels)[0]).logits

        return penalties.mixes_examples(critic, jax.random.normal(key, (count, *parts.shape('real'))))

    if mixes(jax.random.key(0)):
        warnings.warn(
            penalties.MIXING_WARNING.format(penalty=' and '.join(f'penalties.{name}' for name in used)), stacklevel=2
        )
