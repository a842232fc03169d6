"""Pictures of games that translate or encode: inputs, outputs and targets, or images and reconstructions, side by side.

`gan_jax.sampling.samples` does the same for games that generate from latents only.
"""

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from ml_collections import ConfigDict

from gan_jax.data import MAIN, Dataset, load, prepare_parts, to_float
from gan_jax.data.maps import check_classes
from gan_jax.data.words import encode
from gan_jax.errors import UserError
from gan_jax.game import Game, Player, named_key
from gan_jax.games.spade import coloured
from gan_jax.layers.bicubic import repeated
from gan_jax.runtime import compiler
from gan_jax.sampling import captions

_BATCH = 16
_EXAMPLE = 'example of the style'
_CAPTION = 'caption'


class Shown(NamedTuple):
    """The examples of one picture, which a run draws repeatedly.

    Attributes:
        latents: [n, ...].
        batch: a batch of n examples, as the game is trained on.
        names: names of the images that are shown of an example, from left to right.
        words: the vocabulary of captions, whose pictures are shown first; None: there are none.
        conditions: None; there are no classes.
    """

    latents: ArrayLike
    batch: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    words: tuple[str, ...] | None = None
    conditions: None = None

    @property
    def columns(self) -> int:
        """The number of columns: complete examples per row, so that the picture is nearly square."""
        width = len(self.names)
        return width * math.ceil(math.sqrt(len(self.latents) / width))

    @property
    def caption(self) -> str:
        """What the picture shows."""
        return f'Each example, from left to right: {", ".join(self.names)}.'

    def draw(self, game: Game, generator: Player, encoder: Player | None = None) -> np.ndarray:
        """The images float32 [n len(names), H, W, C] in [-1, 1], or other examples, those of an example side by side.

        Smaller images are enlarged by repeated pixels if the larger sides are multiples of theirs.

        Raises:
            UserError: the game shows images of other sizes.
        """
        made = self.images(game, generator, encoder)
        alike = list(made.values()) if len({one.shape for one in made.values()}) == 1 else _alike(made)
        return np.stack(alike, axis=1).reshape(-1, *alike[0].shape[1:])

    def images(self, game: Game, generator: Player, encoder: Player | None = None) -> dict[str, np.ndarray]:
        """The images that the game shows of the examples, by name: float32 [n, H, W, C] in [-1, 1]."""
        others = [encoder.weights] if _reconstructs(game) else []
        is_whole = 'real' in self.batch  # otherwise there are only inputs to translate
        show = _show(game) if is_whole else functools.partial(_beside, game)
        show = jax.jit(show, compiler_options=compiler.often())
        parts = []
        for i in range(0, len(self.latents), _BATCH):
            part = {name: field[i : i + _BATCH] for name, field in self.batch.items()}
            parts.append(jax.device_get(show(*generator.weights, self.latents[i : i + _BATCH], part, *others)))
        made = {name: np.concatenate([part[name] for part in parts]) for name in self.names if name != _CAPTION}
        if self.words is None:
            return made
        side = captions.side_of(max(image.shape[1] for image in made.values()))
        return {_CAPTION: captions.pictures(self.batch[game.given], self.words, side), **made}


