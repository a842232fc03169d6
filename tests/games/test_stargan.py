"""StarGAN: its losses by hand, its networks, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, run, steps, terms
from gan_jax import config as configs
from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.game import pure, stream
from gan_jax.games.stargan import stargan
from gan_jax.judgement import Judgement
from gan_jax.models.stargan import Discriminator, Generator

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
    state = steps.init_state(game, SGD, jax.random.key(0))
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
        value, gradient = jax.value_and_grad(lambda params, loss=loss: loss(params, state, BATCH_OF, KEY, PLACES)[0])(
            state.players[name].params
        )
        expected, slopes = jax.value_and_grad(by_hand)(jax.tree.map(jnp.float32, START[name]))
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


def test_networks_have_the_published_number_of_parameters():
    images, domains = jnp.zeros((1, 128, 128, 3)), jnp.zeros((1, 5))
    for made, parameters in (
        (lambda: Generator().init(jax.random.key(0), images, domains), 8_430_528),
        (lambda: Discriminator(5).init(jax.random.key(0), images), 44_762_048),
    ):
        assert sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(made))) == parameters


def test_a_generator_knows_its_domain():
    module, images = Generator(width=2, blocks=1), jax.random.normal(KEY, (2, 8, 8, 1)).repeat(3, -1)
    variables = module.init(KEY, images, jnp.eye(2))
    one, other = (module.apply(variables, images, jnp.eye(2)[jnp.array(order)]) for order in ((0, 1), (1, 0)))
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
