"""Terms: each adds its weight times the pure function it names, of what it says it looks at."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, penalties, steps, terms
from gan_jax.adversarial import adversarial
from gan_jax.augmentation import augment
from gan_jax.errors import UserError
from gan_jax.game import Pair, stream
from gan_jax.judgement import Judgement
from gan_jax.networks import pure
from gan_jax.terms import PENALTIES, View

BATCH, LATENT, SHAPE = 6, 3, (8, 8, 1)
GENERATOR = np.random.default_rng(1).normal(size=(LATENT, 64)).astype(np.float32)
CRITIC = np.random.default_rng(2).normal(size=64).astype(np.float32) / 8
KEY, PLACES = jax.random.key(5), np.arange(BATCH)


def critic(examples):
    return jnp.sin(examples.reshape(len(examples), -1) @ CRITIC)


def generate(latents):
    return jnp.tanh(latents @ GENERATOR).reshape(-1, *SHAPE)


def view_of(player, **changes):
    latents = jax.random.normal(jax.random.key(3), (BATCH, LATENT))
    real, fake = jnp.tanh(jax.random.normal(jax.random.key(4), (BATCH, *SHAPE))), generate(latents)
    given = {
        'params': {'kernel': GENERATOR if player == 'generator' else CRITIC[:, None]},
        'discriminate': lambda examples: Judgement(critic(examples)),
        'critic': critic,
        'generate': generate,
        'latents': latents,
        'draw': other_latents,
        'real': real,
        'fake': fake,
        'discriminate_real': lambda: Judgement(critic(real)),
        'fake_judgement': Judgement(critic(fake)),
        'condition': None,
        'fake_condition': None,
        'key': KEY,
        'positions': PLACES,
        'axis_name': None,
    }
    return View(**given | changes)


def other_latents(key):
    return jax.random.normal(key, (BATCH, LATENT))


def moved(images):
    return augment.translate_and_flip(images, KEY, PLACES)


def near(view):
    return generate(augment.instance_noise(view.latents, KEY, PLACES, 0.2))


# name: (options of weight 3, its value)
EXPECTED = {
    'gradient_penalty': (
        {'weight': 3.0, 'target': 0.5, 'one_sided': True},
        lambda view: penalties.gradient_penalty(critic, view.real, view.fake, KEY, PLACES, target=0.5, one_sided=True),
    ),
    'zero_centered': (
        {'weight': 3.0},
        lambda view: penalties.zero_centered_penalty(critic, view.real, view.fake, KEY, PLACES),
    ),
    'dragan': (
        {'weight': 3.0, 'target': 2.0, 'scale': 0.1},
        lambda view: penalties.dragan(critic, view.real, KEY, PLACES, target=2.0, scale=0.1),
    ),
    'r1': ({'weight': 3.0}, lambda view: penalties.r1(critic, view.real)),
    'r2': ({'weight': 3.0}, lambda view: penalties.r2(critic, view.fake)),
    'approximate_r1': (
        {'weight': 3.0, 'deviation': 0.1},
        lambda view: penalties.approximate_gradients(critic, view.real, KEY, PLACES, deviation=0.1),
    ),
    'approximate_r2': (
        {'weight': 3.0, 'deviation': 0.1},
        lambda view: penalties.approximate_gradients(critic, view.fake, KEY, PLACES, deviation=0.1),
    ),
    'drift': ({'weight': 3.0}, lambda view: jnp.mean(critic(view.real) ** 2)),
    'centring': ({'weight': 3.0}, lambda view: jnp.mean((critic(view.real) + critic(view.fake)) ** 2)),
    'mode_seeking': (
        {'weight': 3.0},
        lambda view: penalties.mode_seeking(view.fake, generate(other_latents(KEY)), view.latents, other_latents(KEY)),
    ),
    'real_consistency': (
        {'real_weight': 3.0},
        lambda view: jnp.mean((critic(view.real) - critic(moved(view.real))) ** 2),
    ),
    'fake_consistency': (
        {'fake_weight': 3.0},
        lambda view: jnp.mean((critic(view.fake) - critic(moved(view.fake))) ** 2),
    ),
    'latent_consistency': (
        {'latent_weight': 3.0, 'latent_deviation': 0.2},
        lambda view: jnp.mean((critic(view.fake) - critic(near(view))) ** 2),
    ),
    'latent_diversity': (
        {'diversity_weight': 3.0, 'latent_deviation': 0.2},
        lambda view: -jnp.mean((view.fake - near(view)) ** 2),
    ),
    'orthogonal': (
        {'generator_weight': 3.0, 'off_diagonal': False},
        lambda view: penalties.orthogonal(view.params, off_diagonal=False),
    ),
    'path_length': (
        {'weight': 3.0, 'decay': 0.5},
        lambda view: penalties.path_length(generate, view.latents, 0.3, KEY, PLACES, decay=0.5)[0],
    ),
}
SECTIONS = {name: 'consistency' for name in EXPECTED if 'consistency' in name or name == 'latent_diversity'}
WEIGHTS = {'consistency': 'real_weight', 'orthogonal': 'generator_weight', 'historical': 'generator_weight'}
GENERATORS = ('latent_diversity', 'mode_seeking', 'orthogonal', 'path_length')


@pytest.mark.parametrize('name', EXPECTED)
def test_a_penalty_is_the_pure_function_of_what_the_pass_shows_times_its_weight(name):
    options, expected = EXPECTED[name]
    made = PENALTIES[SECTIONS.get(name, name)](**options)
    player = 'generator' if name in GENERATORS else 'discriminator'
    (term,), none = getattr(made, player), getattr(made, next(one for one in Pair._fields if one != player))
    assert none == ()
    view = view_of(player)
    value, _ = jax.jit(lambda: term.value(view, 0.3))()
    assert term.name == name
    np.testing.assert_allclose(value, expected(view), rtol=2e-5)

    memory = {name: 0.3}
    total, metrics, _ = terms.total([term], view, memory)
    seen, _ = term.value(view_of(player, key=stream(KEY, name)), 0.3)
    np.testing.assert_allclose((total, metrics[name]), (3 * seen, seen), rtol=1e-5)
    np.testing.assert_allclose(terms.total([term], view, memory, factor=4.0)[0], 12 * seen, rtol=1e-5)


@pytest.mark.parametrize('name', PENALTIES)
def test_a_penalty_of_weight_0_is_none_and_a_negative_one_is_refused(name):
    assert PENALTIES[name]() == Pair((), ())
    with pytest.raises(UserError, match=r'weight .*is -1\.0; it must be at least 0'):
        PENALTIES[name](**{WEIGHTS.get(name, 'weight'): -1.0})


def test_only_penalties_of_gradients_are_lazy():
    made = terms.joined([PENALTIES[name](**{WEIGHTS.get(name, 'weight'): 1.0}) for name in PENALTIES])
    lazy = {term.name for term in (*made.generator, *made.discriminator) if term.lazy}
    assert lazy == {
        'gradient_penalty',
        'zero_centered',
        'dragan',
        'r1',
        'r2',
        'approximate_r1',
        'approximate_r2',
        'path_length',
    }


def test_consistency_of_stages_needs_stages_and_is_the_generators():
    (term,) = PENALTIES['stage_consistency'](0.1).generator
    stages = jax.random.normal(KEY, (BATCH, 4, *SHAPE))
    value, _ = term.value(view_of('generator', fake=stages), None)
    np.testing.assert_allclose(value, penalties.stage_consistency(stages))
    with pytest.raises(UserError, match='needs a generator with several stages, such as the model gat'):
        term.value(view_of('generator'), None)


@pytest.mark.parametrize(('options', 'applications'), [({}, 4), ({'replay': 64}, 6), ({'lazy': Pair(1, 2)}, 6)])
def test_approximate_penalties_use_the_logits_and_the_randomness_of_the_pass(options, applications):
    """Under augmentation and noise as large as the data, only the same draws leave a slope that is the critic's."""
    applied = []

    def discriminate(params, images):
        applied.append(images.shape)
        return images.reshape(len(images), -1) @ params

    game = adversarial(
        pure(lambda key: GENERATOR, lambda w, z: jnp.tanh(z @ w).reshape(-1, *SHAPE)),
        pure(lambda key: CRITIC, discriminate),
        losses.hinge(),
        LATENT,
        terms=terms.joined([terms.approximate_r1(1.0), terms.approximate_r2(1.0)]),
        augmentation=augment.diff_augment(('translation', 'cutout')),
        noise=lambda step: 1.0,
        **options,
    )
    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
    state = steps.init_state(game, optimizers, jax.random.key(0))
    batch, places = {'real': jax.random.normal(jax.random.key(7), (64, *SHAPE))}, jnp.arange(64)
    turns = [turn for turn in game.turns if turn.player == 'discriminator']
    metrics = {}
    for turn in turns:
        metrics |= turn.loss(state.discriminator.params, state, batch, KEY, places)[1].metrics
    assert len(applied) == applications
    for name in ('approximate_r1', 'approximate_r2'):
        assert 0.1 < metrics[name] / (np.sum(CRITIC**2) / 2) < 1.5  # less than 1 where images are cut out


