"""CyCADA: domain adaptation by translated images and then by features, in stages that are phases of a run."""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp

from gan_jax.classification import class_loss, domain_loss
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, PlayerLoss, PyTree, Turn, stream
from gan_jax.games import cyclegan
from gan_jax.layers.choices import choose, is_on, require
from gan_jax.networks import Network, init_networks
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, SHARE
from gan_jax.translators import no_latents, renamed

ROLES = ('generator', 'discriminator', 'classifier', 'target_classifier', 'feature_discriminator')
LABELLED_DOMAINS = True
STAGES = ('pixels', 'classes', 'features')
LEARNING = {'translations': 'a_label', 'source': 'a_label', 'target': 'label'}
"""The images that the target classifier learns from in the stage 'classes', and the field of their labels."""


def cycada(
    translation: Game,
    classifier: Network,
    feature_discriminator: Network,
    *,
    stage: str = 'pixels',
    semantic: float = 1.0,
    largest_loss: float = 1.0,
    least_accuracy: float = 0.6,
    learns_from: str = 'translations',
) -> Game:
    """The game of a stage (Hoffman et al. 2018, "CyCADA: Cycle-Consistent Adversarial Domain Adaptation", section 3).

    - 'pixels': the domains are translated into one another as in CycleGAN. The classifier learns the classes of source
      images. Both translations should keep the class (equation 4): that of a source image is its label, that of a
      target image the classifier's own answer. This semantic loss is on while the classifier's loss is at most
      `largest_loss`.
    - 'classes': the target classifier learns the classes of source images translated into the target domain.
    - 'features': the feature discriminator tells the class logits of translated source images, by the classifier of the
      stage before, from those of target images by the target classifier, which makes them alike (ADDA; Tzeng et al.
      2017). It moves only while the discriminator's accuracy is above `least_accuracy`. No logits have dropout.

    As in the authors' code, except that the generators have equal weights.

    Args:
        translation: the game of `gan_jax.games.cyclegan` over batches {'a', 'real'}.
        classifier: images [B, H, W, C] -> a `Classification`; of both classifiers.
        feature_discriminator: class logits [B, K] -> logits [B] of being of the source domain.
        stage: one of `STAGES`.
        semantic: weight of the semantic loss.
        largest_loss: of the classifier, for the semantic loss.
        least_accuracy: of the feature discriminator, for the target classifier to move.
        learns_from: the images of the stage 'classes': 'translations', or for comparison those of the 'source' or the
            'target', with its labels.

    Returns:
        A game over batches `{'a': [B, ...], 'a_label': int [B], 'real': [B, ...]}`: images of the source domain 'a'
        with their labels, and of the target domain. It classifies by the player 'classifier' in the stage 'pixels' and
        by 'target_classifier' after it. The generator's metrics have `semantic_loss` and `semantic_on`.

    Raises:
        UserError: an option is impossible; when a step is traced, a field of the batch is missing.
    """
    require(stage in STAGES, 'game.stage', stage, f'one of {", ".join(STAGES)}')
    labels_field = choose(LEARNING, learns_from, 'kind of images to learn from')

    def logits_of(params: PyTree, variables: PyTree, images: Array) -> Array:
        return classifier.apply(params, variables, images, None, False)[0].logits

    def translated(params: PyTree, state: GanState, images: Array, direction: str = 'a_to_b') -> Array:
        return translation.sample(params, state.generator.variables, None, images, direction)

    def classification(player: str, pick: Callable[[GanState, Batch], tuple[Array, Array]]) -> PlayerLoss:
        """The cross-entropy of the classes of the images and labels that `pick` chooses."""

        def loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            images, labels = pick(state, batch)
            variables = state.players[player].variables
            made, variables = classifier.apply(params, variables, images, stream(key, 'classifier'), True)
            value, metrics = class_loss(made.logits, labels)
            return value, Outcome(variables, metrics)

        return loss

    def of_source(state: GanState, batch: Batch) -> tuple[Array, Array]:
        fields = renamed(batch, {'images': 'a', 'labels': 'a_label'})
        return fields['images'], fields['labels']

    def of_choice(state: GanState, batch: Batch) -> tuple[Array, Array]:
        images_field = 'real' if learns_from == 'target' else 'a'
        fields = renamed(batch, {'images': images_field, 'labels': labels_field})
        images = fields['images']
        if learns_from == 'translations':
            images = translated(state.generator.params, state, images)
        return images, fields['labels']

    def with_semantics(loss: PlayerLoss) -> PlayerLoss:
        """The generators' loss, and the semantic loss of both translations."""

        def whole(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            value, outcome = loss(params, state, batch, key, positions)
            known = state.players['classifier'][:2]
            there = logits_of(*known, translated(params, state, batch['a']))
            back = logits_of(*known, translated(params, state, batch['real'], 'b_to_a'))
            answers = logits_of(*known, batch['real']).argmax(-1)
            lost = class_loss(there, batch['a_label'])[0] + class_loss(back, answers)[0]
            counts = state.memory['turns']['classifier']['class_loss'] <= largest_loss
            metrics = {**outcome.metrics, 'semantic_loss': lost, 'semantic_on': counts.astype(jnp.float32)}
            return value + jnp.where(counts, semantic * lost, 0), Outcome(outcome.variables, metrics, outcome.memory)

        return whole

    def source_and_target(target_params: PyTree, state: GanState, batch: Batch) -> tuple[Array, Array]:
        """The class logits of translated source images and of target images."""
        images = translated(state.generator.params, state, batch['a'])
        source = logits_of(*state.players['classifier'][:2], images)
        return source, logits_of(target_params, state.players['target_classifier'].variables, batch['real'])

    def feature_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        logits = jnp.concatenate(source_and_target(state.players['target_classifier'].params, state, batch))
        variables = state.players['feature_discriminator'].variables
        judged, variables = feature_discriminator.apply(params, variables, logits, stream(key, 'judge'), True)
        value, error = domain_loss(judged)
        return value, Outcome(variables, {'accuracy': 1 - error})

    def fooling_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        player = state.players['target_classifier']
        target = logits_of(params, player.variables, batch['real'])
        opponent = state.players['feature_discriminator'][:2]
        judged, _ = feature_discriminator.apply(*opponent, target, stream(key, 'judge'), True)
        return jax.nn.softplus(-judged).mean(), Outcome(player.variables, {})

    def turns() -> tuple[Turn, ...]:
        if stage == 'pixels':
            first = Turn('classifier', classification('classifier', of_source), keeps=('class_loss',))
            return (
                first,
                *(
                    turn._replace(loss=with_semantics(turn.loss))
                    if turn.title == 'generator' and is_on(semantic)
                    else turn
                    for turn in translation.turns
                ),
            )
        if stage == 'classes':
            return (Turn('target_classifier', classification('target_classifier', of_choice)),)
        return (
            Turn('feature_discriminator', feature_loss, keeps=('accuracy',)),
            Turn(
                'target_classifier',
                fooling_loss,
                gate=lambda metrics, kept, i: kept['feature_discriminator']['accuracy'] > least_accuracy,
            ),
        )

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        networks = dict(zip(ROLES[2:], (classifier, classifier, feature_discriminator), strict=True))
        return translation.init(key) | init_networks(networks, key)

    return translation._replace(
        init=init,
        turns=turns(),
        memory=translation.memory if stage == 'pixels' else lambda networks: {},
        latents=no_latents,
        classify=logits_of,
        classifier='classifier' if stage == 'pixels' else 'target_classifier',
        inherits=(('classifier', 'target_classifier'),) if stage == 'features' else (),
    )


def from_config(
    stage: str = 'pixels',
    cycle: Annotated[float, AMOUNT] = 1.0,
    semantic: Annotated[float, AMOUNT] = 1.0,
    largest_loss: Annotated[float, AMOUNT] = 1.0,
    least_accuracy: Annotated[float, SHARE] = 0.6,
    learns_from: str = 'translations',
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over batches {'a', 'a_label', 'real'}, the real images being those of the target domain.

    Args:
        stage: 'pixels', 'classes' or 'features'; each is a phase.
        cycle: weight of the difference between an image and its reconstruction.
        semantic: weight of the semantic loss.
        largest_loss: the semantic loss is on while the classifier's loss is at most this.
        least_accuracy: the target classifier moves while the feature discriminator's accuracy is above this.
        learns_from: images that the stage 'classes' learns from: 'translations', 'source' or 'target'.
        parts: parts of the game.

    Raises:
        UserError: the domains have images of different shapes, or an option has no effect.
    """
    if stage != 'pixels':
        parts.refuse_steps()
    shape = parts.shape_of_domains()
    classes = (parts.num_classes or 0,)
    return cycada(
        cyclegan.from_config(cycle=cycle, parts=parts),
        parts.network('classifier', shape, shape),
        parts.network('feature_discriminator', classes, classes),
        stage=stage,
        semantic=semantic,
        largest_loss=largest_loss,
        least_accuracy=least_accuracy,
        learns_from=learns_from,
    )
