"""MoCoGAN's networks: published sizes, the recurrent motion, layers in time, and what is refused."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, config
from gan_jax.errors import UserError
from gan_jax.layers.convolution import neighbours
from gan_jax.models import dcgan, mocogan
from tests import compiled

T, MOTION, CONTENT, CLASSES = 3, 2, 4, 3
SIZES = {'shape': (T, 8, 8, 3), 'motion_size': MOTION, 'width': 2}
LATENTS = jax.random.normal(jax.random.key(1), (2, CONTENT + (T + 1) * MOTION))


def test_published_parameter_counts():
    game = build.make_game(config.load('mocogan:motions'), (16, 64, 64, 3), num_classes=6)
    players = jax.eval_shape(game.init, jax.random.key(0))
    counts = {
        name: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(network))
        for params, _ in players.values()
        for name, network in params.items()
    }
    assert counts == {'generator': 3_298_836 - 20 + 3, 'frame': 663_296, 'clip': 11_253_504 + 7}


def test_frames_are_made_of_content_category_and_a_recurrent_motion():
    network, classes = mocogan.Generator(**SIZES, num_classes=CLASSES, conditioning='concatenate'), jnp.array([2, 0])
    variables = compiled.init(network, jax.random.key(0), LATENTS, classes, train=False)
    made = compiled.apply(network, variables, LATENTS, classes, train=False)
    cell = variables['params']['GRUCell_0']

    def gate(x, h, name, reset=1.0):
        inner = h @ cell[f'h{name}']['kernel'] + cell[f'h{name}'].get('bias', 0)
        return x @ cell[f'i{name}']['kernel'] + cell[f'i{name}']['bias'] + reset * inner

    content, *noise = np.split(np.asarray(LATENTS), CONTENT + MOTION * np.arange(T + 1), axis=1)
    motion, vectors = noise[0], []
    for x in noise[1:]:  # Cho et al. 2014, with the reset gate behind the matrix, as PyTorch has it
        reset, update = (jax.nn.sigmoid(gate(x, motion, name)) for name in 'rz')
        motion = (1 - update) * np.tanh(gate(x, motion, 'n', reset)) + update * motion
        vectors.append(np.concatenate([content, np.eye(CLASSES)[classes], motion], axis=1))
    image = dcgan.Generator((8, 8, 3), width=2)
    of_image = {name: collection['image'] for name, collection in variables.items()}
    draw = jax.jit(functools.partial(image.apply, of_image, train=False))
    frames = [draw(jnp.asarray(vector, jnp.float32)) for vector in vectors]
    np.testing.assert_allclose(made, np.stack(frames, axis=1), rtol=1e-4, atol=1e-6)


def test_a_layer_of_neighbours_is_a_convolution_in_space_and_time():
    clips = jax.random.normal(jax.random.key(0), (2, 6, 8, 8, 3))
    kernel = jax.random.normal(jax.random.key(1), (4, 4, 4, 3, 5))  # time, height, width
    expected = jax.lax.conv_general_dilated(
        clips, kernel, (1, 2, 2), ((0, 0), (1, 1), (1, 1)), dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC')
    )
    seen = neighbours(clips, 4)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(4, 4, 12, 5)
    found = jax.lax.conv_general_dilated(
        seen.reshape(-1, 8, 8, 12), flat, (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_clips_have_a_logit_each_and_frames_one_for_each_patch():
    network = mocogan.Discriminator(width=2)

    def discriminate(*shape):
        return jax.eval_shape(
            lambda key: network.init_with_output(key, jnp.zeros((2, *shape)), train=False)[0], jax.random.key(0)
        )

    clip, frame = discriminate(16, 64, 64, 3), discriminate(64, 64, 3)
    assert (clip.logits.shape, frame.logits.shape) == ((2,), (2, 4, 4))
    assert [clip.features[f'stage{i}'].shape[1:-1] for i in range(4)] == [
        (13, 32, 32), (10, 16, 16), (7, 8, 8), (4, 4, 4),
    ]  # fmt: skip


def test_frames_can_have_a_discriminator_of_another_width():
    network = mocogan.Discriminator(width=2, frame_width=5)
    clip, frame = (
        jax.eval_shape(lambda key, shape=shape: network.init(key, jnp.zeros(shape), train=False), jax.random.key(0))
        for shape in ((1, 16, 32, 32, 3), (1, 32, 32, 3))
    )
    widths = [made['params']['Conv_0']['kernel'].shape[-1] for made in (clip, frame)]
    assert widths == [2, 5]


@pytest.mark.parametrize(
    ('network', 'inputs', 'message'),
    [
        (mocogan.Generator(**SIZES), (2, 8), r'latents.size=8 leaves no content .* larger than 8'),
        (mocogan.Generator((8, 8, 3)), (2, 99), 'MoCoGAN is for clips'),
        (mocogan.Discriminator(), (1, 9, 32, 32, 3), 'needs more than 9 frames of 32 pixels, not 9'),
        (mocogan.Discriminator(), (1, 9, 6, 6, 3), 'MoCoGAN cannot make images 6 pixels high'),
    ],
)
def test_other_sizes_get_a_sentence(network, inputs, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda key: network.init(key, jnp.zeros(inputs), train=False), jax.random.key(0))
