"""BiGAN and ALI: a generator of images and an encoder of images against a discriminator of pairs."""

import math
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax.adversarial import adversarial
from gan_jax.encoding import Encoding, encoding
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, PlayerLoss, PyTree, as_latents, stream
from gan_jax.judgement import judgement
from gan_jax.layers.choices import is_on, require_not_negative
from gan_jax.layers.networks import flatten
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.translators import no_latents

ROLES = ('generator', 'discriminator', 'encoder')
_UNEVEN_LOSSES = ('least_squares', 'mean_squares', 'f_divergence', 'margin', 'equilibrium')


def bigan(
    generator: Network,
    encoder: Network,
    discriminator: Network,
    loss: Loss,
    latents: Callable[[Key, Array], Array] | int,
    *,
    shape: tuple[int, ...],
    decay: float = 0.0,
    **options: Any,
) -> Game:
    """The game of pairs of images and codes.

    Donahue et al. 2017, "Adversarial Feature Learning", section 3; Dumoulin et al. 2017, "Adversarially Learned
    Inference", section 2. The discriminator tells the pairs (x, E(x)) of real images x from the pairs (G(z), z) of
    latents z. The generator makes its pairs pass for those of the encoder, and the encoder makes its pairs pass for
    those of the generator: it minimises the generator's loss with the opposite sign of all logits. With the
    non-saturating loss this is -log(1 - D(x, E(x))). At the optimum the encoder inverts the generator.

    Args:
        generator: latents [B, n] -> images [B, *shape].
        encoder: images [B, *shape] -> codes [B, n] or an `Encoding`.
        discriminator: pairs [B, pixels + n], an image, flattened, and then its code -> logits [B] or a `Judgement`.
        loss: the loss of the generator and the discriminator. It must treat real and generated examples alike except
            for the sign of the logit; `least_squares` with the targets 0 and 1 does not.
        latents: how latents are drawn, or the size of a standard normal latent vector.
        shape: shape of one image.
        decay: half of this times the sum of a player's squared weights (parameters of two or more dimensions) is added
            to its loss.
        **options: options of `gan_jax.adversarial.adversarial`, of which `terms` are those of the generator and the
            discriminator, and balance is theirs too; not augmentation or `real_fade`, which change images, not pairs,
            nor `latent_step`, since the encoder has no latents.

    Returns:
        A game of the players 'discriminator', 'generator' and 'encoder' over batches `{'real': [B, *shape]}`. Averages
        are kept of the generator and the encoder. The encoder's metrics have `reconstruction`, the mean squared
        difference of G(E(x)) and x in training mode. `encode` infers codes in evaluation mode.

    Raises:
        UserError: an option is impossible.
    """
    require_not_negative('decay', decay)
    for name in ('augmentation', 'real_fade', 'latent_step'):
        if options.get(name) is not None:
            raise UserError(f'BiGAN does not support {name}, because its discriminator sees pairs: unset it.')
    draw = as_latents(latents)
    game = adversarial(_of_pairs(generator), discriminator, loss, draw, **options)
    shared = {name: value for name, value in options.items() if name not in ('terms', 'lazy', 'critic', 'balance')}
    mirrored = adversarial(
        _inferring(encoder),
        _mirrored(discriminator),
        loss,
        no_latents,
        condition=jax.ShapeDtypeStruct(tuple(shape), jnp.float32),
        **shared,
    ).turn('generator')

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        return {**game.init(key), 'encoder': encoder.init(stream(key, 'encoder'))}

    def against_codes(loss: PlayerLoss) -> PlayerLoss:
        """A loss over pairs as one over images: their codes are those of the encoder."""

        def whole(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            made, _ = encoder.apply(*state.players['encoder'][:2], batch['real'], stream(key, 'encoder'), True)
            pairs = _pairs(batch['real'], encoding(made).codes)
            return loss(params, state, {**batch, 'real': pairs}, key, positions)

        return whole

    def encoder_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        images, maker = batch['real'], state.generator[:2]
        latents = draw(stream(key, 'latents'), positions)
        made, _ = generator.apply(*maker, latents, stream(key, 'images'), True)
        players = {'generator': state.players['encoder'], 'discriminator': state.discriminator}
        value, outcome = mirrored.loss(
            params,
            state.replace(players=players, memory={}),
            {'real': _pairs(made, latents), 'label': images},
            key,
            positions,
        )
        codes, _ = encoder.apply(params, state.players['encoder'].variables, images, stream(key, 'generator'), True)
        again, _ = generator.apply(*maker, encoding(codes).codes, stream(key, 'again'), True)
        error = jnp.square(again - images).mean()
        metrics = {**outcome.metrics, 'reconstruction': jax.lax.stop_gradient(error)}
        return value, Outcome(outcome.variables, metrics)

    def sample(params: PyTree, variables: PyTree, latents: Array, condition: Array | None = None) -> Array:
        del condition
        return generator.apply(params, variables, latents, None, False)[0]

    def encode(params: PyTree, variables: PyTree, images: Array) -> Encoding:
        return encoding(encoder.apply(params, variables, images, None, False)[0])

    turns = [turn._replace(loss=against_codes(turn.loss)) for turn in game.turns]
    turns.append(mirrored._replace(player='encoder', loss=encoder_loss, gate=None))
    if is_on(decay):
        turns = [turn if turn.name else turn._replace(loss=_decayed(turn.loss, decay)) for turn in turns]
    return game._replace(
        init=init,
        turns=tuple(turns),
        sample=sample,
        averaged=('generator', 'encoder'),
        discriminate=None,
        styles=None,
        synthesize=None,
        encode=encode,
    )


def from_config(decay: Annotated[float, AMOUNT] = 0.0, *, parts: Parts) -> Game:
    """The game of a config, over batches {'real'}.

    Args:
        decay: half of this times the sum of a player's squared weights is added to its loss.
        parts: parts of the game.
    """
    shape, name = parts.shape('real'), parts.config.loss.name
    if name in _UNEVEN_LOSSES:
        raise UserError(
            f'loss.name={name} does not treat real and generated pairs alike, so the encoder has no loss: choose '
            'non_saturating, hinge, wasserstein or a relativistic loss.'
        )
    codes = (parts.config.latents.size,)
    pairs = (math.prod(shape) + codes[0],)

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', pairs, shape, dtype=dtype)

    return bigan(
        parts.network('generator', codes, shape),
        parts.network('encoder', shape, codes),
        discriminator(),
        parts.loss,
        parts.latents,
        shape=shape,
        decay=decay,
        critic=parts.critic(discriminator),
        **parts.options,
    )


def _pairs(images: Array, codes: Array) -> Array:
    """Images [B, ...] and codes [B, n] -> pairs [B, pixels + n], at least float32."""
    dtype = jnp.promote_types(jnp.result_type(images, codes), jnp.float32)
    return jnp.concatenate([flatten(images).astype(dtype), codes.astype(dtype)], axis=1)


def _of_pairs(generator: Network) -> Network:
    """A generator whose examples are its images, each with its latent."""

    def apply(params, variables, latents, key, train, condition=None):
        del condition
        images, variables = generator.apply(params, variables, latents, key, train)
        return _pairs(images, latents), variables

    return Network(generator.init, apply)


def _inferring(encoder: Network) -> Network:
    """An encoder as a generator of pairs, whose condition is the image."""

    def apply(params, variables, latents, key, train, condition=None):
        del latents
        made, variables = encoder.apply(params, variables, condition, key, train)
        return _pairs(condition, encoding(made).codes), variables

    return Network(encoder.init, apply)


def _mirrored(discriminator: Network) -> Network:
    """A discriminator that takes generated pairs for real; it ignores the condition."""

    def apply(params, variables, pairs, key, train, condition=None):
        del condition
        judged, variables = discriminator.apply(params, variables, pairs, key, train)
        judged = judgement(judged)
        return judged._replace(logits=-judged.logits), variables

    return Network(discriminator.init, apply)


def _decayed(loss: PlayerLoss, decay: float) -> PlayerLoss:
    """The loss with half of `decay` times the sum of the squared weights."""

    def whole(params: PyTree, *arguments: Any):
        value, outcome = loss(params, *arguments)
        weights = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
        return value + decay / 2 * sum(jnp.sum(leaf**2) for leaf in weights), outcome

    return whole
