"""Times forms of a transformer's attention on the CPU or any device, forward and all gradients, inside a `lax.scan`.

    python -m gan_jax.tools.benchmark_attention [--rounds 5]

Prints a row for each size: median milliseconds of `gan_jax.layers.transformer.attend`, of the same sums with the heads
where a dense layer leaves them, and of `jax.nn.dot_product_attention`, measured in turn.
"""

import argparse
import statistics
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.errors import exit_code
from gan_jax.layers.transformer import attend
from gan_jax.runtime import compiler

from .benchmark_convolutions import SCAN_STEPS, timed

# (name, batch, tokens, heads, dimensions of a head)
SIZES = [
    ('digits 16x16, patch 2', 64, 64, 2, 48),
    ('28x28, patch 4', 64, 49, 3, 64),
    ('32x32, patch 4', 64, 64, 4, 64),
    ('32x32, patch 2 (GAT-S)', 8, 256, 6, 64),
]

Attention = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def in_place(queries: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """The sums of `attend` on [B, T, heads, d] as it comes."""
    weights = jnp.einsum('bqhd,bkhd->bhqk', queries, keys) / queries.shape[-1] ** 0.5
    return jnp.einsum('bhqk,bkhd->bqhd', jax.nn.softmax(weights, axis=-1), values)


FORMS: dict[str, Attention] = {'attend': attend, 'in place': in_place, 'jax.nn': jax.nn.dot_product_attention}


def training_steps(attention: Attention, *, gradients: bool) -> Callable[[jax.Array], jax.Array]:
    """Some steps on queries, keys and values [3, B, T, heads, d], as one compiled call."""

    def step(carry, _):
        if not gradients:
            return carry + 1e-3 * attention(*carry), None
        return carry - 1e-3 * jax.grad(lambda three: jnp.square(attention(*three)).mean())(carry), None

    return jax.jit(
        lambda three: lax.scan(step, three, None, length=SCAN_STEPS)[0], compiler_options=compiler.training()
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    device = jax.devices()[0]
    print(f'jax {jax.__version__}, {device.platform} ({device.device_kind}), median of {arguments.rounds} rounds, ms\n')
    print(
        f'| size | batch, tokens, heads, d | pass | {" | ".join(FORMS)} |\n| --- | --- | --- |{" ---: |" * len(FORMS)}'
    )
    for name, *size in SIZES:
        batch, tokens, heads, dimensions = size
        three = jax.random.normal(jax.random.key(0), (3, batch, tokens, heads, dimensions))
        for gradients in (False, True):
            calls = [training_steps(form, gradients=gradients) for form in FORMS.values()]
            times = timed(calls, (three,), arguments.rounds)
            cells = ' | '.join(f'{statistics.median(one):.1f}' for one in times)
            what = 'both' if gradients else 'forward'
            print(f'| {name} | {", ".join(map(str, size))} | {what} | {cells} |', flush=True)


if __name__ == '__main__':
    sys.exit(exit_code(main))
