"""Data sets as arrays."""

import dataclasses
from collections.abc import Mapping
from typing import Self

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.mixed import MixedImages
from gan_jax.errors import UserError
from gan_jax.examples.kinds import IMAGES, kind_of

MAIN = 'real'  # the part of a data set that its groups go with, and the batch field of its examples


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A split of a data set.

    Attributes:
      name: as requested.
      split: as requested.
      examples: uint8 [num, height, width, channels], read-only and (but for stacked images) memory-mapped, or float32
        [num, 2], or uint8 solids [num, side, side, side, 1], or float32 point clouds [num, points, 3] in the sphere of
        radius 1/2; images of several sizes, where `load` allows them, as `MixedImages`.
      labels: int32 [num] in [0, num_classes), -1 where an example has none; or None.
      num_classes: the number of classes (of modes, for a mixture), or of those in label maps, or of words in captions;
        None if there are neither labels nor maps nor captions.
      fingerprint: a hash of the examples and labels, see `fingerprints`; of those that a stack is made of; of images of
        several sizes a hash of their files, of what else decides them, and of the rules of decoding.
      class_names: names of the classes in order: of a folder's sub-directories, or TFDS's; the words of captions; None
        if they have none.
      inputs: uint8 [num, height, width, channels], the image that goes with each example, such as the one that a
        translator is given, or a label map with the class of each pixel; or its caption, int32 [num, length] of numbers
        of words (see `words`), or float32 [num, n], an embedding of its caption; None if the examples are not pairs.
      contents: int32 [num], a second label of each example, for evaluation only, such as what moves in a clip; None if
        it is not known.
      groups: further data sets by name, each with an order of its own, such as the other one of two domains. None has
        groups itself.

    A batch has the fields 'real', 'label' (where there are labels) and 'input' (where there are inputs); and for each
    group NAME the same as 'NAME', 'NAME_label' and 'NAME_input'.
    """

    name: str
    split: str
    examples: np.ndarray | MixedImages
    labels: np.ndarray | None
    num_classes: int | None
    fingerprint: str
    class_names: tuple[str, ...] | None = None
    inputs: np.ndarray | None = None
    contents: np.ndarray | None = None
    groups: Mapping[str, Self] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.inputs is not None and len(self.inputs) != len(self.examples):
            raise ValueError(f'{len(self.examples)} examples have {len(self.inputs)} inputs.')
        for name, group in self.groups.items():
            if name in (MAIN, 'label', 'input'):
                raise ValueError(f'a group cannot be called {name!r}, because every batch has a field of that name.')
            if group.groups:
                raise ValueError(f'the group {name!r} has groups of its own.')

    @property
    def parts(self) -> dict[str, Self]:
        """The data sets that have an order each: this one as 'real', and the groups by their names."""
        return {MAIN: self, **self.groups}

    @property
    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The 'examples', 'labels' and 'inputs' of each part, as arguments of `prepare`."""
        return {
            name: {
                kind: np.asarray(array)  # of a memory map a plain array, which is no copy
                for kind in ('examples', 'labels', 'inputs')
                if (array := getattr(part, kind)) is not None
            }
            for name, part in self.parts.items()
        }

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one example of each field of a batch, without labels."""
        shapes = {}
        for name, part in self.parts.items():
            shapes[name] = part.shape
            if part.inputs is not None:
                shapes[batch_field(name, 'input')] = part.inputs.shape[1:]
        return shapes

    @property
    def fields(self) -> dict[str, np.ndarray]:
        """The array of each field of the batches: [num, ...] in its own dtype."""
        return {
            batch_field(part, kind): array
            for part, data in self.parts.items()
            for kind, array in (('real', data.examples), ('label', data.labels), ('input', data.inputs))
            if array is not None
        }

    @property
    def label_sets(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        """The classes of each part with labels: their names, or numbers where they have none."""
        labelled = {name: part for name, part in self.parts.items() if part.labels is not None}
        return {name: part.class_names or tuple(range(part.num_classes)) for name, part in labelled.items()}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example; (None, None, channels) of images of several sizes."""
        return self.examples.shape[1:]

    def __len__(self) -> int:
        return len(self.examples)

    def select(self, indices: np.ndarray, name: str) -> Self:
        """The examples at some indices, copied, with their labels and inputs and without groups, by a name."""
        arrays = {kind: array[indices] for kind, array in self.arrays[MAIN].items()}
        for array in arrays.values():
            array.setflags(write=False)
        chosen = fingerprints.of_arrays(indices.astype(np.int64), None)
        fingerprint = fingerprints.of_value(['selected', self.fingerprint, chosen])
        contents = None if self.contents is None else self.contents[indices]
        return dataclasses.replace(self, name=name, fingerprint=fingerprint, contents=contents, groups={}, **arrays)

    @property
    def has_maps(self) -> bool:
        """Whether the inputs are label maps, of images or of clips: pixels [1] in [0, num_classes)."""
        return self._explained_by(4, 5)

    @property
    def has_captions(self) -> bool:
        """Whether the inputs are captions: numbers [length] of words, in [0, num_classes)."""
        return self._explained_by(2)

    def _explained_by(self, *dimensions: int) -> bool:
        """Whether the classes are those of inputs with some number of dimensions."""
        classes_are_of_inputs = self.labels is None and self.num_classes is not None
        return classes_are_of_inputs and self.inputs is not None and self.inputs.ndim in dimensions

    def check_images(self) -> None:
        """Raises a UserError if the examples are not images."""
        if (kind := kind_of(self.shape)) is not IMAGES:
            raise UserError(f'{self.name!r} is a set of {kind.name}, not of images: choose images.')

    def check_without_groups(self) -> None:
        """Raises a UserError if the data already have several domains."""
        if self.groups:
            raise UserError(f'{self.name!r} already has two domains: use data sets of one domain.')


def batch_field(part: str, kind: str) -> str:
    """The field of a batch that holds a part's 'real', 'label' or 'input': of a group 'a', 'a_label', 'a_input'."""
    if part == MAIN:
        return kind
    return part if kind == 'real' else f'{part}_{kind}'
