"""Populations: every member is the run of its own config trained alone."""

import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from gan_jax import config, data
from gan_jax.errors import DivergedError, UserError
from gan_jax.sampling import sample_files
from gan_jax.train import train, train_population
from gan_jax.training.population import Program, make_population
from tests import toy_experiments

pytestmark = pytest.mark.usefixtures('quick_curves')

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'batch_size': '16',
    'duration': '20 steps',
    'log_every': '5 steps',
    'sample_every': '10 steps',
    'checkpoint_every': '10 steps',
    'samples': '4',
    'latents.size': '8',
    'generator.widths': '(16,)',
    'discriminator.widths': '(16,)',
    'parallel.devices': '1',
    'data.flip': 'True',
    'evaluate': 'fid',
    'evaluate_every': '10 steps',
    'evaluation.samples': '50',
    'evaluation.extractor': 'tests.extractors:QUADRANTS',
}
SEEDS = {'population': '3', 'seed': '3', 'sample_every': '20 steps'}
# A critic that nothing bounds: at a learning rate of 1000 it overflows within ten steps.
UNBOUNDED = {'loss.name': 'wasserstein', 'discriminator_optimizer.name': 'sgd'}
RATE = 'discriminator_optimizer.learning_rate'


def small_config(**overrides):
    return config.load(str(ROOT / 'configs' / 'mlp.py'), SMALL | overrides)


def lines(directory):
    return [json.loads(line) for line in (directory / 'metrics.jsonl').read_text().splitlines()]


def assert_same(directory, alone):
    assert len(lines(directory)) == len(lines(alone))
    for one, other in zip(lines(directory), lines(alone), strict=True):
        assert one == pytest.approx(other, rel=2e-4, abs=1e-5)


