"""Every metric by name, over stores, and evaluations with their protocols."""

import dataclasses
import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import data, losses
from gan_jax.adversarial import adversarial
from gan_jax.data import Dataset, to_uint8
from gan_jax.errors import UserError
from gan_jax.evaluation import lpips, metrics, of_runs, of_sets
from gan_jax.evaluation.evaluator import Evaluator, table
from gan_jax.evaluation.features.extractor import NOTHING, Extractor, Features
from gan_jax.evaluation.fid import fid
from gan_jax.evaluation.gather import GeneratorSamples
from gan_jax.evaluation.lpips import Lpips
from gan_jax.evaluation.record import Estimate, Failure, differences
from gan_jax.game import Game, Player, named_key, normal_latents
from gan_jax.layers.bicubic import enlarged, repeated
from gan_jax.networks import from_flax, pure
from gan_jax.runtime import parallel
from gan_jax.translators import no_latents
from tests.extractors import QUADRANTS, look

OWN_FILES = {'classification_accuracy', 'lpips', 'path_length', 'path_length_w'}  # train, or ask for weights or a run
# pairs, solids, clips, points, an extractor with taps, a classifier, a discriminator, an encoder, label maps, holes or
# captions
OTHER_INPUT = {
    'clip_error',
    'warp_error',
    'psnr',
    'ssim',
    'l1',
    'edge_f1',
    'luma',
    'interpolated',
    'baselines',
    'lpips_distance',
    'clips',
    'solids',
    'mixture',
    'clouds',
    'clouds_emd',
    'fid_taps',
    'class_error',
    'membership',
    'code_accuracy',
    'reconstruction',
    'auroc',
    'diversity',
    'lpips_diversity',
    'content_accuracy',
    'target_accuracy',
    'segmentation',
    'hole',
    'caption_accuracy',
    'r_precision',
}
LAYOUT = parallel.make_layout(1, num_devices=1)


