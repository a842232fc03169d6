"""StarGAN: its losses by hand, its networks, and what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_jax import build, steps, terms
from gan_jax import config as configs
from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.games.stargan import stargan
from gan_jax.judgement import Judgement
from gan_jax.models.stargan import Discriminator, Generator
from gan_jax.networks import pure
from gan_jax.records import provenance
from gan_jax.training import run
from tests import compiled

SHAPE, BATCH, DOMAINS = (2, 2, 1), 4, 3
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
PLACES, KEY = jnp.arange(BATCH), jax.random.key(3)
IMAGES = jax.random.normal(jax.random.key(1), (BATCH, *SHAPE))
BATCH_OF = {'real': IMAGES, 'label': jnp.array([0, 2, 1, 2])}
SHIFTS = jnp.array([0.5, -0.3, 0.2])
START = {'generator': 0.7, 'discriminator': {'patch': 0.4, 'class': 0.9}}


def shifted(w, images, domains):
    """A translation that multiplies by its parameter and adds a number of the domain."""
    return w * images + (domains @ SHIFTS)[:, None, None, None]


def judged(w, images):
    return Judgement(w['patch'] * images[..., 0], w['class'] * images.mean((1, 2)) * jnp.arange(1.0, DOMAINS + 1))


def start(name):
    return lambda key: jax.tree.map(jnp.float32, START[name])


def star_game(**options):
    networks = pure(start('generator'), shifted), pure(start('discriminator'), judged)
    return stargan(*networks, **{'shape': SHAPE, 'num_domains': DOMAINS, **options})


def cross_entropy(logits, domains):
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(logits) * domains, -1))


def test_each_player_has_the_published_loss_and_its_gradient():
    game = star_game(classification=2.0, reconstruction=5.0, terms=terms.gradient_penalty(10.0))
    state = compiled.init_state(game, SGD, jax.random.key(0))
    own = jax.nn.one_hot(BATCH_OF['label'], DOMAINS)
    wanted = game.latents(stream(KEY, 'latents'), PLACES)

    def generator(w):
        fake = shifted(w, IMAGES, wanted)
        of = judged(START['discriminator'], fake)
        again = jnp.abs(shifted(w, fake, own) - IMAGES).mean()
        return -of.logits.mean() + 2 * cross_entropy(of.classes, wanted) + 5 * again

    def discriminator(w):
        fake = shifted(START['generator'], IMAGES, wanted)
        penalty = (2 * jnp.abs(w['patch']) - 1) ** 2  # the gradient of each of four pixels is the factor
        adversary = judged(w, fake).logits.mean() - judged(w, IMAGES).logits.mean()
        return adversary + 10 * penalty + 2 * cross_entropy(judged(w, IMAGES).classes, own)

    for name, by_hand in (('generator', generator), ('discriminator', discriminator)):
        loss = game.turn(name).loss
        value, gradient = jax.jit(
            jax.value_and_grad(lambda params, loss=loss: loss(params, state, BATCH_OF, KEY, PLACES)[0])
        )(state.players[name].params)
        expected, slopes = jax.jit(jax.value_and_grad(by_hand))(jax.tree.map(jnp.float32, START[name]))
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4), gradient, slopes)


def test_domains_are_latents_and_pictures_show_all():
    game = star_game()
    domains = game.latents(KEY, jnp.arange(3000))
    np.testing.assert_allclose(domains.mean(0), 1 / 3, atol=0.03)
    np.testing.assert_array_equal(game.targets(domains), np.argmax(domains, -1))
    shown = game.show(0.7, {}, domains[:BATCH], BATCH_OF)
    assert list(shown) == ['image', 'in domain 0', 'in domain 1', 'in domain 2']
    np.testing.assert_allclose(shown['in domain 1'], 0.7 * IMAGES - 0.3, rtol=1e-5, atol=1e-6)
    made = game.sample(0.7, {}, jnp.eye(DOMAINS)[jnp.array([1, 1, 1, 1])], IMAGES)
    np.testing.assert_allclose(made, shown['in domain 1'])
    np.testing.assert_allclose(game.classify(START['discriminator'], {}, IMAGES)[:, 0], 0.9 * IMAGES.mean((1, 2))[:, 0])


SETS = {'a': 3, 'real': 2}  # domains 0 to 2, and 3 and 4
LAYOUT = np.array(  # [labels of a, labels of real, mask]: equation 7, a row for each domain
    [
        [1, 0, 0, 0, 0, 1, 0],
        [0, 1, 0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 1],
    ]
)
OTHERS = jax.random.normal(jax.random.key(2), (BATCH, *SHAPE))
TWO_SETS = {'real': IMAGES, 'label': jnp.array([1, 0, 1, 1]), 'a': OTHERS, 'a_label': jnp.array([0, 2, 1, 1])}
TAKEN = [(OTHERS[0], 0), (IMAGES[1], 3), (OTHERS[2], 1), (IMAGES[3], 4)]  # each image with its domain
CONDITION_SHIFTS = jnp.array([0.5, -0.3, 0.2, 0.1, -0.4, 0.05, -0.15])
CLASSES = jnp.array([0.9, -0.5, 1.5, 0.3, -1.2])


def masked(w, images, conditions):
    """A translation that multiplies by its parameter and adds a number of the condition, mask included."""
    return w * images + (conditions @ CONDITION_SHIFTS)[:, None, None, None]


def judged_of_sets(w, images):
    return Judgement(w['patch'] * images[..., 0], images.mean((1, 2)) * w['class'])


def two_set_game(**options):
    networks = (
        pure(lambda key: jnp.float32(0.7), masked),
        pure(lambda key: {'patch': jnp.float32(0.4), 'class': CLASSES}, judged_of_sets),
    )
    return stargan(*networks, **{'shape': SHAPE, 'num_domains': SETS, **options})


def loss_of(game, name, batch, positions=PLACES):
    """The loss of a player as a function of its parameters, and these."""
    state = compiled.init_state(game, SGD, jax.random.key(0))
    prepared = game.prepared(batch, jax.random.key(0), positions)
    return lambda w: game.turn(name).loss(w, state, prepared, KEY, positions)[0], state.players[name].params


def test_latents_are_labels_and_a_mask():
    game = two_set_game()
    conditions = np.asarray(game.latents(KEY, jnp.arange(6000)))
    domains = conditions[:, :5].argmax(-1)
    np.testing.assert_array_equal(conditions, LAYOUT[domains])
    np.testing.assert_array_equal(domains >= 3, np.arange(6000) % 2 == 1)
    np.testing.assert_allclose(np.bincount(domains) / 6000, [1 / 6] * 3 + [1 / 4] * 2, atol=0.02)
    np.testing.assert_array_equal(game.targets(jnp.array(LAYOUT)), [-1, -1, -1, 0, 1])


def test_each_player_of_two_sets_has_the_published_loss_and_its_gradient():
    game = two_set_game(classification=2.0, reconstruction=5.0)
    wanted = np.asarray(game.latents(stream(KEY, 'latents'), PLACES))

    def entropy(logits, domain):
        """The cross-entropy among the classes of the domain's own set."""
        first, last = (0, 3) if domain < 3 else (3, 5)
        return jnp.log(jnp.exp(logits[first:last]).sum()) - logits[domain]

    def generator(w):
        total = 0
        for (image, domain), condition in zip(TAKEN, wanted, strict=True):
            fake = w * image + condition @ CONDITION_SHIFTS
            again = w * fake + LAYOUT[domain] @ CONDITION_SHIFTS  # its own label and mask
            classes = entropy(fake.mean() * CLASSES, int(condition[:5].argmax()))
            total += -0.4 * fake.mean() + 2 * classes + 5 * jnp.abs(again - image).mean()
        return total / BATCH

    def discriminator(w):
        total = 0
        for (image, domain), condition in zip(TAKEN, wanted, strict=True):
            fake = 0.7 * image + condition @ CONDITION_SHIFTS
            total += w['patch'] * (fake.mean() - image.mean()) + 2 * entropy(image.mean() * w['class'], domain)
        return total / BATCH

    for name, by_hand in (('generator', generator), ('discriminator', discriminator)):
        loss, params = loss_of(game, name, TWO_SETS)
        (value, gradient), (expected, slopes) = (jax.jit(jax.value_and_grad(one))(params) for one in (loss, by_hand))
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6), gradient, slopes)


