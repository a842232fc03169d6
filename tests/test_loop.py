"""The loop over a run, which is a population of one, and over more members: stopped and killed, and diverging."""

import itertools
import json
import pathlib
import re
import shutil
import signal

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax import config
from gan_jax.errors import DivergedError, InterruptedRunError
from gan_jax.records import report
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.train import train, train_population
from gan_jax.training.member import Member
from tests.contents import contents, differences

pytestmark = pytest.mark.usefixtures('quick_curves')

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'batch_size': '8',
    'duration': '20 steps',
    'log_every': '5 steps',
    'sample_every': '10 steps',
    'checkpoint_every': '5 steps',
    'checkpoints.keep_last': '1',
    'samples': '4',
    'latents.size': '4',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'parallel.devices': '1',
}
# A critic that nothing bounds: at a learning rate of 1000 it overflows within ten steps.
UNBOUNDED = {'loss.name': 'wasserstein', 'discriminator_optimizer.name': 'sgd'}
RATE = 'discriminator_optimizer.learning_rate'


class KilledError(BaseException):
    """Ends a run from inside, as no handler of the program's own expects."""


def start(workdir, members=1, accept=False, **overrides):
    options = config.load(str(ROOT / 'configs' / 'mlp.py'), SMALL | {'population': str(members)} | overrides)
    return (train if members == 1 else train_population)(options, workdir, accept_config_changes=accept)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """{number of members: directory} of what nothing disturbed, in stretches as long as they may be."""
    root = tmp_path_factory.mktemp('undisturbed')
    for members in (1, 2):
        start(root / str(members), members)
    return {members: root / str(members) for members in (1, 2)}


def stop_at_look(monkeypatch, number):
    """A signal is seen at the `number`-th look of the loop."""
    looks = itertools.count()

    class Stop:
        def __init__(self, when):
            self.when = when

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        @property
        def received(self):
            return signal.SIGTERM if next(looks) == number else None

    monkeypatch.setattr('gan_jax.train.StopSignals', Stop)