def squares(number, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (number, 2, 2, 1)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    return Dataset('squares', f'seed{seed}', images, random.integers(0, 2, number, np.int32), 2, f'fingerprint{seed}')


REALS = squares(100, 0)


def evaluator(cache, *names, **options):
    return Evaluator(names, QUADRANTS, REALS, LAYOUT, cache, **options)


def test_every_metric_is_computed_and_says_which_way_is_better(tmp_path):
    names = [name for name in metrics.METRICS if name not in OWN_FILES | OTHER_INPUT]
    records, failures = evaluator(tmp_path, *names).evaluate(squares(60, 1))
    assert failures == []
    values = {record.metric: record.value for record in records}
    promised = [value for name in names for value in metrics.METRICS[name].best]
    assert list(values) == promised
    assert all(np.isfinite(value) for value in values.values())
    assert {way for metric in metrics.METRICS.values() for way in metric.best.values()} == {'min', 'max', 'real'}
    assert all(record.protocol['rule'] for record in records)


def test_the_set_itself_is_perfect(tmp_path):
    records = evaluator(tmp_path, 'fid', 'intra_fid', 'precision_recall', 'sliced_wasserstein').evaluate(REALS).records
    values = {record.metric: record.value for record in records}
    assert values == pytest.approx(
        {'fid': 0, 'intra_fid': 0, 'precision': 1, 'recall': 1, 'sliced_wasserstein': 0}, abs=1e-12
    )


def test_classes_are_matched_by_their_names(tmp_path, monkeypatch):
    def share_of_equal_labels(fake_images, fake_labels, real_images, real_labels, num_classes):
        return Estimate((fake_labels == real_labels).mean(), rule='of a test')

    monkeypatch.setattr(of_sets, 'classification_accuracy_score', share_of_equal_labels)
    reals = dataclasses.replace(REALS, class_names=('cats', 'dogs'))
    swapped = dataclasses.replace(REALS, fingerprint='swapped', labels=1 - REALS.labels, class_names=('dogs', 'cats'))
    names = ('intra_fid', 'classification_accuracy')
    tested = Evaluator(names, QUADRANTS, reals, LAYOUT, tmp_path)
    matched = {record.metric: record for record in tested.evaluate(swapped).records}
    assert matched['intra_fid'].value == pytest.approx(0, abs=1e-12)
    assert matched['classification_accuracy'].value == 1
    assert all(record.protocol['rule'].endswith(', classes matched by name') for record in matched.values())

    numbered = dataclasses.replace(swapped, class_names=None)
    (record,) = Evaluator(['intra_fid'], QUADRANTS, reals, LAYOUT, tmp_path).evaluate(numbered).records
    assert record.value > 1e-4
    assert record.protocol['rule'].endswith(', classes matched by number')

    strangers = dataclasses.replace(REALS, class_names=('cats', 'cows'))
    (failure,) = Evaluator(['intra_fid'], QUADRANTS, reals, LAYOUT, tmp_path).evaluate(strangers).failures
    assert re.match(r"Class 'dogs' has \d+ real images and 0 fakes", failure.failure)


def test_a_record_has_the_whole_protocol_and_pixels_have_no_extractor(tmp_path):
    fid, pixels = evaluator(tmp_path, 'fid', 'sliced_wasserstein').evaluate(squares(60, 1)).records
    assert fid.subject == 'squares seed1'
    assert fid.protocol['extractor'] == 'quadrants (version 1)'
    assert fid.protocol['reals'] == '100 of squares seed0 8x8x1 (fingerpr)'
    assert fid.protocol['fakes'] == '60 images'
    assert (fid.number, fid.fingerprint) == (60, 'fingerprint1')
    assert 'jax' in fid.protocol['versions']
    assert pixels.protocol['extractor'] == 'none'
    other, _ = evaluator(tmp_path, 'fid', 'sliced_wasserstein').evaluate(squares(50, 2)).records
    assert differences(fid, other) == ['fakes (60 images -> 50 images)']
    lines = table([fid, pixels])
    assert f'{fid.value:12.6g}' in lines
    assert lines.count('extractor: quadrants') == 1


def deep(images):
    seen = QUADRANTS.apply(images)
    return seen._replace(taps={'deep': seen.features, 'early': seen.features[:, :2]})


def test_taps_of_one_pass_have_a_fid_each(tmp_path):
    fakes = squares(60, 1)
    tested = Evaluator(['fid', 'fid_taps'], Extractor('deep', '1', deep), REALS, LAYOUT, tmp_path, bootstrap=20)
    for again in (tested, dataclasses.replace(tested)):  # whose reals come from the cache
        records, failures = again.evaluate(fakes)
        assert failures == []
        values = {record.metric: record.value for record in records}
        assert list(values) == ['fid', 'fid_early', 'fid_deep'], 'the narrowest tap first'
        assert values['fid_deep'] == pytest.approx(values['fid'], rel=1e-9)
        early = [np.asarray(look(images).features)[:, :2] for images in (REALS.examples, fakes.examples)]
        assert values['fid_early'] == pytest.approx(fid(*early).value, rel=1e-5)
        assert records[1].protocol['rule'] == 'tap early, covariances with ddof 1, float64'
    _, (failure,) = evaluator(tmp_path, 'fid_taps').evaluate(fakes)
    assert failure.failure.startswith('fid_taps needs an extractor with taps, such as inception')


def test_paired_metrics_compare_image_by_image_and_resample_pairs(tmp_path):
    images = np.random.default_rng(0).integers(0, 236, (30, 12, 12, 1), np.uint8)
    reals = Dataset('reals', 'train', images, None, None, 'r')
    fakes = Dataset(
        'fakes', 'train', images + np.arange(1, 31, dtype=np.uint8)[:, None, None, None] % 21, None, None, 'f'
    )
    tested = Evaluator(['psnr', 'ssim'], QUADRANTS, reals, LAYOUT, tmp_path, bootstrap=50)
    errors = np.arange(1, 31) % 21
    fakes.examples[20] += np.uint8(1)  # where the difference is 0
    records, failures = tested.evaluate(fakes)
    assert failures == []
    expected = 20 * np.log10(255 / np.where(errors == 0, 1, errors)).mean()
    assert records[0].value == pytest.approx(expected)
    for record in records:
        assert record.interval[0] < record.value < record.interval[1]
        assert record.protocol['extractor'] == 'none'
    _, (psnr, _) = tested.evaluate(Dataset('few', 'train', images[:9], None, None, 'few'))
    assert psnr.failure.startswith('Image i of one set is compared with image i of the other, but there are 30 and 9')


def enlarging_samples(small):
    """Samples of a translator that repeats pixels twice."""
    game = Game(None, (), lambda params, variables, latents, images: params * repeated(images, 2), no_latents)
    game = game._replace(given='input')
    return GeneratorSamples(game, Player(jnp.float32(1.0), {}, None), len(small), 0, small, 'a test')


def test_super_resolution_is_measured_by_luma_beside_interpolations(tmp_path):
    small = np.random.default_rng(0).integers(0, 256, (6, 12, 14, 3), np.uint8)
    large = np.asarray(to_uint8(enlarged('bicubic', jnp.float32(small) / 127.5 - 1, 2)))
    noise = np.random.default_rng(1).integers(0, 9, large.shape).astype(np.uint8)
    reals = Dataset('reals', 'train', np.minimum(large, 246) + noise, None, None, 'r')
    names, options = ['luma', 'interpolated'], {'luma_border': 2, 'interpolated_border': 2}
    tested = Evaluator(names, QUADRANTS, reals, LAYOUT, tmp_path, options=options, bootstrap=20)
    records, failures = tested.evaluate(enlarging_samples(small))
    assert failures == []
    found = {record.metric: record for record in records}
    for name, made in (('bicubic', large), ('nearest', small.repeat(2, 1).repeat(2, 2))):
        luma = [16 + x[:, 2:-2, 2:-2] @ np.array([65.481, 128.553, 24.966]) / 255 for x in (reals.examples, made)]
        expected = 10 * np.log10(255**2 / np.square(luma[0] - luma[1]).mean((1, 2)))
        assert found[f'psnr_y_{name}'].value == pytest.approx(expected.mean(), rel=1e-9)
        low, high = found[f'psnr_y_{name}'].interval
        assert expected.min() <= low < high <= expected.max()
    for value in ('psnr_y', 'ssim_y'):
        assert found[value].value == pytest.approx(found[f'{value}_nearest'].value, abs=1e-9)
        assert 'luma of BT.601 in [16, 235], without 2 pixels at each border' in found[value].protocol['rule']
    _, (failure,) = Evaluator(['interpolated'], QUADRANTS, reals, LAYOUT, tmp_path).evaluate(reals)
    assert failure.failure.startswith('interpolated enlarges the inputs of a run, but these images are not samples')
    with pytest.raises(UserError, match='interpolated enlarges images, and the inputs of this run are captions'):
        of_runs.interpolated_of(metrics.Evidence(None, None, None, enlarging_samples(np.zeros((6, 14), np.int32))))


def test_translations_are_not_resampled_without_the_classes_that_they_should_have(tmp_path):
    game = Game(None, (), lambda params, variables, latents, images: images, no_latents, given='a')
    classes = np.asarray(look(REALS.examples).logits).argmax(-1)
    samples = GeneratorSamples(game, Player({}, {}, None), 100, 0, REALS.examples, 'a test', classes=classes)
    (record,) = evaluator(tmp_path, 'content_accuracy', bootstrap=20).evaluate(samples).records
    assert (record.value, record.interval) == (1, None)
    assert record.protocol['extractor'] == 'quadrants (version 1)'


def test_lpips_of_pairs_is_their_mean_distance(tmp_path, monkeypatch):
    distance = lambda x, y: jnp.abs(jnp.float32(x) - y).mean((1, 2, 3))  # noqa: E731
    monkeypatch.setattr(lpips, 'load_lpips', lambda: Lpips('of a test', distance))
    (record,) = evaluator(tmp_path, 'lpips_distance').evaluate(squares(100, 1)).records
    expected = np.abs(REALS.examples.astype(float) - squares(100, 1).examples).mean()
    assert record.value == pytest.approx(expected, rel=1e-6)
    assert record.protocol['rule'] == 'of a test, mean and standard error over 100 pairs'
    (failure,) = evaluator(tmp_path, 'lpips_distance').evaluate(squares(60, 1)).failures
    assert failure.failure.startswith('Image i of one set is compared with image i of the other, but there are 100 and')


def test_bootstrap_intervals_surround_what_resampling_does_not_bias(tmp_path):
    tested = evaluator(tmp_path, 'inception_score', bootstrap=100)
    (score,) = tested.evaluate(squares(60, 1)).records
    low, high = score.interval
    assert low < score.value < high
    assert score.interval == tested.evaluate(squares(60, 1)).records[0].interval


def test_what_cannot_be_evaluated_gets_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"There is no metric 'fdi': did you mean 'fid'"):
        evaluator(tmp_path, 'fdi')
    small = Dataset('small', 'train', np.zeros((5, 4, 4, 1), np.uint8), None, None, 'x')
    with pytest.raises(
        UserError, match='images of small are 4x4x1 and those of squares 8x8x1: convert both to the same'
    ):
        evaluator(tmp_path, 'fid').evaluate(small)
    with pytest.raises(UserError, match='batch_size is 0; it must be a multiple of the 1 devices'):
        evaluator(tmp_path, 'fid', batch_size=0)


