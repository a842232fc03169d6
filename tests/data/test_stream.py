"""Streams from the host."""

import threading

import numpy as np
import pytest

from gan_jax.data import Stream, batch_indices

EXAMPLES = np.arange(50 * 6, dtype=np.uint8).reshape(50, 2, 3, 1)
LABELS = np.arange(50, dtype=np.int32)
POSITIONS = np.array([4, 5, 6, 7])


def stream(spans, examples=EXAMPLES, labels=LABELS, **kwargs):
    arrays = {'examples': examples} if labels is None else {'examples': examples, 'labels': labels}
    return Stream({'real': arrays}, spans, seeds={'real': 3}, batch_size=8, positions=POSITIONS, **kwargs)


def reader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith('stream')]


def test_items_are_this_process_part_of_the_batches():
    spans = [(5, 3), (8, 1), (100, 2)]
    with stream(spans) as items:
        for (first, count), parts in zip(spans, items, strict=True):
            item = parts['real']
            assert item['examples'].shape == (count, 4, 2, 3, 1)
            for k, examples, labels in zip(range(first, first + count), item['examples'], item['labels'], strict=True):
                indices = batch_indices(3, k, POSITIONS, batch_size=8, num_examples=50)
                np.testing.assert_array_equal(labels, indices)
                np.testing.assert_array_equal(examples, EXAMPLES[indices])


def test_reads_a_memory_map_into_plain_arrays(tmp_path):
    np.save(tmp_path / 'examples.npy', EXAMPLES)
    [items] = stream([(0, 2)], np.load(tmp_path / 'examples.npy', mmap_mode='r'), None)
    item = items['real']
    assert set(item) == {'examples'}
    assert type(item['examples']) is np.ndarray
    assert item['examples'].dtype == np.uint8


def test_reads_a_fixed_number_of_items_ahead():
    taken = []

    def spans():
        for k in range(100):
            taken.append(k)
            yield k, 1

    with stream(spans(), num_ahead=3) as items:
        assert len(taken) == 3
        next(items)
        next(items)
        assert len(taken) == 5


def test_the_thread_ends_with_the_stream():
    assert len(list(stream([(0, 1), (1, 1)]))) == 2
    assert not reader_threads()
    with stream((k, 1) for k in range(1000)) as items:
        next(items)
        assert len(reader_threads()) == 1
    assert not reader_threads()
    with pytest.raises(StopIteration):
        next(items)


def test_an_error_in_the_thread_is_raised_where_the_item_is_asked_for():
    with stream([(0, 1)], labels=np.zeros(1, np.int32)) as items, pytest.raises(IndexError):
        next(items)
    assert not reader_threads()
