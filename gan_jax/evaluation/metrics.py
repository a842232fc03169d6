"""Every metric by name: its inputs from a feature store, its computation, and which values are better."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax
import numpy as np

from gan_jax.data import to_float, to_uint8
from gan_jax.errors import UserError
from gan_jax.evaluation.anomalies import anomaly_aurocs
from gan_jax.evaluation.arrays import check_same_dimension, features_array
from gan_jax.evaluation.bootstrap import bootstrap
from gan_jax.evaluation.class_entropy import mean_entropy
from gan_jax.evaluation.class_error import class_error
from gan_jax.evaluation.classification_accuracy import classification_accuracy_score
from gan_jax.evaluation.encoded import code_accuracy, reconstruction_error
from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.features.inception_network import TAPS
from gan_jax.evaluation.fid import fid, frechet_distance, intra_fid
from gan_jax.evaluation.fid_infinity import fid_infinity
from gan_jax.evaluation.gather import Samples
from gan_jax.evaluation.image_pairs import mean_over_pairs
from gan_jax.evaluation.inception_score import inception_score
from gan_jax.evaluation.l1 import mean_l1
from gan_jax.evaluation.labels import Matched, match
from gan_jax.evaluation.lpips import load_lpips, lpips_diversity
from gan_jax.evaluation.membership import membership
from gan_jax.evaluation.mmd import kid, kid_full, mmd
from gan_jax.evaluation.modes import label_modes
from gan_jax.evaluation.ms_ssim import ms_ssim_diversity
from gan_jax.evaluation.neighbours import authenticity
from gan_jax.evaluation.path_length import feature_distance, perceptual_path_length
from gan_jax.evaluation.precision_recall import density_coverage, precision_recall
from gan_jax.evaluation.psnr import mean_psnr
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.segmentation import segmentation
from gan_jax.evaluation.sliced_wasserstein import sliced_wasserstein
from gan_jax.evaluation.solids import solid_metrics
from gan_jax.evaluation.ssim import mean_ssim
from gan_jax.evaluation.store import FeatureStore
from gan_jax.evaluation.translated import class_accuracy, diversity, pixel_distance
from gan_jax.examples.kinds import IMAGES, SOLIDS, Kind, kind_of
from gan_jax.game import Game, named_key
from gan_jax.layers.bicubic import ENLARGEMENTS, enlarged
from gan_jax.layers.choices import choose, nearest, require
from gan_jax.runtime import compiler

_KID_SUBSET = 1000
_BORDER = 4  # pixels, of the published tables for a factor of 4
_AT_ONCE = 64  # images
_NUM_PATHS = 10_000  # a fifth of the paper's
_NO_STYLES = 'needs styles, and this generator has none'


class Evidence(NamedTuple):
    """The inputs of a metric.

    Attributes:
        real: the real images.
        fake: the generated ones.
        extractor: the feature extractor of both.
        samples: the generator, if the fakes were sampled from one on these devices.
        options: constants of metrics that are not the default ones, by names in `OPTIONS`.
        real_names: names of the classes of the real images, or None.
        fake_names: names of the classes of the fakes, or None.
    """

    real: FeatureStore
    fake: FeatureStore
    extractor: Extractor
    samples: Samples | None = None
    options: Mapping[str, int] = MappingProxyType({})
    real_names: tuple[str, ...] | None = None
    fake_names: tuple[str, ...] | None = None

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The real and the fake images, in equal numbers."""
        real, fake = self.real.array('images'), self.fake.array('images')
        return real[: len(fake)] if self.samples else real, fake

    def chosen(self, metric: str) -> dict[str, int]:
        """The options of one metric, as keyword arguments of its function."""
        return {OPTIONS[name].keyword: value for name, value in self.options.items() if OPTIONS[name].metric == metric}


class Option(NamedTuple):
    """A constant of a metric that can be chosen.

    Attributes:
        metric: the name of the metric.
        keyword: keyword of the metric's function.
        least: the smallest value.
        help: its description, with its default.
    """

    metric: str
    keyword: str
    least: int
    help: str


