"""The game of clips and their label maps: vid2vid."""

from collections.abc import Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax import flow as flows
from gan_jax import global_batch, losses
from gan_jax.adversarial import refuse_augmentation
from gan_jax.errors import UserError
from gan_jax.examples.kinds import CLIPS, kind_of
from gan_jax.game import Array, Batch, Game, Key, Pair, PyTree, stream
from gan_jax.games.spade import coloured, one_hot, spade
from gan_jax.judgement import Judgement, judgement
from gan_jax.losses import Loss
from gan_jax.networks import Network, init_networks
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT_OR_NONE, Range
from gan_jax.terms import NO_TERMS, View, check_weights, joined
from gan_jax.translators import distance, logits_of_scales, of_generator, over_batches

_SEEN = 3  # frames that a temporal discriminator sees at once
_FLOWS = 2 * (_SEEN - 1)  # channels of the flow between these frames
_MOVEMENT = 3  # channels of a generated frame after its colours: flow (2), and the share of the fresh image (1)
_Shape = tuple[int, int, int, int]


def vid2vid(
    generator: Network,
    judges: Sequence[Network],
    loss: Loss | None = None,
    *,
    classes: int,
    shape: _Shape,
    window: int = 0,
    knows_flow: bool = True,
    reach: float = 20.0,
    flow: float = 10.0,
    warp: float = 10.0,
    mask: float = 1.0,
    features: float = 10.0,
    terms: Pair = NO_TERMS,
    critics: Sequence[Network] | None = None,
    **options: Any,
) -> Game:
    """The game of clips and their label maps (Wang et al. 2018, "Video-to-Video Synthesis").

    It is SPADE's game with clips in the place of images and several discriminators in the place of one.

    Args:
        generator: latents [B, 0] and maps [B, T, H, W, classes] -> [B, T, H, W, C + 3]: frames, their flow to the frame
            before in pixels, and the shares of fresh images.
        judges: the discriminators. The first is that of frames: a map and a frame, concatenated [n, H, W, classes + C]
            -> a `Judgement` with logits [n, h, w], one array per scale, and features. The others are temporal: number
            s, from 0, sees three frames that are 3^s apart, and their flow if it is known; see `threes`.
        loss: the loss of each player; the generator's is summed over all scales of all discriminators, and of the
            discriminators' the mean counts. None: mean squares.
        classes: number of classes in the maps.
        shape: (T, H, W, C) of a clip.
        window: number of frames of a clip that a round sees, at a random place; 0: all.
        knows_flow: whether the flow is that of the shapes in the maps, see `gan_jax.flow.flow_of_maps`. It stands in
            the place of the flow that the authors take from FlowNet2.
        reach: pixels of flow that the temporal discriminators see as 1.
        flow: weight of the mean absolute difference between the generator's flow and the known flow (section 3).
        warp: weight of the mean absolute difference between each real frame and the real frame before it, moved along
            the generator's flow (section 3).
        mask: weight of the mean share of fresh images where the known flow shows what was visible before, as in the
            authors' code without a given first frame.
        features: weight of feature matching, as in SPADE, which is summed over the discriminators.
        terms: added to each player's loss; see `gan_jax.terms`.
        critics: the discriminators for gradient penalties, which can have other arithmetic; None: they themselves.
        **options: options of `gan_jax.games.spade.spade`.

    Returns:
        A game of the players 'generator' and 'discriminator', which contains all discriminators, over batches
        `{'input': [B, T, H, W, 1], 'real': [B, T, H, W, C]}`. The input is the map of each frame as an image, as in
        SPADE. `sample(params, variables, latents, maps)` makes clips of such maps.

    Raises:
        UserError: an option is impossible, including augmentation, which would move a clip without its maps, or a clip
            is too short for the temporal discriminators.
    """
    check_weights({'flow': flow, 'warp': warp, 'mask': mask})
    refuse_augmentation(options, 'vid2vid', 'a clip would move without its maps')
    length = window or shape[0]
    scales = len(judges) - 1
    least = 1 + (_SEEN - 1) * _SEEN ** (scales - 1) if scales else 1
    if length < least:
        raise UserError(
            f'{length} frames are too few for {scales} temporal discriminators, which need {least}: use longer clips, '
            'a larger game.window, or a smaller game.time_scales.'
        )
    if length > shape[0]:
        raise UserError(f'game.window={window} is larger than clips of {shape[0]} frames: choose a smaller window.')
    channels, seen = shape[-1], (length, *shape[1:-1], classes + shape[-1])

    def together(networks: Sequence[Network]) -> Network:
        return of_clips(networks, classes, channels, reach if knows_flow else None)

    def difference_of_flow(view: View) -> Array:
        return distance(_flow(view.fake, channels), flows.flow_of_maps(view.condition))

    def difference_when_warped(view: View) -> Array:
        real = view.real[..., :channels]
        return distance(flows.warp(real[:, :-1], _flow(view.fake, channels)), real[:, 1:])

    def needless_share(view: View) -> Array:
        visible = flows.was_visible(view.condition, flows.flow_of_maps(view.condition))
        return (visible * view.fake[:, 1:, ..., channels + 2 :]).mean()

    judge = together(judges)
    game = spade(
        generator,
        judge,
        loss or losses.mean_squares(),
        classes=classes,
        shape=(length, *shape[1:-1], channels + _MOVEMENT),
        features=features * len(judges),
        adversary=len(logits_of_scales(judge, seen)),
        terms=joined(
            [
                of_generator('flow', flow if knows_flow else 0, difference_of_flow),
                of_generator('warp', warp, difference_when_warped),
                of_generator('mask', mask if knows_flow else 0, needless_share),
                terms,
            ]
        ),
        critic=critics and together(critics),
        **options,
    )

    def with_movement(batch: Batch, *_: Any) -> Batch:
        """The real frames with as many channels as generated ones; nothing reads those behind the colours."""
        real = batch['real']
        return {**batch, 'real': jnp.pad(real, ((0, 0),) * (real.ndim - 1) + ((0, _MOVEMENT),))}

    def prepare(batch: Batch, key: Key, positions: Array) -> Batch:
        def cut(key: Key, clip: Array) -> Array:
            first = jax.random.randint(key, (), 0, shape[0] - length + 1)
            return jax.lax.dynamic_slice_in_dim(clip, first, length)

        return {name: global_batch.draw(cut, key, positions, clips) for name, clips in batch.items()}

    def sample(params: PyTree, variables: PyTree, latents: Array, maps: Array) -> Array:
        return game.sample(params, variables, latents, maps)[..., :channels]

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        maps = batch['input']
        made = sample(params, variables, latents, maps)
        return {'map': coloured(maps, classes), 'output': made, 'target': batch['real']}

    def known_flow(maps: Array) -> tuple[Array, Array]:
        told = one_hot(maps, classes)
        moved = flows.flow_of_maps(told)
        return moved, flows.was_visible(told, moved)

    return game._replace(
        turns=over_batches(game.turns, with_movement),
        sample=sample,
        show=show,
        prepare=prepare if window else None,
        flow=known_flow if knows_flow else None,
    )


