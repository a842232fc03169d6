"""Metrics that need a run and not only its samples, as functions of the `Evidence`."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from gan_jax.data.toys import MIXTURES
from gan_jax.errors import UserError
from gan_jax.evaluation import lpips
from gan_jax.evaluation.anomalies import anomaly_aurocs
from gan_jax.evaluation.baselines import baseline_errors, interpolations
from gan_jax.evaluation.captions import caption_accuracy
from gan_jax.evaluation.class_error import class_error
from gan_jax.evaluation.clips import clip_metrics
from gan_jax.evaluation.encoded import code_accuracy, reconstruction_error
from gan_jax.evaluation.evidence import Evidence
from gan_jax.evaluation.gather import GeneratorSamples
from gan_jax.evaluation.hole import hole_errors, masks_of
from gan_jax.evaluation.labels import Matched, match, renumber
from gan_jax.evaluation.membership import membership
from gan_jax.evaluation.modes import mixture_modes
from gan_jax.evaluation.of_sets import labels_of, luma_estimates
from gan_jax.evaluation.path_length import feature_distance, perceptual_path_length
from gan_jax.evaluation.r_precision import r_precision
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.segmentation import segmentation
from gan_jax.evaluation.translated import class_accuracy, diversity, pixel_distance
from gan_jax.evaluation.warp_error import warp_error
from gan_jax.game import Game, named_key
from gan_jax.runtime import compiler

_NUM_PATHS = 10_000  # a fifth of the paper's
NO_STYLES = 'needs styles, and this generator has none'


def interpolated_of(evidence: Evidence) -> dict[str, Estimate]:
    """PSNR and SSIM of the luma of small inputs enlarged by bicubic interpolation and by repeated pixels."""
    samples = evidence.samples
    if samples is None:
        raise UserError(
            'interpolated enlarges the inputs of a run, but these images are not samples of a run: remove it.'
        )
    if samples.conditions.ndim != 4:
        raise UserError('interpolated enlarges images, and the inputs of this run are captions: remove it.')
    real, found = evidence.pairs[0], {}
    factor = real.shape[1] // samples.conditions.shape[1]
    for name, made in interpolations(samples.conditions, factor).items():
        values = luma_estimates(real, made, **evidence.chosen('interpolated'))
        found |= {f'{metric}_{name}': value for metric, value in values.items()}
    return found


def baselines_of(evidence: Evidence) -> dict[str, Estimate]:
    """L1, PSNR and SSIM of outputs without training: the nearest training pair's target, the mean one, the input."""
    samples = evidence.samples
    if samples is None or samples.known is None or samples.conditions is None:
        raise UserError('baselines needs samples of a run that translates images with targets: remove it.')
    real, _ = evidence.pairs
    return baseline_errors(real, samples.conditions, samples.known, are_maps=samples.game.maps is not None)


def segmentation_of(evidence: Evidence) -> dict[str, Estimate]:
    """Accuracy and mean IoU of a segmenter on images made from label maps, and a Fréchet distance by its features."""
    samples = evidence.samples
    if samples is None or samples.known is None:
        raise UserError('segmentation needs samples of a run that paints label maps: remove it.')
    return segmentation(*evidence.pairs, samples.conditions, samples.known)


def hole_of(evidence: Evidence) -> dict[str, Estimate]:
    """Mean absolute difference and PSNR in the holes that a generator fills (Pathak et al. 2016)."""
    samples = evidence.samples
    if samples is None or samples.game.hole is None:
        raise UserError('hole needs samples of a run that fills holes: remove it.')
    real, fake = evidence.pairs
    return hole_errors(real, fake, masks_of(samples.game, samples.seed, len(fake)))


def mixture_of(evidence: Evidence) -> dict[str, Estimate]:
    """Modes of a mixture that points capture, the share of high quality, the reverse KL (Srivastava et al. 2017)."""
    samples = evidence.samples
    if samples is None or samples.known is None or samples.known.name not in MIXTURES:
        raise UserError(f'mixture needs samples of a run on one of {", ".join(MIXTURES)}: remove it.')
    found = mixture_modes(evidence.fake.array('images'), MIXTURES[samples.known.name])
    return {
        'mixture_modes': Estimate(found.captured, rule=found.protocol),
        'mixture_quality': Estimate(found.high_quality, rule=found.protocol),
        'mixture_divergence': Estimate(found.reverse_kl, rule=f'nats, {found.protocol}'),
    }


