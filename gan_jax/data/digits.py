"""Scikit-learn's handwritten digits as a TFDS data set that prepares offline and without TensorFlow."""

import contextlib
import io
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from gan_jax.data import cache
from gan_jax.data.images import ImageSource
from gan_jax.data.tfds_source import DamagedDataError, tfds_source
from gan_jax.errors import UserError

_NUM_TRAIN = 1500


class Digits(tfds.core.GeneratorBasedBuilder):
    """1,797 handwritten digits, 8x8, grey: the first 1,500 rows of scikit-learn's table train, the last 297 test.

    The table's values 0 to 16 become (255 v + 8) // 16, the nearest of 0 to 255.
    """

    VERSION = tfds.core.Version('1.0.0')
    RELEASE_NOTES = {'1.0.0': 'Initial release.'}  # noqa: RUF012  (TFDS's own form)

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=(8, 8, 1), encoding_format='png')
        return tfds.core.DatasetInfo(
            builder=self,
            description='The test half of the Optical Recognition of Handwritten Digits data set.',
            features=tfds.features.FeaturesDict({'image': image, 'label': tfds.features.ClassLabel(num_classes=10)}),
            supervised_keys=('image', 'label'),
            homepage='https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits',
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager
        return {'train': self._generate_examples(0, _NUM_TRAIN), 'test': self._generate_examples(_NUM_TRAIN, None)}

    def _generate_examples(self, start: int, stop: int | None) -> Iterator[tuple[int, dict[str, Any]]]:
        import sklearn.datasets

        digits = sklearn.datasets.load_digits()
        images = ((255 * digits.images.astype(np.int64) + 8) // 16).astype(np.uint8)
        for index, (image, label) in enumerate(zip(images[start:stop], digits.target[start:stop], strict=True)):
            file = io.BytesIO()
            Image.fromarray(image).save(file, 'png')
            yield index, {'image': file.getvalue(), 'label': int(label)}


def digits_source(directory: pathlib.Path, split: str) -> ImageSource:
    """The images of a split of the digits, which are prepared in the directory if missing.

    Damaged files, which are found by reading all of them, are prepared again, with a warning.

    Raises:
      UserError: the split does not exist, or the directory cannot be written.
    """
    place = directory / Digits.name / str(Digits.VERSION)
    is_damaged = False
    if place.exists():
        try:
            return _read(place, split)
        except DamagedDataError as error:
            warnings.warn(f'The prepared digits {place} are damaged ({error.reason}); rebuilding them.', stacklevel=2)
            is_damaged = True
    _prepare(directory, place, is_damaged)
    return _read(place, split)


def _read(place: pathlib.Path, split: str) -> ImageSource:
    try:
        builder = tfds.builder_from_directory(place)
    except Exception as error:
        raise DamagedDataError('digits', place, error) from error
    source = tfds_source(builder, 'digits', split)
    source.read(0, source.num_examples)
    return source


def _prepare(directory: pathlib.Path, place: pathlib.Path, is_damaged: bool) -> None:
    """Prepares the digits, in this process or in another if that is faster."""
    try:
        if is_damaged:
            cache.discard(place)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # TFDS's bars
            Digits(data_dir=os.fspath(directory)).download_and_prepare(file_format='array_record')
    except Exception as error:  # of a full disk, array_record raises a RuntimeError
        if isinstance(error, PermissionError) or not place.exists():
            raise UserError(
                f'the digits cannot be written to {str(directory)!r} ({" ".join(str(error).split())}): free some space '
                'or make it writable, or choose another directory by cache_dir or XDG_CACHE_HOME.'
            ) from error
