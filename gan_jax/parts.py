"""The parts of a game that a config names: networks, loss, latents and terms.

A game's `from_config` (see `gan_jax.games`) combines them.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import games, models
from gan_jax.balance import Balance
from gan_jax.config import defaults
from gan_jax.errors import UserError
from gan_jax.game import LATENTS, Array, Key, Pair
from gan_jax.latent_step import LatentStep
from gan_jax.layers.choices import is_on, is_traced
from gan_jax.losses import Loss
from gan_jax.networks import Network, from_flax, recomputed
from gan_jax.terms.classes import CLASS_TERMS
from gan_jax.values import flat

Shape = tuple[int, ...]
T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Parts:
    """The parts of a config's game.

    Attributes:
        config: from `gan_jax.config.load`.
        shapes: shape of one example in each field of a batch: 'real', and the other fields of the data.
        axis_name: the mapped axis of the global batch.
        num_classes: number of classes, or None if the data have no labels or no network uses them.
        reference: real examples [R, *shape] and their labels, for virtual batch normalisation and for parameters that
            start from data; None if only shapes matter.
        label_sets: the classes of each labelled part of the data, by name or number; {} if only `num_classes` is known.
    """

    config: ConfigDict
    shapes: Mapping[str, Shape]
    axis_name: str | None = None
    num_classes: int | None = None
    reference: tuple[Array, Array | None] | None = None
    label_sets: Mapping[str, Sequence[str | int]] = dataclasses.field(default_factory=dict)

    def shape(self, field: str) -> Shape:
        """The shape of one example in a field of the batches.

        Raises:
            UserError: the data do not have the field.
        """
        if field not in self.shapes:
            raise UserError(
                f'The game {self.config.game.name} needs batches with {field!r}, but those of '
                f'{self.config.data.name!r} have {" and ".join(self.shapes)}: choose other data, such as '
                f'{_EXAMPLES.get(field, "a data set with it")}.'
            )
        return tuple(self.shapes[field])

    def shape_of_domains(self) -> Shape:
        """The shape of one image of the source domain 'a' and of the target domain 'real'.

        Raises:
            UserError: the domains have images of different shapes.
        """
        source, target = self.shape('a'), self.shape('real')
        if source != target:
            raise UserError(
                f'{self.config.game.name} needs domains of equal images, but those of the source are {source} and '
                f'those of the target {target}: set data.size and data.channels.'
            )
        return source

    def module(self, role: str, shape: Shape, dtype: str | None = None) -> nn.Module:
        """The linen module of a role.

        Args:
            role: one of the game's ROLES.
            shape: shape of one example that it generates or discriminates.
            dtype: arithmetic of the network; None: that of the config.

        Raises:
            UserError: its family does not have the network, or an option's value is impossible.
        """
        family = defaults.family_of(self.config, role)
        network = models.network(family, role, importing=False)
        accepted = inspect.signature(network).parameters
        if self.axis_name and 'axis_name' not in accepted:
            raise UserError(
                f'{family}.{network.__name__} has no field axis_name, which makes batch norm and dropout global under '
                'pmap: add one, or set parallel.mode=sharding.'
            )
        given = {
            'shape': tuple(shape),
            'channels': shape[-1],
            'dtype': jnp.dtype(dtype or self.config.dtype),
            'axis_name': self.axis_name,
            'num_classes': self.num_classes,
        }
        options = self.config[role].to_dict()
        options.pop('family', None)
        return network(**{name: value for name, value in given.items() if name in accepted}, **options)

    def network(
        self,
        role: str,
        inputs: Shape,
        shape: Shape,
        *,
        condition: jax.ShapeDtypeStruct | None = None,
        reference: Callable[[Key], tuple[Array, Array | None]] | None = None,
        dtype: str | None = None,
        within: Callable[[nn.Module], nn.Module] = lambda module: module,
        method: str = '__call__',
    ) -> Network:
        """The network of a role.

        Args:
            role: one of the game's ROLES.
            inputs: shape of one input.
            shape: shape of one example that it generates or discriminates.
            condition: shape and dtype of one example's condition, or None.
            reference: as in `from_flax`.
            dtype: arithmetic of the network; None: that of the config.
            within: the role's module -> a module that contains it.
            method: as in `from_flax`.
        """
        virtual = self.config[role].get('normalization') == 'virtual'
        module, reference = within(self.module(role, shape, dtype)), reference if virtual else None
        made = from_flax(module, inputs, condition=condition, reference=reference, method=method)
        return recomputed(made) if self.config.recompute else made

    @property
    def latents(self) -> Callable[[Key, Array], Array]:
        """How latents are drawn."""
        return LATENTS[self.config.latents.distribution](self.config.latents.size)

    @property
    def loss(self) -> Loss:
        """The loss of the generator and the discriminator."""
        loss = configs.make(self.config, 'loss')
        if self.config.feature_matching.alone:
            loss = loss._replace(generator=lambda fake, real=None: jnp.zeros(()), generator_sees_real=False)
        return loss

    @property
    def terms(self) -> Pair:
        """The terms added to each player's loss."""
        return configs.make_terms(self.config)

    @property
    def options(self) -> dict[str, Any]:
        """All other arguments of `gan_jax.adversarial.adversarial` except the critic."""
        config = self.config
        noise, top, total = config.instance_noise, config.top_k, configs.steps(config, 'duration')
        return {
            'terms': self.terms,
            'lazy': (config.lazy.generator, config.lazy.discriminator),
            'augmentation': None if config.augment.name == 'none' else configs.make(config, 'augment'),
            'noise': (lambda step: noise.deviation * jnp.maximum(0.0, 1 - step / (noise.until * total)))
            if is_on(noise.deviation)
            else None,
            'real_fade': (lambda step: jnp.minimum(1.0, step / (config.real_fade * total)))
            if config.real_fade
            else None,
            'flip_labels': config.flip_labels,
            'replay': config.replay,
            'top_share': (lambda step: top.share ** jnp.minimum(1.0, step / (top.until * total)))
            if is_traced(top.share) or top.share < 1
            else None,
            'discriminators': config.discriminators.number,
            'combine': config.discriminators.combine,
            'discriminator_steps': configs.most_discriminator_steps(config),
            'generator_steps': config.generator_steps,
            'discriminator_count': _discriminator_count(config, total),
            'balance': Balance(**config.balance),
            'unrolled_steps': config.unrolled_steps,
            'latent_step': LatentStep(
                **config.latent_step, bound=1.0 if config.latents.distribution == 'uniform' else None
            )
            if is_on(config.latent_step.size)
            else None,
            'axis_name': self.axis_name,
        }

    def critic(self, make: Callable[[str], T]) -> T | None:
        """The discriminators of gradient penalties, in float32; None: the config's arithmetic is float32 already.

        Args:
            make: dtype of the arithmetic -> the discriminators.
        """
        return None if self.config.dtype == 'float32' else make('float32')

    def refuse_decay(self, frozen: str) -> None:
        """Raises a UserError for weight decay of the generator, which would change parts of it that are frozen."""
        if is_on(self.config.generator_optimizer.get('weight_decay', 0.0)):
            raise UserError(
                f'generator_optimizer.weight_decay would change {frozen}, which does not move in this phase: unset it '
                'here; earlier_phases may set it.'
            )

    def refuse_steps(self) -> None:
        """Raises a UserError for a number of steps of generator or discriminator in a round that is not the default.

        For a game, or a stage of one, in which neither of them moves.
        """
        for key, value in self._changed('discriminator_steps', 'discriminator_schedule.steps', 'generator_steps'):
            raise UserError(
                f'{key}={value} has no effect in this phase, in which neither generator nor discriminator moves: '
                'unset it here; earlier_phases may set it.'
            )

    def refuse_adversarial_options(self) -> None:
        """Raises a UserError for an option of the usual adversarial game that is not at its default.

        For a game that has losses of its own and does not use them.
        """
        for key, _ in self._changed(*_ADVERSARIAL):
            raise UserError(f'{self.config.game.name} has losses of its own, so {key} has no effect: unset it.')

    def _changed(self, *names: str) -> Iterator[tuple[str, Any]]:
        """The keys of these names or sections that are not at their defaults, with their values; traced ones count."""
        usual = flat(defaults.base(self.config.model, self.config.game.name))
        for key, value in flat(self.config).items():
            if {key, key.partition('.')[0]} & {*names} and (is_traced(value) or value != usual.get(key)):
                yield key, value


