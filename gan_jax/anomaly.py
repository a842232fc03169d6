"""How far an example is from the nearest that a generator of normal examples makes."""

from typing import NamedTuple

import jax


class Anomaly(NamedTuple):
    """The anomaly scores of examples, as f-AnoGAN computes them.

    Attributes:
        reconstruction: [B, ...], what the generator makes of the examples' codes.
        image: [B], mean squared differences of the examples and their reconstructions.
        feature: [B], those of the discriminator's features.
        score: [B], the weighted sum of both; higher is more anomalous.
    """

    reconstruction: jax.Array
    image: jax.Array
    feature: jax.Array
    score: jax.Array