@pytest.mark.parametrize('noise', [None, lambda step: 2.0], ids=['plain', 'noise'])
@pytest.mark.parametrize('options', [{}, {'discriminators': 2}], ids=['one', 'two discriminators'])
def test_r1_and_r2_share_the_passes_of_the_logits(options, noise):
    """Values and gradients are those of separate passes, if these have the same randomness."""
    applied = []

    def discriminate(params, images):
        applied.append(images)
        return (
            jnp.sin(images.reshape(len(images), -1) @ params['kernel']) + params['scale'] * images.mean((1, 2, 3)) ** 2
        )

    def game(**options):
        return adversarial(
            pure(lambda key: GENERATOR, lambda w, z: jnp.tanh(z @ w).reshape(-1, *SHAPE)),
            pure(lambda key: {'kernel': CRITIC, 'scale': jnp.float32(0.5)}, discriminate),
            losses.non_saturating(),
            LATENT,
            terms=terms.joined([terms.r1(3.0), terms.r2(2.0)]),
            noise=noise,
            **options,
        )

    def measured(game):
        optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
        state = steps.init_state(game, optimizers, jax.random.key(0))
        batch = {'real': jax.random.normal(jax.random.key(7), (BATCH, *SHAPE))}
        applied.clear()
        whole = jax.value_and_grad(game.turn('discriminator').loss, has_aux=True)
        (value, outcome), gradients = whole(state.discriminator.params, state, batch, KEY, jnp.arange(BATCH))
        return value, outcome.metrics, gradients, len(applied)

    members = options.get('discriminators', 1)
    *shared, passes = measured(game(**options))
    assert passes == 2 * members
    *separate, passes = measured(game(critic=pure(lambda key: None, discriminate), **options))
    assert passes == 4 * members
    if noise is None:
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6), shared, separate
        )
    else:  # the separate passes draw noise of their own
        assert abs(shared[1]['r1'] - separate[1]['r1']) > 1e-3


