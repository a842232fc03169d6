"""The extractor of Inception's features for FID, KID and the Inception Score."""

from types import MappingProxyType

import jax
import jax.numpy as jnp

from gan_jax.evaluation.features.extractor import Extractor, Features
from gan_jax.evaluation.features.inception_network import NAME, TAPS, Inception
from gan_jax.evaluation.features.inception_weights import InceptionWeights, folded, load_inception_weights
from gan_jax.evaluation.features.published import PUBLISHED
from gan_jax.evaluation.features.resize import RESIZES
from gan_jax.layers.choices import choose, require

Array = jax.Array

DTYPES = MappingProxyType({'float32': jnp.float32, 'bfloat16': jnp.bfloat16})


def inception(
    weights: InceptionWeights | None = None, tap: int = 2048, resize: str = 'tf1', dtype: str = 'float32'
) -> Extractor:
    """An extractor of Inception's features: a tap's mean over space, and the logits without the last layer's bias.

    These are the inputs of FID and the Inception Score. Smaller taps cost less (192: a third of 2048) and have no
    logits. All taps before the last come with it.

    Args:
        weights: from `inception_weights.load_inception_weights`; None: those installed on this machine.
        tap: the number of features, of `TAPS`.
        resize: how images become 299x299, of `resize.RESIZES`.
        dtype: 'float32', which equals the references; or 'bfloat16', for accelerators, where features are off by some
            per cent, so that it is another protocol.

    Raises:
        UserError: the tap, rule or dtype does not exist, or there are no weights.
    """
    require(tap in TAPS, 'The tap', tap, f'one of {", ".join(map(str, TAPS))}')
    rule = choose(RESIZES, resize, 'resize rule')
    network = Inception(tap, choose(DTYPES, dtype, 'dtype of Inception'))
    weights = weights or load_inception_weights()
    variables = {'params': folded(weights.arrays, tap)}

    def apply(images: Array) -> Features:
        taps = network.apply(variables, images)
        means = {name: mean for name, mean in taps.items() if name.isdigit()}
        return Features(taps[str(tap)], taps.get('logits_unbiased'), means)

    name = NAME if weights.source == PUBLISHED else f'{NAME}-{weights.source}'
    identity = f'{NAME}, {weights.source} weights {weights.sha256[:12]}, tap {tap}, resize {resize}, {dtype}'
    return Extractor(name, identity, apply, rule)
