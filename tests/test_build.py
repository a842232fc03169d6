"""From a config to the game: what is refused, what is warned about, and that options arrive where they work."""

import pathlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, combinations, penalties
from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.games import adversarial
from gan_jax.judgement import judgement
from gan_jax.parts import Parts

CONFIGS = pathlib.Path(__file__).parents[1] / 'configs'
FEWER = 'discriminator_schedule.steps=1', 'discriminator_schedule.until=0.5'
POINTS, IMAGES = (2,), (8, 8, 1)
PENALTY, VIRTUAL = 'penalties.gradient_penalty.weight=10', 'discriminator.normalization=virtual'


def config_of(*overrides, family='toy'):
    small = {'toy': ('generator.widths=(8,)', 'discriminator.widths=(8, 6)'), 'dcgan': ()}[family]
    return configs.load(str(CONFIGS / f'{family}.py'), ('batch_size=16', 'duration=10 steps', *small, *overrides))


def game_of(*overrides, shape=POINTS, **options):
    return build.make_game(config_of(*overrides), shape, **options)


def batch_of(count=16, shape=POINTS):
    labels = jnp.arange(count, dtype=jnp.int32) % 3
    return {'real': jnp.tanh(jax.random.normal(jax.random.key(7), (count, *shape))), 'label': labels}


