"""The picture of `--mode sample --what inversion`: the given image, the result, and intermediate results."""

import io
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.game import Array, PyTree, named_key
from gan_jax.layers.choices import choose
from gan_jax.records import files
from gan_jax.sampling.chosen import Chosen, save_images
from gan_jax.sampling.inversion import Inversion, feature_error, invert, load_image
from gan_jax.sampling.samples import arrange, generate
from gan_jax.sampling.style_inversion import invert_styles
from gan_jax.sampling.styles import style_statistics

_VARIANCE = {'normal': 1.0, 'uniform': 1 / 3}
_LATENTS = 10_000  # for the mean w

Search = tuple[Inversion, int | None, Callable[[np.ndarray], np.ndarray]]
"""What was found, in which class, and a function from points of its path to their images."""


def inversion(
    chosen: Chosen,
    *,
    image: pathlib.Path | None = None,
    resize: bool = False,
    loss: str = 'pixels',
    extractor: str = 'auto',
    iterations: int | None = None,
    learning_rate: float = 0.1,
    prior: float | None = None,
    space: str = 'z',
) -> pathlib.Path:
    """The given image, the most similar generated image, and intermediate images from the best start.

    In z every seed is a start, in every class. In W and W+ the start is the mean w of each class; every seed (the
    first only, unless seeds are given) draws the noise of a separate search. Beside the picture, an .npz file with the
    same name has `latent`, `image`, `losses`, `condition` of a conditional generator, and in W the inputs `noise/...`
    unless the images are without noise.
    """
    search, usual_iterations = choose({'z': (_in_z, 300), 'w': (_in_w, 1000), 'w+': (_in_w, 1000)}, space, 'space')
    run, noise = chosen.run, chosen.options['noise']
    if noise == 'random':
        raise UserError(
            '--noise random does not apply to an inversion, in which one latent has one image: use none or fixed, or '
            'omit it.'
        )
    target = load_image(image, run.shape, resize)
    distance = None
    if choose({'pixels': False, 'features': True}, loss, 'loss'):
        distance = feature_error(find_extractor(extractor, run.config.data.name, run.shape))
    iterations = usual_iterations if iterations is None else iterations
    options = {'distance': distance, 'iterations': iterations, 'learning_rate': learning_rate}
    words = [loss]
    if search is _in_w:
        chosen, words = _checked_in_w(chosen, prior), [loss, space.replace('+', 'plus')]
        options |= {'separate': space == 'w+', 'noise': None if noise == 'none' else run.weights[1].get('noise')}
    else:
        options['prior'] = prior or 0.0
    found, condition, show = search(chosen, target, **options)
    times = np.unique(np.geomspace(1, iterations + 1, 7).round().astype(int)) - 1
    usual = {'extractor': 'auto', 'iterations': usual_iterations, 'learning_rate': 0.1, 'prior': 0.0}
    used = {'extractor': extractor, 'iterations': iterations, 'learning_rate': learning_rate, 'prior': prior or 0.0}
    changed = {option: value for option, value in used.items() if value != usual[option]}
    name = chosen.name('inversion', pathlib.Path(image).stem, *words, **changed)
    images = np.concatenate([target[None], found.image[None], show(found.path[times])])
    path = save_images(name, images, len(times) + 2)
    arrays = {'latent': found.latent, 'image': found.image, 'losses': found.losses}
    arrays |= {} if condition is None else {'condition': condition}
    for place, inputs in jax.tree_util.tree_leaves_with_path(found.noise):
        arrays[f'noise/{jax.tree_util.keystr(place, simple=True, separator="/")}'] = inputs
    written = io.BytesIO()
    np.savez(written, **arrays)
    files.replace(path.with_name(f'{path.stem}.npz'), written.getvalue())
    print(
        f'Given image, result, and images after {", ".join(map(str, times))} iterations; loss {found.losses[0]:.4g} to '
        f'{found.losses[-1]:.4g}' + ('.' if condition is None else f', class {condition}.')
    )
    return path


def _in_z(chosen: Chosen, target: np.ndarray, **options: Any) -> Search:
    run, points, conditions = chosen.run, chosen.latents, None
    if chosen.classes is not None:
        points, conditions, _ = arrange(points, len(points), chosen.classes)
    maker = jax.tree_util.Partial(run.game.sample, *run.weights)
    found = invert(maker, target, points, conditions, variance=_VARIANCE[chosen.distribution], **options)
    condition = None if conditions is None else conditions[found.start]

    def show(points: np.ndarray) -> np.ndarray:
        return generate(run.game, run.generator, points, None if condition is None else np.tile(condition, len(points)))

    return found, condition, show


def _checked_in_w(chosen: Chosen, prior: float | None) -> Chosen:
    """The same with the seeds of the searches; raises a UserError for options that do not apply to W."""
    given = {'prior': prior, 'threshold': chosen.options['threshold']}
    given['psi'] = None if chosen.options['psi'] == 1 else chosen.options['psi']
    if strangers := [flag for flag, value in given.items() if value is not None]:
        raise UserError(
            f'--{strangers[0]} does not apply to an inversion into W, which starts at the mean style: omit it.'
        )
    chosen.run.styled('--space w')
    return chosen._replace(options={**chosen.options, 'seeds': chosen.seeds or chosen.options['seeds'][:1]})


def _in_w(chosen: Chosen, target: np.ndarray, *, separate: bool, noise: PyTree, **options: Any) -> Search:
    game, (params, variables) = chosen.run.game, chosen.run.weights
    latents = game.latents(named_key(chosen.run.config.seed, 'mean style'), jnp.arange(_LATENTS))

    def styles(params: PyTree, variables: PyTree, condition: Array | None, latents: Array) -> Array:
        conditions = None if condition is None else jnp.broadcast_to(condition, len(latents))
        return game.styles(params, variables, latents, conditions)

    def synthesize(params: PyTree, variables: PyTree, noise: PyTree, styles: Array) -> Array:
        return game.synthesize(params, variables if noise is None else {**variables, 'noise': noise}, styles)

    maker, searches = jax.tree_util.Partial(synthesize, params, variables), []
    for condition in chosen.classes or [None]:
        given = None if condition is None else jnp.int32(condition)
        mapping = jax.tree_util.Partial(styles, params, variables, given)
        layers = jax.eval_shape(mapping, latents[:1]).shape[1]
        mean, deviation = style_statistics(mapping, latents)
        start = np.tile(mean, (layers if separate else 1, 1))
        for seed in chosen.options['seeds']:
            key = named_key(seed, 'projection')  # an old name; another would change the random numbers
            found = invert_styles(maker, target, start, deviation, layers, key, noise=noise, **options)
            searches.append((found, condition))
    found, condition = min(searches, key=lambda search: np.nan_to_num(search[0].losses[-1], nan=np.inf))
    show = jax.jit(lambda make, noise, styles: make(noise, styles))
    return found, condition, lambda points: np.asarray(show(maker, found.noise, points))
