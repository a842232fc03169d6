"""StarGAN: translation between several domains by one generator."""

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from gan_jax import global_batch, losses
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Network, Pair, PlayerLoss, PyTree
from gan_jax.judgement import judgement
from gan_jax.layers.choices import require
from gan_jax.losses import Loss
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import NO_TERMS, View, joined, one_term
from gan_jax.translators import distance, renamed, without_condition

NEEDS_CLASSES = True


def stargan(
    generator: Network,
    discriminator: Network,
    loss: Loss | None = None,
    *,
    shape: tuple[int, int, int],
    num_domains: int,
    classification: float = 1.0,
    reconstruction: float = 10.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of several domains (Choi et al. 2018, equations 1 to 6).

    Args:
        generator: images [B, *shape], with one-hot domains [B, K] as condition -> images of these domains; it has no
            variables.
        discriminator: images -> a `Judgement` with logits [B, ...] and class logits [B, K].
        loss: the loss of each player; None: `gan_jax.losses.wasserstein`, which needs a gradient penalty among the
            terms.
        shape: (H, W, C).
        num_domains: K.
        classification: weight of the cross-entropy of the domain, of real images for the discriminator (equation 2)
            and of translations for the generator (equation 3).
        reconstruction: weight of the mean absolute difference of an image and the translation of its translation into
            its own domain (equation 4).
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`, but for replay.

    Returns:
        A game over batches `{'real': [B, *shape], 'label': [B]}`. The latents are one-hot domains [n, K], each equally
        likely: in training they are those of the translations, and `sample(params, variables, domains, images)`
        translates images. `classify` are the discriminator's class logits.

    Raises:
        UserError: an option is impossible; when a step is traced, the discriminator has no class logits.
    """
    require(num_domains >= 2, 'The number of domains', num_domains, 'at least 2')
    require(not options.get('replay'), 'replay', options.get('replay'), '0 in a StarGAN')

    def back(view: View) -> Array:
        own = jax.nn.one_hot(view.condition['domain'], num_domains)
        images, _ = generator.apply(view.params, {}, view.fake, view.key, True, own)
        return distance(images, view.condition['image'])

    def of_fake(view: View) -> Array:
        return optax.softmax_cross_entropy(_classes(view.fake_judgement), view.latents).mean()

    def of_real(view: View) -> Array:
        logits, domains = _classes(view.real_judgement), view.condition['domain']
        return optax.softmax_cross_entropy_with_integer_labels(logits, domains).mean()

    own_terms = Pair(
        (
            *one_term('classification', classification, of_fake),
            *one_term('reconstruction', reconstruction, back),
        ),
        one_term('classification', classification, of_real),
    )
    game = adversarial(
        _told_domains(generator),
        without_condition(discriminator),
        loss or losses.wasserstein(),
        lambda key, positions: _draw(key, positions, num_domains),
        condition={'image': jax.ShapeDtypeStruct(tuple(shape), jnp.float32), 'domain': jax.ShapeDtypeStruct((), int)},
        terms=joined([own_terms, terms]),
        **options,
    )

    def sample(params: PyTree, variables: PyTree, domains: Array, images: Array) -> Array:
        return generator.apply(params, variables, images, None, False, domains)[0]

    def show(params: PyTree, variables: PyTree, domains: Array, batch: Batch) -> dict[str, Array]:
        images, shown = batch['real'], {'image': batch['real']}
        for domain in range(num_domains):
            target = jnp.zeros_like(domains).at[:, domain].set(1)
            shown[f'in domain {domain}'] = sample(params, variables, target, images)
        return shown

    def classify(params: PyTree, variables: PyTree, images: Array) -> Array:
        return judgement(discriminator.apply(params, variables, images, None, False)[0]).classes

    turns = tuple(turn._replace(loss=_with_domains(turn.loss)) for turn in game.turns)
    return game._replace(
        turns=turns, sample=sample, given='real', show=show, discriminate=None, classify=classify, targets=_targets
    )


def from_config(
    classification: Annotated[float, AMOUNT] = 1.0, reconstruction: Annotated[float, AMOUNT] = 10.0, *, parts: Parts
) -> Game:
    """The game of a config, over batches {'real', 'label'}: the classes are the domains.

    Args:
        classification: weight of the cross-entropy of the domain for both players.
        reconstruction: weight of the difference of an image and the translation back of its translation.
        parts: parts of the game.
    """
    shape, domains = parts.shape('real'), parts.num_classes
    if domains is None:
        raise UserError(
            'StarGAN translates between the classes of its data, and these have none: choose labelled data.'
        )

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', shape, shape, dtype=dtype)

    return stargan(
        parts.network('generator', shape, shape, condition=jax.ShapeDtypeStruct((domains,), jnp.float32)),
        discriminator(),
        parts.loss,
        shape=shape,
        num_domains=domains,
        classification=classification,
        reconstruction=reconstruction,
        critic=parts.critic(lambda dtype: without_condition(discriminator(dtype))),
        **parts.options,
    )


def _targets(domains: Array) -> Array:
    return domains.argmax(-1)


def _draw(key: Key, positions: Array, number: int) -> Array:
    """One-hot domains [n, number], each equally likely."""
    domains = global_batch.draw(lambda key: jax.random.randint(key, (), 0, number), key, jnp.asarray(positions))
    return jax.nn.one_hot(domains, number)


def _told_domains(network: Network) -> Network:
    """The generator whose latents are the domains of translations, and whose condition has the images."""

    def apply(params, variables, domains, key, train, condition=None):
        return network.apply(params, variables, condition['image'], key, train, domains)

    return Network(network.init, apply)


def _with_domains(loss: PlayerLoss) -> PlayerLoss:
    """A loss over batches whose condition is an image and its domain, as one over labelled images."""

    def over(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        condition = renamed(batch, {'image': 'real', 'domain': 'label'})
        return loss(params, state, {'real': batch['real'], 'label': condition}, key, positions)

    return over


def _classes(judged) -> Array:
    if judged.classes is None:
        raise UserError(
            'StarGAN needs class logits in the Judgement of its discriminator: choose the family stargan, or another '
            'discriminator with them.'
        )
    return judged.classes