@pytest.mark.parametrize(('parity', 'own'), [(0, [1, 1, 1, 0, 0]), (1, [0, 0, 0, 1, 1])])
def test_the_classes_of_the_other_set_get_no_gradient(parity, own):
    loss, params = loss_of(two_set_game(), 'discriminator', TWO_SETS, 2 * PLACES + parity)
    np.testing.assert_array_equal(jax.jit(jax.grad(loss))(params)['class'] != 0, own)


def test_a_share_of_a_batch_has_the_images_of_the_whole():
    game = two_set_game()
    whole = game.prepared(TWO_SETS, KEY, PLACES)
    np.testing.assert_array_equal(whole['real'], [image for image, _ in TAKEN])
    np.testing.assert_array_equal(whole['label'], [domain for _, domain in TAKEN])
    rest = game.prepared({name: field[1:] for name, field in TWO_SETS.items()}, KEY, PLACES[1:])
    jax.tree.map(np.testing.assert_array_equal, rest, {name: field[1:] for name, field in whole.items()})


def test_devices_that_share_a_batch_make_the_step_of_one():
    state = compiled.init_state(two_set_game(), SGD, jax.random.key(0))

    def step(axis_name=None):
        return steps.make_train_step(two_set_game(axis_name=axis_name), SGD, axis_name=axis_name)

    one, _ = jax.jit(step())(state, TWO_SETS, PLACES)
    shared = jax.tree.map(lambda leaf: leaf[:, None], (TWO_SETS, PLACES))
    four, _ = jax.pmap(step('devices'), 'devices', in_axes=(None, 0, 0))(state, *shared)
    for name, player in one.players.items():
        for wanted, found in zip(*(jax.tree.leaves(of.params) for of in (player, four.players[name])), strict=True):
            np.testing.assert_allclose(found[0], wanted, rtol=1e-5)


