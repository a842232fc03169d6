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
_FRAMES = 2  # of each real clip, from which the classifier of frames learns
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
        known: the clips that the classifiers learn from, with motions as labels, and contents.
        real_motions: int [m].
        fake_motions: int [n], those that the fakes should have; None: no particular ones.
        recipes: the training of both classifiers.

    Returns:
        - 'motion_accuracy', only for fakes that should have a motion: the share that has it;
        - 'motion_entropy' and 'content_entropy': the mean entropy of the classes of a clip, and of a frame, in nats;
        - 'content_agreement': the mean share of a clip's frames with its most frequent content;
        - 'clip_distance' and 'frame_fid': Fréchet distances by the features of the two classifiers.

    Raises:
        UserError: the motions or contents of the known clips are not known.
    """
    if known.labels is None or known.contents is None:
        raise UserError(f'clips needs clips with known motions and contents, and those of {known.name!r} are not.')
    classifiers = _classifiers(known, recipes)
    motions, frames = (
        {'real': _look_at(*classifiers[kind], in_kind(real)), 'fake': _look_at(*classifiers[kind], in_kind(fake))}
        for kind, in_kind in (('clips', lambda clips: clips), ('frames', _frames_of))
    )

    def named(kind: str, estimate: Estimate, real_value: float | None = None) -> Estimate:
        recipe = getattr(recipes, kind)
        settings = ', '.join(f'{name} {getattr(recipe, name)}' for name in ('widths', 'epochs', 'batch_size'))
        rule = f"gan_jax's own classifier of {kind} ({settings}, seed 0), trained on {len(known)} real clips of "
        rule += f'{known.name} {known.split}; {estimate.rule}'
        return estimate._replace(rule=rule if real_value is None else f'{rule}; the real clips have {real_value:.4g}')

    def compared(kind: str, real: Estimate, fake: Estimate) -> Estimate:
        return named(kind, fake, real.value)

    def agreements(seen: Features) -> Estimate:
        return _mean(agreement(seen.logits.argmax(-1).reshape(-1, real.shape[1])))

    found = {
        'motion_entropy': compared('clips', *(mean_entropy(seen.logits) for seen in motions.values())),
        'content_entropy': compared('frames', *(mean_entropy(seen.logits) for seen in frames.values())),
        'content_agreement': compared('frames', *map(agreements, frames.values())),
        'clip_distance': named('clips', fid(*(seen.features for seen in motions.values()))),
        'frame_fid': named('frames', fid(*(seen.features for seen in frames.values()))),
    }
    if fake_motions is not None:
        right = [
            _mean(motions[name].logits.argmax(-1) == wanted)
            for name, wanted in (('real', real_motions), ('fake', fake_motions))
        ]
        found['motion_accuracy'] = compared('clips', *right)
    return found


def agreement(contents: np.ndarray) -> np.ndarray:
    """The share of each clip's frames that have its most frequent content: int [n, T] -> float64 [n]."""
    return np.array([np.bincount(row).max() / len(row) for row in contents])


@functools.lru_cache(maxsize=1)
def _classifiers(known: Dataset, recipes: Recipes) -> dict[str, tuple[nn.Module, PyTree]]:
    """The network and the variables of the classifier of 'clips', and of that of 'frames'."""
    clips = np.asarray(known.examples)
    network = ClipNetwork(known.num_classes, recipes.clips.widths)
    length, places = clips.shape[1], np.arange(len(clips))
    frames = np.concatenate([clips[places, (places + i * length // _FRAMES) % length] for i in range(_FRAMES)])
    contents = np.tile(known.contents, _FRAMES)
    return {
        'clips': (network, train(network, clips, known.labels, recipe=recipes.clips)),
        'frames': fit(frames, contents, int(contents.max()) + 1, recipe=recipes.frames),
    }


def _frames_of(clips: np.ndarray) -> np.ndarray:
    return clips.reshape(-1, *clips.shape[2:])


def _look_at(network: nn.Module, variables: PyTree, examples: np.ndarray) -> Features:
    """The features and logits of examples uint8 [n, ...], as NumPy arrays."""
    blocks = [_look(network, variables, examples[i : i + _BLOCK]) for i in range(0, len(examples), _BLOCK)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


def _mean(values: np.ndarray) -> Estimate:
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    return Estimate(float(values.mean()), error, f'mean over {len(values)} clips, standard error')


_look = jax.jit(see, static_argnums=0)
