"""Clips, uint8 [T, H, W, C], as pictures and films."""

import numpy as np

_SHOWN = 8


def strips(clips: np.ndarray) -> np.ndarray:
    """Frames of each clip side by side, at most eight, evenly spaced from the first to the last.

    Args:
        clips: uint8 [n, T, H, W, C].

    Returns:
        uint8 [n, H, 8 W, C].
    """
    count, length, height, width, channels = clips.shape
    shown = np.linspace(0, length - 1, min(length, _SHOWN)).round().astype(int)
    return clips[:, shown].transpose(0, 2, 1, 3, 4).reshape(count, height, len(shown) * width, channels)


def frames(clips: np.ndarray) -> np.ndarray:
    """The frames of clips played together: uint8 [n, T, H, W, C] -> [T, n, H, W, C]."""
    return clips.swapaxes(0, 1)