def linear_game(**options):
    return adversarial(
        pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: z @ w),
        pure(lambda key: jnp.array([2.0, -1.0]), lambda w, x: x @ w),
        losses.hinge(),
        LATENT,
        **options,
    )


def test_a_term_joins_its_players_loss():
    """With the same key a term changes nothing but the sum."""
    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
    plain = linear_game()
    full = linear_game(terms=terms.joined([terms.r1(4.0), terms.drift(0.5), terms.orthogonal(250.0)]))
    state = steps.init_state(full, optimizers, jax.random.key(0))
    batch = {'real': jax.random.normal(jax.random.key(7), (BATCH, 2))}
    for name, weights in (('discriminator', {'r1': 4.0, 'drift': 0.5}), ('generator', {'orthogonal': 250.0})):
        arguments = getattr(state, name).params, state, batch, KEY, jnp.arange(BATCH)
        value, outcome = full.turn(name).loss(*arguments)
        bare, _ = plain.turn(name).loss(*arguments)
        added = sum(weight * outcome.metrics[term] for term, weight in weights.items())
        np.testing.assert_allclose(value, bare + added, rtol=1e-6)
        assert added > 0.1
    np.testing.assert_allclose(
        outcome.metrics['orthogonal'], penalties.orthogonal(state.generator.params, off_diagonal=True)
    )


def test_lecam_keeps_moving_averages_of_the_mean_logits():
    game = linear_game(terms=terms.lecam(0.3, decay=0.75))
    optimizers = Pair(optax.set_to_zero(), optax.set_to_zero())._asdict()
    state = steps.init_state(game, optimizers, jax.random.key(0))
    assert state.memory['discriminator_terms'][0]['lecam'] == (0.0, 0.0)
    step = jax.jit(steps.make_train_step(game, optimizers))
    real_average = 0.0
    for i in range(3):
        real = jax.random.normal(jax.random.key(i), (BATCH, 2))
        state, _ = step(state, {'real': real})
        logits = real @ state.discriminator.params
        real_average = 0.75 * real_average + 0.25 * logits.mean()
        np.testing.assert_allclose(state.memory['discriminator_terms'][0]['lecam'][0], real_average, rtol=1e-5)

    term = terms.lecam(0.3, decay=0.75).discriminator[0]
    view = view_of('discriminator')
    value, averages = term.value(view, (jnp.float32(0.4), jnp.float32(-0.2)))
    real, fake = critic(view.real), critic(view.fake)
    expected = 0.75 * 0.4 + 0.25 * real.mean(), 0.75 * -0.2 + 0.25 * fake.mean()
    np.testing.assert_allclose(averages, expected, rtol=1e-5)
    np.testing.assert_allclose(
        value, ((real - expected[1]) ** 2).mean() + ((fake - expected[0]) ** 2).mean(), rtol=1e-5
    )


