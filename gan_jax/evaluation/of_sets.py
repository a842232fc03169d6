"""Metrics of two sets of examples, as functions of the `Evidence`: of features, and of pixels."""

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation import lpips
from gan_jax.evaluation.arrays import check_same_dimension, features_array
from gan_jax.evaluation.class_entropy import mean_entropy
from gan_jax.evaluation.classification_accuracy import classification_accuracy_score
from gan_jax.evaluation.clouds import cloud_metrics, matched_metrics
from gan_jax.evaluation.edge_f1 import mean_edge_f1
from gan_jax.evaluation.evidence import OPTIONS, Evidence
from gan_jax.evaluation.fid import fid, frechet_distance, intra_fid
from gan_jax.evaluation.fid_infinity import fid_infinity
from gan_jax.evaluation.image_pairs import check_pairs, mean_over_pairs
from gan_jax.evaluation.inception_score import inception_score
from gan_jax.evaluation.l1 import mean_l1
from gan_jax.evaluation.labels import Matched, match
from gan_jax.evaluation.mmd import kid, kid_full, mmd
from gan_jax.evaluation.modes import label_modes
from gan_jax.evaluation.ms_ssim import ms_ssim_diversity
from gan_jax.evaluation.neighbours import authenticity
from gan_jax.evaluation.precision_recall import density_coverage, precision_recall
from gan_jax.evaluation.psnr import mean_psnr
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.sliced_wasserstein import sliced_wasserstein
from gan_jax.evaluation.solids import solid_metrics
from gan_jax.evaluation.ssim import mean_ssim
from gan_jax.evaluation.store import FeatureStore

_KID_SUBSET = 1000
_BORDER = 4  # pixels, of the published tables for a factor of 4
_AT_ONCE = 64  # images


def fid_of(evidence: Evidence) -> dict[str, Estimate]:
    """Fréchet distance of Gaussians fitted to the features (Heusel et al. 2017)."""
    real, fake = evidence.real.moments, evidence.fake.moments
    check_same_dimension(real.mean[None], fake.mean[None])
    distance = frechet_distance(real.mean, real.covariance, fake.mean, fake.covariance)
    return {'fid': Estimate(distance, rule='covariances with ddof 1, float64')}


def fid_taps_of(evidence: Evidence) -> dict[str, Estimate]:
    """FID by the features of Inception's earlier taps."""
    real, fake = evidence.real.taps(), evidence.fake.taps()
    if not real or real.keys() != fake.keys():
        raise UserError('fid_taps needs an extractor with taps, such as inception, and images on both sides.')
    distances = {name: fid(real[name], fake[name]) for name in real}
    return {
        f'fid_{name}': estimate._replace(rule=f'tap {name}, {estimate.rule}') for name, estimate in distances.items()
    }


def fid_infinity_of(evidence: Evidence) -> dict[str, Estimate]:
    """FID extrapolated to infinitely many samples (Chong and Forsyth 2020)."""
    return {'fid_infinity': fid_infinity(evidence.real.moments, evidence.fake.array('features'))}


def intra_fid_of(evidence: Evidence) -> dict[str, Estimate]:
    """The mean over classes of the FID within each (Miyato and Koyama 2018)."""
    (real, fake), labels = _features(evidence), _matched_labels(evidence)
    estimate = intra_fid(real, labels.real, fake, labels.fake, labels.names)
    return {'intra_fid': estimate._replace(rule=f'{estimate.rule}, {labels.rule}')}


def inception_score_of(evidence: Evidence) -> dict[str, Estimate]:
    """The exponential of the mean divergence of class probabilities from their mean (Salimans et al. 2016)."""
    return {'inception_score': inception_score(evidence.fake.array('logits'), **evidence.chosen('inception_score'))}


def kid_of(evidence: Evidence) -> dict[str, Estimate]:
    """Kernel Inception Distance over subsets of the features (Bińkowski et al. 2018)."""
    real, fake = (
        features_array(features, what, least=OPTIONS['kid_subset_size'].least)
        for features, what in zip(_features(evidence), ('The real features', 'The fake features'), strict=True)
    )
    usual = {'subset_size': min(_KID_SUBSET, len(real), len(fake))}
    return {'kid': kid(real, fake, **usual | evidence.chosen('kid'))}