class Metric(NamedTuple):
    """A metric, or several that are computed together.

    Attributes:
        compute: Evidence to an Estimate for each name; the first line of its docstring is in `tools.list`.
        best: for each name whether the smallest or the largest value is best, or 'real' for that of real images.
        real: the contents that the store of real images must keep.
        fake: the contents that the store of fakes must keep.
        sees: 'features' or 'pixels' of the two sets, the 'maps' of the samples, or the 'generator', the 'translator',
            the 'discriminator' or the 'encoder' itself.
        labels: whether fakes and real images need classes.
        paired: whether fake i is compared with real i.
        kind: the kind of examples that it applies to.
    """

    compute: Callable[[Evidence], dict[str, Estimate]]
    best: dict[str, str]
    real: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()
    sees: str = 'features'
    labels: bool = False
    paired: bool = False
    kind: Kind = IMAGES

    @property
    def uses_extractor(self) -> bool:
        """Whether it uses an extractor."""
        return self.sees in ('features', 'generator')

    @property
    def sees_sets(self) -> bool:
        """Whether it compares sets of images, which can be resampled, and nothing else."""
        return self.sees in ('features', 'pixels')


def _fid(evidence: Evidence) -> dict[str, Estimate]:
    """Fréchet distance of Gaussians fitted to the features (Heusel et al. 2017)."""
    real, fake = evidence.real.moments, evidence.fake.moments
    check_same_dimension(real.mean[None], fake.mean[None])
    distance = frechet_distance(real.mean, real.covariance, fake.mean, fake.covariance)
    return {'fid': Estimate(distance, rule='covariances with ddof 1, float64')}


def _fid_taps(evidence: Evidence) -> dict[str, Estimate]:
    """FID by the features of Inception's earlier taps."""
    real, fake = evidence.real.taps(), evidence.fake.taps()
    if not real or real.keys() != fake.keys():
        raise UserError('fid_taps needs an extractor with taps, such as inception, and images on both sides.')
    distances = {name: fid(real[name], fake[name]) for name in real}
    return {
        f'fid_{name}': estimate._replace(rule=f'tap {name}, {estimate.rule}') for name, estimate in distances.items()
    }


def _fid_infinity(evidence: Evidence) -> dict[str, Estimate]:
    """FID extrapolated to infinitely many samples (Chong and Forsyth 2020)."""
    return {'fid_infinity': fid_infinity(evidence.real.moments, evidence.fake.array('features'))}


def _intra_fid(evidence: Evidence) -> dict[str, Estimate]:
    """The mean over classes of the FID within each (Miyato and Koyama 2018)."""
    (real, fake), labels = _features(evidence), _matched_labels(evidence)
    estimate = intra_fid(real, labels.real, fake, labels.fake, labels.names)
    return {'intra_fid': estimate._replace(rule=f'{estimate.rule}, {labels.rule}')}


def _inception_score(evidence: Evidence) -> dict[str, Estimate]:
    """The exponential of the mean divergence of class probabilities from their mean (Salimans et al. 2016)."""
    return {'inception_score': inception_score(evidence.fake.array('logits'), **evidence.chosen('inception_score'))}


def _kid(evidence: Evidence) -> dict[str, Estimate]:
    """Kernel Inception Distance over subsets of the features (Bińkowski et al. 2018)."""
    real, fake = (
        features_array(features, what, least=OPTIONS['kid_subset_size'].least)
        for features, what in zip(_features(evidence), ('The real features', 'The fake features'), strict=True)
    )
    usual = {'subset_size': min(_KID_SUBSET, len(real), len(fake))}
    return {'kid': kid(real, fake, **usual | evidence.chosen('kid'))}


def _kid_full(evidence: Evidence) -> dict[str, Estimate]:
    """Kernel Inception Distance over all features at once."""
    return {'kid_full': kid_full(*_features(evidence))}


def _mmd(evidence: Evidence) -> dict[str, Estimate]:
    """Maximum mean discrepancy of the features under a Gaussian kernel (Gretton et al. 2012)."""
    return {'mmd': mmd(*_features(evidence))}