def of_clips(networks: Sequence[Network], classes: int, channels: int, reach: float | None = None) -> Network:
    """The discriminators of `vid2vid` as one, of clips whose maps are in front of their frames.

    Args:
        networks: the discriminator of frames, and then the temporal discriminators.
        classes: number of classes in the maps.
        channels: number of channels of a frame.
        reach: pixels of flow that the temporal discriminators see as 1; None: the flow is not known.

    Returns:
        A network of clips [B, T, H, W, classes + channels + n], whose last n channels it ignores, -> a `Judgement` with
        a tuple of logits [B, n], those of frames first, and features by name.
    """
    names = ['frames', *(f'time{scale}' for scale in range(len(networks) - 1))]

    def init(key: Key) -> tuple[PyTree, PyTree]:
        made = init_networks(dict(zip(names, networks, strict=True)), key)
        return {name: one[0] for name, one in made.items()}, {name: one[1] for name, one in made.items()}

    def apply(params, variables, clips, key, train):
        clips = clips[..., : classes + channels]
        maps, frames = clips[..., :classes], clips[..., classes:]
        inputs = [clips, *(threes(frames, maps, _SEEN**scale, reach) for scale in range(len(networks) - 1))]
        logits, features, updated = [], {}, {}
        for name, network, seen in zip(names, networks, inputs, strict=True):
            images = seen.reshape(-1, *seen.shape[2:])
            outputs, updated[name] = network.apply(params[name], variables[name], images, stream(key, name), train)
            judged = judgement(outputs)
            logits += [one.reshape(len(clips), -1) for one in jax.tree.leaves(judged.logits)]
            features |= {f'{name}/{feature}': value for feature, value in judged.features.items()}
        return Judgement(tuple(logits), features=features), updated

    return Network(init, apply)


