"""A trained run in a notebook or another program: arrays, pictures, and its generator as a pure function."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from PIL import Image

from gan_jax.data import to_float, to_stored
from gan_jax.data.maps import check_classes
from gan_jax.errors import UserError
from gan_jax.evaluation.images import images_array
from gan_jax.game import named_key
from gan_jax.ranges import SEED, Range
from gan_jax.records import files, report
from gan_jax.sampling import sample_files, trained
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.trained import TrainedRun


class PureGenerator(NamedTuple):
    """A generator for other JAX code: `generator.apply(generator.weights, latents)`.

    Attributes:
        apply: (weights, latents [n, ...], condition=None) -> examples float32 [n, ...], images in [-1, 1]. Pure, in
            evaluation mode. The condition is classes [n], or images to translate.
        weights: (parameters, variables), the averages where the run keeps some.
        latents: (key, positions [n]) -> latents [n, ...], one independent draw for each position.
    """

    apply: Callable[..., jax.Array]
    weights: tuple[Any, Any]
    latents: Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, repr=False)
class LoadedRun:
    """A run at one of its checkpoints; `gan_jax.load` returns it.

    Attributes:
        workdir: the run's directory.
        run: config, game and players.
    """

    workdir: pathlib.Path
    run: TrainedRun

    def __repr__(self) -> str:
        return repr(self.run)

    @property
    def step(self) -> int:
        """The step of the checkpoint."""
        return self.run.step

    @property
    def generator(self) -> PureGenerator:
        """The generator as a pure function, with standing statistics where the run's config asks for them."""
        run = self.run.standing(None)

        def apply(weights: tuple[Any, Any], latents: jax.Array, condition: jax.Array | None = None) -> jax.Array:
            return run.game.sample(*weights, latents, *(() if condition is None else (condition,)))

        return PureGenerator(apply, run.weights, run.game.latents)

    def sample(self, num: int = 64, seed: int = 0, **options: Any) -> np.ndarray:
        """The samples that `--mode sample` writes for the same arguments.

        Args:
            num: number of samples. A class-conditional generator makes the same number of each class, at least one:
                `num` divided by the number of classes.
            seed: seed of all latents.
            **options: options of a generator of latents, as in `gan_jax.sampling.sample_files.sample_workdir`: seeds,
                classes, grid, threshold, psi, noise, standing_statistics; of a translator: inputs, styles; of a
                generator of captions: prompt.

        Returns:
            uint8 images [n, H, W, C] or solids [n, D, D, D, 1]; or float32 points [n, 2] or clouds [n, points, 3].

        Raises:
            UserError: an option is impossible for this run, or the data of a translator are missing.
        """
        if self._shows(options):
            return np.asarray(to_stored(sampling.made_of_shown(*self._shown(num, seed, **options))))
        return np.asarray(to_stored(self._drawn(num, seed, **options)[0]))

    def show(self, num: int = 64, seed: int = 0, **options: Any) -> Image.Image:
        """The grid that `--mode sample` writes, as a picture that Jupyter displays; arguments as in `sample`."""
        if self._shows(options):
            run, samples = self._shown(num, seed, **options)
            examples = samples.draw(run.game, run.generator, run.encoder)
            columns = samples.columns
        else:
            examples, columns = self._drawn(num, seed, **options)
        return report.to_pillow(sampling.picture(examples, columns=columns))

    def translate(self, images: ArrayLike) -> np.ndarray:
        """Translates images, or clips.

        Args:
            images: uint8 [n, H, W, C], or clips [n, T, H, W, C], of the size that the run was trained on; label maps
                have the class of each pixel.

        Returns:
            uint8 [n, H', W', C'], or [n, T, H, W, C'].

        Raises:
            UserError: the run does not translate, there are no images, or they have another type or shape, or unknown
                classes.
        """
        game = self.run.game
        wanted = self.run.shapes.get(game.given, ())
        if len(wanted) < 3:
            source = 'captions' if game.translates else 'latents'
            raise UserError(f'{self.workdir} makes images of {source} and translates none: use sample().')
        images = np.asarray(images)
        if not images.size:
            raise UserError(f'There are no images to translate in an array of shape {images.shape}: give one or more.')
        images_array(images.reshape(-1, *images.shape[2:]) if images.ndim == len(wanted) + 1 == 5 else images)
        if images.shape[1:] != wanted:
            raise UserError(f'The images have shape {images.shape[1:]}, and this run translates {wanted}.')
        if game.maps is not None:
            check_classes(images, game.maps, 'the images')
        latents = game.latents(named_key(0, 'samples'), np.arange(len(images)))
        return np.asarray(to_stored(sampling.generate(game, self.run.generator, latents, to_float(images))))

    def _shows(self, options: Mapping[str, Any]) -> bool:
        """Whether examples of the data are shown: always of a translator, else unless latents are chosen."""
        game, chosen = self.run.game, sample_files.given(options).keys()
        return game.translates or (game.shows_examples and chosen <= {'inputs', 'styles', 'standing_statistics'})

    def _shown(
        self,
        num: int,
        seed: int,
        inputs: str | None = None,
        styles: str | None = None,
        prompt: str | None = None,
        standing_statistics: int | None = None,
        **others: Any,
    ) -> tuple[TrainedRun, sampling.shown.Shown]:
        """The run that draws the examples, and the examples."""
        if strangers := sample_files.given(others):
            raise UserError(f'{self.workdir} translates images, so {next(iter(strangers))} does not apply.')
        if prompt is not None and self.run.game.captions is None:
            raise UserError(f'prompt is the caption of images, but {self.workdir} makes none of captions.')
        run = self.run.standing(standing_statistics)
        return run, sampling.choose_shown(run, num, seed, inputs, styles, prompt)

    def _drawn(
        self,
        num: int,
        seed: int,
        *,
        threshold: float | None = None,
        psi: float = 1.0,
        noise: str | None = None,
        standing_statistics: int | None = None,
        **options: Any,
    ) -> tuple[np.ndarray, int | None]:
        """The examples, and how many of them are side by side in a picture."""
        Range(1, sample_files.MOST_PICTURES).check('num', num)
        SEED.check('seed', seed)
        run, rest = self.run.standing(standing_statistics, threshold).truncated(psi)
        run = run.noisy(noise)
        samples = sampling.choose_samples(run, num=num, seed=seed, threshold=threshold, psi=rest, **options)
        return samples.draw(run.game, run.generator), samples.columns


def load(workdir: str | os.PathLike, *, step: int | None = None, import_model: bool = False) -> LoadedRun:
    """A trained run, read from its directory; needs no data set.

    Args:
        workdir: the run's directory.
        step: step of the checkpoint; None: the latest.
        import_model: imports the run's own modules of networks, game or losses, which runs their code.

    Raises:
        UserError: the directory is not a run or does not have the checkpoint, or the run needs modules that are not
            imported.
    """
    workdir = files.user_path(workdir)
    if import_model:
        trained.import_model(workdir)
    run = trained.load_run(workdir, step)
    trained.warn_of_divergence(workdir, run.step)
    return LoadedRun(workdir, run)
