"""Trains one draw of labels, epoch by epoch; an interrupted run resumes after the last complete epoch."""

import pathlib
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import data, steps
from gan_jax.data import Dataset
from gan_jax.game import Game, GanState, Pair, named_key, uniform_latents
from gan_jax.games.semi_supervised import classifier_of, semi_supervised
from gan_jax.models.semi_supervised import Discriminator, Generator
from gan_jax.networks import from_flax
from gan_jax.records import npz, report
from gan_jax.records.metrics import metrics_of
from gan_jax.terms import NO_TERMS
from gan_jax.training.stretch import make_stretch

BATCH = 100
STARTING = 500  # examples for the data-dependent initialisation
REPORTED = (
    'discriminator/class_loss',
    'discriminator/class_error',
    'discriminator/real_probability',
    'discriminator/fake_probability',
    'discriminator/virtual_adversarial',
    'discriminator/conditional_entropy',
    'discriminator/pseudo_labels',
    'generator/feature_matching',
)


class Recipe(NamedTuple):
    """What is trained.

    Attributes:
        epochs: passes through the unlabelled images.
        adversarial: whether the generator takes part, and real images are told from its own.
        terms: terms of the unlabelled images.
        widths: widths of the discriminator's and of the generator's hidden layers.
    """

    epochs: int = 300
    adversarial: bool = True
    terms: Pair = NO_TERMS
    widths: tuple[tuple[int, ...], tuple[int, ...]] = ((1000, 500, 250, 250, 250), (500, 500))


def draw_labels(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """The indices [K per_class] of labelled examples: as many of each class, drawn without replacement."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.concatenate([order[labels[order] == k][:per_class] for k in range(labels.max() + 1)])


def pixels(images: np.ndarray | jax.Array) -> jax.Array:
    """Images uint8 [n, ...] as float32 in [-1, 1]."""
    return data.prepare(jnp.asarray(images), None, None, None, flip=False)['real']


def make_game(recipe: Recipe, train: Dataset, seed: int) -> tuple[Game, Callable]:
    """The game, and (params, variables, images) -> class logits."""
    starting = np.random.default_rng([seed, 1]).choice(len(train), STARTING, replace=False)
    classes, making = recipe.widths
    discriminator = from_flax(Discriminator(train.num_classes, classes), train.shape)
    game = semi_supervised(
        from_flax(Generator(train.shape, making), (100,)),
        discriminator,
        latents=uniform_latents(100),
        examples=pixels(train.examples[np.sort(starting)]),
        unlabelled_weight=float(recipe.adversarial),
        terms=recipe.terms,
    )
    if not recipe.adversarial:
        game = game._replace(turns=(game.turn('discriminator'),))
    return game, classifier_of(discriminator)


def train_draw(recipe: Recipe, train: Dataset, test: Dataset, seed: int, workdir: pathlib.Path) -> None:
    """Trains one draw of ten labels a class and records the test error after every epoch in `metrics.jsonl`.

    Args:
        recipe: what is trained.
        train: the unlabelled images, the labelled ones among them.
        test: the images whose errors are recorded.
        seed: seed of the draw, the initial parameters and the order of the examples.
        workdir: gets `metrics.jsonl` and, after each epoch, `state.npz` and a hundred samples, `samples.png`.
    """
    game, classify = make_game(recipe, train, seed)
    adam = optax.adam(3e-3, b1=0.5, eps=0.0, eps_root=1e-8)  # with epsilon under the root, as published
    optimizers = {'generator': adam, 'discriminator': adam}
    step = steps.make_train_step(game, optimizers, ema_decay=lambda step: 0.9999)
    state = jax.jit(lambda key: steps.init_state(game, optimizers, key, ema=True))(named_key(seed, 'run'))
    state, metrics = restore(state, workdir), metrics_of(workdir)
    labelled = draw_labels(train.labels, BATCH // train.num_classes, seed)
    given = {'labelled': pixels(train.examples[labelled]), 'labelled_label': jnp.asarray(train.labels[labelled])}
    length = len(train) // BATCH

    def batch_at(examples, number, slot, positions):
        del slot
        indices = data.batch_indices(seed, number, positions, batch_size=BATCH, num_examples=len(train))
        return {'real': pixels(examples[indices]), **given}

    epoch = jax.jit(make_stretch(step, batch_at, length), donate_argnums=0)
    wrong = jax.jit(lambda networks, images, labels: (classify(*networks, pixels(images)).argmax(-1) != labels).sum())
    latents = game.latents(named_key(seed, 'samples'), jnp.arange(100))
    draw = jax.jit(lambda params, variables: data.to_uint8(game.sample(params, variables, latents)))
    examples, images, labels = (jnp.asarray(array) for array in (train.examples, test.examples, test.labels))
    done = int(state.step) // length
    metrics.rewind(done * length)
    while done < recipe.epochs:
        start = time.monotonic()
        state, values = epoch(state, examples, jnp.arange(BATCH), 0, length)
        done += 1
        player = state.discriminator
        record = {name: float(values[name].mean()) for name in REPORTED if name in values}
        record['eval/errors'] = int(wrong((player.params, player.variables), images, labels))
        record['eval/averaged_errors'] = int(wrong(player.ema, images, labels))
        metrics.write(done * length, done * len(train) / 1000, record)
        report.save_png(workdir / 'samples.png', report.image_grid(np.asarray(draw(*state.generator[:2])), 10))
        save(state, workdir)
        print(line(done, time.monotonic() - start, record), flush=True)


def line(epoch: int, seconds: float, record: Mapping[str, float]) -> str:
    """An epoch in one line."""
    values = ', '.join(f'{name.split("/")[1]} {value:.4g}' for name, value in record.items())
    return f'epoch {epoch} ({seconds:.0f} s): {values}'


def save(state: GanState, workdir: pathlib.Path) -> None:
    """Writes all arrays of the state but its key, which the seed makes."""
    leaves = jax.tree.leaves(state.replace(key=None))
    npz.save(workdir / 'state.npz', {f'leaf{i:03d}': np.asarray(leaf) for i, leaf in enumerate(leaves)})


def restore(state: GanState, workdir: pathlib.Path) -> GanState:
    """The state that `save` wrote, or the given one where there is none."""
    path = workdir / 'state.npz'
    if not path.exists():
        return state
    arrays = npz.load(path)
    structure = jax.tree.structure(state.replace(key=None))
    leaves = [jnp.asarray(arrays[name]) for name in sorted(arrays)]
    return jax.tree.unflatten(structure, leaves).replace(key=state.key)
