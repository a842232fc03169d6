"""MoCoGAN: clips of a content and a motion, with two discriminators; Tulyakov et al. 2018, section 3.

Two adversarial games with one generator, whose losses are added: its clips against a discriminator of clips, and a
random frame of each clip against a discriminator of frames. The two discriminators are one player.
"""

import dataclasses

import jax

from gan_jax import global_batch
from gan_jax.adversarial import adversarial
from gan_jax.augmentation.augment import Augmentation
from gan_jax.errors import UserError
from gan_jax.examples.kinds import CLIPS, kind_of
from gan_jax.game import Array, Game, Key, Network, Pair
from gan_jax.games.adversarial import condition_of, make_networks
from gan_jax.joint import Side, joint
from gan_jax.parts import Parts
from gan_jax.terms import joined
from gan_jax.translators import without_condition
from gan_jax.values import with_values


def from_config(*, parts: Parts) -> Game:
    """The game of a config, over batches {'real'} and, where the networks are conditional, 'label'.

    The discriminator of frames is not conditional, and has no loss of classes.

    Args:
        parts: parts of the game.

    Raises:
        UserError: the examples are not clips; the networks are conditional, and the data have no classes.
    """
    shape, condition = parts.shape('real'), condition_of(parts)
    if kind_of(shape) is not CLIPS:
        raise UserError(f'The game mocogan is for clips (T, H, W, C), not for examples of shape {shape}: use motions.')
    without_classes = {} if condition is None else {'discriminator.conditioning': 'none'}
    of_frames = dataclasses.replace(parts, config=with_values(parts.config, without_classes))

    def judges(dtype: str | None = None) -> dict[str, Network]:
        frame = of_frames.network('discriminator', shape[1:], shape[1:], dtype=dtype)
        return {'clip': make_networks(parts, dtype).discriminator, 'frame': without_condition(frame)}

    networks, critics = judges(), parts.critic(judges) or {}
    options = {'clip': parts.options, 'frame': of_frames.options | {'augmentation': Augmentation(random_frames)}}

    def side(name: str) -> Side:
        def game(extra: Pair) -> Game:
            return adversarial(
                make_networks(parts).generator,
                networks[name],
                parts.loss,
                parts.latents,
                condition=condition,
                critic=critics.get(name),
                **options[name] | {'terms': joined([extra, options[name]['terms']])},
            )

        return Side(game, lambda batch: batch, {'generator': 'generator', 'discriminator': name})

    return joint({name: side(name) for name in networks})


def random_frames(clips: Array, key: Key, positions: Array, strength: Array) -> Array:
    """A random frame of each clip, as an augmentation: [B, T, H, W, C] -> [B, H, W, C]."""
    del strength

    def one(key: Key, clip: Array) -> Array:
        return clip[jax.random.randint(key, (), 0, len(clip))]

    return global_batch.draw(one, key, positions, clips)
