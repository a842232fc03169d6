"""Options by name, with an error that helps."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from gan_jax.errors import UserError

T = TypeVar('T')


def choose(table: Mapping[str, T], name: str, what: str) -> T:
    """The entry `name` of a table of options.

    Args:
        table: the options by name.
        name: the one wanted.
        what: what the options are, in words, for the error.

    Raises:
        UserError: no option has that name.
    """
    if name not in table:
        nearest = difflib.get_close_matches(str(name), table, n=1, cutoff=0.0)[0]
        raise UserError(f'There is no {what} {name!r}: did you mean {nearest!r}, of {", ".join(table)}?')
    return table[name]
