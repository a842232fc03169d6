"""The page of a run: parts of documents, what is read of a directory, its pictures, and the page in a browser."""

import base64
import io
import json
import types

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation import results
from gan_jax.evaluation.record import Evaluation, Record
from gan_jax.game import Player
from gan_jax.pages import charts, pictures, run_page, workdir
from gan_jax.pages import document as html
from gan_jax.records import report
from gan_jax.records.metrics import MetricsFile
from gan_jax.sampling import samples as sampling
from gan_jax.training.run import refresh_page
from tests.page_tools import HANDS, Tree, in_browser, make_run, needs_browser

NASTY = '</script><b>&"\''


def png(grey, size=(64, 64)):
    data = io.BytesIO()
    Image.fromarray(np.full(size, grey, np.uint8)).save(data, 'png')
    return data.getvalue()


def decoded(source):
    return Image.open(io.BytesIO(base64.b64decode(source.split('base64,')[1])))


# Documents


def test_a_document_is_one_file_in_which_no_text_can_break_out():
    chart = charts.Chart(NASTY, {NASTY: ([1, 2], [3, 4])})
    body = html.section(
        NASTY,
        html.paragraph(NASTY, 'small'),
        html.table([NASTY, 'b'], [[NASTY, 1]]),
        html.picture(png(3), NASTY),
        html.films({NASTY: [html.Frame(1, NASTY, png(1))], 'b': [html.Frame(2, '', png(2))]}),
        html.folded(NASTY, charts.chart(NASTY)),
    )
    tree = Tree(html.document(NASTY, body, charts={NASTY: chart}))
    assert tree.charts() == {
        NASTY: {
            'title': NASTY,
            'series': [{'label': NASTY, 'color': '#1f77b4', 'xs': [1, 2], 'ys': [3, 4]}],
            'logarithmic': False,
            'limits': None,
        }
    }
    assert tree.texts('title') == tree.texts('h1') == tree.texts('h2') == tree.texts('summary') == [NASTY]
    assert tree.texts('b') == []
    sources = [tag.get('src', tag.get('href', '')) for _, tag, _ in tree.tags]
    assert all(source.startswith('data:') for source in sources if source)
    assert not any('http' in style for style in tree.texts('style'))


def test_a_table_writes_numbers_for_people_and_marks_rows():
    tree = Tree(html.table(['name', 'value'], [['a', 12345], ['b', 0.000123456], ['c', None], ['d', True]], [1]))
    assert tree.texts('td') == ['a', '12,345', 'b', '0.0001235', 'c', '\N{EN DASH}', 'd', 'True']
    assert tree.all('tr') == [{}, {}, {'class': 'emphasised'}, {}, {}]
    assert [tag.get('class') for tag in tree.all('td')] == [None, 'number'] * 4
    numbers = {3: '3', np.int64(1500): '1,500', 12.3456: '12.35', 123456.7: '123,457', float('nan'): '\N{EN DASH}'}
    assert {value: html.number(value) for value in numbers} == numbers


def test_a_section_without_content_is_nothing():
    assert html.section('Title', '', '') == ''
    assert html.films({'a': []}) == ''


def test_what_a_chart_cannot_draw_is_null():
    values = [1.0, None, float('nan'), float('inf'), 0.0, -2.0, 0.123456789]
    one = charts.Chart('', {'a': (range(7), values)})
    for logarithmic, expected in ((False, [1, None, None, None, 0, -2, 0.12346]), (True, [1] + [None] * 5 + [0.12346])):
        page = html.document('', '', charts={'x': one._replace(logarithmic=logarithmic)})
        assert Tree(page).charts()['x']['series'][0]['ys'] == expected


