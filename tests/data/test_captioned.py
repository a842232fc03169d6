"""Folders of images with captions."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data.words import decode
from gan_jax.errors import UserError
from gan_jax.sampling import captions
from gan_jax.training import feed


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'images').mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(255, size=(8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'images' / f'{number}.png')
    return tmp_path


def write(folder, captions):
    lines = [json.dumps({'image': image, 'caption': caption}) for image, caption in captions]
    (folder / 'captions.jsonl').write_text('\n'.join(lines) + '\n')


def load(folder, **options):
    return data.load(f'captioned:{folder}', cache_dir=str(folder / '.cache'), show_progress=False, **options)


def test_captions_are_numbers_of_words(folder):
    write(folder, [('2.png', 'no bird'), ('0.png', 'A bird, red.'), ('1.png', 'a small bird')])
    found = load(folder)
    assert found.has_captions
    assert found.class_names == ('', 'a', 'bird', 'no', 'red', 'small')
    assert [decode(ids, found.class_names) for ids in found.inputs] == ['a bird red', 'a small bird', 'no bird']
    part = load(folder, split='train[1:]')
    np.testing.assert_array_equal(part.inputs, found.inputs[1:])
    write(folder, [('2.png', 'no bird'), ('0.png', 'A red bird.'), ('1.png', 'a small bird')])
    assert load(folder).fingerprint != found.fingerprint


def test_embeddings_are_taken_as_they_are(folder):
    vectors = np.random.default_rng(0).normal(size=(3, 5))
    np.save(folder / 'captions.npy', vectors)
    found = load(folder)
    np.testing.assert_array_equal(found.inputs, vectors.astype(np.float32))
    assert not found.has_captions
    assert (found.num_classes, found.shapes['input']) == (None, (5,))
    np.save(folder / 'captions.npy', vectors[:2])
    with pytest.raises(UserError, match=r'has the shape \(2, 5\) of float64, but there are 3 images: give one row'):
        load(folder)


def test_what_does_not_fit_is_refused(folder):
    with pytest.raises(UserError, match=r'needs the sub-directory images and a file captions.jsonl or captions.npy'):
        load(folder)
    write(folder, [('0.png', 'a bird'), ('1.png', 'a bird')])
    with pytest.raises(UserError, match=r"The image '2.png' has no line in .*captions.jsonl: add one"):
        load(folder)
    write(folder, [('0.png', 'a bird'), ('0.png', 'a bird')])
    with pytest.raises(UserError, match=r"Line 2 of .* has a second caption of '0.png': keep one"):
        load(folder)
    (folder / 'captions.jsonl').write_text('{"image": "0.png"}\n')
    with pytest.raises(UserError, match=r'Line 1 of .* is not of the form {"image"'):
        load(folder)
    write(folder, [('0.png', '...'), ('1.png', 'a bird'), ('2.png', 'a bird')])
    with pytest.raises(UserError, match=r"The caption '...' of '0.png' in .*captions.jsonl is empty: write a few"):
        load(folder)
    for entry in ('{"image": ["0.png"], "caption": "a"}', '{"image": "0.png", "caption": ["a bird", "b"]}'):
        (folder / 'captions.jsonl').write_text(entry)
        with pytest.raises(UserError, match=r'Line 1 of .* is not of the form {"image"'):
            load(folder)
    (folder / 'captions.jsonl').unlink()
    np.savez(folder / 'captions.npz', np.zeros((3, 5)))
    for contents in (b'', b'PK\x03\x04', (folder / 'captions.npz').read_bytes()):
        (folder / 'captions.npy').write_bytes(contents)
        with pytest.raises(UserError, match=r'captions.npy cannot be read \(.+\): save the embeddings by numpy.save'):
            load(folder)


def test_a_byte_order_mark_is_no_caption_and_another_encoding_is_refused(folder):
    write(folder, [(f'{i}.png', 'a bird') for i in range(3)])
    plain = (folder / 'captions.jsonl').read_text()
    (folder / 'captions.jsonl').write_text(plain, encoding='utf-8-sig')
    assert load(folder).class_names == ('', 'a', 'bird')
    (folder / 'captions.jsonl').write_text(plain.replace('bird', 'v\xf6gel'), encoding='latin-1')
    with pytest.raises(UserError, match=r'captions.jsonl is not a text in UTF-8: save it in this encoding'):
        load(folder)


def test_captions_in_any_script_have_pictures():
    alike, other, known = captions.pictures(np.array([[1, 2], [3, 2], [4, 0]]), ('', '红色', 'bird', '蓝色', 'a'), 96)
    np.testing.assert_array_equal(alike, other)  # '?' for the letters that the font lacks
    assert (alike != known).any()


def test_images_with_captions_are_not_mirrored(folder):
    write(folder, [(f'{i}.png', 'a bird left of it') for i in range(3)])
    with pytest.raises(UserError, match='would mirror images but not their captions'):
        feed.make_feed(load(folder), None, seed=0, batches=1, flip=True, placement='device')
