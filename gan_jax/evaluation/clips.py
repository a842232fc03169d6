"""Quality of generated clips by two classifiers of this project: of clips by their motion, of frames by their content.

Both are small and learn from the real clips that the generator learnt from, so the values compare generators of one
data set and nothing else. In particular the distance of clips is not the published FVD, whose network is another one.
"""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation.class_entropy import mean_entropy
from gan_jax.evaluation.features.classifier import see
from gan_jax.evaluation.features.classifier_training import Recipe, fit, train
from gan_jax.evaluation.features.extractor import Features
from gan_jax.evaluation.fid import fid
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial, of_mean
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.normalization import normalize

PyTree = Any


class Recipes(NamedTuple):
    """The training of the classifier of clips, and of that of frames."""

    clips: Recipe
    frames: Recipe


_COMMON = Recipe(widths=(16, 32, 64), label_smoothing=0.0, policy=())
RECIPES = Recipes(
    clips=_COMMON._replace(epochs=1, batch_size=32, learning_rate=0.1),
    frames=_COMMON._replace(epochs=5, batch_size=64),
)
_MOST = 4_000  # real clips that the classifiers learn from
_FRAMES = 2  # of each of them, from which the classifier of frames learns
_BLOCK = 200  # examples of one call


class ClipNetwork(nn.Module):
    """Strided convolutions in space and time: clips in [-1, 1] to features and logits.

    Attributes:
        num_classes: K.
        widths: channels of the layers, each of which halves all sides; the last is the number of features D.
    """

    num_classes: int
    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, clips: jax.Array, *, train: bool = False) -> Features:
        """Clips [n, T, H, W, C] -> class logits [n, K], and as features [n, D] the means of the last layer."""
        hidden, start = clips, nn.initializers.he_normal()
        for width in self.widths:
            hidden = Conv(width, kernel_size=4, stride=2, use_bias=False, kernel_init=start)(hidden)
            hidden = nn.relu(normalize('batch', hidden, train=train))
        features = hidden.mean((1, 2, 3))
        return Features(features, Dense(self.num_classes, kernel_init=start)(features))


def clip_metrics(
    real: np.ndarray,
    fake: np.ndarray,
    known: Dataset,
    *,
    real_motions: np.ndarray | None = None,
    fake_motions: np.ndarray | None = None,
    recipes: Recipes = RECIPES,
) -> dict[str, Estimate]:
    """What the two classifiers see in clips; the rules also have the values of the real ones.

    Args:
        real: uint8 [m, T, H, W, C].
        fake: uint8 [n, T, H, W, C].
        known: the clips that the classifiers learn from, with their motions as labels, their contents, or both. Labels
            that are equal to the contents are no motions.
        real_motions: int [m], or None.
        fake_motions: int [n], those that the fakes should have; None: no particular ones.
        recipes: the training of both classifiers.

    Returns:
        The estimates by name. Three are only there if motions are known: 'motion_accuracy', only if both motions are
        given, is the share of fakes with theirs;
        'motion_entropy' is the mean entropy of the motions of a clip, in nats; 'clip_distance' is a Fréchet distance by
        the features of the classifier of clips. Three are only there if contents are known: 'content_entropy' is the
        mean entropy of the contents of a frame, 'content_agreement' the mean share of a clip's frames with its most
        frequent content, and 'frame_fid' a Fréchet distance by the features of the classifier of frames.

    Raises:
        UserError: neither motions nor contents of the known clips are known.
    """
    if known.labels is None and known.contents is None:
        raise UserError(
            f'clips needs training data with motions as classes or with known contents, and {known.name!r} has neither.'
        )
    views = {'clips': lambda clips: clips, 'frames': lambda clips: clips.reshape(-1, *clips.shape[2:])}
    seen = {
        kind: [_look_at(*classifier, views[kind](clips)) for clips in (real, fake)]
        for kind, classifier in _classifiers(known, recipes).items()
    }

    def named(kind: str, estimate: Estimate, of_real: str = '') -> Estimate:
        recipe = getattr(recipes, kind)
        settings = ', '.join(f'{name} {getattr(recipe, name)}' for name in ('widths', 'epochs', 'batch_size'))
        source = f'{len(known.examples[:: _stride(known)])} real clips of {known.name} {known.split}'
        rule = f"gan_jax's own classifier of {kind} ({settings}, seed 0), trained on {source}; {estimate.rule}{of_real}"
        return estimate._replace(rule=rule)

    def compared(kind: str, real: Estimate, fake: Estimate) -> Estimate:
        return named(kind, fake, f'; the real clips have {real.value:.4g}')

    def distance(kind: str) -> Estimate:
        return named(kind, fid(*(one.features for one in seen[kind])))

    def entropy(kind: str, together: int = 1) -> Estimate:
        return compared(kind, *(mean_entropy(one.logits, together) for one in seen[kind]))

    def motions_right(one: Features, wanted: np.ndarray) -> Estimate:
        found = _mean(one.logits.argmax(-1) == wanted)
        return found._replace(error=binomial(found.value, len(wanted)))

    found = {}
    if 'clips' in seen:
        if real_motions is not None and fake_motions is not None:
            right = map(motions_right, seen['clips'], (real_motions, fake_motions))
            found['motion_accuracy'] = compared('clips', *right)
        found |= {'motion_entropy': entropy('clips'), 'clip_distance': distance('clips')}
    if 'frames' in seen:
        contents = (one.logits.argmax(-1).reshape(-1, real.shape[1]) for one in seen['frames'])
        agreements = compared('frames', *(_mean(agreement(one)) for one in contents))
        found |= {
            'content_entropy': entropy('frames', real.shape[1]),
            'content_agreement': agreements,
            'frame_fid': distance('frames'),
        }
    return found


def agreement(contents: np.ndarray) -> np.ndarray:
    """The share of each clip's frames that have its most frequent content: int [n, T] -> float64 [n]."""
    return np.array([np.bincount(row).max() / len(row) for row in contents])


@functools.lru_cache(maxsize=1)
def _classifiers(known: Dataset, recipes: Recipes) -> dict[str, tuple[nn.Module, PyTree]]:
    """The network and the variables of the classifier of 'clips' and of that of 'frames', as far as they can learn."""
    stride, classifiers = _stride(known), {}
    clips = np.asarray(known.examples[::stride])
    if known.labels is not None and not np.array_equal(known.labels, known.contents):
        network = ClipNetwork(known.num_classes, recipes.clips.widths)
        classifiers['clips'] = (network, train(network, clips, known.labels[::stride], recipe=recipes.clips))
    if known.contents is not None:
        length, places = clips.shape[1], np.arange(len(clips))
        frames = np.concatenate([clips[places, (places + i * length // _FRAMES) % length] for i in range(_FRAMES)])
        contents = np.tile(known.contents[::stride], _FRAMES)
        classifiers['frames'] = fit(frames, contents, int(contents.max()) + 1, recipe=recipes.frames)
    return classifiers


def _stride(known: Dataset) -> int:
    """The classifiers learn from every so many clips."""
    return -(-len(known) // _MOST)


def _look_at(network: nn.Module, variables: PyTree, examples: np.ndarray) -> Features:
    """The features and logits of examples uint8 [n, ...], as NumPy arrays."""
    blocks = [_look(network, variables, examples[i : i + _BLOCK]) for i in range(0, len(examples), _BLOCK)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


def _mean(values: np.ndarray) -> Estimate:
    return Estimate(float(values.mean()), of_mean(values), f'mean over {len(values)} clips, standard error')


_look = jax.jit(see, static_argnums=0)
