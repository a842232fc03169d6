"""DANN: the reversed gradient, the ramp, the limits that it is compared with, several devices, what is refused."""

import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, steps
from gan_jax import config as configs
from gan_jax.classification import Classification
from gan_jax.data import Dataset, check_labelled_domains
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.games.dann import dann, reversal
from gan_jax.main import main
from gan_jax.networks import pure
from gan_jax.training import run
from tests import compiled, toy_experiments
from tests.contents import differences

BATCH, SIZE, FEATURES, CLASSES = 8, 5, 4, 3
SGD = {role: optax.sgd(0.1) for role in Pair._fields}
RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(2, BATCH, SIZE))
LABELS, TARGET_LABELS = RNG.integers(0, CLASSES, (2, BATCH))
BATCHES = {'a': SOURCE, 'a_label': LABELS, 'real': TARGET, 'label': TARGET_LABELS}
WEIGHTS = {
    'features': RNG.normal(size=(SIZE, FEATURES)),
    'classes': RNG.normal(size=(FEATURES, CLASSES)),
    'domains': RNG.normal(size=FEATURES),
}


def _classify(weights, images):
    features = jnp.tanh(images @ weights['features'])
    return Classification(features @ weights['classes'], features)


CLASSIFIER = pure(lambda key: {name: jnp.asarray(WEIGHTS[name]) for name in ('features', 'classes')}, _classify)
DISCRIMINATOR = pure(lambda key: jnp.asarray(WEIGHTS['domains']), lambda weights, features: features @ weights)


def game_of(learns_from='both', total=10):
    return dann(CLASSIFIER, DISCRIMINATOR, share=lambda step: step / total, learns_from=learns_from)


@jax.custom_vjp
def reverse(values, factor):
    """The identity, whose gradient is multiplied by -factor: the paper's equations 17 and 18."""
    return values


reverse.defvjp(lambda values, factor: (values, factor), lambda factor, gradient: (-factor * gradient, None))


def published(weights, factor):
    """The loss of a network with a gradient reversal layer, which every weight minimises."""
    source, target = (jnp.tanh(images @ weights['features']) for images in (SOURCE, TARGET))
    classes = jax.nn.log_softmax(source @ weights['classes'])
    judged = [reverse(features, factor) @ weights['domains'] for features in (source, target)]
    domains = jnp.concatenate([jnp.log1p(jnp.exp(-judged[0])), jnp.log1p(jnp.exp(judged[1]))])
    return -classes[jnp.arange(BATCH), LABELS].mean() + domains.mean()


@pytest.mark.parametrize('step', [0, 3])
def test_the_gradients_are_those_of_a_gradient_reversal_layer(step):
    with jax.enable_x64(True):
        game = game_of()
        state = compiled.init_state(game, SGD, jax.random.key(0)).replace(step=jnp.int32(step))
        weights = {name: jnp.asarray(values) for name, values in WEIGHTS.items()}
        wanted = jax.jit(jax.grad(published))(weights, 2 / (1 + np.exp(-step)) - 1)
        found = {}
        for role in Pair._fields:
            loss = functools.partial(game.turn(role).loss, state=state, batch=BATCHES, key=state.key, positions=None)
            found[role], outcome = jax.jit(jax.grad(loss, has_aux=True))(state.players[role].params)
            if role == 'generator':
                assert outcome.metrics['lambda'] == pytest.approx(2 / (1 + np.exp(-step)) - 1)
        for name, gradient in {**found['generator'], 'domains': found['discriminator']}.items():
            np.testing.assert_allclose(gradient, wanted[name], rtol=1e-6, atol=1e-9)


def test_lambda_rises_as_published():
    shares = jnp.linspace(0, 1, 11)
    np.testing.assert_allclose(reversal(shares), 2 / (1 + np.exp(-10 * shares)) - 1, rtol=1e-5, atol=1e-7)
    assert reversal(jnp.float32(0)) == 0
    np.testing.assert_allclose(reversal(shares, 3.0), 2 / (1 + np.exp(-3 * shares)) - 1, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ('learns_from', 'images', 'labels'), [('source', SOURCE, LABELS), ('target', TARGET, TARGET_LABELS)]
)
def test_one_domain_alone_is_a_classifier_without_an_opponent(learns_from, images, labels):
    game = game_of(learns_from)
    assert [turn.title for turn in game.turns] == ['generator']
    state = compiled.init_state(game, SGD, jax.random.key(0))
    value, outcome = game.turns[0].loss(state.generator.params, state, BATCHES, state.key, None)
    logits = np.tanh(images @ WEIGHTS['features']) @ WEIGHTS['classes']
    wanted = (np.log(np.exp(logits).sum(1)) - logits[np.arange(BATCH), labels]).mean()
    assert value == pytest.approx(wanted, rel=1e-5)
    assert outcome.metrics['class_error'] == pytest.approx((logits.argmax(1) != labels).mean())
    assert set(outcome.metrics) == {'class_loss', 'class_error'}


def test_errors_are_shares_of_wrong_answers():
    state = compiled.init_state(game_of(), SGD, jax.random.key(0))
    _, outcome = game_of().turn('discriminator').loss(state.discriminator.params, state, BATCHES, state.key, None)
    judged = [np.tanh(images @ WEIGHTS['features']) @ WEIGHTS['domains'] for images in (SOURCE, TARGET)]
    assert outcome.metrics['domain_error'] == np.mean([judged[0] <= 0, judged[1] > 0])