def test_long_curves_and_films_keep_their_ends():
    page = html.document('', '', charts={'x': charts.Chart('', {'a': (range(100_001), [0.5] * 100_001)})})
    xs = Tree(page).charts()['x']['series'][0]['xs']
    assert (len(xs), xs[0], xs[-1]) == (2000, 0, 100_000)
    frames = [html.Frame(i, f'frame {i}', png(i, (4, 4))) for i in range(0, 202, 2)]
    tree = Tree(html.films({'a': frames}))
    places = [int(tag['data-at']) for tag in tree.all('img')]
    assert (len(places), places[:3], places[-1]) == (40, [0, 6, 10], 200)  # frames 0, 100 / 39, 200 / 39
    assert [tag['data-at'] for tag in tree.all('img') if 'hidden' not in tag] == ['200']
    assert tree.texts('figcaption') == ['frame 200']
    (films,) = (tag for tag in tree.all('div') if tag.get('class') == 'films')
    assert json.loads(films['data-stops']) == places
    assert tree.all('input')[0]['max'] == '39'


def test_a_picture_is_packed_where_that_makes_it_smaller(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    report.save_png(tmp_path / 'noise.png', noise.repeat(4, 0).repeat(4, 1))
    (packed,) = Tree(html.picture(tmp_path / 'noise.png')).all('img')
    assert packed['src'].startswith('data:image/webp;')
    assert decoded(packed['src']).size == (256, 256)
    assert 3 / 4 * len(packed['src']) < (tmp_path / 'noise.png').stat().st_size  # base64 takes 4 bytes for 3
    board = png(np.indices((64, 64)).sum(0) % 2 * 255)
    (kept,) = Tree(html.picture(board)).all('img')
    assert kept['src'] == f'data:image/png;base64,{base64.b64encode(board).decode()}'
    tall = png(3, (html.WIDEST_WEBP + 1, 4))  # WebP has no such side
    assert Tree(html.picture(tall)).all('img')[0]['src'] == f'data:image/png;base64,{base64.b64encode(tall).decode()}'
    report.save_png(tmp_path / 'noise.png', np.zeros((2, 2), np.uint8))  # a file that changes is read again
    assert decoded(Tree(html.picture(tmp_path / 'noise.png')).all('img')[0]['src']).size == (2, 2)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 31)  # Pillow opens no larger one, which is kept as it is
    (kept,) = Tree(html.picture(board)).all('img')
    assert kept['src'] == f'data:image/png;base64,{base64.b64encode(board).decode()}'


# What is read of a directory


def test_curves_have_every_metric_and_gaps(tmp_path):
    def metrics(step):
        return {'eval/fid': 90.0 / step} if step > 10 else {'generator/loss': float('nan'), 'dead': float('inf')}

    run = workdir.read(make_run(tmp_path / 'run', metrics=metrics))
    curves = workdir.curves(run)
    assert curves['generator/loss'] == ([1, 2, 3], [None, 2, 3])
    assert curves['eval/fid'] == ([2, 3], [4.5, 3])
    assert 'dead' not in curves


def test_learning_rates_are_those_of_the_schedule(tmp_path):
    overrides = ['schedule.name=linear', 'schedule.begin=0.5', 'generator_optimizer.learning_rate=0.4']
    run = workdir.read(make_run(tmp_path / 'run', overrides=[*overrides, 'discriminator_steps=3']))
    for player, rate in (('generator', 0.4), ('discriminator', 2e-4)):
        kimg, rates = workdir.curves(run)[f'{player}/learning_rate']
        assert kimg[0] == 0
        assert kimg[-1] == 3  # 30 steps of 100 images
        expected = np.interp(kimg, [0, 1.5, 3], [rate, rate, 0])
        np.testing.assert_allclose(rates, expected, rtol=1e-6, atol=1e-8)


def test_the_time_is_that_of_all_starts(tmp_path):
    run = workdir.read(make_run(tmp_path / 'run'))
    assert workdir.seconds(run) == 0
    timing = [{'seconds': 2.0}, {'seconds': 10.0, 'images_per_second': 5.0}, {'seconds': 11.0}, {'seconds': 1.0}]
    assert workdir.seconds(run._replace(timing=timing)) == 10 + 11 + 1


def test_keys_that_differ_from_the_defaults(tmp_path):
    base = workdir.read(make_run(tmp_path / 'base')).config
    other = ['loss.name=hinge', 'generator_optimizer.b1=0.25', 'augment.name=diffaugment', 'generator.widths=(8,)']
    config = workdir.read(make_run(tmp_path / 'run', overrides=other)).config
    assert workdir.changed(config) - workdir.changed(base) == {
        'loss.name',
        'generator_optimizer.b1',
        'augment.name',
        'generator.widths',
    }
    assert {'batch_size', 'duration'} <= workdir.changed(base)
    assert 'discriminator_optimizer.b1' not in workdir.changed(base)


