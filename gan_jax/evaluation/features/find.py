"""Extractors by name."""

import importlib
import pathlib
import re

from gan_jax.errors import UserError
from gan_jax.evaluation.archive import SUFFIXES
from gan_jax.evaluation.features.classifier import classifier, classifier_path
from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.features.inception import inception
from gan_jax.evaluation.features.inception_weights import has_inception_weights
from gan_jax.evaluation.features.stacked import of_channels
from gan_jax.layers.choices import require

GRAMMAR = 'auto, inception[:RESIZE[:TAP]], classifier[:NAME] or PACKAGE.MODULE:NAME'
_STACKED = 'stacked:'


def find_extractor(
    spec: str | Extractor, data_name: str, image_shape: tuple[int, ...], *, labelled: bool = True
) -> Extractor:
    """The extractor that a config or a command line names.

    Args:
        spec: 'inception', 'inception:clean', 'inception:tf1:192'; 'classifier' (that of the data set, or of the data
            set resized to the images' size; for 'stacked:mnist' that of mnist on each channel), or
            'classifier:mnist'; 'package.module:name' for an `Extractor` of your own, which may also be given itself;
            or 'auto': Inception where its weights are on this machine, else the data set's classifier.
        data_name: the data set of the real images, as `gan_jax.data.load` names it, or a file of them.
        image_shape: (H, W, C) of all images.
        labelled: whether the real images have classes.

    Raises:
        UserError: the extractor does not exist, or its weights are not on this machine.
    """
    if isinstance(spec, Extractor):
        return spec
    if not isinstance(spec, str):
        raise UserError(
            f'The extractor is a {type(spec).__name__}: give an Extractor(name, identity, apply) of '
            'gan_jax.evaluation.features.extractor, whose apply returns Features.'
        )
    kind, _, rest = spec.partition(':')
    trainable = labelled and pathlib.Path(data_name).suffix not in SUFFIXES
    if spec == 'auto':
        if has_inception_weights():
            return inception()
        plain = data_name.removeprefix(_STACKED)
        if classifier_path(plain, size=_size_of_classifier(plain, image_shape)).exists():
            return _of_data(data_name, image_shape)
        remedy = (
            f'train a classifier by "python -m gan_jax.tools.train_classifier {plain}"'
            if trainable
            else 'name the classifier of similar images, as "classifier:NAME" (these images have no classes)'
        )
        raise UserError(
            f'There is no feature extractor for {data_name!r}: {remedy}, or download the weights of Inception by '
            '"python -m gan_jax.tools.convert_inception --download".'
        )
    if kind == 'inception':
        options = re.fullmatch(r'([\w-]*)(?::(\d+))?', rest)
        if options is None:
            raise _unknown(spec)
        resize, tap = options.groups()
        return inception(resize=resize or 'tf1', tap=int(tap or 2048))
    if kind == 'classifier':
        if not (rest or trainable):
            raise UserError(
                f'A classifier of {data_name!r} cannot be trained, because these images are a file or have no '
                'classes: name that of similar images, as "classifier:NAME".'
            )
        return classifier(rest, image_shape=image_shape) if rest else _of_data(data_name, image_shape)
    return _imported(spec)


def _of_data(name: str, image_shape: tuple[int, ...]) -> Extractor:
    """The classifier of a data set's images; for stacked images, that of a channel."""
    plain = name.removeprefix(_STACKED)
    size = _size_of_classifier(plain, image_shape)
    if plain == name:
        return classifier(name, image_shape=image_shape, size=size)
    return of_channels(classifier(plain, image_shape=(*image_shape[:2], 1), size=size))


def _size_of_classifier(name: str, image_shape: tuple[int, ...]) -> int | None:
    """The size of the images if there is a classifier for it and none for the size of the data; else None."""
    size = image_shape[0]
    return size if not classifier_path(name).exists() and classifier_path(name, size=size).exists() else None


def _imported(spec: str) -> Extractor:
    """The user's extractor 'package.module:name', whose module may raise any exception."""
    module, _, name = spec.partition(':')
    if not all(part.isidentifier() for part in (*module.split('.'), name)):
        raise _unknown(spec)
    try:
        made = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise UserError(
            f'The extractor {spec!r} cannot be imported ({type(error).__name__}: {error}): write {GRAMMAR}.'
        ) from error
    if not isinstance(made, Extractor) or not all(map(callable, (made.apply, made.resize or made.apply))):
        raise UserError(f'{spec} is not a gan_jax.evaluation.features.extractor.Extractor.')
    texts = {'name': made.name, 'identity': made.identity}
    for field, text in texts.items():
        require(isinstance(text, str), f'The {field} of {spec}', text, 'a text')
    return made


def _unknown(spec: str) -> UserError:
    return UserError(f'There is no extractor {spec!r}: write {GRAMMAR}.')
