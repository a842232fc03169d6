"""Terms that are added to the players' losses: penalties, feature matching, class losses.

The mathematics is in `gan_jax.penalties`. Here each penalty defines its inputs from a pass of the game and the player
whose loss it joins, so that all of them can be combined with each other, any loss and any network. `PENALTIES` lists
them by name; each makes the terms of both players from its options; weight 0 makes none.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax import global_batch, penalties
from gan_jax.augmentation import augment
from gan_jax.errors import UserError
from gan_jax.game import Array, Key, Pair, PyTree, stream
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import choose, is_on, require, require_not_negative
from gan_jax.ranges import COUNT


@dataclasses.dataclass(frozen=True)
class View:
    """One pass of the game, as input of a term of a player's loss.

    Attributes:
        params: the parameters of the player that moves.
        discriminate: examples [B, ...] -> their `Judgement` in training mode and float32 arithmetic,
            after the game's augmentation.
        critic: the same as a function to logits [B] alone.
        generate: latents [B, ...] -> examples [B, ...], the generator in training mode.
        latents: [B, ...], the latents of the fake examples.
        draw: key -> other latents [B, ...] from the same distribution.
        real: examples [B, ...].
        fake: examples [B, ...], generated in this step.
        discriminate_real: () -> the `Judgement` of the real examples as inputs of the discriminator in this pass.
        fake_judgement: that of the fake examples, including replayed ones with experience replay.
        condition: the conditions of `real` and of `fake`, or None.
        fake_condition: the conditions of the examples in `fake_judgement`.
        key: the random key of the term.
        positions: [B], the examples' positions in the global batch.
        axis_name: the mapped axis of the batch, or None.
        discriminate_again: ('real' or 'fake', examples [B, ...]) -> their logits [B], computed with the randomness of
            `real_judgement` or `fake_judgement`; None: these are not those of `critic` at `real` and `fake`.
        styles: latents [b, ...], the first of the batch -> (styles, a function from styles to examples), for a
            generator with styles; see `Network`.
    """

    params: PyTree
    discriminate: Callable[[Array], Judgement]
    critic: Callable[[Array], Array]
    generate: Callable[[Array], Array]
    latents: Array
    draw: Callable[[Key], Array]
    real: Array
    fake: Array
    discriminate_real: Callable[[], Judgement]
    fake_judgement: Judgement
    condition: Array | None
    fake_condition: Array | None
    key: Key
    positions: Array
    axis_name: str | None
    discriminate_again: Callable[[str, Array], Array] | None = None
    styles: Callable[[Array], tuple[Array, Callable[[Array], Array]]] | None = None

    @functools.cached_property
    def real_judgement(self) -> Judgement:
        """The `Judgement` of the real examples."""
        return self.discriminate_real()

    def mean(self, tree: PyTree) -> PyTree:
        """The mean of each device's values over the devices."""
        return global_batch.mean(tree, self.axis_name)

    def gather(self, values: Array) -> Array:
        """[B, ...] of this device -> [B, ...] of the global batch."""
        return global_batch.gather(values, self.axis_name)


class Term(NamedTuple):
    """A term added to a player's loss.

    Attributes:
        name: the name of its metric.
        weight: its factor.
        value: (view, memory) -> (scalar, new memory).
        memory: the player's (params, variables) -> the initial memory; None: it has no memory.
        lazy: whether it can be applied only in every k-th step.
    """

    name: str
    weight: float
    value: Callable[[View, Any], tuple[Array, Any]]
    memory: Callable[[tuple[PyTree, PyTree]], Any] | None = None
    lazy: bool = False


Terms = tuple[Term, ...]
NO_TERMS: Pair = Pair((), ())


def one_term(name: str, weight: float, value: Callable[[View], Array], *, lazy: bool = False) -> Terms:
    """The term with that weight as a tuple of one, or an empty tuple for weight 0."""
    return _remembering(name, weight, lambda view, memory: (value(view), memory), None, lazy=lazy)


def _remembering(name: str, weight: float, value: Callable, memory: Callable | None, *, lazy: bool = False) -> Terms:
    """The same for a term with a memory; value and memory as in `Term`."""
    check_weights({name: weight})
    return (Term(name, weight, value, memory, lazy),) if is_on(weight) else ()


def check_weights(weights: Mapping[str, float]) -> None:
    """Raises a UserError for the first negative weight of these terms."""
    for name, weight in weights.items():
        require_not_negative(f'The weight of {name}', weight)


def _of_gradients(name: str, weight: float, value: Callable[[View], Array]) -> Pair:
    return Pair((), one_term(name, weight, value, lazy=True))