def starts_from_examples(config: ConfigDict) -> bool:
    """Whether networks start from real examples: for virtual batch normalisation, or if the game needs it."""
    asked = getattr(games.find(config.game.name, importing=False), 'STARTS_FROM_DATA', False)
    return asked or any(config[role].get('normalization') == 'virtual' for role in configs.roles_of(config))


def needs_classes(config: ConfigDict) -> bool:
    """Whether a game needs the classes of the real examples, even if its generator is not conditional."""
    return getattr(games.find(config.game.name, importing=False), 'NEEDS_CLASSES', False)


def is_conditional(config: ConfigDict) -> bool:
    """Whether the players are conditional.

    Raises:
        UserError: only one of them is conditional.
    """
    told = {name: config.get(name, {}).get('conditioning', 'none') != 'none' for name in Pair._fields}
    if told['generator'] != told['discriminator']:
        blind = 'generator' if told['discriminator'] else 'discriminator'
        consequence = (
            'the generator would not know which class its opponent expects'
            if told['discriminator']
            else 'the generator would have no reason to use the class'
        )
        raise UserError(
            f'{blind}.conditioning is none while the other player is conditional, and {consequence}: set it.'
        )
    return told['generator']


_ADVERSARIAL = (
    'loss', 'flip_labels', 'penalties', 'terms', 'lazy', 'feature_matching', 'rotation', *CLASS_TERMS, 'augment',
    'instance_noise', 'real_fade', 'replay', 'discriminators', 'packing', 'unrolled_steps', 'top_k', 'balance',
    'discriminator_steps', 'discriminator_schedule', 'generator_steps',
)  # fmt: skip
_EXAMPLES = {'input': 'edges:digits', 'a': 'classes:digits:3:8', 'labelled': 'digits with data.labels_per_class=10'}


def _discriminator_count(config: ConfigDict, total: int) -> Callable[[Array], Array] | None:
    """The number of discriminator steps in a round, as a function of the round; None: constant."""
    schedule, first = config.discriminator_schedule, config.discriminator_steps
    last, until = schedule.steps, schedule.until
    if last in (0, first):
        return None
    return lambda step: jnp.round(first + (last - first) * jnp.minimum(1.0, step / (until * total))).astype(jnp.int32)
