"""The viewer of solids and of point clouds: the direction of the view, and films in which examples turn."""

from collections.abc import Callable

import numpy as np

ANGLE = 0.6  # radians by which examples are turned in pictures
TILT = 0.42  # radians by which the viewer looks down
_TURNS = 24  # frames of a turn


def turning(render: Callable[[np.ndarray, float], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The function that makes a film of examples which turn once.

    Args:
        render: (examples [n, ...], angle in radians) -> uint8 pictures [n, H, W, C].

    Returns:
        Examples [n, ...] -> uint8 frames [24, n, H, W, C].
    """
    angles = np.linspace(0, 2 * np.pi, _TURNS, endpoint=False)
    return lambda examples: np.stack([render(examples, float(angle)) for angle in angles])
