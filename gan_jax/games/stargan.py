"""StarGAN: translation between several domains by one generator, which may learn from several data sets at once."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from gan_jax import global_batch, losses
from gan_jax.adversarial import adversarial
from gan_jax.data import MAIN, batch_field
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Pair, PlayerLoss, PyTree
from gan_jax.judgement import judgement
from gan_jax.layers.choices import require
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT
from gan_jax.terms import NO_TERMS, View, joined, one_term
from gan_jax.translators import distance, renamed, without_condition

NEEDS_CLASSES = True


def stargan(
    generator: Network,
    discriminator: Network,
    loss: Loss | None = None,
    *,
    shape: tuple[int, int, int],
    num_domains: int | Mapping[str, int],
    names: Sequence[str] | None = None,
    classification: float = 1.0,
    reconstruction: float = 10.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of several domains (Choi et al. 2018, equations 1 to 6), of one data set or of several (section 3.2).

    Several sets have different domains, K in all, and only the domain in its own set is known of an image. The
    generator's condition is then [labels of set 1, labels of set 2, ..., mask] (equation 7): zeros for all labels of
    other sets, and as mask the one-hot set whose labels are given. The cross-entropy of an image is that of the class
    logits of its own set. In training an image is translated into domains of its own set, and back into its own domain.
    The paper alternates the sets between batches; here they alternate within each batch, by the positions of the
    images, and the other images of the sets in that batch are not used.

    Args:
        generator: images [B, *shape], with domains [B, D] as condition -> images of these domains; it has no
            variables. D is K for one set, with one-hot domains, and K + n for n sets, with the mask.
        discriminator: images -> a `Judgement` with logits [B, ...] and class logits [B, K].
        loss: the loss of each player; None: `gan_jax.losses.wasserstein`, which needs a gradient penalty among the
            terms.
        shape: (H, W, C).
        num_domains: K of one set; or the number of domains of each set in order, by the batch field of its images, such
            as {'a': 6, 'real': 10}.
        names: names of all K domains in pictures; None: 'in domain 0' and so on.
        classification: weight of the cross-entropy of the domain, of real images for the discriminator (equation 2)
            and of translations for the generator (equation 3).
        reconstruction: weight of the mean absolute difference of an image and the translation of its translation into
            its own domain (equation 4).
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`, except replay.

    Returns:
        A game over batches `{'real': [B, *shape], 'label': [B]}`, with the same fields 'a' and 'a_label' of a further
        set 'a'. The latents are domains [n, D], each equally likely; those of several sets alternate between the sets.
        In training they are those of the translations, and `sample(params, variables, domains, images)` translates
        images. `classify` are the discriminator's class logits of the domains of 'real', and `targets` are -1 for
        domains of other sets.

    Raises:
        UserError: an option is impossible; when a step is traced, the discriminator has no class logits.
    """
    sets = _Sets(num_domains if isinstance(num_domains, Mapping) else {MAIN: num_domains})
    require(not options.get('replay'), 'replay', options.get('replay'), '0 in a StarGAN')

    def back(view: View) -> Array:
        own = sets.condition(view.condition['domain'])
        images, _ = generator.apply(view.params, {}, view.fake, view.key, True, own)
        return distance(images, view.condition['image'])

    def of_fake(view: View) -> Array:
        logits, wanted = _classes(view.fake_judgement), view.latents
        return optax.softmax_cross_entropy(logits, sets.labels(wanted), where=sets.known(wanted)).mean()

    def of_real(view: View) -> Array:
        logits, domains = _classes(view.real_judgement), view.condition['domain']
        known = sets.known(sets.condition(domains))
        return optax.softmax_cross_entropy_with_integer_labels(logits, domains, where=known).mean()

    own_terms = Pair(
        (
            *one_term('classification', classification, of_fake),
            *one_term('reconstruction', reconstruction, back),
        ),
        one_term('classification', classification, of_real),
    )
    game = adversarial(
        _told_domains(generator),
        without_condition(discriminator),
        loss or losses.wasserstein(),
        sets.draw,
        condition={'image': jax.ShapeDtypeStruct(tuple(shape), jnp.float32), 'domain': jax.ShapeDtypeStruct((), int)},
        terms=joined([own_terms, terms]),
        **options,
    )

    def sample(params: PyTree, variables: PyTree, domains: Array, images: Array) -> Array:
        return generator.apply(params, variables, images, None, False, domains)[0]

    def show(params: PyTree, variables: PyTree, domains: Array, batch: Batch) -> dict[str, Array]:
        has_all = set(sets.sizes) <= set(batch)  # otherwise there are only images to translate
        images = sets.in_turn(batch, jnp.arange(len(domains))) if has_all else batch['real']
        shown = {'image': images}
        for domain, name in enumerate(names or [f'in domain {i}' for i in range(sets.total)]):
            target = sets.condition(jnp.full(len(images), domain))
            shown[name] = sample(params, variables, target, images)
        return shown

    def classify(params: PyTree, variables: PyTree, images: Array) -> Array:
        return sets.of_real(_classes(judgement(discriminator.apply(params, variables, images, None, False)[0])))

    def targets(domains: Array) -> Array:
        found = sets.of_real(sets.labels(domains))
        return jnp.where(found.any(-1), found.argmax(-1), -1)

    turns = tuple(turn._replace(loss=_with_domains(turn.loss)) for turn in game.turns)
    return game._replace(
        turns=turns,
        sample=sample,
        given='real',
        show=show,
        discriminate=None,
        classify=classify,
        targets=targets,
        prepare=sets.prepare if len(sets.sizes) > 1 else None,
    )


