"""The Inception Score."""

import itertools

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import features_array
from gan_jax.evaluation.record import Estimate
from gan_jax.layers.choices import require


def inception_score(logits: ArrayLike, *, splits: int = 10, shuffle_seed: int | None = 2020) -> Estimate:
    """The exponential of the mean KL(p(class | image) || p(class)), averaged over splits of the images.

    Salimans et al. 2016, "Improved Techniques for Training GANs", section 4. It is 1 where all images get the same
    prediction, as after collapse, and K where K classes are predicted with certainty and equally often. It rises with
    the number of images in a split.

    Args:
        logits: [n, K] of the classifier, by protocol without its bias; the softmax is over all K, in float64.
        splits: number of splits of consecutive images, 10 by protocol.
        shuffle_seed: seed of the permutation before that, as in torch-fidelity; None keeps the order, as the original
            does. It matters where images are sorted by class.

    Returns:
        The mean over splits, with the population deviation over them; None for a single split, and where a split is of
        one image, whose score is 1 whatever it shows.

    Raises:
        UserError: there are fewer images than splits, or logits are NaN or infinite.
    """
    require(splits >= 1, 'The number of splits', splits, 'at least 1')
    logits = features_array(logits, 'The logits')
    if len(logits) < splits:
        raise UserError(
            f'{len(logits)} images cannot be divided into {splits} splits: use more images or fewer splits.'
        )
    order = np.arange(len(logits))
    if shuffle_seed is not None:
        order = np.random.RandomState(shuffle_seed).permutation(len(logits))
    bounds = [part * len(logits) // splits for part in range(splits + 1)]
    scores = [_score(logits[order[start:end]]) for start, end in itertools.pairwise(bounds)]
    shuffling = 'in order' if shuffle_seed is None else f'shuffled by RandomState({shuffle_seed})'
    rule = f'{logits.shape[1]} classes, {splits} splits {shuffling}'
    if splits == 1 or len(logits) < 2 * splits:
        reason = 'for there is one split' if splits == 1 else 'for a split is of one image, which scores 1'
        return Estimate(float(np.mean(scores)), None, f'{rule}, no error, {reason}')
    return Estimate(float(np.mean(scores)), float(np.std(scores)), f'{rule}, deviation over splits')


def _score(logits: np.ndarray) -> float:
    """The score of one split.

    The mean divergence is the entropy of the mean prediction less the mean entropy of the predictions.
    """
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    predictions = np.exp(logits)
    marginal = predictions.mean(axis=0)
    marginal = marginal[marginal > 0]  # 0 log 0 is 0
    return float(np.exp((predictions * logits).sum(axis=1).mean() - (marginal * np.log(marginal)).sum()))
