"""Contrastive conditioning against loops, by hand, and in its place in the game."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.models import dcgan
from gan_jax.terms import classes as class_terms
from gan_jax.terms import total
from gan_jax.terms.classes import conditional_contrastive, data_to_data_cross_entropy
from tests.test_terms import view_of

LABELS = np.array([0, 1, 1, 2, 0, 1], np.int32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def draw(seed, classes=3, size=4):
    """Unit vectors of the labelled examples and of their classes."""
    random = np.random.default_rng(seed)
    return unit(random.normal(size=(len(LABELS), size))), unit(random.normal(size=(classes, size)))[LABELS]


def contrastive_by_loops(embeddings, proxies, temperature):
    losses = []
    for i, label in enumerate(LABELS):
        own = np.exp(embeddings[i] @ proxies[i] / temperature)
        others = {k: np.exp(embeddings[i] @ embeddings[k] / temperature) for k in range(len(LABELS)) if k != i}
        same = sum(value for k, value in others.items() if LABELS[k] == label)
        losses.append(-np.log((own + same) / (own + sum(others.values()))))
    return np.mean(losses)


def data_to_data_by_loops(embeddings, proxies, temperature, margin):
    losses = []
    for i, label in enumerate(LABELS):
        own = np.exp(min(embeddings[i] @ proxies[i] - margin, 0) / temperature)
        others = [k for k in range(len(LABELS)) if LABELS[k] != label]
        pushed = sum(np.exp(max(embeddings[i] @ embeddings[k] - (1 - margin), 0) / temperature) for k in others)
        losses.append(-np.log(own / (own + pushed)))
    return np.mean(losses)


@pytest.mark.parametrize('temperature', [1.0, 0.1])
def test_losses_are_those_of_loops_over_all_pairs(temperature):
    embeddings, proxies = draw(0)
    ours = conditional_contrastive(jnp.asarray(embeddings), jnp.asarray(proxies), LABELS, temperature)
    np.testing.assert_allclose(ours, contrastive_by_loops(embeddings, proxies, temperature), rtol=1e-5)
    ours = data_to_data_cross_entropy(jnp.asarray(embeddings), jnp.asarray(proxies), LABELS, temperature, 0.7)
    np.testing.assert_allclose(ours, data_to_data_by_loops(embeddings, proxies, temperature, 0.7), rtol=1e-5)


def test_losses_by_hand():
    axes = jnp.eye(2)
    # Each example is its class's vector, and the other is perpendicular to it.
    np.testing.assert_allclose(conditional_contrastive(axes, axes, jnp.array([0, 1])), np.log1p(np.exp(-1)), rtol=1e-6)
    np.testing.assert_allclose(conditional_contrastive(axes, axes, jnp.array([0, 0])), 0.0, atol=1e-7)
    np.testing.assert_allclose(data_to_data_cross_entropy(axes, axes, jnp.array([0, 1])), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(data_to_data_cross_entropy(axes, axes, jnp.array([0, 0])), 0.0, atol=1e-7)
    # Opposite to its class by 1.5 beyond the margin, and 0.5 beyond what another class may be.
    one, other = jnp.array([[1.0, 0.0]]), jnp.array([[0.75, 0.6614378]])
    loss = data_to_data_cross_entropy(
        jnp.concatenate([one, other]), -jnp.concatenate([one, other]), jnp.array([0, 1]), 1.0, 0.75
    )
    np.testing.assert_allclose(loss, np.log(np.exp(-1.75) + np.exp(0.5)) + 1.75, rtol=1e-5)


def test_what_is_within_the_margins_has_no_gradient():
    axes = jnp.eye(2)
    gradient = jax.grad(data_to_data_cross_entropy)(0.99 * axes, axes, jnp.array([0, 1]))
    np.testing.assert_array_equal(gradient, 0)
    assert np.abs(jax.grad(data_to_data_cross_entropy)(0.9 * axes, axes, jnp.array([0, 1]))).max() > 0.1


@pytest.mark.parametrize(
    ('make', 'loss'),
    [
        (class_terms.contrastive, conditional_contrastive),
        (class_terms.data_to_data, data_to_data_cross_entropy),
    ],
)
def test_the_discriminator_learns_from_real_examples_and_the_generator_from_its_own(make, loss):
    (real, real_proxies), (fake, fake_proxies) = ([jnp.asarray(part) for part in draw(seed)] for seed in (1, 2))
    others = jnp.asarray(LABELS[::-1].copy())
    view = view_of(
        'discriminator',
        discriminate_real=lambda: Judgement(jnp.zeros(6), embeddings=real, proxies=real_proxies),
        fake_judgement=Judgement(jnp.zeros(6), embeddings=fake, proxies=fake_proxies),
        condition=jnp.asarray(LABELS),
        fake_condition=others,
    )
    made = make(weight=2.0)
    np.testing.assert_allclose(total(made.discriminator, view, {})[0], 2 * loss(real, real_proxies, LABELS), rtol=1e-6)
    np.testing.assert_allclose(total(made.generator, view, {})[0], 2 * loss(fake, fake_proxies, others), rtol=1e-6)


def test_devices_compare_the_whole_batch():
    (term,), _ = class_terms.contrastive()
    embeddings, proxies = (jnp.asarray(part).reshape(3, 2, -1) for part in draw(3))

    def value(embeddings, proxies, labels):
        judged = Judgement(jnp.zeros(2), embeddings=embeddings, proxies=proxies)
        view = view_of('generator', fake_judgement=judged, fake_condition=labels, axis_name='devices')
        return term.value(view, None)[0]

    values = jax.vmap(value, axis_name='devices')(embeddings, proxies, jnp.asarray(LABELS).reshape(3, 2))
    whole = conditional_contrastive(*(part.reshape(6, -1) for part in (embeddings, proxies)), LABELS)
    np.testing.assert_allclose(values, np.full(3, whole), rtol=1e-6)


def test_what_has_no_vectors_or_no_labels_is_refused():
    (term,) = class_terms.data_to_data().generator
    bare = view_of('generator', fake_judgement=Judgement(jnp.zeros(6)), fake_condition=jnp.asarray(LABELS))
    with pytest.raises(UserError, match=r'embeddings and proxies .*discriminator.conditioning=data_to_data'):
        term.value(bare, None)


@pytest.mark.parametrize('conditioning', ['contrastive', 'data_to_data'])
def test_a_discriminator_has_unit_vectors_of_examples_and_classes(conditioning):
    module = dcgan.Discriminator(num_classes=3, conditioning=conditioning, width=4, contrast_width=5)
    images, labels = jax.random.normal(jax.random.key(0), (3, 8, 8, 1)), jnp.array([1, 0, 1])
    judged, _ = jax.jit(functools.partial(module.init_with_output, train=False))(jax.random.key(1), images, labels)
    for vectors in (judged.embeddings, judged.proxies):
        np.testing.assert_allclose((vectors**2).sum(-1), np.ones(3), rtol=1e-5)
    np.testing.assert_array_equal(judged.proxies[0], judged.proxies[2])
    assert not np.allclose(judged.proxies[0], judged.proxies[1])

    config = configs.base('dcgan')
    config.discriminator.conditioning = conditioning
    assert [[term.name for term in terms] for terms in configs.make_terms(config)] == [[conditioning]] * 2
