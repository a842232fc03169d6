"""MoCoGAN: clips of a content and a motion, with two discriminators; Tulyakov et al. 2018, section 3.

Two adversarial games with one generator, whose losses are added: its clips against a discriminator of clips, and a
random frame of each clip against a discriminator of frames. The two discriminators are one player.
"""

import dataclasses
from typing import Annotated, Any

from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.examples.kinds import CLIPS, kind_of
from gan_jax.game import Array, Batch, Game, Key, Pair
from gan_jax.games.adversarial import condition_of, make_networks
from gan_jax.joint import Side, joint
from gan_jax.layers.choices import is_on
from gan_jax.models.mocogan import frames_at, random_frames
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import joined
from gan_jax.translators import without_condition
from gan_jax.values import with_values


def from_config(clips: Annotated[float, AMOUNT] = 1.0, *, parts: Parts) -> Game:
    """The game of a config, over batches {'real'} and, where the networks are conditional, 'label'.

    The discriminator of frames is not conditional, and has no loss of classes.

    Args:
        clips: weight of the losses of clips; 0: frames alone are judged, which is a quick first phase.
        parts: parts of the game.

    Raises:
        UserError: the examples are not clips; the networks are conditional, and the data have no classes.
    """
    shape, condition = parts.shape('real'), condition_of(parts)
    if kind_of(shape) is not CLIPS:
        raise UserError(f'The game mocogan is for clips (T, H, W, C), not for examples of shape {shape}: use motions.')
    without_classes = {} if condition is None else {'discriminator.conditioning': 'none'}
    stills = dataclasses.replace(parts, config=with_values(parts.config, without_classes))

    def judges(dtype: str | None = None) -> dict[str, Network]:
        frame = stills.network('discriminator', shape[1:], shape[1:], dtype=dtype)
        return {'clip': make_networks(parts, dtype).discriminator, 'frame': without_condition(frame)}

    networks, critics = judges(), parts.critic(judges) or {}

    def side(name: str, generate: str, options: dict[str, Any], real: str, weight: float = 1.0) -> Side:
        def game(extra: Pair) -> Game:
            return adversarial(
                make_networks(parts, generate=generate).generator,
                networks[name],
                parts.loss,
                parts.latents,
                condition=condition,
                critic=critics.get(name),
                **options | {'terms': joined([extra, options['terms']])},
            )

        played_by = {'generator': 'generator', 'discriminator': name}
        return Side(game, lambda batch: {**batch, 'real': batch[real]}, played_by, weight=weight)

    sides = {
        'clip': side('clip', '__call__', parts.options, 'real', clips),
        'frame': side('frame', 'random_frame', stills.options, 'frame'),
    }
    game = joint(sides)
    if not is_on(clips):
        game = joint({'frame': sides['frame']})._replace(sample=game.sample)  # its samples are clips, too
    return game._replace(prepare=with_frames)


def with_frames(batch: Batch, key: Key, positions: Array) -> Batch:
    """The batch with 'frame' [B, H, W, C], a random frame of each real clip [B, T, H, W, C]."""
    clips = batch['real']
    return {**batch, 'frame': frames_at(clips, random_frames(key, positions, clips.shape[1]))}