def _alike(made: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Images of several sizes and numbers of channels as images of one shape; clips of several numbers of channels."""
    if all(image.ndim == 4 for image in made.values()):
        sides = max(image.shape[1:3] for image in made.values())
        made = {name: _enlarged(image, sides) for name, image in made.items()}
    if len({image.shape[:-1] for image in made.values()}) > 1:
        shapes = ', '.join(f'{name} {image.shape[1:]}' for name, image in made.items())
        raise UserError(f'A game must show images of the same size side by side, but the shapes are {shapes}.')
    channels = max(image.shape[-1] for image in made.values())
    return [np.broadcast_to(image, (*image.shape[:-1], channels)) for image in made.values()]


def fixed_examples(game: Game, num: int, seed: int, dataset: Dataset) -> Shown:
    """The examples that a run shows: always the same for a seed, about `num` images in all, at least one example."""
    names = _names(game, dataset)
    count = max(1, num // len(names))
    latents = game.latents(named_key(seed, 'samples'), np.arange(count))
    rng = np.random.default_rng(seed)
    places = {name: rng.choice(len(part), count, replace=count > len(part)) for name, part in dataset.parts.items()}
    words = None if game.captions is None else dataset.class_names
    return Shown(latents, batch_of(dataset, places), names, words)


def of_prompt(game: Game, num: int, seed: int, caption: str, words: tuple[str, ...], length: int) -> Shown:
    """Several images of one caption.

    Args:
        game: a game whose condition is captions.
        num: how many.
        seed: seed of the latents.
        caption: the caption.
        words: the vocabulary.
        length: number of words that the game reads.

    Raises:
        UserError: as `gan_jax.data.words.encode`.
    """
    captions = np.tile(encode(caption, words, length), (num, 1))
    latents = game.latents(named_key(seed, 'samples'), np.arange(num))
    return Shown(latents, {game.given: captions}, ('output',))


def of_inputs(game: Game, num: int, seed: int, dataset: Dataset) -> Shown:
    """The first images of a data set, each beside its translation: about `num` images in all.

    A game that translates its real images shows what it shows of its own data.

    Raises:
        UserError: the images are label maps, with classes that the game does not know.
    """
    names = _names(game, dataset) if game.given == 'real' else ('input', 'output')
    count = min(max(1, num // len(names)), len(dataset))
    if game.maps is not None:
        check_classes(dataset.fields.get(game.given, dataset.examples)[:count], game.maps, dataset.name)
    batch = {game.given: _first(dataset, game.given, count)}
    return Shown(game.latents(named_key(seed, 'samples'), np.arange(count)), batch, names)


def in_styles(game: Game, generator: Player, num: int, inputs: Dataset, examples: Dataset) -> Shown:
    """The first images of a data set, each beside an example and its translation in the style of that example.

    Args:
        game: a game with `style_of`.
        generator: its player.
        num: number of images in all, about.
        inputs: the images to translate.
        examples: their first images are the examples; if they are fewer than the inputs, they are repeated.
    """
    count = min(max(1, num // 3), len(inputs))
    example = np.resize(_first(examples, 'real', count), (count, *examples.shape))
    styles = jax.jit(game.style_of, compiler_options=compiler.ONCE)(*generator.weights, example)
    batch = {game.given: _first(inputs, game.given, count), _EXAMPLE: example}
    return Shown(styles, batch, ('input', _EXAMPLE, 'output'))


def _first(dataset: Dataset, field: str, count: int) -> np.ndarray:
    """The first images of a field of a data set, or of its examples if it has no such field."""
    images = dataset.fields.get(field, dataset.examples)
    return np.asarray(to_float(np.asarray(images[:count])))


def load_inputs(
    name: str,
    field: str,
    shapes: Mapping[str, tuple[int, ...]],
    options: ConfigDict,
    what: str = 'translates',
    *,
    is_map: bool = False,
) -> Dataset:
    """Loads data with the size and channels of a field of a run's batches.

    Args:
        name: as in `gan_jax.data.load`.
        field: the field; data without it have these images as their examples.
        shapes: shapes of the fields.
        options: the section `data` of the run's config.
        what: what the run does with such images, for messages.
        is_map: whether the images are label maps; then those of a folder, or the frames of clips, are read as such.

    Raises:
        UserError: the images do not exist, or have another shape.
    """
    *_, height, width, channels = shapes[field]
    directories = {'data_dir': options.directory, 'cache_dir': options.cache}
    options = {'size': height if height == width else None, **directories}
    if is_map and name.startswith(('folder:', 'clips:')):
        options |= {'is_map': True, 'channels': 1}
    dataset = load(name, **options)
    is_of_examples = field == MAIN or field not in dataset.fields
    if is_of_examples and dataset.shape[-1] != channels:
        # Errors of data that have no other channels are told below, and warnings have been told.
        with contextlib.suppress(UserError), warnings.catch_warnings(action='ignore'):
            dataset = load(name, channels=channels, **options)
    found = dataset.shapes.get(field, dataset.shape)
    if found != shapes[field]:
        raise UserError(f'{name!r} has images of shape {found}, but this run {what} images of shape {shapes[field]}.')
    return dataset


def batch_of(dataset: Dataset, places: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The examples at indices [n] of each part of a data set, as in training but never mirrored."""
    found = {
        name: {kind: array[places[name]] for kind, array in arrays.items()} for name, arrays in dataset.arrays.items()
    }
    return jax.tree.map(np.asarray, prepare_parts(found, None, None, flip=False))


def _enlarged(images: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    """Images [n, h, w, C] enlarged to these sides by repeated pixels, if the sides are multiples of theirs."""
    factor = sides[0] // images.shape[1]
    is_whole = tuple(factor * side for side in images.shape[1:3]) == sides
    return repeated(images, factor) if is_whole else images


def _names(game: Game, dataset: Dataset) -> tuple[str, ...]:
    """The names of the images that a game shows of an example, found by tracing."""
    batch = batch_of(dataset, {name: np.zeros(1, int) for name in dataset.parts})

    names: list[str] = []

    def show(key: jax.Array) -> dict[str, Any]:
        networks = game.init(key)
        others = [networks['encoder']] if _reconstructs(game) else []
        made = _show(game)(*networks['generator'], game.latents(key, np.arange(1)), batch, *others)
        if not isinstance(made, dict) or not made:
            raise UserError(f'Game.show must return a dict of images by name, not {made!r}.')
        names.extend(made)  # recorded here, because JAX sorts the keys of dicts
        return made

    jax.eval_shape(show, jax.random.key(0))
    return (_CAPTION, *names) if game.captions is not None else tuple(names)


def _show(game: Game) -> Callable[..., dict[str, Any]]:
    """The images that a game shows of examples; by default reconstructions, or the outputs of a translator."""
    return game.show or functools.partial(_again if _reconstructs(game) else _beside, game)


def _reconstructs(game: Game) -> bool:
    """Whether reconstructions are shown, which need the encoder."""
    return game.show is None and game.encode is not None


def _again(
    game: Game, params: Any, variables: Any, latents: Any, batch: Mapping[str, Any], encoder: tuple[Any, Any]
) -> dict[str, Any]:
    images = batch['real']
    again = game.sample(params, variables, game.encode(*encoder, images).codes)
    return {'image': images, 'reconstruction': again, 'sample': game.sample(params, variables, latents)}


def _beside(game: Game, params: Any, variables: Any, latents: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    images = batch[game.given]
    seen = images if game.maps is None else coloured(images, game.maps)
    example = {_EXAMPLE: batch[_EXAMPLE]} if _EXAMPLE in batch else {}
    return {'input': seen, **example, 'output': game.sample(params, variables, latents, images)}
