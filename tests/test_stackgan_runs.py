"""Runs that make images of captions: samples of a prompt, captions beside images, and evaluations."""

import json

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax import build, config
from gan_jax.config import json_values
from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.evaluate import evaluate
from gan_jax.records import files, provenance
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.sampling.sample_files import sample_workdir

TINY = {
    'data.split': 'test',
    'data.size': '16',
    'generator.width': '2',
    'generator.depth': '1',
    'generator.codes': '4',
    'discriminator.width': '2',
    'discriminator.codes': '4',
    'latents.size': '8',
    'game.sentence_width': '8',
    'game.word_width': '4',
    'game.image_width': '2',
    'samples': '8',
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def untrained(tmp_path_factory):
    """A run's directory before its first step."""
    workdir = tmp_path_factory.mktemp('untrained')
    options = config.load('stackgan', TINY | {'data.size': '32'})
    dataset = load('captioned_shapes', split='test', size=32)
    given = {'num_classes': dataset.num_classes, 'shapes': dataset.shapes}
    game = build.make_game(options, dataset.shape, **given)
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        checkpoints.save(3, build.init_state(options, game), config=json_values.to_json(options), metrics={})
    files.replace(workdir / 'run.json', json.dumps({'data': provenance.describe(dataset)}).encode())
    return workdir


def test_a_prompt_makes_images_of_one_caption(untrained):
    prompt = 'A red circle above a small blue square'
    directory = sample_workdir(untrained, num=4, prompt=prompt)
    assert 'promptA_red_circle_above_a_small_blue_square' in directory.name
    assert len(list(directory.glob('0*.png'))) == 4
    assert Image.open(directory / '00000.png').size == (32, 32)
    again = sample_workdir(untrained, num=4, prompt=prompt + '.')
    np.testing.assert_array_equal(*(np.asarray(Image.open(path / '00003.png')) for path in (directory, again)))
    loaded = gan_jax.load(untrained).sample(4, prompt=prompt)
    np.testing.assert_array_equal(loaded[3], np.asarray(Image.open(directory / '00003.png')))


def test_captions_of_the_data_stand_beside_their_images(untrained):
    directory = sample_workdir(untrained, num=8)
    grid = Image.open(directory / 'grid.png')
    assert grid.size[0] >= 4 * 96
    pixels = np.asarray(grid.convert('L'), np.float32)
    assert (pixels[2:98, 2:98] > 250).mean() > 0.7  # a caption in black on white


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'prompt': 'a red cirle'}, "unknown word 'cirle'; the nearest known one is 'circle'"),
        ({'prompt': ''}, 'is empty'),
        ({'prompt': 'a ' * 15}, 'has 15 words, but at most 14'),
        ({'prompt': 'a red circle', 'styles': 'digits'}, 'this game translates without styles: omit it'),
        ({'inputs': 'digits'}, 'this run makes images of captions: use --prompt'),
    ],
)
def test_a_prompt_that_cannot_be_read_gets_a_sentence(untrained, options, message):
    with pytest.raises(UserError, match=message):
        sample_workdir(untrained, **options)


def test_an_evaluation_reads_known_and_new_captions(untrained):
    judged = evaluate(untrained, num=32, metrics=['caption_accuracy']).records
    assert len(judged) == 4
    assert all(record.value <= 0.1 for record in judged)
    assert all('16 captions of' in record.protocol['rule'] for record in judged)
    assert {record.protocol['fakes'] for record in judged} == {'32 images of captions'}