def clips_of(evidence: Evidence) -> dict[str, Estimate]:
    """Motion and content of clips by classifiers of this project, and Fréchet distances by their features."""
    real, fake, samples = evidence.real, evidence.fake, evidence.samples
    if samples is None or samples.known is None:
        raise UserError('clips needs samples of a run, whose training clips its classifiers learn from: remove it.')
    return clip_metrics(
        real.array('images'),
        fake.array('images'),
        samples.known,
        real_motions=None if labels_of(real) is None else _matched_to_known(evidence).fake,
        fake_motions=labels_of(fake),
    )


def warp_error_of(evidence: Evidence) -> dict[str, Estimate]:
    """Mean absolute difference of frames from those before them, moved along the known flow."""
    samples = evidence.samples
    if samples is None or samples.game.flow is None:
        raise UserError('warp_error needs samples of a run whose game knows the flow of its clips: remove it.')
    return {'warp_error': warp_error(*evidence.pairs, samples.conditions, samples.game)}


def caption_accuracy_of(evidence: Evidence) -> dict[str, Estimate]:
    """Shares of captions of shapes whose attributes and relation are right, for known and for new combinations."""
    samples = evidence.samples
    if samples is None or samples.game.captions is None:
        raise UserError('caption_accuracy needs samples of a run that makes images of captions: remove it.')
    return caption_accuracy(evidence.fake.array('images'), samples.conditions, evidence.real_names)


def r_precision_of(evidence: Evidence) -> dict[str, Estimate]:
    """Share of images whose caption is the most similar of 100, by encoders of the project (Xu et al. 2018)."""
    samples = evidence.samples
    if samples is None or samples.game.captions is None:
        raise UserError('r_precision needs samples of a run that makes images of captions: remove it.')
    real, fake = evidence.pairs
    return r_precision(fake, samples.conditions, samples.known, real)


def class_error_of(evidence: Evidence) -> dict[str, Estimate]:
    """Error rate of the game's own classifier, or categories, on real images."""
    real, samples = evidence.real, evidence.samples
    if samples is None or samples.discriminator is None:
        raise UserError(
            'class_error evaluates the classifier of a run, but these images are not samples of a run: remove it.'
        )
    labels = real.array('labels') if samples.game.codes is not None else _classes_of_run(evidence, 'class_error')
    return {'class_error': class_error(samples.game, samples.discriminator, real.array('images'), labels)}


def membership_of(evidence: Evidence) -> dict[str, Estimate]:
    """Area under the ROC curve of an attack by the discriminator on training images (Hayes et al. 2019)."""
    samples = evidence.samples
    if samples is None or samples.discriminator is None:
        raise UserError(
            'membership attacks the discriminator of a run, but these images are not samples of a run: remove it.'
        )
    members, others = samples.known, evidence.real.array('images')
    labels = _classes_of_run(evidence, 'membership') if samples.game.given == 'label' else None
    of = samples.game, samples.discriminator, members.examples, members.labels
    return {'membership': membership(*of, others, labels)}


def code_accuracy_of(evidence: Evidence) -> dict[str, Estimate]:
    """Accuracy of the nearest training image's class in the encoder's features (Donahue et al. 2017)."""
    samples, labels = _with_encoder(evidence, 'code_accuracy'), _matched_to_known(evidence)
    of = samples.game, samples.encoder, evidence.real.array('images'), labels.fake
    found = code_accuracy(*of, samples.known.examples, labels.real)
    return {'code_accuracy': found._replace(rule=f'{found.rule}, {labels.rule}')}


