"""Network families, one file each, every one exposing `Generator` and `Discriminator`.

An open set: `find` takes the name of a file here or the dotted path of any importable module with the two classes.
"""

import importlib
import pkgutil
from types import ModuleType

from gan_jax.errors import UserError


def find(name: str) -> ModuleType:
    """The module of a network family.

    Args:
        name: a file of this package ('dcgan'), or a dotted path ('my_project.my_gan').

    Raises:
        UserError: no such module, or one without `Generator` and `Discriminator`.
    """
    path = name if '.' in name else f'{__name__}.{name}'
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not path.startswith(error.name or ' '):  # the family exists, but something it imports does not
            raise
        known = ', '.join(info.name for info in pkgutil.iter_modules(__path__))
        raise UserError(f'There is no model {name!r}: choose one of {known}, or a dotted path to your own.') from error
    for player in ('Generator', 'Discriminator'):
        if not hasattr(module, player):
            raise UserError(f'The model {path} has no class {player}: a family exposes Generator and Discriminator.')
    return module
