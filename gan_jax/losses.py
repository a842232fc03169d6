"""Adversarial losses from logits.

Each factory returns a `Loss`: two pure functions of the discriminator's logits on real and on generated examples, one
for each player to minimise. The logits are those of the complete global batch. Probabilities of the papers are
written with `softplus` of a logit; no probability is ever computed, so large logits keep their gradients.
"""

import math
from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.f_divergences import DIVERGENCES
from gan_jax.layers.choices import choose, require
from gan_jax.ranges import POSITIVE_AMOUNT, SHARE, checked

Logits = jax.Array
Key = jax.Array


class Controller(NamedTuple):
    """A number in the discriminator's loss that changes with the logits of each of its steps.

    The number is part of the training state, so a resumed run continues with it.

    Attributes:
        start: the number before the first step.
        at: number -> the `Loss` with it.
        update: (number, real logits [n], fake logits [n]) -> the number of the next step, and metrics by name.
    """

    start: float
    at: Callable[[jax.Array], 'Loss']
    update: Callable[[jax.Array, Logits, Logits], tuple[jax.Array, dict[str, jax.Array]]]


class Loss(NamedTuple):
    """The loss of each player.

    Attributes:
        discriminator: (real logits [n], fake logits [n], key=None) -> scalar. The key is for losses with random noise,
            the same key on every device.
        generator: (fake logits [n], real logits [n] or None) -> scalar.
        generator_sees_real: whether the generator's loss needs the real logits.
        parts: as `discriminator`, but returns (loss on real, loss on fake examples), whose sum is the loss; None if no
            such parts exist.
        controller: what changes the discriminator's loss during the training; None: nothing does.
    """

    discriminator: Callable[..., jax.Array]
    generator: Callable[..., jax.Array]
    generator_sees_real: bool = False
    parts: Callable[..., tuple[jax.Array, jax.Array]] | None = None
    controller: Controller | None = None


def binary_cross_entropy(logits: Logits, target: jax.Array | float) -> jax.Array:
    """Mean of -(t log D + (1 - t) log(1 - D)) over logits of any shape, for targets t (one, or one for each logit)."""
    return jnp.mean(target * jax.nn.softplus(-logits) + (1.0 - target) * jax.nn.softplus(logits))


def _half_squares(logits: Logits, target: jax.Array | float) -> jax.Array:
    return jnp.mean((logits - target) ** 2) / 2


def non_saturating(real_label: float = 1.0, fake_label: float = 0.0, label_noise: float = 0.0) -> Loss:
    """The non-saturating game: the generator maximises log D(G(z)).

    Goodfellow et al. 2014, "Generative Adversarial Nets", section 3: same fixed point as the minimax game, with strong
    gradients early in training. `real_label=0.9` is one-sided label smoothing (Salimans et al. 2016, "Improved
    Techniques for Training GANs", section 3.4); `fake_label=0.1` beside it makes it two-sided. The generator's own
    target stays 1.

    Args:
        real_label: the discriminator's target on real examples, in [0, 1].
        fake_label: its target on generated examples, in [0, 1].
        label_noise: uniform noise in [-label_noise, label_noise] is added to each target, which does not change the
            expected loss.
    """
    _check_labels(real_label, fake_label)
    parts = _against_targets(binary_cross_entropy, real_label, fake_label, label_noise)
    return _sum(parts, lambda fake, real=None: binary_cross_entropy(fake, 1.0))


def minimax(real_label: float = 1.0, fake_label: float = 0.0, label_noise: float = 0.0) -> Loss:
    """The saturating zero-sum game: the generator minimises log(1 - D(G(z))).

    Goodfellow et al. 2014, equation 1. At the generator's optimum the discriminator's loss is log 4. The labels and
    their noise change the discriminator's targets as in `non_saturating`.

    Args:
        real_label: the discriminator's target on real examples, in [0, 1].
        fake_label: its target on generated examples, in [0, 1].
        label_noise: uniform noise in [-label_noise, label_noise] is added to each target.
    """
    _check_labels(real_label, fake_label)
    parts = _against_targets(binary_cross_entropy, real_label, fake_label, label_noise)
    return _sum(parts, lambda fake, real=None: -binary_cross_entropy(fake, 0.0))