def threes(clips: Array, maps: Array, stride: int, reach: float | None = None) -> Array:
    """All groups of three frames at a distance of `stride` frames, as channels of one image.

    Args:
        clips: [B, T, H, W, C].
        maps: one-hot [B, T, H, W, classes].
        stride: their distance in frames.
        reach: pixels of the flow of the maps that become 1; None: without flow.

    Returns:
        [B, T - 2 stride, H, W, 3 C], and behind the frames, from the earliest on, the flow of the second and of the
        third one, [B, T - 2 stride, H, W, 3 C + 4].
    """
    count = clips.shape[1] - (_SEEN - 1) * stride
    parts = [clips[:, stride * i : stride * i + count] for i in range(_SEEN)]
    if reach is not None:
        flow = (flows.flow_of_maps(maps, stride) / reach).astype(clips.dtype)
        parts += [flow[:, stride * i : stride * i + count] for i in range(_SEEN - 1)]
    return jnp.concatenate(parts, axis=-1)


def _flow(clips: Array, channels: int) -> Array:
    """The flow of generated frames from the second on, which is behind the channels of their colours."""
    return clips[:, 1:, ..., channels : channels + 2]


def from_config(
    features: Annotated[float, AMOUNT] = 10.0,
    flow: Annotated[float, AMOUNT] = 10.0,
    warp: Annotated[float, AMOUNT] = 10.0,
    mask: Annotated[float, AMOUNT] = 1.0,
    time_scales: Annotated[int, Range(0, 3)] = 2,
    window: Annotated[int, COUNT_OR_NONE] = 0,
    knows_flow: bool = False,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over clips and their label maps: batches {'input', 'real'}.

    Args:
        features: weight of feature matching.
        flow: weight of the difference between the generator's flow and the known flow.
        warp: weight of the difference between real frames and those before them, moved along the generator's flow.
        mask: weight of the share of fresh images where the known flow shows what was visible before.
        time_scales: number of temporal discriminators, of three frames that are 1, 3 and 9 frames apart; 0: none.
        window: number of frames of a clip that a round sees, at a random place; 0: all.
        knows_flow: whether the flow is known from the maps: over a still background of class 0, each class is one shape
            that moves without turning. False: the flow is trained by `warp` alone.
        parts: parts of the game.
    """
    shape, maps, classes = parts.shape('real'), parts.shapes.get('input'), parts.num_classes
    if kind_of(shape) is not CLIPS or classes is None or maps is None or tuple(maps) != (*shape[:-1], 1):
        raise UserError(
            f'The game vid2vid needs clips with a label map of the same size for each frame, and '
            f'{parts.config.data.name!r} has none: choose motion_maps or clip_maps:/path/to/data.'
        )
    module = parts.module('generator', shape)
    if not hasattr(module, 'past'):
        raise UserError('The game vid2vid needs a generator with past frames: use the model vid2vid.')
    sides, channels = shape[1:-1], shape[-1]
    seen = [(*sides, classes + channels)] + time_scales * [(*sides, _SEEN * channels + (_FLOWS if knows_flow else 0))]

    def judges(dtype: str | None = None) -> list[Network]:
        return [parts.network('discriminator', shape, shape, dtype=dtype) for shape in seen]

    told = jax.ShapeDtypeStruct((*shape[:-1], classes), jnp.float32)
    weights = {'flow': flow, 'warp': warp, 'mask': mask} if module.past else dict.fromkeys(('flow', 'warp', 'mask'), 0)
    return vid2vid(
        parts.network('generator', (0,), shape, condition=told),
        judges(),
        parts.loss,
        classes=classes,
        shape=shape,
        window=window,
        knows_flow=knows_flow,
        reach=module.reach,
        features=features,
        critics=parts.critic(judges),
        **weights,
        **parts.options,
    )
