"""Data without some of their classes, for the detection of novelties."""

import numpy as np

from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError
from gan_jax.sampling.wanted_classes import choose_classes, parse_classes


def without_classes(data: Dataset, classes: str) -> Dataset:
    """The examples of all other classes, under the same name and with the same numbers of classes.

    Args:
      data: labelled; examples whose label is -1 remain.
      classes: names or numbers with commas between them, as `parse_classes` takes them.

    Raises:
      UserError: the data have no labels or several domains, a class does not exist, or nothing is left.
    """
    if data.labels is None:
        raise UserError(f'{data.name!r} has no classes to leave out: unset data.left_out, or choose labelled data.')
    data.check_without_groups()
    wanted = parse_classes(classes)
    if not wanted:
        raise UserError(f'data.left_out={classes} names no class: write data.left_out=3,8, or unset it.')
    chosen = choose_classes(wanted, data.num_classes, data.class_names)
    kept = np.flatnonzero(~np.isin(data.labels, chosen))
    if not len(kept):
        raise UserError(f'data.left_out={classes} leaves no example of {data.name!r}: name fewer classes.')
    return data.select(kept, data.name)
