"""What the games of two domains share."""

from collections.abc import Sequence

from torch import Tensor

from .training import Metrics

DIRECTIONS = {'a_to_b': ('a', 'b', 'b_to_a'), 'b_to_a': ('b', 'a', 'a_to_b')}  # source, target, way back


def joined(each: Sequence[tuple[Tensor, Metrics]]) -> tuple[Tensor, Metrics]:
    """The sum of losses, and the means of their metrics."""
    losses, metrics = zip(*each, strict=True)
    return sum(losses), {name: sum(one[name] for one in metrics) / len(each) for name in metrics[0]}
