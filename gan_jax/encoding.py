"""The outputs of an encoder."""

from typing import NamedTuple

import jax


class Encoding(NamedTuple):
    """An encoder's outputs.

    Attributes:
        codes: [B, n], the latents that it infers, as the generator takes them.
        features: [B, ...], in which examples are compared.
    """

    codes: jax.Array
    features: jax.Array


def encoding(outputs: 'jax.Array | Encoding') -> Encoding:
    """Converts a network's outputs to an `Encoding`: plain codes [B, n] are also the features."""
    return outputs if isinstance(outputs, Encoding) else Encoding(outputs, outputs)