def test_pictures_of_two_sets_show_all_domains_and_real_classes_are_those_of_the_last_set():
    names = ['red', 'green', 'blue', 'small', 'large']
    game = two_set_game(names=names)
    shown = game.show(0.7, {}, jnp.array(LAYOUT[:BATCH]), TWO_SETS)
    assert list(shown) == ['image', *names]
    np.testing.assert_array_equal(shown['image'], [image for image, _ in TAKEN])
    np.testing.assert_allclose(shown['large'], 0.7 * shown['image'] - 0.4 - 0.15, rtol=1e-5, atol=1e-6)
    only_images = game.show(0.7, {}, jnp.array(LAYOUT[:BATCH]), {'real': IMAGES})
    np.testing.assert_array_equal(only_images['image'], IMAGES)
    logits = game.classify({'patch': 0.4, 'class': CLASSES}, {}, IMAGES)
    np.testing.assert_allclose(logits, IMAGES.mean((1, 2)) * CLASSES[3:], rtol=1e-5)


def two_sets(name='unpaired:six_colours:digits,coloured:digits', *overrides, **options):
    """The config for two data sets, the data, their facts for `make_game`, and the game."""
    config = configs.load(f'configs/stargan.py:{name}', [*SMALL, *overrides])
    dataset = load(name, size=16, **options)
    known = run.of_data(dataset, run.count_classes(config, dataset))
    return config, dataset, known, build.make_game(config, dataset.shape, **known)


SMALL = ['data.size=16', 'generator.width=2', 'generator.blocks=1', 'discriminator.width=2', 'discriminator.depth=3']


def test_two_labelled_data_sets_make_a_game_with_a_mask():
    config, dataset, known, game = two_sets()
    metrics = build.step_metrics(config, dataset.shape, **known)
    assert {'generator/classification', 'discriminator/classification'} <= set(metrics)
    assert game.latents(KEY, jnp.arange(2)).shape == (2, 6 + 10 + 2)
    params, variables = jax.eval_shape(game.init, KEY)['generator']
    batch = {name: field[:2] / 127.5 - 1 if field.ndim == 4 else field[:2] for name, field in dataset.fields.items()}
    shown = jax.eval_shape(game.show, params, variables, game.latents(KEY, jnp.arange(2)), batch)
    colours = ['red', 'yellow', 'green', 'cyan', 'blue', 'magenta']
    assert set(shown) == {'image', *(f'to {name}' for name in (*colours, *range(10)))}
    assert provenance.label_sets(json.loads(json.dumps(provenance.describe(dataset)))) == {
        name: tuple(names) for name, names in dataset.label_sets.items()
    }


