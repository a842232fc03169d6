r"""The f-divergences of Nowozin et al. 2016, "f-GAN", by name (tables 1, 2 and 6).

For a convex f with f(1) = 0 and conjugate f*, D_f(P || Q) = E_Q[f(p/q)] is the supremum of E_P[T] - E_Q[f*(T)] over
all T (equation 4), attained by T = f'(p/q). A network's logit v becomes T = g(v) by an increasing activation g onto
the domain of f*. Here f* comes composed with g, simplified by hand: what would be exp of log cancels.

| name | f(u) | the best logit, with u = p/q |
| --- | --- | --- |
| kl | u log u | 1 + log u |
| reverse_kl | -log u | log u |
| pearson | (u - 1)^2 | 2 (u - 1) |
| squared_hellinger | (sqrt u - 1)^2 | (log u) / 2 |
| jensen_shannon | u log u - (u + 1) log((u + 1) / 2) | log u |
| gan | u log u - (u + 1) log(u + 1) | log u |
| total_variation | abs(u - 1) / 2 | infinite, with the sign of u - 1 |

'jensen_shannon' is twice the Jensen-Shannon divergence in its usual normalisation, and 'gan' is that minus log 4, as
in the paper. 'kl', 'reverse_kl' and 'squared_hellinger' contain exponentials that cannot be rewritten: a very wrong
logit beyond 88 is an infinite loss in float32.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Divergence(NamedTuple):
    """One row of the table, as functions of logits of any shape.

    Attributes:
        activation: v -> g(v), the value T on the data.
        conjugate: v -> f*(g(v)), the cost of that T on the model's examples.
    """

    activation: Callable[[jax.Array], jax.Array]
    conjugate: Callable[[jax.Array], jax.Array]


DIVERGENCES: dict[str, Divergence] = {
    'kl': Divergence(lambda v: v, lambda v: jnp.exp(v - 1)),
    'reverse_kl': Divergence(lambda v: -jnp.exp(-v), lambda v: v - 1),
    'pearson': Divergence(lambda v: v, lambda v: v**2 / 4 + v),
    'squared_hellinger': Divergence(lambda v: -jnp.expm1(-v), jnp.expm1),
    'jensen_shannon': Divergence(
        lambda v: math.log(2) - jax.nn.softplus(-v), lambda v: jax.nn.softplus(v) - math.log(2)
    ),
    'gan': Divergence(lambda v: -jax.nn.softplus(-v), jax.nn.softplus),
    'total_variation': Divergence(lambda v: jnp.tanh(v) / 2, lambda v: jnp.tanh(v) / 2),
}