@pytest.mark.parametrize('discriminators', [1, 2])
def test_a_lazy_term_of_the_discriminator_keeps_its_memory(discriminators):
    counter = terms.stateful_term('count', 0.1, lambda view, n: (n, n + 1), lambda network: jnp.ones(()), lazy=True)
    game = linear_game(
        terms=terms.joined([Pair((), counter), terms.lecam(0.3)]), lazy=(1, 2), discriminators=discriminators
    )
    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
    state = steps.init_state(game, optimizers, jax.random.key(0))
    step, seen = jax.jit(steps.make_train_step(game, optimizers)), []
    for _ in range(3):
        state, metrics = step(state, {'real': jnp.ones((BATCH, 2))})
        seen.append(float(metrics['discriminator/count']))
    assert seen == [1.0, 1.0, 2.0]  # applied in the first and in the third step
    kept = state.memory['discriminator_terms']
    assert [float(one['count']) for one in kept] == [3.0] * discriminators
    assert all(one['lecam'][0] != 0 for one in kept)


def test_path_length_keeps_its_moving_average():
    game = adversarial(
        pure(lambda key: GENERATOR, lambda w, z: jnp.tanh(z @ w).reshape(-1, *SHAPE)),
        pure(lambda key: CRITIC, lambda w, x: x.reshape(len(x), -1) @ w),
        losses.hinge(),
        LATENT,
        terms=terms.path_length(2.0, decay=0.5),
    )
    optimizers = Pair(optax.sgd(0.01), optax.sgd(0.01))._asdict()
    state = steps.init_state(game, optimizers, jax.random.key(0))
    state, metrics = jax.jit(steps.make_train_step(game, optimizers))(state, {'real': jnp.zeros((BATCH, *SHAPE))})
    average = state.memory['generator_terms']['path_length']
    assert average > 0
    # mean (length - average)^2 = variance + (mean - average)^2 with the mean at twice the average after one step
    assert metrics['generator/path_length'] >= average**2 * (1 - 1e-5)


def bilinear_game(weight):
    """The generator's x against the discriminator's y: one minimises -x y, the other x y."""
    return adversarial(
        pure(lambda key: jnp.ones(()), lambda x, z: x * jnp.ones((len(z), 1))),
        pure(lambda key: jnp.full((), 0.5), lambda y, examples: y * examples[:, 0]),
        losses.wasserstein(),
        1,
        terms=terms.historical(weight, weight),
    )


def play_bilinear(weight, count):
    """The state after `count` steps, and both players' parameters before and after each of them."""
    game, optimizers = bilinear_game(weight), Pair(optax.sgd(0.2), optax.sgd(0.2))._asdict()
    step = steps.make_train_step(game, optimizers)

    def one(state, _):
        after, _ = step(state, {'real': jnp.zeros((2, 1))})
        return after, (state.generator.params, state.discriminator.params)

    state = steps.init_state(game, optimizers, jax.random.key(0))
    return jax.jit(lambda state: jax.lax.scan(one, state, None, count))(state)


def test_historical_averaging_remembers_the_mean_of_all_past_parameters():
    state, (generator, discriminator) = play_bilinear(0.1, 7)
    memory = state.memory['generator_terms']['historical'], state.memory['discriminator_terms'][0]['historical']
    for (average, count), past in zip(memory, (generator, discriminator), strict=True):
        np.testing.assert_allclose(average, past.mean(), rtol=1e-5)
        assert count == 7


def test_historical_averaging_damps_the_rotation_of_a_bilinear_game():
    _, plain = play_bilinear(0.0, 300)
    _, damped = play_bilinear(0.5, 300)
    assert np.hypot(*plain)[-50:].min() > 0.5  # from a radius of 1.1 at the start
    assert np.hypot(*damped)[-50:].max() < 0.2


def judged(features, classes=None):
    return Judgement(jnp.zeros(len(next(iter(features.values())))), classes, features)


