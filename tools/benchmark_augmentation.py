"""Times the transforms of adaptive discriminator augmentation, forward and with the images' gradient, in a `lax.scan`.

    python -m gan_jax.tools.benchmark_augmentation [--batch 32] [--rounds 5]

Prints a row for each group of transforms: minimum of milliseconds a batch of images of 32x32 and 64x64 in three
channels. The time does not depend on the probability, because every transform is computed for every image.
"""

import argparse
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.augmentation.augment import adaptive
from gan_jax.errors import exit_code
from gan_jax.runtime import compiler

from .benchmark_convolutions import SCAN_STEPS, timed

ROWS = [  # (transforms, resampling of `GEOMETRY`)
    ('blit', ''),
    ('geom', 'wavelet'),
    ('geom', 'bilinear'),
    ('color', ''),
    ('filter', ''),
    ('noise', ''),
    ('cutout', ''),
    ('bgc', 'wavelet'),
    ('bgc', 'bilinear'),
    ('bgcfnc', 'wavelet'),
]
SIZES = (32, 64)
PROBABILITY = 0.5


def augmented(transforms: str, resampling: str, *, gradients: bool) -> Callable[[jax.Array], jax.Array]:
    """Some steps on images [B, H, W, C], as one compiled call."""
    augmentation = adaptive((transforms,), resampling=resampling or 'wavelet')

    def step(images: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        def change(images: jax.Array) -> jax.Array:
            key, positions = jax.random.fold_in(jax.random.key(0), number), jnp.arange(len(images))
            return augmentation.apply(images, key, positions, PROBABILITY)

        if not gradients:
            return images + 1e-3 * change(images), None
        return images - 1e-3 * jax.grad(lambda images: jnp.square(change(images)).sum())(images), None

    return jax.jit(
        lambda images: lax.scan(step, images, jnp.arange(SCAN_STEPS))[0], compiler_options=compiler.training()
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    device = jax.devices()[0]
    print(
        f'jax {jax.__version__}, {device.platform} ({device.device_kind}), batch {arguments.batch}, minimum of', end=' '
    )
    print(f'{arguments.rounds} rounds, milliseconds\n')
    heads = [f'{size}x{size}, {kind}' for size in SIZES for kind in ('forward', 'with gradient')]
    print(f'| transforms | resampling | {" | ".join(heads)} |\n| --- | --- |{" ---: |" * len(heads)}')
    for transforms, resampling in ROWS:
        cells = []
        for size in SIZES:
            images = jax.random.uniform(jax.random.key(0), (arguments.batch, size, size, 3), minval=-1.0)
            calls = [augmented(transforms, resampling, gradients=gradients) for gradients in (False, True)]
            cells += [f'{min(times):.1f}' for times in timed(calls, (images,), arguments.rounds)]
        print(f'| `{transforms}` | {resampling} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    sys.exit(exit_code(main))
