"""Findings on hand-made records and pictures: both sides of every threshold."""

import functools
import json
import pathlib
import re

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.optim import OPTIMIZERS
from gan_jax.pages import diversity, health
from gan_jax.pages.health import course, training
from gan_jax.pages.health import evaluations as evaluated
from gan_jax.pages.health import samples as pictured
from gan_jax.records import report
from gan_jax.records.metrics import MetricsFile

STEADY = {
    'discriminator/accuracy': 0.7,
    'discriminator/fake_probability': 0.3,
    'discriminator/real_probability': 0.7,
    'discriminator/gradient_norm': 2.0,
    'discriminator/parameter_norm': 20.0,
    'generator/gradient_norm': 1.0,
    'generator/parameter_norm': 50.0,
}
RNG = np.random.default_rng(0)


def records(before: dict | None = None, last: dict | None = None, *, number: int = 20, window: int = 5) -> list[dict]:
    """A steady game with other values before and in the window."""
    changes = [before or {}] * (number - window) + [last or {}] * window
    return [{'step': 50 * (i + 1), 'kimg': 3.2 * (i + 1), **STEADY, **change} for i, change in enumerate(changes)]


def evaluations(**series) -> list[dict]:
    """Records of evaluations at the steps 250, 500, ..., of metrics by name."""
    return [
        {'step': 250 * (i + 1), 'kimg': 16.0 * (i + 1), **{f'eval/{n}': v for n, v in zip(series, row, strict=True)}}
        for i, row in enumerate(zip(*series.values(), strict=True))
    ]


def make_config(**values) -> ConfigDict:
    return load(tuple({'duration': '1000 steps', **values}.items()))


@functools.cache
def load(values: tuple) -> ConfigDict:
    return configs.load('configs/mlp.py', dict(values))


def make_run(rows: list[dict] | None = None, **values) -> health.Course:
    return health.Course(make_config(**values), records() if rows is None else rows)


def names(run: health.Course) -> list[str]:
    return [finding.name for finding in health.assess(run)]


def grid_of(kinds: int, number: int = 16, noise: float = 0.0) -> np.ndarray:
    """uint8 [1, number, 64]: so many kinds of images, in turn, with noise on each."""
    base = RNG.integers(60, 196, (kinds, 64))[np.arange(number) % kinds]
    return np.clip(base + noise * RNG.standard_normal(base.shape), 0, 255).astype(np.uint8)[None]


def test_a_game_in_which_one_player_alone_moves_is_judged_by_it():
    rows = [{'step': 50 * (i + 1), 'kimg': 3.2 * (i + 1), 'encoder/gradient_norm': 0.5} for i in range(20)]
    (finding,) = health.assess(health.Course(configs.load('anogan', {'duration': '1000 steps'}), rows))
    assert finding.name == 'no_problems'
    assert 'gradient norms of the encoder 0.5.' in finding.evidence


def test_a_healthy_run_has_one_note_with_what_was_looked_at():
    run = make_run()._replace(samples=grid_of(16), earlier=(grid_of(16),))
    (finding,) = health.assess(run)
    assert finding == (
        'no_problems',
        'note',
        'No problems detected.',
        'Medians over the last 5 of 20 records (steps 751 to 1,000): gradient norms of the generator 1, of the '
        'discriminator 2, accuracy 0.7, D(real) 0.7, D(fake) 0.3. 16 of 16 samples in the last grid are distinct.',
        '',
    )


