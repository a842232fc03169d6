"""Values, gradients and optima against closed forms, and finite differences in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.errors import UserError
from gan_jax.f_divergences import DIVERGENCES

REAL, FAKE = np.array([2.0, -1.0, 0.5]), np.array([-3.0, 0.25, 1.6])
P, Q = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.25, 0.25, 0.1])
BASES = ('cross_entropy', 'least_squares', 'hinge')
LABELLED = {'non_saturating': 'real_label', 'minimax': 'real_label', 'least_squares': 'b'}

# Every loss by name, and by name with each of its choices.
GAMES = {
    **{name: factory() for name, factory in losses.LOSSES.items()},
    'equilibrium': losses.equilibrium().controller.at(0.3),
    'smoothed non_saturating': losses.non_saturating(real_label=0.9, fake_label=0.1),
    'smoothed minimax': losses.minimax(real_label=0.8),
    'least_squares -1 1 0': losses.least_squares(a=-1.0, b=1.0, c=0.0),
    **{f'relativistic {base}': losses.relativistic(base) for base in BASES},
    **{f'relativistic_average {base}': losses.relativistic_average(base) for base in BASES},
    **{
        f'f_divergence {name}{"" if saturating else " non-saturating"}': losses.f_divergence(name, saturating)
        for name in DIVERGENCES
        for saturating in (True, False)
    },
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def close(value, expected):
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


def test_discriminator_losses_are_the_textbook_cross_entropy():
    expected = -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean()
    for loss in (losses.non_saturating(), losses.minimax(), losses.logistic()):
        np.testing.assert_allclose(loss.discriminator(REAL, FAKE), expected, rtol=1e-6)


@pytest.mark.parametrize('name', GAMES)
def test_the_parts_on_real_and_on_fake_examples_see_their_own_logits(name):
    loss = GAMES[name]
    if 'relativistic' in name:
        assert loss.parts is None
        return
    on_real, on_fake = loss.parts(REAL, FAKE)
    assert on_real + on_fake == loss.discriminator(REAL, FAKE)
    assert loss.parts(REAL, FAKE + 2)[0] == on_real != loss.parts(REAL + 2, FAKE)[0]
    assert loss.parts(REAL + 2, FAKE)[1] == on_fake != loss.parts(REAL, FAKE + 2)[1]


def test_generator_losses_are_log_d_and_log_one_minus_d():
    np.testing.assert_allclose(losses.non_saturating().generator(FAKE), -np.log(sigmoid(FAKE)).mean(), rtol=1e-6)
    np.testing.assert_allclose(losses.minimax().generator(FAKE), np.log(1 - sigmoid(FAKE)).mean(), rtol=1e-6)


def test_label_smoothing_weighs_both_terms():
    smooth = losses.non_saturating(real_label=0.9, fake_label=0.2)
    real, fake = sigmoid(REAL), sigmoid(FAKE)
    expected = (
        -(0.9 * np.log(real) + 0.1 * np.log(1 - real)).mean() - (0.2 * np.log(fake) + 0.8 * np.log(1 - fake)).mean()
    )
    np.testing.assert_allclose(smooth.discriminator(REAL, FAKE), expected, rtol=1e-6)


def test_one_sided_smoothing_makes_the_label_the_best_answer_on_real_data():
    gradient = jax.grad(losses.non_saturating(real_label=0.9).discriminator)
    best = math.log(0.9 / 0.1)
    np.testing.assert_allclose(gradient(jnp.full((4,), best), jnp.zeros(4)), 0.0, atol=1e-7)


def test_least_squares(float64):
    loss = losses.least_squares(a=-1.0, b=2.0, c=0.5)
    close(loss.discriminator(REAL, FAKE), ((REAL - 2) ** 2).mean() / 2 + ((FAKE + 1) ** 2).mean() / 2)
    close(loss.generator(FAKE), ((FAKE - 0.5) ** 2).mean() / 2)
    real, fake = jax.grad(loss.discriminator, argnums=(0, 1))(jnp.array(REAL), jnp.array(FAKE))
    close(real, (REAL - 2) / 3)
    close(fake, (FAKE + 1) / 3)


def test_wasserstein_and_hinge(float64):
    close(losses.wasserstein().discriminator(REAL, FAKE), FAKE.mean() - REAL.mean())
    close(losses.hinge().discriminator(REAL, FAKE), (0 + 2 + 0.5) / 3 + (0 + 1.25 + 2.6) / 3)
    real, fake = jax.grad(losses.hinge().discriminator, argnums=(0, 1))(jnp.array(REAL), jnp.array(FAKE))
    close(real, np.array([0, -1, -1]) / 3)
    close(fake, np.array([0, 1, 1]) / 3)
    for loss in (losses.wasserstein(), losses.hinge()):
        close(loss.generator(FAKE), -FAKE.mean())
        close(jax.grad(loss.generator)(jnp.array(FAKE)), -np.ones(3) / 3)


def test_margin_by_hand(float64):
    """Energies are minus the logits: 1 and 3 of real examples, 4 and 12 of fake ones."""
    loss, real, fake = losses.margin(10.0), jnp.array([-1.0, -3.0]), jnp.array([-4.0, -12.0])
    close(loss.discriminator(real, fake), 2 + (6 + 0) / 2)
    close(loss.generator(fake), 8)
    of_real, of_fake = jax.grad(loss.discriminator, argnums=(0, 1))(real, fake)
    close(of_real, [-0.5, -0.5])
    close(of_fake, [0.5, 0])  # the second is beyond the margin
    close(jax.grad(loss.generator)(fake), [-0.5, -0.5])


def test_equilibrium_by_hand(float64):
    """Energies 1 and 3 of real examples, 0.5 and 0.7 of fake ones: gamma L(x) - L(G(z)) = 0.5 * 2 - 0.6 = 0.4."""
    loss, real, fake = losses.equilibrium(gamma=0.5, lambda_k=0.1), -jnp.array([1.0, 3.0]), -jnp.array([0.5, 0.7])
    close(loss.discriminator(real, fake), 2)  # k starts at 0
    close(loss.controller.at(0.25).discriminator(real, fake), 2 - 0.25 * 0.6)
    close(loss.controller.at(0.25).parts(real, fake), (2, -0.25 * 0.6))
    for one in (loss, loss.controller.at(0.25)):
        close(one.generator(fake), 0.6)
    assert loss.controller.start == 0
    k, metrics = loss.controller.update(jnp.array(0.25), real, fake)
    close(k, 0.25 + 0.1 * 0.4)
    close([metrics['k'], metrics['convergence']], [0.25, 2 + 0.4])
    k, metrics = loss.controller.update(jnp.array(0.25), real, 5 * fake)
    close(k, 0.25 + 0.1 * (1 - 3))
    close(metrics['convergence'], 2 + 2)


def test_the_number_of_the_controller_stays_between_0_and_1():
    controller, few, many = losses.equilibrium(lambda_k=1.0).controller, -jnp.ones(2), -10 * jnp.ones(2)
    assert controller.update(jnp.array(0.9), many, few)[0] == 1
    assert controller.update(jnp.array(0.1), few, many)[0] == 0


@pytest.mark.parametrize(
    ('base', 'price'),
    [
        ('cross_entropy', lambda margin: -np.log(sigmoid(margin))),
        ('least_squares', lambda margin: (margin - 1) ** 2),
        ('hinge', lambda margin: relu(1 - margin)),
    ],
)
def test_relativistic_games_judge_a_pair_or_against_the_mean(base, price, float64):
    paired, average = losses.relativistic(base), losses.relativistic_average(base)
    assert paired.generator_sees_real
    assert average.generator_sees_real
    close(paired.discriminator(REAL, FAKE), price(REAL - FAKE).mean())
    close(paired.generator(FAKE, real=REAL), price(FAKE - REAL).mean())
    real, fake = REAL - FAKE.mean(), FAKE - REAL.mean()
    # The paper's four terms: f1 and f2 for the discriminator, g1 and g2 for the generator; f2(y) = f1(-y).
    close(average.discriminator(REAL, FAKE), price(real).mean() + price(-fake).mean())
    close(average.generator(FAKE, real=REAL), price(fake).mean() + price(-real).mean())


def test_the_gradient_of_a_pair_is_one_minus_its_probability(float64):
    real, fake = jax.grad(losses.relativistic().discriminator, argnums=(0, 1))(jnp.array(REAL), jnp.array(FAKE))
    close(real, -sigmoid(FAKE - REAL) / 3)
    close(fake, sigmoid(FAKE - REAL) / 3)


@pytest.mark.parametrize('name', DIVERGENCES)
def test_f_divergence_composes_the_papers_activation_and_conjugate(name, float64):
    """Nowozin et al. 2016, table 2 (and 6 for total variation): g, then f*, as they are printed."""
    activation, conjugate = {
        'kl': (lambda v: v, lambda t: np.exp(t - 1)),
        'reverse_kl': (lambda v: -np.exp(-v), lambda t: -1 - np.log(-t)),
        'pearson': (lambda v: v, lambda t: t**2 / 4 + t),
        'squared_hellinger': (lambda v: 1 - np.exp(-v), lambda t: t / (1 - t)),
        'jensen_shannon': (lambda v: np.log(2) - np.log(1 + np.exp(-v)), lambda t: -np.log(2 - np.exp(t))),
        'gan': (lambda v: -np.log(1 + np.exp(-v)), lambda t: -np.log(1 - np.exp(t))),
        'total_variation': (lambda v: np.tanh(v) / 2, lambda t: t),
    }[name]
    loss = losses.f_divergence(name)
    model = conjugate(activation(FAKE)).mean()
    close(loss.discriminator(REAL, FAKE), model - activation(REAL).mean())
    close(loss.generator(FAKE), -model)
    close(losses.f_divergence(name, saturating=False).generator(FAKE), -activation(FAKE).mean())


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('logistic', losses.non_saturating()),
        ('relativistic_pairing', losses.relativistic()),
        ('f_divergence gan', losses.minimax()),
        ('f_divergence gan non-saturating', losses.non_saturating()),
    ],
)
def test_forms_that_are_one_game_agree_in_value_and_gradient(one, other, float64):
    real, fake = jnp.array(REAL), jnp.array(FAKE)
    one = GAMES[one]
    for player, arguments in (('discriminator', (real, fake)), ('generator', (fake, real))):
        each = [jax.value_and_grad(getattr(loss, player), argnums=(0, 1))(*arguments) for loss in (one, other)]
        jax.tree.map(close, *each)


@pytest.mark.parametrize('name', GAMES)
def test_gradients_match_finite_differences(name, float64):
    loss = GAMES[name]
    logits, step = jnp.concatenate([REAL, FAKE]), 1e-6

    def both(logits):
        real, fake = logits[:3], logits[3:]
        return loss.discriminator(real, fake) + 1.7 * loss.generator(fake, real)

    values = jax.jit(jax.vmap(both))(logits + step * np.concatenate([np.eye(6), -np.eye(6)]))
    gradient = jax.grad(both)(logits)
    assert jnp.any(gradient != 0)
    np.testing.assert_allclose(gradient, (values[:6] - values[6:]) / (2 * step), rtol=1e-8, atol=1e-9)


def expected_loss(loss, logits):
    """The discriminator's loss on a discrete game, E_P over real and E_Q over fake, of one logit for each atom.

    A mean over atoms repeated as often as they are likely; the smallest probability here is 0.05.
    """
    real, fake = (np.repeat(np.arange(4), np.round(20 * weights).astype(int)) for weights in (P, Q))
    return loss.discriminator(logits[real], logits[fake])


@pytest.mark.parametrize(
    ('name', 'best'),
    [
        ('minimax', np.log(P / Q)),
        ('logistic', np.log(P / Q)),
        ('smoothed minimax', np.log(0.8 * P / (0.2 * P + Q))),
        ('least_squares', P / (P + Q)),
        ('least_squares -1 1 0', (P - Q) / (P + Q)),
        ('f_divergence kl', 1 + np.log(P / Q)),
        ('f_divergence reverse_kl', np.log(P / Q)),
        ('f_divergence pearson', 2 * (P / Q - 1)),
        ('f_divergence squared_hellinger', np.log(P / Q) / 2),
        ('f_divergence jensen_shannon', np.log(P / Q)),
        ('f_divergence gan', np.log(P / Q)),
    ],
)
def test_the_best_logit_for_two_known_densities(name, best, float64):
    """Solved by Newton's method from a logit of 0; each loss is a sum of convex functions of one logit."""
    loss = GAMES[name]

    @jax.jit
    def newton(logits):
        slope = jax.grad(lambda logits: expected_loss(loss, logits))
        return logits - slope(logits) / jax.jvp(slope, (logits,), (jnp.ones(4),))[1]

    logits = jnp.zeros(4)
    for _ in range(30):
        logits = newton(logits)
    np.testing.assert_allclose(logits, best, rtol=1e-9, atol=1e-9)


