"""Penalties as terms: the inputs of each function of `gan_jax.penalties`, from a pass of the game.

Each function makes the terms of both players from its options; weight 0 makes none. `PENALTIES` lists them by name.
They can be combined with each other, any loss and any network.
"""

import functools
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp

from gan_jax import penalties
from gan_jax.augmentation import augment
from gan_jax.errors import UserError
from gan_jax.game import Array, Pair
from gan_jax.layers.choices import require
from gan_jax.ranges import COUNT
from gan_jax.terms.term import View, one_term, stateful_term


def _of_gradients(name: str, weight: float, value: Callable[[View], Array], *, differentiates: str = '') -> Pair:
    return Pair((), one_term(name, weight, value, lazy=True, differentiates=differentiates))


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
    return _of_examples('r1', weight, 'real')


def r2(weight: float = 0.0) -> Pair:
    """R2, squared gradients at generated examples, `penalties.r2`.

    Args:
        weight: the paper's gamma; 0: off.
    """
    return _of_examples('r2', weight, 'fake')


def _of_examples(name: str, weight: float, of: str) -> Pair:
    def value(view: View) -> Array:
        gradients = view.gradients.get(of)
        if gradients is None:
            gradients = penalties.input_gradients(view.critic, getattr(view, of))
        return penalties.half_squared_norm(gradients)

    return _of_gradients(name, weight, value, differentiates=of)


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

    return Pair((), stateful_term('lecam', weight, value, lambda network: (jnp.zeros(()), jnp.zeros(()))))


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
        stateful_term('historical', generator_weight, value, start),
        stateful_term('historical', discriminator_weight, value, start),
    )


def path_length(weight: float = 0.0, decay: float = 0.01, shrink: Annotated[int, COUNT] = 1) -> Pair:
    """Path length regularisation of styles, or else latents, `penalties.path_length`; StyleGAN2's weight is 2.

    Args:
        weight: its factor.
        decay: decay of the average length.
        shrink: only every `shrink`-th latent is used; 2 in StyleGAN2.
    """
    require(0 < decay <= 1, 'penalties.path_length.decay', decay, 'above 0 and at most 1')

    def value(view: View, average):
        # Every shrink-th latent, not the first part: several devices then use the same latents as a single one.
        latents, positions, generate = view.latents[::shrink], view.positions[::shrink], view.generate
        if view.styles is not None:
            latents, generate = view.styles(latents)
        return penalties.path_length(
            generate, latents, average, view.key, positions, decay=decay, axis_name=view.axis_name
        )

    return Pair(stateful_term('path_length', weight, value, lambda network: jnp.zeros(()), lazy=True), ())


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
