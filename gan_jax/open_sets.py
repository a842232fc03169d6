"""Extensible sets of modules: a name is a file of a package of gan_jax, or an importable module."""

import importlib
import pathlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import NamedTuple

from gan_jax.errors import UserError, blaming


class OpenSet(NamedTuple):
    """The modules of a package, and all other importable modules.

    Attributes:
        package: the name of the package.
        noun: what messages call one of its modules.
    """

    package: str
    noun: str

    def names(self) -> list[str]:
        """Of the package's own modules."""
        return [info.name for info in pkgutil.iter_modules(importlib.import_module(self.package).__path__)]

    def is_here(self, name: str) -> bool:
        """Whether a module can be found without importing foreign code."""
        return name in self.names() or name in sys.modules

    def find(self, name: str, *, importing: bool = True) -> ModuleType:
        """The module of a name.

        Args:
            name: a file of the package ('dcgan'), or else an importable module ('my_gan', 'my_project.my_gan').
            importing: whether a foreign module may be imported, which executes its code. If not, it is found
                only if it has been imported before. A name that the user has not typed, such as one from a run's
                directory, must not be imported.

        Raises:
            UserError: the module does not exist, or its import fails.
        """
        known = self.names()
        unknown = UserError(
            f'There is no {self.noun} {name!r}: choose one of {", ".join(known)}, or a module of your own.'
        )
        if not all(name.split('.')):  # an empty name, or a path relative to nothing
            raise unknown
        path = f'{self.package}.{name}' if name in known else name
        if not (importing or self.is_here(name)):
            raise UserError(f'The {self.noun} {name} is a module of your own, which is only imported if allowed.')
        with blaming(f'The {self.noun} {name}'):
            return _imported(path, unknown)


def _imported(path: str, unknown: UserError) -> ModuleType:
    """The module of a dotted path; raises `unknown` if there is none."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not f'{path}.'.startswith(f'{error.name}.'):  # it exists, but something it imports does not
            raise
        raise unknown from error


_asked_for: set[str] = set()  # the functions of others that somebody has typed the names of


def trust(name: str) -> None:
    """Lets the function 'module.function' be called although its name comes from a run's directory."""
    _asked_for.add(name)


def is_trusted(name: str) -> bool:
    """Whether a foreign function has been allowed: by training in this process, or by `trust`."""
    return name in _asked_for


class OpenDict(Mapping[str, Callable]):
    """Functions by name, and functions of any importable module by 'module.function'.

    A look-up imports the module, so names that only come from a run's directory must not be looked up.

    Args:
        known: by name.
        noun: what messages call one of them.
    """

    def __init__(self, known: Mapping[str, Callable], noun: str):
        self._known, self._noun = known, noun

    def __getitem__(self, name: str) -> Callable:
        if name in self._known:
            return self._known[name]
        module, _, function = name.rpartition('.')
        choices = f'choose one of {", ".join(self._known)}, or a' if self._known else 'give a'
        unknown = UserError(f'There is no {self._noun} {name!r}: {choices} module.function.')
        if not all(name.split('.')) or not module:
            raise unknown
        with blaming(f'The {self._noun} {name}'):
            found = getattr(_imported(module, unknown), function, None)
        if not callable(found):
            raise UserError(f'The module {module} has no function {function}, which {self._noun} {name!r} names.')
        trust(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._known or (isinstance(name, str) and '.' in name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def origin(name: str) -> dict[str, str]:
    """Where an imported module comes from: its `name`, `file`, and the `root` of its import."""
    module = sys.modules[name]
    file = pathlib.Path(getattr(module, '__file__', None) or name).absolute()
    return {
        'name': name,
        'file': str(file),
        'root': str(file.parents[name.count('.') + (file.stem == '__init__')]),
    }
