"""Clipped sums and their noise: the sensitivity that privacy rests on, in closed form and by leaving examples out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.clipping import clipped_sum, noisy, with_gradient
from gan_jax.errors import UserError

BATCH, CLIP = 16, 0.7


def gradient(example):
    """Gradients in two arrays, whose joint norms are from far below to far above the clip."""
    x, y = example['x'], example['y']
    return {'w': x * y, 'b': x[:1] / 10}, {'loss': y}


def batch(seed):
    rng = np.random.default_rng(seed)
    examples = {'x': rng.normal(size=(BATCH, 5)), 'y': 10.0 ** rng.uniform(-3, 3, BATCH)}
    return jax.tree.map(jnp.float32, examples), rng.random(BATCH) < 0.7


@jax.jit
def summed(examples, included):
    return clipped_sum(gradient, examples, included, clip=CLIP, microbatch=4)


def norm(tree):
    return np.sqrt(sum(np.square(np.float64(leaf)).sum() for leaf in jax.tree.leaves(tree)))


def test_the_sum_is_that_of_clipped_gradients():
    examples, included = batch(0)
    total, metrics = summed(examples, included)
    wanted, norms = {'w': np.zeros(5), 'b': np.zeros(1)}, []
    for i in np.flatnonzero(included):
        one, _ = gradient(jax.tree.map(lambda leaf: np.float64(leaf[i]), examples))  # noqa: B023
        norms.append(norm(one))
        wanted = jax.tree.map(lambda sum, more: sum + more * min(1, CLIP / norms[-1]), wanted, one)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=0, atol=2e-4), total, wanted)
    assert 0 < metrics['clipped'] < 1
    found = [float(metrics[name]) for name in ('examples', 'clipped', 'example_norm', 'loss')]
    means = [
        included.sum(),
        np.mean(np.array(norms) > CLIP),
        np.mean(norms),
        np.asarray(examples['y'])[included].mean(),
    ]
    np.testing.assert_allclose(found, means, rtol=1e-5)


@pytest.mark.parametrize('seed', range(5))
def test_one_example_changes_the_sum_by_at_most_the_clip(seed):
    examples, included = batch(seed)
    total, _ = summed(examples, included)
    changes = []
    for i in range(BATCH):
        without, _ = summed(examples, included & (np.arange(BATCH) != i))
        changes.append(norm(jax.tree.map(lambda one, other: np.float64(one) - other, total, without)))
    assert max(changes) <= CLIP
    assert max(changes) > 0.999 * CLIP  # which large examples reach
    assert not np.any(np.array(changes)[~included])


def test_padding_does_not_change_a_bit():
    examples, included = batch(1)
    other = jax.tree.map(lambda leaf: jnp.where(included.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, 1e3), examples)
    jax.tree.map(np.testing.assert_array_equal, summed(examples, included), summed(other, included))
    nothing, metrics = summed(examples, np.zeros(BATCH, bool))
    assert norm(nothing) == metrics['examples'] == metrics['loss'] == 0


def test_the_noise_has_the_stated_deviation_and_is_independent():
    zeros = {'a': jnp.zeros((200, 300)), 'b': jnp.zeros((60_000,))}
    first, second = (noisy(zeros, jax.random.key(seed), 2.5) for seed in (0, 1))
    drawn = [np.ravel(tree[name]) for tree in (first, second) for name in ('a', 'b')]
    for one in drawn:
        assert one.std() == pytest.approx(2.5, rel=0.015)  # five standard errors
        assert one.mean() == pytest.approx(0, abs=0.05)
    correlations = np.corrcoef(drawn) - np.eye(4)
    assert np.abs(correlations).max() < 0.02
    moved = noisy({'a': jnp.full(3, 7.0)}, jax.random.key(0), 0.0)
    np.testing.assert_array_equal(moved['a'], [7, 7, 7])


def test_a_value_gets_a_given_gradient():
    params, given = {'a': jnp.arange(3.0), 'b': jnp.ones(2)}, {'a': jnp.array([1.0, -2, 5]), 'b': jnp.array([0.5, 9])}
    value, found = jax.value_and_grad(lambda params: with_gradient(params['a'].sum() ** 2, params, given))(params)
    assert value == 9
    jax.tree.map(np.testing.assert_array_equal, found, given)


def test_a_microbatch_divides_the_batch():
    examples, included = batch(0)
    with pytest.raises(UserError, match=r'game\.microbatch=3 does not divide the 16 examples'):
        clipped_sum(gradient, examples, included, clip=CLIP, microbatch=3)
