"""Checks of options by name and by value, with helpful errors."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import jax

from gan_jax.errors import UserError

T = TypeVar('T')


def nearest(wanted: str, known: Iterable[str]) -> str:
    """The probably intended name: one that differs in case, one that was abbreviated, or else the most similar one.

    Names 'x.y_z' are abbreviated in their last part: to its beginning ('y'), or to initials of its words ('yz'). Other
    parts decide among several.

    Args:
        wanted: the unknown name.
        known: the names, at least one.
    """
    known = list(known)
    short = wanted.lower().rpartition('.')[2]

    def rank(name: str) -> tuple[int, float]:
        own = name.lower().rpartition('.')[2]
        initials = ''.join(word[:1] for word in own.split('_'))
        fits = (
            name.lower() == wanted.lower(),
            own == short,
            bool(short) and (own.startswith(short) or initials == short),
        )
        similarity = difflib.SequenceMatcher(None, wanted.lower(), name.lower()).ratio()
        return (fits.index(True) if True in fits else len(fits), -similarity)

    return min(known, key=rank)


def choose(table: Mapping[str, T], name: str, what: str) -> T:
    """The entry `name` of a table of options.

    Args:
        table: the options by name.
        name: the one wanted.
        what: description of the options, for error messages.

    Raises:
        UserError: no option has that name.
    """
    if name not in table:
        raise UserError(
            f'There is no {what} {name!r}: did you mean {nearest(str(name), table)!r}? Choose from {", ".join(table)}.'
        )
    return table[name]


def is_traced(value: Any) -> bool:
    """Whether a number of a config is traced: a population varies it or it has a schedule.

    It is then known only when the program runs, and cannot be compared during tracing.
    """
    return isinstance(value, jax.Array)


def is_on(value: Any) -> bool:
    """Whether a number enables its part, which 0 disables; a traced number always does."""
    return is_traced(value) or bool(value)


def require(fits: bool, what: str, value: Any, wanted: str) -> None:
    """Raises a UserError unless the value is valid; the message is 'WHAT is VALUE; it must be WANTED'."""
    if not fits:
        raise UserError(f'{what} is {value!r}; it must be {wanted}.')


def require_functions_of_step(**values: Any) -> None:
    """Raises a UserError for the first value that is neither None nor a function, such as a number."""
    for name, value in values.items():
        if not (value is None or callable(value)):
            raise UserError(
                f'{name} is a {type(value).__name__}; it must be a function of the step: lambda step: {value} '
                'if it does not change.'
            )


def require_not_negative(what: str, value: Any) -> None:
    """Raises a UserError for a negative number; a traced number is not known yet."""
    require(is_traced(value) or value >= 0, what, value, 'at least 0')


def require_positive(network: Any, *options: str) -> None:
    """Checks sizes among a network's fields: whole numbers of at least 1, and sequences of them.

    Args:
        network: a `Generator` or `Discriminator`, whose name comes into the error.
        *options: fields; those whose name ends in 'widths' are sequences, or None.

    Raises:
        UserError: for the first invalid one.
    """
    for name in options:
        value, what = getattr(network, name), f'{type(network).__name__.lower()}.{name}'
        if not name.endswith('widths'):
            require(_is_positive(value), what, value, 'a whole number of at least 1')
        elif value is not None:
            fits = isinstance(value, Sequence) and len(value) > 0 and all(map(_is_positive, value))
            require(fits, what, value, 'a tuple of whole numbers of at least 1')


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
