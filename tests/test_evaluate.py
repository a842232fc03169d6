"""`python -m gan_jax.evaluate` on files of any origin; runs are evaluated in test_train."""

import json
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gan_jax.errors import UserError
from gan_jax.evaluate import _evaluate_run, main, name_and_split
from gan_jax.evaluation import results
from gan_jax.evaluation.record import Failure
from gan_jax.sampling.trained import TrainedRun

EXTRACTOR = '--extractor=tests.extractors:QUADRANTS'


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 2, 2, 1)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    np.savez(tmp_path / 'real.npz', images)
    np.savez(tmp_path / 'dark.npz', images=images // 2)
    (tmp_path / 'folder').mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / 'folder' / f'{i}.png')
    return tmp_path


def evaluate(files, *arguments, output='out.json'):
    code = main([EXTRACTOR, *map(str, arguments), '--output', str(files / output)])
    return code, json.loads((files / output).read_text()) if (files / output).exists() else None


def test_files_are_judged_by_files_and_the_result_is_a_table_and_json(files, capsys):
    code, records = evaluate(files, files / 'dark.npz', files / 'real.npz', '--metrics', 'fid,precision_recall')
    assert code == 0
    assert [record['metric'] for record in records] == ['fid', 'precision', 'recall']
    assert records[0]['value'] > 0.01
    assert records[0]['protocol']['reals'].startswith('40 of real.npz all 8x8x1')
    output = capsys.readouterr().out
    assert f'{records[0]["value"]:.6g}' in output
    assert 'extractor: quadrants (version 1)' in output


def test_a_directory_of_the_same_images_is_the_same(files):
    code, records = evaluate(files, files / 'folder', files / 'real.npz', '--metrics=fid,kid')
    assert code == 0
    assert records[0]['value'] == pytest.approx(0, abs=1e-12)


@pytest.fixture
def mixed(files):
    """A directory of the same images in several sizes."""
    with np.load(files / 'real.npz') as archive:
        quarters = archive['arr_0'][:, ::4, ::4, 0]
    (files / 'mixed').mkdir()
    for i, image in enumerate(quarters):
        Image.fromarray(image.repeat(1 + i % 3, 0).repeat(2 + i % 5, 1)).save(files / 'mixed' / f'{i}.png')
    return files / 'mixed'


def test_images_of_several_sizes_go_straight_to_the_size_of_the_extractor(files, mixed, capsys):
    resizing = '--extractor=tests.extractors:RESIZED_QUADRANTS'
    for fakes, reals in (('mixed', 'real.npz'), ('real.npz', 'mixed'), ('mixed', 'mixed')):
        code, records = evaluate(files, files / fakes, files / reals, resizing, '--metrics=fid,kid,sliced_wasserstein')
        assert code == 2
        fid, kid, failed = records
        assert fid['value'] == pytest.approx(0, abs=1e-9)
        assert kid['value'] < 0
        several = "sliced_wasserstein needs images of one size, but those of 'folder:"
        assert failed['failure'].startswith(several)
        assert failed['failure'].endswith('): set a size to resize them to, such as --size 64.')
    assert fid['protocol']['fakes'] == '40 images of several sizes'
    assert f'40 of folder:{mixed} train of several sizes in grey (' in fid['protocol']['reals']
    code, records = evaluate(files, files / 'dark.npz', mixed, resizing, '--metrics=fid')
    assert (code, len(records)) == (0, 1)
    assert records[0]['value'] > 0.01


def test_images_of_several_sizes_are_refused_before_the_work_where_nothing_brings_them_to_one(files, mixed, capsys):
    for arguments, sentence in (
        ([mixed, files / 'real.npz'], "The extractor quadrants needs images of one size, but those of 'folder:"),
        ([mixed, files / 'real.npz', '--channels=3'], 'are of several sizes in colour and those of'),
    ):
        assert evaluate(files, *arguments, '--metrics=fid') == (2, None)
        assert sentence in capsys.readouterr().err
    assert evaluate(files, mixed, files / 'real.npz', '--metrics=fid', '--size=8')[0] == 0


def test_a_path_may_begin_with_a_tilde_and_hold_an_at(files, monkeypatch):
    monkeypatch.setenv('HOME', str(files))
    (files / 'folder').rename(files / 'me@home')
    for fakes in ('~/me@home', 'folder:~/me@home', f'folder:{files}/me@home@train'):
        code, records = evaluate(files, fakes, '~/real.npz', '--metrics=fid')
        assert code == 0
        assert records[0]['value'] == pytest.approx(0, abs=1e-12)
    code, records = evaluate(files, f'folder:{files}/me@home@train[:30]', files / 'real.npz', '--metrics=fid')
    assert records[0]['protocol']['fakes'] == '30 images'


