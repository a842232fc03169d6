"""gan_jax: a functional codebase for generative adversarial networks in JAX and Flax."""

import importlib
import pkgutil
from typing import Any

__version__ = '0.1.0'
_FUNCTIONS = {'load': 'gan_jax.sampling.loaded', 'fid': 'gan_jax.scores', 'kid': 'gan_jax.scores'}


def __getattr__(name: str) -> Any:
    """Imports a module of the package, or one of its functions, at first access: `gan_jax.losses`."""
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name not in __dir__():
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return importlib.import_module(f'{__name__}.{name}')


def __dir__() -> list[str]:
    return ['__version__', *_FUNCTIONS, *(info.name for info in pkgutil.iter_modules(__path__))]