F = {
    'kl': lambda u: u * np.log(u),
    'reverse_kl': lambda u: -np.log(u),
    'pearson': lambda u: (u - 1) ** 2,
    'squared_hellinger': lambda u: (np.sqrt(u) - 1) ** 2,
    'jensen_shannon': lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
    'gan': lambda u: u * np.log(u) - (u + 1) * np.log(u + 1),
    'total_variation': lambda u: np.abs(u - 1) / 2,
}


@pytest.mark.parametrize('name', DIVERGENCES)
def test_the_best_discriminator_attains_the_divergence_with_the_slope_of_f(name, float64):
    """Nowozin et al. 2016, equations 4 and 5: T* = f'(p/q), and the bound is tight there."""
    u = P / Q
    logits = {
        'kl': 1 + np.log(u),
        'pearson': 2 * (u - 1),
        'squared_hellinger': np.log(u) / 2,
        'total_variation': 300 * np.sign(u - 1),
    }.get(name, np.log(u))
    slope = (F[name](u + 1e-6) - F[name](u - 1e-6)) / 2e-6
    np.testing.assert_allclose(DIVERGENCES[name].activation(logits), slope, rtol=1e-8, atol=1e-8)
    divergence = (Q * F[name](u)).sum()
    close(-expected_loss(losses.f_divergence(name), logits), divergence)
    worse = jnp.asarray(logits) + np.array([0.1, -0.1, 0.1, -0.1]) * (name != 'total_variation')
    assert -expected_loss(losses.f_divergence(name), worse) <= divergence + 1e-12