@pytest.mark.parametrize(
    ('spec', 'parts'),
    [
        ('mnist', ('mnist', 'train')),
        ('mnist@test[:100]', ('mnist', 'test[:100]')),
        ('folder:/a@b', ('folder:/a@b', 'train')),
        ('captioned:/a@b', ('captioned:/a@b', 'train')),
        ('clip_maps:/a@b@train[:9]', ('clip_maps:/a@b', 'train[:9]')),
        ('folder:/a@b/c@train', ('folder:/a@b/c', 'train')),
        ('folder:/a@train/c', ('folder:/a@train/c', 'train')),
        ('unpaired:digits,blended:digits@test', ('unpaired:digits,blended:digits', 'test')),
        ('unpaired:folder:/a@b,paired:/c', ('unpaired:folder:/a@b,paired:/c', 'train')),
        ('stacked:folder:/a@b@train[:9]', ('stacked:folder:/a@b', 'train[:9]')),
        ('clips:/a@b', ('clips:/a@b', 'train')),
        ('captioned_shapes@test', ('captioned_shapes', 'test')),
    ],
)
def test_a_split_stands_behind_a_name(spec, parts):
    assert name_and_split(spec) == parts


@pytest.mark.parametrize(
    ('shape', 'size', 'channels'),
    [
        ((28, 28, 1), 28, 1),
        ((20, 30, 3), None, 3),
        ((2,), None, None),
        ((64, 3), 64, None),
        ((32, 32, 32, 1), 32, None),
        ((16, 24, 24, 3), 24, 3),
    ],
)
def test_other_data_get_the_shape_of_the_samples(shape, size, channels, monkeypatch):
    """Of images, points, point clouds, solids and clips."""
    section = ConfigDict({'data': {'name': 'own', 'split': 'train'}, 'evaluation': {'split': None}})
    run, asked = TrainedRun(section, 0, None, None, shape, None), {}

    def load_images(spec, **options):
        asked.update(options)
        raise UserError('enough')

    monkeypatch.setattr(sys.modules['gan_jax.evaluate'], 'load_images', load_images)
    with pytest.raises(UserError, match='enough'):
        _evaluate_run('run', run, 'other@test', 10, 0, 'auto', None, {'metrics': []})
    assert asked == {'size': size, 'channels': channels, 'data_dir': None}


def test_two_results_are_compared_if_they_may_be(files, capsys):
    for name, fakes, reals in (('a', 'dark', 'real'), ('b', 'real', 'real'), ('c', 'dark', 'dark')):
        evaluate(files, files / f'{fakes}.npz', files / f'{reals}.npz', '--metrics=fid', output=f'{name}.json')
    capsys.readouterr()
    assert main([str(files / 'a.json'), str(files / 'b.json')]) == 0
    assert 'not comparable' not in capsys.readouterr().out
    assert main([str(files / 'a.json'), str(files / 'c.json')]) == 0
    assert 'not comparable: reals (40 of real.npz' in capsys.readouterr().out


def test_a_metric_that_fails_leaves_the_others_and_is_named_in_json_and_by_the_exit_code(files, capsys):
    with np.load(files / 'real.npz') as archive:
        np.savez(files / 'five.npz', archive['arr_0'][:5])
    code, records = evaluate(files, files / 'five.npz', files / 'real.npz')
    assert code == 2
    values = [record['metric'] for record in records if 'value' in record]
    assert values == ['fid', 'kid', 'precision', 'recall', 'density', 'coverage']
    (failed,) = [record for record in records if 'failure' in record]
    assert failed['metric'] == 'inception_score'
    assert failed['failure'].startswith('5 images cannot be divided into 10 splits')
    output = capsys.readouterr()
    assert f'{records[0]["value"]:.6g}' in output.out
    sentence = 'gan_jax: Some metrics could not be computed; the others are written. inception_score of five.npz all: '
    assert sentence + failed['failure'] in output.err
    assert results.read(files / 'out.json').failures == [Failure(**failed)]


def test_a_record_names_the_fakes_and_their_number(files):
    _, (one,) = evaluate(files, files / 'dark.npz', files / 'real.npz', '--metrics= fid ')
    _, (same,) = evaluate(files, files / 'dark.npz', files / 'real.npz', '--metrics=fid')
    _, (other,) = evaluate(files, files / 'folder', files / 'real.npz', '--metrics=fid')
    assert one['number'] == other['number'] == 40
    assert one['fingerprint'] == same['fingerprint'] != other['fingerprint']


