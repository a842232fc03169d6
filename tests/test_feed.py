"""Batches of several parts of the data, resident and streamed, and what cannot be fed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import Dataset, batch_indices
from gan_jax.errors import UserError
from gan_jax.runtime import parallel
from gan_jax.training.feed import make_feed

BATCH = 8


def numbered(first, count, channels=1):
    """Images of 2x3 pixels: the left column tells the number, the others are black."""
    images = np.zeros((count, 2, 3, channels), np.uint8)
    images[:, :, 0] = np.arange(first, first + count).reshape(count, 1, 1)
    return images


A = Dataset('a', 'train', numbered(100, 13), np.arange(13, dtype=np.int32), 13, 'a')
PAIRS = Dataset(
    'pairs',
    'train',
    numbered(0, 20, 3),
    np.arange(20, dtype=np.int32),
    20,
    'pairs',
    inputs=numbered(0, 20),
    groups={'a': A, 'few': Dataset('few', 'train', numbered(200, 3), None, None, 'few')},
)


def feed(examples, **options):
    dataset = examples if isinstance(examples, Dataset) else Dataset('some', 'train', examples, None, None, '')
    layout = parallel.make_layout(BATCH, num_devices=1)
    given = {'seed': 0, 'batches': 1, 'flip': False, 'placement': 'host'}
    return make_feed(dataset, layout, **given | options)


def batches(placement, spans, dataset=PAIRS, **options):
    """The batches of the steps of spans, as the compiled stretch gets them."""
    source = feed(dataset, placement=placement, **options)
    positions = jnp.arange(BATCH, dtype=jnp.uint32)
    batch_at = jax.jit(source.batch_at)
    with source.open(spans) as items:
        return [
            jax.device_get(batch_at(data, step, step - begin, positions))
            for (begin, end), data in zip(spans, items, strict=False)
            for step in range(begin, end)
        ]


def numbers(images):
    """The number that each image tells in its left or, mirrored, in its right column."""
    return np.round((images.max(axis=(-3, -2, -1)) + 1) * 127.5).astype(int)


def assert_equal(some, others):
    for one, other in zip(some, others, strict=True):
        assert set(one) == set(other)
        for field in one:
            np.testing.assert_array_equal(one[field], other[field], strict=True)


def test_the_fields_of_a_batch_and_their_shapes():
    [batch] = batches('device', [(0, 1)])
    assert {name: array.shape[1:] for name, array in batch.items() if not name.endswith('label')} == PAIRS.shapes
    assert PAIRS.shapes == {'real': (2, 3, 3), 'input': (2, 3, 1), 'a': (2, 3, 1), 'few': (2, 3, 1)}
    assert set(batch) - set(PAIRS.shapes) == {'label', 'a_label'}
    assert PAIRS.label_sets == {'real': tuple(range(20)), 'a': tuple(range(13))}
    assert all(len(array) == BATCH for array in batch.values())


def test_inputs_and_labels_stay_with_their_examples_and_are_mirrored_with_them():
    for batch in batches('device', [(0, 5)], flip=True):
        np.testing.assert_array_equal(numbers(batch['real']), batch['label'])
        np.testing.assert_array_equal(batch['input'], batch['real'][..., :1])
        np.testing.assert_array_equal(numbers(batch['a']), 100 + batch['a_label'])
        assert not np.array_equal(batch['a'][:, 0, 0] > -1, batch['real'][:, 0, 0, :1] > -1)  # other flips


def test_the_order_of_the_data_set_itself_does_not_hang_on_its_groups():
    alone = Dataset('alone', 'train', PAIRS.examples, PAIRS.labels, 20, '')
    for k, (one, other) in enumerate(zip(batches('device', [(0, 4)]), batches('device', [(0, 4)], alone), strict=True)):
        np.testing.assert_array_equal(one['real'], other['real'])
        np.testing.assert_array_equal(
            one['label'], batch_indices(0, k, np.arange(BATCH), batch_size=BATCH, num_examples=20)
        )


@pytest.mark.parametrize('placement', ['device', 'host'])
def test_every_epoch_of_every_part_visits_each_example_once_in_an_order_of_its_own(placement):
    epochs = {}
    for field, first, size in (('real', 0, 20), ('a', 100, 13), ('few', 200, 3)):
        found = np.concatenate([numbers(batch[field]) for batch in batches(placement, [(0, 15)])])
        epochs[field] = found[: len(found) // size * size].reshape(-1, size) - first
        for epoch in epochs[field]:
            np.testing.assert_array_equal(np.sort(epoch), np.arange(size))
    assert not np.array_equal(epochs['a'][0], epochs['a'][1])
    twins = Dataset('twins', 'train', A.examples, None, None, '', groups={'x': A, 'y': A})
    [batch] = batches(placement, [(0, 1)], twins)
    assert len({batch[field].tobytes() for field in ('real', 'x', 'y')}) == 3


@pytest.mark.parametrize('several', [1, 3])
def test_resident_and_streamed_batches_are_equal_also_where_a_run_goes_on(several):
    options = {'batches': several, 'flip': True}
    whole = batches('device', [(0, 7)], **options)
    assert whole[0]['a'].shape == ((BATCH, 2, 3, 1) if several == 1 else (3, BATCH, 2, 3, 1))
    assert_equal(whole, batches('host', [(0, 3), (3, 7)], **options))
    assert_equal(whole[5:], batches('host', [(5, 7)], **options))
    assert_equal(whole[5:], batches('device', [(5, 7)], **options))


def test_a_traced_seed_gives_the_batches_of_the_seed():
    positions = jnp.arange(BATCH, dtype=jnp.uint32)
    seeds = [3, 2**32 - 1]

    def of(seed):
        source = feed(PAIRS, placement='device', seed=seed, flip=True)
        return source.batch_at(jax.tree.map(jnp.asarray, PAIRS.arrays), 4, None, positions)

    members = jax.device_get(jax.jit(jax.vmap(of))(jnp.array(seeds, jnp.uint32)))
    for i, seed in enumerate(seeds):
        [alone] = batches('device', [(4, 5)], seed=seed, flip=True)
        assert_equal([jax.tree.map(lambda array, i=i: array[i], members)], [alone])


def test_what_fits_counts_inputs_and_groups(monkeypatch):
    one = PAIRS.examples.nbytes
    whole = one + PAIRS.inputs.nbytes + sum(group.examples.nbytes for group in PAIRS.groups.values())
    for share, axis in ((whole, None), (whole - 1, 1), (one, 1)):
        monkeypatch.setattr(parallel, 'device_memory', lambda share=share: share / 0.4)
        assert feed(PAIRS, placement='auto').data_axis == axis


def test_points_cannot_be_mirrored():
    points = np.zeros((10, 2), np.float32)
    with pytest.raises(UserError, match=r"data.flip mirrors images, but 'some' has examples of shape \(2,\): unset it"):
        feed(points, flip=True)
    beside = Dataset('some', 'train', points, None, None, '')
    with pytest.raises(UserError, match=r"data.flip mirrors images, but 'some' has examples of shape \(2,\): unset it"):
        feed(Dataset('images', 'train', PAIRS.examples, None, None, '', groups={'a': beside}), flip=True)


def test_streamed_stretches_that_would_fill_the_memory_are_refused():
    examples = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (10, 1024, 1024, 3), (0, 0, 0, 0))
    with pytest.raises(UserError, match=r'log_every of 100 steps makes stretches of 2.3 GiB, .* lower it to 42 steps'):
        feed(examples).open([(0, 100), (100, 110)]).__enter__()
    group = Dataset('a', 'train', examples, None, None, '')
    both = Dataset('both', 'train', examples, None, None, '', groups={'a': group})
    with pytest.raises(UserError, match=r'log_every of 100 steps makes stretches of 4.7 GiB, .* lower it to 21 steps'):
        feed(both).open([(0, 100), (100, 110)]).__enter__()


def test_a_data_set_whose_parts_make_no_batch():
    with pytest.raises(ValueError, match='20 examples have 13 inputs'):
        Dataset('x', 'train', PAIRS.examples, None, None, '', inputs=A.examples)
    with pytest.raises(ValueError, match="the group 'b' has groups of its own"):
        Dataset('x', 'train', PAIRS.examples, None, None, '', groups={'b': PAIRS})
    with pytest.raises(
        ValueError, match="a group cannot be called 'input', because every batch has a field of that name"
    ):
        Dataset('x', 'train', PAIRS.examples, None, None, '', groups={'input': A})


def test_poisson_batches_have_their_examples_first_and_several_batches_are_different():
    alone = Dataset('alone', 'train', PAIRS.examples, PAIRS.labels, 20, '')
    found = batches('device', [(0, 40)], alone, batches=2, poisson_rate=0.15)
    sizes = np.array([(batch['index'] >= 0).sum(1) for batch in found])
    for batch in found:
        for images, labels, index in zip(batch['real'], batch['label'], batch['index'], strict=True):
            np.testing.assert_array_equal(index >= 0, np.arange(BATCH) < (index >= 0).sum())
            np.testing.assert_array_equal(numbers(images), labels)
            np.testing.assert_array_equal(labels, np.maximum(index, 0))
            assert len(set(index[index >= 0])) == (index >= 0).sum()
    assert sizes.mean() == pytest.approx(3, abs=0.7)
    assert len({tuple(batch['label'][i]) for batch in found for i in range(2)}) > 70
    [again] = batches('device', [(7, 8)], alone, batches=2, poisson_rate=0.15)
    assert_equal([again], found[7:8])


def test_poisson_sampling_draws_from_one_set_on_the_device():
    for dataset, placement in ((PAIRS, 'device'), (Dataset('alone', 'train', PAIRS.examples, None, None, ''), 'host')):
        with pytest.raises(UserError, match='draws from one set of examples in the memory of the device'):
            feed(dataset, placement=placement, poisson_rate=0.1)
