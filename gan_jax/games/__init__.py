"""Games that a config can name, one file each: `config.game.name`.

Games are an open set: a game is a file here or any importable module. It defines

- `ROLES`: the names of its players that have a network and an optimiser, each with a section of the config:
  `('generator', 'discriminator')` by default;
- `BATCHES_OF_ONE`: whether batches of a single image are as published, with statistics over its pixels;
- `STARTS_FROM_DATA`: whether its networks start from real examples, `parts.reference`;
- `NEEDS_CLASSES`: whether it needs the class of every example, `batch['label']`, although its generator gets none, and
  the classes of all groups of the data;
- `LABELLED_DOMAINS`: whether it needs the labels of the domain 'a', and in both domains the same classes;
- `privacy(config) -> gan_jax.privacy.Privacy`: what the game promises about the privacy of its examples, which are
  then drawn by Poisson sampling;
- `from_config(option=default, ..., *, parts) -> Game`: makes the game from a `gan_jax.parts.Parts`. Its options are the
  keys of `config.game`.
"""

from types import ModuleType

from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.open_sets import OpenSet

_GAMES = OpenSet(__name__, 'game')
names, is_here = _GAMES.names, _GAMES.is_here


def find(name: str, *, importing: bool = True) -> ModuleType:
    """The module of a game; see `gan_jax.open_sets.OpenSet.find`.

    Raises:
        UserError: the module does not exist, its import fails, or it has no `from_config`.
    """
    module = _GAMES.find(name, importing=importing)
    if not callable(getattr(module, 'from_config', None)):
        raise UserError(f'The game {name} has no function from_config(..., *, parts) that returns a gan_jax.game.Game.')
    return module


def roles(name: str) -> tuple[str, ...]:
    """The names of a game's players that have a network and an optimiser.

    Raises:
        UserError: ROLES is not a tuple of names, or does not include the generator.
    """
    found = getattr(find(name), 'ROLES', Pair._fields)
    if not isinstance(found, tuple) or 'generator' not in found or not all(isinstance(role, str) for role in found):
        raise UserError(f"The ROLES of the game {name} are {found!r}; give a tuple of names that includes 'generator'.")
    return found
