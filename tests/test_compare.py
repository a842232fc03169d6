"""The page of several runs, and its command."""

import json

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.pages.metrics_table import summary
from gan_jax.pages.workdir import read
from gan_jax.records import report
from gan_jax.records.metrics import MetricsFile
from tests.page_tools import HANDS, Tree, in_browser, make_run, needs_browser
from tools.compare import compare, main


@pytest.fixture
def runs(tmp_path):
    """Two runs: 'a/x' with FIDs 9, 4.5 and 3, 'b/x' with 10, 2 and NaN, and steps of their own."""

    def falling(step):
        return {'eval/fid': 90 / step, 'eval/ms_ssim': 0.5}

    def restless(step):
        return {'eval/fid': {5: 10.0, 20: 2.0, 25: float('nan')}[step], 'discriminator/r1': 1.0}

    first = make_run(tmp_path / 'a' / 'x', metrics=falling)
    second = make_run(
        tmp_path / 'b' / 'x', (5, 20, 25), ['loss.name=hinge', 'evaluate=fid', 'seed=3'], metrics=restless
    )
    for path, protocol in ((first, {'seed': 0, 'reals': '10'}), (second, {'seed': 3, 'reals': '10'})):
        record = {'metric': 'fid', 'value': 1.0, 'error': None, 'protocol': protocol}
        MetricsFile(path / 'evaluations.jsonl').append({'step': 20, **record})
    return first, second


def test_best_values_follow_the_metrics_direction(runs):
    first, second = map(read, runs)
    assert summary(first, 'eval/fid') == (3, 30, 3, 30)
    assert summary(second, 'eval/fid') == (2, 20, 2, 20)
    assert summary(first, 'eval/ms_ssim') == (0.5, 30, None, None)  # as diverse as real images is best
    records = [{'step': step, 'eval/inception_score': value} for step, value in ((1, 2.0), (2, 3.0), (3, 1.0))]
    assert summary(first._replace(metrics=records), 'eval/inception_score') == (1, 3, 3, 2)


def test_runs_are_laid_over_each_other(runs, tmp_path):
    page = compare(runs, tmp_path / 'c.html').read_text()
    tree = Tree(page)
    assert tree.texts('h1') == ['Comparison of 2 runs']
    charts = tree.charts()
    assert [chart['title'] for chart in charts.values()] == [
        *('FID', 'MS-SSIM', 'Loss: discriminator', 'Loss: generator', 'Gradient norm: generator'),
        *('Learning rate: discriminator', 'Learning rate: generator', 'R1: discriminator'),
    ]
    assert charts['eval/fid']['series'] == [
        {'label': 'a/x', 'color': '#1f77b4', 'xs': [1, 2, 3], 'ys': [9, 4.5, 3]},
        {'label': 'b/x', 'color': '#ff7f0e', 'xs': [0.5, 2, 2.5], 'ys': [10, 2, None]},
    ]
    assert charts['discriminator/r1']['series'][0]['color'] == '#ff7f0e'  # a run's own colour everywhere
    assert tree.texts('h3') == ['a/x', 'b/x']
    (films,) = (tag for tag in tree.all('div') if tag.get('class') == 'films')
    assert json.loads(films['data-stops']) == [0.5, 1, 2, 2.5, 3]


def test_what_matters_comes_first(runs, tmp_path):
    tree = Tree(compare(runs, tmp_path / 'c.html').read_text())
    assert tree.texts('h2') == ['Evaluations', 'Samples', 'Differences of the configs', 'Curves']
    rows = [row[0] for row in table_rows(tree)]
    keys = [key for key in rows if key in ('seed', 'loss.name', 'loss.real_label')]
    assert keys == ['loss.name', 'seed', 'loss.real_label']  # which only one of them has
    assert not any('different data' in text for text in tree.texts('p'))


def test_a_run_that_diverged_says_so(runs, tmp_path):
    (runs[1] / 'diverged.json').write_text('{"reason": "x became NaN in step 26"}')
    row = next(row for row in table_rows(Tree(compare(runs, tmp_path / 'c.html').read_text())) if row[0] == 'b/x')
    assert row[1].endswith('83 % of the run. Diverged and stopped: x became NaN in step 26.')