def kid_full_of(evidence: Evidence) -> dict[str, Estimate]:
    """Kernel Inception Distance over all features at once."""
    return {'kid_full': kid_full(*_features(evidence))}


def mmd_of(evidence: Evidence) -> dict[str, Estimate]:
    """Maximum mean discrepancy of the features under a Gaussian kernel (Gretton et al. 2012)."""
    return {'mmd': mmd(*_features(evidence))}


def authenticity_of(evidence: Evidence) -> dict[str, Estimate]:
    """Share of samples that are not copies of real images (Alaa et al. 2022)."""
    return {'authenticity': authenticity(*_features(evidence))}


def precision_recall_of(evidence: Evidence) -> dict[str, Estimate]:
    """Shares of samples near real images, and of real images near samples (Kynkäänniemi et al. 2019)."""
    return precision_recall(*_features(evidence), **evidence.chosen('precision_recall'))._asdict()


def density_coverage_of(evidence: Evidence) -> dict[str, Estimate]:
    """Precision and recall that resist outliers (Naeem et al. 2020)."""
    return density_coverage(*_features(evidence), **evidence.chosen('density_coverage'))._asdict()


def sliced_wasserstein_of(evidence: Evidence) -> dict[str, Estimate]:
    """Wasserstein distance of random projections of image patches (Karras et al. 2018)."""
    distances = sliced_wasserstein(evidence.real.array('images'), evidence.fake.array('images'))
    mean = distances.pop('mean')
    levels = {f'sliced_wasserstein_{level}': distance for level, distance in distances.items() if level != 'pixels'}
    return {'sliced_wasserstein': mean, **levels}


def ms_ssim_of(evidence: Evidence) -> dict[str, Estimate]:
    """Similarity of pairs of samples by MS-SSIM (Odena et al. 2017)."""
    return {'ms_ssim': ms_ssim_diversity(evidence.fake.array('images'), labels=labels_of(evidence.fake))}


