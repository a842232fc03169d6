"""Properties of the train step: who moves, what is drawn, what is averaged, and where the game ends."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec as P

from gan_jax import losses, optim, penalties, plays, steps, terms
from gan_jax.adversarial import adversarial
from gan_jax.balance import Balance
from gan_jax.errors import UserError
from gan_jax.game import Game, Outcome, Pair, Turn, normal_latents, stream
from gan_jax.judgement import Judgement
from gan_jax.networks import Network, from_flax, pure
from gan_jax.training.stretch import make_stretch

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


def flax_game(loss=None, **options):
    return adversarial(
        from_flax(Layer(2), (LATENT,)), from_flax(Layer(1), (2,)), loss or losses.non_saturating(), LATENT, **options
    )


def adam_pair():
    return Pair(optax.adam(1e-2), optax.adam(1e-2))._asdict()


def start(game, optimizers, **options):
    return steps.init_state(game, optimizers, jax.random.key(0), **options)


def real_batch(*shape):
    return {'real': jax.random.normal(jax.random.key(7), (*shape, 2))}


def identical(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def one_step_by_hand(name, game, optimizers, state, batch, key):
    """A player's step without the train step; the new state and the loss."""
    player, loss = state.players[name], game.turn(name).loss
    positions = jnp.arange(len(batch['real']))
    grad = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, outcome), gradients = grad(player.params, state, batch, key, positions)
    updates, opt_state = optimizers[name].update(gradients, player.opt_state, player.params)
    params = optax.apply_updates(player.params, updates)
    state = state.with_player(name, params=params, variables=outcome.variables, opt_state=opt_state)
    return state.with_memory(outcome.memory), value


@pytest.mark.parametrize('still', ['generator', 'discriminator'])
def test_a_player_whose_optimizer_stands_still_keeps_every_bit_of_its_parameters(still):
    optimizers = Pair(
        **{name: optax.set_to_zero() if name == still else optax.adam(1e-2) for name in Pair._fields}
    )._asdict()
    game = flax_game()
    before = start(game, optimizers)
    after, _ = jax.jit(steps.make_train_step(game, optimizers))(before, real_batch(16))
    moved = ({'generator', 'discriminator'} - {still}).pop()
    assert identical(getattr(before, still).params, getattr(after, still).params)
    assert not identical(getattr(before, moved).params, getattr(after, moved).params)


def test_each_step_changes_only_its_own_players_variables():
    """The table in gan_jax/passes.py, pass by pass."""
    calls = []

    def counting(name, network):
        def init(key):
            params, _ = network.init(key)
            return params, {'passes': jnp.zeros((), jnp.int32)}

        def apply(params, variables, inputs, key, train, condition=None):
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
    optimizers = Pair(optax.set_to_zero(), optax.set_to_zero())._asdict()
    state = start(game, optimizers)
    batch = real_batch(32)
    after, _ = steps.make_train_step(game, optimizers)(state, batch)

    kernel = state.discriminator.params['Dense_0']
    real = batch['real'] @ kernel['kernel'] + kernel['bias']
    running = after.discriminator.variables['batch_stats']['BatchNorm_0']['mean']
    # mean <- 0.9 (0.9 * 0 + 0.1 real) + 0.1 fake, so what is left is the fake batch's share.
    fake = (running - 0.09 * real.mean(0)) / 0.1
    key = stream(jax.random.fold_in(state.key, 0), 'discriminator')
    latents, generator_key = game.latents(stream(key, 'latents'), jnp.arange(32)), stream(key, 'generator')
    generator = from_flax(Layer(2), (LATENT,))
    points, _ = generator.apply(state.generator.params, state.generator.variables, latents, generator_key, True)
    np.testing.assert_allclose(fake, (points @ kernel['kernel'] + kernel['bias']).mean(0), atol=2e-6)


def test_several_discriminator_steps_are_that_many_single_ones():
    game, optimizers = flax_game(discriminator_steps=3), Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
    batch = real_batch(3, 16)
    state = start(game, optimizers)
    many, metrics = jax.jit(steps.make_train_step(game, optimizers))(state, batch)

    keys = jax.random.split(stream(jax.random.fold_in(state.key, 0), 'discriminator'), 3)
    by_hand, seen = state, []
    for one, key in zip(batch['real'], keys, strict=True):
        by_hand, value = one_step_by_hand('discriminator', game, optimizers, by_hand, {'real': one}, key)
        seen.append(value)
    close(many.discriminator.params, by_hand.discriminator.params)
    np.testing.assert_allclose(metrics['discriminator/loss'], np.mean(seen), rtol=1e-5)
    assert many.step == 1


