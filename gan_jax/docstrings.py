"""Extracts one-line descriptions of objects and their options from docstrings, for lists and comments in configs."""

import functools
import inspect
import re
from typing import Any

_SECTION = re.compile(r'^(?:Args|Attributes):\n((?:[ ]+.*\n?|\n)+)', re.MULTILINE)


def first_sentence(text: str) -> str:
    """The first paragraph of a text on one line, without the full stop at its end."""
    return ' '.join(text.strip().split('\n\n')[0].split()).removesuffix('.')


def summary(thing: Any) -> str:
    """The first paragraph of the docstring of a module, class or function, on one line; '' if it has no docstring."""
    return first_sentence(inspect.getdoc(thing) or '')


@functools.cache
def entries(thing: Any) -> dict[str, str]:
    """The description of each argument or attribute in a docstring, on one line each.

    Args:
        thing: a function, or a class, whose base classes are read too.

    Returns:
        A text for each name in the sections 'Args' and 'Attributes'.
    """
    found = {}
    for one in reversed(inspect.getmro(thing)) if inspect.isclass(thing) else (thing,):
        for section in _SECTION.findall(inspect.cleandoc(one.__doc__ or '') + '\n'):
            for entry in re.split(r'\n(?=\S)', inspect.cleandoc(section)):
                name, _, text = entry.partition(':')
                found[name] = first_sentence(text)
    return found
