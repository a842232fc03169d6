"""A generator under sliders: the images of settings, the page with a sheet, the served page and the command."""

import shlex
import threading

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.pages import explore_page
from gan_jax.records import report
from gan_jax.sampling import latents, sliders, trained
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.semantics import first_kernel, semantic_directions
from gan_jax.sampling.sliders import Settings
from gan_jax.sampling.styles import mix
from tests.page_tools import in_browser, needs_browser, reporting, visit
from tests.test_latent_pictures import SIZE, save_untrained
from tests.test_style_pictures import save_style
from tools import explore
from tools.serving import make_server

PIXELS = """
const canvas = document.querySelector('.stage canvas');
const form = document.querySelector('.sliders');
const put = async (name, value) => {
  form.elements[name].value = value;
  form.querySelector(`[name=${name}]`).dispatchEvent(new Event('input', { bubbles: true }));
  await pause(0);
};
const pixels = () => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
"""


@pytest.fixture(scope='module')
def told_classes(tmp_path_factory):
    options = {'generator.width': '4', 'discriminator.width': '4', 'latents.distribution': 'uniform'}
    return save_untrained(tmp_path_factory.mktemp('classes'), 'configs/cgan.py', (SIZE, SIZE, 3), 3, **options)


@pytest.fixture(scope='module')
def of_latents(told_classes):
    return sliders.Sliders(trained.load_run(told_classes))


@pytest.fixture(scope='module')
def styled(tmp_path_factory):
    conditioning = {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'projection'}
    small = {'generator.embedding_size': '6', 'discriminator.embedding_size': '6'}
    return save_style(tmp_path_factory.mktemp('styled'), 3, **conditioning, **small)


@pytest.fixture(scope='module')
def of_styles(styled):
    return sliders.Sliders(trained.load_run(styled))


def rgb(values):
    """The colours [H, W, 3] of a canvas."""
    return np.array(values, np.uint8).reshape(SIZE, SIZE, 4)[..., :3]


def test_the_sliders_of_latents_are_a_walk_truncation_and_moves(of_latents):
    run = of_latents.run
    start, end = np.asarray(sampling.seed_latents(run.game, (4, 7)))
    second = semantic_directions(first_kernel(run.weights[0], 5), 2).vectors[1]
    point = 0.5 * latents.uniform_slerp(start[None], end[None], 0.25) - 0.75 * second
    condition = np.array([[0.25, 0, 0.75]], np.float32)
    expected = sampling.generate(run.game, run.generator, np.asarray(point, np.float32), condition)
    made = of_latents.images([Settings(4, 7, 0.25, 2, 0, 0.5, moves=(0, -0.75))])
    np.testing.assert_array_equal(made, to_uint8(expected))
    of_seed = sampling.choose_samples(run, seeds=(7,), classes=(1,)).draw(run.game, run.generator)
    np.testing.assert_allclose(of_latents.images([Settings(7, label=1)]), to_uint8(of_seed), atol=1)


def test_the_sliders_of_styles_mix_the_chosen_layers(of_styles):
    run = of_styles.run
    start, end = (
        np.asarray(run.game.styles(*run.weights, sampling.seed_latents(run.game, (seed,)), np.array([label])))
        for seed, label in ((4, 1), (7, 2))
    )
    assert of_styles.layers['coarse'] == (0, 1)
    mixed = mix(start, end, (0, 1))
    moved = np.where(np.arange(4)[:, None] < 2, 2 * of_styles.directions[1].vector, 0)
    halfway = run.with_generator(psi=0.5).game
    truncated = mix(*(halfway.styles(*run.weights, *seed_of(run, *which)) for which in ((4, 1), (7, 2))), (0, 1))
    for settings, styles in {
        Settings(4, 7, 1.0, 1, 2, layers='coarse'): mixed,
        Settings(4, 7, 1.0, 1, 2, layers='coarse', moves=(0, 2.0)): mixed + moved,
        Settings(4, 7, 1.0, 1, 2, psi=0.5, layers='coarse'): truncated,
    }.items():
        expected = to_uint8(run.game.synthesize(*run.weights, styles))
        np.testing.assert_allclose(of_styles.images([settings]), expected, atol=1)
    assert (to_uint8(run.game.synthesize(*run.weights, mixed)) != of_styles.images([Settings(4, label=1)])).any()