def test_several_generator_steps_are_that_many_single_ones_on_fresh_noise():
    game, optimizers = flax_game(generator_steps=3), Pair(optax.sgd(0.1), optax.set_to_zero())._asdict()
    batch = real_batch(16)
    state = start(game, optimizers)
    many, metrics = jax.jit(steps.make_train_step(game, optimizers))(state, batch)

    by_hand, seen = state.replace(players={**state.players, 'discriminator': many.discriminator}), []
    for key in jax.random.split(stream(jax.random.fold_in(state.key, 0), 'generator'), 3):
        by_hand, value = one_step_by_hand('generator', game, optimizers, by_hand, batch, key)
        seen.append(value)
    close(many.generator.params, by_hand.generator.params)
    close(many.generator.variables, by_hand.generator.variables)
    np.testing.assert_allclose(metrics['generator/loss'], np.mean(seen), rtol=1e-5)
    assert many.step == 1


def test_a_batch_without_the_discriminators_axis_is_refused():
    game, optimizers = flax_game(discriminator_steps=5), adam_pair()
    step = steps.make_train_step(game, optimizers)
    with pytest.raises(UserError, match=r'needs the leading axis \[5, batch, ...\], but the shapes are \[\(16, 2\)\]'):
        step(start(game, optimizers), real_batch(16))


def test_a_stretch_is_its_steps_one_by_one_bit_for_bit_wherever_it_is_cut():
    game, optimizers = flax_game(), adam_pair()
    step = steps.make_train_step(game, optimizers)
    data = jax.random.normal(jax.random.key(3), (12, 16, 2))

    stretch = jax.jit(make_stretch(step, lambda data, k, slot, positions: {'real': data[k]}, 12))

    def run(lengths):
        state, rows = start(game, optimizers), []
        for length in lengths:
            state, metrics = stretch(state, data, jnp.arange(16), 0, length)
            rows.append(metrics['generator/loss'][:length])
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
    close(state.generator.ema[0], expected, atol=1e-7)


def test_an_average_that_the_state_does_not_keep_is_refused():
    game, optimizers = flax_game(), adam_pair()
    step = steps.make_train_step(game, optimizers, ema_decay=lambda step: 0.9)
    with pytest.raises(UserError, match=r'use init_state\(..., ema=True\)'):
        step(start(game, optimizers), real_batch(8))


def test_averages_that_a_step_does_not_move_are_refused():
    game, optimizers = flax_game(), adam_pair()
    step = steps.make_train_step(game, optimizers)
    with pytest.raises(UserError, match=r'^The state keeps averages, but the step has no ema_decay'):
        jax.eval_shape(step, start(game, optimizers, ema=True), real_batch(8))


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
        *(f'discriminator/{name}' for name in ('real_loss', 'fake_loss')),
        *(f'generator/{name}' for name in ('loss', 'gradient_norm', 'parameter_norm')),
    }
    squares = sum((np.asarray(leaf, np.float64) ** 2).sum() for leaf in jax.tree.leaves(state.generator.params))
    np.testing.assert_allclose(metrics['generator/parameter_norm'], math.sqrt(squares), rtol=1e-5)
    assert 0 < metrics['discriminator/real_probability'] < 1
    parts = metrics['discriminator/real_loss'] + metrics['discriminator/fake_loss']
    np.testing.assert_allclose(parts, metrics['discriminator/loss'], rtol=1e-6)