def gradient_penalty(weight: float = 0.0, target: float = 1.0, one_sided: bool = False) -> Pair:
    """WGAN-GP's gradient penalty, `penalties.gradient_penalty`; the paper's weight is 10.

    Args:
        weight: its factor; 0: off.
        target: the norm that gradients should have.
        one_sided: whether only larger norms are penalised.
    """
    return _of_gradients(
        'gradient_penalty',
        weight,
        lambda view: penalties.gradient_penalty(
            view.critic, view.real, view.fake, view.key, view.positions, target=target, one_sided=one_sided
        ),
    )


def zero_centered(weight: float = 0.0) -> Pair:
    """A gradient penalty with target 0 on interpolates, `penalties.zero_centered_penalty`.

    Args:
        weight: its factor; 0: off.
    """
    return _of_gradients(
        'zero_centered',
        weight,
        lambda view: penalties.zero_centered_penalty(view.critic, view.real, view.fake, view.key, view.positions),
    )


def dragan(weight: float = 0.0, target: float = 1.0, scale: float = 0.5) -> Pair:
    """DRAGAN's gradient penalty around real examples, `penalties.dragan`; the paper's weight is 10.

    Args:
        weight: its factor; 0: off.
        target: the norm that gradients should have.
        scale: scale of the noise, in standard deviations of the batch.
    """
    return _of_gradients(
        'dragan',
        weight,
        lambda view: penalties.dragan(
            view.critic,
            view.real,
            view.key,
            view.positions,
            target=target,
            scale=scale,
            axis_name=view.axis_name,
        ),
    )


def r1(weight: float = 0.0) -> Pair:
    """R1, squared gradients at real examples, `penalties.r1`.

    Args:
        weight: the paper's gamma; 0: off.
    """
    return _of_gradients('r1', weight, lambda view: penalties.r1(view.critic, view.real))


def r2(weight: float = 0.0) -> Pair:
    """R2, squared gradients at generated examples, `penalties.r2`.

    Args:
        weight: the paper's gamma; 0: off.
    """
    return _of_gradients('r2', weight, lambda view: penalties.r2(view.critic, view.fake))


def _approximated(name: str, weight: float, deviation: float, of: str) -> Pair:
    def value(view: View) -> Array:
        critic, logits = view.critic, None
        if view.discriminate_again is not None:
            critic = functools.partial(view.discriminate_again, of)
            logits = (view.real_judgement if of == 'real' else view.fake_judgement).logits
        return penalties.approximate_gradients(
            critic, getattr(view, of), view.key, view.positions, deviation=deviation, logits=logits
        )

    return _of_gradients(name, weight, value)


def approximate_r1(weight: float = 0.0, deviation: float = 0.01) -> Pair:
    """R1 by finite differences, `penalties.approximate_gradients` at real examples.

    Args:
        weight: that of R1; 0: off.
        deviation: standard deviation of the noise on the examples.
    """
    return _approximated('approximate_r1', weight, deviation, 'real')


def approximate_r2(weight: float = 0.0, deviation: float = 0.01) -> Pair:
    """R2 by finite differences, `penalties.approximate_gradients` at generated examples.

    Args:
        weight: that of R2; 0: off.
        deviation: standard deviation of the noise on the examples.
    """
    return _approximated('approximate_r2', weight, deviation, 'fake')


def drift(weight: float = 0.0) -> Pair:
    """ProGAN's penalty of large logits of real examples, `penalties.drift`; the paper's weight is 0.001.

    Args:
        weight: its factor; 0: off.
    """
    return Pair((), one_term('drift', weight, lambda view: penalties.drift(view.real_judgement.logits)))


def centring(weight: float = 0.0) -> Pair:
    """Centres the logits of the n-th real and the n-th fake example, `penalties.centring`; the paper's weight is 0.01.

    Args:
        weight: its factor; 0: off.
    """

    def value(view: View) -> Array:
        return penalties.centring(view.real_judgement.logits, view.fake_judgement.logits)

    return Pair((), one_term('centring', weight, value))


def mode_seeking(weight: float = 0.0) -> Pair:
    """The generator's examples should differ where latents do, `penalties.mode_seeking`; the paper's weight is 1.

    Args:
        weight: its factor; 0: off.
    """

    def value(view: View) -> Array:
        others = view.draw(view.key)
        return penalties.mode_seeking(view.fake, view.generate(others), view.latents, others, view.axis_name)

    return Pair(one_term('mode_seeking', weight, value), ())