@pytest.fixture(scope='module')
def seeds(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('seeds')
    return workdir, train_population(small_config(**SEEDS), workdir)


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('alone')
    with toy_experiments.without_pages():
        return workdir, train(small_config(seed='4'), workdir)


def test_a_member_is_the_run_of_its_seed(seeds, alone):
    assert_same(seeds[0] / 'member-1', alone[0])
    for one, other in zip(jax.tree.leaves(seeds[1][1].generator), jax.tree.leaves(alone[1].generator), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    finals = [
        [line['generator/loss'] for line in lines(seeds[0] / f'member-{i}') if 'generator/loss' in line][-1]
        for i in range(3)
    ]
    assert len(set(finals)) == 3
    judged = [[line['eval/fid'] for line in lines(seeds[0] / f'member-{i}') if 'eval/fid' in line] for i in range(3)]
    assert [len(values) for values in judged] == [2] * 3
    assert len({tuple(values) for values in judged}) == 3


def test_members_at_once_are_members_one_after_the_other():
    options = small_config(population='4')
    dataset = data.load('digits', size=16)
    results = []
    for vectorized in (True, False):
        program = Program(make_population(options), dataset, None, vectorized)
        with program.open([(0, 5)]) as blocks:
            results.append(program.stretch(5)(program.start(), *next(blocks), np.int32(0), np.int32(5)))
    for one, other in zip(*map(jax.tree.leaves, [metrics for _, metrics in results]), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5)


def test_a_members_directory_is_that_of_a_run(seeds, tmp_path):
    member = tmp_path / 'pulled-out'
    shutil.copytree(seeds[0] / 'member-2', member)
    assert (member / 'samples.png').exists()
    pictures = sample_files.sample_workdir(member, num=3)
    assert len(list(pictures.glob('0*.png'))) == 3
    train(small_config(seed='5', duration='25 steps'), member, accept_config_changes=True)
    assert lines(member)[-1]['step'] == 25


@pytest.mark.parametrize(
    ('key', 'values'),
    [
        ('generator_optimizer.learning_rate', '1e-4,1e-3'),
        pytest.param('discriminator_optimizer.b1', '0.0,0.9', marks=pytest.mark.slow),
        pytest.param('penalties.r1.weight', '0.1,10', marks=pytest.mark.slow),
    ],
)
def test_a_member_is_the_run_with_its_value(tmp_path, key, values):
    with toy_experiments.without_pages():
        train_population(small_config(vary=f'{key}={values}', duration='10'), tmp_path)
        train(small_config(duration='10', **{key: values.split(',')[1]}), tmp_path / 'alone')
    assert_same(tmp_path / 'member-1', tmp_path / 'alone')
    assert json.loads((tmp_path / 'member-1' / 'config.json').read_text())['vary'] == ''


def test_a_population_goes_on_where_all_of_it_was_saved(seeds, tmp_path):
    for i in range(3):
        shutil.copytree(seeds[0] / f'member-{i}', tmp_path / f'member-{i}')
    for i in (0, 2):  # as if it had been killed between two members' checkpoints
        shutil.rmtree(tmp_path / f'member-{i}' / 'checkpoints' / '20')
    train_population(small_config(**SEEDS), tmp_path)
    for i in range(3):
        kept = (seeds[0] / f'member-{i}' / 'metrics.jsonl').read_text()
        assert (tmp_path / f'member-{i}' / 'metrics.jsonl').read_text() == kept


def test_a_member_that_diverges_is_given_up_and_the_others_go_on(tmp_path, capsys):
    train_population(small_config(**UNBOUNDED, vary=f'{RATE}=1e-4,1000', duration='10'), tmp_path)
    assert 'member-1: ' in capsys.readouterr().out
    assert lines(tmp_path / 'member-0')[-1]['step'] == 10
    assert not (tmp_path / 'member-1' / 'checkpoints' / '10').exists()
    pages = [(tmp_path / f'member-{i}' / 'report.html').read_text() for i in range(2)]
    assert ['The run was given up' in page for page in pages] == [False, True]
    before = (tmp_path / 'member-0' / 'metrics.jsonl').read_text()
    again = small_config(**UNBOUNDED, vary=f'{RATE}=1e-4,1000', duration='15')
    train_population(again, tmp_path, accept_config_changes=True)  # goes on from step 10 without the lost one
    assert (tmp_path / 'member-0' / 'metrics.jsonl').read_text().startswith(before)
    assert lines(tmp_path / 'member-0')[-1]['step'] == 15


@pytest.mark.slow  # one member that diverged, and a run that did, have fast tests
def test_a_population_of_which_all_diverged_is_not_trained_again_unasked(tmp_path):
    wild = small_config(**UNBOUNDED, vary=f'{RATE}=900,1000', duration='10')
    with pytest.raises(DivergedError, match='became NaN or infinite'):
        train_population(wild, tmp_path)
    states = sorted((tmp_path / 'member-0').rglob('*'))
    with pytest.raises(DivergedError, match=r'all members in .* have diverged before: choose another --workdir'):
        train_population(wild, tmp_path)
    assert sorted((tmp_path / 'member-0').rglob('*')) == states
    calm = small_config(**UNBOUNDED, vary=f'{RATE}=1e-4,1e-3', duration='10')
    train_population(calm, tmp_path, accept_config_changes=True)
    assert [lines(tmp_path / f'member-{i}')[-1]['step'] for i in range(2)] == [10, 10]


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        ({'vary': 'batch_size=1,2'}, 'only floating-point numbers can differ between members.'),
        ({'vary': 'generator_optimizer.learning_rate=a,b'}, "write 'KEY=VALUE,VALUE,...'"),
        ({'vary': 'generator_optimizer.learning_rat=1,2'}, "no key 'generator_optimizer.learning_rat'"),
        ({'vary': 'flip_labels=0.0,0.1', 'population': '3'}, 'population is 3, but vary has 2 values'),
    ],
)
def test_an_impossible_population_gets_one_sentence(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        make_population(small_config(**overrides))


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        (
            {'vary': 'discriminator.dropout=0.1,0.2'},
            r'vary names discriminator\.dropout, which determines the compiled',
        ),
        ({'vary': 'discriminator_optimizer.clip_norm=0.0,1.0'}, 'which switches clipping off for one member only:'),
    ],
)
def test_what_cannot_share_a_program_gets_one_sentence(tmp_path, overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        train_population(small_config(**overrides), tmp_path)


def test_members_without_a_step_in_common_are_not_started_anew(seeds, tmp_path):
    for i in range(3):
        shutil.copytree(seeds[0] / f'member-{i}', tmp_path / f'member-{i}')
    for i, step in ((0, '20'), (1, '10')):
        shutil.rmtree(tmp_path / f'member-{i}' / 'checkpoints' / step)
    with pytest.raises(UserError, match='have no readable checkpoint of a common step: continue'):
        train_population(small_config(**SEEDS), tmp_path)


def test_a_run_is_not_a_population(tmp_path):
    with pytest.raises(UserError, match='it must be given to train_population'):
        train(small_config(population='2'), tmp_path)