def test_a_metric_that_fails_takes_nothing_from_the_others(tmp_path):
    names = ('inception_score', 'fid', 'precision_recall', 'path_length', 'lpips', 'fid')
    records, failures = evaluator(tmp_path, *names).evaluate(squares(3, 1))
    assert [record.metric for record in records] == ['fid']
    assert records == evaluator(tmp_path, 'fid').evaluate(squares(3, 1)).records
    reasons = {failed.metric: failed.failure for failed in failures}
    assert list(reasons) == ['inception_score', 'precision_recall', 'path_length', 'lpips']
    assert reasons['inception_score'].startswith('3 images cannot be divided into 10 splits')
    assert 'needs at least 4' in reasons['precision_recall']
    assert reasons['path_length'].startswith('path_length needs the run of a generator without classes.')
    assert failures[0].to_json() == {
        'metric': 'inception_score',
        'failure': reasons['inception_score'],
        'subject': 'squares seed1',
    }


def test_modes_are_the_classes_that_the_extractor_sees(tmp_path):
    bright, dark = (np.full((n, 8, 8, 1), shade, np.uint8) for n, shade in ((3, 255), (1, 0)))
    half = dataclasses.replace(REALS, examples=np.concatenate([bright, dark]), fingerprint='half')
    tested = Evaluator(['modes'], QUADRANTS, half, LAYOUT, tmp_path)
    one = {record.metric: record for record in tested.evaluate(dataclasses.replace(half, examples=bright)).records}
    assert one['modes'].value == 1
    assert one['mode_divergence'].value == pytest.approx(np.log(4 / 3))
    assert '2 modes as likely as the data' in one['modes'].protocol['rule']
    two = {record.metric: record.value for record in tested.evaluate(half).records}
    assert two == {'modes': 2, 'mode_divergence': pytest.approx(0)}


