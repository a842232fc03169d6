"""pix2pix and CycleGAN: their losses by hand, who moves, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, steps, terms
from gan_jax.augmentation import augment
from gan_jax.balance import Balance
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.games.cyclegan import cyclegan
from gan_jax.games.pix2pix import pix2pix
from gan_jax.models.cyclegan import Generator as Residual
from gan_jax.models.pix2pix import Discriminator as PatchDiscriminator
from gan_jax.models.pix2pix import Generator as UNet
from gan_jax.networks import from_flax, pure
from tests import compiled

SHAPE, BATCH = (2, 2, 1), 3
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}


def images(seed, channels=1):
    return jax.random.normal(jax.random.key(seed), (BATCH, *SHAPE[:2], channels))


def scaling(start):
    """A translation that multiplies by its parameter."""
    return pure(lambda key: jnp.float32(start), lambda w, x: w * x)


def patches(start):
    """A discriminator whose patches are pixels, each with the sum over its channels."""
    return pure(lambda key: jnp.float32(start), lambda w, x: w * x.sum(-1))


def state_of(game):
    return compiled.init_state(game, SGD, jax.random.key(0))


def values_of(game, name, state, batch):
    loss = game.turn(name).loss
    key, places = jax.random.key(3), jnp.arange(BATCH)
    return jax.value_and_grad(lambda params: loss(params, state, batch, key, places)[0])(state.players[name].params)


@pytest.mark.parametrize(('options', 'adversary', 'l1'), [({}, 1, 100), ({'adversary': 0.0, 'l1': 7.0}, 0, 7)])
def test_pix2pix_is_its_adversary_of_pairs_and_a_hundred_times_l1(options, adversary, l1):
    game = pix2pix(scaling(0.7), patches(0.4), input_shape=SHAPE, **options)
    assert game.discriminate is None  # it does not judge examples alone
    batch, state = {'input': images(1), 'real': images(2)}, state_of(game)

    def generator(w):
        made = w * batch['input']
        logits = 0.4 * (batch['input'] + made)
        return adversary * jax.nn.softplus(-logits).mean() + l1 * jnp.abs(made - batch['real']).mean()

    def discriminator(v):
        real, fake = v * (batch['input'] + batch['real']), v * 1.7 * batch['input']
        return jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()

    for name, by_hand, at in (('generator', generator, 0.7), ('discriminator', discriminator, 0.4)):
        value, gradient = values_of(game, name, state, batch)
        np.testing.assert_allclose((value, gradient), jax.value_and_grad(by_hand)(jnp.float32(at)), rtol=1e-5)


def cycle_game(**options):
    return cyclegan(
        {'a_to_b': scaling(0.7), 'b_to_a': scaling(-1.2)},
        {'a': patches(0.4), 'b': patches(0.3)},
        **{'shapes': {'a': SHAPE, 'b': SHAPE}, 'replay': 0, **options},
    )


def test_cyclegan_is_both_adversaries_both_cycles_and_both_identities_in_one_loss():
    game = cycle_game(identity=0.5)
    batch, state = {'a': images(1), 'b': images(2)}, state_of(game)
    a, b = batch['a'], batch['b']

    def generator(w):
        f, g = w['a_to_b'], w['b_to_a']
        adversary = jnp.mean((0.3 * f * a - 1) ** 2) + jnp.mean((0.4 * g * b - 1) ** 2)
        cycle = jnp.abs(g * f * a - a).mean() + jnp.abs(f * g * b - b).mean()
        identity = jnp.abs(f * b - b).mean() + jnp.abs(g * a - a).mean()
        return adversary + 10 * cycle + 5 * identity

    def discriminator(v):
        of_a = jnp.mean((v['a'] * a - 1) ** 2) + jnp.mean((v['a'] * -1.2 * b) ** 2)
        of_b = jnp.mean((v['b'] * b - 1) ** 2) + jnp.mean((v['b'] * 0.7 * a) ** 2)
        return (of_a + of_b) / 2

    starts = {'generator': {'a_to_b': 0.7, 'b_to_a': -1.2}, 'discriminator': {'a': 0.4, 'b': 0.3}}
    for name, by_hand in (('generator', generator), ('discriminator', discriminator)):
        value, gradient = values_of(game, name, state, batch)
        expected, slopes = jax.value_and_grad(by_hand)(jax.tree.map(jnp.float32, starts[name]))
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), gradient, slopes)


def test_a_step_reports_means_over_the_directions_and_remembers_each_apart():
    game = cycle_game(replay=4, terms=terms.lecam(0.1))
    batch, state = {'a': images(1), 'b': images(2)}, state_of(game)
    after, metrics = jax.jit(steps.make_train_step(game, SGD))(state, batch)
    w, a, b = after.players['generator'].params, batch['a'], batch['b']
    assert not np.isclose(w['a_to_b'], 0.7)
    assert not np.isclose(w['b_to_a'], -1.2)
    cycle = (jnp.abs(0.7 * -1.2 * a - a).mean() + jnp.abs(0.7 * -1.2 * b - b).mean()) / 2
    np.testing.assert_allclose(metrics['generator/cycle'], cycle, rtol=1e-5)
    assert 'generator/identity' not in metrics
    for direction, source, factor in (('a_to_b', a, 0.7), ('b_to_a', b, -1.2)):
        kept = after.memory[direction]['replay']
        stored = kept.examples[np.asarray(kept.filled)]
        np.testing.assert_allclose(np.sort(stored.ravel()), np.sort(factor * np.ravel(source)), rtol=1e-5)
        assert jax.tree.leaves(after.memory[direction]['discriminator_terms'])


def test_parts_of_the_toolbox_join_both_games():
    """Lazy penalties with a turn of their own, a balance, averages and a mapped axis of two devices."""
    pair_options = {'terms': terms.r1(1.0), 'lazy': (1, 2), 'balance': Balance('accuracy', 0.9)}

    def games(axis_name=None):
        options = {**pair_options, 'axis_name': axis_name}
        yield cycle_game(**options), {'a': images(1)[:2], 'b': images(2)[:2]}
        game = pix2pix(scaling(0.7), patches(0.4), losses.hinge(), input_shape=SHAPE, **options)
        yield game, {'input': images(1)[:2], 'real': images(2)[:2]}

    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ('devices',))
    spec = jax.sharding.PartitionSpec
    for (game, batch), (shared_game, _) in zip(games(), games('devices'), strict=True):
        assert [turn.title for turn in game.turns] == ['discriminator', 'discriminator/lazy', 'generator']
        options = {'ema_decay': lambda step: 0.5}
        step = steps.make_train_step(game, SGD, **options)
        state = compiled.init_state(game, SGD, jax.random.key(0), ema=True)
        whole = jax.jit(step)(state, batch)
        shared = jax.shard_map(
            steps.make_train_step(shared_game, SGD, axis_name='devices', **options),
            mesh=mesh,
            in_specs=(spec(), spec('devices'), spec('devices')),
            out_specs=spec(),
            check_vma=False,
        )
        shared = jax.jit(shared)(state, batch, jnp.arange(2))
        leaves = (whole[0].players, whole[1]), (shared[0].players, shared[1])
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), *leaves)
        assert whole[1]['discriminator/r1'] > 0


def published_games():
    """Each game with its published networks, narrow, and a batch."""
    size, patch = (16, 16, 3), PatchDiscriminator(width=2, receptive_field=16)
    key = jax.random.key(5)
    colour, grey = (jnp.tanh(jax.random.normal(key, (2, 16, 16, channels))) for channels in (3, 1))
    networks = from_flax(UNet(width=2), (16, 16, 1)), from_flax(patch, (16, 16, 4))
    pairs = pix2pix(*networks, input_shape=(16, 16, 1))
    residual, discriminator = from_flax(Residual(width=2, blocks=1), size), from_flax(patch, size)
    domains = cyclegan(
        dict.fromkeys(('a_to_b', 'b_to_a'), residual),
        dict.fromkeys('ab', discriminator),
        shapes=dict.fromkeys('ab', size),
        identity=0.5,
    )
    return (pairs, {'input': grey, 'real': colour}), (domains, {'a': colour, 'b': -colour})


def test_the_published_networks_fit_into_both_games():
    for game, batch in published_games():
        state = jax.eval_shape(lambda game=game: state_of(game))
        after, metrics = jax.eval_shape(steps.make_train_step(game, SGD), state, batch)
        assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
        assert {'generator/l1', 'generator/cycle'} & set(metrics)
        assert 'discriminator/accuracy' in metrics


@pytest.mark.slow
def test_the_published_networks_play_both_games():
    (pairs, batch), (domains, unpaired) = published_games()
    state, metrics = jax.jit(steps.make_train_step(pairs, SGD))(state_of(pairs), batch)
    assert all(np.isfinite(value) for value in metrics.values())
    player = state.players['generator']
    one, other = (
        pairs.sample(
            player.params, player.variables, pairs.latents(stream(state.key, name), jnp.arange(2)), batch['input']
        )
        for name in 'xy'
    )
    assert one.shape == batch['real'].shape
    assert not np.allclose(one, other)  # dropout is the noise

    state, metrics = jax.jit(steps.make_train_step(domains, SGD))(state_of(domains), unpaired)
    assert {'generator/cycle', 'generator/identity', 'discriminator/accuracy'} <= set(metrics)
    assert all(np.isfinite(value) for value in metrics.values())
    player = state.players['generator']
    back = domains.sample(player.params, player.variables, None, unpaired['b'], direction='b_to_a')
    assert back.shape == unpaired['a'].shape


def test_the_published_loss_weighs_the_generators_squares_whole():
    logits = jnp.array([0.5, -1.0])
    np.testing.assert_allclose(losses.mean_squares().generator(logits), np.mean([0.25, 4.0]))
    np.testing.assert_allclose(losses.mean_squares().discriminator(logits, logits), np.mean([0.25, 4.0, 0.25, 1.0]))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (
            lambda: cyclegan({'a_to_b': scaling(1)}, {}, shapes={}),
            r"generators of two domains are a dict of 'a_to_b' and",
        ),
        (
            lambda: cycle_game(identity=0.5, shapes={'a': SHAPE, 'b': (*SHAPE[:2], 3)}),
            'but a has 1 channels and b 3: set its weight to 0, or set data.channels',
        ),
        (lambda: cycle_game(cycle=-1), r'The weight of cycle is -1; it must be at least 0'),
        (lambda: pix2pix(scaling(1), patches(1), input_shape=SHAPE, l1=-2), r'weight of l1 is -2'),
        (
            lambda: pix2pix(scaling(1), patches(1), input_shape=SHAPE, augmentation=augment.diff_augment()),
            r'the target would move without its input',
        ),
        (
            lambda: values_of(game := cycle_game(), 'generator', state_of(game), {'a': images(1)}),
            r'The batch has a, but this game needs a and b',
        ),
    ],
)
def test_what_makes_no_game_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_samples_take_running_averages_unless_batches_are_of_one_image():
    """A network that says by its factor in which mode it is, and adds its key's noise."""

    def apply(params, variables, images, key, train, condition=None):
        return (2.0 if train else 3.0) * images + jax.random.uniform(key), variables

    network = scaling(1)._replace(apply=apply)
    inputs = images(1)
    for single, factor in ((True, 2.0), (False, 3.0)):
        game = pix2pix(network, patches(1), input_shape=SHAPE, single=single)
        noise = game.latents(jax.random.key(4), jnp.arange(BATCH))
        added = np.asarray(game.sample(None, {}, noise, inputs) - factor * inputs)
        assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-6  # of each image alone
        assert np.unique(added[:, 0, 0, 0]).size == BATCH
        part = game.sample(None, {}, noise[1:], inputs[1:])
        np.testing.assert_allclose(part, game.sample(None, {}, noise, inputs)[1:])


def test_dropout_stays_on_in_sampling_where_there_is_a_key():
    network = from_flax(UNet(width=2, levels=2), (4, 4, 1))
    params, variables = network.init(jax.random.key(0))
    image = images(1)[:1, :, :].repeat(2, 1).repeat(2, 2)
    plain, one, same, other = (
        network.apply(params, variables, image, key, False)[0]
        for key in (None, jax.random.key(1), jax.random.key(1), jax.random.key(2))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert not np.allclose(one, plain)
