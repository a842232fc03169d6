"""A game's vector field along a line between two points of training.

Berard et al. 2020, "A Closer Look at the Optimization Landscapes of Generative Adversarial Networks": if the end is a
stable stationary point, the path angle changes its sign there; if the players also rotate around it, the angle has a
bump beside the change of sign.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax.dynamics.field import Field
from gan_jax.game import Array, PyTree


class Path(NamedTuple):
    """The field F at the points begin + share (end - begin).

    Attributes:
        shares: [n].
        angle: [n], the path angle: the cosine of the angle between -F, along which the players move, and end - begin.
        norm: [n], the path norm |F|.
    """

    shares: Array
    angle: Array
    norm: Array


def path(field: Field, begin: PyTree, end: PyTree, shares: Array) -> Path:
    """The path angle and path norm between two points.

    Args:
        field: from `gan_jax.dynamics.field.vector_field`.
        begin: parameters, such as the initial ones.
        end: parameters, such as the trained ones.
        shares: [n]; 0 is the beginning, 1 the end. Beyond 1 the angle is negative if the end attracts.
    """
    line = optax.tree.sub(end, begin)

    def at(share: Array) -> tuple[Array, Array]:
        point = optax.tree.add_scale(begin, share, line)
        gradients = field(point, point)
        norm = optax.tree.norm(gradients)
        return -optax.tree.vdot(gradients, line) / (norm * optax.tree.norm(line)), norm

    shares = jnp.asarray(shares)
    return Path(shares, *jax.lax.map(at, shares))