def test_nine_records_are_too_few():
    storm = {'generator/gradient_norm': 1e6, 'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}
    (finding,) = health.assess(make_run(records(last=storm, number=9)))
    assert finding.sentence == 'It is too early for findings.'
    assert finding.evidence == 'Trends need 10 records of metrics; there are 9.'
    assert names(make_run([])) == ['too_early']


def test_the_window_is_the_last_tenth():
    storm = {'generator/gradient_norm': 150.0}
    assert names(make_run(records(last=storm, number=100, window=5))) == ['no_problems']  # half of the last ten
    (finding,) = health.assess(make_run(records(last=storm, number=100, window=6)))
    assert (
        finding.evidence
        == 'Median norm 150 over the last 10 of 100 records (steps 4,501 to 5,000), 150 times the 1 before.'
    )


def test_before_five_thousand_images_it_is_too_early():
    rows = [row | {'kimg': row['kimg'] / 13} for row in records()]  # the last is 64 / 13
    finding, *more = health.assess(make_run(rows))
    assert (finding.sentence, more) == ('It is too early for findings.', [])
    assert finding.evidence == 'The generator has seen 4,923 images, fewer than 5,000.'
    run = make_run(rows)._replace(samples=grid_of(1), real=grid_of(16))
    (finding,) = health.assess(run)
    assert (finding.name, finding.severity) == ('samples_alike', 'note')
    assert finding.sentence == (
        'It is too early for findings: the samples are still very similar after fewer than 5 thousand images.'
    )
    assert names(run._replace(records=records())) == ['generator_collapsed']


def test_storms_at_the_start_are_not_reported():
    storm = dict.fromkeys(('generator/gradient_norm', 'discriminator/gradient_norm'), 1e5)
    storm |= {'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}
    rows = records()
    rows[:5] = [row | storm for row in rows[:5]]
    assert names(make_run(rows)) == ['no_problems']


@pytest.mark.parametrize(
    ('last', 'options', 'expected'),
    [
        ({'discriminator/accuracy': 0.99, 'discriminator/fake_probability': 0.02}, {}, 'warning'),
        ({'discriminator/accuracy': 0.989, 'discriminator/fake_probability': 0.02}, {}, None),
        ({'discriminator/accuracy': 0.99, 'discriminator/fake_probability': 0.021}, {}, None),
        (
            {'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.11},
            {'loss.fake_label': '0.1'},
            'warning',
        ),
        ({'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}, {'loss.name': 'minimax'}, 'bad'),
        ({'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}, {'loss.name': 'logistic'}, 'warning'),
        ({'discriminator/accuracy': 0.99}, {'loss.name': 'hinge'}, 'warning'),  # its D(fake) is no probability
        ({'discriminator/accuracy': 0.989}, {'loss.name': 'hinge'}, None),
        ({'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}, {'loss.name': 'wasserstein'}, None),
        ({'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}, {'loss.name': 'least_squares'}, None),
        ({'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}, {'loss.name': 'relativistic'}, None),
        ({'discriminator/accuracy': 0.5, 'discriminator/fake_probability': 0.5}, {}, None),  # at chance
    ],
)
def test_discriminator_saturated(last, options, expected):
    finding = training.discriminator_saturated(make_run(records(last=last), **options))
    assert (finding and finding.severity) == expected


@pytest.mark.parametrize(
    ('accuracy', 'fake', 'loss', 'found'),
    [
        (0.34, 0.7, 'non_saturating', True),
        (0.36, 0.8, 'non_saturating', False),
        (0.5, 0.81, 'hinge', True),
        (0.1, 0.9, 'wasserstein', False),  # a critic has no opinion
    ],
)
def test_generator_won(accuracy, fake, loss, found):
    last = {'discriminator/accuracy': accuracy, 'discriminator/fake_probability': fake}
    finding = training.generator_won(make_run(records(last=last), **{'loss.name': loss}))
    assert (finding is not None) == found
    if found:
        assert finding.evidence.startswith(f'Median D(fake) {fake:.2f} and accuracy {accuracy:.2f} over the last 5')
        assert finding.remedies.startswith('generator_optimizer.learning_rate=5e-05; discriminator_steps=2; ')


@pytest.mark.parametrize(
    ('period', 'amplitude', 'noise', 'number', 'found'),
    [
        (8, 0.2, 0.05, 60, 8),
        (14, 0.2, 0.05, 60, 14),
        (16, 0.2, 0, 60, None),  # a third of 45 records is too long
        (8, 0.1, 0, 60, None),  # between the quantiles it is under 0.2
        (8, 0.2, 0.05, 52, None),  # 39 records are too few
        (8, 0, 0.2, 400, None),
        (3, 0.2, 0, 60, None),  # no swing, but every other record
    ],
)
def test_oscillation(period, amplitude, noise, number, found):
    places = np.arange(number)
    values = 0.7 - 0.001 * places + amplitude * np.sin(2 * np.pi * places / period)
    values += noise * np.random.default_rng(1).standard_normal(number)
    rows = [row | {'discriminator/accuracy': value} for row, value in zip(records(number=number), values, strict=True)]
    finding = training.oscillating(make_run(rows))
    assert (finding is not None) == bool(found)
    if found:
        assert finding.evidence.endswith(f'about every {50 * found} steps (steps {50 * (number // 4 + 1)} to 3,000).')
    trend = np.linspace(0, 1, 200) ** 2 + 0.01 * np.random.default_rng(0).standard_normal(200).cumsum()
    assert training.find_period(trend) is None


@pytest.mark.parametrize(('amplitude', 'found'), [(4.0, True), (0.9, False)])
@pytest.mark.parametrize('period', [2, 4])
def test_checkerboard(amplitude, found, period):
    """Noise of 8 grey levels is 1/4 at each of the 32 * 32 frequencies; the pattern is all at one."""
    rng, columns = np.random.default_rng(0), np.arange(32)
    smooth = 128 + 8 * rng.standard_normal((2, 64, 32, 32, 1))
    smooth += 40 * rng.standard_normal((2, 64, 1, 1, 1))  # so that the images differ
    pattern = amplitude * np.sqrt(period / 2) * np.cos(2 * np.pi * columns / period)
    fake, real = (smooth + np.stack([pattern, 0 * pattern])[:, None, None, :, None]).clip(0, 255).astype(np.uint8)
    run = make_run()._replace(shape=(32, 32, 1), samples=fake.reshape(1, 64, -1), real=real.reshape(1, 64, -1))
    finding = pictured.checkerboard(run)
    assert (finding is not None) == found
    if found:
        assert f'At a period of {period} pixels' in finding.evidence
    _, strengths = pictured.peaks(fake)
    assert abs(strengths[(2, 4).index(period)] - amplitude) < 0.15
    assert pictured.checkerboard(run._replace(real=run.samples)) is None  # as the data have it
    assert pictured.checkerboard(run._replace(shape=(8, 128, 1))) is None  # too low for a spectrum


def test_saturation_in_words():
    last = {'discriminator/accuracy': 0.995, 'discriminator/fake_probability': 0.004}
    finding = training.discriminator_saturated(make_run(records(last=last), **{'loss.name': 'minimax'}))
    assert finding.sentence.startswith('The discriminator is saturated')
    assert (
        finding.evidence
        == 'Median accuracy 0.995 and D(fake) 0.004 over the last 5 of 20 records (steps 751 to 1,000).'
    )
    assert finding.remedies.startswith(
        'loss.name=non_saturating; discriminator_optimizer.learning_rate=5e-05; loss.real_label=0.9; '
    )


@pytest.mark.parametrize('player', ['generator', 'discriminator'])
def test_gradients_exploded(player):
    name = f'{player}/gradient_norm'
    finding = training.gradients_exploded(make_run(records({name: 2.0}, {name: 200.1})))
    assert finding.sentence == f'The gradients of the {player} have exploded.'
    assert f'{player}_optimizer.clip_norm=1.0' in finding.remedies
    assert training.gradients_exploded(make_run(records({name: 2.0}, {name: 199.9}))) is None


def test_gradients_of_further_players_are_looked_at_and_missing_ones_get_no_advice():
    run = make_run(records({'encoder/gradient_norm': 2.0}, {'encoder/gradient_norm': 300.0}))
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.encoder_optimizer = config.discriminator_optimizer
        del config.discriminator_optimizer
    finding = training.gradients_exploded(run._replace(config=config))
    assert finding.sentence == 'The gradients of the encoder have exploded.'
    assert 'encoder_optimizer.clip_norm=1.0' in finding.remedies
    assert 'discriminator_optimizer' not in finding.remedies


@pytest.mark.parametrize(
    ('before', 'last', 'evidence'),
    [
        ({}, {'generator/gradient_norm': 0.0099}, 'it was 1 before'),
        ({}, {'generator/gradient_norm': 0.0101}, None),
        (
            {'generator/gradient_norm': 0.009},
            {'generator/gradient_norm': 0.009, 'discriminator/gradient_norm': 91.0},
            'the norm of the discriminator is 91',
        ),
        (
            {'generator/gradient_norm': 0.009},
            {'generator/gradient_norm': 0.009, 'discriminator/gradient_norm': 89.0},
            None,
        ),
        (
            dict.fromkeys(('generator/gradient_norm', 'discriminator/gradient_norm'), 4.9e-6),
            dict.fromkeys(('generator/gradient_norm', 'discriminator/gradient_norm'), 4.9e-6),
            'the norm of the weights is 50',
        ),
        (
            dict.fromkeys(('generator/gradient_norm', 'discriminator/gradient_norm'), 5.1e-6),
            dict.fromkeys(('generator/gradient_norm', 'discriminator/gradient_norm'), 5.1e-6),
            None,
        ),
    ],
)
def test_gradients_vanished(before, last, evidence):
    finding = training.gradients_vanished(make_run(records(before, last)))
    if evidence is None:
        assert finding is None
    else:
        assert finding.evidence.endswith(f'(steps 751 to 1,000); {evidence}.')


def test_a_game_at_rest_has_small_gradients():
    faded = {'generator/gradient_norm': 0.001}
    for accuracy, found in ((0.39, True), (0.41, False), (0.59, False), (0.61, True)):
        run = make_run(records(last=faded | {'discriminator/accuracy': accuracy}))
        assert (training.gradients_vanished(run) is not None) == found
    wasserstein = make_run(records(last=faded | {'discriminator/accuracy': 0.5}), **{'loss.name': 'wasserstein'})
    assert training.gradients_vanished(wasserstein) is not None  # its accuracy says nothing


def test_numbers_that_are_none():
    rows = records()
    rows[7]['generator/loss'] = rows[8]['generator/loss'] = None
    finding = health.assess(make_run(rows))[0]
    assert (finding.name, finding.severity) == ('not_finite', 'bad')
    assert finding.evidence == 'Values that are not finite: 2, the first in generator/loss at step 400.'
    assert finding.remedies.startswith('on_nan=restore, to return')


def test_a_member_that_was_given_up():
    run = make_run()._replace(given_up='generator/loss became NaN or infinite in step 7')
    assert training.not_finite(run).evidence == (
        'The run was given up: generator/loss became NaN or infinite in step 7.'
    )


def test_remedies_that_are_taken_or_unknown_are_left_out():
    run = make_run()._replace(given_up='x')
    assert 'dtype' not in training.not_finite(run).remedies
    assert 'dtype=float32' in training.not_finite(make_run(dtype='bfloat16')._replace(given_up='x')).remedies
    last = {'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0}
    remedies = training.discriminator_saturated(make_run(records(last=last), **{'loss.name': 'logistic'})).remedies
    assert 'loss.real_label' not in remedies
    assert 'penalties.r1.weight=1.0' in remedies


@pytest.mark.parametrize(('kinds', 'found'), [(1, True), (5, True), (11, True), (12, False), (16, False)])
@pytest.mark.parametrize('reference', ['real', 'earlier'])
def test_generator_collapsed_to_few_kinds(kinds, found, reference):
    usual = {'real': grid_of(16)} if reference == 'real' else {'earlier': (grid_of(16),)}
    finding = pictured.generator_collapsed(make_run()._replace(samples=grid_of(kinds), **usual))
    assert (finding is not None) == found
    if found:
        assert finding.evidence.startswith(f'{kinds} of 16 samples in the last grid are distinct; median RMS distance ')
        assert f'grey levels ({"real images" if reference == "real" else "earlier samples"}: ' in finding.evidence


def test_a_collapse_after_better_days_is_worse_than_one_from_the_start():
    alike, diverse = grid_of(2), grid_of(16)
    run = make_run()._replace(samples=alike, real=grid_of(16), earlier=(alike, diverse, alike))
    finding = pictured.generator_collapsed(run)
    assert (finding.severity, finding.sentence) == ('bad', 'The generator has collapsed to a few images.')
    finding = pictured.generator_collapsed(run._replace(earlier=(alike, alike)))
    assert finding.severity == 'warning'
    assert finding.sentence.endswith('or has hardly begun to learn.')
    assert finding.remedies.startswith('more steps; generator_optimizer.learning_rate=5e-05; ')
    assert pictured.generator_collapsed(run._replace(samples=diverse)) is None


@pytest.mark.parametrize(('before', 'severity'), [(38, 'note'), (39, 'warning'), (60, 'warning')])
def test_samples_that_become_diverse_may_only_need_time(before, severity):
    def grid(contrast: int) -> np.ndarray:
        return (contrast * np.eye(16)[None]).astype(np.uint8)

    run = make_run()._replace(samples=grid(40), real=grid(200), earlier=(grid(before),) * 3)  # 1.05 * 38 = 39.9
    finding = pictured.generator_collapsed(run)
    assert finding.severity == severity
    assert finding.name == ('samples_alike' if severity == 'note' else 'generator_collapsed')


def test_little_spread_by_hand():
    """All pairs of 16 corners are equally far apart, so that the nearest tell nothing: twins would be below 0.6."""
    corners = np.eye(16)[None]
    run = make_run()._replace(real=(200 * corners).astype(np.uint8))  # at distances of 200 sqrt(2 / 16)
    assert pictured.generator_collapsed(run._replace(samples=(141 * corners).astype(np.uint8))) is None
    finding = pictured.generator_collapsed(run._replace(samples=(139 * corners).astype(np.uint8)))
    assert finding.evidence == (
        '16 of 16 samples in the last grid are distinct; median RMS distance 49.1 grey levels (real images: 70.7).'
    )


def test_distances_by_hand():
    groups = np.array([[[0, 0], [3, 3], [0, 4]]], np.uint8)
    expected = [[np.inf, 3, 8**0.5], [3, np.inf, 5**0.5], [8**0.5, 5**0.5, np.inf]]
    np.testing.assert_allclose(diversity.distances_within(groups)[0], expected, rtol=1e-12)
    assert [diversity.count_distinct(diversity.distances_within(groups)[0], radius) for radius in (2, 2.9, 3)] == [
        3,
        2,
        1,
    ]


def test_twins_are_nearer_than_a_share_of_the_usual():
    def pairs(distance: int) -> np.ndarray:
        """Eight pairs of twins, the pairs 20 from one another."""
        levels = np.arange(0, 160, 20).repeat(2) + np.tile([0, distance], 8)
        return levels.astype(np.uint8).repeat(4).reshape(1, 16, 4)

    run = make_run()._replace(real=pairs(10))  # nearest at 10, TWINS 10 = 6
    assert pictured.generator_collapsed(run._replace(samples=pairs(7))) is None
    assert pictured.generator_collapsed(run._replace(samples=pairs(6))).evidence.startswith('8 of 16 samples')


def test_images_that_look_alike_need_no_references():
    for distance, found in ((2, True), (3, False)):
        samples = np.arange(0, 16 * distance, distance, dtype=np.uint8).repeat(4).reshape(1, 16, 4)
        finding = pictured.generator_collapsed(make_run()._replace(samples=samples))
        assert (finding is not None) == found
    assert pictured.generator_collapsed(make_run([])._replace(samples=samples // 50)) is None  # not trained yet


def test_classes_are_looked_at_one_by_one():
    reference = grid_of(16).reshape(4, 4, 64)
    run = make_run()._replace(real=reference)
    collapsed = grid_of(4)[0].reshape(4, 4, 64).swapaxes(0, 1)  # each row repeats its image
    assert pictured.generator_collapsed(run._replace(samples=collapsed)).evidence.startswith(
        '4 of 16 samples in the last grid are distinct; median RMS distance within a class 0 grey levels'
    )
    same_rows = grid_of(4)[0].reshape(4, 4, 64)  # the rows are alike, but within them images differ
    assert pictured.generator_collapsed(run._replace(samples=same_rows)) is None
    one_column = make_run()._replace(samples=np.zeros((16, 1, 64), np.uint8))
    assert pictured.generator_collapsed(one_column) is None


@pytest.mark.parametrize(
    ('value', 'target', 'found'), [(0.26, 1, True), (0.24, 1, False), (0.9, 2, False), (1.1, 2, True), (9, 0, False)]
)
def test_lipschitz_missed(value, target, found):
    options = {'loss.name': 'wasserstein', 'penalties.gradient_penalty.weight': '10'}
    options['penalties.gradient_penalty.target'] = str(target)
    run = make_run(records(last={'discriminator/gradient_penalty': value}), **options)
    assert training.lipschitz_missed(run) is None  # five records only
    rows = records(*[{'discriminator/gradient_penalty': value}] * 2)
    finding = training.lipschitz_missed(make_run(rows, **options))
    assert (finding is not None) == found
    if found:
        assert finding.remedies.startswith('penalties.gradient_penalty.weight=100.0; ')
        assert f'from their target {target} by {value**0.5:.3g}' in finding.evidence


def test_augmentation_at_its_limit():
    for p, found in ((0.79, False), (0.8, True)):
        run = make_run(records(*[{'discriminator/augmentation': p}] * 2), **{'augment.name': 'ada'})
        assert (training.augmentation_at_limit(run) is not None) == found


@pytest.mark.parametrize(
    ('series', 'expected'),
    [
        ({'fid': [9, 4, 5, 5.1]}, ['metric_worsened']),
        ({'fid': [9, 4, 5, 5.0]}, ['no_problems']),
        ({'fid': [4, 5, 5.1]}, ['no_problems']),  # too few
        ({'inception_score': [1, 5, 4, 3.9]}, ['metric_worsened']),
        ({'inception_score': [1, 5, 4, 4]}, ['no_problems']),
        ({'fid': [9, 7, 5.3, 5]}, ['no_problems', 'still_improving']),
        ({'fid': [9, 7, 5.2, 5]}, ['no_problems']),
        ({'recall': [0.1, 0.2, 0.3, 0.4]}, ['no_problems', 'still_improving']),
        ({'kid': [0.1, 0.2, -0.01, 0.3]}, ['no_problems']),  # no ratios
        ({'ms_ssim': [0.1, 0.2, 0.3, 0.4]}, ['no_problems']),  # no direction
        ({'kid': [1, 2, 3, 4], 'fid': [9, 4, 4, 4]}, ['no_problems']),  # FID goes first
    ],
)
def test_metrics_over_the_run(series, expected):
    assert names(make_run(records() + evaluations(**series))) == expected


def test_the_metric_that_chooses_checkpoints_is_the_one_judged():
    rows = records() + evaluations(kid=[1, 2, 3, 4], fid=[9, 4, 4, 4])
    finding = evaluated.metric_worsened(
        make_run(rows, **{'checkpoints.best_metric': 'eval/kid', 'evaluate': 'fid,kid'})
    )
    assert finding.sentence == 'The metric kid is much worse than its best value.'
    assert finding.evidence == '4 at step 1,000, but 1 at step 250.'
    assert 'checkpoints.best_metric' not in finding.remedies


def test_improvement_is_no_news_before_the_end():
    rows = records() + evaluations(fid=[9, 7, 6, 4])
    assert evaluated.still_improving(make_run(rows)).evidence == '4 at step 1,000, 6 at step 750.'
    assert evaluated.still_improving(make_run(rows, duration='1001 steps')) is None


def test_memorised():
    for value, found in ((0.19, True), (0.2, False)):
        finding = evaluated.memorised(make_run(records() + evaluations(authenticity=[0.5, value])))
        assert (finding is not None) == found


def test_the_gravest_comes_first():
    last = {'discriminator/accuracy': 1.0, 'discriminator/fake_probability': 0.0, 'generator/gradient_norm': 1e3}
    rows = records(last=last) + evaluations(fid=[9, 7, 6, 4])
    assert names(make_run(rows)) == ['gradients_exploded', 'discriminator_saturated', 'still_improving']


def test_every_remedy_can_be_set():
    source = '\n'.join(path.read_text() for path in pathlib.Path(health.__file__).parent.glob('*.py'))
    told = {(key, value) for key, value in re.findall(r"(?:'|; |with )([\w.]+)=([\w./-]+)", source)}
    assert len(told) > 12
    for key, value in told:
        metric = {'evaluate': 'fid'} if value == 'eval/' else {}  # the finding adds the name of a metric that is judged
        configs.load('configs/dcgan.py', {key: value + metric.get('evaluate', ''), **metric})
    for name in OPTIMIZERS:
        config = make_config(**{'generator_optimizer.name': name})
        assert course.slower(health.Course(config, []), 'generator').startswith('generator_optimizer.learning_rate=')


def write_run(workdir, config: ConfigDict, rows: list[dict], shape=(6, 5, 3), classes: int = 4) -> None:
    for name, values in (
        ('config', json_values.to_json(config)),
        ('run', {'data': {'shape': shape, 'classes': classes}}),
    ):
        (workdir / f'{name}.json').write_text(json.dumps(values))
    for row in rows:
        MetricsFile(workdir / 'metrics.jsonl').append(row)


@pytest.mark.parametrize(
    ('shape', 'number', 'classes', 'groups'),
    [
        ((8, 8, 1), 64, None, (1, 64)),
        ((6, 5, 3), 7, None, (1, 7)),  # not square, and the last row is not full
        ((28, 28, 1), 64, 10, (10, 6)),
        ((8, 8, 3), 4, 10, (4, 1)),  # fewer samples than classes
        ((500, 500, 1), 4, None, (1, 4)),  # not enlarged
    ],
)
def test_a_grid_is_cut_into_its_images(shape, number, classes, groups):
    rows = 1 if classes is None else min(classes, number)
    columns = None if classes is None else number // rows
    images = RNG.integers(0, 256, (number // rows * rows, *shape), np.uint8)
    picture = report.image_grid(images, columns)
    picture = picture[..., 0] if shape[-1] == 1 else picture  # as PIL reads grey
    cut = diversity.cut_grid(picture, shape, number, classes)
    np.testing.assert_array_equal(cut, images.reshape(*groups, -1))
    assert diversity.cut_grid(picture, shape, number + 20, classes) is None


def test_a_directory_is_read(tmp_path):
    config = make_config(samples='9')
    write_run(tmp_path, config, records(last={'generator/gradient_norm': 500.0}))
    diverse, alike = RNG.integers(0, 256, (9, 6, 5, 3), np.uint8), np.zeros((9, 6, 5, 3), np.uint8)
    for step, images in ((100, diverse), (200, alike)):
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', report.image_grid(images))
    run = health.read(tmp_path)
    np.testing.assert_array_equal(run.earlier[0], diverse.reshape(1, 9, -1))
    assert [finding.name for finding in health.findings(tmp_path)] == ['generator_collapsed', 'gradients_exploded']

    report.save_png(tmp_path / 'real.png', report.image_grid(diverse[::-1]))
    (tmp_path / 'diverged.json').write_text('{"reason": "it fell over"}')
    run = health.read(tmp_path)
    np.testing.assert_array_equal(run.real, diverse[::-1].reshape(1, 9, -1))
    assert run.given_up == 'it fell over'


def test_rows_of_a_conditional_run_are_its_groups(tmp_path):
    config = make_config(
        samples='9', **{'generator.conditioning': 'embedding', 'discriminator.conditioning': 'embedding'}
    )
    write_run(tmp_path, config, records(), classes=4)
    images = RNG.integers(0, 256, (8, 6, 5, 3), np.uint8)
    report.save_png(tmp_path / 'samples' / '00000100.png', report.image_grid(images, 2))
    np.testing.assert_array_equal(health.read(tmp_path).samples, images.reshape(4, 2, -1))


def test_grids_of_too_many_pixels_are_not_compared(tmp_path, monkeypatch):
    write_run(tmp_path, make_config(samples='9'), records(last={'generator/gradient_norm': 500.0}))
    grid = report.image_grid(RNG.integers(0, 256, (9, 6, 5, 3), np.uint8))
    for step in (100, 200):
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', grid)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 31)
    assert (health.read(tmp_path).samples, health.read(tmp_path).earlier) == (None, ())
    assert [finding.name for finding in health.findings(tmp_path)] == ['gradients_exploded']


def test_points_have_no_grid(tmp_path):
    write_run(tmp_path, make_config(**{'data.name': 'ring'}), records(), shape=(2,))
    report.save_png(tmp_path / 'samples' / '00000100.png', np.zeros((600, 600, 3), np.uint8))
    assert health.read(tmp_path).samples is None


def test_a_directory_without_a_run(tmp_path):
    with pytest.raises(UserError, match=re.escape(f'{tmp_path} is not the directory of a run: its config.json')):
        health.findings(tmp_path)


def test_an_evaluation_without_a_number_is_no_divergence():
    rows = [*records(), {'step': 7, 'kimg': 1.0, 'eval/fid': None}]
    finding = training.not_finite(make_run(rows))
    assert (finding.severity, finding.sentence) == ('warning', 'An evaluation gave a value that is not finite.')
    assert finding.evidence == 'Values that are not finite: 1, the first in eval/fid at step 7.'
    assert finding.remedies == ''