@pytest.mark.parametrize('members', [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_stop_inside_a_line_of_metrics_loses_no_step_of_it(undisturbed, tmp_path, monkeypatch, members):
    stop_at_look(monkeypatch, 13)
    what = 'run' if members == 1 else 'population'
    with pytest.raises(InterruptedRunError, match=f'Interrupted; the {what} is saved at step 13 of 20. Run'):
        start(tmp_path, members, stretch_seconds='0.0')  # a step in each stretch
    one = tmp_path if members == 1 else tmp_path / 'member-1'
    assert [json.loads(line)['step'] for line in (one / 'metrics.jsonl').read_text().splitlines()] == [5, 10]
    monkeypatch.undo()
    start(tmp_path, members)
    assert differences(tmp_path, undisturbed[members]) == []


def killed_in(monkeypatch, method, number):
    """Ends the run when a method of a member is called for the `number`-th time."""
    calls, original = itertools.count(), getattr(Member, method)

    def wrapped(self, *arguments, **options):
        if next(calls) == number:
            raise KilledError
        return original(self, *arguments, **options)

    monkeypatch.setattr(Member, method, wrapped)


@pytest.mark.parametrize(
    ('method', 'number'),
    [
        pytest.param('save', 1, marks=pytest.mark.slow),  # between the first checkpoints of two members
        pytest.param('save', 5, marks=pytest.mark.slow),  # between two later ones
        pytest.param('look', 3, marks=pytest.mark.slow),  # between the last samples of two members
        ('_draw_interpolation', 1),  # among the last pictures of a member
    ],
)
def test_a_population_killed_anywhere_ends_as_if_it_had_not_been(undisturbed, tmp_path, monkeypatch, method, number):
    killed_in(monkeypatch, method, number)
    with pytest.raises(KilledError):
        start(tmp_path, 2)
    monkeypatch.undo()
    start(tmp_path, 2)
    assert differences(tmp_path, undisturbed[2]) == []


def test_a_population_whose_pictures_are_missing_gets_them_and_others_stay(undisturbed, tmp_path, capsys):
    workdir = tmp_path / 'run'
    shutil.copytree(undisturbed[2], workdir)
    (workdir / 'member-0' / 'report.html').unlink()
    for name in report.LAST_PICTURES:
        (workdir / 'member-1' / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob('*.png')}
    start(workdir, 2)
    assert 'This population is already finished (step 20 of 20).' in capsys.readouterr().out
    assert differences(workdir, undisturbed[2]) == []
    assert (workdir / 'member-0' / 'report.html').exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_extended_run_that_is_killed_on_its_last_pictures_draws_them_anew(undisturbed, tmp_path, monkeypatch):
    workdir = tmp_path / 'run'
    shutil.copytree(undisturbed[1], workdir)
    killed_in(monkeypatch, 'finish', 0)
    with pytest.raises(KilledError):
        start(workdir, duration='25 steps', accept=True)
    assert {report.step_of(workdir / name) for name in report.LAST_PICTURES} == {20}
    monkeypatch.undo()
    start(workdir, duration='25 steps')
    assert {report.step_of(workdir / name) for name in report.LAST_PICTURES} == {25}
    with Image.open(workdir / 'samples.gif') as animation:
        assert animation.n_frames == 3


def test_members_without_a_checkpoint_begin_anew_with_the_others(undisturbed, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(undisturbed[2], workdir)
    shutil.rmtree(workdir / 'member-1' / 'checkpoints')
    start(workdir, 2)
    assert differences(workdir, undisturbed[2]) == []


def test_a_checkpoint_of_another_course_stays_where_it_was_set_aside(undisturbed, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(undisturbed[2], workdir)
    shutil.rmtree(workdir / 'member-1' / 'checkpoints' / '20')
    start(workdir, 2, accept=True, **{'generator_optimizer.learning_rate': '0.1'})
    kept = [path.relative_to(workdir) for path in workdir.rglob('set-aside-*')]
    assert kept == [pathlib.Path('member-0/checkpoints/set-aside-20')]


@pytest.mark.slow
def test_a_member_that_diverges_goes_back_with_other_noise_as_the_run_alone(tmp_path, capsys):
    vary = {'vary': f'{RATE}=1e-4,1000', 'duration': '10 steps', **UNBOUNDED}
    start(tmp_path / 'both', 2, **vary, on_nan='restore')
    assert capsys.readouterr().out.count('member-1: ') == 4  # three times back, then given up
    alone = {RATE: '1000', **UNBOUNDED}
    with pytest.raises(DivergedError, match='there is no checkpoint yet'):
        start(tmp_path / 'alone', on_nan='restore', **alone)
    reasons = [(tmp_path / name / 'diverged.json').read_text() for name in ('both/member-1', 'alone')]
    assert reasons[0] == reasons[1]
    start(tmp_path / 'plain', 2, **vary)
    found = differences(tmp_path / 'both' / 'member-0', tmp_path / 'plain' / 'member-0')
    assert [path for path in found if path != 'config.json' and 'checkpoints' not in path] == []


def test_a_member_that_goes_back_twice_to_one_step_keeps_its_noise_there(tmp_path):
    state = Noisy()
    member = Member('', config.base('mlp'), tmp_path, Checkpoints(tmp_path), [])
    member.config = member.whole
    member.config.on_nan = 'restore'
    assert member.resumed(10, state) is state
    error = DivergedError('a loss became NaN')
    assert member.goes_back(error)
    assert member.resumed(10, state).folds == (1,)
    assert member.resumed(10, state).folds == (1,)  # as another member has diverged before the next checkpoint
    assert member.resumed(20, state) is state  # its checkpoint has the noise already
    assert member.goes_back(error)
    assert member.resumed(20, state).folds == (2,)
    assert member.goes_back(error)
    assert not member.goes_back(error)


class Noisy:
    """A state that only has a key."""

    def __init__(self, folds=()):
        self.folds = folds
        self.key = jax.random.key(0)
        for fold in folds:
            self.key = jax.random.fold_in(self.key, fold)

    def replace(self, key):
        (number,) = (n for n in range(9) if jax.random.fold_in(self.key, n) == key)
        return Noisy((*self.folds, number))


@pytest.mark.slow
def test_members_have_the_reference_batches_of_their_seeds(tmp_path):
    virtual = {'generator.normalization': 'virtual', 'discriminator.normalization': 'virtual', 'reference_batch': '4'}
    both = start(tmp_path / 'both', 2, **virtual)
    alone = start(tmp_path / 'alone', seed='1', **virtual)
    for name in ('generator', 'discriminator'):
        one, other = (getattr(state, name).variables['reference'][0] for state in (both[1], alone))
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, getattr(both[0], name).variables['reference'][0])
    for line, other in zip(
        *(
            path.read_text().splitlines()
            for path in (tmp_path / 'both' / 'member-1' / 'metrics.jsonl', tmp_path / 'alone' / 'metrics.jsonl')
        ),
        strict=True,
    ):
        assert json.loads(line) == pytest.approx(json.loads(other), rel=2e-3, abs=1e-4)


def test_a_run_that_has_diverged_is_not_trained_again_unasked(tmp_path):
    wild = {RATE: '1000', **UNBOUNDED}
    with pytest.raises(DivergedError, match='became NaN or infinite'):
        start(tmp_path, **wild)
    before = contents(tmp_path)
    sentence = (
        f'^the run in {re.escape(str(tmp_path))} has diverged before: choose another --workdir, set on_nan=restore'
    )
    with pytest.raises(DivergedError, match=sentence):
        start(tmp_path, **wild)
    assert contents(tmp_path) == before


def test_the_speed_is_that_of_the_devices_although_lines_are_read_together(tmp_path):
    start(tmp_path, log_every='50 steps', duration='200 steps', sample_every='200 steps', checkpoint_every='200 steps')
    records = [json.loads(line) for line in (tmp_path / 'timing.jsonl').read_text().splitlines()]
    for before, after in itertools.pairwise(records):
        assert after['seconds'] > before['seconds']
    span = records[-1]['seconds'] - records[0]['seconds']
    assert records[-1]['images_per_second'] == pytest.approx(150 * 8 / span)