def lpips_of(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of pairs of samples by deep features (Zhang et al. 2018)."""
    perceptual = lpips.load_lpips()
    diversity = lpips.lpips_diversity(
        perceptual.distance, evidence.fake.array('images'), labels=labels_of(evidence.fake)
    )
    return {'lpips': diversity._replace(rule=f'{perceptual.identity}, {diversity.rule}')}


def psnr_of(evidence: Evidence) -> dict[str, Estimate]:
    """Peak signal-to-noise ratio of image pairs, in dB."""
    return {'psnr': mean_psnr(*evidence.pairs)}


def ssim_of(evidence: Evidence) -> dict[str, Estimate]:
    """Structural similarity of image pairs (Wang et al. 2004)."""
    return {'ssim': mean_ssim(*evidence.pairs)}


def luma_of(evidence: Evidence) -> dict[str, Estimate]:
    """PSNR and SSIM of the luma of image pairs without their borders, as in super-resolution."""
    return luma_estimates(*evidence.pairs, **evidence.chosen('luma'))


def lpips_distance_of(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of image pairs by deep features (Zhang et al. 2018)."""
    check_pairs(*evidence.pairs)
    perceptual = lpips.load_lpips()
    values = [perceptual.distance(*pair) for pair in zip(*map(in_batches, evidence.pairs), strict=True)]
    return {'lpips_distance': mean_over_pairs(np.concatenate(values).astype(np.float64), perceptual.identity)}


def l1_of(evidence: Evidence) -> dict[str, Estimate]:
    """Mean absolute difference of image pairs."""
    return {'l1': mean_l1(*evidence.pairs)}


def edge_f1_of(evidence: Evidence) -> dict[str, Estimate]:
    """F1 of the edges of images and those of their targets, and of other targets for comparison."""
    real, fake = evidence.pairs
    return mean_edge_f1(fake, real)


def clip_error_of(evidence: Evidence) -> dict[str, Estimate]:
    """Mean absolute difference and peak signal-to-noise ratio of pairs of clips, over all of their frames."""
    pair = [clips.reshape(len(clips), -1, *clips.shape[3:]) for clips in evidence.pairs]  # as images of all frames
    return {'clip_l1': mean_l1(*pair), 'clip_psnr': mean_psnr(*pair)}


def modes_of(evidence: Evidence) -> dict[str, Estimate]:
    """Classes that samples cover, and the divergence of their distribution from the real one (Metz et al. 2017)."""
    real, fake = (store.array('logits') for store in (evidence.real, evidence.fake))
    counts = np.bincount(real.argmax(axis=1), minlength=real.shape[1])
    found = label_modes(fake.argmax(axis=1), fake.shape[1], counts)
    return {
        'modes': Estimate(found.captured, rule=found.protocol),
        'mode_divergence': Estimate(found.reverse_kl, rule=f'nats, {found.protocol}'),
    }


def class_entropy_of(evidence: Evidence) -> dict[str, Estimate]:
    """Mean entropy of the classes that the extractor's classifier sees in samples (Elgammal et al. 2017)."""
    real, fake = (mean_entropy(store.array('logits')) for store in (evidence.real, evidence.fake))
    return {'class_entropy': fake._replace(rule=f'{fake.rule}, real images {real.value:.4g}')}


def solids_of(evidence: Evidence) -> dict[str, Estimate]:
    """Pieces, symmetry and matches of solids by their voxels."""
    return solid_metrics(evidence.real.array('images'), evidence.fake.array('images'))


def clouds_of(evidence: Evidence) -> dict[str, Estimate]:
    """Matches, coverage, nearest neighbours and occupied space of point clouds (Achlioptas et al. 2018)."""
    return cloud_metrics(*_clouds(evidence))


def clouds_emd_of(evidence: Evidence) -> dict[str, Estimate]:
    """The same by the earth mover's distance of fewer points."""
    return matched_metrics(*_clouds(evidence))


def classification_accuracy_of(evidence: Evidence) -> dict[str, Estimate]:
    """Accuracy on real images of a classifier trained on samples (Ravuri and Vinyals 2019)."""
    real, fake, labels = evidence.real.array('images'), evidence.fake.array('images'), _matched_labels(evidence)
    num_classes = int(max(labels.real.max(), labels.fake.max())) + 1
    score = classification_accuracy_score(fake, labels.fake, real, labels.real, num_classes)
    return {'classification_accuracy': score._replace(rule=f'{score.rule}, {labels.rule}')}


def in_batches(images: np.ndarray) -> list[np.ndarray]:
    """The images [n, ...], 64 at a time."""
    return [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]


def luma_estimates(real: np.ndarray, made: np.ndarray, border: int = _BORDER) -> dict[str, Estimate]:
    """The values 'psnr_y' and 'ssim_y' of uint8 pairs [n, H, W, C], without the border."""
    options = {'luminance': real.shape[3] == 3, 'border': border}  # grey values are luma already
    return {'psnr_y': mean_psnr(real, made, **options), 'ssim_y': mean_ssim(real, made, **options)}


def _features(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    return evidence.real.array('features'), evidence.fake.array('features')


def _clouds(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Real, generated and training clouds; the last None where the real ones are these, or they are unknown."""
    known = evidence.samples and evidence.samples.known
    if known is not None and known.fingerprint == evidence.real.fingerprint:
        known = None
    return evidence.real.array('images'), evidence.fake.array('images'), None if known is None else known.examples


def _matched_labels(evidence: Evidence) -> Matched:
    labels = (evidence.real.array('labels'), evidence.real_names, evidence.fake.array('labels'), evidence.fake_names)
    return match(*labels)


def labels_of(store: FeatureStore) -> np.ndarray | None:
    """The labels [n] of the examples of a store, or None."""
    return store.array('labels') if store.has('labels') else None
