"""Runs of several phases: what they count, what they carry over, and that they may be stopped anywhere."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image, ImageSequence

from gan_jax import build, config, data
from gan_jax.config import json_values
from gan_jax.errors import InterruptedRunError, UserError
from gan_jax.game import GanState, Player
from gan_jax.main import main
from gan_jax.pages import health
from gan_jax.pages import workdir as workdirs
from gan_jax.runtime import parallel
from gan_jax.sampling.trained import load_run
from gan_jax.train import train, train_population
from gan_jax.training import phases, run
from tests import toy_experiments
from tests.contents import differences
from tests.test_loop import KilledError, killed_in, stop_at_look
from tools import model_card

pytestmark = pytest.mark.usefixtures('quick_curves')

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'batch_size': '16',
    'duration': '10 steps',
    'log_every': '5 steps',
    'sample_every': '5 steps',
    'checkpoint_every': '5 steps',
    'checkpoints.keep_last': '20',
    'samples': '4',
    'latents.size': '4',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'parallel.devices': '1',
    'data.size': '8',
}
PHASES = SMALL | {
    'earlier_phases': "('duration=6 steps; batch_size=8; data.size=4', 'duration=0.032 kimg; batch_size=4')"
}


def small_config(members=1, **overrides):
    return config.load(str(ROOT / 'configs' / 'mlp.py'), PHASES | {'population': str(members)} | overrides)


def start(workdir, members=1, accept=False, **overrides):
    options = small_config(members, **overrides)
    return (train if members == 1 else train_population)(options, workdir, accept_config_changes=accept)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """The directory of a run that nothing disturbed."""
    workdir = tmp_path_factory.mktemp('undisturbed')
    start(workdir)
    return workdir


@pytest.fixture(scope='module')
def undisturbed_population(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('population')
    start(workdir, 2)
    return workdir


def records(workdir):
    return [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]


def test_images_are_counted_by_the_batches_of_each_phase(undisturbed):
    # 6 steps of 8 images, 8 steps of 4 (32 images), 10 of 16
    found = [(record['step'], record['kimg']) for record in records(undisturbed)]
    assert found == [(5, 0.04), (6, 0.048), (11, 0.068), (14, 0.08), (19, 0.16), (24, 0.24)]
    timing = [json.loads(line) for line in (undisturbed / 'timing.jsonl').read_text().splitlines()]
    assert [record['kimg'] for record in timing] == [kimg for _, kimg in found]


def test_a_film_shows_the_samples_of_all_phases(undisturbed):
    files = sorted((undisturbed / 'samples').iterdir())
    assert [int(path.stem) for path in files] == [5, 6, 11, 14, 19, 24]
    sizes = [Image.open(path).size for path in files]
    assert sizes[1] != sizes[2]  # grids of 4x4 images, then of 8x8
    with Image.open(undisturbed / 'samples.gif') as film:
        frames = [np.asarray(frame.convert('L')) for frame in ImageSequence.Iterator(film)]
    assert len(frames) == 6
    assert all(frame[-20:].std() > 10 for frame in frames)  # none is smaller than the film


def test_a_page_counts_as_the_records_do(undisturbed):
    page = workdirs.read(undisturbed)
    assert page.total == 24
    assert [page.kimg(step) for step in (6, 14, 24)] == [0.048, 0.08, 0.24]
    kimg, rates = workdirs.curves(page)['generator/learning_rate']
    assert kimg[0] == 0
    assert kimg[-1] == 0.24
    assert kimg == sorted(kimg)
    np.testing.assert_allclose(rates, small_config().generator_optimizer.learning_rate)


def test_findings_look_at_the_phase_that_is_trained(undisturbed):
    found = health.read(undisturbed)
    assert [record['step'] for record in found.records] == [19, 24]
    assert found.config.phase.to_dict() == {'number': 2, 'steps': 14, 'images': 80}
    assert found.samples.shape[-1] == 64
    assert len(found.earlier) == 1


def test_a_checkpoint_of_any_phase_can_be_sampled(undisturbed):
    for step, side in ((5, 4), (6, 4), (11, 8), (24, 8)):
        trained = load_run(undisturbed, step)
        assert trained.shape == (side, side, 1)
        latents = trained.game.latents(jax.random.key(0), jnp.arange(3))
        generator = trained.generator
        assert trained.game.sample(generator.params, generator.variables, latents).shape == (3, side, side, 1)


def test_a_model_card_tells_of_the_phase_of_its_step(undisturbed):
    prints = [phase['data']['fingerprint'] for phase in json.loads((undisturbed / 'run.json').read_text())['phases']]
    assert len(set(prints)) == 2  # 4x4, 8x8, 8x8
    for step, kimg, phase in ((5, 0.04, 0), (11, 0.068, 1), (24, 0.24, 2)):
        facts = dict(model_card._facts(undisturbed, load_run(undisturbed, step), {}))
        assert facts['images seen'] == f'{kimg} thousand'
        assert facts['fingerprint of the data'] == prints[phase]


# Inside a phase, at both borders, across them
@pytest.mark.parametrize('look', [*(pytest.param(look, marks=pytest.mark.slow) for look in (3, 6, 8, 20)), 14])
def test_a_stop_anywhere_loses_no_bit(undisturbed, tmp_path, monkeypatch, look):
    assert_stops(undisturbed, tmp_path, monkeypatch, look, 24)


@pytest.mark.slow
def test_a_stop_of_a_population_loses_no_bit(undisturbed_population, tmp_path, monkeypatch):
    assert_stops(undisturbed_population, tmp_path, monkeypatch, 6, 24, 2)


def test_a_stop_between_the_phases_of_a_population_loses_no_bit(tmp_path, monkeypatch):
    two = {'earlier_phases': "('duration=6 steps; batch_size=8; data.size=4',)", 'duration': '4 steps'}
    with toy_experiments.without_pages():
        start(tmp_path / 'undisturbed', 2, **two)
        assert_stops(tmp_path / 'undisturbed', tmp_path / 'stopped', monkeypatch, 6, 10, 2, **two)


def assert_stops(undisturbed, workdir, monkeypatch, look, total, members=1, **overrides):
    """A run stopped after `look` of `total` steps and started again leaves what the undisturbed one left."""
    with monkeypatch.context() as patch:
        stop_at_look(patch, look)
        with pytest.raises(InterruptedRunError, match=f'is saved at step {look} of {total}'):
            start(workdir, members, stretch_seconds='0.0', **overrides)  # a step in each stretch
    start(workdir, members, **overrides)
    found = differences(workdir, undisturbed)
    assert [path for path in found if not path.endswith(f'checkpoints/{look}')] == []


# In the first phase, at its end, and in the second
@pytest.mark.parametrize(
    'number', [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_a_kill_while_a_checkpoint_is_saved_loses_no_bit(undisturbed, tmp_path, monkeypatch, number):
    killed_in(monkeypatch, 'save', number)
    with pytest.raises(KilledError):
        start(tmp_path)
    monkeypatch.undo()
    start(tmp_path)
    assert differences(tmp_path, undisturbed) == []


@pytest.mark.slow
def test_a_member_is_the_run_alone(undisturbed_population, tmp_path):
    states = start(tmp_path, seed='1', population='1')
    member = load_run(undisturbed_population / 'member-1')
    jax.tree.map(
        lambda here, there: np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-6),
        states.generator.params,
        member.generator.params,
    )


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['pmap', 'sharding'])
def test_several_devices_train_as_one(undisturbed, tmp_path, mode):
    state = start(tmp_path, **{'parallel.devices': '4', 'parallel.mode': mode})
    alone = load_run(undisturbed).generator
    jax.tree.map(
        lambda here, there: np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5),
        state.generator.params,
        alone.params,
    )


def test_a_phase_starts_from_the_last_state_of_the_one_before(undisturbed, tmp_path):
    """With learning rates of 0 all that fits is as the first phase left it."""
    rates = {f'{role}_optimizer.learning_rate': '0.0' for role in ('generator', 'discriminator')}
    text = "('duration=5; data.size=4', 'duration=5; generator_optimizer.learning_rate=1e-3')"
    with toy_experiments.without_pages():
        state = start(tmp_path, earlier_phases=text, **rates, **{'checkpoints.keep_last': '9'})
    before = load_run(tmp_path, 10).generator.params
    jax.tree.map(np.testing.assert_array_equal, state.generator.params, before)
    first = load_run(tmp_path, 5).generator.params
    names = [name for name in first if jnp.shape(first[name]['kernel']) == jnp.shape(before[name]['kernel'])]
    assert names == ['Dense_0']
    assert int(state.step) == 10  # of its own phase


def state_of(params, optimizer, *, ema=None, memory=None, step=7):
    return GanState(
        jnp.int32(step),
        jax.random.key(step),
        {'generator': Player(params, {}, optimizer.init(params), ema)},
        {} if memory is None else memory,
    )


def test_what_fits_is_carried_and_all_else_is_new():
    optimizer = optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(optax.constant_schedule(0.1)))
    old = {'a': jnp.ones(3), 'b': jnp.ones((2, 2)), 'gone': jnp.ones(1)}
    new = {'a': jnp.zeros(3), 'b': jnp.zeros((4, 2)), 'c': jnp.zeros(5)}
    before = state_of(old, optimizer, memory={'p': jnp.float32(0.5), 'buffer': jnp.ones((2, 8))})
    moments, schedule = before.generator.opt_state
    moments = moments._replace(mu=jax.tree.map(lambda leaf: leaf + 2, moments.mu), count=jnp.int32(9))
    before = before.with_player('generator', opt_state=(moments, schedule._replace(count=jnp.int32(9))))
    fresh = state_of(new, optimizer, ema=(new, {}), memory={'p': jnp.float32(0), 'buffer': jnp.zeros((2, 4))}, step=0)

    state = phases.carried(before, fresh)
    assert int(state.step) == 0
    assert jnp.array_equal(jax.random.key_data(state.key), jax.random.key_data(fresh.key))
    expected = {'a': jnp.ones(3), 'b': jnp.zeros((4, 2)), 'c': jnp.zeros(5)}
    jax.tree.map(np.testing.assert_array_equal, state.generator.params, expected)
    jax.tree.map(np.testing.assert_array_equal, state.generator.ema, (expected, {}))  # there was no average before
    moments, schedule = state.generator.opt_state
    assert int(moments.count) == 0  # there are new layers, whose moments are of another age
    jax.tree.map(np.testing.assert_array_equal, moments.mu, new)
    assert float(state.memory['p']) == 0.5
    assert state.memory['buffer'].shape == (2, 4)
    assert phases.count_carried(before, fresh) == 'generator 3 of 16'


def test_an_optimiser_goes_on_where_all_parameters_do_unless_it_is_to_start_anew():
    optimizer = optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(optax.constant_schedule(0.1)))
    params = {'a': jnp.ones(3)}
    before, fresh = state_of(params, optimizer), state_of({'a': jnp.zeros(3)}, optimizer, step=0)
    _, opt_state = optimizer.update(params, before.generator.opt_state, params)
    before = before.with_player('generator', opt_state=opt_state)
    moments, schedule = phases.carried(before, fresh).generator.opt_state
    jax.tree.map(np.testing.assert_array_equal, moments, opt_state[0])
    assert int(moments.count) == 1
    assert int(schedule.count) == 0  # a schedule is that of the phase
    anew = phases.carried(before, fresh, optimizers=False)
    jax.tree.map(np.testing.assert_array_equal, anew.generator.opt_state, fresh.generator.opt_state)


def test_averages_ramp_up_over_all_images():
    whole = build.optim.ema_decay(10, 0.05, 32)
    later = build.optim.ema_decay(10, 0.05, 16, images=32 * 100)
    assert float(later(jnp.int32(0))) == pytest.approx(0.5 ** (16 / (0.05 * 3200)))
    assert float(whole(jnp.int32(100))) == pytest.approx(0.5 ** (32 / (0.05 * 3200)))


def test_each_phase_has_an_order_and_a_start_of_its_own():
    dataset = data.load('digits', size=8)
    layout = parallel.make_layout(16, num_devices=1)
    arrays, keys, batches = jax.tree.map(jnp.asarray, dataset.arrays), set(), set()
    for phase in phases.line_up(config.split(small_config(earlier_phases="('duration=3', 'duration=4')"))):
        keys.add(tuple(np.asarray(jax.random.key_data(build.initial_key(phase, 3))).tolist()))
        game = build.make_game(phase, dataset.shape)
        feed = run.make_feed(phase, dataset, layout, game, placement='device')
        batches.add(np.asarray(feed.batch_at(arrays, jnp.int32(0), None, jnp.arange(16))['real']).tobytes())
    assert len(keys) == len(batches) == 3


def test_lengths_that_put_a_checkpoint_into_another_phase_are_refused(undisturbed, tmp_path):
    workdir = tmp_path / 'run'
    shutil.copytree(undisturbed, workdir)
    longer = "('duration=6 steps; batch_size=8; data.size=4', 'duration=40 steps; batch_size=4')"
    with pytest.raises(
        UserError, match=r'Step 24 was made in phase 3, which began after step 14, and is now in phase 2'
    ):
        start(workdir, earlier_phases=longer, accept=True)
    state = start(workdir, duration='12 steps', accept=True)
    assert int(state.step) == 12
    assert records(workdir)[-1]['step'] == 26


def test_texts_of_phases_that_mean_the_same_make_the_same_run(tmp_path, monkeypatch):
    (tmp_path / 'faces').mkdir()
    monkeypatch.chdir(tmp_path)
    made = small_config(earlier_phases="('duration=5;  data.name=folder:faces; evaluation.samples=9;',)")
    assert made.earlier_phases[0].startswith(f'duration=5; data.name=folder:{tmp_path}/faces; ')
    other = small_config(earlier_phases="('data.name=folder:/moved/faces;duration=5',)")
    values = [json_values.to_json(one) for one in (made, other)]
    assert json_values.differences(*values) == []
    longer = json_values.to_json(small_config(earlier_phases="('data.name=folder:/moved/faces;duration=6',)"))
    assert [text.partition(' ')[0] for text in json_values.differences(values[0], longer)] == ['earlier_phases']


def test_a_step_of_a_later_phase_that_cannot_be_made_is_told_at_the_start(tmp_path):
    text = "('duration=5', 'duration=5; accumulate=3')"
    with pytest.raises(
        UserError, match=r'^earlier_phases\[1\]: A batch of 16 examples .* cannot be divided into 3 parts'
    ):
        start(tmp_path, earlier_phases=text)
    assert not (tmp_path / 'metrics.jsonl').exists()


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ("('duration',)", r"earlier_phases\[0\]: 'duration' is not a phase; write 'key=value; key=value'\."),
        ("('duration=5; sead=3',)", r"earlier_phases\[0\]: The config has no key 'sead'; the nearest name is 'seed'"),
        ("('duration=5', 'seed=3')", r'earlier_phases\[1\]: it sets seed, which belongs to the whole run'),
        (
            "('checkpoints.keep_last=3',)",
            r'earlier_phases\[0\]: it sets checkpoints.keep_last, which belongs to the whole',
        ),
        ("('duration=5; batch_size=0',)", r'earlier_phases\[0\]: batch_size is 0'),
        ("('duration=0',)", r"earlier_phases\[0\]: duration is '0'; write a duration"),
        ("('duration=5; duration=7',)", r"earlier_phases\[0\]: 'duration=5; duration=7' sets duration twice"),
        ("('seed_=5',)", r"earlier_phases\[0\]: The config has no key 'seed_'; the nearest name is 'seed'"),
    ],
)
def test_a_wrong_phase_gets_one_sentence(text, sentence):
    with pytest.raises(UserError, match=sentence):
        small_config(earlier_phases=text)


def test_a_phase_may_not_set_what_the_members_differ_in():
    text = "('generator_optimizer.learning_rate=1e-3',)"
    with pytest.raises(UserError, match=r'earlier_phases\[0\]: it sets generator_optimizer.learning_rate, which'):
        small_config(earlier_phases=text, vary='generator_optimizer.learning_rate=1e-4,2e-4')
    text = "('generator_optimizer.name=sgd',)"
    with pytest.raises(
        UserError, match=r'earlier_phases\[0\]: it has no generator_optimizer.b1, which vary sets for the members\.'
    ):
        small_config(earlier_phases=text, vary='generator_optimizer.b1=0.1,0.5')


def test_data_of_a_later_phase_that_are_missing_are_told_at_the_start(tmp_path, capsys):
    text = f"('duration=5', 'data.name=folder:{tmp_path}/none')"
    command = ['--config', str(ROOT / 'configs/mlp.py:debug'), '--workdir', str(tmp_path / 'run')]
    assert main([*command, f'--config.earlier_phases={text}']) == 2
    assert 'earlier_phases[1]: ' in (told := capsys.readouterr().err)
    assert f'{tmp_path}/none' in told
    assert not (tmp_path / 'run' / 'metrics.jsonl').exists()


@pytest.mark.parametrize('text', ["('duration=6; evaluate=',)", "('duration=6; data.size=4',)"])
def test_metrics_that_cannot_be_computed_are_told_before_any_phase(tmp_path, text):
    with pytest.raises(UserError, match=r'nowhere\.npz'):
        start(tmp_path, earlier_phases=text, evaluate='fid', **{'evaluation.extractor': 'classifier:nowhere.npz'})
    assert not (tmp_path / 'metrics.jsonl').exists()


def test_debug_makes_all_phases_tiny():
    whole = config.load(str(ROOT / 'configs' / 'progan.py:cifar10,debug'))
    levels = phases.line_up(config.split(whole))
    assert [config.steps(level, 'duration') for level in levels] == [10, 10, 10, 20]
    assert [level.data.size for level in levels] == [4, 8, 16, 32]
    assert {level.batch_size for level in levels} == {16}
