"""Every metric by name: what it needs, its computation, and which values are better."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation import baselines, lpips, of_runs, of_sets
from gan_jax.evaluation.bootstrap import bootstrap
from gan_jax.evaluation.evidence import OPTIONS, Evidence
from gan_jax.evaluation.features.inception_network import TAPS
from gan_jax.evaluation.record import Estimate
from gan_jax.examples.kinds import CLIPS, CLOUDS, IMAGES, POINTS, SOLIDS, Kind, kind_of
from gan_jax.game import Game
from gan_jax.layers.bicubic import ENLARGEMENTS
from gan_jax.layers.choices import choose, nearest, require


class Metric(NamedTuple):
    """A metric, or several that are computed together.

    Attributes:
        compute: Evidence to an Estimate for each name; the first line of its docstring is in `tools.list`.
        best: for each name whether the smallest or the largest value is best, or 'real' for that of real images.
        real: the contents that the store of real images must keep.
        fake: the contents that the store of fakes must keep.
        sees: 'features' or 'pixels' of the two sets, the 'classes', 'inputs', 'maps', 'holes', 'clips', 'flow' or
            'captions' of the samples, or the 'generator', the 'translator', the 'discriminator' or the 'encoder'
            itself.
        labels: whether fakes and real images need classes.
        paired: whether fake i is compared with real i.
        known: whether it, or its protocol, needs the data that the run was trained on.
        kind: the kind of examples that it applies to.
    """

    compute: Callable[[Evidence], dict[str, Estimate]]
    best: dict[str, str]
    real: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()
    sees: str = 'features'
    labels: bool = False
    paired: bool = False
    known: bool = False
    kind: Kind = IMAGES

    @property
    def uses_extractor(self) -> bool:
        """Whether it uses an extractor."""
        return self.sees in ('features', 'generator', 'classes')

    @property
    def sees_sets(self) -> bool:
        """Whether it compares sets of images, which can be resampled, and nothing else."""
        return self.sees in ('features', 'pixels')


_SLICED = 'sliced_wasserstein'  # which also has a value for each level of the pyramid
_BOTH_FEATURES = {'real': ('features',), 'fake': ('features',)}
_BOTH_IMAGES = {'real': ('images',), 'fake': ('images',), 'sees': 'pixels'}
_OF_ENCODER = {'real': ('images',), 'sees': 'encoder', 'known': True}
_OF_CLOUDS = {**_BOTH_IMAGES, 'known': True, 'kind': CLOUDS}
_BEST_OF_CLOUDS = {'mmd': 'min', 'coverage': 'max', '1nna': 'real'}


def _best_of_clouds(name: str, **further: str) -> dict[str, str]:
    """The values of generated clouds, and those of training clouds in their place."""
    return {
        f'{name}_{value}{ending}': best
        for ending in ('', '_train')
        for value, best in (_BEST_OF_CLOUDS | further).items()
    }


METRICS: dict[str, Metric] = {
    'fid': Metric(of_sets.fid_of, {'fid': 'min'}),
    'fid_taps': Metric(of_sets.fid_taps_of, {f'fid_{tap}': 'min' for tap in TAPS}, real=('taps',), fake=('taps',)),
    'fid_infinity': Metric(of_sets.fid_infinity_of, {'fid_infinity': 'min'}, fake=('features',)),
    'intra_fid': Metric(of_sets.intra_fid_of, {'intra_fid': 'min'}, **_BOTH_FEATURES, labels=True),
    'inception_score': Metric(of_sets.inception_score_of, {'inception_score': 'max'}, fake=('logits',)),
    'modes': Metric(of_sets.modes_of, {'modes': 'max', 'mode_divergence': 'min'}, real=('logits',), fake=('logits',)),
    'class_entropy': Metric(of_sets.class_entropy_of, {'class_entropy': 'real'}, real=('logits',), fake=('logits',)),
    'kid': Metric(of_sets.kid_of, {'kid': 'min'}, **_BOTH_FEATURES),
    'kid_full': Metric(of_sets.kid_full_of, {'kid_full': 'min'}, **_BOTH_FEATURES),
    'mmd': Metric(of_sets.mmd_of, {'mmd': 'min'}, **_BOTH_FEATURES),
    'precision_recall': Metric(of_sets.precision_recall_of, {'precision': 'max', 'recall': 'max'}, **_BOTH_FEATURES),
    'density_coverage': Metric(of_sets.density_coverage_of, {'density': 'max', 'coverage': 'max'}, **_BOTH_FEATURES),
    'authenticity': Metric(of_sets.authenticity_of, {'authenticity': 'real'}, **_BOTH_FEATURES),
    'sliced_wasserstein': Metric(of_sets.sliced_wasserstein_of, {'sliced_wasserstein': 'min'}, **_BOTH_IMAGES),
    'ms_ssim': Metric(of_sets.ms_ssim_of, {'ms_ssim': 'real'}, fake=('images',), sees='pixels'),
    'lpips': Metric(of_sets.lpips_of, {'lpips': 'real'}, fake=('images',), sees='pixels'),
    'psnr': Metric(of_sets.psnr_of, {'psnr': 'max'}, **_BOTH_IMAGES, paired=True),
    'ssim': Metric(of_sets.ssim_of, {'ssim': 'max'}, **_BOTH_IMAGES, paired=True),
    'segmentation': Metric(
        of_runs.segmentation_of,
        {'miou': 'max', 'pixel_accuracy': 'max', 'segmenter_fid': 'min'},
        **_BOTH_IMAGES | {'sees': 'maps'},
        paired=True,
        known=True,
    ),
    'hole': Metric(
        of_runs.hole_of, {'hole_l1': 'min', 'hole_psnr': 'max'}, **_BOTH_IMAGES | {'sees': 'holes'}, paired=True
    ),
    'caption_accuracy': Metric(
        of_runs.caption_accuracy_of,
        {f'{of}{name}_accuracy': 'max' for of in ('', 'unseen_') for name in ('attribute', 'relation')},
        fake=('images',),
        sees='captions',
    ),
    'r_precision': Metric(
        of_runs.r_precision_of, {'r_precision': 'max'}, **_BOTH_IMAGES | {'sees': 'captions'}, paired=True, known=True
    ),
    'solids': Metric(
        of_sets.solids_of,
        {'solids_connected': 'max', 'solids_symmetry': 'real', 'solids_iou': 'max', 'solids_coverage': 'max'},
        **_BOTH_IMAGES,
        kind=SOLIDS,
    ),
    'mixture': Metric(
        of_runs.mixture_of,
        {'mixture_modes': 'max', 'mixture_quality': 'max', 'mixture_divergence': 'min'},
        fake=('images',),
        sees='pixels',
        known=True,
        kind=POINTS,
    ),
    'clouds': Metric(of_sets.clouds_of, _best_of_clouds('clouds', jsd='min'), **_OF_CLOUDS),
    'clouds_emd': Metric(of_sets.clouds_emd_of, _best_of_clouds('clouds_emd'), **_OF_CLOUDS),
    'clips': Metric(
        of_runs.clips_of,
        {
            'motion_accuracy': 'max',
            'motion_entropy': 'real',
            'clip_distance': 'min',
            'content_entropy': 'real',
            'content_agreement': 'max',
            'frame_fid': 'min',
        },
        **_BOTH_IMAGES | {'sees': 'clips'},
        known=True,
        kind=CLIPS,
    ),
    'clip_error': Metric(
        of_sets.clip_error_of, {'clip_l1': 'min', 'clip_psnr': 'max'}, **_BOTH_IMAGES, paired=True, kind=CLIPS
    ),
    'warp_error': Metric(
        of_runs.warp_error_of, {'warp_error': 'real'}, **_BOTH_IMAGES | {'sees': 'flow'}, paired=True, kind=CLIPS
    ),
    'luma': Metric(of_sets.luma_of, {'psnr_y': 'max', 'ssim_y': 'max'}, **_BOTH_IMAGES, paired=True),
    'interpolated': Metric(
        of_runs.interpolated_of,
        {f'{value}_{name}': 'max' for name in ENLARGEMENTS for value in ('psnr_y', 'ssim_y')},
        **_BOTH_IMAGES,
        paired=True,
    ),
    'baselines': Metric(
        of_runs.baselines_of,
        {f'{error}_{name}': best for name in baselines.NAMES for error, (_, best) in baselines.ERRORS.items()},
        **_BOTH_IMAGES | {'sees': 'inputs'},
        paired=True,
        known=True,
    ),
    'lpips_distance': Metric(of_sets.lpips_distance_of, {'lpips_distance': 'min'}, **_BOTH_IMAGES, paired=True),
    'class_error': Metric(of_runs.class_error_of, {'class_error': 'min'}, real=('images',), sees='discriminator'),
    'membership': Metric(
        of_runs.membership_of, {'membership': 'min'}, real=('images',), sees='discriminator', known=True
    ),
    'code_accuracy': Metric(of_runs.code_accuracy_of, {'code_accuracy': 'max'}, **_OF_ENCODER),
    'reconstruction': Metric(of_runs.reconstruction_of, {'reconstruction': 'min'}, **_OF_ENCODER),
    'auroc': Metric(of_runs.auroc_of, {'auroc': 'max', 'auroc_image': 'max', 'auroc_neighbour': 'max'}, **_OF_ENCODER),
    'diversity': Metric(of_runs.diversity_of, {'diversity': 'real'}, sees='translator'),
    'lpips_diversity': Metric(of_runs.lpips_diversity_of, {'lpips_diversity': 'real'}, sees='translator'),
    'content_accuracy': Metric(
        of_runs.content_accuracy_of, {'content_accuracy': 'max'}, fake=('logits',), sees='classes'
    ),
    'target_accuracy': Metric(of_runs.target_accuracy_of, {'target_accuracy': 'max'}, fake=('logits',), sees='classes'),
    'l1': Metric(of_sets.l1_of, {'l1': 'min'}, **_BOTH_IMAGES, paired=True),
    'edge_f1': Metric(of_sets.edge_f1_of, {'edge_f1': 'max', 'edge_f1_chance': 'real'}, **_BOTH_IMAGES, paired=True),
    'path_length': Metric(of_runs.path_length_of, {'path_length': 'min'}, sees='generator'),
    'path_length_w': Metric(
        of_runs.path_length_w_of, {'path_length_w': 'min', 'path_length_w_end': 'min'}, sees='generator'
    ),
    'classification_accuracy': Metric(
        of_sets.classification_accuracy_of, {'classification_accuracy': 'max'}, **_BOTH_IMAGES, labels=True
    ),
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


def needs_exact(names: Sequence[str]) -> bool:
    """Whether one of the metrics walks through the generator, and needs its game in float32 (`GeneratorSamples`)."""
    return any(METRICS[name].sees == 'generator' for name in names)


def check_of_generator(names: Sequence[str], game: Game) -> None:
    """Raises a UserError for the first metric that cannot be computed for a generator's samples.

    Args:
        names: names of the metrics.
        game: game of the generator.
    """
    given = game.given
    parts = {
        'encoder': game.encode,
        'inputs': (given == 'input' and game.captions is None) or None,
        'maps': game.maps,
        'holes': game.hole,
        'captions': game.captions,
        'flow': game.flow,
    }
    for name in names:
        if METRICS[name].labels and given != 'label':
            raise UserError(f'{name} needs classes, and this generator is unconditional: remove it from the metrics.')
        if METRICS[name].paired and given != 'input' and game.hole is None:
            raise UserError(f'{name} compares pairs of images, and these samples have no real partners: remove it.')
        if name == 'class_error' and game.classify is None:
            raise UserError(f'{name} evaluates the classifier of a game, and this game has none: remove it.')
        if name == 'membership' and not game.private:
            raise UserError(f'{name} attacks the discriminator of a private game, and this game is not one: remove it.')
        sees = METRICS[name].sees
        if sees in parts and parts[sees] is None:
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
            raise UserError(f'{name} {of_runs.NO_STYLES}: remove it.')
        if name in ('lpips', 'lpips_diversity', 'lpips_distance'):
            lpips.load_lpips()


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
