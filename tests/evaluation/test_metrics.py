"""Every metric by name, over stores, and evaluations with their protocols."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses, parallel
from gan_jax.adversarial import adversarial
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation import metrics
from gan_jax.evaluation.evaluator import Evaluator, draw_labels, table
from gan_jax.evaluation.gather import Samples
from gan_jax.evaluation.record import differences
from gan_jax.game import Player, pure
from tests.extractors import QUADRANTS

OWN_FILES = {'classification_accuracy', 'lpips', 'path_length'}  # what trains, or asks for weights or a generator
LAYOUT = parallel.make_layout(1, num_devices=1)


def squares(number, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (number, 2, 2, 1)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    return Dataset('squares', f'seed{seed}', images, random.integers(0, 2, number, np.int32), 2, f'fingerprint{seed}')


REALS = squares(100, 0)


def evaluator(cache, *names, **options):
    return Evaluator(names, QUADRANTS, REALS, LAYOUT, cache, **options)


def test_every_metric_is_computed_and_says_which_way_is_better(tmp_path):
    names = [name for name in metrics.METRICS if name not in OWN_FILES]
    records = evaluator(tmp_path, *names).evaluate(squares(60, 1))
    values = {record.metric: record.value for record in records}
    promised = [value for name in names for value in metrics.METRICS[name].best]
    assert list(values) == promised
    assert all(np.isfinite(value) for value in values.values())
    assert {way for metric in metrics.METRICS.values() for way in metric.best.values()} == {'min', 'max', 'real'}
    assert all(record.protocol['rule'] for record in records)


def test_the_set_itself_is_perfect(tmp_path):
    records = evaluator(tmp_path, 'fid', 'intra_fid', 'precision_recall', 'sliced_wasserstein').evaluate(REALS)
    values = {record.metric: record.value for record in records}
    assert values == pytest.approx(
        {'fid': 0, 'intra_fid': 0, 'precision': 1, 'recall': 1, 'sliced_wasserstein': 0}, abs=1e-12
    )


def test_a_record_has_the_whole_protocol_and_pixels_have_no_extractor(tmp_path):
    fid, pixels = evaluator(tmp_path, 'fid', 'sliced_wasserstein').evaluate(squares(60, 1))
    assert fid.subject == 'squares seed1'
    assert fid.protocol['extractor'] == 'quadrants (version 1)'
    assert fid.protocol['reals'] == '100 of squares seed0 8x8x1 (fingerpr)'
    assert fid.protocol['fakes'] == '60 images'
    assert 'jax' in fid.protocol['versions']
    assert pixels.protocol['extractor'] == 'none'
    other, _ = evaluator(tmp_path, 'fid', 'sliced_wasserstein').evaluate(squares(50, 2))
    assert differences(fid, other) == ['fakes (60 images -> 50 images)']
    lines = table([fid, pixels])
    assert f'{fid.value:12.6g}' in lines
    assert lines.count('extractor: quadrants') == 1


def test_bootstrap_intervals_surround_what_resampling_does_not_bias(tmp_path):
    (score,) = evaluator(tmp_path, 'inception_score', bootstrap=100).evaluate(squares(60, 1))
    low, high = score.interval
    assert low < score.value < high
    assert score.interval == evaluator(tmp_path, 'inception_score', bootstrap=100).evaluate(squares(60, 1))[0].interval


def test_what_cannot_be_evaluated_gets_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"There is no metric 'fdi': did you mean 'fid'"):
        evaluator(tmp_path, 'fdi')
    small = Dataset('small', 'train', np.zeros((5, 4, 4, 1), np.uint8), None, None, 'x')
    with pytest.raises(UserError, match='images of small are 4x4x1 and those of squares 8x8x1: bring both to one'):
        evaluator(tmp_path, 'fid').evaluate(small)
    with pytest.raises(UserError, match='at least'):
        evaluator(tmp_path, 'precision_recall').evaluate(squares(3, 1))
    with pytest.raises(UserError, match='path_length walks in the latent space of a generator without classes'):
        evaluator(tmp_path, 'path_length').evaluate(REALS)


def test_the_path_length_of_a_run_is_that_of_its_generator(tmp_path):
    game = adversarial(
        pure(
            lambda key: jnp.zeros(()), lambda params, z: jnp.tanh(params * z[:, :1, None, None] * jnp.ones((8, 8, 1)))
        ),
        pure(lambda key: jnp.zeros(()), lambda params, images: images.mean((1, 2, 3))),
        losses.non_saturating(),
        2,
    )
    lengths = []
    for scale in (0.0, 0.1, 0.2):
        samples = Samples(game, Player(jnp.full((), scale), {}, None), 20, 0, None, 'a test')
        (record,) = evaluator(tmp_path, 'path_length').evaluate(samples)
        lengths.append(record.value)
    assert lengths[0] == 0
    assert 3.2 < lengths[2] / lengths[1] < 4.2  # squared distances, and tanh flattens


def test_what_a_generator_cannot_be_judged_by_is_known_beforehand(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    metrics.check_of_generator(['fid', 'intra_fid'], conditional=True)
    for names, conditional, sentence in (
        (['fid', 'intra_fid'], False, 'intra_fid judges classes, which this generator is not told'),
        (['path_length'], True, 'path_length walks in the latent space of a generator without classes'),
        (['lpips'], False, 'convert_lpips'),
    ):
        with pytest.raises(UserError, match=sentence):
            metrics.check_of_generator(names, conditional)


def test_labels_are_drawn_as_often_as_in_the_data():
    labels = np.array([0, 0, 0, 1], np.int32)
    data = Dataset('d', 'train', np.zeros((4, 2, 2, 1), np.uint8), labels, 2, 'x')
    drawn = draw_labels(data, 4000, seed=0)
    assert abs(drawn.mean() - 0.25) < 0.03
    np.testing.assert_array_equal(drawn, draw_labels(data, 4000, seed=0))