def test_eight_devices_play_the_game_of_one():
    step = steps.make_train_step(game_of(), SGD)
    state = compiled.init_state(game_of(), SGD, jax.random.key(0)).replace(step=jnp.int32(3))
    batch, places = {name: np.asarray(field) for name, field in BATCHES.items()}, jnp.arange(BATCH)
    one, metrics = jax.jit(step)(state, batch, places)
    shared = jax.tree.map(lambda leaf: leaf.reshape(8, 1, *leaf.shape[1:]), (batch, places))
    step = steps.make_train_step(game_of(), SGD, axis_name='devices')
    eight, others = jax.pmap(step, 'devices', in_axes=(None, 0, 0))(state, *shared)
    for role in Pair._fields:
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y[0], rtol=1e-4, atol=1e-6),
            one.players[role].params,
            eight.players[role].params,
        )
    assert metrics['generator/class_loss'] == pytest.approx(float(others['generator/class_loss'][0]), rel=1e-5)


def test_a_picture_shows_each_image_with_the_gradient_of_its_class():
    game = game_of()
    params, variables = game.init(jax.random.key(0))['generator']
    shown = game.show(params, variables, np.zeros((BATCH, 0)), {'a': SOURCE, 'real': TARGET})
    assert list(shown) == ['source', 'gradient of the source', 'target', 'gradient of the target']

    def score(image):
        logits = np.tanh(image @ WEIGHTS['features']) @ WEIGHTS['classes']
        return (logits - np.log(np.exp(logits).sum())).max()

    slopes = np.array([score(TARGET[0] + 1e-4 * unit) - score(TARGET[0] - 1e-4 * unit) for unit in np.eye(SIZE)])
    np.testing.assert_allclose(shown['gradient of the target'][0], slopes / np.abs(slopes).max(), atol=1e-3)


@pytest.mark.slow
def test_a_run_is_resumed_evaluated_and_sampled(tmp_path):
    options = ['--config', 'dann:debug', '--config.parallel.devices=1', '--config.generator.widths=(4, 4)']
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    with toy_experiments.without_pages():
        assert main([*options, '--workdir', str(whole)]) == 0
        shutil.copytree(whole, resumed)
        shutil.rmtree(resumed / 'checkpoints/20')
        assert main([*options, '--workdir', str(resumed)]) == 0
    assert not differences(whole, resumed)
    assert main(['--mode', 'eval', '--workdir', str(whole), '--metrics', 'class_error']) == 0
    (record,) = json.loads((whole / 'evaluation/step0000020-seed0.json').read_text())
    trained = [json.loads(line) for line in (whole / 'evaluations.jsonl').read_text().splitlines()]
    assert record['value'] == trained[-1]['value']
    assert '297 of' in record['protocol']['reals']
    assert main(['--mode', 'sample', '--workdir', str(whole), '--num', '8']) == 0


def domains(source_labels=LABELS, target_labels=TARGET_LABELS, source_classes=3, target_classes=3, names=(None, None)):
    images = np.zeros((BATCH, 4, 4, 1), np.uint8)
    source = Dataset('there', 'train', images, source_labels, source_classes, 'f', names[0])
    return Dataset('here', 'train', images, target_labels, target_classes, 'g', names[1], groups={'a': source})


def test_domains_without_labels_or_with_other_classes_are_refused():
    check_labelled_domains(domains(), 'dann')
    check_labelled_domains(domains(target_labels=None, target_classes=None), 'dann')
    for data, sentence in (
        (domains(source_labels=None, source_classes=None), "dann learns from the labels of its source .* but 'there'"),
        (domains(source_labels=LABELS - 1), "'there' has examples without one: choose a labelled source"),
        (domains(target_classes=4), 'has other classes than the source: 4 classes, where the source has 3 classes'),
        (domains(names=(('x', 'y', 'z'), ('x', 'z', 'y'))), 'other classes than the source: x, z, y, where .* x, y, z'),
        (domains().groups['a'], "dann needs two domains, but 'there' is one: write unpaired:SOURCE,TARGET"),
    ):
        with pytest.raises(UserError, match=sentence):
            check_labelled_domains(data, 'dann')
    config = configs.base('dann', game='dann')
    with pytest.raises(UserError, match='has other classes'):
        run.count_classes(config, domains(target_classes=4))
    assert run.count_classes(config, domains()) == 3


def test_what_else_is_refused():
    with pytest.raises(UserError, match="There is no domain to learn from 'neither': did you mean"):
        game_of('neither')
    state = compiled.init_state(game_of(), SGD, jax.random.key(0))
    alone = {name: field for name, field in BATCHES.items() if name != 'label'}
    with pytest.raises(UserError, match='but this game needs label'):
        game_of('target').turns[0].loss(state.generator.params, state, alone, state.key, None)
    config = configs.base('dann', game='dann')
    with pytest.raises(UserError, match=r'source are \(8, 8, 1\) and those of the target \(8, 8, 3\): set data.size'):
        build.make_game(config, (8, 8, 3), num_classes=3, shapes={'a': (8, 8, 1)})
    config.penalties.r1.weight = 1.0
    with pytest.raises(
        UserError, match=r'dann has losses of its own, so penalties\.r1\.weight has no effect: unset it'
    ):
        build.make_game(config, (8, 8, 1), num_classes=3, shapes={'a': (8, 8, 1)})
