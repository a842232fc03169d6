"""Conditions: classes and vectors through embeddings, planes and normalisations, and through both families."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.conditioning import Embedding, as_vectors, planes
from gan_jax.layers.networks import dense_logits
from gan_jax.layers.spectral import SpectralNormalization
from gan_jax.models import dcgan, mlp

TABLE = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
LABELS = jnp.array([2, 0, 2, 1])
ONE_HOT = jnp.eye(3)[LABELS]


def test_an_embedding_by_class_by_vector_and_between_classes():
    module, variables = Embedding(3, 5), {'params': {'table': TABLE}}
    np.testing.assert_array_equal(module.apply(variables, LABELS), TABLE[[2, 0, 2, 1]])
    np.testing.assert_array_equal(module.apply(variables, ONE_HOT), TABLE[[2, 0, 2, 1]])
    vectors = jnp.array([[0.25, 0.75, 0.0], [1.0, 0.0, 1.0]])  # between two classes, and two classes at once
    wanted = [0.25 * TABLE[0] + 0.75 * TABLE[1], TABLE[0] + TABLE[2]]
    np.testing.assert_allclose(module.apply(variables, vectors), wanted, rtol=1e-6)


def test_a_spectrally_normalised_embedding():
    module = Embedding(3, 5, spectral_iterations=100)
    variables = {**module.init(jax.random.key(0), LABELS), 'params': {'table': TABLE}}
    largest = np.linalg.svd(TABLE, compute_uv=False)[0]
    np.testing.assert_allclose(module.apply(variables, LABELS), TABLE[[2, 0, 2, 1]] / largest, rtol=1e-4)


def test_vectors_and_planes_by_hand():
    np.testing.assert_array_equal(as_vectors(LABELS, 3), ONE_HOT)
    np.testing.assert_array_equal(as_vectors(ONE_HOT, 3), ONE_HOT)
    images = jnp.full((1, 1, 2, 1), 9.0)
    np.testing.assert_array_equal(planes(images, jnp.array([[0.5, 2.0]])), [[[[9.0, 0.5, 2.0], [9.0, 0.5, 2.0]]]])
    np.testing.assert_array_equal(planes(jnp.array([[9.0, 8.0]]), jnp.array([[0.5]])), [[9.0, 8.0, 0.5]])


@pytest.mark.parametrize(
    ('condition', 'what'),
    [(jnp.ones((2, 4)), 'float32 of shape (2, 4)'), (jnp.ones(2), 'float32 of shape (2,)')],
    ids=str,
)
def test_an_impossible_condition_is_refused(condition, what):
    with pytest.raises(UserError) as error:
        as_vectors(condition, 3)
    assert str(error.value) == f'The condition is {what}; give whole numbers [B] below 3, or vectors [B, 3].'


IMAGES = np.random.default_rng(1).uniform(-1, 1, size=(4, 8, 8, 1)).astype(np.float32)
LATENTS = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)


def pair(family, player, **options):
    """A small network of the family, its inputs, and its parameters, none of them zero."""
    options = {'num_classes': 3, 'embedding_size': 5} | options
    options |= {'widths': (8, 4)} if family is mlp else {'width': 4}
    module = family.Generator((8, 8, 1), **options) if player == 'generator' else family.Discriminator(**options)
    inputs = LATENTS if player == 'generator' else IMAGES

    def init(key):
        variables = module.init(key, inputs, LABELS, train=False)
        shift = 0.1 * np.random.default_rng(3).normal(size=1000).astype(np.float32)
        params = jax.tree.map(lambda leaf: leaf + jnp.resize(shift, leaf.shape), variables['params'])
        return {**variables, 'params': params}

    return module, inputs, jax.jit(init)(jax.random.key(0))


CONDITIONED = [
    *((family, 'generator', name) for family in (mlp, dcgan) for name in ('concatenate', 'normalization')),
    *((family, 'discriminator', name) for family in (mlp, dcgan) for name in ('concatenate', 'planes', 'projection')),
]


@pytest.mark.parametrize(('family', 'player', 'conditioning'), CONDITIONED)
def test_networks_follow_the_condition(family, player, conditioning):
    normalization = 'layer' if conditioning == 'normalization' else 'none'
    module, inputs, variables = pair(family, player, conditioning=conditioning, normalization=normalization)

    @jax.jit
    def outputs(condition):
        outputs = module.apply(variables, inputs, condition, train=False)
        return getattr(outputs, 'logits', outputs)

    by_class = outputs(LABELS)
    np.testing.assert_allclose(outputs(ONE_HOT), by_class, rtol=1e-5, atol=1e-6)
    changed = outputs(LABELS.at[1].set(2))
    np.testing.assert_array_equal(changed[np.array([0, 2, 3])], by_class[np.array([0, 2, 3])])
    assert not np.allclose(changed[1], by_class[1], rtol=1e-4)


@pytest.mark.parametrize('family', [mlp, dcgan])
def test_projection_is_the_embedding_times_the_summed_features(family):
    module, images, variables = pair(family, 'discriminator', conditioning='projection')
    plain = {name: leaf for name, leaf in variables['params'].items() if name != 'Embedding_0'}
    unconditional = module.clone(conditioning='none').apply({**variables, 'params': plain}, images, train=False)
    judged = module.apply(variables, images, LABELS, train=False)
    name = 'layer1' if family is mlp else 'stage0'
    assert list(judged.features)[-1] == name
    summed = judged.features[name].reshape(4, -1, 4).sum(1)
    table = variables['params']['Embedding_0']['table']
    wanted = unconditional.logits + np.einsum('bc,bc->b', table[LABELS], summed)
    np.testing.assert_allclose(judged.logits, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('slicing', [False, True])
@pytest.mark.parametrize('family', [mlp, dcgan])
def test_the_logit_of_the_label_is_that_of_its_column(family, slicing):
    module, images, variables = pair(family, 'discriminator', conditioning='label_logits', slicing=slicing)
    judged = module.apply(variables, images, LABELS, train=False)
    np.testing.assert_allclose(module.apply(variables, images, ONE_HOT, train=False).logits, judged.logits, rtol=1e-6)
    last, label = list(judged.features.values())[-1].reshape(4, -1), np.asarray(LABELS)
    if slicing:
        every = last @ variables['params']['direction']
    else:
        (layer,) = (layer for layer in variables['params'].values() if layer['kernel'].shape[-1] == 3)
        every = last @ layer['kernel'] + layer['bias']
    np.testing.assert_allclose(judged.logits, every[np.arange(4), label], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('family', [mlp, dcgan])
def test_auxiliary_classes_need_no_condition(family):
    module, images, variables = pair(family, 'discriminator', conditioning='auxiliary')
    judged = module.apply(variables, images, train=False)
    layer = variables['params']['classes']
    last = list(judged.features.values())[-1].reshape(4, -1)
    np.testing.assert_allclose(judged.classes, last @ layer['kernel'] + layer['bias'], rtol=1e-4, atol=1e-6)
    assert judged.classes.shape == (4, 3)
    np.testing.assert_array_equal(judged.logits, module.apply(variables, images, LABELS, train=False).logits)


@pytest.mark.parametrize(
    ('conditioning', 'added'),
    [
        ('concatenate', 3 * 5 + (64 + 1) * 7 + (7 + 5 + 1) * 7 + (7 + 1) - (64 + 1)),  # table, two layers, another last
        ('planes', 4 * 4 * 3 * 4),  # the first kernel 4x4, for 3 more channels
        ('projection', 3 * 4),
        ('auxiliary', 4 * 4 * 4 * 3 + 3),
    ],
)
def test_parameter_counts_of_the_discriminator(conditioning, added):
    def count(conditioning):
        module = dcgan.Discriminator(width=4, num_classes=3, embedding_size=5, joint_width=7, conditioning=conditioning)
        shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), IMAGES, LABELS, train=False))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes['params']))

    assert count(conditioning) - count('none') == added


def test_spectral_normalisation_reaches_the_embedding_and_the_classes():
    for conditioning, name in (('projection', 'Embedding_0'), ('auxiliary', 'classes')):
        module = dcgan.Discriminator(width=4, num_classes=3, conditioning=conditioning, normalization='spectral')
        shapes = jax.eval_shape(lambda module=module: module.init(jax.random.key(0), IMAGES, LABELS, train=False))
        assert set(shapes['spectral']) == {'Conv_0', 'Dense_0', name}


def test_many_spectral_iterations_beside_batch_normalisation():
    images = np.ones((2, 16, 16, 1), np.float32)
    module = dcgan.Discriminator(width=4, initializer='he', normalization='batch', spectral_iterations=100)

    @jax.jit
    def normalised(key):
        variables = module.init(key, images, train=False)
        _, caught = module.apply(
            variables,
            images,
            train=False,
            mutable=['intermediates'],
            capture_intermediates=lambda layer, _: isinstance(layer, SpectralNormalization),
        )
        return variables, caught['intermediates']

    variables, kernels = normalised(jax.random.key(0))
    assert set(variables) == {'params', 'batch_stats', 'spectral'}
    assert set(kernels) == {'Conv_0', 'Conv_1', 'Dense_0'}
    for name in kernels:
        (kernel,) = kernels[name]['normalization']['__call__']
        before, after = (
            np.linalg.svd(np.reshape(k, (-1, k.shape[-1])), compute_uv=False)[0]
            for k in (variables['params'][name]['kernel'], kernel)
        )
        assert abs(before - 1.0) > 0.1
        np.testing.assert_allclose(after, 1.0, rtol=1e-4)


REFUSED = "generator.conditioning is 'concatenate', but "


@pytest.mark.parametrize(
    ('options', 'condition', 'sentence'),
    [
        ({'num_classes': None}, LABELS, f"{REFUSED}num_classes is None: choose data with labels, or set the "
         "conditioning to 'none'."),
        ({}, None, f"{REFUSED}the network got no condition: pass one, or set the conditioning to 'none'."),
        ({'embedding_size': 0}, LABELS, 'generator.embedding_size is 0; it must be a whole number of at least 1.'),
        ({'spectral_iterations': -1}, LABELS, 'spectral_iterations is -1; it must be 0 or more.'),
        (
            {'conditioning': 'planes'},
            LABELS,
            "There is no conditioning 'planes': did you mean 'none'? Choose from none, concatenate, normalization.",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_impossible_options_are_answered(options, condition, sentence):
    module = mlp.Generator((2,), **{'num_classes': 3, 'conditioning': 'concatenate'} | options)
    with pytest.raises(UserError) as error:
        jax.eval_shape(lambda: module.init(jax.random.key(0), LATENTS, condition, train=False))
    assert str(error.value) == sentence


@pytest.mark.parametrize('options', [{'conditioning': 'concatenate'}, {'minibatch': 'discrimination'}], ids=str)
def test_a_final_convolution_needs_images(options):
    module = dcgan.Discriminator(width=4, num_classes=3, final='convolution', **options)
    with pytest.raises(UserError) as error:
        jax.eval_shape(lambda: module.init(jax.random.key(0), IMAGES, LABELS, train=False))
    assert str(error.value) == (
        "The final layer 'convolution' needs images, but the last features are flat after minibatch "
        "discrimination or a concatenated condition: choose 'dense'."
    )
    assert dcgan.FINAL_LAYERS['dense'] is dense_logits