def test_the_best_hinge_discriminator_is_the_sign_and_attains_total_variation(float64):
    """Lim and Ye 2017: between -1 and 1 the loss is linear in each logit, and outside it grows."""
    best = jnp.asarray(np.sign(P - Q))
    value = expected_loss(losses.hinge(), best)
    close(value, 2 - np.abs(P - Q).sum())
    for change in (-0.5, 0.5):
        for atom in range(4):
            assert expected_loss(losses.hinge(), best.at[atom].add(change)) > value


def test_at_the_generators_optimum_the_discriminator_knows_nothing_and_loses_log_4(float64):
    """Goodfellow et al. 2014, theorem 1."""
    same = jnp.zeros(3)
    close(losses.minimax().discriminator(same, same), math.log(4))
    close(jax.grad(lambda x: losses.minimax().discriminator(x, x))(same), 0)


def test_saturating_gradient_vanishes_where_the_other_does_not():
    confident = jnp.array([-20.0])
    assert abs(jax.grad(losses.minimax().generator)(confident)[0]) < 1e-8
    assert abs(jax.grad(losses.non_saturating().generator)(confident)[0] + 1) < 1e-8
    assert abs(jax.grad(losses.f_divergence('kl').generator)(confident)[0]) < 1e-8
    assert jax.grad(losses.f_divergence('kl', saturating=False).generator)(confident)[0] == -1