def from_config(
    classification: Annotated[float, AMOUNT] = 1.0, reconstruction: Annotated[float, AMOUNT] = 10.0, *, parts: Parts
) -> Game:
    """The game of a config, over batches {'real', 'label'}: the classes are the domains.

    Of two labelled data sets the first is the set 'a', and the generator gets a mask vector.

    Args:
        classification: weight of the cross-entropy of the domain for both players.
        reconstruction: weight of the difference of an image and the translation back of its translation.
        parts: parts of the game.

    Raises:
        UserError: the data have no classes, a set has only one, the sets have images of different shapes, or a batch is
            too small for an image of each.
    """
    if parts.num_classes is None:
        raise UserError(
            'StarGAN translates between the classes of its data, and these have none: choose labelled data.'
        )
    sets = dict(parts.label_sets)
    sets[MAIN] = sets.pop(MAIN, range(parts.num_classes))  # the last, as in unpaired:FIRST,SECOND
    shape = parts.shape('real') if len(sets) == 1 else parts.shape_of_domains()
    require(parts.config.batch_size >= len(sets), 'batch_size', parts.config.batch_size, 'at least one for each set')
    labels = [label for of_set in sets.values() for label in of_set]
    is_named = len(set(labels)) == len(labels) and all(isinstance(label, str) for label in labels)
    parts = dataclasses.replace(parts, num_classes=len(labels))
    condition = len(labels) + len(sets) * (len(sets) > 1)

    def discriminator(dtype: str | None = None) -> Network:
        return parts.network('discriminator', shape, shape, dtype=dtype)

    return stargan(
        parts.network('generator', shape, shape, condition=jax.ShapeDtypeStruct((condition,), jnp.float32)),
        discriminator(),
        parts.loss,
        shape=shape,
        num_domains={name: len(of_set) for name, of_set in sets.items()},
        names=[f'to {label}' for label in labels] if is_named else None,
        classification=classification,
        reconstruction=reconstruction,
        critic=parts.critic(lambda dtype: without_condition(discriminator(dtype))),
        **parts.options,
    )


