"""Common parts of the pictures of `--mode sample`: the chosen latents, and how pictures are arranged and written."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.layers.choices import require
from gan_jax.ranges import Range
from gan_jax.records import report
from gan_jax.runtime import compiler
from gan_jax.sampling import animation
from gan_jax.sampling.sample_files import generated
from gan_jax.sampling.samples import Samples, arrange, picture
from gan_jax.sampling.trained import TrainedRun
from gan_jax.training import cost

REACH = {'normal': 3.0, 'uniform': 1.0}
_MOST_STEPS = 10_000  # images of a row, or from one seed to the next
_ANIMATION_WIDTH = 448  # pixels; two or more images side by side are enlarged up to this width


class Chosen(NamedTuple):
    """The run and the latents of a picture.

    Attributes:
        workdir: the run's directory.
        run: the run, of images, at a step.
        latents: float32, one for each seed: z [k, n], or in W the styles [k, classes, layers, w] in each class.
        classes: the numbers of the classes to show, or None if the generator is unconditional.
        options: the options that chose them, for file names.
        seeds: the requested seeds, or None.
        space: the space of the latents, 'z' or 'w'.
    """

    workdir: pathlib.Path
    run: TrainedRun
    latents: np.ndarray
    classes: tuple[int, ...] | None
    options: dict[str, Any]
    seeds: tuple[int, ...] | None = None
    space: str = 'z'

    @property
    def distribution(self) -> str:
        """The distribution of the latents z, 'normal' or 'uniform'."""
        return self.run.config.latents.distribution

    def name(self, *words: str, **more: Any) -> pathlib.Path:
        """The path of a picture without its suffix."""
        return generated(self.workdir, self.run.step, *words, **more, **self.options)

    def in_w(self) -> 'Chosen':
        """The same with styles as latents; the run's game then makes its examples from styles.

        Raises:
            UserError: the generator has no styles.
        """
        run, game = self.run, self.run.styled('--space w').game
        shown = len(self.classes or [None])
        conditions = None if self.classes is None else np.tile(self.classes, len(self.latents))
        styles = jax.jit(game.styles, compiler_options=compiler.often())
        found = np.asarray(styles(*run.weights, np.repeat(self.latents, shown, axis=0), conditions))

        def sample(params: Any, variables: Any, styles: Any, condition: None = None) -> jax.Array:
            return game.synthesize(params, variables, styles)

        run = run._replace(game=game._replace(sample=sample))
        return self._replace(run=run, latents=found.reshape(-1, shown, *found.shape[1:]), space='w')

    def in_one_class(self) -> 'Chosen':
        """The same with the first class only, unless classes were given: for pictures that have many rows anyway."""
        if self.classes and self.options['classes'] is None:
            return self._replace(classes=self.classes[:1])
        return self

    def arranged(self, points: np.ndarray, columns: int) -> Samples:
        """Arranges rows of latents [rows columns, ...], with each row repeated in each class."""
        if self.space == 'z':
            return arrange(points, columns, self.classes)
        rows = np.moveaxis(points.reshape(-1, columns, *points.shape[1:]), 2, 1)
        return Samples(rows.reshape(-1, *points.shape[2:]), None, columns)

    def draw(self, points: np.ndarray, columns: int) -> np.ndarray:
        """The images of `arranged` latents: float32 [n, H, W, C] in [-1, 1]."""
        return self.arranged(points, columns).draw(self.run.game, self.run.generator)

    def legs(self) -> Sequence[int]:
        """The indices of the paths between consecutive seeds.

        Raises:
            UserError: there is only one seed.
        """
        if len(self.latents) < 2:
            raise UserError('A path needs at least two seeds, such as --seeds 0,1.')
        return np.arange(len(self.latents) - 1)

    def values(self, given: Sequence[float] | None, columns: int, rows: int, reach: float | None = None) -> np.ndarray:
        """The values of the columns of each row: the given range, or -reach to reach.

        Raises:
            UserError: the range is not finite, or there are too many pictures.
        """
        reach = reach or REACH[self.distribution]
        low, high = given or (-reach, reach)
        require(math.isfinite(low) and math.isfinite(high), '--range', f'{low:g} {high:g}', 'two finite numbers')
        return np.linspace(low, high, self.checked('--columns', columns, 2, rows * len(self.latents)))

    def checked(self, flag: str, value: int, least: int, rows: int) -> int:
        """Checks a flag: the number of pictures in each row, or in each leg of a path.

        Raises:
            UserError: it is out of its range, or there are too many pictures.
        """
        Range(least, _MOST_STEPS).check(flag, value)
        size = math.prod(self.latents.shape[1 if self.space == 'z' else 2 :])
        cost.check_pictures(value * rows * len(self.classes or [None]), self.run.shape, size)
        return value


def save_rows(name: pathlib.Path, chosen: Chosen, rows: Sequence[np.ndarray]) -> pathlib.Path:
    """Writes a picture of rows of latents [columns, ...], each in each class."""
    columns = len(rows[0])
    return save_images(name, chosen.draw(np.concatenate(rows), columns), columns)


def save_images(name: pathlib.Path, images: np.ndarray, columns: int) -> pathlib.Path:
    """Writes a picture of images [n, H, W, C] in [-1, 1], row by row."""
    path = name.with_name(f'{name.name}.png')  # with_suffix would cut a name at its last dot
    report.save_png(path, picture(images, columns=columns))
    return path


def animate(
    name: pathlib.Path, chosen: Chosen, points: np.ndarray, format: str, hold: float | None = None
) -> pathlib.Path:
    """Writes an animation of latents, all classes side by side in each frame."""
    animation.check_format(format)
    together = len(chosen.classes or [None])
    images = np.asarray(to_uint8(chosen.draw(points, 1)))
    columns = math.ceil(math.sqrt(together))
    scale = max(1, _ANIMATION_WIDTH // (max(columns, 2) * images.shape[2]))
    frames = [
        report.image_grid(images[i : i + together], columns, scale=scale) for i in np.arange(0, len(images), together)
    ]
    path = name.with_name(f'{name.name}.{format}')
    animation.save_animation(path, frames, hold=hold)
    return path
