"""From a config to the pure functions it names: game, optimisers, step, and the state before the first step."""

import functools
import inspect
import warnings
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import models, optim, penalties, steps
from gan_jax.adversarial import adversarial
from gan_jax.balance import Balance
from gan_jax.compiler import ONCE
from gan_jax.errors import UserError, blaming
from gan_jax.game import LATENTS, Array, Game, GanState, Key, Network, Pair, from_flax, named_key, recomputed
from gan_jax.judgement import judgement
from gan_jax.layers.choices import nearest

_ADAM_EPS_ROOT = 1e-16  # where an unrolled step is differentiated through Adam's square root at a gradient of zero
_MANY_UPDATES = 10**5  # of a network in one stretch
_MANY_DISCRIMINATORS = 16
_CROSS_SAMPLE_TERMS = ('gradient_penalty', 'zero_centered', 'dragan', 'r1', 'r2')


def make_modules(
    config: ConfigDict,
    shape: tuple[int, ...],
    axis_name: str | None = None,
    *,
    num_classes: int | None = None,
    dtype: str | None = None,
) -> Pair:
    """The two linen modules of a config.

    Args:
        config: from `gan_jax.config.load`.
        shape: of one example, (H, W, C) or (n,).
        axis_name: the mapped axis over which batch statistics are global.
        num_classes: of the labels, where the game is conditional.
        dtype: of the arithmetic; None: the config's.

    Raises:
        UserError: the family cannot make examples of that shape, or an option's value is impossible.
    """
    family = models.find(config.model, importing=False)
    for network in (family.Generator, family.Discriminator):
        if axis_name and 'axis_name' not in inspect.signature(network).parameters:
            raise UserError(
                f'{config.model}.{network.__name__} has no field axis_name, by which batch norm and dropout are global '
                'under pmap: add one, or set parallel.mode=sharding.'
            )
    given = {
        'shape': tuple(shape),
        'dtype': jnp.dtype(dtype or config.dtype),
        'axis_name': axis_name,
        'num_classes': num_classes if is_conditional(config) else None,
    }

    def module(network, options):
        accepted = inspect.signature(network).parameters
        return network(**{name: value for name, value in given.items() if name in accepted}, **options)

    return Pair(
        module(family.Generator, config.generator.to_dict()),
        module(family.Discriminator, config.discriminator.to_dict()),
    )


def is_conditional(config: ConfigDict) -> bool:
    """Whether the players are told the classes of their examples.

    Raises:
        UserError: only one of them is.
    """
    told = {name: config[name].get('conditioning', 'none') != 'none' for name in Pair._fields}
    if told['generator'] != told['discriminator']:
        blind = 'generator' if told['discriminator'] else 'discriminator'
        consequence = (
            'the generator could make no use of what its opponent demands'
            if told['discriminator']
            else 'nothing would make the generator heed the class'
        )
        raise UserError(
            f'{blind}.conditioning is none while the other player is conditional, and {consequence}: set it.'
        )
    return told['generator']