def reconstruction_of(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of real images and what the generator makes of their codes."""
    samples = _with_encoder(evidence, 'reconstruction')
    of = samples.game, samples.generator, samples.encoder
    return {'reconstruction': reconstruction_error(*of, evidence.real.array('images'))}


def auroc_of(evidence: Evidence) -> dict[str, Estimate]:
    """Area under the ROC curve of the game's anomaly scores for classes that were left out of training."""
    samples, labels = _with_encoder(evidence, 'auroc'), _matched_to_known(evidence)
    players = {'generator': samples.generator, 'discriminator': samples.discriminator, 'encoder': samples.encoder}
    real = evidence.real.array('images'), labels.fake
    found = anomaly_aurocs(samples.game, players, *real, samples.known.examples, labels.real)
    return {name: estimate._replace(rule=f'{estimate.rule}, {labels.rule}') for name, estimate in found.items()}


def diversity_of(evidence: Evidence) -> dict[str, Estimate]:
    """Mean absolute difference of two translations of one image."""
    found = _of_translations(evidence, 'diversity', pixel_distance)
    return {'diversity': found._replace(rule=f'mean absolute difference of pixels in [0, 1], {found.rule}')}


def lpips_diversity_of(evidence: Evidence) -> dict[str, Estimate]:
    """Distance of two translations of one image by deep features (Huang et al. 2018)."""
    perceptual = lpips.load_lpips()
    found = _of_translations(evidence, 'lpips_diversity', perceptual.distance)
    return {'lpips_diversity': found._replace(rule=f'{perceptual.identity}, {found.rule}')}


def content_accuracy_of(evidence: Evidence) -> dict[str, Estimate]:
    """Share of translations with the class of their input, by a classifier as the extractor."""
    samples = evidence.samples
    if samples is None or samples.classes is None:
        raise UserError('content_accuracy needs translations of images with classes, and these have none: remove it.')
    return {'content_accuracy': class_accuracy(evidence.fake.array('logits'), samples.classes, 'input')}


def target_accuracy_of(evidence: Evidence) -> dict[str, Estimate]:
    """Share of translations with the class that they should have, by a classifier as the extractor.

    Translations without such a class are not counted.
    """
    samples = evidence.samples
    if samples is None or samples.game.targets is None:
        raise UserError('target_accuracy needs translations into classes, and these have none: remove it.')
    places = np.arange(samples.number, dtype=np.uint32)
    targets = np.asarray(samples.game.targets(samples.game.latents(named_key(samples.seed, 'evaluation'), places)))
    counted = targets >= 0
    return {'target_accuracy': class_accuracy(evidence.fake.array('logits')[counted], targets[counted], 'target')}


def path_length_of(evidence: Evidence) -> dict[str, Estimate]:
    """Perceptual path length between latents (Karras et al. 2019)."""
    _unconditional(evidence, 'path_length')
    return {'path_length': _walked(evidence, lambda game: (game.sample,))}


def path_length_w_of(evidence: Evidence) -> dict[str, Estimate]:
    """Perceptual path length between styles (Karras et al. 2019)."""
    game = _unconditional(evidence, 'path_length_w').game
    if game.styles is None:
        raise UserError(f'path_length_w {NO_STYLES}: use path_length.')
    ways = {'path_length_w': 'full', 'path_length_w_end': 'end'}
    return {
        name: _walked(evidence, lambda game: (game.synthesize, game.styles), space='w', sampling=sampling)
        for name, sampling in ways.items()
    }


def _of_translations(evidence: Evidence, name: str, distance: Callable) -> Estimate:
    samples = evidence.samples
    if samples is None:
        raise UserError(f'{name} translates images by a run, but these images are not of a run: remove it.')
    return diversity(samples.game, samples.generator, samples.conditions, distance, seed=samples.seed)


def _with_encoder(evidence: Evidence, name: str) -> GeneratorSamples:
    samples = evidence.samples
    if samples is None or samples.encoder is None:
        raise UserError(f'{name} evaluates the encoder of a run, but these images are not samples of a run: remove it.')
    return samples


def _matched_to_known(evidence: Evidence) -> Matched:
    """The labels of the training data as 'real', and as 'fake' those of the real images."""
    known = evidence.samples.known
    return match(known.labels, known.class_names, evidence.real.array('labels'), evidence.real_names)


def _classes_of_run(evidence: Evidence, metric: str) -> np.ndarray | None:
    """The labels [n] of the real images as numbers of the run's classes: by name if both have names."""
    labels, names, known = labels_of(evidence.real), evidence.real_names, evidence.samples.class_names
    if labels is None or names is None or known is None:
        return labels
    if strangers := [name for name in names if name not in known]:
        raise UserError(
            f'{metric} needs images of the classes of the run, {", ".join(known)}, and {strangers[0]!r} is none of '
            'them: choose other images.'
        )
    return renumber(labels, names, known)


def _unconditional(evidence: Evidence, name: str) -> GeneratorSamples:
    samples = evidence.samples
    if samples is None or samples.conditions is not None:
        raise UserError(f'{name} needs the run of a generator without classes.')
    return samples


def _walked(evidence: Evidence, functions_of: Callable[[Game], tuple[Callable, ...]], **options: str) -> Estimate:
    """The path length of a game's functions, which take the weights first: generate, and its mapping if any."""
    samples = evidence.samples
    game = samples.exact or samples.game
    generate, *mapping = (
        jax.jit(functools.partial(function, *samples.generator.weights), compiler_options=compiler.often())
        for function in functions_of(game)
    )
    with jax.default_matmul_precision('highest'):  # or accelerators would round the inputs, by more than a step
        found = perceptual_path_length(
            generate,
            game.latents,
            feature_distance(evidence.extractor),
            **({'mapping': mapping[0]} if mapping else {}),
            num=_NUM_PATHS,
            seed=samples.seed,
            distribution=samples.distribution,
            **options,
        )
    return found if samples.exact is None else found._replace(rule=f'{found.rule}, arithmetic in float32')
