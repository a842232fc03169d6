"""vid2vid's game: its losses by hand, what its discriminators see, its windows, and runs from training to films."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_jax import build, evaluate
from gan_jax import config as configs
from gan_jax.augmentation import augment
from gan_jax.data import load, motions
from gan_jax.errors import UserError
from gan_jax.flow import flow_of_maps, warp, was_visible
from gan_jax.games.vid2vid import threes, vid2vid
from gan_jax.judgement import Judgement
from gan_jax.networks import pure
from gan_jax.sampling.sample_files import sample_workdir
from gan_jax.train import train
from tests import compiled, toy_experiments

CLASSES, SHAPE, BATCH = 3, (8, 1, 6, 1), 2
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
ROWS = ['110020', '011020', '001120', '000112', '000110', '001100', '011000', '110000']
MAPS = np.array([[[[int(name) for name in row]] for row in ROWS]] * BATCH)[..., None]  # [B, T, 1, 6, 1]
TOLD = jnp.eye(CLASSES)[MAPS[..., 0]]
COLOURS, MASK = jnp.array([0.5, -1.0, 2.0]), 0.25
KEY, PLACES = jax.random.key(3), jnp.arange(BATCH)


def as_images(maps):
    return (2 * jnp.asarray(maps, jnp.float32) - 255) / 255


def batch():
    return {'input': as_images(MAPS), 'real': jax.random.normal(jax.random.key(1), (BATCH, *SHAPE))}


def painter():
    """Paints each class in its colour times a parameter, which is also the flow to the right; the mask is constant."""

    def apply(w, z, maps):
        colour = w * (maps @ COLOURS)[..., None]
        flow = w * jnp.broadcast_to(jnp.array([0.0, 1.0]), (*colour.shape[:-1], 2))
        return jnp.concatenate([colour, flow, jnp.full_like(colour, MASK)], axis=-1)

    return pure(lambda key: jnp.float32(0.7), apply)


def discriminator(start):
    """One scale with a logit for each pixel: a parameter times the weighted sum of the channels, also its feature."""

    def apply(v, images):
        logits = v * (images * (1 + jnp.arange(images.shape[-1]))).sum(-1)
        return Judgement((logits,), features={'one': logits})

    return pure(lambda key: jnp.float32(start), apply)


def game(scales=2, **options):
    made = [discriminator(0.1 * (i + 1)) for i in range(scales + 1)]
    return vid2vid(painter(), made, **{'classes': CLASSES, 'shape': SHAPE, 'reach': 2.0} | options)


def seen_by_hand(clips):
    """What the three discriminators see of clips [B, T, 1, 6, 1]."""
    yield jnp.concatenate([TOLD, clips], axis=-1)
    for stride in (1, 3):
        flow = flow_of_maps(TOLD, stride) / 2
        starts = range(SHAPE[0] - 2 * stride)
        windows = [
            jnp.concatenate([*(clips[:, t + i * stride] for i in range(3)), flow[:, t], flow[:, t + stride]], axis=-1)
            for t in starts
        ]
        yield jnp.stack(windows, axis=1)


def logits_by_hand(params, clips):
    weighted = ((seen * (1 + jnp.arange(seen.shape[-1]))).sum(-1) for seen in seen_by_hand(clips))
    return [params[name] * one for name, one in zip(('frames', 'time0', 'time1'), weighted, strict=True)]


def values_of(game, name, state):
    loss = game.turn(name).loss
    value = jax.jit(jax.value_and_grad(lambda params: loss(params, state, batch(), KEY, PLACES)[0]))
    return value(state.players[name].params)


def test_losses_are_sums_over_all_discriminators_with_features_flow_warped_frames_and_mask():
    made, real = game(flow=2.0, warp=3.0, mask=0.5), batch()['real']
    state = compiled.init_state(made, SGD, jax.random.key(0))
    flow = flow_of_maps(TOLD)

    def paint(w):
        return w * (TOLD @ COLOURS)[..., None]

    def generator(w):
        pairs = list(
            zip(*(logits_by_hand(state.discriminator.params, clips) for clips in (paint(w), real)), strict=True)
        )
        adversary = sum(((fake - 1) ** 2).mean() for fake, _ in pairs)
        features = sum(jnp.abs(fake - other).mean() for fake, other in pairs)
        own = w * jnp.broadcast_to(jnp.array([0.0, 1.0]), flow.shape)
        warped = jnp.abs(warp(real[:, :-1], own) - real[:, 1:]).mean()
        needless = MASK * was_visible(TOLD, flow).mean()
        return adversary + 10 * features + 2 * jnp.abs(own - flow).mean() + 3 * warped + 0.5 * needless

    def discriminators(params):
        both = zip(logits_by_hand(params, real), logits_by_hand(params, paint(0.7)), strict=True)
        return sum(((one - 1) ** 2).mean() + (fake**2).mean() for one, fake in both) / 6

    for name, by_hand in (('generator', generator), ('discriminator', discriminators)):
        expected = jax.jit(jax.value_and_grad(by_hand))(state.players[name].params)
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4), values_of(made, name, state), expected
        )


def test_an_unknown_flow_is_neither_seen_nor_matched():
    made = game(knows_flow=False, warp=3.0)
    state = compiled.init_state(made, SGD, jax.random.key(0))
    loss = made.turn('generator').loss
    metrics = jax.eval_shape(loss, state.generator.params, state, batch(), KEY, PLACES)[1].metrics
    assert {'features', 'warp'} <= set(metrics)
    assert not {'flow', 'mask'} & set(metrics)
    assert made.flow is None
    assert jax.eval_shape(lambda clips: threes(clips, TOLD, 1), batch()['real']).shape == (BATCH, 6, 1, 6, 3)


def test_a_window_is_the_same_of_a_clip_and_its_maps_and_depends_on_the_place():
    made = game(scales=1, window=5)
    count = 64
    clips = jnp.broadcast_to(jnp.arange(8.0)[:, None, None, None], (count, *SHAPE))
    prepare = jax.jit(made.prepare)
    cut = prepare({'real': clips, 'input': -clips}, KEY, jnp.arange(count))
    assert cut['real'].shape == (count, 5, 1, 6, 1)
    np.testing.assert_array_equal(cut['real'], -cut['input'])
    firsts = np.asarray(cut['real'])[:, 0, 0, 0, 0]
    assert set(firsts) == {0, 1, 2, 3}
    np.testing.assert_array_equal(cut['real'][..., 0, 0, 0], firsts[:, None] + np.arange(5))
    some = prepare({'real': clips[40:], 'input': clips[40:]}, KEY, jnp.arange(40, count))
    np.testing.assert_array_equal(some['real'], cut['real'][40:])


def test_pictures_show_maps_outputs_and_targets_and_samples_have_colours_alone():
    made = game()
    shown = jax.jit(made.show)(0.7, {}, jnp.zeros((BATCH, 0)), batch())
    assert set(shown) == {'map', 'output', 'target'}
    np.testing.assert_allclose(shown['output'], 0.7 * COLOURS[MAPS], rtol=1e-6)
    assert shown['map'].shape == (BATCH, *SHAPE[:-1], 3)
    flow, visible = jax.jit(made.flow)(as_images(MAPS))
    np.testing.assert_allclose(flow, jax.jit(flow_of_maps)(TOLD), atol=1e-6)
    np.testing.assert_array_equal(visible, jax.jit(was_visible)(TOLD, flow))


def test_what_is_impossible_is_refused():
    with pytest.raises(UserError, match='The weight of warp is -1'):
        game(warp=-1.0)
    with pytest.raises(UserError, match='would move without its maps'):
        game(augmentation=augment.diff_augment())
    with pytest.raises(UserError, match='6 frames are too few for 2 temporal discriminators, which need 7'):
        game(window=6)
    with pytest.raises(UserError, match='8 frames are too few for 3 temporal discriminators, which need 19'):
        game(scales=3)
    with pytest.raises(UserError, match=r'game\.window=9 is larger than clips of 8 frames'):
        game(window=9)
    config = configs.load('vid2vid')
    for shapes in ({}, {'input': (16, 16, 16, 1)}, {'input': (8, 32, 32, 1)}, {'input': (16, 32, 32, 3)}):
        with pytest.raises(UserError, match='a label map of the same size for each frame'):
            build.make_game(config, (16, 32, 32, 3), shapes=shapes, num_classes=7)
    with pytest.raises(UserError, match="'motion_maps' has none: choose motion_maps or clip_maps:"):
        build.make_game(config, (32, 32, 3), shapes={'input': (32, 32, 1)}, num_classes=7)
    shapes = {'input': (16, 32, 32, 1)}
    with pytest.raises(UserError, match='use the model vid2vid'), pytest.warns(match='drops options'):
        build.make_game(
            configs.load('vid2vid', {'generator.family': 'mocogan'}), (16, 32, 32, 3), shapes=shapes, num_classes=7
        )


def test_the_flow_of_the_computed_clips_is_exact(tmp_path, monkeypatch):
    monkeypatch.setattr(motions, '_SPLITS', {'train': 12, 'test': 3})
    dataset = load('motion_maps', size=24, cache_dir=tmp_path, show_progress=False)
    assert (dataset.has_maps, dataset.num_classes, dataset.labels) == (True, 7, None)
    told, frames = np.eye(7)[dataset.inputs[..., 0]], dataset.examples / 127.5 - 1
    shapes = 1 - told[..., :1]

    @jax.jit
    def moved(told, *sets):
        flow = flow_of_maps(told)
        return flow, was_visible(told, flow), *(warp(one[:, :-1], flow) for one in sets)

    flow, visible, warped, warped_shapes = jax.device_get(moved(told, frames, shapes))
    np.testing.assert_allclose(flow, flow.round(), atol=1e-5)
    assert abs(flow).max() >= 3
    assert (warped_shapes[shapes[:, 1:] > 0] > 0.999).all()  # no shape changes or leaves
    off = abs(warped - frames[:, 1:]) * visible
    assert off.mean() < 0.005 < abs(frames[:, :-1] - frames[:, 1:]).mean()  # edges mix with the background
    colours = {int(name): tuple(colour) for name, colour in enumerate(motions.COLORS.astype(int), start=1)}
    for clip, maps in zip(dataset.examples, dataset.inputs[..., 0], strict=True):
        (name,) = set(np.unique(maps)) - {0}
        assert colours[name] in set(map(tuple, clip[maps == name]))


@pytest.mark.slow  # 90 s: a training step, its pictures and metrics
@pytest.mark.parametrize('past', ['2', '0'])
def test_a_run_of_clips(past, tmp_path, monkeypatch):
    monkeypatch.setattr(motions, '_SPLITS', {'train': 12, 'test': 3})
    given = {'data.size': '16', 'data.cache': str(tmp_path / 'cache'), 'batch_size': '2', 'samples': '6'}
    given |= {'generator.width': '2', 'discriminator.width': '2', 'discriminator.depth': '2', 'generator.past': past}
    given |= {'evaluation.samples': '3', 'parallel.devices': '1', 'duration': '2 steps'}
    workdir = tmp_path / 'run'
    with toy_experiments.without_pages():
        train(configs.load('vid2vid:debug', given), workdir)
    assert ('generator/flow' in (workdir / 'metrics.jsonl').read_text()) == (past == '2')
    again = evaluate(workdir, metrics=('warp_error', 'clip_error'), num=3)
    assert {record.metric for record in again.records} == {'warp_error', 'clip_l1', 'clip_psnr'}
    directory = sample_workdir(workdir, num=6)
    for name in ('grid.gif', '00001.gif'):
        assert Image.open(directory / name).n_frames == motions.FRAMES
    assert Image.open(sample_workdir(workdir, num=2, inputs='motion_maps') / 'grid.gif').n_frames == motions.FRAMES