def make_game(
    config: ConfigDict,
    shape: tuple[int, ...],
    axis_name: str | None = None,
    *,
    num_classes: int | None = None,
    reference: tuple[Array, Array | None] | None = None,
) -> Game:
    """The game of a config, for examples of the given shape.

    Args:
        config: from `gan_jax.config.load`.
        shape: of one example.
        axis_name: the mapped axis over which the global batch lies.
        num_classes: of the labels, which a conditional game needs.
        reference: real examples [R, *shape] and their labels for virtual batch normalisation; None where only the
            shapes matter, or the generator alone.

    Raises:
        UserError: the parts do not go together, or an option's value is impossible.
    """
    _check_combination(config, shape)
    condition = condition_of(config, num_classes)
    latents = LATENTS[config.latents.distribution](config.latents.size)
    options = {'num_classes': num_classes, 'reference': reference}
    networks = make_networks(config, shape, axis_name, **options)
    critic = None
    if config.dtype != 'float32':
        critic = make_networks(config, shape, axis_name, **options, dtype='float32').discriminator
    loss = configs.make(config, 'loss')
    if config.feature_matching.alone:
        loss = loss._replace(generator=lambda fake, real=None: jnp.zeros(()), generator_sees_real=False)
    augmentation = None if config.augment.name == 'none' else configs.make(config, 'augment')
    noise, top = config.instance_noise, config.top_k
    total = configs.steps(config, 'duration')
    game = adversarial(
        networks.generator,
        networks.discriminator,
        loss,
        latents,
        condition=condition,
        terms=configs.make_terms(config),
        lazy=(config.lazy.generator, config.lazy.discriminator),
        critic=critic,
        augmentation=augmentation,
        noise=(lambda step: noise.deviation * jnp.maximum(0.0, 1 - step / (noise.until * total)))
        if noise.deviation
        else None,
        flip_labels=config.flip_labels,
        replay=config.replay,
        top_share=(lambda step: top.share ** jnp.minimum(1.0, step / (top.until * total))) if top.share < 1 else None,
        discriminators=config.discriminators.number,
        combine=config.discriminators.combine,
        discriminator_steps=batches_in_round(config),
        generator_steps=config.generator_steps,
        discriminator_count=_discriminator_count(config, total),
        balance=Balance(**config.balance),
        unrolled_steps=config.unrolled_steps,
        axis_name=axis_name,
    )
    with blaming(f'The model {config.model}'):
        made = jax.eval_shape(
            lambda key: game.sample(*game.init(key)['generator'], latents(key, jnp.arange(2)), _labels(condition, 2)),
            jax.random.key(0),
        )
    if made.shape[1:] != tuple(shape):
        raise UserError(f'The generator of {config.model} makes examples of shape {made.shape[1:]}, not {shape}.')
    return game


def batches_in_round(config: ConfigDict) -> int:
    """How many batches a round sees: the most steps that the discriminator may make in one."""
    return max(config.discriminator_steps, config.discriminator_schedule.steps)


def _discriminator_count(config: ConfigDict, total: int) -> Callable[[Array], Array] | None:
    """How many steps the discriminator makes in a round, by its number; None: always the same."""
    schedule, first = config.discriminator_schedule, config.discriminator_steps
    last, until = schedule.steps, schedule.until
    if last in (0, first):
        return None
    return lambda step: jnp.round(first + (last - first) * jnp.minimum(1.0, step / (until * total))).astype(jnp.int32)


def make_networks(
    config: ConfigDict,
    shape: tuple[int, ...],
    axis_name: str | None = None,
    *,
    num_classes: int | None = None,
    reference: tuple[Array, Array | None] | None = None,
    dtype: str | None = None,
) -> Pair:
    """The players' networks; arguments as in `make_game` and `make_modules`."""
    modules = make_modules(config, shape, axis_name, num_classes=num_classes, dtype=dtype)
    condition, count = condition_of(config, num_classes), config.reference_batch
    latents = LATENTS[config.latents.distribution](config.latents.size)

    def references(name: str) -> Callable[[Key], tuple[Array, Array | None]]:
        examples, labels = reference or (jnp.zeros((count, *shape)), _labels(condition, count))
        if name == 'generator':
            return lambda key: (latents(key, jnp.arange(count)), labels)
        return lambda key: (examples, labels)

    def network(name: str, module: nn.Module, input_shape: tuple[int, ...]) -> Network:
        virtual = config[name].get('normalization') == 'virtual'
        made = from_flax(module, input_shape, condition=condition, reference=references(name) if virtual else None)
        return recomputed(made) if config.recompute else made

    return Pair(
        network('generator', modules.generator, (config.latents.size,)),
        network('discriminator', modules.discriminator, tuple(shape)),
    )


def condition_of(config: ConfigDict, num_classes: int | None) -> jax.ShapeDtypeStruct | None:
    """Shape and dtype of an example's condition, a class label; None in an unconditional game.

    Raises:
        UserError: the game is conditional and there are no classes.
    """
    if not is_conditional(config):
        return None
    if num_classes is None:
        raise UserError(
            'The networks are conditional, but the data set has no classes: unset the conditioning of both players.'
        )
    return jax.ShapeDtypeStruct((), jnp.int32)