def test_constants_of_the_metrics_have_flags(files):
    flags = ['--kid_subsets=7', '--kid_subset_size=20', '--kid_seed=3', '--batch_size=16', '--precision_recall_k=2']
    code, records = evaluate(files, files / 'dark.npz', files / 'real.npz', '--metrics=kid,precision_recall', *flags)
    assert code == 0
    assert '7 subsets of 20 by RandomState(3)' in records[0]['protocol']['rule']
    assert records[1]['protocol']['rule'].startswith('k=2, ')


def test_metrics_of_pixels_ask_for_no_extractor(files):
    arguments = [str(files / 'dark.npz'), str(files / 'real.npz'), '--metrics=sliced_wasserstein']
    assert main([*arguments, '--output', str(files / 'out.json')]) == 0
    record = results.read(files / 'out.json').records[0]
    assert record.protocol['extractor'] == 'none'
    assert record.value > 0


def test_extractors_are_named_for_what_the_images_allow(files, capsys):
    """Files and images without classes are nothing that a classifier can be trained of."""
    for reals, extractor, wanted in (
        ('real.npz', 'auto', 'name the classifier of similar images, as "classifier:NAME"'),
        ('folder', 'auto', 'name the classifier of similar images, as "classifier:NAME"'),
        ('real.npz', 'classifier', "A classifier of 'real.npz' cannot be trained"),
    ):
        arguments = [str(files / 'folder'), str(files / reals), f'--extractor={extractor}']
        assert main([*arguments, '--output', str(files / 'out.json')]) == 2
        error = capsys.readouterr().err
        assert wanted in error
        assert 'tools.train_classifier' not in error


@pytest.mark.parametrize(
    'content',
    ['', '[]', '{}', '5', '[1]', '[{"metric": "fid"}]', '[{"failure": 1}]', '\x00', '[' * 100_000],
)
def test_a_json_file_of_something_else_is_compared_with_nothing(files, content, capsys):
    evaluate(files, files / 'dark.npz', files / 'real.npz', '--metrics=fid')
    (files / 'other.json').write_text(content)
    capsys.readouterr()
    assert main([str(files / 'out.json'), str(files / 'other.json')]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert ('is not the result of an evaluation' in error) == (content != '[]')
    assert ('no metric in common: fid; none.' in error) == (content == '[]')


@pytest.mark.parametrize('field', ['value', 'error', 'protocol', 'subject', 'interval', 'number', 'fingerprint', 'new'])
def test_a_record_with_a_wrong_field_is_no_record(files, field, capsys):
    _, records = evaluate(files, files / 'dark.npz', files / 'real.npz', '--metrics=fid')
    records[0][field] = [{}]
    (files / 'other.json').write_text(json.dumps(records))
    assert main([str(files / 'out.json'), str(files / 'other.json')]) == 2
    assert f"is not the result of an evaluation ('{field}' is [{{}}])" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['real.npz', 'dark.npz', '--num=50'], '--num has no effect here: it applies to samples of a run, and '),
        (['folder', 'real.npz', '--step=3'], '--step has no effect here: it applies to samples of a run'),
        (['folder', 'real.npz', '--seed=0'], '--seed has no effect here: it applies to samples of a run'),
        (['real.npz', 'dark.npz', '--size=8'], '--size has no effect here: it does not apply to images stored'),
        (['real.npz', 'dark.npz', '--channels=1'], '--channels has no effect here'),
        (
            ['folder', 'real.npz', '--data_dir=x'],
            '--data_dir has no effect here: it is the directory of TFDS data sets',
        ),
        (['real.npz', 'dark.npz', '--metrics=fid', '--kid_seed=1'], 'kid_seed is an option of kid, which is not among'),
        (['a.json', 'b.json', '--metrics=fid'], '--metrics has no effect here: it does not change earlier'),
        (['a.json', 'b.json', '--kid_seed=0'], '--kid_seed has no effect here'),
        (['a.json'], 'a.json is an earlier result: name a second result to compare it with.'),
        (['a.json', 'real.npz'], 'a.json is not the result of an evaluation'),
        (
            ['real.npz', 'dark.npz', '--metrics=ms_ssim'],
            '--extractor has no effect here: it is not used, because these',
        ),
        (['real.npz', 'dark.npz', '--metrics='], "--metrics is ''; it must be names of metrics, of fid, "),
        (['real.npz', 'dark.npz', '--bootstrap=-1'], '--bootstrap is -1; it must be from 0 to 1000000.'),
        (['real.npz', 'dark.npz', '--batch_size=3'], 'batch_size is 3; it must be a multiple of the 8 devices'),
        (['real.npz', 'small.npz'], 'convert both to the same size and number of channels.'),
        (['folder', 'small.npz'], 'convert both by --size and --channels, such as --size 4 --channels 1.'),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(files, arguments, sentence, capsys):
    np.savez(files / 'small.npz', np.zeros((9, 4, 4, 1), np.uint8))
    paths = [argument if argument.startswith('--') else str(files / argument) for argument in arguments]
    output = [] if paths[0].endswith('.json') else [EXTRACTOR, '--output', str(files / 'out.json')]
    assert main([*paths, *output]) == 2
    assert sentence in capsys.readouterr().err
    assert not (files / 'out.json').exists()