def test_an_extractor_without_classes_fails_the_inception_score_alone(tmp_path):
    blind = QUADRANTS._replace(name='blind', apply=lambda images: Features(QUADRANTS.apply(images).features))
    records, failures = Evaluator(['inception_score', 'fid'], blind, REALS, LAYOUT, tmp_path).evaluate(squares(20, 1))
    assert [record.metric for record in records] == ['fid']
    assert failures[0].failure == 'There are no logits of these images: the extractor does not classify.'


def test_what_is_not_finite_or_too_large_for_the_memory_is_a_failure(tmp_path, monkeypatch):
    def of(value):
        return metrics.Metric(lambda evidence: {'odd': Estimate(value)}, {'odd': 'min'})

    def too_large(evidence):
        raise MemoryError('8 TiB')

    for metric, reason in ((of(np.nan), 'it is nan.'), (metrics.Metric(too_large, {}), 'MemoryError: 8 TiB')):
        monkeypatch.setitem(metrics.METRICS, 'odd', metric)
        records, failures = evaluator(tmp_path, 'odd', 'fid').evaluate(squares(20, 1))
        assert [record.metric for record in records] == ['fid']
        assert failures == [Failure('odd', reason, 'squares seed1')]


def test_an_interval_that_fails_keeps_its_value(tmp_path):
    """Two images, of which some resamples are one image twice, whose distances have no median."""
    records, failures = evaluator(tmp_path, 'kid_full', bootstrap=20).evaluate(squares(2, 1))
    assert [failed.metric for failed in failures] == ['kid_full']
    alike = dataclasses.replace(REALS, examples=np.repeat(REALS.examples[:2], 3, axis=0), labels=None)
    tested = Evaluator(['mmd'], QUADRANTS, dataclasses.replace(alike, fingerprint='alike'), LAYOUT, tmp_path, 50)
    records, failures = tested.evaluate(dataclasses.replace(alike, fingerprint='again'))
    assert [record.interval for record in records] == [None]
    assert [failed.metric for failed in failures] == ['interval of mmd']


