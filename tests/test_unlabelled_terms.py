"""Virtual adversarial training, conditional entropy and pseudo-labels: closed forms, finite differences, the game."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, steps, terms
from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.games.semi_supervised import semi_supervised
from gan_jax.judgement import Judgement
from gan_jax.models.semi_supervised import Discriminator, Generator
from gan_jax.networks import from_flax, pure
from gan_jax.terms import unlabelled as of_unlabelled

BATCH, SIZE, CLASSES = 5, 4, 3
KEY, PLACES = jax.random.key(2), jnp.arange(BATCH)
RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(BATCH, SIZE)), RNG.normal(size=(SIZE, CLASSES))


def directions_of(classify, examples, **options):
    log_p = jax.nn.log_softmax(classify(examples))
    return of_unlabelled.virtual_adversarial_directions(
        classify, examples, log_p, KEY, jnp.arange(len(examples)), **options
    )


def hessians(x, w):
    """Of KL(p(x) || p(x + r)) at r = 0 for the logits x w: w (diag(p) - p p') w', [B, SIZE, SIZE]."""
    p = np.asarray(jax.nn.softmax(x @ w))
    return np.stack([w @ (np.diag(one) - np.outer(one, one)) @ w.T for one in p])


def test_power_iterations_find_the_dominant_eigenvector_of_a_linear_classifiers_divergence():
    with jax.enable_x64(True):
        found = directions_of(lambda x: x @ W, jnp.asarray(X), xi=1e-6, iterations=60)
        wanted = np.linalg.eigh(hessians(X, W))[1][:, :, -1]
        np.testing.assert_allclose(np.abs((found * wanted).sum(1)), 1, rtol=1e-6)


def test_one_power_iteration_is_a_product_with_the_hessian():
    with jax.enable_x64(True):
        first = directions_of(lambda x: x @ W, jnp.asarray(X), iterations=0)
        np.testing.assert_allclose(jnp.linalg.norm(first, axis=1), 1)
        wanted = np.einsum('bij,bj->bi', hessians(X, W), first)
        found = directions_of(lambda x: x @ W, jnp.asarray(X), xi=1e-6)
        np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_two_linear_classes_are_moved_along_their_weights_whatever_xi():
    w = jnp.array([[0.0, 3.0], [0.0, 4.0]])
    x = jnp.asarray(RNG.normal(size=(BATCH, 2)), jnp.float32) / 5
    first = directions_of(lambda x: x @ w, x, iterations=0)
    signs = jnp.sign(first @ w[:, 1])
    np.testing.assert_allclose(directions_of(lambda x: x @ w, x), signs[:, None] * jnp.array([0.6, 0.8]), rtol=1e-4)

    loss = of_unlabelled.virtual_adversarial_loss(lambda x: x @ w, x, KEY, PLACES, epsilon=0.3)
    p, q = (jax.nn.sigmoid(x @ w[:, 1] + move) for move in (0, 0.3 * 5 * signs))
    by_hand = (p * jnp.log(p / q) + (1 - p) * jnp.log((1 - p) / (1 - q))).mean()
    np.testing.assert_allclose(loss, by_hand, rtol=1e-4)


def test_the_gradient_is_that_of_the_moved_examples_with_constant_directions_and_classes():
    with jax.enable_x64(True):
        x, w, options = jnp.asarray(X), jnp.asarray(W), {'epsilon': 0.5, 'xi': 1e-3}
        gradient = jax.grad(
            lambda w: of_unlabelled.virtual_adversarial_loss(lambda x: x @ w, x, KEY, PLACES, **options)
        )(w)
        moved, log_p = x + 0.5 * directions_of(lambda x: x @ w, x, xi=1e-3), jax.nn.log_softmax(x @ w)

        def constant(w):
            return float(of_unlabelled.divergence(log_p, jax.nn.log_softmax(moved @ w)).mean())

        for i, j in np.ndindex(SIZE, CLASSES):
            step = jnp.zeros_like(w).at[i, j].set(1e-5)
            np.testing.assert_allclose((constant(w + step) - constant(w - step)) / 2e-5, gradient[i, j], rtol=1e-6)


def test_an_example_whose_classes_do_not_change_is_not_moved_and_small_gradients_have_a_direction():
    x = jnp.ones((2, 3))
    np.testing.assert_array_equal(directions_of(lambda x: jnp.zeros((2, 2)) + 0 * x[:, :2], x), 0)
    weak = jnp.array([[0.0, 1e-22], [0.0, 0.0], [0.0, 0.0]])  # whose square float32 has not
    found = directions_of(lambda x: x @ weak, x, xi=1e22)
    np.testing.assert_allclose(jnp.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_the_entropy_of_classes_in_closed_form():
    logits = jnp.log(jnp.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.25, 0.125, 0.125]]))
    np.testing.assert_allclose(of_unlabelled.entropy(logits), np.log(2) * np.array([2, 1.75]), rtol=1e-6)
    certain = jnp.array([[1e4, 0.0]])
    assert of_unlabelled.entropy(certain) == 0
    assert jnp.isfinite(jax.grad(lambda x: of_unlabelled.entropy(x).sum())(certain)).all()


def test_pseudo_labels_are_the_most_probable_classes_of_what_is_certain_enough():
    p = jnp.array([[0.2, 0.7, 0.1], [0.4, 0.3, 0.3]])
    value, gradient = jax.value_and_grad(of_unlabelled.pseudo_label_loss)(jnp.log(p))
    np.testing.assert_allclose(value, -(np.log(0.7) + np.log(0.4)) / 2, rtol=1e-6)
    wanted = (p - jnp.array([[0.0, 1, 0], [1, 0, 0]])) / 2
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5)
    value, gradient = jax.value_and_grad(of_unlabelled.pseudo_label_loss)(jnp.log(p), 0.6)
    np.testing.assert_allclose(value, -np.log(0.7) / 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, wanted.at[1].set(0), rtol=1e-5)


def noisy_game(made, discriminator=None):
    generator = from_flax(Generator((SIZE,), widths=(4,)), (2,))
    discriminator = discriminator or from_flax(Discriminator(CLASSES, (6,)), (SIZE,))
    return semi_supervised(generator, discriminator, latents=2, terms=made)


def metrics_of(game):
    sgd = optax.sgd(0.1)
    optimizers = {'generator': sgd, 'discriminator': sgd}
    state = jax.jit(lambda key: steps.init_state(game, optimizers, key))(KEY)
    x = jnp.asarray(X, jnp.float32)
    batch = {'real': x, 'labelled': x, 'labelled_label': jnp.zeros(BATCH, int)}
    turn = game.turn('discriminator')
    loss = jax.jit(lambda params: turn.loss(params, state, batch, KEY, PLACES))
    value, outcome = loss(state.discriminator.params)
    return value, outcome.metrics


def test_the_terms_join_the_discriminators_loss_and_all_passes_have_the_same_noise():
    made = (
        of_unlabelled.virtual_adversarial(2.0, epsilon=1e-3),
        of_unlabelled.conditional_entropy(0.5),
        of_unlabelled.pseudo_labels(3.0),
    )
    bare, _ = metrics_of(noisy_game(terms.NO_TERMS))
    value, metrics = metrics_of(noisy_game(terms.joined(made)))
    names = ('virtual_adversarial', 'conditional_entropy', 'pseudo_labels')
    added = sum(weight * metrics[name] for weight, name in zip((2, 0.5, 3), names, strict=True))
    np.testing.assert_allclose(value, bare + added, rtol=1e-5)
    assert 0.1 < metrics['conditional_entropy'] <= np.log(CLASSES)
    assert 0 < metrics['pseudo_labels'] <= metrics['conditional_entropy'] + 1e-6
    assert metrics['virtual_adversarial'] < 1e-5  # with other noise it would be as large as the entropy


def test_a_config_names_their_weights():
    changes = {
        'game.virtual_adversarial_weight': '1.0',
        'game.entropy_weight': '1.0',
        'game.pseudo_label_weight': '0.0',
        'schedules': repr(('game.pseudo_label_weight: linear to 3 in 2 steps',)),
    }
    config = configs.load('semi_supervised:debug', changes)
    found = build.step_metrics(config, (8, 8, 1), 10, {'labelled': (8, 8, 1)})
    wanted = {f'discriminator/{name}' for name in ('virtual_adversarial', 'conditional_entropy', 'pseudo_labels')}
    assert wanted <= set(found)


def test_what_is_refused():
    for make in (of_unlabelled.virtual_adversarial, of_unlabelled.conditional_entropy, of_unlabelled.pseudo_labels):
        assert make() == terms.NO_TERMS
        with pytest.raises(UserError, match=r'The weight of \w+ is -1; it must be at least 0'):
            make(-1)
    with pytest.raises(UserError, match='The number of power iterations is 0; it must be at least 1'):
        of_unlabelled.virtual_adversarial(1.0, iterations=0)
    game = noisy_game(terms.NO_TERMS, pure(lambda key: jnp.ones(()), lambda w, x: x.sum(1) * w))
    with pytest.raises(UserError, match='needs class logits in the Judgement'):
        metrics_of(game)
    (term,) = of_unlabelled.conditional_entropy(1.0).discriminator
    with pytest.raises(UserError, match='Terms of unlabelled examples need class logits'):
        term.value(
            terms.View(**dict.fromkeys(terms.View.__dataclass_fields__) | {'discriminate_real': judged_without}), None
        )


def judged_without():
    return Judgement(jnp.zeros(BATCH))