@pytest.mark.slow
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
        optimizers = Pair(optax.set_to_zero(), optax.adam(rate))._asdict()

        def batch_at(data, step, slot, positions):
            # Antithetic pairs: the sample mean is exact, which leaves less noise to average away.
            noise = jax.random.normal(jax.random.fold_in(jax.random.key(1), step), (batch // 2, 1))
            return {'real': jnp.concatenate([noise, -noise]) + shift}

        step = steps.make_train_step(game, optimizers)
        stretch = jax.jit(make_stretch(step, batch_at, steps_taken))
        state, metrics = stretch(start(game, optimizers), None, jnp.arange(batch), 0, steps_taken)
        return state.discriminator.params, metrics['discriminator/loss'][-1000:].mean()

    weights, _ = learn(1.0)
    x = jnp.linspace(-2, 2, 9)
    p_data, p_model = jnp.exp(-((x - 1) ** 2) / 2), jnp.exp(-((x + 1) ** 2) / 2)
    np.testing.assert_allclose(jax.nn.sigmoid(weights[0] * x + weights[1]), p_data / (p_data + p_model), atol=2e-3)
    weights, value = learn(0.0)
    np.testing.assert_allclose(jax.nn.sigmoid(weights[0] * x + weights[1]), 0.5, atol=2e-3)
    np.testing.assert_allclose(-value, -math.log(4), atol=1e-3)


@pytest.mark.parametrize('check_vma', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_under_shard_map_the_step_is_that_of_the_whole_batch(check_vma):
    game = adversarial(
        pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: z @ w),
        pure(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w),
        losses.non_saturating(),
        LATENT,
    )
    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
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
    close(
        (shared.generator, shared.discriminator, shared_metrics),
        (whole.generator, whole.discriminator, metrics),
    )


def test_under_shard_map_a_game_with_everything_added_is_that_of_the_whole_batch():
    """Gradients, metrics and memory, for terms and controllers that look at the whole batch."""

    def features(w, x):
        hidden = jnp.tanh(x @ w['in'])
        return Judgement(hidden @ w['out'], features={'hidden': hidden})

    def start_discriminator(key):
        return {'in': jax.random.normal(key, (2, 4)), 'out': jnp.array([1.0, -1.0, 0.5, 2.0])}

    added = terms.joined(
        [
            terms.gradient_penalty(10.0),
            terms.lecam(0.3),
            terms.historical(0.1, 0.1),
            terms.feature_matching(1.0),
            terms.r1(2.0),
        ]
    )

    def game_over(axis_name):
        return adversarial(
            pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: jnp.tanh(z @ w)),
            pure(start_discriminator, features),
            losses.relativistic_average(),
            LATENT,
            terms=added,
            lazy=Pair(1, 2),
            noise=lambda step: 0.1,
            flip_labels=0.2,
            replay=24,
            top_share=lambda step: 0.6,
            discriminators=2,
            combine='softmax',
            unrolled_steps=1,
            balance=Balance('accuracy', 0.9),
            axis_name=axis_name,
        )

    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()

    def two_steps(axis_name):
        step = steps.make_train_step(game_over(axis_name), optimizers, axis_name=axis_name)
        stretch = make_stretch(step, lambda batch, k, slot, positions: batch, 2)
        return lambda state, batch, positions: stretch(state, batch, positions, 0, 2)

    with jax.enable_x64(True):  # so that only what is wrong differs
        state, batch = start(game_over(None), optimizers), real_batch(16)
        whole, metrics = jax.jit(two_steps(None))(state, batch, jnp.arange(16))
        share = jax.shard_map(
            two_steps('devices'),
            mesh=jax.sharding.Mesh(np.array(jax.devices()), ('devices',)),
            in_specs=(P(), P('devices'), P('devices')),
            out_specs=P(),
            check_vma=False,
        )
        shared, shared_metrics = jax.jit(share)(state, batch, jnp.arange(16))
        close(
            (shared.generator, shared.discriminator, shared.memory, shared_metrics),
            (whole.generator, whole.discriminator, whole.memory, metrics),
            rtol=1e-6,
            atol=1e-9,
        )


def bilinear_game(**options):
    """The generator's x against the discriminator's y: the discriminator minimises x y, the generator -x y."""
    return adversarial(
        pure(lambda key: jnp.ones(()), lambda x, z: x * jnp.ones((len(z), 1))),
        pure(lambda key: jnp.full((), 0.5), lambda y, examples: y * examples[:, 0]),
        losses.wasserstein(),
        1,
        **options,
    )


def radii(game, optimizers, count):
    """How far from the equilibrium the bilinear game is after each step."""
    step = steps.make_train_step(game, optimizers)

    def one(state, _):
        state, _ = step(state, {'real': jnp.zeros((2, 1))})
        return state, jnp.hypot(state.generator.params, state.discriminator.params)

    return jax.jit(lambda state: jax.lax.scan(one, state, None, count))(start(game, optimizers))[1]


@pytest.mark.parametrize('unrolled_steps', [0, 1, 3])
def test_the_gradient_through_unrolled_steps_is_that_worked_out_by_hand(unrolled_steps):
    """One step from x = 1, y = 1/2 with rates a and b: y' = y - b x, and unrolled y'_k = y' - k b x.

    So the generator's loss is -x y'_k, and its gradient -(y' - k b x) + k b x = -y' + 2 k b x.
    """
    a, b = 0.1, 0.2
    optimizers = Pair(optax.sgd(a), optax.sgd(b))._asdict()
    game = bilinear_game(unrolled_steps=unrolled_steps)
    step = steps.make_train_step(game, optimizers)
    after, metrics = step(start(game, optimizers), {'real': jnp.zeros((2, 1))})
    y = 0.5 - b
    np.testing.assert_allclose(after.discriminator.params, y, rtol=1e-6)  # one step, however many are unrolled
    np.testing.assert_allclose(metrics['generator/loss'], -(y - unrolled_steps * b), rtol=1e-5)
    np.testing.assert_allclose(after.generator.params, 1 - a * (-y + 2 * unrolled_steps * b), rtol=1e-6)


def test_unrolling_contracts_towards_the_equilibrium_that_plain_play_circles():
    optimizers = Pair(optax.sgd(0.2), optax.sgd(0.2))._asdict()
    plain, unrolled = (radii(bilinear_game(unrolled_steps=k), optimizers, 200) for k in (0, 3))
    assert plain[-50:].min() > 0.5  # from a radius of 1.1 at the start
    assert unrolled[-1] < 1e-6


def test_the_gradient_through_unrolled_steps_is_that_of_finite_differences():
    with jax.enable_x64(True):
        batch = {'real': jax.random.normal(jax.random.key(7), (8, 2), jnp.float64)}
        game = adversarial(
            pure(lambda key: jax.random.normal(key, (LATENT, 2), jnp.float64), lambda w, z: jnp.tanh(z @ w)),
            pure(
                lambda key: jax.random.normal(key, (2,), jnp.float64),
                lambda w, x: jnp.sin(x @ w) + (x @ w) ** 2,
            ),
            losses.non_saturating(),
            repeated_latents,
            unrolled_steps=3,
        )
        optimizers = Pair(optax.sgd(1.0), optax.sgd(0.3))._asdict()
        state = start(game, optimizers)
        step = jax.jit(steps.make_train_step(game, optimizers))
        after, _ = step(state, batch)
        gradient = state.generator.params - after.generator.params

        def value(params):
            live = after.discriminator.params
            for _ in range(3):
                held = state.with_player('generator', params=params)
                slope = jax.grad(
                    lambda w, held=held: game.turn('discriminator').loss(w, held, batch, state.key, places)[0]
                )
                live = live - 0.3 * slope(live)
            held = state.with_player('discriminator', params=live)
            return game.turn('generator').loss(params, held, batch, state.key, places)[0]

        places, value, small = jnp.arange(8), jax.jit(value), 1e-6
        for index in np.ndindex(LATENT, 2):
            moved = jnp.zeros((LATENT, 2)).at[index].set(small)
            slope = (value(state.generator.params + moved) - value(state.generator.params - moved)) / (2 * small)
            np.testing.assert_allclose(gradient[index], slope, rtol=1e-6, atol=1e-9)


def repeated_latents(key, positions):
    """Latents that are the same for every key."""
    del key
    return normal_latents(LATENT)(jax.random.key(2), positions)


@pytest.mark.parametrize(('eps_root', 'finite'), [(0.0, False), (1e-16, True)])
def test_unrolling_through_adam_needs_its_eps_root(eps_root, finite):
    """A parameter that no logit depends on has gradient 0, where Adam's root has an infinite slope."""
    game = adversarial(
        pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: z @ w),
        pure(lambda key: (jnp.ones(2), jnp.ones(())), lambda w, x: x @ w[0] + 0 * w[1]),
        losses.non_saturating(),
        LATENT,
        unrolled_steps=2,
    )
    optimizers = Pair(optax.sgd(0.1), optax.adam(1e-2, eps_root=eps_root))._asdict()
    step = steps.make_train_step(game, optimizers)
    after, _ = jax.jit(step)(start(game, optimizers), real_batch(8))
    assert bool(jnp.isfinite(after.generator.params).all()) == finite