def logistic() -> Loss:
    """The non-saturating game as in StyleGAN's code (Karras et al. 2019): equal to `non_saturating()`."""
    return _sum(
        lambda real, fake, key=None: (jax.nn.softplus(-real).mean(), jax.nn.softplus(fake).mean()),
        lambda fake, real=None: jax.nn.softplus(-fake).mean(),
    )


def least_squares(a: float = 0.0, b: float = 1.0, c: float = 1.0, label_noise: float = 0.0) -> Loss:
    """LSGAN (Mao et al. 2017, "Least Squares Generative Adversarial Networks", section 3.2), with its factors of 1/2.

    The best logit is (b p + a q) / (p + q). With b - c = 1 and b - a = 2 the generator minimises the Pearson
    divergence between p + q and 2 q; the defaults are the paper's 0-1 scheme.

    Args:
        a: the discriminator's target on generated examples.
        b: its target on real examples.
        c: the generator's target on generated examples.
        label_noise: added to a and b for each example as in `non_saturating`; the expected loss gains a constant,
            label_noise^2 / 3, and the expected gradient does not change.
    """
    for name, label in (('a', a), ('b', b), ('c', c)):
        require(math.isfinite(label), f'loss.{name}', label, 'finite')
    return _sum(_against_targets(_half_squares, b, a, label_noise), lambda fake, real=None: _half_squares(fake, c))


def mean_squares() -> Loss:
    """CycleGAN's loss: mean squares for the generator, half of them for the discriminator (Zhu et al. 2017, section 4).

    `least_squares` has a factor of 1/2 in both, which would double the relative weight of the generator's other terms.
    """
    halves = least_squares()
    return halves._replace(generator=lambda fake, real=None: 2 * halves.generator(fake, real))


def wasserstein() -> Loss:
    """WGAN (Arjovsky et al. 2017, "Wasserstein GAN", equations 2 and 3 and algorithm 1): the difference of the means.

    It estimates a distance only under a Lipschitz constraint: clipped weights, a gradient penalty, spectral norm.
    """
    return _sum(lambda real, fake, key=None: (-real.mean(), fake.mean()), lambda fake, real=None: -fake.mean())


def hinge() -> Loss:
    """The hinge loss (Lim and Ye 2017, "Geometric GAN"; Miyato et al. 2018, equations 16 and 17)."""
    return _sum(
        lambda real, fake, key=None: (jax.nn.relu(1 - real).mean(), jax.nn.relu(1 + fake).mean()),
        lambda fake, real=None: -fake.mean(),
    )


@checked
def margin(margin: Annotated[float, POSITIVE_AMOUNT] = 10.0) -> Loss:
    """EBGAN: low energies for real examples, energies of at least a margin for fake ones.

    Zhao et al. 2017, "Energy-based Generative Adversarial Networks", equations 1 and 2. The energy of an example is
    minus its logit, and at least 0: the reconstruction error of an autoencoder, as in the models `ebgan` and `began`.

    Args:
        margin: the energy from which fake examples do not count in the discriminator's loss.
    """
    return _sum(
        lambda real, fake, key=None: (-real.mean(), jax.nn.relu(margin + fake).mean()),
        lambda fake, real=None: -fake.mean(),
    )


