"""Data of which a few examples are labelled, for semi-supervised games (Salimans et al., arXiv:1606.03498)."""

import dataclasses

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError

LABELLED = 'labelled'


def with_few_labels(data: Dataset, per_class: int, seed: int) -> Dataset:
    """All examples without labels, with some of each class as the group 'labelled', which keeps its labels.

    The unlabelled examples include the labelled ones, as in the paper.

    Args:
      data: labelled; an example whose label is -1 belongs to no class.
      per_class: how many examples of each class are labelled, drawn without replacement.
      seed: seed of the draw.

    Raises:
      UserError: the data have no labels, a class has fewer examples, or `per_class` is below 1.
    """
    if data.labels is None:
        raise UserError(
            f'{data.name!r} has no labels, but data.labels_per_class={per_class} needs some: unset it, or '
            'choose labelled data.'
        )
    if per_class < 1:
        raise UserError(f'data.labels_per_class is {per_class}; it must be at least 1.')
    random = np.random.default_rng(seed)
    chosen = []
    for label in range(data.num_classes):
        having = np.flatnonzero(data.labels == label)
        if len(having) < per_class:
            called = label if data.class_names is None else repr(data.class_names[label])
            raise UserError(
                f'the class {called} of {data.name!r} has {len(having)} labelled examples, fewer than '
                f'data.labels_per_class={per_class}: lower it.'
            )
        chosen.append(random.choice(having, per_class, replace=False))
    labelled = data.select(np.sort(np.concatenate(chosen)), f'{data.name}, {per_class} labels a class')
    labelled = dataclasses.replace(labelled, groups={})
    return dataclasses.replace(
        data,
        labels=None,
        num_classes=None,
        class_names=None,
        fingerprint=fingerprints.of_value(['few labels', data.fingerprint, labelled.fingerprint]),
        groups={**data.groups, LABELLED: labelled},
    )