def test_the_unrolled_steps_leave_the_discriminator_of_the_state_where_it_was():
    optimizers = Pair(optax.adam(1e-2), optax.adam(1e-2, eps_root=1e-16))._asdict()
    before, batch = start(flax_game(), optimizers), real_batch(16)
    plain, unrolled = (
        jax.jit(steps.make_train_step(flax_game(unrolled_steps=k), optimizers))(before, batch)[0] for k in (0, 2)
    )
    close(plain.discriminator, unrolled.discriminator, rtol=1e-6, atol=0)
    assert not identical(plain.generator.params, unrolled.generator.params)


def test_parts_of_a_batch_are_unrolled_each_against_its_own_part():
    game = constant_noise_game(unrolled_steps=2)
    optimizers = Pair(optax.sgd(0.1), optax.set_to_zero())._asdict()
    state, batch = start(game, optimizers), real_batch(12)
    step = steps.make_train_step(game, optimizers, accumulate=4)
    after, _ = jax.jit(step)(state, batch)
    assert not identical(after.generator.params, state.generator.params)


def judging_game(real, fake, **options):
    """All real examples are 1 and all fake ones 0; the discriminator says `real` and `fake` of them, plus a bias."""
    return adversarial(
        pure(lambda key: jnp.zeros(()), lambda w, z: w * z[:, :1]),
        pure(lambda key: jnp.zeros(()), lambda bias, x: x[:, 0] * (real - fake) + fake + bias),
        losses.non_saturating(),
        LATENT,
        **options,
    )


