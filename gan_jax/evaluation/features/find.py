"""Extractors by name."""

import importlib
import re

from gan_jax.errors import UserError
from gan_jax.evaluation.features.classifier import classifier, classifier_path
from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.features.inception import inception
from gan_jax.evaluation.features.inception_weights import has_inception_weights, load_inception_weights

GRAMMAR = 'auto, inception[:RESIZE[:TAP]], classifier[:NAME] or PACKAGE.MODULE:NAME'


def find_extractor(spec: str, data_name: str, image_shape: tuple[int, ...]) -> Extractor:
    """The extractor that a config or a command line names.

    Args:
        spec: 'inception', 'inception:clean', 'inception:tf1:192'; 'classifier' (that of the data set), or
            'classifier:mnist'; 'package.module:name' for an `Extractor` of your own; or 'auto': Inception where its
            weights are on this machine, else the data set's classifier.
        data_name: the data set of the real images.
        image_shape: (H, W, C) of all images.

    Raises:
        UserError: there is no such extractor, or its weights are not on this machine.
    """
    kind, _, rest = spec.partition(':')
    if spec == 'auto':
        if has_inception_weights():
            return inception(load_inception_weights())
        if classifier_path(data_name).exists():
            return classifier(data_name, image_shape=image_shape)
        raise UserError(
            f'There is nothing to look at images of {data_name!r} with: train a classifier of them by "python -m '
            f'tools.train_classifier {data_name}", or get the weights of Inception by "python -m '
            'tools.convert_inception --download".'
        )
    if kind == 'inception':
        options = re.fullmatch(r'([\w-]*)(?::(\d+))?', rest)
        if options is None:
            raise _unknown(spec)
        resize, tap = options.groups()
        return inception(load_inception_weights(), resize=resize or 'tf1', tap=int(tap or 2048))
    if kind == 'classifier':
        return classifier(rest or data_name, image_shape=image_shape)
    return _imported(spec)


def _imported(spec: str) -> Extractor:
    module, found, name = spec.partition(':')
    if not found:
        raise _unknown(spec)
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f'The extractor {spec!r} cannot be imported ({error}): write {GRAMMAR}.') from error
    if not isinstance(made, Extractor):
        raise UserError(f'{spec} is not a gan_jax.evaluation.features.extractor.Extractor: make it one.')
    return made


def _unknown(spec: str) -> UserError:
    return UserError(f'There is no extractor {spec!r}: write {GRAMMAR}.')
