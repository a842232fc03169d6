"""Labelled images of a conditional GAN that has seen only a few labelled images."""

import pathlib

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.population import watch_population
from gan_jax import build, data
from gan_jax import config as configs
from gan_jax.data import Dataset
from gan_jax.records import npz
from gan_jax.sampling import samples as sampling

SEED = 1_000_000  # of the latents: not that of a training
_BATCH = 250


def generated(
    config: ConfigDict, few: Dataset, seed: int, number: int, path: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a conditional GAN trained on a few labelled images and nothing else.

    Args:
        config: its recipe.
        few: labelled images, all that it sees.
        seed: seed of the training.
        number: number of samples, equally many of each class up to one.
        path: path of an .npz file that keeps the samples; those that it has already are returned without a training.

    Returns:
        Images uint8 [number, H, W, C] and the classes int64 [number] that were asked for.
    """
    labels = np.arange(number) % few.num_classes
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        game = build.make_game(config, few.shape, num_classes=few.num_classes)
        every = configs.steps(config, 'log_every')
        *_, (_, states, _) = watch_population(config, few, [seed], every=every, classes=few.num_classes)
        generator = jax.tree.map(lambda leaf: leaf[0], states.generator)
        latents = sampling.fixed_latents(game, number, SEED)
        examples = sampling.generate(game, generator, latents, labels.astype(np.int32), batch_size=_BATCH)
        npz.save(path, {'images': np.asarray(data.to_uint8(examples))})
    return npz.load(path)['images'], labels