def test_an_interval_without_an_end_is_a_failure(tmp_path, monkeypatch):
    """A value that is infinite where a resample lacks some images, like the divergence of a mixture."""

    def of_all(evidence):
        return {'odd': Estimate(1.0 if len(np.unique(evidence.fake.array('images'), axis=0)) > 50 else np.inf)}

    monkeypatch.setitem(metrics.METRICS, 'odd', metrics.Metric(of_all, {'odd': 'min'}, fake=('images',), sees='pixels'))
    (record,), failures = evaluator(tmp_path, 'odd', bootstrap=20).evaluate(squares(60, 1))
    assert (record.value, record.interval) == (1, None)
    assert failures == [Failure('interval of odd', '20 of 20 resamples have no finite value.', 'squares seed1')]


def test_the_constants_of_metrics_can_be_chosen_and_stand_in_the_protocol(tmp_path):
    options = {
        'kid_subsets': 7,
        'kid_subset_size': 20,
        'kid_seed': 3,
        'precision_recall_k': 2,
        'density_coverage_k': 4,
        'inception_score_splits': 5,
    }
    names = ['kid', 'precision_recall', 'density_coverage', 'inception_score']
    records = evaluator(tmp_path, *names, options=options, batch_size=32).evaluate(squares(60, 1)).records
    rules = {record.metric: record.protocol['rule'] for record in records}
    assert '7 subsets of 20 by RandomState(3)' in rules['kid']
    assert rules['precision'].startswith('k=2, closed')
    assert rules['coverage'].startswith('k=4, open')
    assert '2 classes, 5 splits' in rules['inception_score']
    assert set(options) == set(metrics.OPTIONS) - {'luma_border', 'interpolated_border'}  # which have their own test
    usual = evaluator(tmp_path, *names).evaluate(squares(60, 1)).records
    assert '100 subsets of 60 by RandomState(2020)' in usual[0].protocol['rule']
    for wrong, sentence in (
        ({'kid_subsets': 0}, 'kid_subsets is 0; it must be a whole number from 1 to'),
        ({'kid_sub': 1}, "no option of metrics 'kid_sub': did you mean 'kid_sub"),
        ({'inception_score_splits': 5}, 'inception_score_splits is an option of inception_score, which is not among'),
    ):
        with pytest.raises(UserError, match=sentence):
            evaluator(tmp_path, 'kid', options=wrong)


def test_one_image_is_too_few_for_kid(tmp_path):
    _, (failed,) = evaluator(tmp_path, 'kid').evaluate(squares(1, 1))
    assert failed.failure == 'The fake features belong to 1 images; this metric needs at least 3.'