@pytest.mark.parametrize(
    ('real', 'fake', 'threshold', 'moves'),
    [(2.0, -2.0, 0.8, False), (2.0, -2.0, 1.0, True), (-2.0, -2.0, 0.8, True), (-2.0, -2.0, 0.4, False)],
)
def test_balanced_by_accuracy_the_discriminator_rests_while_it_is_above_the_threshold(real, fake, threshold, moves):
    game = judging_game(real, fake, balance=Balance('accuracy', threshold))
    optimizers = adam_pair()
    before = start(game, optimizers)
    step = steps.make_train_step(game, optimizers)
    after, metrics = step(before, {'real': jnp.ones((4, 1))})
    np.testing.assert_allclose(metrics['discriminator/accuracy'], (float(real > 0) + float(fake < 0)) / 2)
    assert metrics['discriminator/moved'] == moves
    assert identical(before.discriminator, after.discriminator) == (not moves)
    assert not identical(before.generator.opt_state, after.generator.opt_state)


def test_balanced_by_losses_the_discriminator_rests_while_its_loss_is_below_the_generators_share():
    """Its loss is softplus(-3) + softplus(-2) = 0.18 and the generator's softplus(2) = 2.13, a ratio of 0.083."""
    optimizers = Pair(optax.set_to_zero(), optax.sgd(0.1))._asdict()
    for threshold, moves in ((0.08, True), (0.085, False)):
        game = judging_game(3.0, -2.0, balance=Balance('loss_ratio', threshold))
        step = steps.make_train_step(game, optimizers)
        before = start(game, optimizers)
        first, metrics = step(before, {'real': jnp.ones((4, 1))})
        assert metrics['discriminator/moved'] == 1  # the generator's loss is not known yet
        np.testing.assert_allclose(first.memory['turns']['generator']['loss'], metrics['generator/loss'])
        known = before.replace(memory={'turns': {'generator': {'loss': jax.nn.softplus(2.0)}}})
        after, metrics = step(known, {'real': jnp.ones((4, 1))})
        assert metrics['discriminator/moved'] == moves
        assert identical(before.discriminator, after.discriminator) == (not moves)