def test_names_of_runs(tmp_path):
    assert workdir.read(make_run(tmp_path / 'a' / 'run')).name == 'run'
    assert workdir.read(make_run(tmp_path / 'a' / 'member-3')).name == 'a/member-3'
    with pytest.raises(UserError, match=rf'^{tmp_path}/b is not the directory of a run: its config.json and run.json'):
        workdir.read(tmp_path / 'b')


# Pages


def test_a_page_tells_what_was_trained_and_how_it_went(tmp_path):
    path = make_run(tmp_path / 'run', overrides=['loss.name=hinge'], metrics=lambda step: {'eval/fid': 90 / step})
    report.save_png(path / 'real.png', np.zeros((4, 4), np.uint8), 'real images of digits')
    report.save_png(path / 'interpolation.png', np.zeros((4, 4), np.uint8))
    MetricsFile(path / 'timing.jsonl').write(30, 3.0, {'seconds': 61.0, 'images_per_second': 50.0})
    assert run_page.write(path) == path / 'report.html'
    page = (path / 'report.html').read_text()
    tree = Tree(page)
    assert tree.texts('h1') == ['run']
    assert tree.texts('h2') == [
        *('Health', 'Samples', 'Curves', 'Evaluations', 'Neighbours and interpolation', 'What was trained')
    ]
    assert 'mlp on 1,500 examples of digits (8x8x1, unconditional): step 30 of 30, finished.' in page
    cells = tree.texts('td')
    for name, value in {
        'generator': '1,234,567 parameters',
        'hardware': '2 x abacus (pmap)',
        'versions': 'jax 0.0.1',
        'cost so far': '3,000 images in 61 s of wall clock (50 images/s while training)',
        'loss.name': 'hinge',
        'fid': '3',
    }.items():
        assert cells[cells.index(name) + 1] == value
    charts = tree.charts()
    assert list(charts) == ['loss', 'gradient_norm', 'fid', 'learning_rate']
    assert [series['label'] for series in charts['loss']['series']] == ['discriminator', 'generator']
    assert [series['color'] for series in charts['loss']['series']] == ['#1f77b4', '#ff7f0e']
    assert charts['gradient_norm']['logarithmic'] is True
    assert charts['fid']['series'] == [{'label': 'FID', 'color': '#1f77b4', 'xs': [1, 2, 3], 'ys': [9, 4.5, 3]}]
    assert [tag['data-chart'] for tag in tree.all('div') if 'data-chart' in tag] == list(charts)
    images = tree.all('img')
    assert [tag.get('data-at') for tag in images] == ['1.0', '2.0', '3.0', None, None]
    greys = [np.asarray(decoded(tag['src']).convert('L')).mean() for tag in images[:3]]
    np.testing.assert_allclose(greys, [10, 20, 30], atol=1)
    captions = tree.texts('figcaption')
    assert captions[:2] == ['step 30, 3 thousand images', 'real images of digits']
    assert captions[2].startswith('Each row interpolates from one class to the next')


def test_a_run_that_has_nothing_yet_says_so(tmp_path):
    page = run_page.page(workdir.read(make_run(tmp_path / 'run', steps=())))
    assert 'step 0 of 30, 0 % of the run.' in page
    assert 'There are no samples yet.' in page
    assert 'There are no metrics yet.' in page
    assert Tree(page).charts() == {}


def test_a_torn_line_is_passed_over_and_a_damaged_file_named(tmp_path):
    path = make_run(tmp_path / 'run')
    with open(path / 'metrics.jsonl', 'a') as file:
        file.write('{"step": 40, "kim')
    page = run_page.page(workdir.read(path))
    assert 'damaged' not in page
    assert Tree(page).charts()['loss']['series'][0]['xs'] == [1, 2, 3]
    with open(path / 'metrics.jsonl', 'a') as file:
        file.write('\n')
    page = run_page.page(workdir.read(path))
    assert f'{path}/metrics.jsonl is damaged: line 4 is not a record and is skipped.' in page
    assert Tree(page).charts()['loss']['series'][0]['xs'] == [1, 2, 3]
    assert len(Tree(page).all('img')) == 3


