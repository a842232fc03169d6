"""The semi-supervised GAN: a classifier learns from few labelled, many unlabelled and generated examples."""

from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from gan_jax import losses
from gan_jax.adversarial import adversarial, require_single_discriminator
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, Pair, PyTree, stream
from gan_jax.judgement import Judgement, judgement
from gan_jax.layers.choices import require_not_negative
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT, POSITIVE_AMOUNT, SHARE
from gan_jax.terms import NO_TERMS, feature_matching, joined
from gan_jax.terms.unlabelled import conditional_entropy, pseudo_labels, virtual_adversarial

STARTS_FROM_DATA = True  # data-dependent initialisation of weight normalisation


def semi_supervised(
    generator: Network,
    discriminator: Network,
    *,
    latents: Callable[[Key, Array], Array] | int,
    examples: Array | None = None,
    distance: str = 'mean_squared',
    unlabelled_weight: float = 1.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of K classes and a class of generated examples (Salimans et al. 2016, section 5).

    The discriminator has K logits l_k; the class of generated examples has the logit 0. So an example is real with
    probability Z / (Z + 1), Z = sum_k exp(l_k), and the logit of being real is log Z. The discriminator minimises the
    cross-entropy of the labelled examples' classes, plus (softplus(-log Z(x)) + softplus(log Z(G(z)))) / 2, the
    cross-entropy of real against generated on the unlabelled and as many generated examples. The generator matches
    features (section 3.1) and nothing else.

    Args:
        generator: latents [B, ...] -> examples [B, ...].
        discriminator: examples [B, ...] -> a `Judgement` with class logits [B, K] and features.
        latents: how latents are drawn, or the size of a standard normal latent vector.
        examples: [N, ...], from which the discriminator's data-dependent initialisation starts, as
            `gan_jax.layers.weight_normalization.WeightNormDense` has it; None: it starts from a single example of
            zeros. Needs a network of `from_flax`.
        distance: distance of feature matching: 'mean_squared', that of the authors' code for MNIST, 'mean_absolute',
            that for CIFAR-10, or 'squared'; see `gan_jax.terms.feature_matching`.
        unlabelled_weight: factor of the loss of unlabelled and generated examples.
        terms: added to each player's loss; see `gan_jax.terms`, and `gan_jax.terms.unlabelled` for those of the
            unlabelled examples.
        **options: options of `gan_jax.adversarial.adversarial`, except several discriminators. Augmentation changes
            the unlabelled and the generated examples only.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'real': [B, ...], 'labelled': [B, ...],
        'labelled_label': int [B]}`; 'real' are the unlabelled examples. Averages are kept of both players. The
        discriminator's metrics have `class_loss` and `class_error`, the share of the labelled examples that it
        misclassifies, in training mode. Its variables are updated by the unlabelled, the generated and then the
        labelled examples.

    Raises:
        UserError: an option is impossible; when a step is traced, the discriminator has no class logits, or a field of
            the batch is missing.
    """
    require_not_negative('unlabelled_weight', unlabelled_weight)
    require_single_discriminator(options)
    classifier = _by_classes(discriminator)
    if examples is not None:
        classifier = classifier._replace(init=lambda key: discriminator.init(key, examples))
    game = adversarial(
        generator,
        classifier,
        _unlabelled(unlabelled_weight),
        latents,
        terms=joined([feature_matching(1.0, distance=distance), terms]),
        **options,
    )

    def with_labelled(loss: Callable) -> Callable:
        def whole(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            for name in ('labelled', 'labelled_label'):
                if name not in batch:
                    raise UserError(f'The batch has {", ".join(sorted(batch))}, but this game needs {name!r}.')
            value, outcome = loss(params, state, batch, key, positions)
            judged, variables = classifier.apply(
                params, outcome.variables, batch['labelled'], stream(key, 'labelled'), True
            )
            logits, labels = judged.classes, batch['labelled_label']
            class_loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
            metrics = {'class_loss': class_loss, 'class_error': (logits.argmax(-1) != labels).mean()}
            return value + class_loss, Outcome(variables, outcome.metrics | metrics, outcome.memory)

        return whole

    turns = tuple(
        turn._replace(loss=with_labelled(turn.loss)) if turn.title == 'discriminator' else turn for turn in game.turns
    )
    return game._replace(turns=turns, averaged=Pair._fields, classify=classifier_of(discriminator))


def from_config(
    distance: str = 'mean_squared',
    unlabelled_weight: Annotated[float, AMOUNT] = 1.0,
    virtual_adversarial_weight: Annotated[float, AMOUNT] = 0.0,
    epsilon: Annotated[float, POSITIVE_AMOUNT] = 0.6,
    xi: Annotated[float, POSITIVE_AMOUNT] = 1e-2,
    power_iterations: Annotated[int, COUNT] = 1,
    entropy_weight: Annotated[float, AMOUNT] = 0.0,
    pseudo_label_weight: Annotated[float, AMOUNT] = 0.0,
    pseudo_label_threshold: Annotated[float, SHARE] = 0.0,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over batches {'real', 'labelled', 'labelled_label'}.

    Args:
        distance: distance of feature matching: 'mean_squared', 'mean_absolute' or 'squared'.
        unlabelled_weight: factor of the loss of unlabelled and generated examples.
        virtual_adversarial_weight: factor of virtual adversarial training on the unlabelled examples.
        epsilon: Euclidean distance by which it moves examples with values in [-1, 1].
        xi: length of its step of finite differences.
        power_iterations: number of power iterations that find its directions.
        entropy_weight: factor of the conditional entropy of the unlabelled examples' classes.
        pseudo_label_weight: factor of the cross-entropy with pseudo-labels of the unlabelled examples.
        pseudo_label_threshold: least probability of a pseudo-label.
        parts: parts of the game.
    """
    shape, loss = parts.shape('real'), parts.config.loss.name
    parts.shape('labelled')
    if loss != 'non_saturating':
        raise UserError(f'semi_supervised uses its own losses, so loss.name={loss} has no effect: remove it.')
    of_unlabelled = (
        virtual_adversarial(virtual_adversarial_weight, epsilon, xi, power_iterations),
        conditional_entropy(entropy_weight),
        pseudo_labels(pseudo_label_weight, pseudo_label_threshold),
    )
    return semi_supervised(
        parts.network('generator', (parts.config.latents.size,), shape),
        parts.network('discriminator', shape, shape),
        latents=parts.latents,
        examples=None if parts.reference is None else parts.reference[0],
        distance=distance,
        unlabelled_weight=unlabelled_weight,
        **(parts.options | {'terms': joined([*of_unlabelled, parts.terms])}),
    )


def classifier_of(discriminator: Network) -> Callable[[PyTree, PyTree, Array], Array]:
    """(params, variables, examples [B, ...]) -> class logits [B, K] in evaluation mode: without noise or dropout."""

    def classify(params: PyTree, variables: PyTree, examples: Array) -> Array:
        judged, _ = _by_classes(discriminator).apply(params, variables, examples, None, False)
        return judged.classes

    return classify


def _unlabelled(weight: float) -> Loss:
    """Half the cross-entropies of real and generated examples for the discriminator; 0 for the generator."""
    both = losses.non_saturating().discriminator

    def of_discriminator(real: Array, fake: Array, key: Key | None = None) -> Array:
        del key
        return weight * both(real, fake) / 2

    return Loss(of_discriminator, lambda fake, real=None: jnp.zeros(()))


def _by_classes(network: Network) -> Network:
    """A discriminator whose logit of being real is log sum exp of its class logits."""

    def apply(*arguments: Any, **keywords: Any) -> tuple[Judgement, PyTree]:
        outputs, variables = network.apply(*arguments, **keywords)
        judged = judgement(outputs)
        if judged.classes is None:
            raise UserError(
                'The semi-supervised game needs class logits in the Judgement of its discriminator: use the '
                'networks of gan_jax.models.semi_supervised, or return Judgement(logits, classes, features) from '
                'your own.'
            )
        return judged._replace(logits=jax.nn.logsumexp(judged.classes, axis=-1)), variables

    return network._replace(apply=apply)