def _authenticity(evidence: Evidence) -> dict[str, Estimate]:
    """Share of samples that are no copies of real images (Alaa et al. 2022)."""
    return {'authenticity': authenticity(*_features(evidence))}


def _precision_recall(evidence: Evidence) -> dict[str, Estimate]:
    """Shares of samples near real images, and of real images near samples (Kynkäänniemi et al. 2019)."""
    return precision_recall(*_features(evidence), **evidence.chosen('precision_recall'))._asdict()


def _density_coverage(evidence: Evidence) -> dict[str, Estimate]:
    """Precision and recall that resist outliers (Naeem et al. 2020)."""
    return density_coverage(*_features(evidence), **evidence.chosen('density_coverage'))._asdict()


def _sliced_wasserstein(evidence: Evidence) -> dict[str, Estimate]:
    """Wasserstein distance of random projections of image patches (Karras et al. 2018)."""
    distances = sliced_wasserstein(evidence.real.array('images'), evidence.fake.array('images'))
    mean = distances.pop('mean')
    levels = {f'sliced_wasserstein_{level}': distance for level, distance in distances.items() if level != 'pixels'}
    return {'sliced_wasserstein': mean, **levels}


def _ms_ssim(evidence: Evidence) -> dict[str, Estimate]:
    """Similarity of pairs of samples by MS-SSIM (Odena et al. 2017)."""
    return {'ms_ssim': ms_ssim_diversity(evidence.fake.array('images'), labels=_labels(evidence.fake))}


