"""The table, curves and files of an experiment."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import results
from gan_jax.records.metrics import MetricsFile

VALUES = {
    'plain': {'modes': [1, 2, 3], 'reverse KL': [1.0, 2.0, float('nan')]},
    'R1': {'modes': [8, 8, 8], 'reverse KL': [0.01, 0.02, 0.03]},
    'diverged': {'modes': [0, 0, 0], 'reverse KL': [float('nan')] * 3},
    'one seed': {'modes': [7]},
}


@pytest.fixture
def finished(tmp_path):
    metrics = MetricsFile(tmp_path / 'metrics.jsonl')
    for step, fid in ((10, 30.0), (20, 10.0), (30, 12.0)):
        metrics.write(step, step / 10, {'generator/loss': 1.0})
        metrics.write(step, step / 10, {'eval/fid': fid, 'eval/inception_score': fid, 'eval/unheard_of': fid})
    record = {'step': 30, 'metric': 'fid', 'value': 12.0, 'error': None, 'protocol': {'reals': 'ten', 'seed': 0}}
    MetricsFile(tmp_path / 'evaluations.jsonl').append(record)
    return results.read(tmp_path)


def test_table_by_hand():
    assert results.markdown(results.table(VALUES)) == (
        '| recipe | modes | reverse KL |\n'
        '| --- | ---: | ---: |\n'
        '| plain | 2.0 ± 1.0 | 1.50 ± 0.71 (2 of 3 seeds) |\n'
        '| R1 | 8.0 ± 0.0 | 0.0200 ± 0.0100 |\n'
        '| diverged | 0.0 ± 0.0 | none |\n'
        '| one seed | 7.0 | none |\n'
    )


def test_published_figures_stand_beside_ours():
    values = {'GAN': {'modes': [6, 8]}, 'R1': {'modes': [8, 8]}}
    published = {'GAN': {'paper: modes': '6.3 ± 0.5'}}
    assert results.table(values, published=published) == [
        ['recipe', 'modes', 'paper: modes'],
        ['GAN', '7.0 ± 1.4', '6.3 ± 0.5'],
        ['R1', '8.0 ± 0.0', ''],
    ]


def test_numbers_keep_three_digits():
    cells = [
        results.table({'a': {'x': [value]}})[1][1]
        for value in (123.4, 12.34, 1.234, 0.1234, 0.001234, 0.0001234, -1.5e-9, 0.0)
    ]
    assert cells == ['123', '12.3', '1.23', '0.123', '0.00123', '1.23e-04', '-1.50e-09', '0.0']


def test_final_and_best_value_of_a_run(finished):
    assert (finished.final('fid'), finished.best('fid')) == (12.0, 10.0)
    assert finished.best('inception_score') == 30.0
    assert finished.best('unheard_of') == 12.0
    assert np.isnan(finished.final('kid'))
    assert np.isnan(finished.best('kid'))
    np.testing.assert_array_equal(finished.curve('eval/fid')[0], [1.0, 2.0, 3.0])


def test_the_value_at_a_place_is_that_of_the_nearest_evaluation(finished):
    np.testing.assert_array_equal(finished.at('eval/fid', [0.1, 1.9, 9.0]), [30.0, 10.0, 12.0])
    assert float(finished.at('eval/fid', 1.4)) == 30.0
    assert np.isnan(finished.at('eval/kid', [1.0, 2.0])).tolist() == [True, True]


def test_a_value_that_was_not_finite_is_none(finished):
    MetricsFile(finished.workdir / 'metrics.jsonl').write(40, 4.0, {'eval/fid': float('nan')})
    assert results.read(finished.workdir).final('fid') == 12.0


def test_columns_and_protocols_of_arms(finished):
    arms = {'GAN': [finished, finished]}
    assert results.final_and_best(arms, ['fid', 'kid']) == {'GAN': {'fid': [12.0, 12.0], 'best fid': [10.0, 10.0]}}
    assert results.protocols(arms) == {'fid': "reals=ten; seed=the run's own"}
    arms |= {
        name: [finished._replace(protocols={'fid': "reals=nine; seed=the run's own"})] * 2 for name in ('WGAN', 'LSGAN')
    }
    assert results.protocols(arms) == {'fid': "seed=the run's own; reals=ten (GAN) / reals=nine (WGAN, LSGAN)"}


def test_seeds_that_diverged_are_named_under_the_table(tmp_path, finished):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/diverged.json').write_text('{"reason": "the loss became NaN in step 7"}')
    arms = {'GAN': [finished, results.read(tmp_path / 'run')]}
    values = results.final_and_best(arms, ['fid'])
    results.publish(tmp_path / 'out', 'GAN', 'Which?', values, arms, {'eval/fid': 'FID'}, protocols={'fid': 'of ten'})
    assert json.loads((tmp_path / 'out/results.json').read_text())['seeds'] == 2
    text = (tmp_path / 'out/table.md').read_text()
    assert '| GAN | 12.0 (1 of 2 seeds) |' in text
    assert '- fid: of ten\n- GAN, seed 1: stopped, because the loss became NaN in step 7;' in text


def test_a_run_that_recorded_nothing(tmp_path):
    run = results.read(tmp_path)
    assert (run.records, run.protocols) == ([], {})
    assert np.isnan([run.final('fid'), run.best('fid'), run.at('eval/fid', 1.0)]).all()


def test_pictures_and_page_of_arms_that_recorded_nothing(tmp_path):
    arms = {'GAN': [results.read(tmp_path)]}
    results.curves(tmp_path / 'curves.png', arms, {'eval/fid': 'FID'})
    values = {'GAN': {'fid': [float('nan')]}}
    results.page(tmp_path / 'page.html', 'GAN', 'Which?', values, arms=arms, names={'eval/fid': 'FID'})
    assert '<td>none</td>' in (tmp_path / 'page.html').read_text()


def test_the_first_file_is_that_of_the_first_seed_that_has_one(tmp_path):
    runs = [results.read(tmp_path / f'member-{i}') for i in range(3)]
    assert results.first_file(runs, 'samples.png') is None
    for run in runs[1:]:
        run.workdir.mkdir()
        (run.workdir / 'samples.png').touch()
    assert results.first_file(runs, 'samples.png') == tmp_path / 'member-1/samples.png'


def test_grids_side_by_side_are_grey_where_there_is_none():
    white = np.full((8, 8, 3), 255, np.uint8)
    left, right = np.split(results.side_by_side([white, None], columns=2), 2, axis=1)
    assert left.shape == (8 + 2 * 12, 8 + 1.5 * 12, 3)
    assert (left == 255).sum() == 3 * 64
    assert (right == 128).all()
    assert results.side_by_side([None, None], columns=2).shape[2] == 1


def test_the_extractor_is_that_of_the_protocol_or_the_config():
    config = ConfigDict({'evaluation': {'extractor': 'classifier'}})
    assert results.extractor({'fid': 'extractor=small (1); reals=ten'}, config) == 'extractor=small (1)'
    assert results.extractor({}, config) == 'extractor=classifier'


def test_written_record_has_every_seed_and_the_table_quotes_protocols(tmp_path):
    results.write(tmp_path, 'Modes', VALUES, {'protocols': {'modes': 'of 8'}, 'seeds': 3})
    record = json.loads((tmp_path / 'results.json').read_text())
    assert record['values']['plain']['reverse KL'] == [1.0, 2.0, None]
    assert record['seeds'] == 3
    text = (tmp_path / 'table.md').read_text()
    assert text.startswith('# Modes\n')
    assert text.endswith('- modes: of 8\n')


def test_curves_are_drawn_for_arms_of_unequal_length(tmp_path, finished):
    shorter = finished._replace(records=finished.records[:4])
    results.curves(tmp_path / 'curves.png', {'a': [finished, shorter], 'b': []}, {'eval/fid': 'FID'})
    drawn = (tmp_path / 'curves.png').read_bytes()
    assert drawn.startswith(b'\x89PNG')
    results.curves(tmp_path / 'more.png', {'a': [finished, shorter], 'b': []}, {'eval/kid': 'KID', 'eval/fid': 'FID'})
    assert (tmp_path / 'more.png').read_bytes() == drawn  # nobody measured the KID


def drawn_by_curves(monkeypatch, arms, names):
    figures = []
    monkeypatch.setattr(results, 'save_figure', lambda path, figure: figures.append(figure))
    results.curves('curves.png', arms, names)
    return figures[0]


def test_the_mean_of_curves_is_over_the_evaluations_that_every_seed_has(finished, monkeypatch):
    other = finished._replace(records=[one for one in finished.records if one.get('eval/fid') != 10.0])
    (axes,) = drawn_by_curves(monkeypatch, {'a': [finished, other]}, {'eval/fid': 'FID'}).axes
    (mean,) = (line for line in axes.lines if line.get_label() == 'a')
    np.testing.assert_array_equal(mean.get_xydata(), [[1.0, 30.0], [3.0, 12.0]])


def test_the_legend_has_an_arm_without_the_first_metric(finished, monkeypatch):
    other = finished._replace(records=[{'kimg': 1.0, 'eval/kid': 0.5}])
    figure = drawn_by_curves(monkeypatch, {'a': [finished], 'b': [other]}, {'eval/fid': 'FID', 'eval/kid': 'KID'})
    assert [text.get_text() for text in figure.axes[0].get_legend().texts] == ['a', 'b']


def test_more_arms_than_colours_are_told_apart(finished, monkeypatch):
    arms = {f'arm {i}': [finished, finished] for i in range(12)}
    figure = drawn_by_curves(monkeypatch, arms, {'eval/fid': 'FID'})
    (axes,) = figure.axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 12
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == [f'arm {i}' for i in range(12)]


def test_page_has_table_curves_and_protocols(tmp_path, finished):
    results.page(
        tmp_path / 'page.html',
        'GAN & <WGAN>',
        'Which is better?',
        {'GAN': {'fid': [12.0, 10.0]}},
        arms={'GAN': [finished, finished]},
        names={'eval/kid': 'KID', 'eval/fid': 'FID'},
        protocols={'fid': 'reals=ten'},
    )
    text = (tmp_path / 'page.html').read_text()
    assert '<h1>GAN &amp; &lt;WGAN&gt;</h1>' in text
    assert '11.0 ± 1.4' in text
    assert 'fid: reals=ten' in text
    assert '"ys": [30.0, 10.0, 12.0]' in text
    assert 'KID' not in text  # nobody measured it
