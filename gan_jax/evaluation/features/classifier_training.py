"""Training of the small classifiers: each epoch is one compiled scan over data on the device."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.augmentation import augment
from gan_jax.data import batches
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation.features.classifier import Classifier, ClassifierNetwork, see
from gan_jax.layers.choices import require

Array = jax.Array
PyTree = Any
Report = Callable[[int, float, float], None]
_BLOCK = 500  # images of one call when testing
_HELD_OUT = 10  # one of so many images, where there is no test set


class Recipe(NamedTuple):
    """The training of a classifier: SGD with Nesterov momentum 0.9, one cycle of the learning rate.

    The cycle rises for a quarter of the updates and falls to 0 (Smith and Topin 2019, arXiv:1708.07120).

    Attributes:
        widths: widths of the network, as `blocks` and `stem_stride`.
        blocks: see `ClassifierNetwork`.
        stem_stride: the same.
        epochs: passes over the training data.
        batch_size: images of a step.
        learning_rate: maximum of the cycle.
        weight_decay: weight decay of kernels.
        label_smoothing: the share of the target spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        flip: whether half of the images are mirrored left to right.
        policy: policy of DiffAugment, with black moving in: 'translation' by up to 1/8 of the sides, 'cutout' of half
            of the sides; () for none.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    stem_stride: int = 2
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 0.2
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    flip: bool = False
    policy: tuple[str, ...] = ('translation',)


RECIPES: dict[str, Recipe] = {
    'digits': Recipe(epochs=60, batch_size=50),
    'mnist': Recipe(epochs=6),
    'fashion_mnist': Recipe(epochs=12),  # no flips: its shoes all point to the left, which features should notice
    'cifar10': Recipe(epochs=20, flip=True),
}


def find_recipe(name: str, full: bool = False) -> Recipe:
    """The recipe of a data set by its name, for two CPU cores or, with `full`, for a GPU."""
    recipe = RECIPES.get(name, Recipe())
    if not full:
        return recipe
    policy = ('translation', 'cutout') if recipe.flip else recipe.policy  # a digit without its half may be another
    return recipe._replace(
        widths=(64, 128, 256), blocks=2, stem_stride=1, epochs=4 * recipe.epochs, batch_size=256, policy=policy
    )


