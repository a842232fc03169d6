"""Properties of the train step: who moves, what is drawn, what is averaged, and where the game ends."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from gan_jax import losses, optim, steps
from gan_jax.errors import UserError
from gan_jax.game import Network, Pair, adversarial, from_flax, pure

LATENT = 3


class Layer(nn.Module):
    """Dense, batch norm, dropout, dense: every kind of state in one small network."""

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Dense(8)(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x)
        x = nn.leaky_relu(x, 0.2)
        x = nn.Dropout(0.3, deterministic=not train)(x)
        x = nn.Dense(self.features)(x)
        return x[:, 0] if self.features == 1 else x


def flax_game(loss=None):
    return adversarial(
        from_flax(Layer(2), (LATENT,)), from_flax(Layer(1), (2,)), loss or losses.non_saturating(), LATENT
    )


def adam_pair():
    return Pair(optax.adam(1e-2), optax.adam(1e-2))


def start(game, optimizers, **options):
    return steps.init_state(game, optimizers, jax.random.key(0), **options)


def real_batch(*shape):
    return {'real': jax.random.normal(jax.random.key(7), (*shape, 2))}


def identical(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.parametrize('still', ['generator', 'discriminator'])
def test_a_player_whose_optimizer_stands_still_keeps_every_bit_of_its_parameters(still):
    optimizers = Pair(**{name: optax.set_to_zero() if name == still else optax.adam(1e-2) for name in Pair._fields})
    game = flax_game()
    before = start(game, optimizers)
    after, _ = jax.jit(steps.make_train_step(game, optimizers))(before, real_batch(16))
    moved = ({'generator', 'discriminator'} - {still}).pop()
    assert identical(getattr(before, still).params, getattr(after, still).params)
    assert not identical(getattr(before, moved).params, getattr(after, moved).params)


def test_each_step_changes_only_its_own_players_variables():
    """The table in gan_jax/game.py, pass by pass."""
    calls = []

    def counting(name, network):
        def init(key):
            params, _ = network.init(key)
            return params, {'passes': jnp.zeros((), jnp.int32)}

        def apply(params, variables, inputs, key, train):
            calls.append((name, train))
            outputs, _ = network.apply(params, {}, inputs, key, train)
            return outputs, {'passes': variables['passes'] + 1}

        return Network(init, apply)

    generator = pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: z @ w)
    discriminator = pure(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)
    game = adversarial(
        counting('generator', generator), counting('discriminator', discriminator), losses.non_saturating(), LATENT
    )
    optimizers = adam_pair()
    state, _ = steps.make_train_step(game, optimizers)(start(game, optimizers), real_batch(4))
    assert calls == [
        ('generator', True),
        ('discriminator', True),
        ('discriminator', True),
        ('generator', True),
        ('discriminator', True),
    ]
    assert state.generator.variables['passes'] == 1  # its own step only
    assert state.discriminator.variables['passes'] == 2  # real, then fake; not in the generator's step


def test_batch_statistics_follow_the_real_and_then_the_fake_batch():
    game = flax_game()
    optimizers = Pair(optax.set_to_zero(), optax.set_to_zero())
    state = start(game, optimizers)
    batch = real_batch(32)
    after, _ = steps.make_train_step(game, optimizers)(state, batch)

    kernel = state.discriminator.params['Dense_0']
    real = batch['real'] @ kernel['kernel'] + kernel['bias']
    running = after.discriminator.variables['batch_stats']['BatchNorm_0']['mean']
    # mean <- 0.9 (0.9 * 0 + 0.1 real) + 0.1 fake, so what is left is the fake batch's share.
    fake = (running - 0.09 * real.mean(0)) / 0.1
    key, _ = jax.random.split(jax.random.fold_in(state.key, 0))
    latent_key, generator_key, _, _ = jax.random.split(key, 4)
    generator = from_flax(Layer(2), (LATENT,))
    points, _ = generator.apply(
        state.generator.params, state.generator.variables, game.latents(latent_key, jnp.arange(32)), generator_key, True
    )
    np.testing.assert_allclose(fake, (points @ kernel['kernel'] + kernel['bias']).mean(0), atol=2e-6)


def test_several_discriminator_steps_are_that_many_single_ones():
    game, optimizers = flax_game(), Pair(optax.sgd(0.1), optax.sgd(0.1))
    batch = real_batch(3, 16)
    state = start(game, optimizers)
    many, metrics = jax.jit(steps.make_train_step(game, optimizers, discriminator_steps=3))(state, batch)

    key, _ = jax.random.split(jax.random.fold_in(state.key, 0))
    by_hand, seen = state, []
    for one, step_key in zip(batch['real'], jax.random.split(key, 3), strict=True):
        grad = jax.value_and_grad(game.discriminator_loss, has_aux=True)
        player = by_hand.discriminator
        (loss, (variables, _)), gradients = grad(player.params, by_hand, {'real': one}, step_key, jnp.arange(16))
        updates, opt_state = optimizers.discriminator.update(gradients, player.opt_state)
        player = player._replace(
            params=optax.apply_updates(player.params, updates), variables=variables, opt_state=opt_state
        )
        by_hand, seen = by_hand.replace(discriminator=player), [*seen, loss]
    for a, b in zip(
        jax.tree.leaves(many.discriminator.params), jax.tree.leaves(by_hand.discriminator.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(metrics['discriminator/loss'], np.mean(seen), rtol=1e-5)
    assert many.step == 1


def test_a_batch_without_the_discriminators_axis_is_refused():
    game, optimizers = flax_game(), adam_pair()
    step = steps.make_train_step(game, optimizers, discriminator_steps=5)
    with pytest.raises(UserError, match=r'needs the leading axis \[5, batch, ...\], but the shapes are \[\(16, 2\)\]'):
        step(start(game, optimizers), real_batch(16))


def test_a_stretch_is_its_steps_one_by_one_bit_for_bit_wherever_it_is_cut():
    game, optimizers = flax_game(), adam_pair()
    step = steps.make_train_step(game, optimizers)
    data = jax.random.normal(jax.random.key(3), (12, 16, 2))

    def run(lengths):
        state, rows = start(game, optimizers), []
        for length in lengths:
            stretch = jax.jit(steps.scan_steps(step, lambda data, k, slot, positions: {'real': data[k]}, length))
            state, metrics = stretch(state, data, jnp.arange(16))
            rows.append(metrics['generator/loss'])
        return state, np.concatenate(rows)

    (whole, losses_whole), (cut, losses_cut) = run([12]), run([4, 4, 4])
    assert whole.step == cut.step == 12
    assert identical(whole.generator, cut.generator)
    assert identical(whole.discriminator, cut.discriminator)
    assert np.array_equal(losses_whole, losses_cut)


def test_noise_depends_on_the_place_in_the_global_batch_and_not_on_the_share():
    game = flax_game()
    key = jax.random.key(5)
    whole = game.latents(key, jnp.arange(8))
    share = game.latents(key, jnp.arange(4, 8))
    assert np.array_equal(whole[4:], share)
    assert len(np.unique(np.asarray(whole))) == whole.size


def test_the_moving_average_follows_its_formula():
    game, optimizers = flax_game(), adam_pair()
    state = start(game, optimizers, ema=True)
    step = jax.jit(steps.make_train_step(game, optimizers, ema_decay=lambda step: 0.75))
    expected = state.generator.params
    for _ in range(3):
        state, _ = step(state, real_batch(8))
        expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, expected, state.generator.params)
    for a, b in zip(jax.tree.leaves(state.generator.ema[0]), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_an_average_that_the_state_does_not_keep_is_refused():
    game, optimizers = flax_game(), adam_pair()
    step = steps.make_train_step(game, optimizers, ema_decay=lambda step: 0.9)
    with pytest.raises(UserError, match=r'use init_state\(..., ema=True\)'):
        step(start(game, optimizers), real_batch(8))


def test_the_decay_halves_in_its_half_life_and_ramps_up():
    decay = optim.ema_decay(half_life_kimg=6.4, ramp_up=0.05, batch_size=64)
    late = decay(jnp.int32(10**6))
    np.testing.assert_allclose(late**100, 0.5, rtol=1e-4)  # 100 batches of 64 are 6.4 kimg
    assert decay(jnp.int32(0)) == 0.0  # nothing to remember yet
    np.testing.assert_allclose(decay(jnp.int32(100)), 0.5 ** (64 / 320), rtol=1e-5)  # 5 % of 6,400 images
    np.testing.assert_allclose(optim.ema_decay(6.4, 0.0, 64)(jnp.int32(0)), 0.5**0.01, rtol=1e-5)


def test_metrics_are_complete_and_true():
    game, optimizers = flax_game(), adam_pair()
    state, metrics = jax.jit(steps.make_train_step(game, optimizers))(start(game, optimizers), real_batch(64))
    assert set(metrics) == {
        *(f'discriminator/{name}' for name in ('loss', 'gradient_norm', 'parameter_norm')),
        *(f'discriminator/{name}' for name in ('real_probability', 'fake_probability', 'accuracy')),
        *(f'generator/{name}' for name in ('loss', 'gradient_norm', 'parameter_norm')),
    }
    squares = sum((np.asarray(leaf, np.float64) ** 2).sum() for leaf in jax.tree.leaves(state.generator.params))
    np.testing.assert_allclose(metrics['generator/parameter_norm'], math.sqrt(squares), rtol=1e-5)
    assert 0 < metrics['discriminator/real_probability'] < 1


def test_the_discriminator_learns_the_density_ratio_of_a_one_dimensional_game():
    """Goodfellow et al. 2014, proposition 1: D* = p_data / (p_data + p_model), and -log 4 when the two agree.

    The data are N(1, 1) and the model N(-1, 1) (a generator that stands still), where D* = sigmoid(2 x). A linear
    discriminator can say exactly that, and learns it through the product's own step.
    """

    def learn(shift, steps_taken=3000, batch=4096):
        game = adversarial(
            pure(lambda key: jnp.float32(-shift), lambda mean, z: z + mean),
            pure(lambda key: jnp.zeros(2), lambda w, x: w[0] * x[:, 0] + w[1]),
            losses.minimax(),
            1,
        )
        rate = optax.cosine_decay_schedule(0.05, steps_taken)
        optimizers = Pair(optax.set_to_zero(), optax.adam(rate))

        def batch_at(data, step, slot, positions):
            # Antithetic pairs: the sample mean is exact, which leaves less noise to average away.
            noise = jax.random.normal(jax.random.fold_in(jax.random.key(1), step), (batch // 2, 1))
            return {'real': jnp.concatenate([noise, -noise]) + shift}

        step = steps.make_train_step(game, optimizers)
        stretch = jax.jit(steps.scan_steps(step, batch_at, steps_taken))
        state, metrics = stretch(steps.init_state(game, optimizers, jax.random.key(0)), None, jnp.arange(batch))
        return state.discriminator.params, metrics['discriminator/loss'][-1000:].mean()

    weights, _ = learn(1.0)
    x = jnp.linspace(-2, 2, 9)
    p_data, p_model = jnp.exp(-((x - 1) ** 2) / 2), jnp.exp(-((x + 1) ** 2) / 2)
    np.testing.assert_allclose(jax.nn.sigmoid(weights[0] * x + weights[1]), p_data / (p_data + p_model), atol=2e-3)
    weights, value = learn(0.0)
    np.testing.assert_allclose(jax.nn.sigmoid(weights[0] * x + weights[1]), 0.5, atol=2e-3)
    np.testing.assert_allclose(-value, -math.log(4), atol=1e-3)


@pytest.mark.parametrize('check_vma', [True, False])
def test_under_shard_map_the_step_is_that_of_the_whole_batch(check_vma):
    game = adversarial(
        pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: z @ w),
        pure(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w),
        losses.non_saturating(),
        LATENT,
    )
    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))
    state, batch = start(game, optimizers), real_batch(16)
    whole, metrics = steps.make_train_step(game, optimizers)(state, batch)
    share = jax.shard_map(
        steps.make_train_step(game, optimizers, axis_name='devices'),
        mesh=jax.sharding.Mesh(np.array(jax.devices()), ('devices',)),
        in_specs=(P(), P('devices'), P('devices')),
        out_specs=P(),
        check_vma=check_vma,
    )
    shared, shared_metrics = jax.jit(share)(state, batch, jnp.arange(16))
    for a, b in zip(
        jax.tree.leaves((shared.generator, shared.discriminator, shared_metrics)),
        jax.tree.leaves((whole.generator, whole.discriminator, metrics)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
