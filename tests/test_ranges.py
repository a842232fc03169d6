"""Numbers that no run can work with: every numeric key of a config, and what is counted against memory."""

import math
from typing import Annotated

import jax
import pytest

from gan_jax import build
from gan_jax import config as configs
from gan_jax.config import defaults
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.games import cycada
from gan_jax.ranges import AMOUNT, COUNT, DECAY, POSITIVE_SHARE, SHARE, Range, checked
from gan_jax.runtime import parallel
from gan_jax.training import cost
from gan_jax.training.population import with_values

IMPOSSIBLE = (-1, math.nan, math.inf, 1e30, 10**20)
ACCEPTED = {
    **dict.fromkeys(('loss.a', 'loss.b', 'loss.c'), (-1,)),  # what least squares draw logits to
    **{  # found by training, as a divergence
        f'{role}_optimizer.learning_rate': (1e30, 1e20)
        for role in ('generator', 'discriminator', 'encoder', *cycada.ROLES[2:])
    },
}


@pytest.mark.parametrize(
    ('some', 'inside', 'outside', 'words'),
    [
        (SHARE, (0, 1, 0.5), (-1e-9, 1.1, math.nan, math.inf), 'from 0 to 1'),
        (POSITIVE_SHARE, (1, 1e-9), (0, 0.0, 2), 'above 0 and at most 1'),
        (DECAY, (0, 0.999), (1, 1.0, -0.1), 'at least 0 and below 1'),
        (COUNT, (1, 2**31 - 1), (0, 2**31, 1e30, 10**400), 'from 1 to 2147483647'),
        (Range(-3, math.inf), (-3, math.inf), (-math.inf, math.nan), 'from -3 to inf'),
    ],
)
def test_a_range_has_its_ends_and_no_nan(some, inside, outside, words):
    assert str(some) == words
    for number in inside:
        some.check('x', number)
        some.check('x', (number, None, 'text'))  # of other types other checks speak
    for number in outside:
        for value in (number, (inside[0], number)):
            with pytest.raises(UserError) as error:
                some.check('x', value)
            assert str(error.value) == f'x is {value!r}; it must be {words}.'


def test_a_call_checks_its_annotated_arguments_but_not_what_is_traced():
    @checked
    def scaled(x: Annotated[float, AMOUNT], factor: Annotated[float, SHARE] = 0.5, bias: float = 0.0):
        return x * factor + bias

    assert scaled(4, bias=-1e30) == 2 - 1e30
    assert jax.jit(scaled)(-4.0, 3.0) == -12
    with pytest.raises(UserError, match=r"scaled's factor is 3; it must be from 0 to 1\."):
        scaled(1, 3)


def recipes():
    """A config for each choice of each section, and for each family."""
    yield from (configs.base(model) for model in ('dcgan', 'mlp', 'sngan'))
    others = ('attngan', 'infogan', 'spade', 'inpainting', 'stackgan')
    games = ('bigan', 'cycada', 'dann', 'pix2pix', 'cyclegan', 'semi_supervised', *others)
    yield from (configs.base(model, game=model) for model in games)
    yield configs.base('dcgan', game='can')
    yield configs.base('resnet', game='anogan')
    yield configs.base('mlp', game='dpgan')
    for section, table in defaults.factories(Pair._fields).items():
        for choice in table if section != 'game' else ():
            config = configs.base('mlp')
            config[section] = configs.section(section, choice)
            yield config


def refusal(config, key, value):
    """The sentence that a value gets, or '' where it is accepted."""
    try:
        configs.check(with_values(config, {key: value}))
    except UserError as error:
        return str(error)
    return ''


def test_every_number_has_a_range_where_its_default_stands():
    accepted = {}
    for config in recipes():
        for key, default in defaults.defaults_of(config).items():
            if default.kind in (int, float) and key not in accepted:
                assert default.range is not None, key
                values = map(float, IMPOSSIBLE) if default.kind is float else IMPOSSIBLE
                sentences = {value: refusal(config, key, value) for value in values}
                accepted[key] = [value for value, sentence in sentences.items() if not sentence]
                assert all(key in sentence for sentence in sentences.values() if sentence), sentences
    assert len(accepted) > 100
    assert {key: tuple(values) for key, values in accepted.items() if values} == ACCEPTED


