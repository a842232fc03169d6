"""How uncertain a classifier is of images."""

import numpy as np
import scipy  # which imports its modules when they are used
from numpy.typing import ArrayLike

from gan_jax.evaluation.arrays import features_array
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import of_mean


def mean_entropy(logits: ArrayLike, together: int = 1) -> Estimate:
    """The mean over images of the entropy of a classifier's prediction, in nats: 0 where it is certain, at most log K.

    The log of the Inception Score of one split is the entropy of the mean prediction less this.

    Args:
        logits: [n, K], n at least 1; the softmax is in float64.
        together: so many consecutive images are not independent, such as the frames of a clip; it divides n.

    Returns:
        The mean, with its standard error over the groups of such images; without one for a single group.

    Raises:
        UserError: logits are NaN or infinite.
    """
    log_p = scipy.special.log_softmax(features_array(logits, 'The logits').astype(np.float64), axis=1)
    values = -np.sum(np.exp(log_p) * log_p, axis=1).reshape(-1, together).mean(axis=1)
    over = '' if together == 1 else f' over groups of {together}'
    rule = f'nats, at most {np.log(log_p.shape[1]):.4g}, standard error{over}'
    return Estimate(float(values.mean()), of_mean(values), rule)
