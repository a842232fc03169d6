"""A generator under a few sliders: a path between two seeds, directions, truncation, classes and layers of styles.

Latents z of a style generator are mapped to styles w [layers, w] first, and all sliders act on these. The layers that a
slider acts on may be chosen, so that the end of a path is a mixture of the styles of two seeds (Karras et al. 2019,
arXiv:1812.04948, figure 3).
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.examples.kinds import IMAGES
from gan_jax.game import Array
from gan_jax.layers.choices import choose, require
from gan_jax.ranges import ORDINARY, SHARE
from gan_jax.runtime import compiler
from gan_jax.sampling.chosen import REACH
from gan_jax.sampling.latents import SPHERICAL, lerp, towards_mean
from gan_jax.sampling.samples import fixed_latents, generate, seed_latents
from gan_jax.sampling.semantics import first_kernel, semantic_directions, style_kernel
from gan_jax.sampling.styles import chosen_layers, ranges_of_layers
from gan_jax.sampling.trained import TrainedRun

_SEMANTIC, _ALL = 5, 8  # directions
_DRAWS = 256  # styles drawn to measure their deviations
_KEPT = 4096  # latents kept, one for each seed


class Settings(NamedTuple):
    """The values of the sliders.

    Attributes:
        seed: seed of the latent where the path begins.
        to: of the latent where it ends.
        walk: the position on the path, from 0 to 1.
        label: the class at the beginning; unused if the generator is unconditional.
        to_label: the class at the end; None: the same.
        psi: moves the point of the path towards the mean, see `gan_jax.sampling.latents.towards_mean`.
        layers: for a style generator, those that the walk and the moves change: a name of `Sliders.layers`.
        moves: the move along each of `Sliders.directions`, in its units; those that are missing are 0.
    """

    seed: int = 0
    to: int = 1
    walk: float = 0.0
    label: int = 0
    to_label: int | None = None
    psi: float = 1.0
    layers: str = 'all'
    moves: tuple[float, ...] = ()


class Direction(NamedTuple):
    """A direction of the latents or styles.

    Attributes:
        name: the displayed name.
        vector: [n], the move by 1.
    """

    name: str
    vector: np.ndarray


class Sliders:
    """The images that a run's generator makes under `Settings`.

    Attributes:
        run: the run; of a style generator, with styles that are not truncated.
        directions: the semantic directions of SeFa where the family has them, the strongest first, and random ones. Of
            latents z a move by 1 has length 1; of styles it is as long as the standard deviation of w along the
            direction.
        reach: a reasonable maximum of a move: 3, and 1 for uniform latents.
        layers: for a style generator, 'all', 'coarse', 'middle' and 'fine' layers by their numbers; else None.
    """

    run: TrainedRun
    directions: tuple[Direction, ...]
    reach: float
    layers: dict[str, tuple[int, ...]] | None = None

    def __init__(self, run: TrainedRun, *, threshold: float | None = None):
        """Sliders of a run of images.

        Args:
            run: the run.
            threshold: truncates the latents of seeds by resampling, see `gan_jax.sampling.latents.truncated`.

        Raises:
            UserError: the run does not generate images, or translates them, or the threshold is too small.
        """
        if run.kind is not IMAGES:
            raise UserError(f'This run generates {run.kind.name}; sliders need a run that generates images.')
        if run.game.translates:
            raise UserError('This run translates images and has no latents to move; sliders need a run that has.')
        self._threshold = threshold
        self._end = functools.lru_cache(_KEPT)(self._end)
        self.reach = REACH[run.config.latents.distribution]
        if run.game.styles is None:
            self.run, self._game = run, run.game
            self.directions = _directions(_kernel(run, None), np.eye(run.config.latents.size))
            return
        self.run, self.reach = run.with_generator(psi=1.0), REACH['normal']
        game, mean_game = self.run.game, run.with_generator(psi=0.0).game
        self._styles, self._mean_styles = (
            jax.jit(one.styles, compiler_options=compiler.often()) for one in (game, mean_game)
        )

        def sample(params: Any, variables: Any, styles: Array, condition: None = None) -> Array:
            return game.synthesize(params, variables, styles)

        self._game = game._replace(sample=sample)
        latents = fixed_latents(game, _DRAWS, 0, threshold=threshold)
        classes = np.arange(_DRAWS, dtype=np.int32) % run.num_classes if run.is_conditional else None
        drawn = np.asarray(self._styles(*run.weights, latents, classes))
        number = drawn.shape[1]
        parts = {name: some for name, some in ranges_of_layers(number).items() if some}
        self.layers = {'all': tuple(range(number)), **parts}
        covariance = np.cov(drawn[:, 0].astype(np.float64), rowvar=False)
        self.directions = _directions(_kernel(self.run, drawn.shape[1:]), covariance)

    def images(self, settings: Sequence[Settings]) -> np.ndarray:
        """The images under each of the settings: uint8 [n, H, W, C].

        Raises:
            UserError: a slider has an impossible value.
        """
        for one in settings:
            self._check(one)
        points = np.stack([self._point(one) for one in settings])
        conditions = None
        if self.run.is_conditional and self.layers is None:
            of_classes = np.eye(self.run.num_classes, dtype=np.float32)
            start = of_classes[[one.label for one in settings]]
            end = of_classes[[_end_label(one) for one in settings]]
            conditions = lerp(start, end, [one.walk for one in settings])
        return np.asarray(to_uint8(generate(self._game, self.run.generator, points, conditions)))

    def _check(self, settings: Settings) -> None:
        SHARE.check('walk', settings.walk)
        ORDINARY.check('a move', settings.moves)
        most = len(self.directions)
        require(len(settings.moves) <= most, 'The number of moves', len(settings.moves), f'at most {most}')
        if self.layers is not None:
            choose(self.layers, settings.layers, 'range of layers')
        elif settings.layers != 'all':
            raise UserError(f'layers={settings.layers} is for a style generator, and this run has no styles.')

    def _point(self, settings: Settings) -> np.ndarray:
        """The latent or the styles under some settings: float32."""
        start, mean = self._end(settings.seed, settings.label)
        end, end_mean = self._end(settings.to, _end_label(settings))
        moved = np.zeros(self.directions[0].vector.shape, np.float32)
        for amount, direction in zip(settings.moves, self.directions, strict=False):
            moved += np.float32(amount) * direction.vector
        if self.layers is None:
            between = SPHERICAL[self.run.config.latents.distribution]
            return towards_mean(between(start[None], end[None], settings.walk)[0], settings.psi) + moved
        layers = chosen_layers(self.layers[settings.layers], len(start))[:, None]
        share = np.float32(settings.walk) * layers
        styles, mean = (a + share * (b - a) for a, b in ((start, end), (mean, end_mean)))
        return towards_mean(styles.astype(np.float32), settings.psi, mean) + layers * moved

    def _end(self, seed: int, label: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The latent of a seed; or its styles in a class, and their mean."""
        latents = seed_latents(self.run.game, (seed,), threshold=self._threshold)
        if self.layers is None:
            return np.asarray(latents[0]), None
        condition = np.array([label], np.int32) if self.run.is_conditional else None
        return tuple(
            np.asarray(styles(*self.run.weights, latents, condition)[0]) for styles in (self._styles, self._mean_styles)
        )