def pulling_away(weight: float = 0.0) -> Pair:
    """The codes of generated examples should differ, `penalties.pulling_away`; EBGAN's weight is 0.1.

    The codes are the last of the discriminator's features, over the global batch.

    Args:
        weight: its factor; 0: off.
    """

    def value(view: View) -> Array:
        features = view.fake_judgement.features
        if not features:
            raise UserError('The pulling-away term needs a discriminator that returns a Judgement with features.')
        return penalties.pulling_away(view.gather(list(features.values())[-1]))

    return Pair(one_term('pulling_away', weight, value), ())


def lecam(weight: float = 0.0, decay: float = 0.99) -> Pair:
    """LeCam: logits stay near moving averages of those of the opposite kind, `penalties.lecam`.

    Args:
        weight: its factor; 0: off.
        decay: decay of the averages of the mean logits, which start at 0.
    """
    require(0 <= decay < 1, 'penalties.lecam.decay', decay, 'at least 0 and below 1')

    def value(view: View, averages):
        means = view.mean((view.real_judgement.logits.mean(), view.fake_judgement.logits.mean()))
        averages = jax.tree.map(
            lambda old, new: decay * old + (1 - decay) * jax.lax.stop_gradient(new), averages, means
        )
        return penalties.lecam(view.real_judgement.logits, view.fake_judgement.logits, *averages), averages

    return Pair((), _remembering('lecam', weight, value, lambda network: (jnp.zeros(()), jnp.zeros(()))))


def consistency(
    real_weight: float = 0.0,
    fake_weight: float = 0.0,
    latent_weight: float = 0.0,
    diversity_weight: float = 0.0,
    latent_deviation: float = 0.07,
) -> Pair:
    """Consistency regularisation by `penalties.consistency`, of mirrored and shifted images.

    CR has `real_weight` 10; bCR both `real_weight` and `fake_weight` 10; zCR `latent_weight` 5 and, for the generator,
    `diversity_weight` 0.5; ICR is all of them.

    Args:
        real_weight: weight for real images; 0: off.
        fake_weight: weight for generated images; 0: off.
        latent_weight: weight for images of perturbed latents, for the discriminator; 0: off.
        diversity_weight: weight of the distance of images of perturbed latents, for the generator; 0: off.
        latent_deviation: standard deviation of the noise on latents.
    """

    def unchanged(examples: str) -> Callable[[View], Array]:
        def value(view: View) -> Array:
            images = getattr(view, examples)
            moved = augment.translate_and_flip(images, view.key, view.positions)
            return penalties.consistency(view.critic(images), view.critic(moved))

        return value

    def pair(view: View) -> tuple[Array, Array]:
        moved = augment.instance_noise(view.latents, view.key, view.positions, latent_deviation)
        return view.generate(view.latents), view.generate(moved)

    return Pair(
        generator=one_term('latent_diversity', diversity_weight, lambda view: penalties.latent_diversity(*pair(view))),
        discriminator=(
            *one_term('real_consistency', real_weight, unchanged('real')),
            *one_term('fake_consistency', fake_weight, unchanged('fake')),
            *one_term(
                'latent_consistency',
                latent_weight,
                lambda view: penalties.consistency(*(view.critic(examples) for examples in pair(view))),
            ),
        ),
    )


def orthogonal(generator_weight: float = 0.0, discriminator_weight: float = 0.0, off_diagonal: bool = True) -> Pair:
    """Orthogonal regularisation of either player's weights, `penalties.orthogonal`; BigGAN's generator has weight 1e-4.

    The strength in BigGAN-PyTorch multiplies a gradient half as large: its 1e-4 is the weight 5e-5.

    Args:
        generator_weight: its factor for the generator; 0: off.
        discriminator_weight: its factor for the discriminator; 0: off.
        off_diagonal: whether only products of different filters are penalised.
    """

    def value(view: View) -> Array:
        return penalties.orthogonal(view.params, off_diagonal=off_diagonal)

    return Pair(one_term('orthogonal', generator_weight, value), one_term('orthogonal', discriminator_weight, value))


def historical(generator_weight: float = 0.0, discriminator_weight: float = 0.0) -> Pair:
    """Parameters stay near their average over all steps so far, `penalties.historical_average`.

    Args:
        generator_weight: its factor for the generator; 0: off.
        discriminator_weight: its factor for the discriminator; 0: off.
    """

    def value(view: View, memory):
        average, count = memory
        count = count + 1
        params = jax.lax.stop_gradient(view.params)
        average = jax.tree.map(lambda old, new: old + (new - old) / count, average, params)
        return penalties.historical_average(view.params, average), (average, count)

    def start(network):
        params, _ = network
        return params, jnp.zeros(())

    return Pair(
        _remembering('historical', generator_weight, value, start),
        _remembering('historical', discriminator_weight, value, start),
    )


