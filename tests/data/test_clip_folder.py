"""Directories of clips: GIF files, directories of frames, classes, and what is refused."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.records import video

RNG = np.random.default_rng(0)
CLIPS = RNG.integers(0, 255, (3, 11, 8, 8, 3), np.uint8)


def save_frames(directory, clip):
    directory.mkdir(parents=True)
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(directory / f'frame{number}.png')


def save_film(path, clip, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.fromarray(frame) for frame in clip)
    first.save(path, save_all=True, append_images=others, **options)


def load_clips(directory, **options):
    return load(f'clips:{directory}', cache_dir=directory.parent / 'cache', show_progress=False, **options)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    for name, clip in zip('abc', CLIPS, strict=True):
        save_frames(tmp_path / 'clips' / name, clip)
    dataset = load_clips(tmp_path / 'clips')
    np.testing.assert_array_equal(dataset.examples, CLIPS)
    assert (dataset.labels, dataset.num_classes) == (None, None)
    some = load_clips(tmp_path / 'clips', split='train[1:]', size=4)
    assert some.examples.shape == (2, 11, 4, 4, 3)
    assert load_clips(tmp_path / 'clips').fingerprint == dataset.fingerprint != some.fingerprint


def test_frames_of_one_number_are_in_the_order_of_their_names(tmp_path):
    save_frames(tmp_path / 'clips/a', CLIPS[0])
    for number in range(11):
        (tmp_path / f'clips/a/frame{number}.png').rename(tmp_path / f'clips/a/{"0" * (11 - number)}1.png')
    np.testing.assert_array_equal(load_clips(tmp_path / 'clips').examples, CLIPS[:1])


def test_films_are_read_frame_by_frame_and_sub_directories_are_classes(tmp_path):
    grey = np.repeat(CLIPS[:, :, :, :, :1] // 8 * 8, 3, axis=-1)  # few colours, which a GIF keeps
    for name, clip in zip(('up/1', 'down/2', 'up/3'), grey, strict=True):
        save_film(tmp_path / 'clips' / f'{name}.gif', clip)
    dataset = load_clips(tmp_path / 'clips')
    np.testing.assert_array_equal(dataset.examples, grey[[1, 0, 2]])
    assert dataset.class_names == ('down', 'up')
    assert dataset.labels.tolist() == [0, 1, 1]


def test_equal_frames_that_a_film_has_as_one_are_all_read(tmp_path):
    clip = np.repeat(np.arange(3, dtype=np.uint8) * 80, [1, 3, 2])[:, None, None, None] + np.zeros((8, 8, 3), np.uint8)
    save_film(tmp_path / 'clips/a.gif', clip, duration=100)
    assert Image.open(tmp_path / 'clips/a.gif').n_frames == 3
    np.testing.assert_array_equal(load_clips(tmp_path / 'clips').examples[0], clip)


@pytest.mark.skipif(importlib.util.find_spec('imageio_ffmpeg') is None, reason='needs imageio-ffmpeg')
def test_video_files_are_read_frame_by_frame(tmp_path, monkeypatch):
    values = np.arange(0, 220, 20, dtype=np.uint8)  # H.264 loses little of frames of one colour
    clips = [np.zeros((11, 16, 24, 3), np.uint8) + turn[:, None, None, None] for turn in (values, values[::-1])]
    (tmp_path / 'clips').mkdir()
    for name, clip in zip('ab', clips, strict=True):
        (tmp_path / f'clips/{name}.mp4').write_bytes(video.encoded(clip, 10))
    found = load_clips(tmp_path / 'clips', size=16).examples
    assert found.shape == (2, 11, 16, 16, 3)
    np.testing.assert_allclose(found.astype(int), np.stack(clips)[:, :, :, :16], atol=3)

    (tmp_path / 'deep').mkdir()
    files = str(tmp_path / 'clips/a.mp4'), str(tmp_path / 'deep/a.mkv')
    assert not video._ffmpeg(['-i', files[0], '-c:v', 'ffv1', '-pix_fmt', 'yuv444p10le', files[1]]).returncode
    deep = load_clips(tmp_path / 'deep', size=16).examples  # of 10 bits
    np.testing.assert_allclose(deep.astype(int), found[:1], atol=3)

    (tmp_path / 'clips/c.mp4').write_bytes(video.encoded([*clips[0], clips[0][0]], 10))
    with monkeypatch.context() as patch:  # a long film does not fit in memory
        patch.setattr(video, 'frames_of', lambda path: pytest.fail('frames are read before lengths are compared'))
        with pytest.raises(UserError, match=r"clips/c\.mp4' has 12 frames and .*clips/a\.mp4' has 11"):
            load_clips(tmp_path / 'clips')
    (tmp_path / 'clips/c.mp4').write_bytes(b'no video')
    with pytest.raises(UserError, match=r"clips/c\.mp4' cannot be read as a video \(.+\): replace or remove it"):
        load_clips(tmp_path / 'clips')
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match=r'MP4 needs the package imageio-ffmpeg: .*, or save the clips as GIF'):
        load_clips(tmp_path / 'clips')


def test_what_is_no_set_of_clips_gets_a_sentence(tmp_path):
    save_frames(tmp_path / 'lengths/a', CLIPS[0])
    save_frames(tmp_path / 'lengths/b', CLIPS[1][:5])
    with pytest.raises(UserError, match=r"lengths/b' has 5 frames and .*lengths/a' has 11: cut all clips to the same"):
        load_clips(tmp_path / 'lengths')
    save_frames(tmp_path / 'images/a', CLIPS[0][:1])
    with pytest.raises(UserError, match="images/a' has one frame, which is no clip: use folder:PATH"):
        load_clips(tmp_path / 'images')
    save_frames(tmp_path / 'mixed/a', CLIPS[0])
    save_frames(tmp_path / 'mixed/b/c', CLIPS[0])
    with pytest.raises(UserError, match='both clips and sub-directories of clips'):
        load_clips(tmp_path / 'mixed')
    save_film(tmp_path / 'broken/a.gif', CLIPS[0])
    (tmp_path / 'broken/b.gif').write_bytes(b'GIF')
    with pytest.raises(UserError, match=r"broken/b\.gif' cannot be read as an image"):
        load_clips(tmp_path / 'broken')
    (tmp_path / 'broken/b.gif').write_bytes((tmp_path / 'broken/a.gif').read_bytes()[:-60])
    with pytest.raises(UserError, match=r"^frame 10 of '.*broken/b\.gif' cannot be read as an image \(.*truncated"):
        load_clips(tmp_path / 'broken')
    for frames in (CLIPS[0], CLIPS[0][:1]):  # of one clip, or one picture beside clips
        save_frames(tmp_path / f'one{len(frames)}', frames)
        with pytest.raises(UserError, match=r"frame0\.png' is an image and in no directory of a clip: put"):
            load_clips(tmp_path / f'one{len(frames)}')
    with pytest.raises(UserError, match=r"the split 'train\[99:\]' of .* has no clips"):
        load_clips(tmp_path / 'mixed/b', split='train[99:]')


def save_maps(directory, maps):
    for name, clip in zip('ab', maps, strict=True):
        save_frames(directory / 'maps' / name, clip)


def test_clips_have_the_maps_of_their_names(tmp_path):
    directory, maps = tmp_path / 'data', RNG.integers(0, 4, (2, 11, 8, 8), np.uint8)
    maps[0, 0, 0, 0] = 3
    save_maps(directory, maps)
    for name, clip in zip('ab', CLIPS[:2], strict=True):
        save_film(directory / f'clips/{name}.gif', clip, duration=100)
    options = {'cache_dir': tmp_path / 'cache', 'show_progress': False}
    dataset = load(f'clip_maps:{directory}', **options)
    assert dataset.examples.shape == (2, 11, 8, 8, 3)
    np.testing.assert_array_equal(dataset.inputs, maps[..., None])
    assert (dataset.has_maps, dataset.num_classes, dataset.labels) == (True, 4, None)
    small = load(f'clip_maps:{directory}', split='train[1:]', size=4, **options)
    assert (small.examples.shape, small.inputs.shape) == ((1, 11, 4, 4, 3), (1, 11, 4, 4, 1))
    assert set(np.unique(small.inputs)) <= {0, 1, 2, 3}  # of the nearest pixels


def test_maps_go_by_the_names_of_clips_with_dots_in_any_order(tmp_path):
    maps = dict(zip(('a', 'a-b', 'a.1'), RNG.integers(0, 4, (3, 11, 8, 8), np.uint8), strict=True))
    for (name, frames), clip in zip(maps.items(), CLIPS, strict=True):
        save_frames(tmp_path / 'data/maps' / name, frames)
        save_film(tmp_path / f'data/clips/{name}.gif', clip, duration=100)  # a-b.gif comes before a.gif
    options = {'cache_dir': tmp_path / 'cache', 'show_progress': False}
    found = load(f'clip_maps:{tmp_path}/data', **options).inputs[..., 0]
    np.testing.assert_array_equal(found, [maps['a-b'], maps['a.1'], maps['a']])
    (tmp_path / 'data/maps/a.1').rename(tmp_path / 'data/maps/a.2')
    with pytest.raises(UserError, match=r"the clip 'a\.1' meets the maps 'a\.2'"):
        load(f'clip_maps:{tmp_path}/data', **options)


def test_clips_without_their_maps_get_a_sentence(tmp_path):
    def refused(message):
        with pytest.raises(UserError, match=message):
            load(f'clip_maps:{tmp_path}/data', cache_dir=tmp_path / 'cache', show_progress=False)

    (tmp_path / 'data').mkdir()
    refused('needs the sub-directories clips and maps')
    maps = RNG.integers(0, 4, (2, 10, 8, 8), np.uint8)
    save_maps(tmp_path / 'data', maps)
    save_frames(tmp_path / 'data/clips/a', CLIPS[0])
    refused("the clip None meets the maps 'b'")
    save_frames(tmp_path / 'data/clips/b', CLIPS[1])
    refused(r'have shape \(11, 8, 8\) and their maps \(10, 8, 8\)')
