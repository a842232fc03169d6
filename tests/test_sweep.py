"""Arms times seeds: the command line, what is trained, what is kept, and what goes on."""

import pytest

from experiments import results, sweep
from gan_jax.errors import UserError
from tests import toy_experiments

TINY = [
    '--config.generator.widths=(8,)',
    '--config.discriminator.widths=(8,)',
    '--config.batch_size=8',
    '--config.duration=4 steps',
    '--config.log_every=2 steps',
    '--config.samples=4',
]
ARMS = {
    'plain': sweep.Arm('configs/mlp.py:digits'),
    'Hinge, slow': sweep.Arm('configs/mlp.py:digits', {'loss.name': 'hinge', 'schedule.name': 'linear'}),
}


@pytest.fixture(autouse=True)
def without_pages():
    with toy_experiments.without_pages():
        yield


def parse(tmp_path, *more):
    return sweep.parse('nothing', 'x', ['--seeds', '2', '--runs', str(tmp_path), *TINY, *more], some_arms=True)


def test_slug():
    assert sweep.slug('WGAN-GP, no batch norm (x10)') == 'wgan-gp-no-batch-norm-x10'


def test_overrides_reach_every_arm_and_count_more(tmp_path):
    options = parse(tmp_path, '--config.schedule.name=cosine')
    config = sweep.config_of(ARMS['Hinge, slow'], options)
    assert (config.loss.name, config.schedule.name, config.batch_size, config.population) == ('hinge', 'cosine', 8, 2)


def test_arms_end_where_overrides_begin():
    argv = ['--arms', 'one', 'another', '--config.duration=9 steps', '--seeds', '2']
    options = sweep.parse('any', '', argv, some_arms=True)
    assert (options.arms, options.overrides, options.seeds) == (('one', 'another'), {'duration': '9 steps'}, 2)


def test_kimg_of_a_recipe(tmp_path):
    assert sweep.kimg(sweep.config_of(ARMS['plain'], parse(tmp_path))) == 4 * 8 / 1000
    epochs = sweep.config_of(ARMS['plain'], parse(tmp_path, '--config.duration=2 epochs'))
    assert sweep.kimg(epochs) == 2 * 1500 / 1000


def test_an_arm_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"There is no arm 'plane'"):
        sweep.train(ARMS, parse(tmp_path, '--arms', 'plane'))


@pytest.mark.parametrize(
    ('argv', 'sentence'),
    [
        (['--config.x'], r"unknown argument --config.x; overrides of every arm are written --config.x.y='value'"),
        (['--sedes', '3'], 'unknown argument --sedes'),
        (['--seeds', '0'], 'argument --seeds: it is 0; it must be at least 1'),
    ],
)
def test_wrong_command_lines(argv, sentence, capsys):
    with pytest.raises(SystemExit):
        sweep.parse('nothing', 'x', argv)
    assert sentence in capsys.readouterr().err


def test_full_recipe_does_not_write_over_the_small_one():
    small, full = (sweep.parse('nothing', 'x', argv) for argv in ([], ['--full']))
    assert small.out == sweep.ROOT / 'experiments/nothing/results'
    assert small.runs != full.runs
    assert sweep.ROOT / 'experiments' not in full.out.parents


def test_an_experiment_without_full_recipes_has_no_flag_for_them(capsys):
    assert not sweep.parse('nothing', 'x', [], has_full=False).full
    with pytest.raises(SystemExit):
        sweep.parse('nothing', 'x', ['--full'], has_full=False)
    assert 'unknown argument --full' in capsys.readouterr().err


def test_settings_have_directories_of_their_own(capsys):
    first, second = (sweep.parse('nothing', 'x', argv, settings=('a', 'b')) for argv in ([], ['--setting', 'b']))
    assert (first.setting, second.setting) == ('a', 'b')
    assert first.out == sweep.ROOT / 'experiments/nothing/results/a'
    assert (second.runs, second.out.name) == (first.runs.parent / 'b', 'b')
    with pytest.raises(SystemExit):
        sweep.parse('nothing', 'x', ['--setting', 'c'], settings=('a', 'b'))
    assert "invalid choice: 'c'" in capsys.readouterr().err


def test_a_sweep_is_ordinary_runs_and_is_not_trained_twice(tmp_path, capsys):
    directories = sweep.train(ARMS, parse(tmp_path))
    assert [one.relative_to(tmp_path).as_posix() for one in directories['Hinge, slow']] == [
        'hinge-slow/member-0',
        'hinge-slow/member-1',
    ]
    finals = [results.read(one).records[-1] for paths in directories.values() for one in paths]
    assert [record['step'] for record in finals] == [4] * 4
    assert len({record['generator/loss'] for record in finals}) == 4
    capsys.readouterr()
    assert sweep.train(ARMS, parse(tmp_path)) == directories
    assert capsys.readouterr().out.count('This population is already finished (step 4 of 4).') == 2


def test_an_arm_that_diverges_does_not_stop_the_others(tmp_path, capsys):
    wild = {'generator_optimizer.name': 'sgd', 'generator_optimizer.learning_rate': '1e30'}
    arms = {'wild': ARMS['plain']._replace(overrides=wild), 'plain': ARMS['plain']}
    directories = sweep.train(arms, parse(tmp_path))
    assert 'became NaN or infinite' in capsys.readouterr().out
    assert results.read(directories['plain'][0]).records[-1]['step'] == 4


def test_a_wrong_override_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"the nearest name is 'generator\.widths'"):
        sweep.train(ARMS, parse(tmp_path, '--config.generator.width_s=3'))
