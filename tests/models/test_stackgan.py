"""StackGAN's networks: published sizes, codes, the frozen first stage, wrong sentences, and what reads captions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.text import Matcher
from gan_jax.models.stackgan import Discriminator, Generator
from tests import compiled

SMALL = {'width': 2, 'codes': 3, 'factor': 2, 'depth': 1}
LATENTS = jax.random.normal(jax.random.key(0), (4, 8))
SENTENCES = jax.random.normal(jax.random.key(1), (4, 6))


def count(module, *inputs):
    made = jax.eval_shape(lambda key: module.init(key, *inputs, train=True), jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(made['params']))


def test_published_parameter_counts():
    sentences = jnp.zeros((1, 1024))
    assert count(Generator((64, 64, 3)), jnp.zeros((1, 228)), sentences) == 20_020_832
    dense = 1025 * 128  # of the discriminator's own code
    assert count(Discriminator(), jnp.zeros((1, 64, 64, 3)), sentences) == 12_407_425 + dense
    assert count(Discriminator(stages=2), jnp.zeros((1, 256, 256, 3)), sentences) == 159_889_538 + dense


@pytest.fixture(scope='module')
def second():
    module = Generator((16, 16, 3), stages=2, **SMALL)
    return module, jax.jit(lambda key: module.init(key, LATENTS, SENTENCES, train=True))(jax.random.key(2))


def test_the_code_is_drawn_by_the_end_of_the_latents():
    bound = Generator((8, 8, 3), **SMALL)
    variables = compiled.init(bound, jax.random.key(0), LATENTS, SENTENCES, train=False)
    variables = variables | {'params': {**variables['params'], 'augmentations_0': draw_of()}}
    moments = bound.apply(variables, SENTENCES, method='moments')
    np.testing.assert_allclose(moments[:, 0], jnp.broadcast_to(jnp.array([1.0, 2, 3]), (4, 3)), rtol=1e-6)
    code = bound.apply(variables, 0, LATENTS, SENTENCES, whole=True, method='_code')
    np.testing.assert_allclose(code[:, :5], LATENTS[:, :5])
    np.testing.assert_allclose(code[:, 5:], jnp.array([1.0, 2, 3]) + 2 * LATENTS[:, 5:], rtol=1e-6)


def draw_of():
    """A layer with the means 1, 2, 3 and the deviation 2 for all sentences."""
    return {'kernel': jnp.zeros((6, 6)), 'bias': jnp.array([1.0, 2, 3, *[2 * math.log(2)] * 3])}


def test_the_second_stage_leaves_the_first_as_it_is(second):
    module, variables = second

    def total(params):
        images, updated = module.apply(
            {**variables, 'params': params}, LATENTS, SENTENCES, train=True, mutable=['batch_stats']
        )
        return jnp.square(images).sum(), updated

    gradients, updated = jax.jit(jax.grad(total, has_aux=True))(variables['params'])
    frozen = {name: jax.tree.leaves(gradients[name]) for name in ('first', 'augmentations_0')}
    assert not any(leaf.any() for leaves in frozen.values() for leaf in leaves)
    assert all(leaf.any() for leaf in jax.tree.leaves(gradients['augmentations_1']))
    before, after = variables['batch_stats'], updated['batch_stats']
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), before['first'], after['first']))
    assert not jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), before['second'], after['second']))
    assert module.apply(variables, LATENTS, SENTENCES, method='begin').shape == (4, 8, 8, 3)


def test_wrong_sentences_are_those_of_the_next_image_of_the_global_batch():
    module = Discriminator(width=2, codes=3, stages=2, normalization='none')
    images = jax.random.normal(jax.random.key(3), (4, 8, 8, 3))
    variables = compiled.init(module.clone(axis_name='d'), jax.random.key(4), images, SENTENCES, train=True)

    def discriminate(images, sentences, module=module):
        return module.apply(variables, images, sentences, train=True)

    judged, moved = discriminate(images, SENTENCES), discriminate(images, jnp.roll(SENTENCES, -1, axis=0))
    assert judged.logits.shape == (4, 2)
    np.testing.assert_allclose(judged.features['wrong'][:, 0], moved.logits[:, 0], rtol=1e-5)
    np.testing.assert_allclose(judged.logits[:, 1], moved.logits[:, 1], rtol=1e-6)
    assert not np.allclose(judged.logits[:, 0], moved.logits[:, 0])
    spread = jax.pmap(lambda *parts: discriminate(*parts, module=module.clone(axis_name='d')), axis_name='d')
    parts = (array.reshape(2, 2, *array.shape[1:]) for array in (images, SENTENCES))
    np.testing.assert_allclose(spread(*parts).features['wrong'].reshape(-1, 1), judged.features['wrong'], rtol=1e-5)


@pytest.mark.parametrize('shape', [(24, 24, 3), (16, 32, 3), (4, 4, 3)])
def test_other_shapes_get_a_sentence(shape):
    with pytest.raises(UserError, match=r'Images of captions are square, of 8, 16, .* set data.size'):
        Discriminator().init(jax.random.key(0), jnp.zeros((1, *shape)), SENTENCES[:1], train=False)


def test_captions_are_read_to_their_end_in_both_directions():
    matcher = Matcher(words=7, size=4, word_width=3, image_width=2)
    captions = jnp.array([[1, 2, 3, 0, 0], [3, 2, 1, 4, 5]])
    images = jnp.zeros((2, 16, 16, 3))
    params = compiled.init(matcher, jax.random.key(0), images, captions, train=False)

    @jax.jit
    def read(captions):
        return matcher.apply(params, captions, train=False, method='read')

    words, is_word, sentences = read(captions)
    np.testing.assert_array_equal(is_word, [[1, 1, 1, 0, 0], [1] * 5])
    short, _, alone = read(captions[:1, :3])
    np.testing.assert_allclose(alone, sentences[:1], rtol=1e-5)
    np.testing.assert_allclose(short, words[:1, :3], rtol=1e-5)
    np.testing.assert_allclose(sentences[0, :2], words[0, 2, :2], rtol=1e-6)  # the last word read onwards
    np.testing.assert_allclose(sentences[0, 2:], words[0, 0, 2:], rtol=1e-6)  # the first word read backwards
    regions, wholes = matcher.apply(params, images, method='see')
    assert (regions.shape, wholes.shape) == ((2, 16, 4), (2, 4))
