"""The game of a generator against a discriminator, with all optional parts."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.augmentation import augment
from gan_jax.balance import NO_BALANCE, Balance
from gan_jax.errors import UserError
from gan_jax.game import Array, Game, Key, Pair, PlayerLoss, Turn, as_latents
from gan_jax.latent_step import LatentStep
from gan_jax.layers.choices import choose, is_on, is_traced, require, require_functions_of_step
from gan_jax.layers.resampling import faded
from gan_jax.losses import LOSSES, Loss
from gan_jax.networks import Network
from gan_jax.passes import Passes
from gan_jax.terms import NO_TERMS, Term, check_terms

COMBINATIONS: dict[str, Callable[[Array], Array]] = {
    'mean': jnp.mean,
    'max': jnp.max,  # against the best discriminator: Durugkar et al. 2017, equation 3
    'softmax': lambda losses: jnp.sum(jax.nn.softmax(losses) * losses),  # section 4.1, lambda = 1
}


def adversarial(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    latents: Callable[[Key, Array], Array] | int,
    *,
    condition: jax.ShapeDtypeStruct | None = None,
    terms: Pair = NO_TERMS,
    lazy: tuple[int, int] = (1, 1),
    critic: Network | None = None,
    augmentation: augment.Augmentation | None = None,
    noise: Callable[[Array], Array] | None = None,
    real_fade: Callable[[Array], Array] | None = None,
    flip_labels: float = 0.0,
    replay: int = 0,
    top_share: Callable[[Array], Array] | None = None,
    discriminators: int = 1,
    combine: str = 'mean',
    discriminator_steps: int = 1,
    generator_steps: int = 1,
    discriminator_count: Callable[[Array], Array] | None = None,
    balance: Balance = NO_BALANCE,
    unrolled_steps: int = 0,
    latent_step: LatentStep | None = None,
    axis_name: str | None = None,
) -> Game:
    """The game of one generator against one or several discriminators (Goodfellow et al. 2014, algorithm 1).

    Args:
        generator: latents [B, ...] -> examples [B, ...]. In training it may return several images per example, such as
            the stages [B, stages, H, W, C], to a discriminator that accepts them.
        discriminator: examples [B, ...] -> logits [B] or a `Judgement`.
        loss: the loss of each player.
        latents: how latents are drawn, or the size of a standard normal latent vector.
        condition: shape and dtype of one example's condition (`jax.ShapeDtypeStruct((), jnp.int32)` for class labels),
            or a tree of them; None: the game is unconditional. Fake examples have the conditions of the real examples
            of the batch.
        terms: added to each player's loss; see `gan_jax.terms`.
        lazy: k for the generator and for the discriminator; lazy terms are applied in every k-th round only, with
            k times the weight and in a separate update (Karras et al. 2020, StyleGAN2, appendix B).
        critic: the discriminator for gradient penalties, with the same parameters, which allows
            float32 arithmetic when the discriminator itself uses less. None: the discriminator.
        augmentation: augmentation of all inputs of the discriminator, in both players' steps.
        noise: step -> standard deviation of Gaussian noise on all inputs of the discriminator, after augmentation.
        real_fade: step -> a share from 0 (half the resolution) to 1 (the full resolution), with which both
            players see the real images (Karras et al. 2018, "Progressive Growing of GANs", figure 2); None: 1.
        flip_labels: probability that a real and a fake example are exchanged in the discriminator's loss.
        replay: size of the replay buffer of fake examples; half of those shown to the discriminator come from it
            (Shrivastava et al. 2017, section 2.3). 0: none.
        top_share: step -> share of the fake examples, with the highest logits, that the generator learns from
            (Sinha et al. 2020); None: all.
        discriminators: number of discriminators, each with its own parameters and randomness (Durugkar et al. 2017).
        combine: the generator's loss over several discriminators: 'mean', 'max' or 'softmax'.
        discriminator_steps: steps of the discriminator in each round, each on a fresh batch and fresh noise.
        generator_steps: steps of the generator in each round, each on fresh noise.
        discriminator_count: step -> number of discriminator steps in that round; None: all.
        balance: when a player skips a step.
        unrolled_steps: steps that a copy of the discriminator takes, as its optimiser would, before the generator's
            loss is computed against it; the gradient passes through them (Metz et al. 2017, "Unrolled Generative
            Adversarial Networks", equations 7 to 10). Adam needs `eps_root` above 0 for that.
        latent_step: a step of the latents by the discriminator before each pass of either player (Wu et al. 2019,
            LOGAN); None: there is none.
        axis_name: the mapped axis of the global batch, when the game runs under `pmap` or
            `shard_map`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'real': [B, ...]}`, with
        `'label': [B, ...]` when there is a condition. Real and fake examples pass through the discriminator one after
        the other, each normalised by its own batch statistics (Ioffe and Szegedy 2015; the DCGAN practice). The losses
        see the logits of the whole global batch.

    Raises:
        UserError: an argument has the wrong type, or an option's value is impossible; when a step is traced, a batch
            without the examples or labels that the game needs.
    """
    _check_kinds(generator, discriminator, loss, terms, augmentation, condition)
    require_functions_of_step(
        noise=noise, real_fade=real_fade, top_share=top_share, discriminator_count=discriminator_count
    )
    is_pair = isinstance(lazy, Sequence) and len(lazy) == 2 and all(isinstance(k, int) and k >= 1 for k in lazy)
    require(is_pair, 'lazy', lazy, 'two whole numbers of at least 1, of the generator and of the discriminator')
    require(discriminators >= 1, 'The number of discriminators', discriminators, 'at least 1')
    require(replay >= 0, 'replay', replay, 'at least 0')
    require(discriminator_steps >= 1, 'The number of discriminator steps', discriminator_steps, 'at least 1')
    require(generator_steps >= 1, 'The number of generator steps', generator_steps, 'at least 1')
    require(is_traced(flip_labels) or 0 <= flip_labels <= 1, 'flip_labels', flip_labels, 'a probability')
    balance.check()
    if latent_step is not None:
        latent_step.check()
    passes = Passes(
        generator=generator,
        discriminator=discriminator,
        loss=loss,
        latents=as_latents(latents),
        condition=condition,
        now=Pair(*(_due(some, every, lazily=False) for some, every in zip(terms, lazy, strict=True))),
        later=Pair(*(_due(some, every, lazily=True) for some, every in zip(terms, lazy, strict=True))),
        every=Pair(*lazy),
        critic=critic or discriminator,
        augmentation=augmentation,
        noise=noise,
        flip_labels=flip_labels,
        replay=replay,
        top_share=top_share,
        discriminators=discriminators,
        combine=choose(COMBINATIONS, combine, 'way to combine discriminators'),
        reads_fooled=is_on(balance.fooling),
        latent_step=latent_step,
        axis_name=axis_name,
    )

    def of_faded(loss: PlayerLoss) -> PlayerLoss:
        if real_fade is None:
            return loss

        def faded_loss(params, state, batch, key, positions):
            real = faded(batch['real'], real_fade(state.step))
            return loss(params, state, {**batch, 'real': real}, key, positions)

        return faded_loss

    turns = [
        Turn(
            'discriminator',
            of_faded(passes.discriminator_loss),
            times=discriminator_steps,
            fresh=True,
            count=discriminator_count,
            gate=None if balance.measure == 'none' else balance.discriminator_moves,
        ),
        _lazy_turn('discriminator', of_faded(passes.lazy_discriminator_loss), lazy[1], passes.later.discriminator),
        Turn(
            'generator',
            of_faded(passes.generator_loss),
            times=generator_steps,
            gate=balance.generator_moves if passes.reads_fooled else None,
            unrolled=('discriminator', unrolled_steps) if unrolled_steps else None,
            keeps=('loss',) if balance.measure == 'loss_ratio' else (),
        ),
        _lazy_turn('generator', of_faded(passes.lazy_generator_loss), lazy[0], passes.later.generator),
    ]
    return Game(
        passes.init,
        tuple(filter(None, turns)),
        passes.sample,
        passes.latents,
        passes.memory,
        given='' if condition is None else 'label',
        discriminate=passes.discriminate,
        training_pass=passes.training_pass,
        styles=generator.styles and passes.styles,
        synthesize=generator.synthesize and passes.synthesize,
    )


def require_single_discriminator(options: Mapping[str, Any]) -> None:
    """Raises a UserError if these options of `adversarial` ask for several discriminators."""
    number = options.get('discriminators', 1)
    require(number == 1, 'The number of discriminators', number, '1')


def refuse_augmentation(options: Mapping[str, Any], game: str, reason: str, remedy: str = 'unset augment') -> None:
    """Raises a UserError if these options of `adversarial` have an augmentation, which the game does not support."""
    if options.get('augmentation') is not None:
        raise UserError(f'{game} does not support augmentation, because {reason}: {remedy}.')


def _check_kinds(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    terms: Pair,
    augmentation: augment.Augmentation | None,
    condition: Any,
) -> None:
    """Raises a UserError for common mistakes in the arguments of `adversarial`."""
    for what, network in (('generator', generator), ('discriminator', discriminator)):
        if not isinstance(network, Network):
            raise UserError(
                f'The {what} is a {type(network).__name__}: give a gan_jax.networks.Network, made by from_flax(module, '
                'input_shape) or pure(init, apply).'
            )
    if not isinstance(loss, Loss):
        name = getattr(loss, '__name__', loss)
        hint = f': call it, {name}()' if inspect.isfunction(loss) and name in LOSSES else ''
        if isinstance(loss, str):
            hint = f': write gan_jax.losses.{loss if loss in LOSSES else "hinge"}()'
        raise UserError(f'The loss is a {type(loss).__name__}, not a gan_jax.losses.Loss{hint}.')
    check_terms(terms)
    if not isinstance(augmentation, augment.Augmentation | None):
        raise UserError(
            f'The augmentation is a {type(augmentation).__name__}: give what a function of '
            'gan_jax.augmentation.augment returns, such as diff_augment().'
        )
    for leaf in jax.tree.leaves(condition):
        if not hasattr(leaf, 'shape'):
            raise UserError(
                f'The condition has a {type(leaf).__name__}: give the shape and dtype of one example, such as '
                'jax.ShapeDtypeStruct((), jnp.int32) for class labels.'
            )


def _lazy_turn(player: str, loss: PlayerLoss, every: int, terms: Sequence[Term]) -> Turn | None:
    """The turn of a player's terms with a separate update; None if it has none."""
    if not terms:
        return None
    return Turn(player, loss, name=f'{player}/lazy', every=every, keeps=tuple(term.name for term in terms))


def _due(terms: Sequence[Term], every: int, *, lazily: bool) -> tuple[Term, ...]:
    """The terms with a separate update, or those without."""
    return tuple(term for term in terms if (term.lazy and every > 1) == lazily)
