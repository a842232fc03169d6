"""Network families, one file each, every one exposing `Generator` and `Discriminator`.

An open set: `find` takes the name of a file here or of any importable module with the two classes.
"""

import importlib
import pathlib
import pkgutil
import sys
from types import ModuleType

from gan_jax.errors import UserError, blaming


def families() -> list[str]:
    """The names of this package's families."""
    return [info.name for info in pkgutil.iter_modules(__path__)]


def is_here(name: str) -> bool:
    """Whether a family can be found without importing what is not this package's."""
    return name in families() or name in sys.modules


def find(name: str, *, importing: bool = True) -> ModuleType:
    """The module of a network family.

    Args:
        name: a file of this package ('dcgan'), or else an importable module ('my_gan', 'my_project.my_gan').
        importing: whether a module of somebody else's may be imported, which runs its code. If not, it is found where
            it has been imported before. A name that nobody has typed, as of a run's directory, is not to be imported.

    Raises:
        UserError: no such module, one that fails when imported, or one without `Generator` and `Discriminator`.
    """
    known = families()
    unknown = UserError(f'There is no model {name!r}: choose one of {", ".join(known)}, or a module of your own.')
    if not all(name.split('.')):  # an empty name, or a path relative to nothing
        raise unknown
    path = f'{__name__}.{name}' if name in known else name
    if not (importing or is_here(name)):
        raise UserError(f'The model {name} is a module of its own, which is not imported without being asked for.')
    with blaming(f'The model {name}'):
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if not f'{path}.'.startswith(f'{error.name}.'):  # the family exists, but something it imports does not
                raise
            raise unknown from error
    for player in ('Generator', 'Discriminator'):
        if not hasattr(module, player):
            raise UserError(f'The model {path} has no class {player}: a family exposes Generator and Discriminator.')
    return module


def origin(name: str) -> dict[str, str]:
    """Where a family comes from, for whoever reads a run: its `name`, `file`, and the `root` of its import."""
    module = find(name, importing=False)
    file = pathlib.Path(module.__file__).absolute()
    return {
        'name': name,
        'file': str(file),
        'root': str(file.parents[module.__name__.count('.') + (file.stem == '__init__')]),
    }