@dataclasses.dataclass(frozen=True)
class _Sets:
    """Data sets with different domains, whose K domains are numbered one set after the other.

    Attributes:
        sizes: the number of domains of each set, by the batch field of its images.
    """

    sizes: Mapping[str, int]

    def __post_init__(self):
        for name, size in self.sizes.items():
            of = f' of the set {name!r}' if len(self.sizes) > 1 else ''
            require(size >= 2, f'The number of domains{of}', size, 'at least 2')

    @property
    def total(self) -> int:
        """K."""
        return sum(self.sizes.values())

    @property
    def first(self) -> dict[str, int]:
        """The number of the first domain of each set."""
        return dict(zip(self.sizes, itertools.accumulate(self.sizes.values(), initial=0), strict=False))

    @property
    def of_domains(self) -> Array:
        """The number of the set of each domain [K]."""
        return jnp.array([number for number, size in enumerate(self.sizes.values()) for _ in range(size)])

    def condition(self, domains: Array) -> Array:
        """The condition of domains [n]: [n, K] or, with the mask of several sets, [n, K + sets]."""
        labels = jax.nn.one_hot(domains, self.total)
        if len(self.sizes) == 1:
            return labels
        return jnp.concatenate([labels, jax.nn.one_hot(self.of_domains[domains], len(self.sizes))], axis=-1)

    def labels(self, condition: Array) -> Array:
        """The one-hot domains [n, K] of a condition."""
        return condition[:, : self.total]

    def known(self, condition: Array) -> Array | None:
        """Which domains are of the set whose labels are given: bool [n, K]; None: all."""
        return None if len(self.sizes) == 1 else condition[:, self.total + self.of_domains] > 0

    def of_real(self, values: Array) -> Array:
        """The columns of values [n, K] that are of the domains of the set 'real'."""
        return values[:, self.first[MAIN] :][:, : self.sizes[MAIN]]

    def draw(self, key: Key, positions: Array) -> Array:
        """The condition of domains of the set of each position [n], each domain of the set equally likely."""
        positions, most = jnp.asarray(positions), math.lcm(*self.sizes.values())
        drawn = global_batch.draw(lambda key: jax.random.randint(key, (), 0, most), key, positions)
        firsts, sizes = (jnp.array([*of.values()])[positions % len(of)] for of in (self.first, self.sizes))
        return self.condition(firsts + drawn % sizes)

    def in_turn(self, batch: Batch, positions: Array, kind: str = 'real') -> Array:
        """The images of the set of each position [n], or their labels."""
        fields = [batch_field(name, kind) for name in self.sizes]
        arrays = renamed(batch, dict(zip(fields, fields, strict=True)))
        return jnp.stack([*arrays.values()])[positions % len(fields), jnp.arange(len(positions))]

    def prepare(self, batch: Batch, key: Key, positions: Array) -> Batch:
        """A batch of images of the set of each position, with their domains."""
        del key
        firsts = jnp.array([*self.first.values()])[positions % len(self.sizes)]
        labels = firsts + self.in_turn(batch, positions, 'label')
        return {'real': self.in_turn(batch, positions), 'label': labels}


def _told_domains(network: Network) -> Network:
    """The generator whose latents are the domains of translations, and whose condition has the images."""

    def apply(params, variables, domains, key, train, condition=None):
        return network.apply(params, variables, condition['image'], key, train, domains)

    return Network(network.init, apply)


def _with_domains(loss: PlayerLoss) -> PlayerLoss:
    """A loss over batches whose condition is an image and its domain, as one over labelled images."""

    def over(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        condition = renamed(batch, {'image': 'real', 'domain': 'label'})
        return loss(params, state, {'real': batch['real'], 'label': condition}, key, positions)

    return over


def _classes(judged) -> Array:
    if judged.classes is None:
        raise UserError(
            'StarGAN needs class logits in the Judgement of its discriminator: choose the family stargan, or another '
            'discriminator with them.'
        )
    return judged.classes
