"""Modules and games as one program each; outside of `jax.jit` every operation is compiled alone."""

import functools
from typing import Any

import flax.linen as nn
import jax

from gan_jax import steps
from gan_jax.game import Game


def init(module: nn.Module, *inputs: Any, **options: Any) -> Any:
    """`module.init` of arrays, with options that are constants."""
    return jax.jit(functools.partial(module.init, **options))(*inputs)


def apply(module: nn.Module, variables: Any, *inputs: Any, **options: Any) -> Any:
    """`module.apply` of arrays, with options that are constants."""
    return jax.jit(functools.partial(module.apply, **options))(variables, *inputs)


def init_state(game: Game, optimizers: steps.Optimizers, key: jax.Array, **options: Any) -> steps.GanState:
    """`steps.init_state` with options that are constants."""
    return jax.jit(functools.partial(steps.init_state, game, optimizers, **options))(key)