@pytest.mark.parametrize(
    ('name', 'overrides', 'message'),
    [
        ('unpaired:six_colours:digits,folder:{one}/only', [], "needs the class of every example, but 'unpaired:"),
        ('unpaired:folder:{one}/only,six_colours:digits', [], "needs the class of every example, but 'folder:"),
        ('unpaired:folder:{one},six_colours:digits', [], r"The number of domains of the set 'a' is 1; .* at least 2"),
        ('unpaired:digits,coloured:digits', [], r'those of the source are \(16, 16, 1\) and .*set data.size and'),
        ('unpaired:digits,digits', ['batch_size=1'], r'batch_size is 1; it must be at least one for each set'),
    ],
)
def test_sets_that_make_no_game_are_refused(name, overrides, message, tmp_path):
    (tmp_path / 'only').mkdir()
    Image.new('RGB', (16, 16), 'red').save(tmp_path / 'only' / 'a.png')
    with pytest.raises(UserError, match=message):
        two_sets(name.format(one=tmp_path), *overrides, cache_dir=str(tmp_path / 'cache'))


def test_classes_with_equal_names_are_shown_by_number():
    _, dataset, _, game = two_sets('unpaired:digits,digits')
    params, variables = jax.eval_shape(game.init, KEY)['generator']
    batch = {'real': jnp.zeros((1, *dataset.shape))}
    shown = jax.eval_shape(game.show, params, variables, game.latents(KEY, jnp.arange(1)), batch)
    assert set(shown) == {'image', *(f'in domain {i}' for i in range(20))}


def test_networks_have_the_published_number_of_parameters():
    images, domains = jnp.zeros((1, 128, 128, 3)), jnp.zeros((1, 5))
    for made, parameters in (
        (lambda: Generator().init(jax.random.key(0), images, domains), 8_430_528),
        (lambda: Discriminator(5).init(jax.random.key(0), images), 44_762_048),
    ):
        assert sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(made))) == parameters


def test_a_generator_knows_its_domain():
    module, images = Generator(width=2, blocks=1), jax.random.normal(KEY, (2, 8, 8, 1)).repeat(3, -1)
    variables, apply = compiled.init(module, KEY, images, jnp.eye(2)), jax.jit(module.apply)
    one, other = (apply(variables, images, jnp.eye(2)[np.array(order)]) for order in ((0, 1), (1, 0)))
    assert one.shape == images.shape
    assert np.abs(one - other).max() > 0.01


def test_a_config_has_its_game():
    config = configs.load('configs/stargan.py', ['generator.width=2', 'discriminator.width=2'])
    dataset = load(config.data.name, size=16)
    classes = run.count_classes(config, dataset)
    assert classes == 6
    game = build.make_game(config, (16, 16, 3), num_classes=classes, shapes=dataset.shapes)
    metrics = build.step_metrics(config, (16, 16, 3), classes)
    wanted = {'generator/reconstruction', 'generator/classification', 'discriminator/classification'}
    assert wanted | {'discriminator/gradient_penalty'} <= set(metrics)
    assert game.turn('discriminator').times == 5
    with pytest.raises(
        UserError, match=r"needs the class of every example, but 'classes:digits:3:8' has examples with"
    ):
        run.count_classes(config, load('classes:digits:3:8'))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: star_game(num_domains=1), r'The number of domains is 1; it must be at least 2'),
        (lambda: star_game(replay=8), r'replay is 8; it must be 0 in a StarGAN'),
        (lambda: star_game(reconstruction=-1), r'The weight of reconstruction is -1'),
        (
            lambda: Generator().init(KEY, jnp.zeros((1, 6, 8, 3)), jnp.eye(1)),
            r'halves images twice, which is impossible for 6x8 pixels',
        ),
        (
            lambda: Discriminator(2).init(KEY, jnp.zeros((1, 32, 32, 3))),
            r'halves images 6 times, which is impossible for 32x32 pixels: choose another discriminator.depth',
        ),
    ],
)
def test_what_makes_no_game_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
