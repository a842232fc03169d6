"""Terms that are added to the players' losses: penalties, feature matching, class losses.

Each function makes the terms of both players, a `Pair`, for the argument `terms` of a game: `terms.r1(weight=10)`, or
`terms.joined([...])` for several. Terms of examples without labels are in `gan_jax.terms.unlabelled`, those of
contrastive conditioning in `gan_jax.terms.classes`.
"""

from gan_jax.terms.classes import auxiliary_classifier
from gan_jax.terms.outputs import feature_matching, rotation, slicing
from gan_jax.terms.penalties import (
    PENALTIES,
    approximate_r1,
    approximate_r2,
    centring,
    consistency,
    dragan,
    drift,
    gradient_penalty,
    historical,
    lecam,
    mode_seeking,
    orthogonal,
    path_length,
    pulling_away,
    r1,
    r2,
    stage_consistency,
    zero_centered,
)
from gan_jax.terms.term import (
    NO_TERMS,
    Term,
    Terms,
    View,
    check_terms,
    check_weights,
    joined,
    one_term,
    stateful_term,
    total,
)

__all__ = [
    'NO_TERMS',
    'PENALTIES',
    'Term',
    'Terms',
    'View',
    'approximate_r1',
    'approximate_r2',
    'auxiliary_classifier',
    'centring',
    'check_terms',
    'check_weights',
    'consistency',
    'dragan',
    'drift',
    'feature_matching',
    'gradient_penalty',
    'historical',
    'joined',
    'lecam',
    'mode_seeking',
    'one_term',
    'orthogonal',
    'path_length',
    'pulling_away',
    'r1',
    'r2',
    'rotation',
    'slicing',
    'stage_consistency',
    'stateful_term',
    'total',
    'zero_centered',
]