def _lpips(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of pairs of samples by deep features (Zhang et al. 2018)."""
    perceptual = load_lpips()
    diversity = lpips_diversity(perceptual.distance, evidence.fake.array('images'), labels=_labels(evidence.fake))
    return {'lpips': diversity._replace(rule=f'{perceptual.identity}, {diversity.rule}')}


def _psnr(evidence: Evidence) -> dict[str, Estimate]:
    """Peak signal-to-noise ratio of image pairs, in dB."""
    return {'psnr': mean_psnr(*evidence.pairs)}


def _ssim(evidence: Evidence) -> dict[str, Estimate]:
    """Structural similarity of image pairs (Wang et al. 2004)."""
    return {'ssim': mean_ssim(*evidence.pairs)}


def _luma(evidence: Evidence) -> dict[str, Estimate]:
    """PSNR and SSIM of the luma of image pairs without their borders, as in super-resolution."""
    return _of_luma(*evidence.pairs, **evidence.chosen('luma'))


def _interpolated(evidence: Evidence) -> dict[str, Estimate]:
    """PSNR and SSIM of the luma of small inputs enlarged by bicubic interpolation and by repeated pixels."""
    samples = evidence.samples
    if samples is None:
        raise UserError(
            'interpolated enlarges the inputs of a run, but these images are not samples of a run: remove it.'
        )
    real, found = evidence.pairs[0], {}
    factor = real.shape[1] // samples.conditions.shape[1]
    for name in ENLARGEMENTS:
        made = np.concatenate([_enlarged(images, name, factor) for images in _in_batches(samples.conditions)])
        values = _of_luma(real, made, **evidence.chosen('interpolated'))
        found |= {f'{metric}_{name}': value for metric, value in values.items()}
    return found


@functools.partial(jax.jit, static_argnums=(1, 2))
def _enlarged(images: jax.Array, name: str, factor: int) -> jax.Array:
    return to_uint8(enlarged(name, to_float(images), factor))


def _in_batches(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]


def _of_luma(real: np.ndarray, made: np.ndarray, border: int = _BORDER) -> dict[str, Estimate]:
    options = {'luminance': real.shape[3] == 3, 'border': border}  # grey values are luma already
    return {'psnr_y': mean_psnr(real, made, **options), 'ssim_y': mean_ssim(real, made, **options)}


def _lpips_distance(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of image pairs by deep features (Zhang et al. 2018)."""
    perceptual = load_lpips()
    values = [perceptual.distance(*pair) for pair in zip(*map(_in_batches, evidence.pairs), strict=True)]
    return {'lpips_distance': mean_over_pairs(np.concatenate(values).astype(np.float64), perceptual.identity)}


def _l1(evidence: Evidence) -> dict[str, Estimate]:
    """Mean absolute difference of image pairs."""
    return {'l1': mean_l1(*evidence.pairs)}


def _segmentation(evidence: Evidence) -> dict[str, Estimate]:
    """Accuracy and mean IoU of a segmenter on images made from label maps, and a Fréchet distance by its features."""
    samples = evidence.samples
    if samples is None or samples.known is None:
        raise UserError('segmentation needs samples of a run that paints label maps: remove it.')
    return segmentation(*evidence.pairs, samples.conditions, samples.known)


def _modes(evidence: Evidence) -> dict[str, Estimate]:
    """Classes that samples cover, and the divergence of their distribution from the real one (Metz et al. 2017)."""
    real, fake = (store.array('logits') for store in (evidence.real, evidence.fake))
    counts = np.bincount(real.argmax(axis=1), minlength=real.shape[1])
    found = label_modes(fake.argmax(axis=1), fake.shape[1], counts)
    return {
        'modes': Estimate(found.captured, rule=found.protocol),
        'mode_divergence': Estimate(found.reverse_kl, rule=f'nats, {found.protocol}'),
    }


def _class_entropy(evidence: Evidence) -> dict[str, Estimate]:
    """Mean entropy of the classes that the extractor's classifier sees in samples (Elgammal et al. 2017)."""
    real, fake = (mean_entropy(store.array('logits')) for store in (evidence.real, evidence.fake))
    return {'class_entropy': fake._replace(rule=f'{fake.rule}, real images {real.value:.4g}')}


def _class_error(evidence: Evidence) -> dict[str, Estimate]:
    """Error rate of the game's own classifier, or categories, on real images."""
    real, samples = evidence.real, evidence.samples
    if samples is None or samples.discriminator is None:
        raise UserError(
            'class_error evaluates the classifier of a run, but these images are not samples of a run: remove it.'
        )
    return {'class_error': class_error(samples.game, samples.discriminator, real.array('images'), real.array('labels'))}


def _membership(evidence: Evidence) -> dict[str, Estimate]:
    """Area under the ROC curve of an attack by the discriminator on training images (Hayes et al. 2019)."""
    samples = evidence.samples
    if samples is None or samples.discriminator is None:
        raise UserError(
            'membership attacks the discriminator of a run, but these images are not samples of a run: remove it.'
        )
    members, others = samples.known, (evidence.real.array('images'), _labels(evidence.real))
    of = samples.game, samples.discriminator, members.examples, members.labels
    return {'membership': membership(*of, *others)}


def _code_accuracy(evidence: Evidence) -> dict[str, Estimate]:
    """Accuracy of the nearest training image's class in the encoder's features (Donahue et al. 2017)."""
    real, samples = evidence.real, _with_encoder(evidence, 'code_accuracy')
    known = samples.known
    of = samples.game, samples.encoder, real.array('images'), real.array('labels')
    return {'code_accuracy': code_accuracy(*of, known.examples, known.labels)}


def _reconstruction(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of real images and what the generator makes of their codes."""
    samples = _with_encoder(evidence, 'reconstruction')
    of = samples.game, samples.generator, samples.encoder
    return {'reconstruction': reconstruction_error(*of, evidence.real.array('images'))}


def _auroc(evidence: Evidence) -> dict[str, Estimate]:
    """Area under the ROC curve of the game's anomaly scores for classes that were left out of training."""
    real, samples = evidence.real, _with_encoder(evidence, 'auroc')
    players = {'generator': samples.generator, 'discriminator': samples.discriminator, 'encoder': samples.encoder}
    known = samples.known.examples, samples.known.labels
    return anomaly_aurocs(samples.game, players, real.array('images'), real.array('labels'), *known)


def _diversity(evidence: Evidence) -> dict[str, Estimate]:
    """Mean absolute difference of two translations of one image."""
    found = _of_translations(evidence, 'diversity', pixel_distance)
    return {'diversity': found._replace(rule=f'mean absolute difference of pixels in [0, 1], {found.rule}')}


def _lpips_diversity(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of two translations of one image by deep features (Huang et al. 2018)."""
    perceptual = load_lpips()
    found = _of_translations(evidence, 'lpips_diversity', perceptual.distance)
    return {'lpips_diversity': found._replace(rule=f'{perceptual.identity}, {found.rule}')}


def _of_translations(evidence: Evidence, name: str, distance: Callable) -> Estimate:
    samples = evidence.samples
    if samples is None:
        raise UserError(f'{name} translates images by a run, but these images are not of a run: remove it.')
    return diversity(samples.game, samples.generator, samples.conditions, distance, seed=samples.seed)


def _content_accuracy(evidence: Evidence) -> dict[str, Estimate]:
    """Share of translations with the class of their input, by a classifier as the extractor."""
    samples = evidence.samples
    if samples is None or samples.classes is None:
        raise UserError('content_accuracy needs translations of images with classes, and these have none: remove it.')
    return {'content_accuracy': class_accuracy(evidence.fake.array('logits'), samples.classes, 'input')}


def _target_accuracy(evidence: Evidence) -> dict[str, Estimate]:
    """Share of translations with the class that they should have, by a classifier as the extractor."""
    samples = evidence.samples
    if samples is None or samples.game.targets is None:
        raise UserError('target_accuracy needs translations into classes, and these have none: remove it.')
    places = np.arange(samples.number, dtype=np.uint32)
    targets = samples.game.targets(samples.game.latents(named_key(samples.seed, 'evaluation'), places))
    return {'target_accuracy': class_accuracy(evidence.fake.array('logits'), np.asarray(targets), 'target')}


def _with_encoder(evidence: Evidence, name: str) -> Samples:
    samples = evidence.samples
    if samples is None or samples.encoder is None:
        raise UserError(f'{name} evaluates the encoder of a run, but these images are not samples of a run: remove it.')
    return samples


def _solids(evidence: Evidence) -> dict[str, Estimate]:
    """Pieces, symmetry and matches of solids by their voxels."""
    return solid_metrics(evidence.real.array('images'), evidence.fake.array('images'))


def _path_length(evidence: Evidence) -> dict[str, Estimate]:
    """Perceptual path length between latents (Karras et al. 2019)."""
    samples = _unconditional(evidence, 'path_length')
    return {'path_length': _walked(evidence, samples.game.sample)}


def _path_length_w(evidence: Evidence) -> dict[str, Estimate]:
    """Perceptual path length between styles (Karras et al. 2019)."""
    game = _unconditional(evidence, 'path_length_w').game
    if game.styles is None:
        raise UserError(f'path_length_w {_NO_STYLES}: use path_length.')
    ways = {'path_length_w': 'full', 'path_length_w_end': 'end'}
    return {
        name: _walked(evidence, game.synthesize, game.styles, space='w', sampling=sampling)
        for name, sampling in ways.items()
    }


def _unconditional(evidence: Evidence, name: str) -> Samples:
    samples = evidence.samples
    if samples is None or samples.conditions is not None:
        raise UserError(f'{name} needs the run of a generator without classes.')
    return samples


def _walked(evidence: Evidence, *functions: Callable, **options: str) -> Estimate:
    """The path length of a generator's functions, which take its weights first: generate, and its mapping if any."""
    generator, game = evidence.samples.generator, evidence.samples.game
    weights = generator.ema or (generator.params, generator.variables)
    generate, *mapping = (
        jax.jit(functools.partial(function, *weights), compiler_options=compiler.often()) for function in functions
    )
    return perceptual_path_length(
        generate,
        game.latents,
        feature_distance(evidence.extractor),
        **({'mapping': mapping[0]} if mapping else {}),
        num=_NUM_PATHS,
        seed=evidence.samples.seed,
        **options,
    )


def _classification_accuracy(evidence: Evidence) -> dict[str, Estimate]:
    """Accuracy on real images of a classifier trained on samples (Ravuri and Vinyals 2019)."""
    real, fake, labels = evidence.real.array('images'), evidence.fake.array('images'), _matched_labels(evidence)
    num_classes = int(max(labels.real.max(), labels.fake.max())) + 1
    score = classification_accuracy_score(fake, labels.fake, real, labels.real, num_classes)
    return {'classification_accuracy': score._replace(rule=f'{score.rule}, {labels.rule}')}


def _features(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    return evidence.real.array('features'), evidence.fake.array('features')


def _matched_labels(evidence: Evidence) -> Matched:
    labels = (evidence.real.array('labels'), evidence.real_names, evidence.fake.array('labels'), evidence.fake_names)
    return match(*labels)


def _labels(store: FeatureStore) -> np.ndarray | None:
    return store.array('labels') if store.has('labels') else None


_SLICED = 'sliced_wasserstein'  # which also has a value for each level of the pyramid
_BOTH_FEATURES = {'real': ('features',), 'fake': ('features',)}
_BOTH_IMAGES = {'real': ('images',), 'fake': ('images',), 'sees': 'pixels'}
METRICS: dict[str, Metric] = {
    'fid': Metric(_fid, {'fid': 'min'}),
    'fid_taps': Metric(_fid_taps, {f'fid_{tap}': 'min' for tap in TAPS}, real=('taps',), fake=('taps',)),
    'fid_infinity': Metric(_fid_infinity, {'fid_infinity': 'min'}, fake=('features',)),
    'intra_fid': Metric(_intra_fid, {'intra_fid': 'min'}, **_BOTH_FEATURES, labels=True),
    'inception_score': Metric(_inception_score, {'inception_score': 'max'}, fake=('logits',)),
    'modes': Metric(_modes, {'modes': 'max', 'mode_divergence': 'min'}, real=('logits',), fake=('logits',)),
    'class_entropy': Metric(_class_entropy, {'class_entropy': 'real'}, real=('logits',), fake=('logits',)),
    'kid': Metric(_kid, {'kid': 'min'}, **_BOTH_FEATURES),
    'kid_full': Metric(_kid_full, {'kid_full': 'min'}, **_BOTH_FEATURES),
    'mmd': Metric(_mmd, {'mmd': 'min'}, **_BOTH_FEATURES),
    'precision_recall': Metric(_precision_recall, {'precision': 'max', 'recall': 'max'}, **_BOTH_FEATURES),
    'density_coverage': Metric(_density_coverage, {'density': 'max', 'coverage': 'max'}, **_BOTH_FEATURES),
    'authenticity': Metric(_authenticity, {'authenticity': 'real'}, **_BOTH_FEATURES),
    'sliced_wasserstein': Metric(_sliced_wasserstein, {'sliced_wasserstein': 'min'}, **_BOTH_IMAGES),
    'ms_ssim': Metric(_ms_ssim, {'ms_ssim': 'real'}, fake=('images',), sees='pixels'),
    'lpips': Metric(_lpips, {'lpips': 'real'}, fake=('images',), sees='pixels'),
    'psnr': Metric(_psnr, {'psnr': 'max'}, **_BOTH_IMAGES, paired=True),
    'ssim': Metric(_ssim, {'ssim': 'max'}, **_BOTH_IMAGES, paired=True),
    'segmentation': Metric(
        _segmentation,
        {'miou': 'max', 'pixel_accuracy': 'max', 'segmenter_fid': 'min'},
        **_BOTH_IMAGES | {'sees': 'maps'},
        paired=True,
    ),
    'solids': Metric(
        _solids,
        {'solids_connected': 'max', 'solids_symmetry': 'real', 'solids_iou': 'max', 'solids_coverage': 'max'},
        **_BOTH_IMAGES,
        kind=SOLIDS,
    ),
    'luma': Metric(_luma, {'psnr_y': 'max', 'ssim_y': 'max'}, **_BOTH_IMAGES, paired=True),
    'interpolated': Metric(
        _interpolated,
        {f'{value}_{name}': 'max' for name in ENLARGEMENTS for value in ('psnr_y', 'ssim_y')},
        **_BOTH_IMAGES,
        paired=True,
    ),
    'lpips_distance': Metric(_lpips_distance, {'lpips_distance': 'min'}, **_BOTH_IMAGES, paired=True),
    'class_error': Metric(_class_error, {'class_error': 'min'}, real=('images',), sees='discriminator'),
    'membership': Metric(_membership, {'membership': 'min'}, real=('images',), sees='discriminator'),
    'code_accuracy': Metric(_code_accuracy, {'code_accuracy': 'max'}, real=('images',), sees='encoder'),
    'reconstruction': Metric(_reconstruction, {'reconstruction': 'min'}, real=('images',), sees='encoder'),
    'auroc': Metric(
        _auroc,
        {'auroc': 'max', 'auroc_image': 'max', 'auroc_neighbour': 'max'},
        real=('images',),
        sees='encoder',
    ),
    'diversity': Metric(_diversity, {'diversity': 'real'}, sees='translator'),
    'lpips_diversity': Metric(_lpips_diversity, {'lpips_diversity': 'real'}, sees='translator'),
    'content_accuracy': Metric(_content_accuracy, {'content_accuracy': 'max'}, fake=('logits',)),
    'target_accuracy': Metric(_target_accuracy, {'target_accuracy': 'max'}, fake=('logits',)),
    'l1': Metric(_l1, {'l1': 'min'}, **_BOTH_IMAGES, paired=True),
    'path_length': Metric(_path_length, {'path_length': 'min'}, sees='generator'),
    'path_length_w': Metric(_path_length_w, {'path_length_w': 'min', 'path_length_w_end': 'min'}, sees='generator'),
    'classification_accuracy': Metric(
        _classification_accuracy, {'classification_accuracy': 'max'}, **_BOTH_IMAGES, labels=True
    ),
}
OPTIONS = {
    'kid_subsets': Option('kid', 'subsets', 1, 'subsets of KID (100)'),
    'kid_subset_size': Option('kid', 'subset_size', 3, 'images in each, of either set (1,000, or the smaller set)'),
    'kid_seed': Option('kid', 'seed', 0, 'seed of the subsets (2020)'),
    'precision_recall_k': Option('precision_recall', 'k', 1, 'neighbour that the balls reach to (3)'),
    'density_coverage_k': Option('density_coverage', 'k', 1, 'neighbour that the balls reach to (5)'),
    'luma_border': Option('luma', 'border', 0, 'pixels of an image left out at each border (4)'),
    'interpolated_border': Option('interpolated', 'border', 0, 'pixels left out likewise (4)'),
    'inception_score_splits': Option('inception_score', 'splits', 1, 'splits of the images (10)'),
}
BEST = {value: best for metric in METRICS.values() for value, best in metric.best.items()}  # as in Metric.best


def check_names(names: Sequence[str]) -> None:
    """Raises a UserError for the first unknown metric, with a suggestion."""
    for name in names:
        choose(METRICS, name, 'metric')


def check_kind(names: Sequence[str], name: str, shape: tuple[int | None, ...] | None) -> None:
    """Raises a UserError for the first metric that does not apply to examples of this shape.

    Args:
        names: names of the metrics.
        name: name of the data set or run.
        shape: shape of its examples; None if they are unknown images.
    """
    kind = IMAGES if shape is None else kind_of(shape)
    fitting = [metric for metric in METRICS if METRICS[metric].kind is kind]
    remedy = f'use {", ".join(fitting[:3])}' if fitting else 'there is none of these'
    for metric in names:
        if METRICS[metric].kind is not kind:
            raise UserError(f'{name} has {kind.name}, not {METRICS[metric].kind.name} as {metric} needs: {remedy}.')


def check_options(options: Mapping[str, int], names: Sequence[str]) -> None:
    """Raises a UserError for the first option that is unknown, out of range or of a metric not among `names`."""
    for name, value in options.items():
        option = choose(OPTIONS, name, 'option of metrics')
        require(option.least <= value < 2**32, name, value, f'a whole number from {option.least} to {2**32 - 1}')
        if option.metric not in names:
            raise UserError(f'{name} is an option of {option.metric}, which is not among the metrics: omit it.')


def best_of(value: str) -> str:
    """The best direction of a value, as in `Metric.best`."""
    return BEST[_SLICED if value.startswith(f'{_SLICED}_') else value]


def check_best(value: str, names: Sequence[str]) -> None:
    """Raises a UserError unless one of the metrics gives the value, with a suggestion."""
    given = [one for name in names for one in METRICS[name].best]
    if value in given or (value.startswith(f'{_SLICED}_') and _SLICED in given):
        return
    if value in BEST:
        (name,) = (name for name, metric in METRICS.items() if value in metric.best)
        raise UserError(f'The best checkpoint is chosen by {value}, which is not evaluated: add {name} to evaluate.')
    raise UserError(
        f'There is no value {value!r} to choose the best checkpoint by; the nearest name is {nearest(value, BEST)!r}.'
    )


def check_of_generator(names: Sequence[str], game: Game) -> None:
    """Raises a UserError for the first metric that cannot be computed for a generator's samples.

    Args:
        names: names of the metrics.
        game: game of the generator.
    """
    given = game.given
    for name in names:
        if METRICS[name].labels and given != 'label':
            raise UserError(f'{name} needs classes, and this generator is unconditional: remove it from the metrics.')
        if METRICS[name].paired and given != 'input':
            raise UserError(f'{name} compares pairs of images, and these samples have no real partners: remove it.')
        if name == 'class_error' and game.classify is None:
            raise UserError(f'{name} evaluates the classifier of a game, and this game has none: remove it.')
        if name == 'membership' and not game.private:
            raise UserError(f'{name} attacks the discriminator of a private game, and this game is not one: remove it.')
        sees = METRICS[name].sees
        if sees in (parts := {'encoder': game.encode, 'maps': game.maps}) and parts[sees] is None:
            raise UserError(f'{name} evaluates the {sees} of a game, and this game has none: remove it.')
        if name == 'auroc' and game.score is None:
            raise UserError(f'{name} evaluates the anomaly scores of a game, and this game has none: remove it.')
        if METRICS[name].sees == 'translator' and not _has_several_translations(game):
            raise UserError(f'{name} compares translations of one image, and this game makes one at most: remove it.')
        if name == 'target_accuracy' and game.targets is None:
            raise UserError(f'{name} needs translations into classes, and this game makes none: remove it.')
        if METRICS[name].sees == 'generator' and given:
            raise UserError(f'{name} needs a generator whose only input is latents: remove it.')
        if name == 'path_length_w' and game.styles is None:
            raise UserError(f'{name} {_NO_STYLES}: remove it.')
        if name in ('lpips', 'lpips_diversity', 'lpips_distance'):
            load_lpips()


def _has_several_translations(game: Game) -> bool:
    latents = jax.eval_shape(lambda key: game.latents(key, np.arange(1)), jax.random.key(0))
    return game.translates and latents.size > 0


def kept(names: Iterable[str], which: str) -> set[str]:
    """The contents that the store of the 'real' or the 'fake' images must keep for some metrics."""
    return {part for name in names for part in getattr(METRICS[name], which)}


def interval(name: str, value: str, evidence: Evidence, resamples: int, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of a metric's value, over resamples of the fakes.

    Args:
        name: name of the metric.
        value: which of its values.
        evidence: the inputs; the fakes' store must keep those of the metric, and the features.
        resamples: number of resamples.
        seed: seed of the resamples.
    """

    def statistic(rows: np.ndarray) -> float:
        resampled = evidence._replace(fake=evidence.fake.take(rows[:, 0]))
        if METRICS[name].paired:
            resampled = resampled._replace(real=evidence.real.take(rows[:, 0]))
            if evidence.samples and evidence.samples.conditions is not None:
                given = evidence.samples.conditions[rows[:, 0]]
                resampled = resampled._replace(samples=evidence.samples._replace(conditions=given))
        return METRICS[name].compute(resampled)[value].value

    return tuple(bootstrap(statistic, np.arange(len(evidence.fake))[:, None], resamples=resamples, seed=seed))