# For a real logit of -300 and a fake one of 300, all wrong, or of 300 and -300, all right: the discriminator's loss.
@pytest.mark.parametrize(
    ('name', 'wrong', 'right'),
    [
        ('non_saturating', 600, 0),
        ('minimax', 600, 0),
        ('logistic', 600, 0),
        ('smoothed non_saturating', 540, 60),
        ('least_squares', (301**2 + 300**2) / 2, (299**2 + 300**2) / 2),
        ('wasserstein', 600, -600),
        ('hinge', 602, 0),
        ('margin', 610, -300),
        ('equilibrium', 390, -390),
        ('relativistic', 600, 0),
        ('relativistic least_squares', 601**2, 599**2),
        ('relativistic hinge', 601, 0),
        ('relativistic_average', 1200, 0),
        ('relativistic_average least_squares', 2 * 601**2, 2 * 599**2),
        ('relativistic_average hinge', 1202, 0),
        ('f_divergence kl', math.inf, -300),
        ('f_divergence reverse_kl', math.inf, -301),
        ('f_divergence pearson', 300**2 / 4 + 600, 300**2 / 4 - 600),
        ('f_divergence squared_hellinger', math.inf, -2),
        ('f_divergence jensen_shannon', 600 - 2 * math.log(2), -2 * math.log(2)),
        ('f_divergence gan', 600, 0),
        ('f_divergence total_variation', 1, -1),
    ],
)
def test_values_and_gradients_at_logits_of_300_in_float32(name, wrong, right):
    loss = GAMES[name]
    with_gradient = jax.value_and_grad(loss.discriminator, argnums=(0, 1))
    low, high = jnp.array([-300.0]), jnp.array([300.0])
    value, gradient = with_gradient(low, high)
    np.testing.assert_allclose(value, wrong, rtol=1e-6)
    assert np.all(np.isfinite(gradient)) == math.isfinite(wrong)
    value, gradient = with_gradient(high, low)
    np.testing.assert_allclose(value, right, rtol=1e-6, atol=1e-6)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.isfinite(jax.grad(loss.generator)(low, high)))


