"""Numbers of a config that change over a run."""

import functools
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, config, schedules
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.records.metrics import metrics_of
from gan_jax.train import train, train_population
from tests import toy_experiments

CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'
TOY = str(CONFIGS / 'toy.py')
SMALL = {
    'batch_size': '16',
    'duration': '20 steps',
    'log_every': '1 steps',
    'sample_every': '10 steps',
    'checkpoint_every': '10 steps',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'parallel.devices': '1',
}
RATE, GAMMA = 'discriminator_optimizer.learning_rate', 'penalties.r1.weight'


def small_config(*texts, **overrides):
    return config.load(TOY, SMALL | {'schedules': repr(texts)} | overrides)


def value(text, start, step):
    one = schedules.parse(text, lambda duration: config.steps_of(small_config(), duration, ''))
    return float(one.value(start, jnp.int32(step)))


def test_shapes_are_their_closed_forms():
    for step, share in ((0, 0.0), (10, 0.0), (14, 0.1), (30, 0.5), (50, 1.0), (1000, 1.0)):
        ended = ' to 2 in 40 steps after 10 steps'
        half = 2 + (5 - 2) * (1 + math.cos(math.pi * share)) / 2  # R3GAN's schedule
        assert value(f'x: cosine{ended}', 5.0, step) == pytest.approx(half, rel=1e-6)
        assert value(f'x: linear{ended}', 5.0, step) == pytest.approx(5 - 3 * share, rel=1e-6)
        assert value(f'x: exponential{ended}', 5.0, step) == pytest.approx(5 * 0.4**share, rel=1e-6)
        assert value(f'x: jump{ended}', 5.0, step) == (2.0 if share == 1 else 5.0)


def test_durations_are_those_of_the_config():
    assert value('x: linear to 0 in 1.6 kimg', 1.0, 25) == 0.75  # a hundred batches of 16
    assert value('x:linear to 1e-3 in 100', 1e-3, 25) == pytest.approx(1e-3)


def test_a_command_line_has_them_with_commas_between():
    options = config.load(TOY, {'schedules': f'{GAMMA}: cosine to 1 in 5, {RATE}: jump to 0 in 2 epochs after 3 steps'})
    made = config.make_schedules(options)
    assert made == (schedules.Schedule(GAMMA, 'cosine', 1.0, 5, 0), schedules.Schedule(RATE, 'jump', 0.0, 2, 3))
    assert json_values.from_json(json_values.to_json(options)).schedules == options.schedules


def test_schedules_of_one_key_follow_one_another():
    options = small_config(f'{RATE}: linear to 1 in 10 steps', f'{RATE}: cosine to 0 in 20 steps after 10 steps')
    options.discriminator_optimizer.learning_rate = 0.0
    at = functools.partial(schedules.values, config.make_schedules(options), options)
    for step, wanted in ((0, 0.0), (5, 0.5), (10, 1.0), (20, 0.5), (30, 0.0), (99, 0.0)):
        assert float(at(jnp.int32(step))[RATE]) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ('texts', 'words'),
    [
        (['penalties.r1.weight cosine to 1 in 5'], "write 'KEY: SHAPE to END in DURATION'"),
        (['penalties.r1.weight: cosine to much in 5'], "write 'KEY: SHAPE to END in DURATION'"),
        (['penalties.r1.wieght: cosine to 1 in 5'], "The config has no key 'penalties.r1.wieght'; the nearest name is"),
        (['penalties.r1.weight: sine to 1 in 5'], "There is no shape of a schedule 'sine': did you mean 'cosine'"),
        (['penalties.r1.weight: cosine to -1 in 5'], 'penalties.r1.weight is -1.0; it must be from 0'),
        (['penalties.r1.weight: cosine to 1 in 5 furlongs'], 'A duration of schedules is'),
        (['penalties.r1.weight: exponential to 1 in 5'], 'from 0.0 to 1.0: both must be above 0'),
        (['batch_size: linear to 8 in 5'], 'schedules names batch_size, which is not a floating-point number:'),
        (
            ['stretch_seconds: linear to 8 in 5'],
            'schedules names stretch_seconds, which is not used in a training step',
        ),
        (['generator_optimizer.clip_norm: linear to 1 in 5'], '0 would clip everything'),
    ],
)
def test_impossible_schedules_are_refused(texts, words):
    with pytest.raises(UserError) as error:
        small_config(*texts)
    assert words in str(error.value)


def test_a_number_that_decides_the_program_is_refused():
    options = small_config(
        f'{RATE}: linear to 0 in 5', 'generator.momentum: linear to 0.5 in 5', **{'generator.normalization': 'batch'}
    )
    with pytest.raises(UserError) as error:
        build.make_game(options, (2,))
    assert str(error.value) == (
        'schedules names generator.momentum, which determines the compiled program, so it cannot change '
        'during training.'
    )
    optimizer = {'discriminator_optimizer.name': 'sgd'}
    options = small_config(
        'discriminator_optimizer.momentum: linear to 0.5 in 5', f'{RATE}: linear to 0 in 5', **optimizer
    )
    with pytest.raises(UserError, match=r'schedules names discriminator_optimizer\.momentum, which determines the'):
        build.make_game(options, (2,))
    options = small_config('augment.initial: linear to 0.5 in 5', **{'augment.name': 'ada'})
    with pytest.raises(UserError, match=r'set augment\.fixed'):
        build.make_game(options, (8, 8, 1))


