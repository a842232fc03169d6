"""Mean and covariance of features in a file, instead of images: the `.npz` of pytorch-fid, clean-fid and TTUR.

These programs keep the features' mean as 'mu' [D] and their covariance as 'sigma' [D, D], float64, in a compressed
archive. The file does not record the network and the resize rule: for comparisons you must
choose the same extractor.
"""

import dataclasses
import hashlib
import io
import os
import pathlib
import zipfile

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.moments import Moments
from gan_jax.records import files

_SYMMETRY = 1e-6  # of the largest variance; published files are float64, some rounded to float32


@dataclasses.dataclass(frozen=True)
class Statistics:
    """The statistics of a set of images for FID, usable instead of a data set; without images, labels or classes.

    Attributes:
        name: name of the file.
        mean: float64 [D].
        covariance: float64 [D, D].
        fingerprint: a hash of the file.
    """

    name: str
    mean: np.ndarray
    covariance: np.ndarray
    fingerprint: str
    shape = labels = class_names = None

    def __str__(self) -> str:
        return f'statistics in {self.name}, {len(self.mean)} features ({self.fingerprint[:8]})'


def is_statistics(path: pathlib.Path) -> bool:
    """Whether a file is an archive of statistics and not of images (ADM's archives can contain both)."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix('.npy') for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
    return {'mu', 'sigma'} <= names and not {'images', 'arr_0'} & names


def read_statistics(path: pathlib.Path) -> Statistics:
    """Reads 'mu' and 'sigma'.

    Raises:
        UserError: the file cannot be read, or does not contain a mean and a covariance.
    """
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            mean, covariance = (np.asarray(archive[name]) for name in ('mu', 'sigma'))
    except Exception as error:  # a damaged zip file raises errors of many kinds
        raise UserError(f'{path} cannot be read as statistics mu and sigma ({error}): create it again.') from error
    shapes = f'mu {mean.dtype}{list(mean.shape)} and sigma {covariance.dtype}{list(covariance.shape)}'
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or not len(mean):
        raise UserError(f'{path} holds {shapes}; statistics are a mean [D] and a covariance [D, D].')
    if not all(np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all() for array in (mean, covariance)):
        raise UserError(f'{path} holds {shapes} that are not all finite numbers: create it again.')
    mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
    variances = np.diag(covariance)
    if variances.min() < 0 or np.abs(covariance - covariance.T).max() > _SYMMETRY * variances.max():
        raise UserError(f'sigma in {path} is not a covariance: it must be symmetric, with variances of at least 0.')
    return Statistics(path.name, mean, covariance, hashlib.sha256(content).hexdigest())


def write_statistics(path: str | os.PathLike, moments: Moments | Statistics) -> None:
    """Writes 'mu' and 'sigma', as pytorch-fid and clean-fid read them.

    Raises:
        UserError: there are fewer than two rows of features, or the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, mu=moments.mean, sigma=moments.covariance)
    files.replace(path, buffer.getvalue())
