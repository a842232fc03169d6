"""The picture of `--mode sample --what anomalies`: images, their reconstructions and what remains."""

import io
import pathlib

import numpy as np

from gan_jax.data import to_float
from gan_jax.errors import UserError
from gan_jax.evaluation import anomalies as scoring
from gan_jax.records import files
from gan_jax.sampling.chosen import Chosen, save_images
from gan_jax.training.datasets import load_data


def anomalies(chosen: Chosen, *, columns: int = 10) -> pathlib.Path:
    """The most anomalous images and then the most normal ones of the split that the run is evaluated on.

    Each of the two groups has three rows: images, reconstructions, absolute differences. Beside the picture, an .npz
    file with the same name has the `score`, `image` and `feature` part of every image of the split, and the `label`.
    """
    run = chosen.run
    if run.game.score is None:
        raise UserError(f'The game of {chosen.workdir} scores no anomalies, as anogan does: use another picture.')
    dataset = load_data(run.config.data, run.config.evaluation.split or run.config.data.split)
    columns = min(chosen.checked('--columns', columns, 1, 6), len(dataset))
    players = {'generator': run.generator, 'discriminator': run.discriminator, 'encoder': run.encoder}
    found = scoring.score(run.game, players, dataset.examples)
    order = np.argsort(-found.score)
    rows = []
    for title, shown in (('Most anomalous', order[:columns]), ('Most normal', order[-columns:])):
        images, again = np.asarray(to_float(dataset.examples[shown])), found.reconstruction[shown]
        rows += [images, again, np.abs(images - again) - 1]
        print(f'{title}: scores {", ".join(f"{score:.3g}" for score in found.score[shown])}.')
    path = save_images(chosen.name('anomalies'), np.concatenate(rows), columns)
    arrays = {name: getattr(found, name) for name in ('score', 'image', 'feature')}
    written = io.BytesIO()
    np.savez(written, **arrays, **({} if dataset.labels is None else {'label': dataset.labels}))
    files.replace(path.with_name(f'{path.stem}.npz'), written.getvalue())
    return path
