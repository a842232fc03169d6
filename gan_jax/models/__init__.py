"""Network families, one file each, with a network class for each role.

A role is the function of a network in a game: 'generator', 'discriminator'. Its class is called `Generator`,
`Discriminator`. Families are an open set: a family is a file here or any importable module.
"""

from types import ModuleType

import flax.linen as nn

from gan_jax.errors import UserError
from gan_jax.open_sets import OpenSet

_FAMILIES = OpenSet(__name__, 'model')
families, is_here, find = _FAMILIES.names, _FAMILIES.is_here, _FAMILIES.find


def network(family: str | ModuleType, role: str, *, importing: bool = True) -> type[nn.Module]:
    """The network class of a family for a role: `Generator` for 'generator', `StyleEncoder` for 'style_encoder'.

    Args:
        family: its name, or its module.
        role: in the game.
        importing: as in `OpenSet.find`.

    Raises:
        UserError: the family does not exist, or has no network for that role.
    """
    module = find(family, importing=importing) if isinstance(family, str) else family
    name = ''.join(part.capitalize() for part in role.split('_'))
    if not hasattr(module, name):
        raise UserError(f'The model {module.__name__} has no class {name}, which the game needs.')
    return getattr(module, name)
