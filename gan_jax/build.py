"""From a config to the pure functions it names: game, optimisers, step, and the state before the first step."""

import inspect

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import models, optim, steps
from gan_jax.errors import UserError
from gan_jax.game import LATENTS, Game, GanState, Pair, adversarial, from_flax, named_key


def make_modules(config: ConfigDict, shape: tuple[int, ...], axis_name: str | None = None) -> Pair:
    """The two linen modules of a config.

    Args:
        config: from `gan_jax.config.load`.
        shape: of one example, (H, W, C) or (n,).
        axis_name: the mapped axis over which batch statistics are global.

    Raises:
        UserError: the family cannot make examples of that shape, or an option's value is impossible.
    """
    family = models.find(config.model)
    for network in (family.Generator, family.Discriminator):
        if axis_name and 'axis_name' not in inspect.signature(network).parameters:
            raise UserError(
                f'{config.model}.{network.__name__} has no field axis_name, by which batch norm and dropout are global '
                'under pmap: add one, or set parallel.mode=sharding.'
            )
    given = {'shape': tuple(shape), 'dtype': jnp.dtype(config.dtype), 'axis_name': axis_name}

    def module(network, options):
        accepted = inspect.signature(network).parameters
        return network(**{name: value for name, value in given.items() if name in accepted}, **options)

    return Pair(
        module(family.Generator, config.generator.to_dict()),
        module(family.Discriminator, config.discriminator.to_dict()),
    )


def make_game(config: ConfigDict, shape: tuple[int, ...], axis_name: str | None = None) -> Game:
    """The game of a config, for examples of the given shape; arguments and errors as in `make_modules`."""
    modules = make_modules(config, shape, axis_name)
    latents = LATENTS[config.latents.distribution](config.latents.size)
    game = adversarial(
        from_flax(modules.generator, (config.latents.size,)),
        from_flax(modules.discriminator, tuple(shape)),
        configs.make(config, 'loss'),
        latents,
    )
    made = jax.eval_shape(
        lambda key: game.sample(*game.init(key).generator, latents(key, jnp.arange(2))), jax.random.key(0)
    )
    if made.shape[1:] != tuple(shape):
        raise UserError(f'The generator of {config.model} makes examples of shape {made.shape[1:]}, not {shape}.')
    return game


def make_optimizers(config: ConfigDict) -> Pair:
    """An optax optimiser for each player."""
    return Pair(configs.make(config, 'generator_optimizer'), configs.make(config, 'discriminator_optimizer'))


def make_step(config: ConfigDict, game: Game, axis_name: str | None = None) -> steps.TrainStep:
    """The train step of a config."""
    average = config.ema
    return steps.make_train_step(
        game,
        make_optimizers(config),
        discriminator_steps=config.discriminator_steps,
        ema_decay=optim.ema_decay(average.half_life_kimg, average.ramp_up, config.batch_size)
        if average.half_life_kimg
        else None,
        axis_name=axis_name,
    )


def init_state(config: ConfigDict, game: Game) -> GanState:
    """The state before the first step, initialised in one compiled call; under `jax.eval_shape`, its shapes."""
    optimizers = make_optimizers(config)
    keeps_average = bool(config.ema.half_life_kimg)
    return jax.jit(lambda key: steps.init_state(game, optimizers, key, ema=keeps_average))(
        named_key(config.seed, 'state')
    )
