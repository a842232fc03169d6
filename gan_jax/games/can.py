"""CAN: a generator of examples that look real and whose class, in the paper a style, is ambiguous."""

import functools
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from gan_jax.adversarial import adversarial, require_single_discriminator
from gan_jax.errors import UserError
from gan_jax.game import Array, Game, Key, Pair, PyTree
from gan_jax.judgement import Judgement, judgement
from gan_jax.layers.choices import choose, require
from gan_jax.layers.heads import Classifying
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT
from gan_jax.terms import NO_TERMS, View, joined, one_term

NEEDS_CLASSES = True


def binary_ambiguity(logits: Array) -> Array:
    """The cross-entropies of K yes-or-no questions, each with the target 1 / K: the mean over examples of their sum.

    Elgammal et al. 2017, equation 3: -sum_k (1/K log p_k + (1 - 1/K) log(1 - p_k)), with p the softmax. It is smallest
    where all p_k are 1 / K.

    Args:
        logits: [B, K] of classes, K at least 2.
    """
    count = logits.shape[1]
    log_p = jax.nn.log_softmax(logits)
    log_rest = jax.nn.logsumexp(jnp.where(jnp.eye(count, dtype=bool), -jnp.inf, log_p[:, None]), axis=-1)
    return -jnp.mean(jnp.sum(log_p / count + (1 - 1 / count) * log_rest, axis=-1))


def uniform_ambiguity(logits: Array) -> Array:
    """The mean cross-entropy of class logits [B, K] with equal probabilities, -1/K sum_k log p_k."""
    return -jnp.mean(jax.nn.log_softmax(logits))


AMBIGUITIES: dict[str, Callable[[Array], Array]] = {'binary': binary_ambiguity, 'uniform': uniform_ambiguity}


def ambiguity(generator_weight: float = 1.0, class_weight: float = 1.0, target: str = 'binary') -> Pair:
    """The terms of CAN: the discriminator classifies real examples, the generator's should be ambiguous.

    Args:
        generator_weight: weight of the ambiguity of fake examples; 0: off.
        class_weight: weight of the cross-entropy of the real examples' classes; 0: off.
        target: 'binary', as in the paper, or 'uniform'; see `AMBIGUITIES`.
    """
    measure = choose(AMBIGUITIES, target, 'target of ambiguity')

    def of_real(view: View) -> Array:
        logits = _classes(view.real_judgement)
        return optax.softmax_cross_entropy_with_integer_labels(logits, view.condition).mean()

    return Pair(
        one_term('ambiguity', generator_weight, lambda view: measure(_classes(view.fake_judgement))),
        one_term('class_loss', class_weight, of_real),
    )


def can(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    latents: Callable[[Key, Array], Array] | int,
    *,
    generator_weight: float = 1.0,
    class_weight: float = 1.0,
    target: str = 'binary',
    critic: Network | None = None,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The creative adversarial network: the adversarial game with the terms of `ambiguity`.

    Elgammal et al. 2017, "CAN: Creative Adversarial Networks, Generating "Art" by Learning About Styles and Deviating
    from Style Norms". Only the discriminator's class loss has the classes; no network gets them as input.

    Args:
        generator: latents [B, d] -> examples [B, ...].
        discriminator: examples [B, ...] -> a `Judgement` with class logits [B, K].
        loss: the adversarial loss of each player.
        latents: how latents are drawn, or the size of a standard normal latent vector.
        generator_weight: factor of the ambiguity in the generator's loss.
        class_weight: factor of the class loss in the discriminator's.
        target: form of the ambiguity, 'binary' or 'uniform'.
        critic: as in `gan_jax.adversarial.adversarial`.
        terms: further terms of each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`, except several discriminators and a condition.

    Returns:
        An unconditional game over batches `{'real': [B, ...], 'label': int [B]}`, which classifies.

    Raises:
        UserError: an option is impossible; when a step is traced, the discriminator has no classes, or the batch has no
            labels.
    """
    require_single_discriminator(options)
    game = adversarial(
        _blind(generator),
        _blind(discriminator),
        loss,
        latents,
        condition=jax.ShapeDtypeStruct((), jnp.int32),  # only the terms see the labels
        terms=joined([ambiguity(generator_weight, class_weight, target), terms]),
        critic=critic and _blind(critic),
        **options,
    )

    def classify(params: PyTree, variables: PyTree, examples: Array) -> Array:
        return _classes(judgement(discriminator.apply(params, variables, examples, None, False)[0]))

    return game._replace(given='', classify=classify)


def from_config(
    ambiguity_weight: Annotated[float, AMOUNT] = 1.0,
    class_weight: Annotated[float, AMOUNT] = 1.0,
    target: str = 'binary',
    head_widths: Annotated[tuple[int, ...], COUNT] = (1024, 512),
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over batches {'real', 'label'}.

    Args:
        ambiguity_weight: factor of the ambiguity of generated examples in the generator's loss.
        class_weight: factor of the class loss of real examples in the discriminator's.
        target: form of the ambiguity: 'binary', as in the paper, or 'uniform'.
        head_widths: units of the hidden layers before the class logits; () for none.
        parts: parts of the game.

    Raises:
        UserError: there are fewer than two classes, or a player is conditional.
    """
    shape = parts.shape('real')
    for role in Pair._fields:
        conditioning = parts.config[role].get('conditioning', 'none')
        require(conditioning == 'none', f'{role}.conditioning', conditioning, "'none' in the game can")
    require(
        parts.num_classes is not None and parts.num_classes > 1,
        'The number of classes',
        parts.num_classes,
        'at least 2',
    )

    def discriminator(dtype: str) -> Network:
        head = functools.partial(
            Classifying, num_classes=parts.num_classes, widths=tuple(head_widths), dtype=jnp.dtype(dtype)
        )
        return parts.network('discriminator', shape, shape, dtype=dtype, within=head)

    return can(
        parts.network('generator', (parts.config.latents.size,), shape),
        discriminator(parts.config.dtype),
        parts.loss,
        parts.latents,
        generator_weight=ambiguity_weight,
        class_weight=class_weight,
        target=target,
        critic=parts.critic(discriminator),
        **parts.options,
    )


def _blind(network: Network) -> Network:
    """The network without the condition, which only the terms get."""

    def apply(
        params: PyTree, variables: PyTree, inputs: Array, key: Key | None, train: bool, condition: Array | None = None
    ) -> tuple[Any, PyTree]:
        del condition
        return network.apply(params, variables, inputs, key, train)

    def styles(
        params: PyTree, variables: PyTree, latents: Array, key: Key | None, train: bool, condition: Array | None = None
    ) -> Array:
        del condition
        return network.styles(params, variables, latents, key, train)

    return network._replace(apply=apply, styles=network.styles and styles)


def _classes(judged: Judgement) -> Array:
    if judged.classes is None:
        raise UserError(
            'CAN needs class logits in the Judgement of its discriminator: put it into '
            'gan_jax.layers.heads.Classifying.'
        )
    return judged.classes