def path_length(weight: float = 0.0, decay: float = 0.01, shrink: Annotated[int, COUNT] = 1) -> Pair:
    """Path length regularisation of styles, or else latents, `penalties.path_length`; StyleGAN2's weight is 2.

    Args:
        weight: its factor.
        decay: decay of the average length.
        shrink: only one of so many latents is used; 2 in StyleGAN2.
    """
    require(0 < decay <= 1, 'penalties.path_length.decay', decay, 'above 0 and at most 1')

    def value(view: View, average):
        # Not the first half: several devices look at the latents that one would.
        latents, positions, generate = view.latents[::shrink], view.positions[::shrink], view.generate
        if view.styles is not None:
            latents, generate = view.styles(latents)
        return penalties.path_length(
            generate, latents, average, view.key, positions, decay=decay, axis_name=view.axis_name
        )

    return Pair(_remembering('path_length', weight, value, lambda network: jnp.zeros(()), lazy=True), ())


def stage_consistency(weight: float = 0.0) -> Pair:
    """Early stages of a generator agree with its last, `penalties.stage_consistency`; CAT's weight is reported as 0.1.

    Args:
        weight: its factor; 0: off.
    """

    def value(view: View) -> Array:
        if view.fake.ndim <= view.real.ndim:
            raise UserError('Consistency of stages needs a generator with several stages, such as the model gat.')
        return penalties.stage_consistency(view.fake)

    return Pair(one_term('stage_consistency', weight, value), ())


PENALTIES: dict[str, Callable[..., Pair]] = {
    'gradient_penalty': gradient_penalty,
    'zero_centered': zero_centered,
    'dragan': dragan,
    'r1': r1,
    'r2': r2,
    'approximate_r1': approximate_r1,
    'approximate_r2': approximate_r2,
    'drift': drift,
    'centring': centring,
    'mode_seeking': mode_seeking,
    'pulling_away': pulling_away,
    'lecam': lecam,
    'consistency': consistency,
    'orthogonal': orthogonal,
    'historical': historical,
    'path_length': path_length,
    'stage_consistency': stage_consistency,
}


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


def auxiliary_classifier(generator_weight: float = 1.0, discriminator_weight: float = 1.0) -> Pair:
    """The class losses of AC-GAN (Odena et al. 2017, equation 3) for a discriminator that also classifies.

    The discriminator classifies real and fake examples; the generator's examples should be classified correctly: mean
    cross-entropies of the class logits.

    Args:
        generator_weight: weight of the classes of fake examples; 0: off.
        discriminator_weight: weight of the classes of real and fake examples; 0: off.
    """

    def cross_entropy(judged: Judgement, labels: Array | None) -> Array:
        if judged.classes is None or labels is None or not jnp.issubdtype(labels.dtype, jnp.integer):
            raise UserError(
                'The auxiliary classifier needs class labels, and class logits in the '
                "discriminator's Judgement (discriminator.conditioning=auxiliary)."
            )
        return optax.softmax_cross_entropy_with_integer_labels(judged.classes, labels).mean()

    def of_fake(view: View) -> Array:
        return cross_entropy(view.fake_judgement, view.fake_condition)

    def of_both(view: View) -> Array:
        return cross_entropy(view.real_judgement, view.condition) + of_fake(view)

    return Pair(
        one_term('class_loss', generator_weight, of_fake), one_term('class_loss', discriminator_weight, of_both)
    )


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


def check_terms(terms: Pair) -> None:
    """Raises a UserError for common mistakes in the argument `terms`."""
    fits = isinstance(terms, Sequence) and len(terms) == len(Pair._fields)
    if not fits or not all(isinstance(term, Term) for some in terms for term in (some if _is_tuple(some) else [some])):
        raise UserError(
            'terms must be the terms of the generator and those of the discriminator, as returned by the '
            'functions of gan_jax.terms: terms.r1(weight=10), or terms.joined([...]) for several.'
        )


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple | list) and not isinstance(value, Term)


def joined(pairs: Sequence[Pair]) -> Pair:
    """All the terms of each player."""
    return Pair(*(tuple(term for pair in pairs for term in getattr(pair, player)) for player in Pair._fields))


def total(
    terms: Sequence[Term], view: View, memory: dict[str, Any], factor: float = 1.0
) -> tuple[Array, dict[str, Array], dict[str, Any]]:
    """The weighted sum of terms, each term's value as a metric, and their new memory."""
    value, metrics, updated = jnp.zeros(()), {}, {}
    for term in terms:
        seen = dataclasses.replace(view, key=stream(view.key, term.name))
        metrics[term.name], updated[term.name] = term.value(seen, memory.get(term.name))
        value += factor * term.weight * metrics[term.name]
    return value, metrics, {name: kept for name, kept in updated.items() if name in memory}
