"""AnoGAN's score: the latents of an image are found by gradient steps instead of an encoder."""

import math
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.data import to_float
from gan_jax.evaluation.anomalies import auroc
from gan_jax.game import Array, PyTree, named_key
from gan_jax.layers.networks import flatten
from gan_jax.parts import Parts
from gan_jax.runtime import checkpoint
from gan_jax.sampling.trained import load_run
from gan_jax.training.datasets import load_data

STEPS = 500
LEARNING_RATE = 0.05
FEATURE_SHARE = 0.1
AT_ONCE = 500  # images, for the memory of the networks of --full


def searched_auroc(workdir: pathlib.Path) -> float:
    """The area under the ROC curve of AnoGAN's score by the networks of a run of f-AnoGAN.

    NaN where the run diverged before its first checkpoint or before its last phase, or is of another game.
    """
    if checkpoint.peek(workdir / 'checkpoints') is None:
        return math.nan
    run = load_run(workdir)
    if run.game.score is None:
        return math.nan
    discriminator = Parts(run.config, {'real': run.shape}).network('discriminator', run.shape, run.shape)

    def features(images: Array) -> Array:
        judged, _ = discriminator.apply(*run.discriminator[:2], images, None, False)
        return list(judged.features.values())[-1]

    known = load_data(run.config.data)
    tested = load_data(run.config.data, run.config.evaluation.split)
    latents = run.game.latents(named_key(0, 'search'), jnp.arange(len(tested)))
    images = to_float(np.asarray(tested.examples))
    found = search(lambda latents: run.game.sample(*run.weights, latents), features, latents, images)
    return auroc(found, ~np.isin(tested.labels, known.labels)).value


def search(
    sample: Callable[[Array], Array], features: Callable[[Array], Array], latents: Array, images: Array
) -> np.ndarray:
    """AnoGAN's scores of images.

    Schlegl et al. 2017, "Unsupervised Anomaly Detection with Generative Adversarial Networks to Guide Marker
    Discovery": 500 gradient steps on the latents z of an image x lower 0.9 |x - G(z)| + 0.1 |f(x) - f(G(z))|, both
    sums of absolute differences, and the last value is the score. The steps are those of Adam.

    Args:
        sample: the generator G, latents [n, d] -> images [n, ...].
        features: f of the discriminator, images [n, ...] -> [n, ...].
        latents: [n, d], at which the search starts.
        images: [n, ...].

    Returns:
        [n], higher is more anomalous.
    """
    adam = optax.adam(LEARNING_RATE)

    def scores(latents: Array, images: Array) -> Array:
        again = sample(latents)
        residual, feature = (
            jnp.abs(flatten(one - other)).sum(-1)
            for one, other in ((images, again), (features(images), features(again)))
        )
        return (1 - FEATURE_SHARE) * residual + FEATURE_SHARE * feature

    @jax.jit
    def found(latents: Array, images: Array) -> Array:
        def step(carry: tuple[Array, PyTree], _: None) -> tuple[tuple[Array, PyTree], None]:
            latents, state = carry
            updates, state = adam.update(jax.grad(lambda z: scores(z, images).sum())(latents), state)
            return (optax.apply_updates(latents, updates), state), None

        (latents, _), _ = jax.lax.scan(step, (latents, adam.init(latents)), length=STEPS)
        return scores(latents, images)

    parts = [slice(start, start + AT_ONCE) for start in range(0, len(latents), AT_ONCE)]
    return np.concatenate([found(latents[part], images[part]) for part in parts])
