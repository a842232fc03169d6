"""Games that make something of examples: their pictures, samples and evaluations."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import config_dict
from PIL import Image

import gan_jax
from gan_jax import build
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.game import Game, Player
from gan_jax.main import main
from gan_jax.records import files, provenance
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.sampling import shown
from gan_jax.sampling.samples import picture
from gan_jax.sampling.trained import load_run
from gan_jax.translators import no_latents

FEW = {'data.size': '16', 'data.split': 'train[:30]'}
TINY = FEW | {'generator.width': '2', 'discriminator.width': '2'}
NARROW = FEW | {f'{role}.widths': '(8, 8)' for role in ('generator', 'discriminator', 'encoder')}


def save_untrained(workdir, name, changes=TINY):
    """A run's directory before its first step."""
    config = configs.load(f'configs/{name}.py', changes)
    dataset = load(config.data.name, split=config.data.split, size=16)
    game = build.make_game(config, dataset.shape, shapes=dataset.shapes)
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        checkpoints.save(3, build.init_state(config, game), config=json_values.to_json(config), metrics={})
    files.replace(workdir / 'run.json', json.dumps({'data': provenance.describe(dataset)}).encode())
    return workdir


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp('pairs'), 'pix2pix')


@pytest.fixture(scope='module')
def domains(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp('domains'), 'cyclegan')


@pytest.fixture(scope='module')
def styled(tmp_path_factory):
    small = {'generator.style_width': '4', 'generator.blocks': '1'}
    return save_untrained(tmp_path_factory.mktemp('styled'), 'munit', TINY | small)


@pytest.fixture(scope='module')
def encoded(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp('encoded'), 'bigan', NARROW)


def doubling_game(names=('input', 'output')):
    """A translator that multiplies by its parameter; what it shows is called `names`."""

    def sample(params, variables, latents, images):
        return params * images

    def show(params, variables, latents, batch):
        return dict(zip(names, (batch['input'], sample(params, variables, latents, batch['input'])), strict=True))

    def init(key):
        return {'generator': (jnp.float32(2), {})}

    return Game(init, (), sample, no_latents, given='input', show=show)


def test_examples_stand_side_by_side_in_the_order_of_the_game():
    dataset = load('edges:digits', size=16, split='train[:30]')
    for names in (('input', 'output'), ('z', 'a')):  # JAX would sort them
        game = doubling_game(names)
        examples = shown.fixed_examples(game, 13, 5, dataset)
        assert (examples.names, len(examples.latents), examples.columns) == (names, 6, 4)
        assert examples.caption == f'Each example, from left to right: {", ".join(names)}.'
        made = examples.draw(game, Player(jnp.float32(0.5), {}, None, (jnp.float32(2), {})))
        assert made.shape == (12, 16, 16, 1)
        np.testing.assert_allclose(made[1::2], 2 * made[::2])
        np.testing.assert_array_equal(made[::2], examples.batch['input'])
    again = shown.fixed_examples(game, 13, 5, dataset)
    np.testing.assert_array_equal(again.batch['real'], examples.batch['real'])
    places = [
        np.flatnonzero((dataset.examples == image).all((1, 2, 3)))
        for image in np.round((again.batch['real'] + 1) * 127.5).astype(np.uint8)
    ]
    for i, (place,) in enumerate(places):  # an example keeps its input
        np.testing.assert_allclose(again.batch['input'][i], dataset.inputs[place] / 127.5 - 1, atol=1e-6)


def test_grey_stands_beside_colour_and_other_sizes_are_refused():
    def show(params, variables, latents, batch):
        grey = batch['input']
        return {'grey': grey, 'colour': jnp.tile(grey, (1, 1, 1, 3)), 'small': grey[:, ::params]}

    dataset = load('edges:digits', size=16, split='train[:5]')
    for step, shape in ((1, (3, 16, 16, 3)), (2, None)):
        game = doubling_game()._replace(show=lambda params, *rest, step=step: show(step, *rest))
        examples = shown.fixed_examples(game, 3, 0, dataset)
        if shape:
            assert examples.draw(game, Player(2, {}, None)).shape == shape
        else:
            with pytest.raises(UserError, match=r'images of the same size side by side, .* small \(8, 16, 1\)'):
                examples.draw(game, Player(2, {}, None))


def test_a_game_that_shows_no_dict_is_refused():
    game = doubling_game()._replace(show=lambda params, variables, latents, batch: batch['input'])
    with pytest.raises(UserError, match=r'Game\.show must return a dict of images by name'):
        shown.fixed_examples(game, 3, 0, load('edges:digits', size=16, split='train[:5]'))


def test_samples_of_a_translator_are_of_its_own_data_or_of_others(pairs, capsys):
    assert main(['--mode', 'sample', '--workdir', str(pairs), '--num', '6', '--seed', '4']) == 0
    (directory,) = [one for one in (pairs / 'generated').iterdir() if one.name.endswith('seed4')]
    assert sorted(path.name for path in directory.iterdir()) == ['00000.png', '00001.png', 'grid.png']
    with Image.open(directory / 'grid.png') as grid:
        assert grid.info['Description'] == 'Each example, from left to right: input, output, target.'
    assert main(['--mode', 'sample', '--workdir', str(pairs), '--num', '6', '--inputs', 'digits']) == 0
    (other,) = [one for one in (pairs / 'generated').iterdir() if 'inputsdigits' in one.name]
    with Image.open(other / 'grid.png') as grid:
        assert grid.info['Description'] == 'Each example, from left to right: input, output.'
    assert len(list(other.glob('0*.png'))) == 3