@pytest.mark.parametrize('text', ['0', '-1', 'nan', 'inf', '1e30', '99999999999', '1e30 kimg', 'inf kimg', 'nan steps'])
@pytest.mark.parametrize('key', ['duration', 'log_every', 'sample_every', 'checkpoint_every', 'evaluate_every'])
def test_a_duration_is_finite_and_counted_by_an_int32(key, text):
    config = with_values(configs.base('mlp'), {key: text})
    with pytest.raises(
        UserError, match=f"{key} is '{text}'; write a duration as '500 steps', '32 kimg' or '10 epochs', from one"
    ):
        configs.check(config)


@pytest.mark.parametrize(
    'changes',
    [
        {'discriminator_steps': 10**6},
        {'generator_steps': 10**6},
        {'unrolled_steps': 10**6},
        {'discriminators.number': 100, 'discriminator_steps': 10_000},
        {'duration': '10000000', 'log_every': '9999999'},
    ],
)
def test_a_stretch_without_end_is_refused(changes):
    with pytest.raises(UserError, match=r'would make .* updates before anything is reported: lower log_every'):
        configs.check(with_values(configs.base('mlp'), changes))


def test_a_population_and_discriminators_have_a_bound():
    for key, value, most in (('population', 10**8, 1000), ('discriminators.number', 2000, 100)):
        with pytest.raises(UserError, match=f'{key} is {value}; it must be from 1 to {most}'):
            configs.check(with_values(configs.base('mlp'), {key: value}))


HUGE = 2_000_000_000


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        ([f'batch_size={HUGE}'], rf'batch_size={HUGE} takes at least 14.9 GiB, but a device has 8 GiB: make it'),
        ([f'samples={HUGE}'], rf'samples={HUGE} takes at least 14.9 GiB'),
        ([f'replay={HUGE}'], rf'replay={HUGE} takes at least 14.9 GiB'),
        (['latents.size=200000000'], r'latents.size=200000000 takes at least 95.4 GiB'),
        (
            [f'reference_batch={HUGE}', 'generator.normalization=virtual'],
            rf'reference_batch={HUGE} takes at least 14.9 GiB',
        ),
        ([f'evaluation.samples={HUGE}0', 'evaluate=fid'], r'evaluation.samples is 20000000000; it must be from 2'),
        (
            ['log_every=900000000', 'duration=900000000'],
            r'A stretch of log_every=900000000 would make 1.8e\+09 updates',
        ),
    ],
)
def test_what_fits_in_no_memory_is_refused_before_it_is_made(overrides, sentence, monkeypatch):
    monkeypatch.setattr(parallel, 'available_memory', lambda: 8 * 2**30)
    with pytest.raises(UserError, match=sentence):
        cost.check_batches(configs.load('configs/mlp.py:ring', overrides), (2,))


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        (
            ['generator.widths=(1000000000,8)'],
            r'The state, most of it players/generator/params/.*kernel of shape \d+x\d+, takes at least .* TiB',
        ),
        (['unrolled_steps=50000'], r'unrolled_steps=50000 takes at least 369 GiB'),
        (['replay=2000000000'], r'The state, most of it memory/replay/.* of shape 2000000000x2, takes at least'),
    ],
)
def test_a_state_that_fits_on_no_device_is_refused_before_it_is_made(overrides, sentence, monkeypatch):
    monkeypatch.setattr(parallel, 'available_memory', lambda: 4 * 2**30)
    config = configs.load('configs/mlp.py:ring', ['log_every=10', *overrides])
    state = jax.eval_shape(build.initializer(config, build.make_game(config, (2,))), jax.random.key(0))
    with pytest.raises(UserError, match=sentence):
        cost.check_state(config, state)


def test_ordinary_configs_are_not_refused(monkeypatch):
    monkeypatch.setattr(parallel, 'available_memory', lambda: 2**30)
    config = configs.load('configs/dcgan.py')
    cost.check_batches(config, (16, 16, 1))
    state = jax.eval_shape(build.initializer(config, build.make_game(config, (16, 16, 1))), jax.random.key(0))
    assert cost.check_state(config, state, members=8) is state
    assert cost.size_of(state.step) == 4