def _labels(condition: jax.ShapeDtypeStruct | None, count: int) -> Array | None:
    """Any conditions, where only shapes matter."""
    return None if condition is None else jnp.zeros((count, *condition.shape), condition.dtype)


def _check_combination(config: ConfigDict, shape: tuple[int, ...]) -> None:
    """Raises a UserError where parts of a recipe make no sense together, and warns where they hardly do."""
    made = configs.make_terms(config)
    consistency = config.penalties.consistency
    if len(shape) != 3:
        for key, used in (
            ('augment.name', config.augment.name != 'none'),
            ('penalties.consistency.real_weight', consistency.real_weight),
            ('penalties.consistency.fake_weight', consistency.fake_weight),
        ):
            if used:
                raise UserError(f'{key} transforms images, but the examples have shape {tuple(shape)}: unset it.')
    if config.balance.measure == 'loss_ratio' and config.loss.name in _SIGNED_LOSSES:
        raise UserError(
            f'balance.measure=loss_ratio compares losses that are positive, but those of loss.name={config.loss.name} '
            'can have either sign: use balance.measure=accuracy.'
        )
    if config.balance.fooling and config.generator_steps == 1:
        raise UserError(
            'balance.fooling says when the generator makes a further step in a round, but generator_steps=1 allows '
            'none: raise it, or leave balance.fooling at 0.'
        )
    if config.feature_matching.alone and not config.feature_matching.weight:
        raise UserError('feature_matching.alone leaves the generator nothing to learn from: give it a weight.')
    if config.replay and config.replay < config.batch_size:
        raise UserError(
            f'replay={config.replay} is too small: the buffer must hold at least a batch of {config.batch_size} '
            'examples.'
        )
    for player in Pair._fields:
        if config.lazy[player] > 1 and not _is_lazy(config, made, player):
            what = 'penalties.path_length' if player == 'generator' else 'a gradient penalty'
            raise UserError(
                f'lazy.{player}={config.lazy[player]} has nothing to apply lazily: give {what} a weight, or '
                'set it to 1.'
            )
    _warn_of_doubts(config, made)


def _warn_of_doubts(config: ConfigDict, made: Pair) -> None:
    """Warns of a recipe that works, but badly or for long; `made` are its terms."""
    for player in Pair._fields:
        if config[player].get('normalization') == 'batch' and config.batch_size <= config.accumulate:
            warnings.warn(
                f'{player}.normalization=batch has only one example to take its statistics of, as batch_size is '
                f'{config.batch_size} and accumulate {config.accumulate}: make the batch larger, or take layer or '
                'instance normalisation.',
                stacklevel=2,
            )
    updates = configs.updates_of_a_stretch(config)
    if updates > _MANY_UPDATES:
        warnings.warn(
            f'a stretch of log_every={config.log_every} makes {updates:,} updates, and nothing is seen or saved before '
            'its end: lower log_every, or the steps of a round.',
            stacklevel=2,
        )
    if config.discriminators.number > _MANY_DISCRIMINATORS:
        warnings.warn(
            f'discriminators.number={config.discriminators.number} discriminators are compiled one after the other, '
            'which takes long: fewer are usual (5 in GMAN).',
            stacklevel=2,
        )
    bounded = config.discriminator.get('normalization') == 'spectral' or config.discriminator.get('spectral_iterations')
    if config.loss.name == 'wasserstein' and not (
        made.discriminator or bounded or config.discriminator_optimizer.clip_weights
    ):
        warnings.warn(
            'loss.name=wasserstein needs a critic whose slope is bounded, or its loss runs away: set '
            'discriminator_optimizer.clip_weights, penalties.gradient_penalty.weight or '
            'discriminator.normalization=spectral.',
            stacklevel=2,
        )


_SIGNED_LOSSES = ('wasserstein', 'hinge', 'minimax', 'f_divergence')


def _is_lazy(config: ConfigDict, made: Pair, player: str) -> bool:
    return config.lazy[player] > 1 and any(term.lazy for term in getattr(made, player))


