"""Terms on what a discriminator returns beside its logits: features, the direction of its last layer, rotations."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import optax

from gan_jax.augmentation import augment
from gan_jax.errors import UserError
from gan_jax.game import Array, Pair
from gan_jax.layers.choices import choose
from gan_jax.terms.term import View, one_term

DISTANCES: dict[str, Callable[[Array], Array]] = {
    'squared': lambda difference: jnp.sum(difference**2),
    'mean_squared': lambda difference: jnp.mean(difference**2),
    'mean_absolute': lambda difference: jnp.mean(jnp.abs(difference)),
}


def feature_matching(weight: float = 0.0, features: Sequence[str] = (), distance: str = 'squared') -> Pair:
    """The generator matches the mean of the discriminator's features on real examples.

    Salimans et al. 2016, section 3.1: || mean f(x) - mean f(G(z)) ||^2 over the global batch, summed over the named
    features; by default the last one.

    Args:
        weight: its factor.
        features: names among the discriminator's.
        distance: distance of the means: 'squared' as above; 'mean_squared' and 'mean_absolute', means over the values
            of a feature, are those of the authors' code for MNIST and for CIFAR-10.
    """
    measure = choose(DISTANCES, distance, 'distance of feature matching')

    def value(view: View) -> Array:
        real, fake = view.real_judgement.features, view.fake_judgement.features
        if not fake:
            raise UserError('Feature matching needs a discriminator that returns a Judgement with features.')
        total = jnp.zeros(())
        for name in features or list(fake)[-1:]:
            means = [view.mean(choose(some, name, 'feature').astype(jnp.float32).mean(0)) for some in (real, fake)]
            total += measure(means[0] - means[1])
        return total

    return Pair(one_term('feature_matching', weight, value), ())


def slicing() -> Pair:
    """The loss of the direction of a discriminator's last layer under slicing (Takida et al. 2024, SAN).

    It is the mean of fake examples minus that of real ones, along that direction.
    """

    def value(view: View) -> Array:
        real, fake = view.real_judgement.direction, view.fake_judgement.direction
        if real is None or fake is None:
            raise UserError('Slicing needs a discriminator whose Judgement has a direction (discriminator.slicing).')
        return fake.mean() - real.mean()

    return Pair((), one_term('direction', 1.0, value))


def rotation(generator_weight: float = 0.2, discriminator_weight: float = 1.0) -> Pair:
    """Self-supervision of SSGAN: the discriminator predicts the number of quarter turns of real images.

    Chen et al. 2019, "Self-Supervised GANs via Auxiliary Rotation Loss", equation 4, with the paper's weights: mean
    cross-entropies of `Judgement.rotations` on rotated real images for the discriminator, and on rotated fake ones for
    the generator, whose images should have a recognisable rotation. Each image is rotated once, by its position in the
    batch modulo 4; logits and the adversarial loss use unrotated images.

    Args:
        generator_weight: weight of rotated fake images; 0: off.
        discriminator_weight: weight of rotated real images; 0: off.
    """

    def cross_entropy(view: View, images: Array) -> Array:
        turns = jnp.asarray(view.positions) % 4
        judged = view.discriminate(augment.quarter_turns(images, turns))
        if judged.rotations is None:
            raise UserError(
                "The rotation term needs rotation logits in the discriminator's Judgement: set "
                'discriminator.rotations=True.'
            )
        return optax.softmax_cross_entropy_with_integer_labels(judged.rotations, turns).mean()

    return Pair(
        one_term('rotation', generator_weight, lambda view: cross_entropy(view, view.fake)),
        one_term('rotation', discriminator_weight, lambda view: cross_entropy(view, view.real)),
    )