def test_a_tiny_probability_keeps_its_gradient():
    # d/dx softplus(-x) at 60 is -e^-60, which 1 - sigmoid would round to 0.
    for loss in (losses.non_saturating(), losses.logistic(), losses.f_divergence('gan', saturating=False)):
        np.testing.assert_allclose(jax.grad(loss.generator)(jnp.array([60.0])), -math.exp(-60), rtol=1e-5)


@pytest.mark.parametrize('name', LABELLED)
def test_label_noise_moves_every_target_and_leaves_the_expected_gradient(name, float64):
    plain, noisy = losses.LOSSES[name](), losses.LOSSES[name](label_noise=0.3)
    real, fake = jnp.array(REAL), jnp.array(FAKE)
    draws = jax.vmap(jax.value_and_grad(noisy.discriminator, argnums=(0, 1)), in_axes=(None, None, 0))
    values, gradients = draws(real, fake, jax.random.split(jax.random.key(0), 20000))
    value, gradient = jax.value_and_grad(plain.discriminator, argnums=(0, 1))(real, fake)
    constant = 0.3**2 / 3 if name == 'least_squares' else 0.0  # the variance of uniform noise, halved and twice
    assert abs(values.mean() - value - constant) < 4 * values.std() / math.sqrt(len(values))
    for drawn, exact in zip(gradients, gradient, strict=True):
        shifts = 3 * (drawn - exact)  # the gradient of a logit is affine in its target, with slope -1/n
        assert np.abs(shifts).max() <= 0.3
        assert np.all(np.abs(shifts).max(0) > 0.29)
        np.testing.assert_allclose(shifts.mean(0), 0, atol=4 * 0.3 / math.sqrt(3 * 20000))
        assert abs(np.corrcoef(shifts, rowvar=False)[0, 1]) < 0.03  # each place has its own
    assert abs(np.corrcoef(gradients[0][:, 0], gradients[1][:, 0])[0, 1]) < 0.03


