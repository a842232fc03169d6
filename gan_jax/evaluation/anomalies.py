"""The detection of anomalies: scores of images by a game, and the area under their ROC curve."""

from collections.abc import Mapping

import numpy as np
import scipy  # which imports its modules when they are used

from gan_jax.anomaly import Anomaly
from gan_jax.errors import UserError
from gan_jax.evaluation.distances import nearest
from gan_jax.evaluation.encoded import over
from gan_jax.evaluation.record import Estimate
from gan_jax.game import Game, Player
from gan_jax.layers.networks import flatten


def score(game: Game, players: Mapping[str, Player], images: np.ndarray) -> Anomaly:
    """The scores of images by a game that has them, in batches.

    Args:
        game: the game.
        players: all of its players, on the host; averaged weights are used where there are some.
        images: uint8 [n, H, W, C].
    """
    return over(game.score, {name: player.weights for name, player in players.items()}, images)


def anomaly_aurocs(
    game: Game,
    players: Mapping[str, Player],
    images: np.ndarray,
    labels: np.ndarray,
    known_images: np.ndarray,
    known_labels: np.ndarray,
) -> dict[str, Estimate]:
    """How well a game's scores tell images of unknown classes from others, with the baselines.

    Args:
        game: the game.
        players: as in `score`.
        images: uint8 [n, H, W, C].
        labels: int [n], their classes; images of classes that no known image has are anomalies.
        known_images: uint8 [m, H, W, C], those that the game was trained on.
        known_labels: int [m], their classes.

    Returns:
        The `auroc` of the scores; `auroc_image` of their image part alone; and `auroc_neighbour` of the Euclidean
        distance of the nearest known image.

    Raises:
        UserError: an image has no class, or all or none of them are anomalies.
    """
    if any(some is None or (np.asarray(some) < 0).any() for some in (labels, known_labels)):
        raise UserError('auroc needs the class of every image, and some have none: choose labelled images.')
    anomalous = ~np.isin(labels, known_labels)
    if anomalous.all() or not anomalous.any():
        raise UserError(
            f'auroc needs images of known and of unknown classes, but all have {"un" * bool(anomalous.any())}known '
            'ones: leave classes out of training by data.left_out, such as 3.'
        )
    found = score(game, players, images)
    distances = nearest(_pixels(images), _pixels(known_images), 1).distances[:, 0]
    rule = f'{anomalous.sum()} images of unknown classes against {(~anomalous).sum()}'
    columns = {
        'auroc': (found.score, 'image and feature residuals'),
        'auroc_image': (found.image, 'image residuals'),
        'auroc_neighbour': (distances, f'distance of the nearest of {len(known_images)} images in pixels'),
    }
    return {name: auroc(values, anomalous)._replace(rule=f'{what}, {rule}') for name, (values, what) in columns.items()}


def auroc(scores: np.ndarray, positive: np.ndarray) -> Estimate:
    """The area under the ROC curve: the probability that a positive has a higher score than a negative.

    Ties count as half. The standard error is that of DeLong et al. 1988, "Comparing the Areas under Two or More
    Correlated Receiver Operating Characteristic Curves".

    Args:
        scores: float [n].
        positive: bool [n], with at least one of each kind.
    """
    above = np.asarray(scores, np.float64)[positive], np.asarray(scores, np.float64)[~positive]
    sizes, ranks = [len(some) for some in above], scipy.stats.rankdata(np.concatenate(above))
    # The share of the other kind that each score exceeds: its rank among all less its rank among its own.
    shares = [
        (all_ranks - scipy.stats.rankdata(some)) / other
        for all_ranks, some, other in zip(np.split(ranks, sizes[:1]), above, sizes[::-1], strict=True)
    ]
    error = None
    if min(sizes) > 1:
        error = float(sum(share.var(ddof=1) / size for share, size in zip(shares, sizes, strict=True)) ** 0.5)
    return Estimate(float(shares[0].mean()), error)


def _pixels(images: np.ndarray) -> np.ndarray:
    return flatten(np.asarray(images, np.float32)) / 255