@pytest.mark.parametrize(
    ('wrong', 'sentence'),
    [
        (
            lambda images: Features(images.mean((1, 2, 3))),
            r'The features of the extractor own are float32\[64\] for 64 im',
        ),
        (
            lambda images: Features(images.mean((1, 2)), images.mean((1, 2, 3))),
            r'The logits of the extractor own are floa',
        ),
        (
            lambda images: images.mean((1, 2)),
            r'The extractor own returns an array \[64, 1\]: it must',
        ),
        (lambda images: Features(np.full((64, 3), 'a')), r'The features of the extractor own are <U1\[64, 3\] for 64'),
        (
            lambda images: Features(images.mean((1, 2)) * 1j),
            r'are complex64\[64, 1\] for 64 images: it must return real',
        ),
        (lambda images: Features(images.mean((1, 2))[:5]), r'are float32\[5, 1\] for 64 images'),
        (lambda images: Features(jnp.zeros((64, 0))), r'are float32\[64, 0\] for 64 images'),
        (lambda images: Features('a text'), 'are str for 64 images'),
    ],
)
def test_an_extractor_of_ones_own_that_returns_something_else(tmp_path, wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        Evaluator(['fid'], Extractor('own', '1', wrong), REALS, LAYOUT, tmp_path)


def test_the_path_length_of_a_run_is_that_of_its_generator(tmp_path):
    game = adversarial(
        pure(
            lambda key: jnp.zeros(()), lambda params, z: jnp.tanh(params * z[:, :1, None, None] * jnp.ones((8, 8, 1)))
        ),
        pure(lambda key: jnp.zeros(()), lambda params, images: images.mean((1, 2, 3))),
        losses.non_saturating(),
        2,
    )
    lengths, fingerprints, tested = [], set(), evaluator(tmp_path, 'path_length')
    for scale in (0.0, 0.1, 0.2):
        samples = GeneratorSamples(game, Player(jnp.full((), scale), {}, None), 20, 0, None, 'a test')
        (record,) = tested.evaluate(samples).records
        assert (record.number, len(record.fingerprint)) == (20, 64)
        fingerprints.add(record.fingerprint)
        lengths.append(record.value)
    assert lengths[0] == 0
    assert len(fingerprints) == 3
    assert 3.2 < lengths[2] / lengths[1] < 4.2  # squared distances, and tanh flattens


def test_a_path_length_is_measured_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(of_runs, '_NUM_PATHS', 64)
    coarse, exact = (
        Game(None, (), functools.partial(wave, dtype), normal_latents(2)) for dtype in (jnp.bfloat16, jnp.float32)
    )
    tested = evaluator(tmp_path, 'path_length')
    samples = GeneratorSamples(coarse, Player(jnp.float32(0.1), {}, None), 20, 0, None, 'a test')
    rounded, wanted, found = (
        tested.evaluate(one).records[0]
        for one in (samples, samples._replace(game=exact), samples._replace(exact=exact))
    )
    assert rounded.value > 10 * wanted.value
    assert found.value == wanted.value
    assert found.protocol['rule'] == f'{wanted.protocol["rule"]}, arithmetic in float32'


def wave(dtype, scale, variables, latents, condition=None):
    """Flat images as bright as the latent, in some arithmetic."""
    bright = jnp.tanh(scale * latents[:, :1, None, None]).astype(dtype)
    return jnp.broadcast_to(bright, (len(latents), 8, 8, 1)).astype(jnp.float32)


def test_the_path_length_in_w_of_a_linear_generator_is_the_distance_of_its_images(tmp_path, monkeypatch):
    monkeypatch.setattr(of_runs, '_NUM_PATHS', 40)
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(6, 64)) / 64, jnp.float32)

    class Linear(nn.Module):
        """Styles are the latents twice over, halved in the second layer; an image is linear in them."""

        def __call__(self, latents, *, train):
            return self.synthesize(self.styles(latents, train=train), train=train)

        @nn.compact
        def styles(self, latents, *, train):
            self.param('unused', nn.initializers.zeros, ())
            return jnp.stack([latents, latents / 2], axis=1)

        def synthesize(self, styles, *, train):
            return (styles.reshape(len(styles), -1) @ matrix).reshape(-1, 8, 8, 1)

    extractor = Extractor('pixels', 'pixels', lambda images: Features(images.reshape(len(images), -1) / 127.5))
    discriminate = pure(lambda key: jnp.zeros(()), lambda params, images: images.mean((1, 2, 3)))
    game = adversarial(from_flax(Linear(), (3,)), discriminate, losses.non_saturating(), 3)
    params, variables = game.init(jax.random.key(0))['generator']
    samples = GeneratorSamples(game, Player(params, variables, None), 20, 0, None, 'a test')
    records = Evaluator(['path_length_w'], extractor, REALS, LAYOUT, tmp_path).evaluate(samples).records
    key = named_key(0, 'path length')
    z = np.asarray(game.latents(key, jnp.arange(80)), np.float64)
    steps = (z[1::2] - z[::2])[:, None] * np.array([1, 0.5])[:, None]
    lengths = np.sum((steps.reshape(40, -1) @ np.asarray(matrix, np.float64)) ** 2, axis=1)  # wherever a step begins
    assert {record.metric: record.value for record in records} == {
        'path_length_w': pytest.approx(lengths.mean(), rel=0.01),  # images are float32
        'path_length_w_end': pytest.approx(lengths.mean(), rel=0.01),
    }
    assert [record.protocol['rule'][:12] for record in records] == ['lerp in w, f', 'lerp in w, e']


def test_what_a_generator_cannot_be_judged_by_is_known_beforehand(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))

    def game(given):
        return Game(None, (), None, None, given=given)

    metrics.check_of_generator(['fid', 'intra_fid'], game('label'))
    metrics.check_of_generator(['fid', 'psnr', 'ssim', 'l1'], game('input'))
    for names, given, sentence in (
        (['fid', 'intra_fid'], '', 'intra_fid needs classes, and this generator is unconditional: remove'),
        (['path_length'], 'label', 'path_length needs a generator whose only input'),
        (['path_length'], 'input', 'path_length needs a generator whose only input'),
        (['path_length_w'], '', 'path_length_w needs styles, and this generator has none: remove it'),
        (['lpips'], '', 'convert_lpips'),
        (['psnr'], '', 'psnr compares pairs of images, and these samples have no real partners: remove'),
        (['l1'], 'a', 'l1 compares pairs of images'),
        (['class_error'], '', 'class_error evaluates the classifier of a game, and this game has none'),
        (['membership'], '', 'membership attacks the discriminator of a private game, and this game is not one'),
        (['code_accuracy'], '', 'code_accuracy evaluates the encoder of a game, and this game has none'),
    ):
        with pytest.raises(UserError, match=sentence):
            metrics.check_of_generator(names, game(given))


