"""Pictures of `--mode sample` for style generators: mixed styles and noise; and truncation, for all generators.

The functions are like those of `gan_jax.sampling.latent_pictures`.
"""

import pathlib
from collections.abc import Sequence

import jax
import numpy as np

from gan_jax.errors import UserError
from gan_jax.game import named_key
from gan_jax.sampling.chosen import Chosen, save_images, save_rows
from gan_jax.sampling.latents import require_psi, towards_mean
from gan_jax.sampling.samples import seed_latents
from gan_jax.sampling.styles import mix, noise_deviation, ranges_of_layers

_DRAWS = 100  # draws of noise, as in the paper


def truncation(chosen: Chosen, *, range: Sequence[float] | None = None, columns: int = 9) -> pathlib.Path:
    """One row per seed, along which psi takes the values of the range, by default from -1 to 1: figure 8 of StyleGAN.

    The styles of a style generator are moved towards their mean, and the latents of other generators towards 0.
    """
    if chosen.options['psi'] != 1:
        raise UserError('--psi does not apply to --what truncation, where each column has its own psi: use --range.')
    values = chosen.values(range, columns, 1, reach=1.0)
    for psi in values[[0, -1]]:
        require_psi(float(psi))
    means = np.zeros_like(chosen.latents)
    if (run := chosen.run).game.styles is not None:
        all_of_it, mean = (chosen._replace(run=run.with_generator(psi=psi)).in_w().latents for psi in (1.0, 0.0))
        chosen, means = chosen.in_w()._replace(latents=all_of_it), mean
    rows = [
        np.stack([towards_mean(latent, psi, mean) for psi in values])
        for latent, mean in zip(chosen.latents, means, strict=True)
    ]
    return save_rows(chosen.name('truncation', range=range), chosen, rows)


def mixing(
    chosen: Chosen, *, others: Sequence[int] = (3, 4, 5, 6, 7), layers: Sequence[int] | None = None
) -> pathlib.Path:
    """One row per seed A and one column per other seed B: A with some layers of B; figure 3 of StyleGAN.

    The first row shows the Bs and the first column the As. Without given layers, there are three sets of rows: with B's
    coarse, middle and fine layers. A conditional generator shows the first class unless classes are given.
    """
    chosen.run.styled('--what mixing')
    chosen = chosen.in_one_class()
    theirs = seed_latents(chosen.run.game, others, threshold=chosen.options['threshold'])
    b = chosen._replace(latents=np.asarray(theirs)).in_w().latents
    chosen = chosen.in_w()
    a, number = chosen.latents, chosen.latents.shape[-2]
    parts = {'given': tuple(layers)} if layers else {k: some for k, some in ranges_of_layers(number).items() if some}
    chosen.checked('--others', len(b), 1, len(a) * len(parts))
    mixed = np.concatenate([mix(one, b, some) for some in parts.values() for one in a])
    images = chosen.draw(np.concatenate([b, a, mixed]), len(b) + len(a) + len(mixed))
    rows = []
    for of_class in np.split(images, a.shape[1]):
        heads, lefts, made = np.split(of_class, [len(b), len(b) + len(a)])
        rows += [np.ones_like(heads[:1]), heads]  # a white corner above the first column
        for i, row in enumerate(np.split(made, len(a) * len(parts))):
            rows += [lefts[i % len(a)][None], row]
    words = ', '.join(f'{name} {",".join(map(str, some))}' for name, some in parts.items())
    print(f'Rows: A with the layers of B; of {number} layers, {words}.')
    return save_images(chosen.name('mixing', others=others, layers=layers), np.concatenate(rows), len(b) + 1)


def noise(chosen: Chosen, *, columns: int = 3) -> pathlib.Path:
    """One row per seed: no noise, fixed noise, some draws of noise, and the standard deviation over 100 draws.

    The standard deviation of each pixel, figure 4 of StyleGAN, is shown from black (0) to white (the largest in the
    picture).
    """
    if chosen.options['noise'] is not None:
        raise UserError('--noise does not apply to --what noise, where each column has its own noise: omit it.')
    run = chosen.run.styled('--what noise')
    chosen.checked('--columns', columns, 1, len(chosen.latents))
    modes = [chosen._replace(run=run.noisy(mode)).in_w() for mode in ('none', 'fixed')]
    images = [one.draw(one.latents, 1) for one in modes]
    one = chosen.in_w()
    styles, key = one.arranged(one.latents, 1).latents, named_key(run.config.seed, 'noise')
    synthesize = jax.tree_util.Partial(run.game.synthesize, *run.weights)
    draw = jax.jit(lambda synthesize, key: synthesize(styles, key))
    images += [draw(synthesize, jax.random.fold_in(key, i)) for i in np.arange(columns)]
    deviation = np.asarray(noise_deviation(synthesize, styles, key, _DRAWS)).mean(-1, keepdims=True)
    largest = float(deviation.max())
    images.append(np.broadcast_to(2 * deviation / max(largest, 1e-9) - 1, images[0].shape))
    print(
        f'No noise, fixed noise, {columns} draws, and the standard deviation of {_DRAWS} draws: at most '
        f'{largest * 127.5:.3g} of 255.'
    )
    return save_images(chosen.name('noise'), np.stack(images, axis=1).reshape(-1, *images[0].shape[1:]), len(images))
