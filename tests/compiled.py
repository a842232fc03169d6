"""Flax modules initialised and applied as one program each; outside of `jax.jit` every operation is compiled alone."""

import functools
from typing import Any

import flax.linen as nn
import jax


def init(module: nn.Module, *inputs: Any, **options: Any) -> Any:
    """`module.init` of arrays, with options that are constants."""
    return jax.jit(functools.partial(module.init, **options))(*inputs)


def apply(module: nn.Module, variables: Any, *inputs: Any, **options: Any) -> Any:
    """`module.apply` of arrays, with options that are constants."""
    return jax.jit(functools.partial(module.apply, **options))(variables, *inputs)
