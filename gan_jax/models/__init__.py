"""Network families, one file each, every one exposing `Generator` and `Discriminator`.

An open set: `find` takes the name of a file here or of any importable module with the two classes.
"""

import importlib
import pkgutil
from types import ModuleType

from gan_jax.errors import UserError


def find(name: str) -> ModuleType:
    """The module of a network family.

    Args:
        name: a file of this package ('dcgan'), or else an importable module ('my_gan', 'my_project.my_gan').

    Raises:
        UserError: no such module, or one without `Generator` and `Discriminator`.
    """
    families = [info.name for info in pkgutil.iter_modules(__path__)]
    unknown = UserError(f'There is no model {name!r}: choose one of {", ".join(families)}, or a module of your own.')
    if not all(name.split('.')):  # an empty name, or a path relative to nothing
        raise unknown
    path = f'{__name__}.{name}' if name in families else name
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
