"""Pairs whose input is computed from the image."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import computed, edges
from gan_jax.errors import UserError


def test_luma_is_that_of_pillow():
    images = np.random.default_rng(0).integers(0, 256, (50, 40, 40, 3), np.uint8)
    expected = [np.asarray(Image.fromarray(image).convert('L')) for image in images]
    np.testing.assert_array_equal(computed.luma(images), expected)


def test_grey_inputs_of_colour_images(folder, load_quietly):
    plain, pairs = load_quietly(f'folder:{folder}'), load_quietly(f'grey:folder:{folder}')
    np.testing.assert_array_equal(pairs.examples, plain.examples)
    np.testing.assert_array_equal(pairs.labels, plain.labels)
    assert pairs.class_names == ('a', 'b')
    assert pairs.shapes == {'real': (4, 6, 3), 'input': (4, 6, 1)}
    # 0.299 red + 0.587 green + 0.114 blue, of (10, 0, 255) and so on.
    np.testing.assert_array_equal(pairs.inputs[:, 0, 0, 0], [32, 35, 38])
    assert len({plain.fingerprint, pairs.fingerprint, load_quietly(f'edges:folder:{folder}').fingerprint}) == 3


def test_edges_of_the_digits_are_computed_once(load_quietly, monkeypatch):
    plain, pairs = load_quietly('digits'), load_quietly('edges:digits')
    assert (pairs.name, pairs.split, len(pairs)) == ('edges:digits', 'train', 1500)
    np.testing.assert_array_equal(pairs.examples, plain.examples)
    np.testing.assert_array_equal(pairs.inputs[..., 0], edges.canny(plain.examples[..., 0], 0.5))
    assert pairs.inputs.dtype == np.uint8
    assert set(np.unique(pairs.inputs)) == {0, 255}
    monkeypatch.setattr(edges, 'canny', None)
    again = load_quietly('edges:digits')
    np.testing.assert_array_equal(again.inputs, pairs.inputs)
    assert again.fingerprint == pairs.fingerprint
    with pytest.raises(TypeError):  # of another size they are others
        load_quietly('edges:digits', size=16)


def test_many_chunks_keep_their_order(load_quietly, monkeypatch):
    whole = load_quietly('edges:digits').inputs
    monkeypatch.setattr(computed, '_CHUNK_PIXELS', 64 * 7)
    monkeypatch.setattr(edges, 'RULE', 'anew')
    np.testing.assert_array_equal(load_quietly('edges:digits').inputs, whole)


def test_small_inputs_are_those_of_pillow_and_its_rounding(folder, load_quietly):
    plain, pairs = load_quietly(f'folder:{folder}'), load_quietly(f'half:folder:{folder}')
    np.testing.assert_array_equal(pairs.examples, plain.examples)
    assert pairs.shapes == {'real': (4, 6, 3), 'input': (2, 3, 3)}
    expected = [Image.fromarray(image).resize((3, 2), Image.Resampling.BICUBIC) for image in plain.examples]
    np.testing.assert_allclose(pairs.inputs.astype(int), np.stack(expected).astype(int), atol=1)  # Pillow rounds twice
    assert load_quietly('quarter:digits').shapes == {'real': (8, 8, 1), 'input': (2, 2, 1)}


def test_sentences(load_quietly, folder):
    with pytest.raises(UserError, match=r"^'digits' is already grey, so there is nothing to learn: choose"):
        load_quietly('grey:digits')
    with pytest.raises(
        UserError, match=r"^The images of 'folder:.*' have 4x6 pixels, which 'quarter:.*' cannot divide"
    ):
        load_quietly(f'quarter:folder:{folder}')
    for name in ('edges:ring', 'grey:ring'):
        with pytest.raises(UserError, match=r"^'ring' is a set of points, not of images: choose images"):
            load_quietly(name)
    with pytest.raises(UserError, match=r"^'grey:folder:.*' already has inputs, and 'edges:grey:.*' would add others"):
        load_quietly(f'edges:grey:folder:{folder}')
