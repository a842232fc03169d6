"""A term of a player's loss, its inputs, and sums of terms."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.errors import UserError
from gan_jax.game import Array, Key, Pair, PyTree, stream
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import is_on, require_not_negative


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
        gradients: those that terms have asked for by `Term.differentiates`: 'real' or 'fake' -> the gradients [B, ...]
            of the logits of `real_judgement` or `fake_judgement` with respect to the examples. They share the pass
            with the logits. Empty where `discriminate_again` is None.
        styles: latents [b, ...], the first of the batch -> (styles, a function from styles to examples), for a
            generator with styles; see `Network`.
        generator: the generator's (params, variables) in this pass.
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
    gradients: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    styles: Callable[[Array], tuple[Array, Callable[[Array], Array]]] | None = None
    generator: tuple[PyTree, PyTree] | None = None

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
        differentiates: 'real' or 'fake': its value uses `View.gradients` of these examples if there are any; '': none.
    """

    name: str
    weight: float
    value: Callable[[View, Any], tuple[Array, Any]]
    memory: Callable[[tuple[PyTree, PyTree]], Any] | None = None
    lazy: bool = False
    differentiates: str = ''


Terms = tuple[Term, ...]
NO_TERMS: Pair = Pair((), ())


def one_term(name: str, weight: float, value: Callable[[View], Array], **options: Any) -> Terms:
    """The term with that weight as a tuple of one, or an empty tuple for weight 0; `options` as in `stateful_term`."""
    return stateful_term(name, weight, lambda view, memory: (value(view), memory), None, **options)


def stateful_term(
    name: str,
    weight: float,
    value: Callable[[View, Any], tuple[Array, Any]],
    memory: Callable[[tuple[PyTree, PyTree]], Any] | None,
    *,
    lazy: bool = False,
    differentiates: str = '',
) -> Terms:
    """`one_term` with a memory; the other arguments as in `Term`."""
    check_weights({name: weight})
    return (Term(name, weight, value, memory, lazy, differentiates),) if is_on(weight) else ()


def check_weights(weights: Mapping[str, float]) -> None:
    """Raises a UserError for the first negative weight of these terms."""
    for name, weight in weights.items():
        require_not_negative(f'The weight of {name}', weight)


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