class Normalized(nn.Module):
    """Dense, batch norm, dense: the batch matters and noise does not."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Dense(8)(x))
        return nn.Dense(1)(nn.leaky_relu(x, 0.2))[:, 0]


def constant_noise_game(discriminator=None, **options):
    return adversarial(
        pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: jnp.tanh(z @ w)),
        discriminator or pure(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w),
        losses.non_saturating(),
        repeated_latents,
        **options,
    )


def test_accumulated_parts_are_the_step_of_the_whole_batch_where_examples_do_not_mix():
    game, optimizers = constant_noise_game(), adam_pair()
    state, batch = start(game, optimizers), real_batch(12)
    whole, metrics = jax.jit(steps.make_train_step(game, optimizers))(state, batch)
    parts, part_metrics = jax.jit(steps.make_train_step(game, optimizers, accumulate=3))(state, batch)
    close((parts.generator, parts.discriminator, part_metrics), (whole.generator, whole.discriminator, metrics))


def test_accumulated_gradients_are_the_mean_of_the_parts_and_statistics_each_parts_own():
    game = constant_noise_game(from_flax(Normalized(), (2,)))
    optimizers = Pair(optax.set_to_zero(), optax.sgd(0.1))._asdict()
    state, batch = start(game, optimizers), real_batch(12)
    after, _ = jax.jit(steps.make_train_step(game, optimizers, accumulate=3))(state, batch)

    moving, gradients = state, []
    grad = jax.jit(jax.grad(game.turn('discriminator').loss, has_aux=True))
    for i in range(0, 12, 4):
        part = {'real': batch['real'][i : i + 4]}
        gradient, outcome = grad(state.discriminator.params, moving, part, jax.random.key(0), jnp.arange(i, i + 4))
        gradients.append(gradient)
        moving = moving.with_player('discriminator', variables=outcome.variables)
    mean = jax.tree.map(lambda *parts: sum(parts) / 3, *gradients)
    params = jax.tree.map(lambda old, gradient: old - 0.1 * gradient, state.discriminator.params, mean)
    close(after.discriminator.params, params)
    close(after.discriminator.variables, moving.discriminator.variables)
    whole, _ = jax.jit(steps.make_train_step(game, optimizers))(state, batch)
    assert not np.allclose(
        after.discriminator.params['Dense_0']['kernel'], whole.discriminator.params['Dense_0']['kernel']
    )


def test_a_batch_that_does_not_divide_into_its_parts_is_refused():
    game, optimizers = flax_game(), adam_pair()
    step = steps.make_train_step(game, optimizers, accumulate=3)
    with pytest.raises(UserError, match=r'A batch of 16 examples .* cannot be divided into 3 parts'):
        step(start(game, optimizers), real_batch(16))


def test_a_lazy_penalty_is_applied_in_every_kth_step_with_k_times_the_weight():
    """R1 of a linear critic w is |w|^2 / 2 with gradient w: its update is w <- (1 - rate k weight) w."""
    networks = (
        pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: z @ w),
        pure(lambda key: jnp.array([2.0, -1.0]), lambda w, x: x @ w),
    )
    rate, weight, every = 0.1, 0.5, 3
    optimizers = Pair(optax.set_to_zero(), optax.sgd(rate))._asdict()
    plain_game = adversarial(*networks, losses.non_saturating(), LATENT)
    lazy_game = adversarial(*networks, losses.non_saturating(), LATENT, terms=terms.r1(weight), lazy=Pair(1, every))
    plain, lazy = (jax.jit(steps.make_train_step(game, optimizers)) for game in (plain_game, lazy_game))
    state, expected, penalty = start(lazy_game, optimizers), start(plain_game, optimizers), None
    for i in range(5):
        state, metrics = lazy(state, real_batch(8))
        expected, _ = plain(expected, real_batch(8))
        if i % every == 0:
            w = expected.discriminator.params
            penalty = jnp.sum(w**2) / 2
            expected = expected.with_player('discriminator', params=(1 - rate * every * weight) * w)
        close(state.discriminator.params, expected.discriminator.params)
        np.testing.assert_allclose(metrics['discriminator/r1'], penalty, rtol=1e-5)  # kept in between


def still(name, every=1, **options):
    """A turn of the player `name`, which walks down a slope of 1 and counts its passes."""

    def loss(params, state, batch, key, positions):
        del key, positions
        return params * jnp.mean(batch['real'] ** 0), Outcome(
            {'passes': state.players[name].variables['passes'] + 1}, {'seen': batch['real'].mean()}
        )

    return Turn(name, loss, every=every, keeps=('seen',) if every > 1 else (), **options)


def walkers(*turns):
    """A game of walkers, with one that never moves."""
    names = ('first', 'second', 'third', 'frozen')

    def init(key):
        del key
        return {name: (jnp.float32(i), {'passes': jnp.zeros((), jnp.int32)}) for i, name in enumerate(names)}

    return Game(init, turns, sample=None, latents=None, averaged=('second', 'third'))


def walk(game, rounds, batch, **options):
    optimizers = {name: optax.sgd(1.0, momentum=0.5) for name in {turn.player for turn in game.turns}}
    state = start(game, optimizers, ema=bool(options))
    step = jax.jit(steps.make_train_step(game, optimizers, **options))
    rows = []
    for _ in range(rounds):
        state, metrics = step(state, batch)
        rows.append((state, metrics))
    return rows


def test_any_number_of_players_take_their_turns_and_one_without_a_turn_never_moves():
    game = walkers(still('third'), still('first'), still('second', every=2))
    rows = walk(game, 3, {'real': jnp.full((4, 1), 5.0)}, ema_decay=lambda step: 0.5)
    state, metrics = rows[-1]
    assert {name: int(player.variables['passes']) for name, player in state.players.items()} == {
        'first': 3,
        'second': 2,
        'third': 3,
        'frozen': 0,
    }
    assert state.players['frozen'] == rows[0][0].players['frozen']
    assert [int(row.players['second'].variables['passes']) for row, _ in rows] == [1, 1, 2]
    assert metrics['second/seen'] == 5.0  # of its last turn, and nothing else is reported of it
    assert {name for name in metrics if name.startswith('second/')} == {'second/seen'}
    assert state.players['first'].ema is None
    x, average = 2.0, 2.0
    for row, _ in rows:
        x = row.players['third'].params
        average = (average + x) / 2
    np.testing.assert_allclose(state.players['third'].ema[0], average)


def test_a_turn_of_every_second_round_that_keeps_nothing_reports_nothing():
    game = walkers(still('first', every=2)._replace(keeps=()), still('second'))
    rows = walk(game, 3, {'real': jnp.ones((4, 1))})
    assert [int(row.players['first'].variables['passes']) for row, _ in rows] == [1, 1, 2]
    assert {name.partition('/')[0] for name in rows[-1][1]} == {'second'}


def test_a_gate_that_is_shut_leaves_every_bit_of_the_player_and_reports_the_pass():
    def gate(metrics, kept, i):
        return (metrics['seen'] > 0) & (i == 0)

    game = walkers(still('first', times=3, fresh=True, gate=gate), still('second'))
    for level, moved in ((1.0, 1 / 3), (-1.0, 0.0)):
        optimizers = {name: optax.sgd(1.0, momentum=0.5) for name in ('first', 'second')}
        before = start(game, optimizers)
        after, metrics = jax.jit(steps.make_train_step(game, optimizers))(before, {'real': jnp.full((3, 4, 1), level)})
        np.testing.assert_allclose(metrics['first/moved'], moved)
        np.testing.assert_allclose(metrics['first/seen'], level)
        np.testing.assert_allclose(metrics['first/gradient_norm'], moved)  # 0 for a move that is not made
        assert identical(before.players['first'], after.players['first']) == (not moved)
        assert after.players['first'].params == (-1.0 if moved else 0.0)


def test_a_count_says_how_many_of_the_moves_are_made_and_metrics_are_theirs():
    game = walkers(still('first', times=3, fresh=True, count=lambda step: 3 - step), still('second', times=2))
    batch = {'real': jnp.array([1.0, 2.0, 6.0])[:, None, None] * jnp.ones((3, 4, 1))}
    rows = walk(game, 4, batch)
    assert [int(row.players['first'].variables['passes']) for row, _ in rows] == [3, 5, 6, 7]  # at least one a round
    np.testing.assert_allclose([metrics['first/seen'] for _, metrics in rows], [3.0, 1.5, 1.0, 1.0])
    assert rows[-1][0].players['second'].variables['passes'] == 8
    np.testing.assert_allclose(rows[-1][1]['second/seen'], 6.0)  # the last batch of the round


def test_the_generator_moves_on_while_too_few_of_its_examples_pass():
    """Its examples are its parameter w, of which the discriminator says w - 2.5: from w = 0 it takes steps of 1."""
    game = adversarial(
        pure(lambda key: jnp.zeros(()), lambda w, z: w * jnp.ones((len(z), 1))),
        pure(lambda key: jnp.zeros(()), lambda bias, x: x[:, 0] - 2.5),
        losses.wasserstein(),
        LATENT,
        generator_steps=6,
        balance=Balance(fooling=0.5),
    )
    optimizers = Pair(optax.sgd(1.0), optax.sgd(1.0))._asdict()
    after, metrics = steps.make_train_step(game, optimizers)(start(game, optimizers), {'real': jnp.ones((4, 1))})
    assert after.generator.params == 3.0
    np.testing.assert_allclose(metrics['generator/moved'], 0.5)
    assert jax.tree.leaves(after.memory) == []


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (
            lambda game: start(game, optax.adam(1e-3)),
            r'pass a dict with an optimizer for each of discriminator, generator\.',
        ),
        (lambda game: start(game, {'generator': optax.adam(1e-3)}), r"'discriminator' moves and has no optimizer"),
        (
            lambda game: steps.make_train_step(game._replace(turns=game.turns * 2), adam_pair()),
            r"Two turns of the game are called 'discriminator'",
        ),
        (
            lambda game: start(game._replace(averaged=('encoder',)), adam_pair()),
            r"^Game\.averaged .* no player 'encoder': its init makes discriminator, generator\.",
        ),
        (
            lambda game: start(
                game._replace(init=lambda key: {'generator': {'w': 1}, 'discriminator': {}}), adam_pair()
            ),
            r"The init of 'generator' returns a dict; it must return \(params, variables\)",
        ),
        (
            lambda game: start(game, dict.fromkeys(('generator', 'discriminator'), optax.adam)),
            r"The optimizer of 'discriminator' is a function: give an optax\.GradientTransformation",
        ),
        (
            lambda game: steps.make_train_step(game, adam_pair(), ema_decay=0.9),
            r'ema_decay is a float; it must be a function of the step: lambda step: 0\.9 if it does not change\.',
        ),
        (
            lambda game: steps.make_train_step(game, adam_pair(), play=plays.extragradient),
            r'The play is a function: give what a function of gan_jax\.plays returns',
        ),
        (lambda game: steps.make_train_step(game, adam_pair(), accumulate=0), 'accumulate is 0; it must be at least 1'),
        (
            lambda game: steps.make_train_step(game._replace(turns=(game.turns[0]._replace(times=0),)), adam_pair()),
            "The number of moves of the turn 'discriminator' is 0; it must be at least 1",
        ),
        (
            lambda game: step_of(of_loss(game, lambda *_: jnp.ones(())))(real_batch(4)),
            'must return a scalar and a gan_jax',
        ),
        (
            lambda game: step_of(of_loss(game, lambda *_: (jnp.ones(4), Outcome({}, {}))))(real_batch(4)),
            r"The loss of the turn 'generator' has the shape \[4\]; it must be a scalar: take the mean",
        ),
        (lambda game: step_of(game)({'real': jnp.ones((4, 2)), 'size': 4}), "arrays by name, but 'size' has a int"),
        (lambda game: step_of(game)(jnp.ones((4, 2))), r'A batch is a dict .* but this one is an array \[4, 2\]\.'),
        (lambda game: step_of(game)({'image': jnp.ones((4, 2))}), r"The batch has image, but this game needs 'real'"),
        (lambda game: step_of(game)({'real': jnp.ones((4, 2)), 'label': jnp.ones(3)}), 'must have the same batch size'),
        (
            lambda game: step_of(game)({'real': jnp.ones(())}),
            r'must have the same batch size, but the shapes are \[\(\)\]',
        ),
        (lambda game: flax_game(losses.non_saturating), r'is a function, not a .*Loss: call it, non_saturating\(\)\.'),
        (lambda game: flax_game(terms=penalties.gradient_penalty), r'terms\.r1\(weight=10\)'),
        (lambda game: flax_game(terms=[penalties.gradient_penalty, ()]), r'terms\.r1\(weight=10\)'),
        (
            lambda game: adversarial(Layer(2), Layer(1), losses.hinge(), LATENT),
            r'The generator is a Layer: give a gan_jax.networks.Network',
        ),
        (
            lambda game: flax_game('hinge'),
            r'The loss is a str, not a gan_jax\.losses\.Loss: write gan_jax\.losses\.hinge\(\)\.',
        ),
        (lambda game: flax_game(lambda real, fake: 0), r'The loss is a function, not a gan_jax\.losses\.Loss\.'),
        (lambda game: flax_game(noise=0.1), 'noise is a float; it must be a function of the step: lambda step: 0.1'),
        (lambda game: flax_game(lazy=4), 'lazy is 4; it must be two whole numbers of at least 1'),
        (lambda game: flax_game(generator_steps=0), 'number of generator steps is 0; it must be at least 1'),
        (lambda game: flax_game(replay=-1), 'replay is -1; it must be at least 0'),
        (lambda game: flax_game(augmentation='diffaugment'), 'The augmentation is a str: give what a function'),
        (lambda game: flax_game(condition=10), r'The condition has a int: give the shape and dtype of one example'),
        (
            lambda game: adversarial(from_flax(Layer(2), (3,)), from_flax(Layer(1), (2,)), losses.hinge(), (4, 4)),
            'latents is a tuple; give the size of a standard normal vector',
        ),
        (lambda game: from_flax(Layer, (2,)), 'from_flax takes an instance of a linen module, not the class Layer'),
        (
            lambda game: from_flax(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), (2,)),
            'a linen module, not a Linear: use nnx_networks.from_nnx for nnx',
        ),
        (lambda game: from_flax(nn.Dense(2), (2,)), 'The method __call__ of Dense has no argument `train`'),
        (lambda game: from_flax(Layer(2), 2), 'input_shape is 2; it must be a tuple, without the batch axis'),
        (
            lambda game: start(
                adversarial(
                    from_flax(Layer(2), (LATENT,)),
                    Network(lambda key: {'w': 1, 'b': 2}, lambda *_: None),
                    losses.hinge(),
                    LATENT,
                ),
                adam_pair(),
            ),
            "The init of 'discriminator' returns a dict",
        ),
        (
            lambda game: step_of(constant_noise_game(pure(lambda key: jnp.ones(2), lambda w, x: (x @ w, x))))(
                real_batch(4)
            ),
            r'The discriminator returns a tuple: it must return logits \[B\] or a gan_jax\.judgement\.Judgement',
        ),
        (lambda game: flax_game(balance=Balance('loss')), r"The measure of a balance is 'loss'; choose one of none"),
    ],
)
def test_what_no_step_can_be_made_of_is_refused_in_a_sentence(make, message):
    with pytest.raises(UserError, match=message):
        make(flax_game())


def of_loss(game, loss):
    return game._replace(turns=(Turn('generator', loss),))


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float32, jnp.float64])
def test_a_scan_of_steps_takes_parameters_and_examples_of_any_float_dtype(dtype):
    """In float64 programs, too, where new arrays are float64; metrics are float32 at least."""
    with jax.enable_x64(dtype != jnp.bfloat16):
        game = adversarial(
            pure(lambda key: jnp.ones((LATENT, 2), dtype), lambda w, z: jnp.tanh(z.astype(dtype) @ w)),
            pure(lambda key: jnp.ones(2, dtype), lambda w, x: x.astype(dtype) @ w),
            losses.equilibrium(),
            LATENT,
            terms=terms.joined([terms.r1(1.0), terms.historical(0.1, 0.1), terms.lecam(0.1)]),
            lazy=(1, 2),
            balance=Balance('accuracy', fooling=0.5),
            generator_steps=2,
        )
        step = steps.make_train_step(game, adam_pair(), ema_decay=lambda step: 0.9)
        batches = jax.tree.map(lambda leaf: leaf.astype(dtype), real_batch(3, 4))
        _, metrics = jax.lax.scan(step, start(game, adam_pair(), ema=True), batches)
        assert all(metrics[f'{name}/loss'].dtype in (jnp.float32, jnp.float64) for name in adam_pair())
        assert all(np.isfinite(value).all() for value in metrics.values())


def step_of(game):
    step = steps.make_train_step(game, adam_pair())
    return lambda batch: step(start(game, adam_pair()), batch)