def test_feature_matching_is_the_squared_distance_of_mean_features():
    real = judged({'early': jnp.array([[1.0], [3.0]]), 'late': jnp.array([[0.0, 2.0], [2.0, 4.0]])})
    fake = judged({'early': jnp.array([[5.0], [5.0]]), 'late': jnp.array([[0.0, 0.0], [0.0, 2.0]])})
    view = view_of('generator', discriminate_real=lambda: real, fake_judgement=fake)

    def value(*features, **options):
        return terms.feature_matching(1.0, features, **options).generator[0].value(view, None)[0]

    assert value(distance='mean_squared') == (1 + 4) / 2
    assert value(distance='mean_absolute') == (1 + 2) / 2
    assert value() == 1 + 4  # by default the last: means (1, 3) and (0, 1)
    assert value('early') == 9  # means 2 and 5
    assert value('early', 'late') == 14
    with pytest.raises(UserError, match=r"There is no feature 'lat': did you mean 'late'\? Choose from early, late\."):
        value('lat')


def test_feature_matching_without_features_is_refused():
    (term,) = terms.feature_matching(1.0).generator
    with pytest.raises(UserError, match='needs a discriminator that returns a Judgement with features'):
        term.value(view_of('generator'), None)


def test_the_auxiliary_classifier_is_the_cross_entropy_of_real_and_fake_classes():
    real_logits, fake_logits = jnp.array([[2.0, 0.0], [0.0, 1.0]]), jnp.array([[0.0, 0.0], [3.0, 0.0]])
    real_labels, fake_labels = jnp.array([0, 1]), jnp.array([1, 1])
    view = view_of(
        'discriminator',
        discriminate_real=lambda: Judgement(jnp.zeros(2), real_logits),
        fake_judgement=Judgement(jnp.zeros(2), fake_logits),
        condition=real_labels,
        fake_condition=fake_labels,
    )
    made = terms.auxiliary_classifier(2.0, 3.0)
    of_real = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2
    of_fake = (np.log(2.0) + np.log1p(np.exp(3.0))) / 2
    np.testing.assert_allclose(terms.total(made.generator, view, {})[0], 2 * of_fake, rtol=1e-6)
    np.testing.assert_allclose(terms.total(made.discriminator, view, {})[0], 3 * (of_real + of_fake), rtol=1e-6)
    of_reals = terms.auxiliary_classifier(2.0, 3.0, learns_fakes=False)
    np.testing.assert_allclose(terms.total(of_reals.generator, view, {})[0], 2 * of_fake, rtol=1e-6)
    np.testing.assert_allclose(terms.total(of_reals.discriminator, view, {})[0], 3 * of_real, rtol=1e-6)


@pytest.mark.parametrize(
    ('classes', 'labels'),
    [(jnp.zeros((2, 2)), nn.one_hot(jnp.array([0, 1]), 2)), (jnp.zeros((2, 2)), None), (None, jnp.array([0, 1]))],
    ids=['vectors for labels', 'no labels', 'no class logits'],
)
def test_the_auxiliary_classifier_refuses_what_names_no_class(classes, labels):
    (term,) = terms.auxiliary_classifier().generator
    view = view_of('generator', fake_judgement=Judgement(jnp.zeros(2), classes), fake_condition=labels)
    with pytest.raises(UserError, match='needs class labels, and class logits'):
        term.value(view, None)


def test_rotations_are_told_of_turned_real_images_and_of_turned_fakes():
    """A discriminator that sees in which of four corners an image is brightest, and says it as logits."""

    def discriminate(images):
        corners = jnp.stack([images[:, 0, 0, 0], images[:, -1, 0, 0], images[:, -1, -1, 0], images[:, 0, -1, 0]], -1)
        return Judgement(jnp.zeros(len(images)), rotations=2 * corners)

    upright = jnp.zeros((BATCH, *SHAPE)).at[:, 0, 0, 0].set(1.0)  # counter-clockwise its corner is lower left, ...
    view = view_of('discriminator', discriminate=discriminate, real=upright, fake=jnp.zeros((BATCH, *SHAPE)))
    made = terms.rotation(5.0, 3.0)
    right = np.log(1 + 3 * np.exp(-2.0))
    np.testing.assert_allclose(terms.total(made.discriminator, view, {})[0], 3 * right, rtol=1e-6)
    np.testing.assert_allclose(terms.total(made.generator, view, {})[0], 5 * np.log(4), rtol=1e-6)


def test_rotations_need_a_judgement_of_square_images():
    (term,) = terms.rotation().generator
    with pytest.raises(UserError, match=r'set discriminator\.rotations=True'):
        term.value(view_of('generator'), None)
    with pytest.raises(UserError, match='must be that of a square'):
        term.value(view_of('generator', fake=jnp.zeros((2, 4, 6, 1)), positions=np.arange(2)), None)