def _end_label(settings: Settings) -> int:
    return settings.label if settings.to_label is None else settings.to_label


def _kernel(run: TrainedRun, styles: tuple[int, int] | None) -> np.ndarray | None:
    """The weights that latents, or styles of a shape, are multiplied by; None: the family has no such layer."""
    params, variables = run.weights
    try:
        if styles is None:
            return first_kernel(params, run.config.latents.size)
        return style_kernel(lambda some: run.game.synthesize(params, variables, some), params, styles)
    except UserError:
        return None


def _directions(kernel: np.ndarray | None, covariance: np.ndarray) -> tuple[Direction, ...]:
    """The strongest semantic directions of a kernel, and random ones; each as long as the deviation along it."""
    size = len(covariance)
    semantic = np.zeros((0, size))
    if kernel is not None:
        semantic = semantic_directions(kernel, min(_SEMANTIC, size)).vectors
    drawn = np.random.default_rng(0).standard_normal((size, min(_ALL, size) - len(semantic)))
    random = np.linalg.qr(drawn)[0].T
    names = [f'{kind} {i + 1}' for kind, some in (('semantic', semantic), ('random', random)) for i in range(len(some))]
    vectors = np.concatenate([semantic, random])
    deviations = np.sqrt(np.einsum('ki,ij,kj->k', vectors, covariance, vectors))
    return tuple(map(Direction, names, (vectors * deviations[:, None]).astype(np.float32)))
