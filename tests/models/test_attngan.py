"""AttnGAN's networks: published sizes, attention against loops, branches, and what each of them sees."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.text_to_image import Judge, layers_of
from gan_jax.models.attngan import Discriminator, Generator, attend
from gan_jax.readers import Text

IS_WORD = jnp.arange(5) < jnp.array([5, 2, 4, 1])[:, None]
TEXT = Text(jax.random.normal(jax.random.key(1), (4, 6)), jax.random.normal(jax.random.key(2), (4, 5, 6)), IS_WORD)
LATENTS = jax.random.normal(jax.random.key(0), (4, 8))
IMAGES = jax.random.normal(jax.random.key(3), (4, 16, 16, 3))


def count(module, *inputs):
    made = jax.eval_shape(lambda key: module.init(key, *inputs, train=True), jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(made['params']))


def test_parameter_counts_of_the_authors_layers():
    text = Text(jnp.zeros((1, 256)), jnp.zeros((1, 18, 256)), jnp.ones((1, 18), bool))
    assert count(Generator((256, 256, 3)), jnp.zeros((1, 200)), text) == 7_084_592
    assert count(Generator((256, 256, 3), width=48, depth=3), jnp.zeros((1, 200)), text) == 13_811_456
    images = jnp.zeros((1, 256, 256, 3))
    assert count(Discriminator(), images, text) == 6_313_730 + 19_424_002 + 71_858_946
    assert count(Discriminator(branches=1), images[:, ::4, ::4], text) == 6_313_730


def test_pixels_attend_to_the_words_of_their_own_text_up_to_its_end():
    rng = np.random.default_rng(0)
    pixels, words = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 2, 3, 6), (4, 5, 6)))
    contexts, weights = jax.jit(attend)(pixels, words, IS_WORD)
    for place in np.ndindex(4, 2, 3):
        own = words[place[0]][np.asarray(IS_WORD[place[0]])]
        shares = np.exp(own @ pixels[place])
        shares /= shares.sum()
        np.testing.assert_allclose(weights[place][: len(own)], shares, rtol=1e-4)
        assert not weights[place][len(own) :].any()
        np.testing.assert_allclose(contexts[place], shares @ own, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope='module')
def generated():
    module = Generator((16, 16, 3), branches=2, width=2, depth=1, codes=3)
    variables = jax.jit(lambda key: module.init(key, LATENTS, TEXT, train=False))(jax.random.key(4))

    @jax.jit
    def generate(text):
        images = module.apply(variables, LATENTS, text, method='all_images')
        weights = module.apply(variables, LATENTS, text, method='attention')
        in_training, _ = module.apply(variables, LATENTS, text, train=True, mutable=['batch_stats'])
        return images, module.apply(variables, LATENTS, text, train=False), weights, in_training

    return generate


def test_training_shows_all_branches_and_sampling_the_last(generated):
    (small, large), sampled, weights, in_training = generated(TEXT)
    assert (small.shape, large.shape) == ((4, 8, 8, 3), (4, 16, 16, 3))
    np.testing.assert_array_equal(sampled, large)
    assert in_training.shape == (4, 2, 16, 16, 3)
    np.testing.assert_array_equal(in_training[:, 0], in_training[:, 0, ::2, ::2].repeat(2, 1).repeat(2, 2))
    np.testing.assert_allclose(weights.sum(-1), np.ones((4, 8, 8)), rtol=1e-5)


def test_words_change_the_later_images_and_padding_none(generated):
    (small, large), *_ = generated(TEXT)
    behind = TEXT._replace(words=jnp.where(IS_WORD[..., None], TEXT.words, 7.0))
    np.testing.assert_array_equal(generated(behind)[0][1], large)
    (same, other), *_ = generated(TEXT._replace(words=-TEXT.words))
    np.testing.assert_array_equal(same, small)
    assert not np.allclose(other, large)
    assert not np.allclose(generated(TEXT._replace(sentence=-TEXT.sentence))[0][0], small)


def test_each_branch_is_judged_at_its_own_size_and_the_real_image_at_all():
    module = Discriminator(branches=2, width=2, normalization='none')
    variables = jax.jit(lambda key: module.init(key, IMAGES, TEXT, train=True))(jax.random.key(5))
    reduced = IMAGES.reshape(4, 8, 2, 8, 2, 3).mean((2, 4))
    stacked = jnp.stack([reduced.repeat(2, 1).repeat(2, 2), jnp.zeros_like(IMAGES)], axis=1)

    @jax.jit
    def judge(sentence):
        alone = Judge(2, 0, True, layers_of(module))
        each = [
            alone.apply({'params': variables['params'][f'branch{branch}']}, images, sentence, train=True)
            for branch, images in enumerate((reduced, IMAGES))
        ]
        text = TEXT._replace(sentence=sentence)
        return each, *(module.apply(variables, images, text, train=True) for images in (IMAGES, stacked))

    each, real, fake = judge(TEXT.sentence)
    np.testing.assert_allclose(real.logits, jnp.concatenate([one.logits for one in each], axis=-1), rtol=1e-5)
    np.testing.assert_allclose(fake.logits[:, :2], real.logits[:, :2], rtol=1e-4)
    assert not np.allclose(fake.logits[:, 2:], real.logits[:, 2:])
    _, others, _ = judge(jnp.roll(TEXT.sentence, -1, axis=0))
    np.testing.assert_allclose(real.features['wrong'], others.logits[:, ::2], rtol=1e-5)
    np.testing.assert_allclose(real.logits[:, 1::2], others.logits[:, 1::2], rtol=1e-6)


def test_branches_need_images_of_their_size():
    with pytest.raises(UserError, match='branches is 3; it must be at most 2, for images of 16 pixels'):
        Discriminator(width=2).init(jax.random.key(0), IMAGES, TEXT, train=False)
