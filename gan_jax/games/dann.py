"""DANN: a classifier learns from a labelled domain features that do not tell it apart from an unlabelled one."""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp

from gan_jax import config as configs
from gan_jax.classification import Classification, class_loss, domain_loss
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, PyTree, Turn, stream
from gan_jax.layers.choices import choose
from gan_jax.networks import Network, init_networks
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.translators import no_latents, renamed

LABELLED_DOMAINS = True
LEARNING = {'both': 'a_label', 'source': 'a_label', 'target': 'label'}
"""From which domains a game learns, and the field of the labels that it learns."""


def reversal(share: Array, steepness: float = 10.0) -> Array:
    """The factor lambda of the reversed gradient: 2 / (1 + exp(-steepness p)) - 1, from 0 towards 1.

    Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", section 5.2.2.

    Args:
        share: p, the completed share of the training, in [0, 1].
        steepness: 10 as published.
    """
    return jnp.tanh(steepness * share / 2)  # the same function, without cancellation near 0


def dann(
    classifier: Network,
    discriminator: Network,
    *,
    share: Callable[[Array], Array],
    learns_from: str = 'both',
    weight: float = 1.0,
    steepness: float = 10.0,
) -> Game:
    """The game of domains (Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", equations 13 to 15).

    The discriminator minimises the cross-entropy L_d of the domains, which it infers from the classifier's features.
    The classifier minimises the cross-entropy of the classes of source examples less lambda L_d. So the gradient of L_d
    reaches the features reversed and times lambda, and the discriminator with its full size. The published update of
    both is simultaneous; here the discriminator moves first.

    Args:
        classifier: images [B, ...] -> a `Classification`; it is the player 'generator', of features.
        discriminator: features [B, n] -> logits [B] of being of the source domain.
        share: step -> p, the completed share of the training.
        learns_from: 'both' domains; or the labels of the 'source' or of the 'target' domain alone, without a
            discriminator, which are the lower and the upper limit that DANN is compared with.
        weight: factor of lambda; 1 as published.
        steepness: of lambda; see `reversal`.

    Returns:
        A game over batches `{'a': [B, ...], 'a_label': int [B], 'real': [B, ...]}`: images of the source domain 'a'
        with their labels, and of the target domain. To learn from the target, 'label' takes the place of 'a_label'.
        The classifier's metrics have `class_loss` and `class_error` of the examples that it learns from, and, with
        both domains, `domain_loss` and `lambda`; the discriminator's `domain_error`. `classify` is in evaluation mode.
        `sample` makes a map of each image: the gradient of the logarithm of the largest class probability with
        respect to the pixels, divided by its largest absolute value.

    Raises:
        UserError: an option is impossible; when a step is traced, a field of the batch is missing.
    """
    labels_field = choose(LEARNING, learns_from, 'domain to learn from')
    images_field = 'a' if labels_field == 'a_label' else 'real'

    def classified(params: PyTree, variables: PyTree, images: Array, key: Key) -> tuple[Classification, PyTree]:
        return classifier.apply(params, variables, images, stream(key, 'classifier'), True)

    def both_domains(batch: Batch) -> Array:
        fields = renamed(batch, {'a': 'a', 'real': 'real'})
        return jnp.concatenate([fields['a'], fields['real']])

    def alone_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        fields = renamed(batch, {'images': images_field, 'labels': labels_field})
        made, variables = classified(params, state.generator.variables, fields['images'], key)
        value, metrics = class_loss(made.logits, fields['labels'])
        return value, Outcome(variables, metrics)

    def classifier_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        labels = renamed(batch, {'labels': labels_field})['labels']
        made, variables = classified(params, state.generator.variables, both_domains(batch), key)
        value, metrics = class_loss(made.logits[: len(labels)], labels)
        judged, _ = discriminator.apply(*state.discriminator[:2], made.features, stream(key, 'discriminator'), True)
        (domains, _), factor = domain_loss(judged), weight * reversal(share(state.step), steepness)
        return value - factor * domains, Outcome(variables, {**metrics, 'domain_loss': domains, 'lambda': factor})

    def discriminator_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        made, _ = classified(*state.generator[:2], both_domains(batch), key)
        variables = state.discriminator.variables
        judged, variables = discriminator.apply(params, variables, made.features, stream(key, 'discriminator'), True)
        value, error = domain_loss(judged)
        return value, Outcome(variables, {'domain_error': error})

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        return init_networks({'generator': classifier, 'discriminator': discriminator}, key)

    def classify(params: PyTree, variables: PyTree, images: Array) -> Array:
        return classifier.apply(params, variables, images, None, False)[0].logits

    def sample(params: PyTree, variables: PyTree, latents: Array, images: Array) -> Array:
        del latents

        def score(images: Array) -> Array:
            return jax.nn.log_softmax(classify(params, variables, images)).max(-1).sum()

        gradient = jax.grad(score)(images)
        largest = jnp.abs(gradient).max(tuple(range(1, gradient.ndim)), keepdims=True)
        return gradient / jnp.maximum(largest, jnp.finfo(jnp.float32).tiny)

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        shown = {}
        for name, images in (('source', batch['a']), ('target', batch['real'])):
            shown |= {name: images, f'gradient of the {name}': sample(params, variables, latents, images)}
        return shown

    turns = (Turn('discriminator', discriminator_loss), Turn('generator', classifier_loss))
    return Game(
        init,
        turns if learns_from == 'both' else (Turn('generator', alone_loss),),
        sample,
        no_latents,
        given='a',
        show=show,
        classify=classify,
        classifier='generator',
    )


def from_config(
    learns_from: str = 'both',
    weight: Annotated[float, AMOUNT] = 1.0,
    steepness: Annotated[float, AMOUNT] = 10.0,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over batches {'a', 'a_label', 'real'}, the real images being those of the target domain.

    Args:
        learns_from: the domains that it learns from: 'both', or 'source' or 'target' alone, for comparison.
        weight: largest lambda, the factor of the reversed gradient.
        steepness: steepness of the ramp of lambda.
        parts: parts of the game.

    Raises:
        UserError: the domains have images of different shapes, or an option has no effect.
    """
    shape = parts.shape_of_domains()
    parts.refuse_adversarial_options()
    classifier, total = parts.network('generator', shape, shape), configs.steps(parts.config, 'duration')
    features = _features_of(classifier, shape)
    return dann(
        classifier,
        parts.network('discriminator', features, features),
        share=lambda step: step / total,
        learns_from=learns_from,
        weight=weight,
        steepness=steepness,
    )


def _features_of(classifier: Network, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the features of one image."""

    def features(key: Key) -> Array:
        return classifier.apply(*classifier.init(key), jnp.zeros((1, *shape)), None, False)[0].features

    return jax.eval_shape(features, jax.random.key(0)).shape[1:]
