"""l-GAN: a game of the codes of an autoencoder of point clouds, which is a phase before."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.adversarial import adversarial
from gan_jax.chamfer import chamfer
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, PyTree, Turn
from gan_jax.layers.choices import choose
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.translators import over_batches

_STAGES = 'autoencoder', 'codes'


class Coder(NamedTuple):
    """An autoencoder with a generator of codes, as pure functions.

    Attributes:
        init: key -> (params, variables).
        code: (params, variables, latents [B, n]) -> codes [B, c].
        encode: (params, variables, clouds [B, points, 3], train) -> (codes [B, c], new variables).
        decode: (params, variables, codes [B, c]) -> clouds [B, points, 3].
    """

    init: Callable[[Key], tuple[PyTree, PyTree]]
    code: Callable[[PyTree, PyTree, Array], Array]
    encode: Callable[[PyTree, PyTree, Array, bool], tuple[Array, PyTree]]
    decode: Callable[[PyTree, PyTree, Array], Array]


def latent_gan(
    generator: Coder,
    discriminator: Network,
    loss: Loss,
    latents: Callable[[Key, Array], Array] | int,
    *,
    stage: str = 'codes',
    **options: Any,
) -> Game:
    """The game of codes.

    Achlioptas et al. 2018, "Learning Representations and Generative Models for 3D Point Clouds", section 3 (l-GAN). In
    the stage 'autoencoder' the generator learns to decode what it encodes, by the Chamfer distance. In the stage
    'codes' it learns to make codes that the discriminator takes for codes of real clouds, and encoder and decoder do
    not change: begin this stage with fresh optimisers.

    Args:
        generator: the autoencoder and the generator of codes.
        discriminator: codes [B, c] -> logits [B] or a `Judgement`.
        loss: the loss of each player in the stage 'codes'.
        latents: how latents are drawn, or the size of a standard normal latent vector.
        stage: 'autoencoder' or 'codes'.
        **options: options of `gan_jax.adversarial.adversarial`, for codes.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'real': [B, points, 3]}`. In the first
        stage only the generator moves; its metrics have `chamfer`, and pictures show clouds beside their
        reconstructions.

    Raises:
        UserError: an option is impossible.
    """
    choose(dict.fromkeys(_STAGES), stage, 'stage')

    def made(params, variables, latents, key, train, condition=None):
        del key, train, condition
        return generator.code(params, variables, latents), variables

    game = adversarial(Network(generator.init, made), discriminator, loss, latents, **options)

    def with_codes(batch: Batch, state: GanState, *_: Array) -> Batch:
        codes, _ = generator.encode(*state.generator[:2], batch['real'], False)
        return {**batch, 'real': codes}

    def again(params: PyTree, variables: PyTree, clouds: Array, train: bool) -> tuple[Array, PyTree]:
        codes, variables = generator.encode(params, variables, clouds, train)
        return generator.decode(params, variables, codes), variables

    def reconstruction(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        del key, positions
        clouds, variables = again(params, state.generator.variables, batch['real'], True)
        value = chamfer(clouds, batch['real']).mean()
        return value, Outcome(variables, {'chamfer': value})

    def sample(params: PyTree, variables: PyTree, latents: Array, condition: Array | None = None) -> Array:
        del condition
        return generator.decode(params, variables, generator.code(params, variables, latents))

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        del latents
        return {'real': batch['real'], 'reconstruction': again(params, variables, batch['real'], False)[0]}

    game = game._replace(sample=sample, discriminate=None, training_pass=None)
    if stage == 'autoencoder':
        turn = Turn('generator', reconstruction, times=options.get('generator_steps', 1))
        return game._replace(turns=(turn,), show=show)
    return game._replace(turns=over_batches(game.turns, with_codes))


def from_config(stage: str = 'codes', *, parts: Parts) -> Game:
    """The game of a config, over batches {'real'} of point clouds.

    Args:
        stage: 'autoencoder' or 'codes'; each is a phase.
        parts: parts of the game.

    Raises:
        UserError: the generator has no codes, or an option is impossible.
    """
    if stage == 'codes':
        parts.refuse_decay('the autoencoder')
    shape, size = parts.shape('real'), parts.config.latents.size
    generator = coder_of(parts.module('generator', shape), size)
    codes = jax.eval_shape(lambda key: generator.code(*generator.init(key), jnp.zeros((1, size))), jax.random.key(0))

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', codes.shape[1:], codes.shape[1:], dtype=dtype)

    return latent_gan(
        generator,
        discriminator(),
        parts.loss,
        parts.latents,
        stage=stage,
        critic=parts.critic(discriminator),
        **parts.options,
    )


def coder_of(module: nn.Module, size: int) -> Coder:
    """The functions of a linen module with the methods `code`, `encode` and `decode`.

    Args:
        module: called with latents, it makes all of its parameters.
        size: size of a latent vector.

    Raises:
        UserError: it lacks one of the methods.
    """
    if missing := [name for name in ('code', 'encode', 'decode') if not hasattr(module, name)]:
        raise UserError(
            f'latent_gan needs a generator with codes, and this one has no {missing[0]}: use the family '
            'latent_pointgan.'
        )

    def init(key: Key) -> tuple[PyTree, PyTree]:
        variables = dict(module.init(key, jnp.zeros((1, size)), train=False))
        return variables.pop('params'), variables

    def method(name: str) -> Callable[[PyTree, PyTree, Array], Array]:
        return lambda params, variables, inputs: module.apply(
            {'params': params, **variables}, inputs, train=False, method=name
        )

    def encode(params: PyTree, variables: PyTree, clouds: Array, train: bool) -> tuple[Array, PyTree]:
        if not train:
            return method('encode')(params, variables, clouds), variables
        collections = {'params': params, **variables}
        codes, updated = module.apply(collections, clouds, train=True, method='encode', mutable=list(variables))
        return codes, {**variables, **updated}

    return Coder(init, method('code'), encode, method('decode'))
