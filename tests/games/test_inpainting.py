"""The context encoder: holes, its losses by hand, its networks, and errors in the hole."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.hole import hole_errors, masks_of
from gan_jax.games.inpainting import Holes, inpainting
from gan_jax.models.inpainting import ChannelwiseDense, Discriminator, Generator
from gan_jax.networks import pure
from tests import compiled

SHAPE, BATCH = (8, 8, 1), 3
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}


def images():
    return jax.random.normal(jax.random.key(1), (BATCH, *SHAPE))


def painter():
    """Contents whose pixels are a parameter times the mean of the image."""
    return pure(
        lambda key: jnp.float32(0.7),
        lambda w, x: w * jnp.broadcast_to(x.mean((1, 2, 3), keepdims=True), (len(x), 4, 4, 1)),
    )


def critic():
    return pure(lambda key: jnp.float32(0.4), lambda v, x: v * x.sum((1, 2, 3)))


def test_the_border_of_a_hole_is_seen_and_weighs_ten_times():
    game = inpainting(painter(), critic(), shape=SHAPE, overlap=1)
    state, whole = compiled.init_state(game, SGD, jax.random.key(0)), images()
    seen, contents = whole.at[:, 3:5, 3:5].set(0), whole[:, 2:6, 2:6]
    weights = jnp.full((4, 4, 1), 10.0).at[1:3, 1:3].set(1)

    def generator(w):
        made = w * jnp.broadcast_to(seen.mean((1, 2, 3), keepdims=True), contents.shape)
        logits = 0.4 * made.sum((1, 2, 3))
        return 0.999 * (weights * (made - contents) ** 2).mean() + 0.001 * jax.nn.softplus(-logits).mean()

    def discriminator(v):
        fake = v * 0.7 * 16 * seen.mean((1, 2, 3))
        return jax.nn.softplus(-v * contents.sum((1, 2, 3))).mean() + jax.nn.softplus(fake).mean()

    for name, by_hand, at in (('generator', generator, 0.7), ('discriminator', discriminator, 0.4)):
        loss, places = game.turn(name).loss, jnp.arange(BATCH)
        value = lambda params: loss(params, state, {'real': whole}, jax.random.key(3), places)[0]  # noqa: B023, E731
        found = jax.value_and_grad(value)(state.players[name].params)
        np.testing.assert_allclose(found, jax.value_and_grad(by_hand)(jnp.float32(at)), rtol=1e-5)


def test_samples_replace_the_hole_and_nothing_else():
    game = inpainting(painter(), critic(), shape=SHAPE, overlap=1, random=True)
    assert game.discriminate is None  # it does not judge whole images
    corners, whole = game.latents(jax.random.key(2), jnp.arange(BATCH)), images()
    made, masks = game.sample(jnp.float32(0.7), {}, corners, whole), game.hole(corners)
    assert masks.sum((1, 2, 3)).tolist() == [4] * BATCH
    for number, (row, column) in enumerate(np.asarray(corners)):
        expected = np.zeros((8, 8), bool)
        expected[row + 1 : row + 3, column + 1 : column + 3] = True
        np.testing.assert_array_equal(masks[number, ..., 0], expected)
        filling = 0.7 * np.where(expected, 0, whole[number, ..., 0]).mean()
        np.testing.assert_allclose(made[number, ..., 0], np.where(expected, filling, whole[number, ..., 0]), rtol=1e-5)
    shown = game.show(jnp.float32(0.7), {}, corners, {'real': whole})
    np.testing.assert_array_equal(shown['with a hole'], jnp.where(masks, 0, whole))


def test_random_holes_lie_anywhere_and_depend_on_positions_alone():
    holes = Holes(SHAPE, random=True)
    drawn = holes.corners(jax.random.key(0), jnp.arange(400))
    assert {tuple(corner) for corner in np.asarray(drawn)} == {(row, column) for row in range(5) for column in range(5)}
    np.testing.assert_array_equal(holes.corners(jax.random.key(0), jnp.arange(7, 9)), drawn[7:9])


def test_the_channelwise_layer_is_a_matrix_between_the_places_of_each_channel():
    module, inputs = (
        ChannelwiseDense(jax.nn.initializers.normal(1.0)),
        jax.random.normal(jax.random.key(1), (2, 3, 4, 5)),
    )
    variables = module.init(jax.random.key(0), inputs)
    kernel = variables['params']['kernel']
    assert kernel.shape == (5, 12, 12)
    outputs = module.apply(variables, inputs)
    for channel in range(5):
        by_hand = inputs[..., channel].reshape(2, 12) @ kernel[channel]
        np.testing.assert_allclose(outputs[..., channel].reshape(2, 12), by_hand, rtol=1e-4, atol=1e-5)


def parameters(module, size):
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, size, size, 3)), train=False))
    return shapes['params']


def test_the_networks_have_the_published_layers():
    found = parameters(Generator(bottleneck=4000), 128)
    convolutions = [found[f'Conv_{i}']['kernel'].shape for i in range(6)]
    widths = [(3, 64), (64, 64), (64, 128), (128, 256), (256, 512), (512, 4000)]
    assert convolutions == [(4, 4, *width) for width in widths]
    decoder = [found[f'ConvTranspose_{i}']['kernel'].shape for i in range(4)]
    assert found['Dense_0']['kernel'].shape == (4000, 4 * 4 * 512)
    assert decoder == [(4, 4, *width) for width in [(512, 256), (256, 128), (128, 64), (64, 3)]]
    encoder = {name: found[name] for name in (*(f'Conv_{i}' for i in range(6)), *(f'BatchNorm_{i}' for i in range(5)))}
    kernels = 16 * sum(inputs * outputs for inputs, outputs in widths)
    norms = 2 * sum(outputs for _, outputs in widths[1:])
    assert sum(leaf.size for leaf in jax.tree.leaves(encoder)) == kernels + 64 + norms == 35_599_104
    assert len(parameters(Discriminator(), 64)) == 4 + 3 + 1


@pytest.mark.parametrize('options', [{}, {'bottleneck': 6}])
def test_contents_have_half_the_sides(options):
    module = Generator(width=4, channels=1, **options)
    inputs = jax.ShapeDtypeStruct((2, 32, 64, 1), jnp.float32)
    made = jax.eval_shape(lambda x: module.init_with_output(jax.random.key(0), x, train=False)[0], inputs)
    assert made.shape == (2, 16, 32, 1)


def test_errors_are_of_the_hole_and_the_mean_colour_is_beside_them():
    real = np.full((2, 4, 4, 1), 100, np.uint8)
    real[1] = 200
    fake, masks = real.copy(), np.zeros((2, 4, 4, 1), bool)
    masks[:, 1:3, 1:3] = True
    fake[:, 1, 1], fake[:, 0, 0] = 120, 0  # the second is outside
    found = hole_errors(real, fake, masks)
    np.testing.assert_allclose(found['hole_l1'].value, (20 / 4 + 80 / 4) / 2 / 255)
    np.testing.assert_allclose(found['hole_psnr'].value, 10 * np.log10(255**2 / (np.array([400, 6400]) / 4)).mean())
    assert f'filled with the mean colour: {50 / 255:.4f},' in found['hole_l1'].rule
    game = inpainting(painter(), critic(), shape=SHAPE, overlap=1)
    assert masks_of(game, 0, 5).shape == (5, 8, 8, 1)


def test_what_is_impossible_is_refused():
    with pytest.raises(UserError, match='The overlap is 3; it must be from 0 to 1 for images of 8x8'):
        inpainting(painter(), critic(), shape=SHAPE, overlap=3)
    with pytest.raises(UserError, match='The weight of border is -1'):
        inpainting(painter(), critic(), shape=SHAPE, overlap=1, border=-1.0)
    with pytest.raises(UserError, match='the images are 7x8: use even sides'):
        inpainting(painter(), critic(), shape=(7, 8, 1))
    with pytest.raises(UserError, match='down to 4 pixels, which is impossible for 24x24'):
        parameters(Generator(), 24)