@pytest.mark.slow
def test_styles_come_from_examples(styled, pairs, capsys):
    loaded = gan_jax.load(styled)
    run, grey = loaded.run, load('digits', size=16)
    examples = load('coloured:digits', size=16, split='test')
    made = loaded.sample(9, inputs='digits', styles='six_colours:digits')
    assert made.shape == (3, 16, 16, 3)
    found = shown.in_styles(run.game, run.generator, 9, grey, examples.select(np.arange(2), 'two'))
    assert found.names == ('input', 'example of the style', 'output')
    styles = run.game.style_of(*run.weights, np.float32(examples.examples[[0, 1, 0]]) / 127.5 - 1)
    np.testing.assert_allclose(found.latents, styles, atol=1e-5)
    images = found.draw(run.game, run.generator)
    assert images.shape == (9, 16, 16, 3)
    wanted = run.game.sample(*run.weights, styles, np.float32(grey.examples[:3]) / 127.5 - 1)
    np.testing.assert_allclose(images[2::3], wanted, atol=1e-4)
    assert main(['--mode', 'sample', '--workdir', str(styled), '--num', '6', '--styles', 'coloured:digits']) == 0
    assert len(list((styled / 'generated' / 'step0000003-splittrain_30_-stylescoloured_digits').glob('0*.png'))) == 2
    assert main(['--mode', 'sample', '--workdir', str(pairs), '--styles', 'digits']) == 2
    assert 'this game translates without styles: omit it' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--psi', '0.5'], 'translates images and has no latents to choose: omit --psi.'),
        (['--seeds', '1,2'], 'and has no latents'),
        (['--what', 'walk'], 'translates images and has no latents to choose'),
        (['--inputs', 'ring'], 'is a set of points, not of images'),
        (['--inputs', 'coloured:digits'], "'coloured:digits' has images of shape (16, 16, 3), but this run translates"),
    ],
)
def test_what_needs_latents_is_refused(pairs, arguments, message, capsys):
    assert main(['--mode', 'sample', '--workdir', str(pairs), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'data', 'number'), [('inpainting', 'digits', 3), ('stargan', 'six_colours:digits', 7)]
)
def test_a_game_of_its_real_images_shows_inputs_as_it_shows_its_data(name, data, number):
    config, dataset = configs.load(f'configs/{name}.py', TINY), load(data, size=16, split='train[:5]')
    game = build.make_game(config, dataset.shape, num_classes=dataset.num_classes, shapes=dataset.shapes)
    weights = jax.eval_shape(game.init, jax.random.key(0))['generator']
    weights = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1, leaf.dtype), weights)
    examples = shown.of_inputs(game, 4 * number, 0, dataset)
    made = examples.draw(game, Player(*weights, None))
    assert len(made) == 4 * number
    (original,) = set(examples.names) & {'image', 'real'}
    np.testing.assert_allclose(
        made[examples.names.index(original) :: number], dataset.examples[:4] / 127.5 - 1, atol=1e-6
    )


@pytest.mark.parametrize('field', ['real', 'input'])
def test_images_get_the_size_and_channels_of_what_a_run_translates(field, tmp_path):
    Image.new('RGB', (20, 10), 'red').save(tmp_path / 'a.png')
    options = config_dict.ConfigDict({'directory': None, 'cache': str(tmp_path / '.cache')})
    found = shown.load_inputs(f'folder:{tmp_path}', field, {field: (8, 8, 1)}, options)
    np.testing.assert_array_equal(found.examples, np.full((1, 8, 8, 1), 76))  # ITU-R 601 luma


def test_grey_images_for_a_run_of_colour_are_not_warned_about(tmp_path, recwarn):
    Image.new('L', (8, 8), 76).save(tmp_path / 'a.png')
    options = config_dict.ConfigDict({'directory': None, 'cache': str(tmp_path / '.cache')})
    found = shown.load_inputs(f'folder:{tmp_path}', 'input', {'input': (8, 8, 3)}, options)
    np.testing.assert_array_equal(found.examples, np.full((1, 8, 8, 3), 76))
    assert not recwarn


def test_inputs_are_for_translations(tmp_path, capsys):
    from test_latent_pictures import save_untrained as save_image_run

    sizes = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    workdir = save_image_run(tmp_path, 'configs/mlp.py', (8, 8, 1), None, **sizes)
    assert main(['--mode', 'sample', '--workdir', str(workdir), '--inputs', 'digits']) == 2
    assert '--inputs names images to translate, but' in capsys.readouterr().err