def test_nasty_names_stay_text(tmp_path):
    path = make_run(tmp_path / 'run', overrides=[f'data.name=folder:/{NASTY}'])
    page = run_page.page(workdir.read(path, NASTY))
    assert Tree(page).texts('h1') == [NASTY]
    assert Tree(page).texts('b') == []
    assert 'caf?' in html.document('caf\udce9', '')  # as Python has the name of a file in another encoding


# Pictures


def dataset(examples, labels=None):
    return Dataset('digits', 'train', examples, labels, 3, '')


def test_nearest_rows_are_found_part_by_part(monkeypatch):
    rng = np.random.default_rng(0)
    examples, fakes = (rng.integers(0, 256, (n, 4, 4, 1), np.uint8) for n in (50, 3))
    fakes[1] = examples[23]
    searched = np.arange(1, 50, 2)
    monkeypatch.setattr(pictures, '_CHUNK', 8)  # the last of 1
    differences = fakes[:, None].astype(float) - examples[None, searched].astype(float)
    expected = searched[(differences**2).sum((2, 3, 4)).argsort(1)[:, :3]]
    found = pictures.nearest_rows(examples, searched, fakes, 3)
    np.testing.assert_array_equal(found, expected)
    assert found[1, 0] == 23


def test_a_sample_is_shown_beside_its_copies(tmp_path, monkeypatch):
    examples = np.repeat(np.arange(0, 200, 10, dtype=np.uint8), 4).reshape(20, 2, 2, 1)
    fakes = np.full((1, 2, 2, 1), 52 / 127.5 - 1, np.float32)
    pictures.save_neighbours(tmp_path / 'x.png', fakes, dataset(examples), 0)
    with Image.open(tmp_path / 'x.png') as image:
        grid = np.asarray(image)
        assert image.info['Description'].endswith('by the Euclidean distance of pixels, among 20.')
    middles = grid[grid.shape[0] // 2, np.linspace(0, grid.shape[1], 17).astype(int)[1::2]]
    assert middles.tolist() == [52, 50, 60, 40, 70, 30, 80, 20]
    monkeypatch.setattr(pictures, '_MOST_VALUES', 4 * 10)
    pictures.save_neighbours(tmp_path / 'x.png', fakes, dataset(examples), 0)
    with Image.open(tmp_path / 'x.png') as image:
        assert image.info['Description'].endswith('among 10 of 20.')


def test_real_images_are_laid_out_as_the_samples_are(tmp_path):
    examples = np.repeat(np.arange(30, dtype=np.uint8), 4).reshape(30, 2, 2, 1)
    data = dataset(examples, np.arange(30, dtype=np.int32) % 3 * 2 % 5)  # classes 0, 2, 4
    samples = sampling.Samples(np.zeros((6, 5)), np.repeat([0, 1, 2], 2), 2)
    pictures.save_reals(tmp_path / 'x.png', data, samples, 0)
    layout = report.image_grid(np.zeros((6, 2, 2, 1), np.uint8), 2)
    grid = np.asarray(Image.open(tmp_path / 'x.png'))
    assert grid.shape == layout.shape[:2]
    rows = [grid[round(grid.shape[0] * (i + 0.5) / 3), [grid.shape[1] // 4, 3 * grid.shape[1] // 4]] for i in range(3)]
    assert (rows[0] % 3 == 0).all()
    assert (rows[1] == 0).all()  # nobody is of class 1
    assert (rows[2] % 3 == 1).all()
    pictures.save_reals(tmp_path / 'y.png', dataset(examples[:4]), sampling.Samples(np.zeros((9, 5)), None, None), 0)
    assert Image.open(tmp_path / 'y.png').size == report.image_grid(np.zeros((9, 2, 2, 1), np.uint8)).shape[:2]


def test_an_interpolation_goes_from_one_sample_to_another(tmp_path):
    # A generator that shows the angle of a latent in the plane: on a great circle it moves at a constant speed.
    angles = np.linspace(0, np.pi / 2, 16)

    def sample(params, variables, latents, conditions):
        import jax.numpy as jnp

        angle = jnp.arctan2(latents[:, 1], latents[:, 0])
        return (angle / (np.pi / 4) - 1)[:, None, None, None] * jnp.ones((1, 2, 2, 1))

    def latents(key, positions):
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)[np.asarray(positions)].astype(np.float32)

    game = types.SimpleNamespace(latents=latents, sample=sample, codes=None)
    pictures.save_interpolation(tmp_path / 'x.png', game, Player({}, {}, None, None), 0, 'normal', (2, 2, 1))
    grid = np.asarray(Image.open(tmp_path / 'x.png')).astype(float)
    places = np.linspace(0, len(grid), 17).astype(int)[1::2]
    expected = 255 * (np.arange(8)[:, None] / 15 + np.arange(8) / 7 * 8 / 15)  # row i from angle i to angle i + 8
    np.testing.assert_allclose(grid[np.ix_(places, places)], expected, atol=1)


def test_points_have_no_pictures_of_images(tmp_path):
    data = Dataset('ring', 'train', np.zeros((9, 2), np.float32), None, None, '')
    pictures.save_reals(tmp_path / 'x.png', data, sampling.Samples(np.zeros((4, 2)), None, None), 0)
    pictures.save_neighbours(tmp_path / 'x.png', np.zeros((4, 2), np.float32), data, 0)
    pictures.save_interpolation(tmp_path / 'x.png', None, None, 0, 'normal', (2,))
    assert list(tmp_path.iterdir()) == []


def test_rows_of_classes_have_their_names(tmp_path):
    conditional = ['generator.conditioning=embedding', 'discriminator.conditioning=embedding', 'samples=4']
    path = make_run(tmp_path / 'run', overrides=conditional)
    report.save_png(path / 'real.png', np.zeros((4, 4), np.uint8))
    tree = Tree(run_page.page(workdir.read(path)))
    assert tree.texts('span') == ['0', '1', '2', '3'] * 2  # rows for the first four of ten
    facts = json.loads((path / 'run.json').read_text())
    facts['data'] |= {'classes': 2, 'class_names': [NASTY, 'b']}
    (path / 'run.json').write_text(json.dumps(facts))
    page = run_page.page(workdir.read(path))
    assert Tree(page).texts('span') == [NASTY, 'b'] * 2
    assert ' (8x8x1, conditional on 2 classes): ' in page
    facts['data'] |= {'classes': 31, 'class_names': None}
    (path / 'run.json').write_text(json.dumps(facts))
    tree = Tree(html.picture(path / 'real.png', '', workdir.read(path).classes))
    assert tree.texts('span') == []  # too many to be beside the rows
    assert tree.texts('p')[0].startswith('0, 1, 2, ')


def test_evaluations_of_the_mode_are_shown(tmp_path):
    path = make_run(tmp_path / 'run')
    for step, seed in ((20, 1), (9, 0)):
        one = Record('kid', step / 1000, 0.001, 'x', {'reals': '10', 'rule': 'a rule', 'extractor': 'none'}, number=500)
        results.report(Evaluation([one], []), path / 'evaluation' / f'step{step:07d}-seed{seed}.json')
    tree = Tree(run_page.page(workdir.read(path)))
    assert tree.texts('h3') == ['By --mode eval']
    cells = tree.texts('td')
    assert cells[:12] == ['kid', '0.009', '0.001', '500', '9', '0', 'kid', '0.02', '0.001', '500', '20', '1']
    assert 'kid: reals=10; rule=a rule; extractor=none' in tree.texts('p')
    (path / 'evaluation' / 'step0000009-seed0.json').write_text('?')
    page = run_page.page(workdir.read(path))
    assert 'step0000009-seed0.json is not the result of an evaluation' in page
    assert Tree(page).texts('td')[4] == '20'


def test_curves_have_the_wasserstein_estimate_and_no_meaningless_probabilities(tmp_path):
    names = ('accuracy', 'real_probability', 'real_loss', 'fake_loss')
    values = dict(zip((f'discriminator/{name}' for name in names), (0.5, 0.5, -7.0, 4.0), strict=True))
    for loss, kept in (('wasserstein', ()), ('hinge', names[:1]), ('logistic', names[:2])):
        run = workdir.read(
            make_run(tmp_path / loss, overrides=[f'loss.name={loss}'], metrics=lambda step: values | {'x': step})
        )
        found = workdir.curves(run)
        assert {f'discriminator/{name}' for name in kept} == found.keys() & {f'discriminator/{n}' for n in names[:2]}
        estimate = found.get('discriminator/wasserstein_estimate')
        assert estimate == (([1, 2, 3], [3, 3, 3]) if loss == 'wasserstein' else None)  # 7 on real, 4 on fake examples
    parts = run_page.charts(run)['parts']
    assert list(parts.series) == ['on real examples', 'on fake examples']


def test_clocks_know_steps_and_hours_over_all_starts(tmp_path):
    path = make_run(tmp_path / 'run')
    run = workdir.read(path)
    assert workdir.clock(run) == {'step': ([0, 3], [0, 30])}
    timing = [{'kimg': 1, 'seconds': 36.0}, {'kimg': 2, 'seconds': 72.0, 'images_per_second': 5.0}]
    timing += [{'kimg': 3, 'seconds': 36.0}]
    assert workdir.clock(run._replace(timing=timing))['hours'] == ((0, 1, 2, 3), pytest.approx((0, 0.01, 0.02, 0.03)))


# In a browser


@needs_browser
def test_the_page_moves(tmp_path):
    path = make_run(tmp_path / 'run', metrics=lambda step: {'eval/fid': 9.0} if step > 10 else {})
    script = (
        HANDS
        + """
    const visible = () => [...document.querySelectorAll('.film img')].filter((one) => !one.hidden);
    const slider = document.querySelector('.films input');
    told.shown = [];
    for (const place of [2, 0, 1]) {
      slider.value = place;
      slider.dispatchEvent(new Event('input'));
      told.shown.push([visible().length, visible()[0].dataset.at, document.querySelector('figcaption').textContent]);
    }
    document.querySelector('.films button').click();
    await pause(2000);
    told.played = [visible()[0].dataset.at, document.querySelector('.films button').textContent];
    told.colors = [...document.querySelectorAll('canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let blue = 0;
      for (let i = 0; i < data.length; i += 4) blue += data[i] === 31 && data[i + 1] === 119 && data[i + 2] === 180;
      return blue;
    });
    told.before = ranges();
    mouse('mousemove', 2 / 3);
    told.legend = document.querySelector('.u-legend').textContent;
    await drag(0.25, 0.75);
    told.zoomed = ranges();
    mouse('dblclick', 0.5);
    await pause(100);
    told.reset = ranges();
    told.wide = document.documentElement.scrollWidth <= innerWidth;
    """
    )
    told = in_browser(run_page.page(workdir.read(path)), tmp_path, script)
    assert told['errors'] == []
    assert told['shown'] == [
        [1, '3.0', 'step 30, 3 thousand images'],
        [1, '1.0', 'step 10, 1 thousand images'],
        [1, '2.0', 'step 20, 2 thousand images'],
    ]
    assert told['played'] == ['3.0', 'Play']  # on from the second to the last, and stopped
    # Blue curves: the discriminator's loss, the FID; that of the learning rate lies under the generator's.
    assert np.greater(told['colors'], 50).tolist() == [True, False, True, False]
    assert told['before'] == told['reset'] == [[0, 3]] * 4
    assert told['legend'] == 'kimg2discriminator0.5generator2'
    assert np.allclose(told['zoomed'], [[0.75, 2.25]] * 4, atol=0.02)
    assert told['wide']


@needs_browser
def test_curves_have_controls_and_pictures_are_enlarged(tmp_path):
    path = make_run(tmp_path / 'run', metrics=lambda step: {'eval/fid': 9.0} if step > 10 else {})
    for step, seconds in ((10, 36.0), (20, 72.0), (30, 144.0)):
        speed = {'images_per_second': 5.0} if step > 10 else {}
        MetricsFile(path / 'timing.jsonl').write(step, step / 10, {'seconds': seconds, **speed})
    script = (
        HANDS
        + """
    const plot = (name) => document.querySelector(`[data-chart="${name}"]`).plot;
    const set = (id, values) => {
      Object.assign(document.getElementById(id), values);
      document.getElementById(id).dispatchEvent(new Event('input'));
    };
    const legend = () => plot('loss').root.querySelector('.u-legend').textContent;
    told.axes = [...document.querySelectorAll('#axis option')].map((one) => one.textContent);
    told.last = legend();
    told.xs = [];
    for (const axis of ['step', 'hours']) {
      set('axis', { value: axis });
      told.xs.push([...plot('loss').data[0]]);
    }
    await pause(50);
    told.ranges = ranges();
    told.label = plot('loss').axes[0].label;
    set('smoothing', { value: 0.5 });
    told.smooth = [...plot('loss').data[2]];
    told.shown = document.querySelector('output').textContent;
    set('logarithmic', { checked: true });
    told.log = [plot('loss').scales.y.distr, plot('gradient_norm').scales.y.distr];
    const clicked = [];
    HTMLAnchorElement.prototype.click = function () { clicked.push([this.download, this.href]); };
    URL.createObjectURL = (blob) => { told.blob = blob; return 'blob:x'; };
    document.getElementById('csv').click();
    told.csv = [...clicked[0], await told.blob.text()];
    document.querySelector('.film img:not([hidden])').click();
    const large = document.querySelector('dialog img');
    told.large = [document.querySelector('dialog').open, large.getBoundingClientRect().height / innerHeight];
    large.click();
    told.closed = document.querySelector('dialog').open;
    document.querySelector('.u-title').click();
    await pause(200);
    told.wide = [plot('loss').height, plot('loss').width > 1000];
    """
    )
    told = in_browser(run_page.page(workdir.read(path)), tmp_path, script)
    assert told['errors'] == []
    assert told['axes'] == ['images (thousands)', 'steps', 'training time (hours)']
    assert told['last'] == 'kimg3discriminator0.5generator3'  # the last values, where nobody hovers
    np.testing.assert_allclose(told['xs'], [[10, 20, 30], [0.01, 0.02, 0.04]])
    assert told['label'] == 'training time (hours)'
    np.testing.assert_allclose(told['ranges'], [[0, 0.04]] * len(told['ranges']))
    np.testing.assert_allclose(told['smooth'], [1, 5 / 3, 17 / 7])  # (1/2 + 2) / (3/2), (1/4 + 2/2 + 3) / (7/4)
    assert told['shown'] == '0.5'
    assert told['log'] == [3, 3]
    name, link, text = told['csv']
    assert (name, link) == ('run.csv', 'blob:x')
    header, *lines = text.splitlines()
    assert header.startswith(
        'kimg,step,hours,"Loss: discriminator","Loss: generator","Gradient norm: generator","FID",'
    )
    rows = {float(line.split(',')[0]): line.split(',')[1:] for line in lines}
    np.testing.assert_allclose([float(cell) for cell in rows[2][:6]], [20, 0.02, 0.5, 2, 200, 9])
    assert rows[1][5] == ''  # it was not evaluated yet
    assert told['large'][0]
    assert told['large'][1] > 0.9
    assert not told['closed']
    assert told['wide'] == [480, True]


@needs_browser
def test_the_page_fits_a_narrow_window(tmp_path):
    path = make_run(tmp_path / 'run')
    script = (
        'told.page = document.documentElement.scrollWidth; told.chart = document.querySelector("canvas").offsetWidth;'
    )
    page = run_page.page(workdir.read(path))
    told = in_browser(page.replace('<body>', '<body style="width: 400px">'), tmp_path, script, width=500)
    assert told['errors'] == []
    assert told['page'] <= 500
    assert 300 < told['chart'] <= 400


def test_a_page_that_cannot_be_made_does_not_stop_training(tmp_path):
    directory = make_run(tmp_path / 'run')
    (directory / 'run.json').write_text('[]')
    with pytest.warns(UserWarning, match=r'report\.html could not be written: .*run\.json is damaged'):
        refresh_page(directory)
