"""Terms for class conditioning: the choices of `discriminator.conditioning` that have a loss.

ContraGAN and ReACGAN compare unit vectors: the examples' embeddings with each other and with the vectors of their
classes (proxies), both from the `Judgement`. The discriminator learns from real examples, the generator from its
own. Batches are global, because all examples of a batch are compared.
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from gan_jax.errors import UserError
from gan_jax.game import Array, Pair
from gan_jax.judgement import Judgement
from gan_jax.ranges import POSITIVE_AMOUNT, SHARE
from gan_jax.terms.term import View, one_term


def conditional_contrastive(embeddings: Array, proxies: Array, labels: Array, temperature: float = 1.0) -> Array:
    """The 2C loss: Kang and Park 2020, "ContraGAN: Contrastive Learning for Conditional Image Generation".

    With e = exp(similarity / temperature), it is the mean of -log(own / all): `all` sums e over an example's class and
    all other examples, `own` over its class and the other examples of that class.

    Args:
        embeddings: unit vectors [B, d] of the examples.
        proxies: unit vectors [B, d] of their classes.
        labels: [B], the classes.
        temperature: above 0.

    Returns:
        A scalar.
    """
    own = jnp.sum(embeddings * proxies, -1, keepdims=True) / temperature
    pairs = _similarities(embeddings) / temperature
    same = labels[:, None] == labels[None]
    others = jnp.where(jnp.eye(len(labels), dtype=bool), -jnp.inf, pairs)
    whole = jax.nn.logsumexp(jnp.concatenate([own, others], 1), axis=1)
    part = jax.nn.logsumexp(jnp.concatenate([own, jnp.where(same, others, -jnp.inf)], 1), axis=1)
    return jnp.mean(whole - part)


def data_to_data_cross_entropy(
    embeddings: Array, proxies: Array, labels: Array, temperature: float = 0.5, margin: float = 0.98
) -> Array:
    """D2D-CE: Kang et al. 2021, "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training".

    With e = exp(similarity / temperature), it is the mean of -log(own / all): `own` is e of an example's class, `all`
    adds e of all examples of other classes. A class that is more similar than the margin, and an example that is less
    similar than 1 - margin, add nothing to the gradient.

    Args:
        embeddings: unit vectors [B, d] of the examples.
        proxies: unit vectors [B, d] of their classes.
        labels: [B], the classes.
        temperature: above 0.
        margin: from 0 to 1.

    Returns:
        A scalar.
    """
    own = jnp.minimum(jnp.sum(embeddings * proxies, -1, keepdims=True) - margin, 0) / temperature
    pairs = jnp.maximum(_similarities(embeddings) - (1 - margin), 0) / temperature
    others = jnp.where(labels[:, None] == labels[None], -jnp.inf, pairs)
    return jnp.mean(jax.nn.logsumexp(jnp.concatenate([own, others], 1), axis=1) - own[:, 0])


def auxiliary_classifier(
    generator_weight: float = 1.0, discriminator_weight: float = 1.0, learns_fakes: bool = True
) -> Pair:
    """The class losses of AC-GAN (Odena et al. 2017, equation 3) for a discriminator that also classifies.

    The discriminator classifies real and fake examples; the generator's examples should be classified correctly: mean
    cross-entropies of the class logits.

    Args:
        generator_weight: weight of the classes of fake examples; 0: off.
        discriminator_weight: weight of the classes of real and fake examples; 0: off.
        learns_fakes: whether the discriminator also learns the classes of fake examples, as in the paper. If not, both
            players cannot agree on signs of a class that real examples do not have.
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

    def of_real(view: View) -> Array:
        return cross_entropy(view.real_judgement, view.condition)

    def of_both(view: View) -> Array:
        return of_real(view) + of_fake(view)

    learnt = of_both if learns_fakes else of_real
    return Pair(one_term('class_loss', generator_weight, of_fake), one_term('class_loss', discriminator_weight, learnt))


def contrastive(weight: float = 1.0, temperature: Annotated[float, POSITIVE_AMOUNT] = 1.0) -> Pair:
    """The 2C loss of ContraGAN, `conditional_contrastive`; the weight is that of the authors' code.

    Args:
        weight: its factor for both players; 0: off.
        temperature: divisor of the similarities, above 0.
    """
    return _of_embeddings(
        'contrastive', weight, lambda *vectors: conditional_contrastive(*vectors, temperature=temperature)
    )


def data_to_data(
    weight: float = 0.5,
    temperature: Annotated[float, POSITIVE_AMOUNT] = 0.5,
    margin: Annotated[float, SHARE] = 0.98,
) -> Pair:
    """The D2D-CE loss of ReACGAN, `data_to_data_cross_entropy`, with the constants of the authors' code for CIFAR-10.

    Args:
        weight: its factor for both players; 0: off.
        temperature: divisor of the similarities, above 0.
        margin: similarities beyond it add nothing, from 0 to 1.
    """
    return _of_embeddings(
        'data_to_data',
        weight,
        lambda *vectors: data_to_data_cross_entropy(*vectors, temperature=temperature, margin=margin),
    )


def _of_embeddings(name: str, weight: float, loss: Callable[[Array, Array, Array], Array]) -> Pair:
    def value(view: View, judged: Judgement, labels: Array | None) -> Array:
        if judged.embeddings is None or labels is None or not jnp.issubdtype(labels.dtype, jnp.integer):
            raise UserError(
                'Contrastive conditioning compares examples of classes: it needs class labels, and embeddings and '
                f"proxies in the discriminator's Judgement (discriminator.conditioning={name})."
            )
        return loss(*map(view.gather, (judged.embeddings, judged.proxies, labels)))

    return Pair(
        one_term(name, weight, lambda view: value(view, view.fake_judgement, view.fake_condition)),
        one_term(name, weight, lambda view: value(view, view.real_judgement, view.condition)),
    )


def _similarities(embeddings: Array) -> Array:
    return jnp.matmul(embeddings, embeddings.T, precision='highest')


CLASS_TERMS: dict[str, Callable[..., Pair]] = {
    'auxiliary': auxiliary_classifier,
    'contrastive': contrastive,
    'data_to_data': data_to_data,
}
"""The terms of the conditionings that have some; their options are the sections of a config of the same names."""