@pytest.mark.parametrize(
    ('recipe', 'others', 'keys'),
    [
        ('pix2pix', {'input': (16, 16, 1)}, ('game.l1', 'game.adversary')),
        ('cyclegan', {'a': (16, 16, 1)}, ('game.cycle', 'game.identity')),
        ('semi_supervised', {'labelled': (16, 16, 1)}, ('game.unlabelled_weight',)),
    ],
)
def test_weights_of_games_may_change(recipe, others, keys):
    texts = repr(tuple(f'{key}: linear to 0.5 in 5 steps' for key in keys))
    options = config.load(f'{CONFIGS}/{recipe}.py:debug', {'schedules': texts})
    assert build.make_game(options, (16, 16, 1), num_classes=10, shapes=others).at is not None


@pytest.fixture(scope='module')
def changed():
    """What moves every kind of number, from zero where that is off."""
    return (
        f'{RATE}: cosine to 5e-5 in 8 steps',
        'discriminator_optimizer.b2: cosine to 0.99 in 8 steps',
        f'{GAMMA}: cosine to 0.5 in 8 steps',
        'ema.half_life_kimg: cosine to 0.1 in 8 steps',
        'instance_noise.deviation: linear to 0.2 in 8 steps',
        'flip_labels: linear to 0.3 in 8 steps',
    )


def test_each_step_is_that_of_a_config_with_these_numbers(changed):
    options = small_config(*changed, **{'ema.half_life_kimg': '0.0', 'ema.ramp_up': '0.0', RATE: '2e-3'})
    game = build.make_game(options, (2,))
    state, step = build.init_state(options, game), jax.jit(build.make_step(options, game))
    batch = {'real': jax.random.normal(jax.random.key(1), (16, 2))}
    for _ in range(6):
        before = state
        state, metrics = step(state, batch)
    share = 5 / 8
    numbers = {
        RATE: 5e-5 + (2e-3 - 5e-5) * (1 + math.cos(math.pi * share)) / 2,
        'discriminator_optimizer.b2': 0.99 + (0.999 - 0.99) * (1 + math.cos(math.pi * share)) / 2,
        GAMMA: 0.5 - 0.5 * (1 + math.cos(math.pi * share)) / 2,
        'ema.half_life_kimg': 0.1 - 0.1 * (1 + math.cos(math.pi * share)) / 2,
        'flip_labels': 0.3 * share,
    }
    for key, number in numbers.items():
        assert metrics['/'.join(key.rsplit('.', 1))] == pytest.approx(number, rel=1e-6)
    plain = small_config(**{key: repr(number) for key, number in numbers.items()}, **{'ema.ramp_up': '0.0'})
    plain.instance_noise.deviation = 0.2 * share
    other = build.make_game(plain, (2,))
    wanted, _ = jax.jit(build.make_step(plain, other))(before, batch)
    for one, theirs in zip(jax.tree.leaves(state.players), jax.tree.leaves(wanted.players), strict=True):
        np.testing.assert_allclose(one, theirs, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope='module')
def whole(changed, tmp_path_factory):
    """The texts of a run, its last state, and its records."""
    texts = [text for text in changed if 'noise' not in text]  # whose own clock knows the length of the run
    workdir = tmp_path_factory.mktemp('whole')
    with toy_experiments.without_pages():
        state = train(small_config(*texts), workdir)
    return texts, state, metrics_of(workdir).read()


def test_a_run_goes_on_exactly_and_records_its_numbers(whole, tmp_path):
    texts, state, records = whole
    with toy_experiments.without_pages():
        train(small_config(*texts, duration='10 steps'), tmp_path)
        cut = train(small_config(*texts), tmp_path, accept_config_changes=True)
    assert all(map(np.array_equal, jax.tree.leaves(state.players), jax.tree.leaves(cut.players)))
    assert records == metrics_of(tmp_path).read()
    for record, share in zip(records, (0, 1 / 8, 2 / 8), strict=False):
        half_life = 0.1 + (10 - 0.1) * (1 + math.cos(math.pi * share)) / 2
        assert record['ema/half_life_kimg'] == pytest.approx(half_life, rel=1e-6)
        assert record['flip_labels'] == pytest.approx(0.3 * share)


@pytest.mark.parametrize('mode', ['pmap', pytest.param('sharding', marks=pytest.mark.slow)])
def test_a_run_records_its_numbers_on_any_number_of_devices(whole, mode, tmp_path):
    texts, _, records = whole
    with toy_experiments.without_pages():
        train(small_config(*texts, **{'parallel.devices': '4', 'parallel.mode': mode}), tmp_path)
    for one, other in zip(records, metrics_of(tmp_path).read(), strict=True):
        assert one == pytest.approx(other, rel=2e-4, abs=1e-5)


def test_a_population_varies_where_a_schedule_starts(tmp_path):
    text = f'{GAMMA}: linear to 0.5 in 8 steps'
    with toy_experiments.without_pages():
        train_population(small_config(text, vary=f'{GAMMA}=0.1,1.0', duration='10 steps'), tmp_path)
        train(small_config(text, duration='10 steps', **{GAMMA: '1.0'}), tmp_path / 'alone')
    lines = [
        [json.loads(line) for line in (tmp_path / name / 'metrics.jsonl').read_text().splitlines()]
        for name in ('member-1', 'alone')
    ]
    assert lines[0][2]['penalties.r1/weight'] == pytest.approx(1 - 0.5 * 2 / 8)
    for one, other in zip(*lines, strict=True):
        assert one == pytest.approx(other, rel=2e-4, abs=1e-5)