def first_step(config, game, count=16):
    """The state before and after the first step, and its metrics."""
    state = build.init_state(config, game)
    return state, *jax.jit(build.make_step(config, game))(state, batch_of(count))


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        (
            ['discriminator.conditioning=projection'],
            r'generator\.conditioning is none while the other player is conditional, and the generator would not',
        ),
        (
            ['generator.conditioning=concatenate'],
            r'discriminator\.conditioning is none while the other player is conditional, and the generator would have',
        ),
        (['augment.name=ada'], r'augment\.name transforms images, but the examples have shape \(2,\): unset it'),
        (['penalties.consistency.real_weight=1'], r'penalties\.consistency\.real_weight transforms images'),
        (['penalties.consistency.fake_weight=1'], r'penalties\.consistency\.fake_weight transforms images'),
        (['discriminator.rotations=True'], r'discriminator\.rotations transforms images'),
        *(
            (['balance.measure=loss_ratio', f'loss.name={loss}'], rf'loss\.name={loss} can have either sign: use')
            for loss in ('wasserstein', 'hinge', 'minimax', 'f_divergence')
        ),
        (
            ['feature_matching.alone=True'],
            r'feature_matching\.alone needs a feature_matching\.weight above 0: the generator has no other loss\.',
        ),
        (['replay=15'], r'replay=15 is too small: the buffer must hold at least a batch of 16 examples'),
        (['lazy.discriminator=4'], r'lazy\.discriminator=4 has no lazy terms: give .*gradient penalty'),
        (['lazy.generator=4', PENALTY], r'lazy\.generator=4 has no lazy terms: give .*path_length'),
    ],
)
def test_what_makes_no_sense_together_is_refused(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        game_of(*overrides, num_classes=3)


def test_conditional_networks_need_data_with_classes():
    told = 'generator.conditioning=concatenate', 'discriminator.conditioning=projection'
    with pytest.raises(UserError, match='the data set has no classes: unset the conditioning of both players'):
        game_of(*told)
    game = game_of(*told, num_classes=3)
    params, variables = game.init(jax.random.key(0))['generator']
    latents = jnp.ones((3, 2))
    points = game.sample(params, variables, latents, jnp.arange(3))
    assert len(np.unique(np.asarray(points), axis=0)) == 3  # one latent, three classes


@pytest.mark.parametrize(
    ('overrides', 'warned'),
    [
        ([], True),
        (['discriminator_optimizer.clip_weights=0.01'], False),
        ([PENALTY], False),
        (['discriminator.normalization=spectral'], False),
        (['discriminator.spectral_iterations=1'], False),
    ],
)
def test_a_wasserstein_critic_without_a_bound_is_warned_about(overrides, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        game_of('loss.name=wasserstein', *overrides)
    texts = [str(one.message) for one in caught]
    assert any('loss.name=wasserstein needs a Lipschitz-bounded critic, otherwise' in text for text in texts) == warned


@pytest.mark.parametrize(
    ('overrides', 'warned'),
    [
        (['discriminator.normalization=batch'], True),
        (['discriminator.normalization=layer'], False),
        (['discriminator.normalization=spectral'], False),
        (['discriminator.minibatch=deviation'], True),
        (['discriminator.minibatch=discrimination'], True),
        (['discriminator.dropout=0.3'], False),
    ],
)
def test_a_gradient_penalty_of_a_discriminator_that_mixes_examples_is_warned_about(overrides, warned):
    for penalty in (PENALTY, 'penalties.lecam.weight=1'):  # LeCam's takes no gradient by examples
        config = config_of(penalty, *overrides)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            build.warn_of_networks(config, POINTS)
        text = ' '.join(str(one.message) for one in caught)
        expected = warned and penalty == PENALTY
        assert (
            'penalties.gradient_penalty differentiates each logit with respect to its own example' in text
        ) == expected


@pytest.mark.parametrize(('every', 'share'), [(1, 1.0), (4, 0.8)])
def test_a_lazy_penalty_corrects_its_players_adam(every, share):
    config = config_of(
        PENALTY,
        f'lazy.discriminator={every}',
        *('discriminator_optimizer.learning_rate=0.01', 'discriminator_optimizer.b1=0.5'),
        *('discriminator_optimizer.b2=0.9', 'generator_optimizer.learning_rate=0.02'),
    )
    optimizers = build.make_optimizers(config, build.make_game(config, POINTS))
    expected = Pair(optax.adam(0.02, b1=0.5, b2=0.999), optax.adam(0.01 * share, b1=0.5**share, b2=0.9**share))
    params = jnp.array([1.0, -2.0])
    for player, by_hand in expected._asdict().items():
        made = optimizers[player]
        state, hand_state = made.init(params), by_hand.init(params)
        for gradient in (jnp.array([1.0, -3.0]), jnp.array([0.5, 2.0]), jnp.array([-1.0, 0.1])):
            update, state = made.update(gradient, state, params)
            hand_update, hand_state = by_hand.update(gradient, hand_state, params)
            np.testing.assert_allclose(update, hand_update, rtol=1e-6)


@pytest.mark.parametrize(
    ('overrides', 'player', 'updates'),
    [
        ([], 'generator', 10),
        (['generator_steps=2'], 'generator', 20),
        (['discriminator_steps=3'], 'discriminator', 30),
        ([PENALTY, 'lazy.discriminator=4'], 'discriminator', 10 + 3),  # after steps 0, 4 and 8
        (['discriminator_steps=3', *FEWER], 'discriminator', 3 + 3 + 2 + 2 + 1 + 5),  # 3 - 0.4 step, rounded
    ],
)
def test_a_schedule_ends_with_the_run(overrides, player, updates):
    sgd = f'{player}_optimizer.name=sgd', f'{player}_optimizer.learning_rate=1.0'
    config = config_of('schedule.name=linear', *sgd, *overrides)
    optimizer = build.make_optimizers(config, build.make_game(config, POINTS))[player]
    state, sizes = optimizer.init(jnp.zeros(())), []
    for _ in range(updates + 1):
        update, state = optimizer.update(jnp.ones(()), state, jnp.zeros(()))
        sizes.append(-update)
    np.testing.assert_allclose(np.array(sizes) / sizes[0], 1 - np.arange(updates + 1) / updates, atol=1e-6)


@pytest.mark.parametrize(
    ('overrides', 'batches', 'updates'),
    [([PENALTY, 'lazy.discriminator=4'], (), 13), (['discriminator_steps=3', *FEWER], (3,), 16)],
)
def test_a_run_makes_as_many_updates_as_its_schedule_expects(overrides, batches, updates):
    config = config_of('schedule.name=linear', 'ema.half_life_kimg=0', *overrides)
    game = build.make_game(config, POINTS)
    state, step = build.init_state(config, game), jax.jit(build.make_step(config, game))
    batch = {'real': jnp.broadcast_to(batch_of()['real'], (*batches, 16, 2))}
    for _ in range(10):
        state, _ = step(state, batch)
    counts = {int(leaf) for leaf in jax.tree.leaves(state.discriminator.opt_state) if leaf.dtype == jnp.int32}
    assert counts == {updates}


def test_noise_and_top_k_move_over_their_share_of_the_run(monkeypatch):
    given = {}
    made = adversarial.adversarial
    monkeypatch.setattr(
        adversarial, 'adversarial', lambda *args, **options: given.update(options) or made(*args, **options)
    )
    game_of('instance_noise.deviation=0.4', 'instance_noise.until=0.5', 'top_k.share=0.25', 'top_k.until=0.8')
    np.testing.assert_allclose([given['noise'](step) for step in (0, 2, 5, 9)], [0.4, 0.24, 0, 0], atol=1e-6)
    np.testing.assert_allclose([given['top_share'](step) for step in (0, 4, 8, 10)], [1, 0.5, 0.25, 0.25], rtol=1e-6)
    game_of()
    assert given['noise'] is None
    assert given['top_share'] is None


def test_a_game_of_bfloat16_networks_can_be_had_in_float32():
    config = config_of('dtype=bfloat16', family='dcgan')

    def program(game):
        weights = jax.eval_shape(game.init, jax.random.key(0))['generator']
        return str(jax.make_jaxpr(game.sample)(*weights, game.latents(jax.random.key(0), jnp.arange(2))))

    assert 'bf16' in program(build.make_game(config, IMAGES))
    assert 'bf16' not in program(build.make_float32_game(config, IMAGES))
    assert config.dtype == 'bfloat16'
    assert build.make_float32_game(config_of(), POINTS) is None


def test_penalties_compute_in_float32_under_bfloat16_networks():
    config = config_of('dtype=bfloat16', 'penalties.r1.weight=1')
    before, after, metrics = first_step(config, build.make_game(config, POINTS))
    assert all(np.isfinite(value) for value in metrics.values())
    assert {leaf.dtype for leaf in jax.tree.leaves((after.generator.params, after.discriminator.params))} == {
        jnp.dtype('float32')
    }

    def r1(dtype):
        module = build.make_modules(config, POINTS, dtype=dtype).discriminator
        params = {'params': before.discriminator.params}
        return penalties.r1(lambda x: judgement(module.apply(params, x, train=True)).logits, batch_of()['real'])

    np.testing.assert_allclose(metrics['discriminator/r1'], r1('float32'), rtol=1e-5)
    assert abs(r1('bfloat16') / r1('float32') - 1) > 1e-4


def test_recomputing_is_the_same_step_and_keeps_less_for_the_gradients():
    """What is kept from the forward pass are the residuals, which are the leaves of JAX's pull-back."""
    after, kept = [], []
    for recompute in ('False', 'True'):
        config = config_of('discriminator.widths=(64, 64, 64)', 'ema.half_life_kimg=0', f'recompute={recompute}')
        game = build.make_game(config, POINTS)
        state, batch = build.init_state(config, game), batch_of(512)
        after.append(jax.jit(build.make_step(config, game))(state, batch)[1])

        def discriminator_loss(params, game=game, state=state, batch=batch):
            return game.turn('discriminator').loss(params, state, batch, state.key, jnp.arange(512))[0]

        residuals = jax.eval_shape(
            lambda params, loss=discriminator_loss: jax.vjp(loss, params)[1], state.discriminator.params
        )
        kept.append(sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(residuals)))
    assert kept[1] < kept[0] / 4
    for name, value in after[0].items():
        np.testing.assert_allclose(after[1][name], value, rtol=1e-4)


def test_virtual_batch_norm_trains_against_its_reference_and_samples_one_by_one():
    config = config_of('generator.normalization=virtual', VIRTUAL, 'reference_batch=5')
    reference = batch_of(5)['real']
    game = build.make_game(config, POINTS, reference=(reference, None))
    before, after, metrics = first_step(config, game)
    assert all(np.isfinite(value) for value in metrics.values())
    assert np.array_equal(after.discriminator.variables['reference'][0], reference)
    assert not np.array_equal(*(jax.tree.leaves(state.generator.params)[0] for state in (before, after)))
    player, latents = after.generator, game.latents(jax.random.key(1), jnp.arange(4))
    sample = jax.jit(game.sample)
    together = sample(player.params, player.variables, latents)
    alone = jnp.concatenate([sample(player.params, player.variables, latents[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)  # no example depends on its batch


def test_batch_normalisation_of_one_example_is_warned_about():
    batch = 'generator.normalization=batch'
    for overrides in (['batch_size=1'], ['batch_size=8', 'accumulate=8']):
        with pytest.warns(UserWarning, match=r'generator\.normalization=batch would compute its'):
            game_of(batch, *overrides)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        game_of(batch, 'batch_size=8', 'accumulate=4')
        game_of('batch_size=1')


@pytest.mark.parametrize(('loss', 'config'), [('equilibrium', 'began'), ('margin', 'ebgan')])
def test_losses_of_energies_are_for_autoencoders(loss, config):
    with pytest.warns(UserWarning, match=f'loss.name={loss} needs logits that are minus reconstruction errors, but'):
        game_of(f'loss.name={loss}')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        combinations.check(configs.load(str(CONFIGS / f'{config}.py:debug')), (16, 16, 1))


@pytest.mark.filterwarnings('ignore:.*drops options of the config')  # by the change of the family
def test_energies_are_those_of_the_discriminators_own_family():
    mixed = configs.load(str(CONFIGS / 'dcgan.py:debug'), {'discriminator.family': 'began', 'loss.name': 'equilibrium'})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        combinations.check(mixed, (16, 16, 1))
    plain = configs.load(str(CONFIGS / 'began.py:debug'), {'discriminator.family': 'dcgan'})
    with pytest.warns(UserWarning, match='the discriminator of dcgan is no autoencoder'):
        combinations.check(plain, (16, 16, 1))


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        (['discriminators.number=17'], r'discriminators\.number=17 discriminators are compiled one after the other'),
        (
            ['discriminator_steps=20000'],
            'a stretch of log_every=200 steps makes 200,010 updates, and nothing is reported',
        ),
    ],
)
def test_what_takes_long_is_warned_about(overrides, sentence):
    with pytest.warns(UserWarning, match=sentence):
        game_of(*overrides)


def test_reference_examples_are_made_for_virtual_normalisation_alone():
    count = 2_000_000_000
    game = game_of(f'reference_batch={count}')  # 16 GB of points
    assert jax.eval_shape(game.init, jax.random.key(0))


def test_the_best_metric_is_one_of_the_games():
    for known in ('discriminator/loss', 'generator/gradient_norm'):
        config = config_of(f'checkpoints.best_metric={known}', 'checkpoints.best_mode=min', 'discriminator_steps=2')
        build.check_best_metric(config, POINTS)
    config = config_of('checkpoints.best_metric=discriminator/los', 'checkpoints.best_mode=min')
    with pytest.raises(
        UserError, match=r"'discriminator/los', which this game does not have; the nearest name is 'discriminator/loss'"
    ):
        build.check_best_metric(config, POINTS)


def test_feature_matching_alone_is_the_generators_only_loss():
    config = config_of('feature_matching.weight=2', 'feature_matching.alone=True')
    _, _, metrics = first_step(config, build.make_game(config, POINTS))
    np.testing.assert_allclose(metrics['generator/loss'], 2 * metrics['generator/feature_matching'], rtol=1e-6)


def test_a_generator_of_another_shape_is_refused(monkeypatch):
    config = config_of()
    module = build.make_modules(config, (3,)).generator
    monkeypatch.setattr(Parts, 'module', lambda *args, **options: module)
    with pytest.raises(UserError, match=r'The generator of mlp makes examples of shape \(3,\), not \(2,\)'):
        build.make_game(config, POINTS)


def test_rotations_join_both_players_losses_with_any_number_of_discriminators():
    options = (
        'discriminator.rotations=True',
        'discriminator.slicing=True',
        'discriminators.number=2',
        'generator.width=4',
        'discriminator.width=4',
    )
    config = config_of(*options, family='dcgan')
    game = build.make_game(config, IMAGES)
    state = jax.eval_shape(build.initializer(config, game), jax.random.key(0))
    _, metrics = jax.eval_shape(build.make_step(config, game), state, batch_of(shape=IMAGES))
    assert {'generator/rotation', 'discriminator/rotation'} <= metrics.keys()
    assert state.discriminator.params['discriminator00']['rotations']['kernel'].shape == (4 * 4 * 4, 4)