def test_other_data_are_told_above_all(runs, tmp_path):
    facts = json.loads((runs[1] / 'run.json').read_text())
    facts['data'] |= {'name': 'mnist', 'examples': 60000, 'class_names': ['a', 'b'], 'fingerprint': 'cafe1234'}
    (runs[1] / 'run.json').write_text(json.dumps(facts))
    assert Tree(compare(runs, tmp_path / 'c.html').read_text()).texts('p')[0] == (
        'a/x and b/x were trained on different data: name (digits -> mnist), examples (1500 -> 60000), fingerprint '
        '(f46f04ab -> cafe1234). Their samples and losses are not comparable.'
    )


@needs_browser
def test_grids_have_one_scale(tmp_path):
    """An example is as wide in a grid of 8 columns as in one of 4 whose rows have names."""
    conditional = ['generator.conditioning=embedding', 'discriminator.conditioning=embedding', 'samples=40']
    runs = [make_run(tmp_path / 'a'), make_run(tmp_path / 'b', overrides=conditional)]
    script = """
    told.widths = [...document.querySelectorAll('.film')].map((film) =>
      film.querySelector('img:not([hidden])').getBoundingClientRect().width);
    told.wide = document.documentElement.scrollWidth <= innerWidth;
    """
    for width in (1400, 500):
        told = in_browser(compare(runs, tmp_path / 'c.html').read_text(), tmp_path, script, width=width)
        assert told['wide']
        np.testing.assert_allclose(told['widths'][0], 2 * told['widths'][1], rtol=0.01)


def table_rows(tree, emphasised=None):
    """The rows of all tables, as texts."""
    rows = []
    for name, attributes, text in tree.tags:
        if name == 'tr':
            rows.append((attributes.get('class') == 'emphasised', []))
        elif name in ('td', 'th'):
            rows[-1][1].append(text)
    return [cells for marked, cells in rows if emphasised is None or marked == emphasised]


def test_tables_of_metrics_and_of_what_differs(runs, tmp_path):
    tree = Tree(compare(runs, tmp_path / 'c.html').read_text())
    rows = table_rows(tree)
    assert ['loss.name', 'non_saturating', 'hinge'] in rows
    assert ['seed', '0', '3'] in rows
    assert not [row for row in rows if row[0] == 'evaluate']  # how a run is judged makes no other run
    assert ['fid', 'a/x', '3', '30', '3', '30'] in rows
    assert table_rows(tree, emphasised=True) == [['fid', 'b/x', '2', '20', '2', '20']]


def test_what_was_measured_differently_has_no_best(runs, tmp_path):
    record = {'metric': 'fid', 'value': 1.0, 'error': None, 'protocol': {'seed': 3, 'reals': '99'}}
    MetricsFile(runs[1] / 'evaluations.jsonl').append({'step': 25, **record})
    unmeasured = make_run(tmp_path / 'c' / 'x')
    tree = Tree(compare([unmeasured, *runs], tmp_path / 'c.html').read_text())
    assert table_rows(tree, emphasised=True) == []
    assert 'fid: a/x and b/x are not comparable: reals (10 -> 99).' in tree.texts('p')


def test_the_command(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(runs[0]), str(runs[1])]) == 0
    assert capsys.readouterr().out == 'Open compare.html\n'
    assert (tmp_path / 'compare.html').exists()
    assert main([str(runs[0])]) == 0
    assert capsys.readouterr().out == f'Open {runs[0]}/report.html\n'
    assert Tree((runs[0] / 'report.html').read_text()).texts('h1') == ['x']


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ([], 'There are no runs: give their directories.'),
        (['a/x', 'a/../a/x'], 'a/../a/x is given twice: give each run once.'),
        (['a/x', 'c'], 'c is not the directory of a run: its config.json and run.json cannot be read; give the '),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(arguments, sentence, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        compare(arguments)
    assert str(error.value).startswith(sentence)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f'gan_jax: {sentence}')
    assert not (tmp_path / 'compare.html').exists()