@checked
def equilibrium(gamma: Annotated[float, SHARE] = 0.5, lambda_k: Annotated[float, SHARE] = 0.001) -> Loss:
    """BEGAN: the mean energies of fake and real examples are kept at the ratio gamma.

    Berthelot et al. 2017, "BEGAN: Boundary Equilibrium Generative Adversarial Networks", section 3.4. The energy of an
    example is minus its logit, the reconstruction error of an autoencoder. With the mean energies L(x) and L(G(z)) the
    discriminator minimises L(x) - k L(G(z)), the generator L(G(z)). After each step of the discriminator
    k += lambda_k (gamma L(x) - L(G(z))), within [0, 1] and from 0. Both energies are those of the discriminator's step,
    whose latents are not those of the generator's; in the paper the controller has the generator's.

    The metrics are `k`, and `convergence`, the paper's M_global = L(x) + |gamma L(x) - L(G(z))| (section 3.4.1), which
    falls as the training converges.

    Args:
        gamma: the ratio; lower: better but less diverse images.
        lambda_k: the gain of the controller.
    """

    def at(k: jax.Array | float) -> Loss:
        return _sum(
            lambda real, fake, key=None: (-real.mean(), k * fake.mean()),
            lambda fake, real=None: -fake.mean(),
        )

    def update(k: jax.Array, real: Logits, fake: Logits) -> tuple[jax.Array, dict[str, jax.Array]]:
        of_real, of_fake = -real.mean(), -fake.mean()
        difference = gamma * of_real - of_fake
        metrics = {'k': k, 'convergence': of_real + jnp.abs(difference)}
        return jnp.clip(k + lambda_k * difference, 0.0, 1.0), metrics

    return at(0.0)._replace(controller=Controller(0.0, at, update))


# The loss of a margin: the logit of the example that should look more real, minus that of the other.
_MARGINS: dict[str, Callable[[Logits], jax.Array]] = {
    'cross_entropy': lambda margin: jax.nn.softplus(-margin),
    'least_squares': lambda margin: (margin - 1) ** 2,
    'hinge': lambda margin: jax.nn.relu(1 - margin),
}


def relativistic(base: str = 'cross_entropy') -> Loss:
    """The relativistic game: the i-th real example is judged against the i-th generated one.

    Jolicoeur-Martineau 2018, "The relativistic discriminator", section 4 (RSGAN for 'cross_entropy'). The generator
    plays the same game with the parts exchanged.

    Args:
        base: the loss of a margin, 'cross_entropy', 'least_squares' or 'hinge'.
    """
    price = choose(_MARGINS, base, 'base of a relativistic loss')

    def prefer(better: Logits, worse: Logits) -> jax.Array:
        # (n,) and (n, 1) would be compared all with all
        require(better.shape == worse.shape, 'The shape of logits', better.shape, f'that of the others, {worse.shape}')
        return price(better - worse).mean()

    return _exchangeable(prefer)


def relativistic_pairing() -> Loss:
    """RpGAN, the loss of R3GAN (Huang et al. 2024, "The GAN is dead", equation 2): an alias of `relativistic()`."""
    return relativistic('cross_entropy')


def relativistic_average(base: str = 'cross_entropy') -> Loss:
    """The relativistic average game: each example is judged against the mean of the opposite kind.

    Jolicoeur-Martineau 2018, section 4 and the appendix: RaSGAN for 'cross_entropy', RaLSGAN for 'least_squares',
    RaHingeGAN for 'hinge'. Sums of the two expectations, as in the paper; its code halves them.

    Args:
        base: the loss of a margin, 'cross_entropy', 'least_squares' or 'hinge'.
    """
    price = choose(_MARGINS, base, 'base of a relativistic loss')

    def prefer(better: Logits, worse: Logits) -> jax.Array:
        return price(better - worse.mean()).mean() + price(better.mean() - worse).mean()

    return _exchangeable(prefer)


def f_divergence(divergence: str = 'kl', saturating: bool = True) -> Loss:
    """f-GAN (Nowozin et al. 2016, equation 6): the discriminator's minimum loss is minus an f-divergence.

    Args:
        divergence: a name from `gan_jax.f_divergences.DIVERGENCES`, which lists the formulas.
        saturating: the generator minimises the divergence itself; False: the trick of section 3.2, with which it
            maximises the discriminator's output on its examples instead.
    """
    activation, conjugate = choose(DIVERGENCES, divergence, 'f-divergence')

    def parts(real: Logits, fake: Logits, key: Key | None = None) -> tuple[jax.Array, jax.Array]:
        del key
        return -activation(real).mean(), conjugate(fake).mean()

    def generator(fake: Logits, real: Logits | None = None) -> jax.Array:
        del real
        return -(conjugate if saturating else activation)(fake).mean()

    return _sum(parts, generator)


