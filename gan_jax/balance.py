"""When the players of an adversarial game move: gates of their turns."""

from typing import NamedTuple

from gan_jax.errors import UserError
from gan_jax.game import Array
from gan_jax.layers.choices import is_traced, require

BALANCES = ('none', 'accuracy', 'loss_ratio')


class Balance(NamedTuple):
    """Lets a player that is ahead skip moves, and one that is behind make additional moves.

    Attributes:
        measure: when the discriminator makes a move. 'accuracy': while its accuracy on the batch is at most the
            threshold (0.8 in the 3D-GAN, Wu et al. 2016, section 3.2); 'loss_ratio': while its loss is at
            least the threshold times the generator's last one, for losses that are positive; 'none': always.
        threshold: threshold of the measure; in [0, 1] for the accuracy.
        fooling: after its first move of a round, the generator moves again while the discriminator classifies less than
            this share of its examples as real; in [0, 1]. 0: it makes all its moves.
    """

    measure: str = 'none'
    threshold: float = 0.8
    fooling: float = 0.0

    def check(self) -> None:
        """Raises a UserError if a value is impossible."""
        if self.measure not in BALANCES:
            raise UserError(f'The measure of a balance is {self.measure!r}; choose one of {", ".join(BALANCES)}.')
        if not is_traced(self.fooling):
            require(0 <= self.fooling <= 1, 'The fooling threshold of a balance', self.fooling, 'a share from 0 to 1')

    def discriminator_moves(self, metrics: dict[str, Array], kept: dict[str, dict[str, Array]], i: Array) -> Array:
        """The gate of the discriminator's turn; see `gan_jax.game.Turn`."""
        del i
        if self.measure == 'accuracy':
            return metrics['accuracy'] <= self.threshold
        return metrics['loss'] >= self.threshold * kept['generator']['loss']

    def generator_moves(self, metrics: dict[str, Array], kept: dict[str, dict[str, Array]], i: Array) -> Array:
        """The gate of the generator's turn."""
        del kept
        return (i == 0) | (metrics['fooled'] < self.fooling)


NO_BALANCE = Balance()