@needs_browser
def test_films_and_charts_go_together(runs, tmp_path):
    script = (
        HANDS
        + """
    const slider = document.querySelector('.films input');
    told.shown = [];
    for (const place of [0, 1, 3, 4]) {
      slider.value = place;
      slider.dispatchEvent(new Event('input'));
      told.shown.push([...document.querySelectorAll('.film img')].filter((one) => !one.hidden).map((one) => one.alt));
    }
    told.before = ranges();
    await drag(0.25, 0.75);
    told.zoomed = ranges();
    told.data = document.querySelector('[data-chart="eval/fid"]').plot.data;
    mouse('mousemove', 0.5);
    told.legend = document.querySelector('[data-chart="eval/fid"] .u-legend').textContent;
    told.wide = document.documentElement.scrollWidth <= innerWidth;
    """
    )
    told = in_browser(compare(runs, tmp_path / 'c.html').read_text(), tmp_path, script)
    assert told['errors'] == []
    ten, twenty, thirty = (f'step {step}, {step // 10} thousand images' for step in (10, 20, 30))
    other = [f'step {step}, {step / 10:g} thousand images' for step in (5, 20, 25)]
    assert told['shown'] == [[ten, other[0]], [ten, other[0]], [twenty, other[2]], [thirty, other[2]]]
    assert len(told['before']) == 8
    assert told['before'] == [[0, 3]] * 8
    assert np.allclose(told['zoomed'], [[0.75, 2.25]] * 8, atol=0.02)
    assert told['data'][0] == [0.5, 1, 2, 2.5, 3]
    assert told['data'][2] == [10, None, 2, None, None]
    assert told['wide']


def test_a_page_has_the_name_of_one(tmp_path):
    run = make_run(tmp_path / 'run')
    with pytest.raises(UserError, match=r'--output is .*pyproject\.toml; it must end in \.html\.'):
        compare([run], tmp_path / 'pyproject.toml')


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


DAMAGE = {
    'torn': lambda path: path.write_bytes(path.read_bytes()[:50]),
    'none': lambda path: path.write_bytes(b'no picture'),
    'empty': lambda path: path.write_bytes(b''),
    'flipped': flip,
}


@pytest.mark.parametrize('damage', DAMAGE.values(), ids=DAMAGE)
def test_damaged_pictures_are_named_and_left_out(tmp_path, damage):
    run, other = make_run(tmp_path / 'run'), make_run(tmp_path / 'other')
    report.save_png(run / 'real.png', np.full((60, 60, 1), 9, np.uint8))
    grid, real = run / 'samples' / '00000020.png', run / 'real.png'
    damage(grid)
    damage(real)
    page = Tree(compare([run]).read_text())
    assert [text for text in page.texts('p') if 'is not a complete picture and is skipped: delete it.' in text] == [
        f'{path} is not a complete picture and is skipped: delete it.' for path in (grid, real)
    ]
    assert len(page.all('img')) == 2  # of steps 10 and 30
    page = Tree(compare([run, other], tmp_path / 'page.html').read_text())
    assert f'{grid} is not a complete picture and is skipped: delete it.' in page.texts('p')
    assert len(page.all('img')) == 2 + 3


@pytest.mark.parametrize('name', ['config.json', 'run.json'])
@pytest.mark.parametrize('content', ['[]', 'null', '5', '{}', '{"data": 3}', '{"data": {"shape": 3}}', 'torn {', None])
def test_a_damaged_description_is_one_sentence(tmp_path, name, content):
    run, other = make_run(tmp_path / 'run'), make_run(tmp_path / 'other')
    (run / name).unlink()
    if content is None:
        (run / name).mkdir()
    else:
        (run / name).write_text(content)
    for paths in ([run], [run, other]):
        with pytest.raises(UserError, match=rf'^{run}/{name} (is damaged: |cannot be read \(Is a directory\))'):
            compare(paths, tmp_path / 'page.html')
