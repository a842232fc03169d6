"""VideoGAN: clips of a moving foreground over a still background; Vondrick et al. 2016, section 3.

The adversarial game with a term of the generator, the mean of its mask, which keeps the foreground small.
"""

from typing import Annotated

from gan_jax.errors import UserError
from gan_jax.game import Array, Game, Pair
from gan_jax.games import adversarial
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import View, one_term


def from_config(mask: Annotated[float, AMOUNT] = 0.1, *, parts: Parts) -> Game:
    """The game of a config, over batches {'real'}.

    Args:
        mask: weight of the mean of the generator's mask.
        parts: parts of the game.

    Raises:
        UserError: the generator has no streams, or the networks are conditional.
    """
    module = parts.module('generator', parts.shape('real'))
    if not hasattr(module, 'streams'):
        raise UserError('The game videogan needs a generator with streams: use the model videogan.')
    if adversarial.condition_of(parts) is not None:
        raise UserError('The game videogan is unconditional: unset the conditioning of both players.')

    network = adversarial.make_networks(parts, generate='streams').generator

    def mean(view: View) -> Array:
        # XLA merges this call with the one that makes the clips.
        (_, mask, _), _ = network.apply(*view.generator, view.latents, view.key, True)
        return mask.mean()

    return adversarial.from_config(parts=parts, terms=Pair(one_term('mask', mask, mean), ()))
