"""Classes of a run's data by number or name."""

import csv
import difflib
from collections.abc import Sequence

from gan_jax.errors import UserError


def parse_classes(text: str) -> tuple[str, ...]:
    """Splits '3,Bag' into numbers and names; a name with a comma must be in double quotes: '"cats, dogs",3'."""
    return tuple(filter(None, next(csv.reader([text], skipinitialspace=True), ())))


def choose_classes(
    wanted: Sequence[int | str], num_classes: int, names: Sequence[str] | None = None
) -> tuple[int, ...]:
    """The numbers of classes.

    A string is matched exactly with the names; else with the only name that differs in upper and lower case
    only; else it is read as a number.

    Args:
        wanted: numbers or strings.
        num_classes: number of classes.
        names: names of the classes in order; None: they have none.

    Raises:
        UserError: the class does not exist, or several names differ only in case.
    """
    if not wanted:
        raise UserError('No class is named: write --classes 3,5, or omit --classes for all of them.')
    return tuple(_number(one, num_classes, names or ()) for one in wanted)


def _number(wanted: int | str, num_classes: int, names: Sequence[str]) -> int:
    if isinstance(wanted, str):
        if wanted in names:
            return names.index(wanted)
        alike = [i for i, name in enumerate(names) if name.casefold() == wanted.casefold()]
        if len(alike) > 1:
            raise UserError(
                f'The class {wanted!r} is ambiguous ({" or ".join(repr(names[i]) for i in alike)}): write it in '
                'its upper and lower case.'
            )
        if alike:
            return alike[0]
    try:
        number = int(wanted)
    except ValueError:
        raise _unknown(wanted, num_classes, names) from None
    nearest = min(max(number, 0), num_classes - 1)
    if number != nearest:
        raise UserError(
            f'There is no class {number}: classes are numbered from 0 to {num_classes - 1}; the nearest is {nearest}.'
        )
    return number


def _unknown(wanted: str, num_classes: int, names: Sequence[str]) -> UserError:
    if not names:
        return UserError(
            f'There is no class {wanted!r}, because the classes of this run have no names: give numbers from 0 to '
            f'{num_classes - 1}.'
        )
    by_name = {name.casefold(): name for name in names}
    nearest = by_name[difflib.get_close_matches(wanted.casefold(), by_name, n=1, cutoff=0.0)[0]]
    return UserError(f'There is no class {wanted!r}; the nearest name is {nearest!r}.')