@pytest.mark.parametrize(
    ('flag', 'value', 'wanted'),
    [
        ('num', '1', 'from 2 to 10000000.'),
        ('num', '100000000000', 'from 2 to 10000000.'),
        ('seed', '4294967296', 'from 0 to 4294967295.'),
    ],
)
def test_numbers_that_no_run_can_be_sampled_with_are_refused(files, flag, value, wanted, capsys):
    (files / 'run.json').write_text('{}')
    assert main([str(files), f'--{flag}', value]) == 2
    assert f'--{flag} is {value}; it must be {wanted}' in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_found_before_the_work(files, monkeypatch, capsys):
    monkeypatch.setattr('gan_jax.evaluate.evaluate', lambda *_, **__: pytest.fail('it works'))
    for output in (files, files / 'real.npz' / 'out.json'):
        assert main([str(files / 'dark.npz'), str(files / 'real.npz'), EXTRACTOR, '--output', str(output)]) == 2
        error = capsys.readouterr().err
        assert f'{output} cannot be written' in error
        assert 'checkpoint' not in error


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (
            ['real.npz'],
            'is not the directory of a run, so real images are required: name a data set or directory to compare '
            'it with.',
        ),
        (['real.npz', 'gone.npz'], 'cannot be read as a NumPy file'),
        (['real.npz', 'no_such_data'], 'no_such_data'),
        (['real.npz', 'digits@tset'], 'tset'),
        (['real.npz', 'ring'], 'ring has points, not images as fid needs'),
        (['real.npz', 'real.npz', '--metrics=fdi'], "There is no metric 'fdi': did you mean 'fid'"),
        (['real.npz', 'real.npz', '--metrics=FID'], "There is no metric 'FID': did you mean 'fid'"),
        (['real.npz', 'real.npz', '--extractor=xception'], "There is no extractor 'xception': write auto, inception"),
        (['real.npz', 'real.npz', '--extractor=json:dumps'], 'json:dumps is not a gan_jax'),
        (['real.npz', 'real.npz', '--extractor=no.such:thing'], 'cannot be imported'),
        (['real.npz', 'real.npz', '--extractor=:'], "There is no extractor ':': write auto, inception"),
        (['real.npz', 'real.npz', '--extractor=.a:c'], "There is no extractor '.a:c': write auto, inception"),
        (['real.npz', 'real.npz', '--extractor=a..b:c'], "There is no extractor 'a..b:c': write auto, inception"),
        (['real.npz', 'real.npz', '--extractor=a:'], "There is no extractor 'a:': write auto, inception"),
        (['real.npz', 'real.npz', '--extractor=inception:foo'], "There is no resize rule 'foo': did you mean"),
        (['real.npz', 'real.npz', '--extractor=inception:tf1:100'], 'The tap is 100; it must be one of 64, 192'),
        (['real.npz', 'real.npz', '--extractor=inception'], 'tools.convert_inception'),
        (['real.npz', 'real.npz', '--extractor=classifier:mnist'], 'tools.train_classifier mnist'),
        (['real.npz', 'real.npz', '--extractor=auto'], 'There is no feature extractor for'),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(files, arguments, sentence, capsys):
    paths = [str(files / argument) if argument.endswith('.npz') else argument for argument in arguments]
    extractor = [] if any('extractor' in argument for argument in arguments) else [EXTRACTOR]
    assert main([*paths, *extractor, '--output', str(files / 'out.json')]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('gan_jax: ')]
    assert sentence in line
    assert not (files / 'out.json').exists()


def test_a_module_with_a_mistake_of_its_own_is_one_sentence(files, monkeypatch, capsys):
    (files / 'own_extractors.py').write_text('E = 1 / 0')
    monkeypatch.syspath_prepend(str(files))
    arguments = [str(files / 'dark.npz'), str(files / 'real.npz'), '--extractor=own_extractors:E']
    assert main([*arguments, '--output', str(files / 'out.json')]) == 2
    assert 'cannot be imported (ZeroDivisionError: division by zero)' in capsys.readouterr().err
