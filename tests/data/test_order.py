"""The order of the examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import batch_indices, poisson_sample
from gan_jax.data.order import _divmod_product


def epochs(seed, first, count, num_examples):
    """The orders of consecutive epochs, [count, num_examples], by batches of one epoch each."""
    numbers = np.arange(first, first + count)[:, None]
    positions = np.arange(num_examples)
    return batch_indices(seed, numbers, positions, batch_size=num_examples, num_examples=num_examples)


@pytest.mark.parametrize('num_examples', [1, 2, 3, 7, 100, 1797, 60000])
def test_every_epoch_visits_every_example_exactly_once(num_examples):
    for order in epochs(5, 0, 3, num_examples):
        np.testing.assert_array_equal(np.sort(order), np.arange(num_examples))


def test_order_differs_between_epochs_and_between_seeds():
    first, second = epochs(0, 0, 2, 1797)
    [other_seed] = epochs(1, 0, 1, 1797)
    # Two independent random orders agree in about one place.
    assert (first == second).sum() <= 6
    assert (first == other_seed).sum() <= 6
    assert (first == np.arange(1797)).sum() <= 6


def test_batches_are_cut_from_the_epochs_laid_end_to_end():
    batches = batch_indices(3, np.arange(14)[:, None], np.arange(5), batch_size=5, num_examples=7)
    np.testing.assert_array_equal(batches.reshape(10, 7), epochs(3, 0, 10, 7))


def test_batch_larger_than_the_data_set_spans_several_epochs():
    batch = batch_indices(3, 1, np.arange(20), batch_size=20, num_examples=7)
    np.testing.assert_array_equal(batch, epochs(3, 0, 6, 7).ravel()[20:40])


def test_some_positions_give_that_part_of_the_batch():
    whole = batch_indices(0, 9, np.arange(64), batch_size=64, num_examples=1797)
    part = batch_indices(0, 9, np.array([[3, 60], [5, 5]]), batch_size=64, num_examples=1797)
    np.testing.assert_array_equal(part, whole[[[3, 60], [5, 5]]])
    assert part.dtype == np.uint32


def test_ten_thousand_batches_cover_every_example_equally():
    indices = batch_indices(7, np.arange(10_000)[:, None], np.arange(64), batch_size=64, num_examples=100)
    np.testing.assert_array_equal(np.bincount(indices.ravel(), minlength=100), 6400)


@pytest.mark.parametrize(('batch_size', 'num_examples'), [(64, 60000), (64, 7), (5, 1797), (1, 1), (2**27, 2**27)])
def test_device_and_host_agree_to_the_bit(batch_size, num_examples):
    positions = np.arange(min(batch_size, 64))
    arguments = {'batch_size': batch_size, 'num_examples': num_examples}
    compiled = jax.jit(lambda seed, k: batch_indices(seed, k, jnp.asarray(positions), **arguments))
    for k in (0, 1, 937, 2**31 - 1):
        host = batch_indices(2**31 + 17, k, positions, **arguments)
        device = compiled(jnp.uint32(2**31 + 17), jnp.int32(k))
        np.testing.assert_array_equal(host, device)
        assert host.dtype == device.dtype == np.uint32
        assert host.max() < num_examples


def test_inside_a_scan_and_a_vmap_over_seeds():
    def one(seed, k):
        return batch_indices(seed, k, np.arange(4), batch_size=4, num_examples=10)

    _, scanned = jax.lax.scan(lambda carry, k: (carry, one(3, k)), None, jnp.arange(6))
    mapped = jax.vmap(one, (0, None))(jnp.arange(5, dtype=jnp.uint32), 2)
    np.testing.assert_array_equal(scanned, [one(3, k) for k in range(6)])
    np.testing.assert_array_equal(mapped, [one(seed, 2) for seed in range(5)])


def test_only_the_low_32_bits_of_the_seed_count():
    np.testing.assert_array_equal(epochs(2**32 + 5, 0, 1, 50), epochs(5, 0, 1, 50))
    np.testing.assert_array_equal(epochs(-1, 0, 1, 50), epochs(2**32 - 1, 0, 1, 50))


def test_division_of_products_beyond_32_bits():
    rng = np.random.default_rng(0)
    for constant, divisor in [(2**27, 2**27), (2**27, 2**27 - 1), (64, 60000), (2**27 - 3, 12345), (3, 2**27), (1, 1)]:
        factors = np.append(rng.integers(0, 2**32, 200), [0, 1, 2**32 - 1])
        quotient, remainder = _divmod_product(factors.astype(np.uint32), constant, divisor)
        expected = [divmod(int(factor) * constant, divisor) for factor in factors]
        np.testing.assert_array_equal(quotient, [q % 2**32 for q, _ in expected])
        np.testing.assert_array_equal(remainder, [r for _, r in expected])


def orders_over_seeds(num_examples, num_seeds):
    seeds = np.arange(num_seeds, dtype=np.uint32)[:, None]
    return batch_indices(seeds, 0, np.arange(num_examples), batch_size=num_examples, num_examples=num_examples)


def test_all_permutations_of_four_are_equally_likely_over_seeds_and_over_epochs():
    for orders in (orders_over_seeds(4, 24_000), epochs(7, 0, 24_000, 4)):
        _, counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)
        assert len(counts) == 24
        assert ((counts - 1000) ** 2 / 1000).sum() < 49.7  # chi-square with 23 degrees of freedom, p = 0.001


def test_every_example_is_equally_likely_at_every_position():
    orders = orders_over_seeds(37, 20_000)
    counts = np.stack([np.bincount(column, minlength=37) for column in orders.T])
    expected = 20_000 / 37
    statistic = ((counts - expected) ** 2 / expected).sum()
    # Rows and columns add up: 36^2 degrees of freedom, of standard deviation sqrt(2) 36.
    assert abs(statistic - 36**2) < 4 * np.sqrt(2) * 36


def test_no_excess_of_fixed_points_or_of_neighbours_that_stay_together():
    orders = orders_over_seeds(1797, 400).astype(int)
    fixed = (orders == np.arange(1797)).sum()
    together = (np.diff(orders, axis=1) == 1).sum()
    # In random orders both counts are Poisson with mean 1 an order, so of standard deviation 20 over 400.
    assert abs(fixed - 400) < 80
    assert abs(together - 400) < 80


@pytest.mark.parametrize('name', ['batch_size', 'num_examples'])
@pytest.mark.parametrize('value', [0, 2**27 + 1])
def test_out_of_range(name, value):
    with pytest.raises(ValueError, match=f'{name} must be from 1 to 2\\^27, not {value}.'):
        batch_indices(0, 0, np.arange(4), **{'batch_size': 4, 'num_examples': 4, name: value})


def test_poisson_samples_are_independent_draws_of_every_example():
    rate, count, most = 0.3, 50, 40
    keys = jax.random.split(jax.random.key(0), 2000)
    indices, drawn = jax.vmap(lambda key: poisson_sample(key, rate, num_examples=count, most=most))(keys)
    assert indices.shape == drawn.shape == (2000, most)
    present = np.zeros((2000, count), bool)
    for row, places, is_drawn in zip(present, np.asarray(indices), np.asarray(drawn), strict=True):
        assert (np.diff(places[is_drawn]) > 0).all()
        assert not places[~is_drawn].any()
        row[places[is_drawn]] = True
    sizes = present.sum(1)
    np.testing.assert_array_equal(sizes, drawn.sum(1))
    assert sizes.mean() == pytest.approx(rate * count, abs=4 * (rate * 0.7 * count / 2000) ** 0.5)
    assert sizes.var() == pytest.approx(rate * 0.7 * count, rel=0.15)  # of a binomial distribution
    np.testing.assert_allclose(present.mean(0), rate, atol=5 * (rate * 0.7 / 2000) ** 0.5)
    assert np.abs(np.corrcoef(present.T) - np.eye(count)).max() < 0.12  # of 1,225 pairs


def test_poisson_samples_without_a_place_are_left_out():
    indices, drawn = poisson_sample(jax.random.key(0), 1.0, num_examples=9, most=4)
    assert indices.tolist() == [0, 1, 2, 3]
    assert drawn.all()
    indices, drawn = poisson_sample(jax.random.key(0), 0.0, num_examples=9, most=4)
    assert not drawn.any()
