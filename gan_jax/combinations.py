"""Checks for invalid and doubtful combinations of the parts of a recipe."""

import warnings

from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import games, models
from gan_jax.config import defaults
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.layers.choices import is_on

_MANY_UPDATES = 10**5  # updates of a network in one stretch
_MANY_DISCRIMINATORS = 16


def check(config: ConfigDict, shape: tuple[int, ...]) -> None:
    """Raises a UserError for invalid combinations of parts, and warns about doubtful ones."""
    made = configs.make_terms(config)
    consistency = config.penalties.consistency
    if len(shape) != 3:
        for key, used in (
            ('augment.name', config.augment.name != 'none'),
            ('real_fade', config.real_fade),
            ('penalties.consistency.real_weight', consistency.real_weight),
            ('penalties.consistency.fake_weight', consistency.fake_weight),
            ('discriminator.rotations', config.get('discriminator', {}).get('rotations')),
        ):
            if used:
                raise UserError(f'{key} transforms images, but the examples have shape {tuple(shape)}: unset it.')
    if config.real_fade and any(side % 2 for side in shape[:2]):
        raise UserError(
            f'real_fade halves the resolution, but the images have shape {tuple(shape)}: choose even sides, or '
            'unset it.'
        )
    if config.balance.measure == 'loss_ratio' and config.loss.name in _SIGNED_LOSSES:
        raise UserError(
            f'balance.measure=loss_ratio needs positive losses, but those of loss.name={config.loss.name} '
            'can have either sign: use balance.measure=accuracy.'
        )
    if config.balance.fooling and config.generator_steps == 1:
        raise UserError(
            'balance.fooling decides about further steps of the generator in a round, but generator_steps=1 allows '
            'none: raise it, or leave balance.fooling at 0.'
        )
    if config.packing > 1 and config.game.name != 'adversarial':
        raise UserError(f'packing={config.packing} needs the game adversarial, not {config.game.name}: set it to 1.')
    if config.game.name != 'adversarial' and is_on(config.latent_step.size):
        raise UserError(
            f'latent_step moves the latents of the game adversarial, not those of {config.game.name}: set its size '
            'to 0.'
        )
    if config.feature_matching.alone and not config.feature_matching.weight:
        raise UserError(
            'feature_matching.alone needs a feature_matching.weight above 0: the generator has no other loss.'
        )
    if config.replay and config.replay < config.batch_size:
        raise UserError(
            f'replay={config.replay} is too small: the buffer must hold at least a batch of {config.batch_size} '
            'examples.'
        )
    for player in Pair._fields:
        if config.lazy[player] > 1 and not is_lazy(config, made, player):
            what = 'penalties.path_length' if player == 'generator' else 'a gradient penalty'
            raise UserError(
                f'lazy.{player}={config.lazy[player]} has no lazy terms: give {what} a weight, or set it to 1.'
            )
    _warn_of_doubts(config, made)


def _warn_of_doubts(config: ConfigDict, made: Pair) -> None:
    """Warns about a recipe that works, but badly or slowly; `made` are its terms."""
    published = getattr(games.find(config.game.name, importing=False), 'BATCHES_OF_ONE', False)
    for player in () if published else Pair._fields:
        if config.get(player, {}).get('normalization') == 'batch' and config.batch_size <= config.accumulate:
            warnings.warn(
                f'{player}.normalization=batch would compute its statistics from one example, because batch_size is '
                f'{config.batch_size} and accumulate {config.accumulate}: use a larger batch, or layer or '
                'instance normalisation.',
                stacklevel=2,
            )
    updates = configs.updates_of_a_stretch(config)
    if updates > _MANY_UPDATES:
        warnings.warn(
            f'a stretch of log_every={config.log_every} makes {updates:,} updates, and nothing is reported or '
            'saved before its end: lower log_every, or the number of steps per round.',
            stacklevel=2,
        )
    if config.discriminators.number > _MANY_DISCRIMINATORS:
        warnings.warn(
            f'discriminators.number={config.discriminators.number} discriminators are compiled one after the other, '
            'which takes long: GMAN uses at most 5.',
            stacklevel=2,
        )
    critic = config.get('discriminator', {})
    bounded = critic.get('normalization') == 'spectral' or critic.get('spectral_iterations')
    clipped = config.get('discriminator_optimizer', {}).get('clip_weights')
    if config.loss.name == 'wasserstein' and not (made.discriminator or bounded or clipped):
        warnings.warn(
            'loss.name=wasserstein needs a Lipschitz-bounded critic, otherwise its loss diverges: set '
            'discriminator_optimizer.clip_weights, penalties.gradient_penalty.weight or '
            'discriminator.normalization=spectral.',
            stacklevel=2,
        )
    if config.loss.name in _ENERGY_LOSSES and 'discriminator' in config:
        family = defaults.family_of(config, 'discriminator')
        if family in models.families() and not getattr(models.find(family), 'ENERGIES', False):
            warnings.warn(
                f'loss.name={config.loss.name} needs logits that are minus reconstruction errors, but the '
                f'discriminator of {family} is no autoencoder, so its loss can fall without end: use '
                'discriminator.family=began or ebgan.',
                stacklevel=2,
            )


_ENERGY_LOSSES = ('margin', 'equilibrium')
_SIGNED_LOSSES = ('wasserstein', 'hinge', 'minimax', 'f_divergence', 'equilibrium')


def is_lazy(config: ConfigDict, made: Pair, player: str) -> bool:
    """Whether a player has terms with a separate update; `made` are the config's terms."""
    return config.lazy[player] > 1 and any(term.lazy for term in getattr(made, player))