def warn_of_mixing(config: ConfigDict, shape: tuple[int, ...], num_classes: int | None = None) -> None:
    """Warns where a gradient penalty meets a discriminator that mixes the examples of a batch.

    Such a penalty differentiates each logit by its own example, which is not defined where every logit depends on all
    examples. Found by one gradient of the discriminator at its initial weights.
    """
    used = [term.name for term in configs.make_terms(config).discriminator if term.name in _CROSS_SAMPLE_TERMS]
    if not used:
        return
    network = make_networks(config, shape, num_classes=num_classes, dtype='float32').discriminator
    count = 2 * max(2, config.discriminator.get('minibatch_group') or 0)
    labels = _labels(condition_of(config, num_classes), count)

    @functools.partial(jax.jit, compiler_options=ONCE)
    def mixes(key: Key) -> Array:
        params, variables = network.init(key)

        def critic(examples: Array) -> Array:
            return judgement(network.apply(params, variables, examples, key, True, labels)[0]).logits

        return penalties.mixes_examples(critic, jax.random.normal(key, (count, *shape)))

    if mixes(jax.random.key(0)):
        warnings.warn(
            penalties.MIXING_WARNING.format(penalty=' and '.join(f'penalties.{name}' for name in used)), stacklevel=2
        )


def make_optimizers(config: ConfigDict) -> steps.Optimizers:
    """An optax optimiser for each player."""
    rounds, made = configs.steps(config, 'duration'), configs.make_terms(config)
    moves = {'generator': config.generator_steps, 'discriminator': batches_in_round(config)}

    def one(player: str):
        updates, every = rounds * moves[player], 1
        if _is_lazy(config, made, player):
            every = config.lazy[player]
            updates += -(-rounds // every)
        options = optim.lazy_adam_options(config[f'{player}_optimizer'].to_dict(), every)
        name = options.pop('name')
        if name == 'adam' and config.unrolled_steps and player == 'discriminator':
            options['eps_root'] = _ADAM_EPS_ROOT
        schedule = None
        if config.schedule.name != 'constant' or config.schedule.warm_up:
            schedule = configs.make(config, 'schedule')(updates)
        return optim.OPTIMIZERS[name](**options, schedule=schedule)

    return {player: one(player) for player in Pair._fields}


def make_step(config: ConfigDict, game: Game, axis_name: str | None = None) -> steps.TrainStep:
    """The train step of a config."""
    average = config.ema
    return steps.make_train_step(
        game,
        make_optimizers(config),
        ema_decay=optim.ema_decay(average.half_life_kimg, average.ramp_up, config.batch_size)
        if average.half_life_kimg
        else None,
        accumulate=config.accumulate,
        axis_name=axis_name,
    )


def check_best_metric(config: ConfigDict, shape: tuple[int, ...], num_classes: int | None = None) -> None:
    """Raises a UserError where the best checkpoint is kept by a metric of the step that this game has not."""
    wanted = config.checkpoints.best_metric
    if wanted is None or wanted.startswith('eval/'):
        return
    game = make_game(config, shape, num_classes=num_classes)
    leading = (game.batches,) * (game.batches > 1) + (config.batch_size,)
    batch = {'real': jax.ShapeDtypeStruct((*leading, *shape), jnp.float32)}
    if num_classes is not None:
        batch['label'] = jax.ShapeDtypeStruct(leading, jnp.int32)
    state = jax.eval_shape(initializer(config, game), jax.random.key(0))
    _, metrics = jax.eval_shape(make_step(config, game), state, batch)
    if wanted not in metrics:
        raise UserError(
            f'checkpoints.best_metric is {wanted!r}, which this game has not; the nearest is '
            f'{nearest(wanted, metrics)!r}.'
        )


def init_state(config: ConfigDict, game: Game) -> GanState:
    """The state of the config's seed before the first step, made by one compiled call."""
    return jax.jit(initializer(config, game), compiler_options=ONCE)(named_key(config.seed, 'state'))


def initializer(config: ConfigDict, game: Game) -> Callable[[Key], GanState]:
    """The pure function from a root key to the state before the first step."""
    return functools.partial(steps.init_state, game, make_optimizers(config), ema=bool(config.ema.half_life_kimg))
