"""A membership attack: does the discriminator recognise the images that it was trained on?"""

import jax
import numpy as np

from gan_jax.data import to_float
from gan_jax.errors import UserError
from gan_jax.evaluation.anomalies import auroc
from gan_jax.evaluation.record import Estimate
from gan_jax.game import Game, Player
from gan_jax.runtime import compiler

_BATCH = 500


def membership(
    game: Game,
    discriminator: Player,
    members: np.ndarray,
    member_labels: np.ndarray | None,
    others: np.ndarray,
    other_labels: np.ndarray | None,
) -> Estimate:
    """The area under the ROC curve of an attack that takes images with high logits for training images.

    Hayes et al. 2019, "LOGAN: Membership Inference Attacks Against Generative Models", section 4.1, the attack that
    knows the discriminator. 0.5 is guessing, 1 is certainty. An attack that fails proves no privacy.

    Args:
        game: the game.
        discriminator: its player, on the host.
        members: uint8 [n, H, W, C], the images that it was trained on.
        member_labels: int [n], their classes in a conditional game.
        others: uint8 [m, H, W, C], images of the same distribution.
        other_labels: int [m].

    Returns:
        The area, the probability that a member's logit is above another image's, with its standard error.

    Raises:
        UserError: both sets are the same, or an image of a conditional game has no class.
    """
    if members.shape == others.shape and np.array_equal(members, others):
        raise UserError(
            'membership compares training images with others, but the real images are the training images: set '
            'evaluation.split to a held-out split, or evaluate the run against one, as NAME@SPLIT.'
        )
    labels = member_labels, other_labels
    if game.given == 'label' and any(some is None or (np.asarray(some) < 0).any() for some in labels):
        raise UserError('membership needs the class of every image, and some have none: choose labelled images.')
    discriminate = jax.jit(
        lambda weights, images, labels: game.discriminate(*weights, to_float(images), labels),
        compiler_options=compiler.often(),
    )
    weights = discriminator.params, discriminator.variables

    def logits(images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        labels = None if game.given != 'label' else np.asarray(labels, np.int32)
        parts = (slice(i, i + _BATCH) for i in range(0, len(images), _BATCH))
        found = [discriminate(weights, np.asarray(images[at]), None if labels is None else labels[at]) for at in parts]
        return np.concatenate(found).astype(np.float64)

    scores = np.concatenate([logits(members, member_labels), logits(others, other_labels)])
    found = auroc(scores, np.arange(len(scores)) < len(members))
    return found._replace(rule=f'area under the ROC curve, {len(members)} members against {len(others)} others')
