"""TFDS data sets, read from array_record files without TensorFlow."""

import difflib
import io
import os
import pathlib
import re
from typing import Any

import numpy as np

from gan_jax.data.images import ImageSource
from gan_jax.data.toys import MIXTURES
from gan_jax.errors import MissingSplitError, UserError
from gan_jax.records.files import user_path

EMBEDDED = ('digits', 'leaves', *MIXTURES)
_METADATA = ('dataset_info.json', 'features.json')


class DamagedDataError(UserError):
    """The files of a prepared data set are damaged or missing; TFDS, protobuf and array_record raise anything then."""

    def __init__(self, name: str, directory: str | os.PathLike, reason: Exception | str):
        self.reason = ' '.join(str(reason).split())[:200] or type(reason).__name__
        super().__init__(
            f'the data set {name!r} in {os.fspath(directory)!r} is damaged ({self.reason}): copy its files again, or '
            'delete them and prepare it again.'
        )


def tfds_directory(data_dir: str | None) -> str:
    """Where TFDS data sets lie: the argument, or TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    directory = data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
    return str(user_path(directory))


def find_builder(name: str, data_dir: str | None) -> Any:
    """The read-only builder of a prepared data set, 'name', 'name/config' or 'name/config:1.0.0'.

    It is made from the prepared files alone, so that neither the data set's code nor what that imports is needed.

    Raises:
      UserError: if it is not there, or damaged.
    """
    import tensorflow_datasets as tfds

    directory = tfds_directory(data_dir)
    try:
        tfds.core.naming.parse_builder_name_kwargs(name)
    except ValueError:
        raise UserError(f'{name!r} is not the name of a data set; write name, name/config or name:1.0.0.') from None
    try:
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=directory)
    except tfds.core.DatasetNotFoundError as error:
        for info in pathlib.Path(directory, re.split('[/:]', name)[0]).rglob(_METADATA[0]):
            if not info.with_name(_METADATA[1]).exists():  # without which TFDS passes a data set over
                raise DamagedDataError(name, info.parent, f'{_METADATA[1]} is missing') from error
        raise _not_found(name, directory) from None
    except Exception as error:
        raise DamagedDataError(name, directory, error) from error


def download_and_prepare(name: str, data_dir: str | None = None) -> pathlib.Path:
    """Downloads a TFDS data set and prepares it as array_record files, where they are not there already.

    Args:
      name: as in `find_builder`.
      data_dir: as in `tfds_directory`.

    Returns:
      The directory of the prepared data set.

    Raises:
      UserError: if TFDS does not know it, needs TensorFlow for it, or cannot get hold of it.
    """
    import tensorflow_datasets as tfds

    directory = tfds_directory(data_dir)
    try:
        builder = tfds.builder(name, data_dir=directory)
        builder.download_and_prepare(file_format='array_record')
    except tfds.core.DatasetNotFoundError:
        raise _not_found(name, directory) from None
    except ImportError as error:
        raise UserError(
            f"TFDS needs another package to prepare {name!r} ({error}): run pip install 'gan_jax[tensorflow]'."
        ) from error
    except Exception as error:
        raise UserError(
            f'TFDS cannot prepare {name!r} in {directory!r}: {str(error).strip() or type(error)}'
        ) from error
    return pathlib.Path(builder.data_dir)


def domain_splits(builder: Any, split: str) -> list[str]:
    """The splits of the two domains of a data set such as TFDS's cycle_gan: 'trainA[:10%]' and 'trainB[:10%]'.

    Those are of 'train[:10%]'. Of any other data set, and where there is a split of that name, it is the split alone.
    """
    name, found, part = split.partition('[')
    sides = [f'{name}{side}' for side in 'AB']
    if name in builder.info.splits or not all(side in builder.info.splits for side in sides):
        return [split]
    return [f'{side}{found}{part}' for side in sides]


def tfds_source(builder: Any, name: str, split: str) -> ImageSource:
    """The images and class labels of a split of a prepared data set.

    The image is the first of the data set's supervised keys where that is an image, else its image feature of the
    alphabetically first name; the label, likewise, is the second of the supervised keys or the first class label, if
    any. Where an example of a labelled data set has no label, TFDS says -1.

    Args:
      builder: a TFDS builder whose data set is prepared.
      name: the data set's name, for messages.
      split: a split, a slice of one or a sum of them, as TFDS writes it: 'train', 'train[:10%]', 'train+test'.

    Raises:
      MissingSplitError: if the data set has no such split.
      UserError: if it has no images of 8 or 16 bits, or is not prepared as array_record.
      DamagedDataError: (reading, too) if its files are missing or damaged.
    """
    import tensorflow_datasets as tfds

    info = builder.info
    if 'array_record' not in {file_format.value for file_format in info.available_file_formats()}:
        raise UserError(
            f'{name!r} is prepared as {info.file_format.value}, not as array_record: with TensorFlow installed, run '
            f'tfds convert_format --dataset_version_dir={builder.data_dir} --out_file_format=array_record.'
        )
    image, label = find_features(info, name)
    try:
        split_info = info.splits[split]
    except (KeyError, ValueError):
        raise MissingSplitError(name, split, info.splits) from None
    # Of a slice that ends before it begins, TFDS counts examples below 0.
    if split_info.num_examples <= 0:
        raise UserError(f'the split {split!r} of {name!r} is empty: choose a larger one.')
    for path in split_info.filepaths:
        if not path.is_file():
            raise DamagedDataError(name, builder.data_path, f'{path.name} is missing')
    parts = split_info.file_instructions
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    try:
        records = builder.as_data_source(split, deserialize_method=raw, file_format='array_record')
    except Exception as error:
        raise DamagedDataError(name, builder.data_path, error) from error
    parser = tfds.features.FeaturesDict({key: info.features[key] for key in (image, label) if key is not None})
    skip = {image: tfds.decode.SkipDecoding()}

    def read(start: int, stop: int) -> list[tuple[io.BytesIO, int | None]]:
        try:
            found = records.__getitems__(range(start, stop))
            if len(found) != stop - start or not all(found):  # of a file that ends early
                raise EOFError('records are missing')
            examples = [parser.deserialize_example_np(record, decoders=skip) for record in found]
            return [(io.BytesIO(example[image]), example[label] if label else None) for example in examples]
        except Exception as error:
            raise DamagedDataError(name, builder.data_path, error) from error

    return ImageSource(
        name=name,
        split=split,
        place=os.path.realpath(builder.data_path),
        files=[*(builder.data_path / file for file in _METADATA), *sorted(set(split_info.filepaths))],
        identity=[image, label, [[os.path.basename(part.filename), part.skip, part.take] for part in parts]],
        num_examples=len(records),
        num_classes=info.features[label].num_classes if label else None,
        class_names=tuple(info.features[label].names or ()) or None if label else None,
        read=read,
        describe=lambda index: f'example {index} of {name!r} ({split})',
        find_channels=lambda: 1 if info.features[image].shape[-1] == 1 else 3,
    )


def find_features(info: Any, name: str) -> tuple[str, str | None]:
    """The names of a TFDS builder's image and label features; the label's is None if it has none.

    Raises:
        UserError: it has no images, or none of 8 or 16 bits.
    """
    import tensorflow_datasets as tfds

    supervised = info.supervised_keys if len(info.supervised_keys or ()) == 2 else (None, None)

    def find(feature_class: type, preferred: Any) -> str | None:
        keys = [key for key, feature in info.features.items() if type(feature) is feature_class]
        return preferred if preferred in keys else min(keys, default=None)

    image = find(tfds.features.Image, supervised[0])
    if image is None:
        raise UserError(f'{name!r} has no images, only {", ".join(sorted(info.features))}: choose an image data set.')
    dtype = np.dtype(info.features[image].np_dtype)
    if dtype not in (np.uint8, np.uint16):
        raise UserError(f'the images of {name!r} are {dtype}; only images of 8 or 16 bits can be read.')
    return image, find(tfds.features.ClassLabel, supervised[1])


def _not_found(name: str, directory: str) -> UserError:
    import tensorflow_datasets as tfds

    base = re.split('[/:]', name)[0]
    known = tfds.list_builders(with_community_datasets=False)
    if base in known:
        return UserError(
            f"the TFDS data set {name!r} is not prepared in {directory!r}: run pip install 'gan_jax[tensorflow]' "
            f'and python -m gan_jax.tools.prepare_dataset {name} --data_dir {directory}, or give the directory '
            'that contains it by data_dir or TFDS_DATA_DIR.'
        )
    near = difflib.get_close_matches(base.lower(), sorted({*known, *EMBEDDED}), n=3)
    others = 'give folder:/path or a TFDS name; python -m gan_jax.tools.list data shows those on this machine.'
    hint = f'did you mean {" or ".join(near)}?' if near else others
    return UserError(f'there is no data set {name!r}, neither in {directory!r} nor in TFDS: {hint}')