def test_translations_are_judged_by_their_targets(pairs, capsys):
    arguments = ['--mode', 'eval', '--workdir', str(pairs), '--metrics', 'l1,psnr,ssim', '--num', '10']
    assert main(arguments) == 0
    records = json.loads((pairs / 'evaluation' / 'step0000003-seed0.json').read_text())
    found = {one['metric']: one for one in records}
    assert found['l1']['protocol']['fakes'] == '10 translations'
    run = load_run(pairs)
    dataset = load('edges:digits', size=16, split='train[:30]')
    images = np.float32(dataset.inputs[:10]) / 127.5 - 1
    from gan_jax.game import named_key

    latents = run.game.latents(named_key(0, 'evaluation'), np.arange(10))
    made = jax.jit(run.game.sample)(*run.generator[:2], latents, images)
    made = np.clip(np.round((made + 1) * 127.5), 0, 255)
    by_hand = np.abs(made - np.float32(dataset.examples[:10])).mean() / 255
    assert found['l1']['value'] == pytest.approx(by_hand, rel=1e-3)


def test_translations_without_pairs_have_no_targets(domains, capsys):
    arguments = ['--mode', 'eval', '--workdir', str(domains), '--metrics', 'l1,sliced_wasserstein', '--num', '8']
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert 'l1 compares pairs of images, and these samples have no real partners: remove' in printed.out + printed.err
    assert 'sliced_wasserstein' in printed.out


def test_an_encoders_images_stand_beside_their_reconstructions_and_latents_can_still_be_chosen(encoded):
    loaded = gan_jax.load(encoded)
    run = loaded.run
    test = load('digits', size=16, split='test')
    examples = shown.fixed_examples(run.game, 12, 5, test)
    made = examples.draw(run.game, run.generator, run.encoder)
    assert examples.names == ('image', 'reconstruction', 'sample')
    inferred = run.game.encode(run.encoder.params, run.encoder.variables, examples.batch['real']).codes
    for place, wanted in enumerate(
        (
            examples.batch['real'],
            run.game.sample(*run.weights, inferred),
            run.game.sample(*run.weights, examples.latents),
        )
    ):
        np.testing.assert_allclose(made[place::3], wanted, atol=1e-5)
    grid = picture(made, columns=examples.columns)
    assert np.array_equal(np.squeeze(loaded.show(12, seed=5)), np.squeeze(grid))
    assert len(loaded.sample(seeds=(3, 4))) == 2
    assert main(['--mode', 'sample', '--workdir', str(encoded), '--num', '12']) == 0
    assert main(['--mode', 'sample', '--workdir', str(encoded), '--seeds', '3,4']) == 0
    grids = [Image.open(path / 'grid.png') for path in (encoded / 'generated').iterdir()]
    assert sorted('reconstruction' in grid.info.get('Description', '') for grid in grids) == [False, True]


def test_a_loaded_encoder_shows_what_the_command_line_shows(tmp_path):
    workdir = save_untrained(tmp_path, 'bigan', NARROW | {'standing_statistics': '2'})
    loaded, drawn = gan_jax.load(workdir), {}
    for flags, options in (
        ((), {'psi': 1.0, 'seeds': None}),
        (('--standing_statistics', '0'), {'standing_statistics': 0}),
    ):
        assert main(['--mode', 'sample', '--workdir', str(workdir), '--num', '6', *flags]) == 0
        name = f'step0000003-splittest-seed0{"-standing0" if flags else ""}'
        drawn[flags] = np.stack([Image.open(path) for path in sorted((workdir / 'generated' / name).glob('0*.png'))])
        np.testing.assert_array_equal(loaded.sample(6, **options)[..., 0], drawn[flags])
        grid = Image.open(workdir / 'generated' / name / 'grid.png')
        np.testing.assert_array_equal(loaded.show(6, **options), grid)
    assert (drawn[()] != drawn['--standing_statistics', '0']).any()


def test_an_encoder_is_evaluated_against_the_data_that_it_was_trained_on(encoded):
    names = 'code_accuracy,reconstruction'
    assert main(['--mode', 'eval', '--workdir', str(encoded), '--metrics', names, '--num', '2']) == 0
    records = json.loads((encoded / 'evaluation' / 'step0000003-seed0.json').read_text())
    found = {record['metric']: record for record in records}
    run, test, known = load_run(encoded), load('digits', size=16, split='test'), load('digits', size=16)

    def inferred(images):
        return run.game.encode(run.encoder.params, run.encoder.variables, images / 127.5 - 1)

    known_images, known_labels = known.examples[:30], known.labels[:30]
    features, of_known = (np.float64(inferred(images).features) for images in (test.examples, known_images))
    nearest = ((features[:, None] - of_known) ** 2).sum(-1).argmin(1)
    assert found['code_accuracy']['value'] == pytest.approx((known_labels[nearest] == test.labels).mean(), abs=0.01)
    assert found['code_accuracy']['protocol']['known'].startswith('30 of digits train')
    again = run.game.sample(*run.weights, inferred(test.examples).codes)
    distance = np.sqrt((((again + 1) / 2 - test.examples / 255) ** 2).sum((1, 2, 3))).mean()
    assert found['reconstruction']['value'] == pytest.approx(distance, rel=1e-4)
    assert found['reconstruction']['protocol']['weights'] == 'last'
