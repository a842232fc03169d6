"""Times the convolutions of gan_jax against XLA's own, forward and both gradients, inside a `lax.scan`.

    python -m gan_jax.tools.benchmark_convolutions [--batch 64] [--rounds 5]

Prints a row for each layer of the DCGANs: median milliseconds of both, measured in turn, and their ratio. gan_jax's are
compiled as its training is, with `gan_jax.runtime.compiler.training`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.errors import exit_code
from gan_jax.layers.convolution import convolution, transposed_convolution
from gan_jax.runtime import compiler

# (name, transposed, height = width, channels in, channels out, kernel)
LAYERS = [
    ('28x28 generator 7 -> 14', True, 7, 128, 64, 5),
    ('28x28 generator 14 -> 28', True, 14, 64, 1, 5),
    ('28x28 discriminator 28 -> 14', False, 28, 1, 64, 5),
    ('28x28 discriminator 14 -> 7', False, 14, 64, 128, 5),
    ('32x32 generator 4 -> 8', True, 4, 512, 256, 4),
    ('32x32 generator 16 -> 32', True, 16, 128, 3, 4),
    ('32x32 discriminator 32 -> 16', False, 32, 3, 64, 4),
    ('32x32 discriminator 16 -> 8', False, 16, 64, 128, 4),
]
SCAN_STEPS = 3


def plain_convolution(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's strided convolution."""
    return lax.conv_general_dilated(images, kernel, (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


def plain_transposed(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's transposed convolution."""
    return lax.conv_transpose(images, kernel, (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


def training_steps(layer: Callable[[jax.Array, jax.Array], jax.Array], **options: Any) -> Callable:
    """Some steps of gradient descent on images and kernel, as one compiled call."""

    def step(carry, _):
        loss, gradients = jax.value_and_grad(lambda pair: jnp.square(layer(*pair)).mean())(carry)
        return jax.tree.map(lambda value, gradient: value - 1e-3 * gradient, carry, gradients), loss

    return jax.jit(lambda images, kernel: lax.scan(step, (images, kernel), None, length=SCAN_STEPS), **options)


def timed(calls: Sequence[Callable], inputs: tuple, rounds: int) -> list[list[float]]:
    """Milliseconds of a step in each of the compiled calls, measured in turn in so many rounds."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        jax.block_until_ready(call(*inputs))
    for _ in range(rounds):
        for call, one in zip(calls, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(call(*inputs))
            one.append(1000 * (time.perf_counter() - start) / SCAN_STEPS)
    return times


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    device = jax.devices()[0]
    print(
        f'jax {jax.__version__}, {device.platform} ({device.device_kind}), batch {arguments.batch}, median of', end=' '
    )
    print(f'{arguments.rounds} rounds, milliseconds for forward and both gradients\n')
    print('| layer | kernel | channels | XLA | gan_jax | XLA / gan_jax |\n| --- | --- | --- | --- | --- | --- |')
    for name, transposed, size, channels, features, window in LAYERS:
        images = jax.random.normal(jax.random.key(0), (arguments.batch, size, size, channels))
        kernel = 0.02 * jax.random.normal(jax.random.key(1), (window, window, channels, features))
        plain, ours = (plain_transposed, transposed_convolution) if transposed else (plain_convolution, None)
        ours = ours or (lambda images, kernel: convolution(images, kernel, 2))
        calls = training_steps(plain), training_steps(ours, compiler_options=compiler.training())
        theirs, mine = map(statistics.median, timed(calls, (images, kernel), arguments.rounds))
        row = f'{window}x{window} | {channels} -> {features} | {theirs:.1f} | {mine:.1f} | {theirs / mine:.1f}'
        print(f'| {name} | {row} |', flush=True)


if __name__ == '__main__':
    sys.exit(exit_code(main))
