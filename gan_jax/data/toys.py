"""Mixtures of Gaussians in the plane, on which a missing mode can be seen and counted.

The published counts of modes (VEEGAN, arXiv:1705.07761, table 1; PacGAN, arXiv:1712.04086, table 1) are over the ring
and the grid as they stand here. Both papers call a point of high quality if it lies within three standard deviations
of the nearest centre, and a mode found if it has such a point.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians of equal weight and equal isotropic standard deviation.

    Attributes:
      centres: float64 [modes, 2].
      std: standard deviation along each axis.
    """

    centres: np.ndarray
    std: float

    def sample(self, num_points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Independent points, float32 [num_points, 2], and the index of the mode of each, int32 [num_points]."""
        rng = np.random.default_rng(seed)
        modes = rng.integers(len(self.centres), size=num_points, dtype=np.int32)
        points = self.centres[modes] + self.std * rng.standard_normal((num_points, 2))
        return points.astype(np.float32), modes


def ring(radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Eight modes, mode i at radius * (cos(2 pi i / 8), sin(2 pi i / 8)).

    Radius 1 and standard deviation 0.01 are PacGAN's (section 4.1). Unrolled GAN (Metz et al., arXiv:1611.02163,
    appendix A) has the same picture at twice the scale: `ring(2.0, 0.02)`.
    """
    angles = 2 * np.pi * np.arange(8) / 8
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)


def grid() -> Mixture:
    """Twenty-five modes, mode 5 i + j at (-4 + 2 i, -4 + 2 j), of standard deviation 0.05 (PacGAN, section 4.1)."""
    ticks = np.arange(-4.0, 5.0, 2.0)
    return Mixture(np.stack(np.meshgrid(ticks, ticks, indexing='ij'), axis=-1).reshape(25, 2), 0.05)


def spiral() -> Mixture:
    """Twenty modes of standard deviation 0.05 on two turns of the spiral r = angle / pi, which ends at radius 4.

    A set of this project: no published counts belong to it. The angle of mode i is 4 pi sqrt((i + 1) / 20), which
    leaves neighbours about the same length of arc (1.26) apart.
    """
    angles = 4 * np.pi * np.sqrt(np.arange(1, 21) / 20)
    return Mixture((angles / np.pi)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.05)


MIXTURES = {'ring': ring(), 'grid': grid(), 'spiral': spiral()}