def seed_of(run, seed, label):
    return sampling.seed_latents(run.game, (seed,)), np.array([label])


def test_a_move_in_w_is_as_long_as_the_deviation_along_it(of_styles):
    run = of_styles.run
    drawn = sampling.fixed_latents(run.game, 256, 0)
    w = np.asarray(jax.jit(run.game.styles)(*run.weights, drawn, np.arange(256) % 3))[:, 0]
    for direction in of_styles.directions:
        length = np.linalg.norm(direction.vector)
        np.testing.assert_allclose(np.std(w @ direction.vector / length, ddof=1), length, rtol=1e-3)


@needs_browser
def test_the_page_with_a_sheet_shows_one_change_at_a_time(of_latents, tmp_path):
    sheet = explore_page.sheet_of(of_latents)
    page = explore_page.page('x', of_latents, 'explore x', {}, sheet)
    script = (
        PIXELS
        + """
    told.shown = [];
    const look = () => told.shown.push([canvas.dataset.shows, pixels()]);
    look();
    await put('class', 2); await put('seed', 1); await put('to', 3); await put('walk', 0.4); look();
    told.command = document.querySelector('.command code').textContent;
    await put('walk', 1); look();
    await put('psi', 0.25); look();
    await put('move1', -form.elements.move1.step * 2); look();
    told.walk = form.elements.walk.value;
    document.querySelector('[data-do=keep]').click();
    document.querySelector('[data-do=reset]').click(); look();
    document.querySelector('.kept button').click(); look();
    await put('to', 0); await put('walk', 0.8); document.querySelector('[data-do=play]').click();
    await pause(300);
    document.querySelector('[data-do=play]').click(); look();
    told.width = [document.documentElement.scrollWidth, innerWidth];
    """
    )
    told = in_browser(page, tmp_path, script, width=500)
    assert told['errors'] == []
    assert told['walk'] == '0'
    assert told['command'] == 'explore x --seed=1 --to=3 --walk=0.4 --class=2 --picture=picture.png'
    assert told['width'][0] <= told['width'][1]
    kept = Settings(1, label=2, moves=(0, -0.5))
    expected = [
        *(Settings(), Settings(1, 3, 0.4, 2), Settings(3, label=2), Settings(1, label=2, psi=0.25)),
        *(kept, Settings(1, label=2), kept, Settings(0, label=2)),  # the last by playing on from seed 1 to 0
    ]
    assert [image for image, _ in told['shown']][3] == '{"seed":"1","class":"2","psi":"0.25"}'
    everything = of_latents.images(list(sheet.settings.values())).astype(int)
    for (_, image), settings in zip(told['shown'], expected, strict=True):
        wanted = of_latents.images([settings])[0]
        distances = np.abs(everything - rgb(image)).mean((1, 2, 3))  # WebP changes pixels a little
        np.testing.assert_allclose(everything[distances.argmin()], wanted, atol=1)