def test_label_noise_leaves_the_generator_alone_and_needs_a_key():
    loss = losses.non_saturating(label_noise=0.2)
    assert loss.generator(FAKE) == losses.non_saturating().generator(FAKE)
    with pytest.raises(UserError) as error:
        loss.discriminator(REAL, FAKE)
    assert (
        str(error.value)
        == 'loss.label_noise needs a random key: pass one to the discriminator loss, or set label_noise to 0.'
    )


def test_a_relativistic_loss_refuses_logits_that_are_no_pairs():
    loss, logits = losses.relativistic(), jnp.ones(3)
    with pytest.raises(UserError, match=r'The shape of logits is \(3, 1\); it must be that of the others, \(3,\)'):
        loss.discriminator(logits[:, None], logits)
    with pytest.raises(UserError, match='relativistic loss of the generator needs real logits'):
        loss.generator(logits)


def test_flips_exchange_logits_at_a_place():
    real, fake = jnp.arange(1.0, 4001.0), -jnp.arange(1.0, 4001.0)
    flipped_real, flipped_fake = losses.flip_labels(real, fake, jax.random.key(1), 0.1)
    np.testing.assert_array_equal(flipped_real, -flipped_fake)  # no logit is lost, none leaves its place
    np.testing.assert_array_equal(jnp.abs(flipped_real), real)
    share = np.mean(flipped_real < 0)
    assert abs(share - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 4000)


def test_never_and_always_flipped():
    real, fake, key = jnp.array(REAL), jnp.array(FAKE), jax.random.key(0)
    np.testing.assert_array_equal(losses.flip_labels(real, fake, key, 0.0), (real, fake))
    np.testing.assert_array_equal(losses.flip_labels(real, fake, key, 1.0), (fake, real))


@pytest.mark.parametrize(
    ('name', 'options', 'sentence'),
    [
        *(
            (
                name,
                {'real_label': 1.2},
                'loss.real_label is 1.2, but a label is a probability: choose one between 0 and 1.',
            )
            for name in ('non_saturating', 'minimax')
        ),
        *(
            (name, {'label_noise': -0.1}, 'loss.label_noise is -0.1; it must be at least 0 and finite.')
            for name in LABELLED
        ),
        ('least_squares', {'c': math.inf}, 'loss.c is inf; it must be finite.'),
        ('margin', {'margin': 0.0}, "margin's margin is 0.0; it must be above 0 and at most 1000000."),
        ('equilibrium', {'gamma': 1.5}, "equilibrium's gamma is 1.5; it must be from 0 to 1."),
        *(
            (
                name,
                {'base': 'hing'},
                "There is no base of a relativistic loss 'hing': did you mean 'hinge'? Choose from cross_entropy, "
                'least_squares, hinge.',
            )
            for name in ('relativistic', 'relativistic_average')
        ),
        (
            'f_divergence',
            {'divergence': 'pearsons'},
            "There is no f-divergence 'pearsons': did you mean 'pearson'? Choose from kl, reverse_kl, pearson, "
            'squared_hellinger, jensen_shannon, gan, total_variation.',
        ),
    ],
)
def test_an_impossible_option_gets_one_sentence(name, options, sentence):
    with pytest.raises(UserError) as error:
        losses.LOSSES[name](**options)
    assert str(error.value) == sentence