def test_a_run_sees_other_images_by_the_names_of_its_classes(tmp_path):
    """Class 0 of the run is bright, class 1 of the images; the logits of the discriminator are 1 in the right class."""

    def brightness(images):
        return images.mean((1, 2, 3))

    def classify(params, variables, images):
        return jnp.stack([brightness(images), -brightness(images)], -1)

    def discriminate(params, variables, images, label):
        return ((brightness(images) < 0) == label).astype(float)

    game = Game(
        None,
        (),
        lambda params, variables, latents, label: jnp.zeros((len(latents), 8, 8, 1)),
        normal_latents(1),
        given='label',
        classify=classify,
        discriminate=discriminate,
        private=True,
    )
    images = np.repeat(np.uint8([10, 250]), [60, 40]).reshape(-1, 1, 1, 1).repeat(8, 1).repeat(8, 2)
    known = Dataset('own', 'train', images, (images[:, 0, 0, 0] < 128).astype(np.int32), 2, 'x')
    conditions = np.zeros(4, np.int32)
    samples = GeneratorSamples(
        game, Player({}, {}, None), 4, 0, conditions, 'a test', discriminator=Player({}, {}, None), known=known
    )

    def values(run_names, names):
        reals = Dataset('own', 'test', images[1:], 1 - known.labels[1:], 2, 'y', names)
        tested = Evaluator(('class_error', 'membership'), QUADRANTS, reals, LAYOUT, tmp_path)
        records, failures = tested.evaluate(samples._replace(class_names=run_names))
        return [record.value for record in records], [failure.failure for failure in failures]

    assert values(('bright', 'dark'), ('dark', 'bright')) == ([0, 0.5], [])
    assert values(None, ('dark', 'bright')) == ([1, 1], [])
    _, failures = values(('bright', 'dark'), ('dark', 'grey'))
    assert len(failures) == 2
    assert all("needs images of the classes of the run, bright, dark, and 'grey' is" in one for one in failures)


def test_the_modes_of_a_run_in_the_plane_are_those_of_its_points_as_they_are(tmp_path):
    """The generator's points are two opposite modes of the ring, or beside them, by the sign of a latent."""
    game = adversarial(
        pure(
            lambda key: jnp.float32(1.0), lambda scale, z: jnp.stack([scale * jnp.sign(z[:, 0]), 0 * z[:, 0]], axis=1)
        ),
        pure(lambda key: jnp.zeros(()), lambda params, points: points.mean(1)),
        losses.non_saturating(),
        2,
    )
    ring = data.load('ring')
    judge = Evaluator(['mixture'], NOTHING, ring, LAYOUT, tmp_path)
    samples = GeneratorSamples(game, Player(jnp.float32(1.02), {}, None), 400, 0, None, 'a test', known=ring)
    records = judge.evaluate(samples).records  # 0.02 beyond the centres, of deviation 0.01
    positive = float((game.latents(named_key(0, 'evaluation'), jnp.arange(400))[:, 0] > 0).mean())
    halves = np.array([positive, 1 - positive])
    assert {record.metric: record.value for record in records} == {
        'mixture_modes': 2,
        'mixture_quality': 1,
        'mixture_divergence': pytest.approx((halves * np.log(8 * halves)).sum(), rel=1e-6),
    }
    assert records[0].protocol['rule'] == '8 modes of std 0.01, 400 samples, within 3 std, least 1'
    beyond = judge.evaluate(samples._replace(generator=Player(jnp.float32(1.031), {}, None)))
    assert [(record.metric, record.value) for record in beyond.records] == [
        ('mixture_modes', 0),
        ('mixture_quality', 0),
    ]
    assert beyond.failures == [Failure('mixture_divergence', 'it is inf.', 'a test')]
    (failure,) = judge.evaluate(samples._replace(known=None)).failures
    assert failure.failure == 'mixture needs samples of a run on one of ring, grid, spiral: remove it.'