@needs_browser
def test_the_served_page_follows_its_sliders_and_its_command_makes_the_picture(
    of_styles, styled, tmp_path, monkeypatch
):
    script = (
        PIXELS
        + """
    for (const [name, value] of [['seed', 5], ['to', 9], ['walk', 0.31], ['class', 1], ['to_class', 2], ['psi', 0.6],
      ['layers', 'middle'], ['move0', -1.5], ['move2', 2]]) await put(name, value);
    while (!canvas.dataset.shows?.includes('-1.5,0,2')) await fetch('/'); // the browser's clock does not wait for us
    told.pixels = pixels();
    told.command = document.querySelector('.command code').textContent;
    """
    )
    monkeypatch.chdir(tmp_path)
    command = f'python -m gan_jax.tools.explore {styled}'
    page = reporting(explore_page.page('x', of_styles, command, {}), script)
    server = make_server(explore.routes(of_styles, page), '127.0.0.1', 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server:
        told = visit(f'http://127.0.0.1:{server.server_address[1]}/', tmp_path)
        server.shutdown()
    assert told['errors'] == []
    words = shlex.split(told['command'])
    assert words[4:] == [
        *('--seed=5', '--to=9', '--walk=0.31', '--class=1', '--to_class=2', '--psi=0.6', '--layers=middle'),
        *('--moves=-1.5,0,2', '--picture=picture.png'),
    ]
    settings = Settings(5, 9, 0.31, 1, 2, 0.6, 'middle', (-1.5, 0, 2))
    np.testing.assert_array_equal(rgb(told['pixels']), np.repeat(of_styles.images([settings])[0], 3, -1))
    assert explore.main(words[3:]) == 0
    with Image.open('picture.png') as picture:
        np.testing.assert_array_equal(rgb(told['pixels'])[..., 0], np.asarray(picture))


def test_pictures_have_the_standing_statistics_of_the_config(tmp_path):
    options = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)', 'standing_statistics': '2'}
    workdir = save_untrained(tmp_path, 'configs/dcgan.py', (SIZE, SIZE, 1), None, **options)
    assert explore.main([str(workdir), '--threshold=1', f'--picture={tmp_path / "x.png"}']) == 0
    run = trained.load_run(workdir).standing(None, 1.0)
    sample = sampling.choose_samples(run, seeds=(0,), threshold=1.0).draw(run.game, run.generator)
    with Image.open(tmp_path / 'x.png') as picture:
        np.testing.assert_array_equal(np.asarray(picture), to_uint8(sample)[0, ..., 0])


def test_a_run_in_the_working_directory_has_its_name(told_classes, tmp_path, monkeypatch):
    monkeypatch.chdir(told_classes)
    assert explore.main(['.', f'--out={tmp_path / "x.html"}']) == 0
    assert f'<title>{told_classes.name}</title>' in (tmp_path / 'x.html').read_text()


def test_the_page_asks_for_classes_by_number_whatever_their_names(of_latents, monkeypatch):
    monkeypatch.setattr(of_latents, 'run', of_latents.run._replace(class_names=('1', '2', '0')))
    answer = explore.routes(of_latents, '')['GET', '/picture']
    _, png = answer({'class': '1'}, b'')
    assert png == report.png(of_latents.images([Settings(label=1)])[0])
    assert explore.read_settings(of_latents, {'class': '1'}) == Settings(label=0)  # of a command, the class named 1


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'walk': '1.5'}, r'walk is 1\.5; it must be from 0 to 1\.'),
        ({'psi': 'much'}, r'psi=much is not a number'),
        ({'size': '3'}, r"There is no slider 'size'"),
        ({'class': 'Bag'}, r"There is no class 'Bag'"),
        ({'layers': 'coarse'}, r'layers=coarse is for a style generator'),
        ({'moves': '1,2,3,4,5,6'}, r'The number of moves is 6; it must be at most 5\.'),
        ({'seed': '-1'}, r'A seed is -1'),
    ],
)
def test_a_slider_that_stands_where_it_cannot_is_told(of_latents, given, message):
    with pytest.raises(UserError, match=message):
        of_latents.images([explore.read_settings(of_latents, given)])


def test_the_command_says_what_it_cannot_do(told_classes, tmp_path, capsys):
    points = save_untrained(tmp_path / 'points', 'configs/toy.py:ring', (2,), None, **{'generator.widths': '(8,)'})
    taken = make_server({}, '127.0.0.1', 0)
    port = taken.server_address[1]
    with taken:
        for arguments, message in {
            (tmp_path,): 'is not the directory of a run',
            (
                points,
                '--picture',
                tmp_path / 'x.png',
            ): 'This run generates points; sliders need a run that',
            (
                told_classes,
                '--port',
                port,
            ): f'Port {port} of 127.0.0.1 cannot be listened on (Address already in use): give',
            (told_classes, '--out', tmp_path / 'x.png'): '; it must end in .html.',
        }.items():
            assert explore.main(list(map(str, arguments))) == 2
            assert message in capsys.readouterr().err