def train_classifier(
    train: Dataset,
    test: Dataset | None = None,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> Classifier:
    """Trains a classifier and measures its accuracy, once, at the end.

    Args:
        train: labelled images.
        test: images of the same shape and classes; None: every tenth of `train`, which is not trained on then.
        recipe: by default, that of the data set's name.
        seed: seed of everything random.
        report: called after each epoch with its number from 1, mean loss, and training accuracy.

    Raises:
        UserError: the data are not labelled images, or do not match.
    """
    recipe = find_recipe(train.name) if recipe is None else recipe
    for data in (train, test or train):
        if data.num_classes is None:
            raise UserError(f'{data.name!r} ({data.split}) has no labels: a classifier needs data with classes.')
    if test is None:
        held_out = np.arange(len(train)) % _HELD_OUT == 0
        sets = [(train.examples[chosen], train.labels[chosen]) for chosen in (~held_out, held_out)]
        tested_on = f'{held_out.sum()} held-out images of {train.name} {train.split}'
    else:
        sets = [(data.examples, data.labels) for data in (train, test)]
        tested_on = f'{len(test)} images of {test.name} {test.split}'
    (images, labels), (test_images, test_labels) = sets
    network, variables = fit(images, labels, train.num_classes, recipe=recipe, seed=seed, report=report)
    return Classifier(
        network=network,
        variables=variables,
        shape=tuple(train.shape),
        data=train.name,
        accuracy=accuracy(network, variables, test_images, test_labels),
        tested_on=tested_on,
        training={**recipe._asdict(), 'seed': seed, 'images': len(images), 'fingerprint': train.fingerprint},
    )


def fit(
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    recipe: Recipe,
    seed: int = 0,
    report: Report | None = None,
) -> tuple[ClassifierNetwork, PyTree]:
    """Trains a classifier on arrays.

    Args:
        images: uint8 [n, H, W, C].
        labels: int [n] in [0, num_classes).
        num_classes: K.
        recipe: the recipe; a batch size larger than n becomes n.
        seed: seed of weights, order and augmentation.
        report: as in `train_classifier`.

    Returns:
        The network and its variables, as NumPy arrays.

    Raises:
        UserError: the arrays are not of these kinds.
    """
    check_labelled_images(images, labels, num_classes)
    network = ClassifierNetwork(num_classes, recipe.widths, recipe.blocks, recipe.stem_stride)
    return network, train(network, images, labels, recipe=recipe, seed=seed, report=report)


def train(
    network: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    recipe: Recipe,
    seed: int = 0,
    report: Report | None = None,
) -> PyTree:
    """The variables of a network that learns labels, as NumPy arrays.

    Args:
        network: images -> `Features` with class logits [n, ..., network.num_classes], with 'batch_stats'.
        images: uint8 [n, H, W, C].
        labels: int [n, ...].
        recipe: as in `fit`; flips and a policy do not move the labels.
        seed: as in `fit`.
        report: as in `train_classifier`.
    """
    init_key, order_key = jax.random.split(jax.random.key(seed))
    state = _initial_state(network, recipe, tuple(images.shape), init_key)
    images, labels = jnp.asarray(images), jnp.asarray(labels, jnp.int32)
    for epoch in range(recipe.epochs):
        key = jax.random.fold_in(order_key, epoch)
        state, (loss, right) = _epoch(network, recipe, state, images, labels, key)
        if report is not None:
            report(epoch + 1, float(loss), float(right))
    return jax.device_get(state[0])


def accuracy(network: ClassifierNetwork, variables: PyTree, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images [n, H, W, C] whose largest logit is that of their label.

    Raises:
        UserError: the arrays are not uint8 images and labels of the network's classes.
    """
    check_labelled_images(images, labels, network.num_classes)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(images), _BLOCK)]
    right = sum(int((_predict(network, variables, images[block]) == labels[block]).sum()) for block in blocks)
    return right / len(images)


def check_labelled_images(images: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    """Raises a UserError unless these are uint8 images [n, H, W, C] with labels [n] in [0, num_classes)."""
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise UserError(
            f'A classifier is trained and tested on uint8 images [n, H, W, C], not on {images.dtype} of shape '
            f'{list(images.shape)}.'
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f'{len(images)} images need one whole number each as label, not {labels.dtype} of shape '
            f'{list(labels.shape)}.'
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise UserError(
            f'Labels must be in [0, {num_classes}), but these are from {labels.min()} to {labels.max()}: remove images '
            'without a label (-1).'
        )


@functools.partial(jax.jit, static_argnums=0)
def _predict(network: ClassifierNetwork, variables: PyTree, images: Array) -> Array:
    return see(network, variables, images).logits.argmax(-1)


def _steps(recipe: Recipe, num_images: int) -> tuple[int, int]:
    """The size of a batch and the number of steps of an epoch; each epoch leaves out other images of the rest."""
    require(recipe.epochs >= 1 and recipe.batch_size >= 1, 'A recipe', recipe, 'of at least one epoch and image')
    batch_size = min(recipe.batch_size, num_images)
    return batch_size, num_images // batch_size


def _optimizer(recipe: Recipe, num_updates: int) -> optax.GradientTransformation:
    schedule = optax.cosine_onecycle_schedule(num_updates, recipe.learning_rate, pct_start=0.25)
    kernels = functools.partial(jax.tree.map, lambda parameter: parameter.ndim >= 2)
    return optax.chain(
        optax.add_decayed_weights(recipe.weight_decay, mask=kernels), optax.sgd(schedule, 0.9, nesterov=True)
    )


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _initial_state(network: nn.Module, recipe: Recipe, shape: tuple[int, ...], key: Array) -> PyTree:
    variables = network.init(key, jnp.zeros((1, *shape[1:])))
    updates = recipe.epochs * _steps(recipe, shape[0])[1]
    return variables, _optimizer(recipe, updates).init(variables['params'])


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _epoch(
    network: nn.Module, recipe: Recipe, state: PyTree, images: Array, labels: Array, key: Array
) -> tuple[PyTree, tuple[Array, Array]]:
    """The state after a pass over the images in random order, the mean loss and the share of right answers."""
    batch_size, steps = _steps(recipe, len(images))
    optimizer = _optimizer(recipe, recipe.epochs * steps)
    augmentation = augment.diff_augment(recipe.policy) if recipe.policy else augment.none()
    positions = jnp.arange(batch_size)
    order_key, batch_key = jax.random.split(key)
    order = jax.random.permutation(order_key, len(images))[: steps * batch_size].reshape(steps, batch_size)

    def loss_of(params: PyTree, batch_stats: PyTree, seen: Array, label: Array):
        variables = {'params': params, 'batch_stats': batch_stats}
        found, moved = network.apply(variables, seen, train=True, mutable=['batch_stats'])
        targets = optax.smooth_labels(jax.nn.one_hot(label, network.num_classes), recipe.label_smoothing)
        loss = optax.softmax_cross_entropy(found.logits, targets).mean()
        return loss, (moved['batch_stats'], loss, (found.logits.argmax(-1) == label).mean())

    def step(state: PyTree, inputs: tuple[Array, Array]):
        (variables, optimizer_state), (number, indices) = state, inputs
        flip_key, augment_key = jax.random.split(jax.random.fold_in(batch_key, number))
        seen = batches.gather({'examples': images, 'labels': labels}, indices)
        batch = batches.prepare(seen['examples'], seen['labels'], flip_key, positions, flip=recipe.flip)
        # DiffAugment fills with 0, which is black where images begin at 0.
        seen = augmentation.apply(batch['real'] + 1, augment_key, positions, jnp.float32(1)) - 1
        params = variables['params']
        gradients, (batch_stats, *metrics) = jax.grad(loss_of, has_aux=True)(
            params, variables['batch_stats'], seen, batch['label']
        )
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        variables = {'params': optax.apply_updates(params, updates), 'batch_stats': batch_stats}
        return (variables, optimizer_state), metrics

    state, metrics = jax.lax.scan(step, state, (jnp.arange(steps), order))
    return state, tuple(metric.mean() for metric in metrics)
