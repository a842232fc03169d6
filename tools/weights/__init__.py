"""Weights of published implementations as variables of this library's networks: one module for each layout of names.

A layout's module has `networks(generator, discriminator)`, which takes the state dicts of both networks as NumPy arrays
(the discriminator's may be None) and returns `Converted`. `tools.convert_weights` makes a run's directory of it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict


class Converted(NamedTuple):
    """Networks of a published implementation in our terms.

    Attributes:
        config: a whole config whose networks and data have the shapes of the weights.
        variables: the linen variables {'params': ..., ...} of each role's network; 'generator' is always there.
        num_classes: number of classes that the networks are conditioned on, or None.
    """

    config: ConfigDict
    variables: Mapping[str, Mapping[str, Any]]
    num_classes: int | None = None
