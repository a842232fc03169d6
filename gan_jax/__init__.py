"""gan_jax: a functional codebase for generative adversarial networks in JAX and Flax."""

import importlib
import pkgutil
from types import ModuleType

__version__ = '0.1.0'


def __getattr__(name: str) -> ModuleType:
    """A module of the package, imported when it is first asked for: `import gan_jax; gan_jax.losses`."""
    if name not in __dir__():
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return importlib.import_module(f'{__name__}.{name}')


def __dir__() -> list[str]:
    return ['__version__', *(info.name for info in pkgutil.iter_modules(__path__))]
