"""InfoGAN: a generator whose latents have codes, which a head of the discriminator recognises in its examples."""

import functools
import math
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax.adversarial import adversarial, require_single_discriminator
from gan_jax.codes import Codes
from gan_jax.errors import UserError
from gan_jax.game import Array, Game, Key, Pair, PyTree, as_latents
from gan_jax.layers.choices import is_on, require
from gan_jax.losses import Loss
from gan_jax.models.infogan import Recognizing
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT, COUNT_OR_NONE
from gan_jax.terms import NO_TERMS, Term, View, check_weights, joined


def categorical_information(codes: Array, logits: Array) -> Array:
    """The lower bound of the mutual information of a categorical code and the examples made from it, in nats.

    Chen et al. 2016, equation 4: H(c) + E log Q(c | x), at most log k, for categories that are equally likely.

    Args:
        codes: one-hot vectors [B, k].
        logits: [B, k] of Q(c | x) for the example of each code.
    """
    return math.log(codes.shape[1]) + (codes * jax.nn.log_softmax(logits)).sum(1).mean()


def continuous_information(codes: Array, means: Array, log_deviations: Array) -> Array:
    """The same for continuous codes [B, c], which are uniform in [-1, 1) and independent: H(c) = c log 2.

    Q(c | x) is a product of Gaussians. With deviations of 1 the bound is loose: at most c (log 2 - log(2 pi) / 2),
    which is below 0.

    Args:
        codes: [B, c].
        means: [B, c] of Q(c | x) for the example of each code.
        log_deviations: [B, c], logarithms of its standard deviations.
    """
    likelihood = jax.scipy.stats.norm.logpdf(codes, means, jnp.exp(log_deviations))
    return codes.shape[1] * math.log(2) + likelihood.sum(1).mean()


def information(codes: Codes, categorical_weight: float = 1.0, continuous_weight: float = 1.0) -> Pair:
    """The terms of InfoGAN: both players maximise the bounds for the fake examples (Chen et al. 2016, equation 6).

    The metrics `categorical_information`, the sum over the categorical codes, and `continuous_information` are the
    bounds; each is subtracted from the losses.

    Args:
        codes: those of the latents and of the `Judgement`.
        categorical_weight: factor of the bound of categorical codes; 0: off.
        continuous_weight: factor of that of continuous ones; 0: off.
    """

    def categorical(view: View) -> Array:
        (drawn, _), (logits, *_) = codes.of_latents(view.latents), codes.of_outputs(_recognized(view))
        return sum(map(categorical_information, drawn, logits))

    def continuous(view: View) -> Array:
        (_, drawn), (_, *gaussian) = codes.of_latents(view.latents), codes.of_outputs(_recognized(view))
        return continuous_information(drawn, *gaussian)

    def subtracted(name: str, weight: float, value: Callable[[View], Array], number: int) -> tuple[Term, ...]:
        check_weights({name: weight})
        is_there = number > 0 and is_on(weight)
        return (Term(name, -weight, lambda view, memory: (value(view), memory)),) if is_there else ()

    terms = (
        *subtracted('categorical_information', categorical_weight, categorical, len(codes.categories)),
        *subtracted('continuous_information', continuous_weight, continuous, codes.continuous),
    )
    return Pair(terms, terms)


def infogan(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    latents: Callable[[Key, Array], Array] | int,
    *,
    codes: Codes,
    categorical_weight: float = 1.0,
    continuous_weight: float = 1.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The adversarial game with codes in the latents, and with the terms of `information`.

    Args:
        generator: latents [B, d] -> examples [B, ...].
        discriminator: examples [B, ...] -> a `Judgement` with codes [B, codes.outputs].
        loss: the adversarial loss of each player.
        latents: how latents are drawn before their last components are replaced by codes, or their size d, if they are
            standard normal.
        codes: the codes.
        categorical_weight: factor of the information of categorical codes.
        continuous_weight: factor of that of continuous codes.
        terms: further terms of each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`, except several discriminators, replay, a latent
            step and a condition.

    Returns:
        A game as `adversarial` makes it. Where there is a categorical code, it classifies by the first.

    Raises:
        UserError: an option is impossible; when a step is traced, the discriminator has no such codes.
    """
    require(codes.size > 0, 'The number of codes', codes.size, 'at least 1')
    require_single_discriminator(options)
    require(not options.get('replay'), 'replay', options.get('replay'), '0, since replayed examples have no codes')
    require(options.get('latent_step') is None, 'latent_step', options.get('latent_step'), 'None, since it moves codes')
    drawn = as_latents(latents)
    game = adversarial(
        generator,
        discriminator,
        loss,
        codes.latents(drawn),
        terms=joined([information(codes, categorical_weight, continuous_weight), terms]),
        **options,
    )

    def classify(params: PyTree, variables: PyTree, examples: Array) -> Array:
        judged, _ = discriminator.apply(params, variables, examples, None, False)
        return codes.of_outputs(judged.codes)[0][0]

    return game._replace(codes=codes, classify=classify if codes.categories else None)


def from_config(
    categories: Annotated[tuple[int, ...], COUNT] = (10,),
    continuous: Annotated[int, COUNT_OR_NONE] = 2,
    learnt_deviations: bool = False,
    categorical_weight: Annotated[float, AMOUNT] = 1.0,
    continuous_weight: Annotated[float, AMOUNT] = 1.0,
    recognition_width: Annotated[int, COUNT] = 128,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over batches {'real'}.

    Args:
        categories: number of categories of each categorical code.
        continuous: number of continuous codes.
        learnt_deviations: whether the standard deviations of continuous codes are recognised too, or 1.
        categorical_weight: factor of the information of categorical codes.
        continuous_weight: factor of the information of continuous codes.
        recognition_width: units of the hidden layer of the recognition head.
        parts: parts of the game.

    Raises:
        UserError: the latents have no place for the codes and noise.
    """
    shape, size = parts.shape('real'), parts.config.latents.size
    codes = Codes(tuple(categories), continuous, learnt_deviations)
    require(size > codes.size, 'latents.size', size, f'above {codes.size}, the number of components that are codes')

    def discriminator(dtype: str) -> Network:
        head = functools.partial(
            Recognizing,
            outputs=codes.outputs,
            width=recognition_width,
            dtype=jnp.dtype(dtype),
            axis_name=parts.axis_name,
        )
        return parts.network('discriminator', shape, shape, dtype=dtype, within=head)

    return infogan(
        parts.network('generator', (size,), shape),
        discriminator(parts.config.dtype),
        parts.loss,
        parts.latents,
        codes=codes,
        categorical_weight=categorical_weight,
        continuous_weight=continuous_weight,
        critic=parts.critic(discriminator),
        **parts.options,
    )


def _recognized(view: View) -> Array:
    if view.fake_judgement.codes is None:
        raise UserError(
            'InfoGAN needs codes in the Judgement of its discriminator: put it into gan_jax.models.infogan.Recognizing.'
        )
    return view.fake_judgement.codes