LOSSES: dict[str, Callable[..., Loss]] = {
    'non_saturating': non_saturating,
    'minimax': minimax,
    'logistic': logistic,
    'least_squares': least_squares,
    'mean_squares': mean_squares,
    'wasserstein': wasserstein,
    'hinge': hinge,
    'margin': margin,
    'equilibrium': equilibrium,
    'relativistic': relativistic,
    'relativistic_pairing': relativistic_pairing,
    'relativistic_average': relativistic_average,
    'f_divergence': f_divergence,
}


def flip_labels(real: Logits, fake: Logits, key: Key, probability: float) -> tuple[Logits, Logits]:
    """Randomly flips labels of the discriminator, for any loss (Chintala et al. 2016, "How to Train a GAN?").

    Args:
        real: logits [n] on real examples.
        fake: logits [n] on generated examples.
        key: the random key, the same on every device.
        probability: probability in [0, 1] that the two logits at a place are exchanged, independently for each place.

    Returns:
        The real and the fake logits [n] for the discriminator's loss.
    """
    flipped = jax.random.bernoulli(key, probability, real.shape)
    return jnp.where(flipped, fake, real), jnp.where(flipped, real, fake)


def weighted(loss: Loss, *, discriminator: float = 1.0, generator: float = 1.0) -> Loss:
    """A loss times a factor for each player.

    Args:
        loss: the loss.
        discriminator: factor of the discriminator's loss, and of its parts.
        generator: factor of the generator's loss.
    """
    parts, controller = loss.parts, loss.controller
    if controller is not None:
        at = controller.at
        controller = controller._replace(
            at=lambda number: weighted(at(number), discriminator=discriminator, generator=generator)
        )
    return loss._replace(
        discriminator=lambda *given: discriminator * loss.discriminator(*given),
        generator=lambda fake, real=None: generator * loss.generator(fake, real),
        parts=parts and (lambda *given: tuple(discriminator * part for part in parts(*given))),
        controller=controller,
    )


def _sum(parts: Callable[..., tuple[jax.Array, jax.Array]], generator: Callable[..., jax.Array]) -> Loss:
    """A loss whose discriminator part is the sum of two parts."""

    def discriminator(real: Logits, fake: Logits, key: Key | None = None) -> jax.Array:
        on_real, on_fake = parts(real, fake, key)
        return on_real + on_fake

    return Loss(discriminator, generator, parts=parts)


def _exchangeable(prefer: Callable[[Logits, Logits], jax.Array]) -> Loss:
    """A loss that is the same function for both players, with real and fake examples exchanged."""

    def generator(fake: Logits, real: Logits | None = None) -> jax.Array:
        if real is None:
            raise UserError('A relativistic loss of the generator needs real logits: pass them after the fake ones.')
        return prefer(fake, real)

    return Loss(lambda real, fake, key=None: prefer(real, fake), generator, generator_sees_real=True)


def _check_labels(real_label: float, fake_label: float) -> None:
    for name, label in (('real_label', real_label), ('fake_label', fake_label)):
        if not 0.0 <= label <= 1.0:
            raise UserError(f'loss.{name} is {label}, but a label is a probability: choose one between 0 and 1.')


def _against_targets(error: Callable, real_label: float, fake_label: float, label_noise: float) -> Callable:
    """The parts of a discriminator's loss: the errors of logits against noisy labels."""
    require(0 <= label_noise < math.inf, 'loss.label_noise', label_noise, 'at least 0 and finite')

    def parts(real: Logits, fake: Logits, key: Key | None = None) -> tuple[jax.Array, jax.Array]:
        real_target, fake_target = real_label, fake_label
        if label_noise:
            if key is None:
                raise UserError(
                    'loss.label_noise needs a random key: pass one to the discriminator loss, or set label_noise to 0.'
                )
            real_key, fake_key = jax.random.split(key)
            real_target += jax.random.uniform(real_key, real.shape, minval=-label_noise, maxval=label_noise)
            fake_target += jax.random.uniform(fake_key, fake.shape, minval=-label_noise, maxval=label_noise)
        return error(real, real_target), error(fake, fake_target)

    return parts
