"""The valid values of a config's key: its default, type, range and choices."""

import ast
import collections.abc
import contextlib
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from gan_jax.docstrings import entries
from gan_jax.errors import UserError
from gan_jax.ranges import Range, range_of, unannotated

_KINDS = {bool: 'True or False', int: 'a whole number', float: 'a number', str: 'text', tuple: 'a tuple'}
_ELEMENTS = {int: 'whole numbers', float: 'numbers', str: 'names'}


class Default(NamedTuple):
    """A key's default and its valid values.

    Attributes:
        value: the default. If it is None, None is valid.
        kind: the type of all other values; `object` if unknown.
        range: the range of a number, or of each number of a tuple.
        choices: the valid strings, or elements of a tuple of strings.
        element: the type of a tuple's elements; `object` if unknown.
        about: the description of the key, on one line.
    """

    value: Any
    kind: type
    range: Range | None = None
    choices: tuple[str, ...] = ()
    element: type = object
    about: str = ''

    def check(self, key: str, value: Any) -> None:
        """Raises a UserError for a value of another type, outside of the range, or not among the choices."""
        if value is None and self.value is None:
            return
        if not _is(self.kind, value) or (self.kind is tuple and not all(_is(self.element, one) for one in value)):
            kind = _KINDS[self.kind] + (f' of {_ELEMENTS[self.element]}' if self.element in _ELEMENTS else '')
            example = ' or None' if self.value is None else f', such as {self.value!r}' if self.value != () else ''
            raise UserError(f'{key} takes {kind}{example}, not {value!r}.')
        if self.range:
            if self.kind is tuple and not value:
                raise UserError(f'{key} is (); give at least one number.')
            self.range.check(key, value)
        for one in value if self.kind is tuple else (value,):
            if self.choices and one not in self.choices:
                raise UserError(f'{key} is {one!r}; choose one of {", ".join(self.choices)}.')

    def parse(self, text: str) -> Any:
        """Parses the value in an override's text."""
        if self.kind is str:
            return None if self.value is None and text == 'None' else text
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            if self.kind is tuple and self.value is not None:  # of names: fid,kid
                return tuple(part.strip() for part in text.split(',') if part.strip())
            return {'true': True, 'false': False}.get(text.lower(), text)
        exact = {(int, float): float, (list, tuple): tuple}.get((type(value), self.kind))
        try:
            return exact(value) if exact else value
        except OverflowError:  # the integer is too large for a float; the check of its range refuses it
            return value


def number(value: float, range: Range, about: str = '') -> Default:
    """The default of a number."""
    return Default(value, type(value), range, about=about)


def choice(value: str, *choices: str, about: str = '') -> Default:
    """The default of a string with several choices."""
    return Default(value, str, choices=choices, about=about)


def plain(value: Any, about: str = '') -> Default:
    """The default of a key that can have any value of the type."""
    return value if isinstance(value, Default) else Default(value, type(value), about=about)


def options(factory: Callable, otherwise: Range) -> dict[str, Default]:
    """The options of a function or dataclass by name, from its signature and docstring, without keyword-only ones.

    Args:
        factory: the function or dataclass; its annotations can have ranges, `Annotated[float, SHARE]`.
        otherwise: the range of numbers without one.
    """
    parameters = inspect.signature(factory).parameters.values()
    given = ('parts',)  # arguments that the program passes to games
    about = entries(factory)
    return {
        one.name: _option(one, otherwise)._replace(about=about.get(one.name, ''))
        for one in parameters
        if one.kind is one.POSITIONAL_OR_KEYWORD and one.name not in given
    }


def _option(parameter: inspect.Parameter, otherwise: Range) -> Default:
    annotation, value = parameter.annotation, parameter.default
    stated, kind = range_of(annotation), unannotated(annotation)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        some, *others = (one for one in typing.get_args(kind) if one is not types.NoneType)
        kind = object if others else some
    elements = typing.get_args(kind)[:1] if typing.get_origin(kind) in (tuple, collections.abc.Sequence) else ()
    if value is not None:
        elements = elements or tuple(map(type, value[:1] if isinstance(value, tuple) else ()))
        kind = type(value)
    kind = typing.get_origin(kind) or kind
    return Default(
        value,
        kind if kind in _KINDS else object,
        stated or (otherwise if kind in (int, float) or elements[:1] in ((int,), (float,)) else None),
        element=elements[0] if elements and elements[0] in _ELEMENTS else object,
    )


def flat(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """A tree of sections as one dict by 'x.y'."""
    leaves = {}
    for key, value in tree.items():
        is_section = isinstance(value, Mapping) or hasattr(value, 'to_dict')
        leaves |= flat(value, f'{prefix}{key}.') if is_section else {prefix + key: value}
    return leaves


def value_of(config: ConfigDict, key: str) -> Any:
    """The value of 'x.y' in a config.

    Raises:
        UserError: the key does not exist.
    """
    for part in key.split('.'):
        if not isinstance(config, ConfigDict) or part not in config:
            raise UserError(f'The config has no key {key!r}.')
        config = config[part]
    return config


def with_values(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """A copy of a config with other values by 'x.y', which can be traced."""
    changed = config.copy_and_resolve_references()
    for key, value in values.items():
        section, _, name = key.rpartition('.')
        holder = value_of(changed, section) if section else changed
        with holder.ignore_type():
            holder[name] = value
    return changed


@contextlib.contextmanager
def entering_as_values(what: str, consequence: str) -> Iterator[None]:
    """In this context, numbers that should be inputs of a program but determine the program raise a UserError.

    Args:
        what: the text that names the numbers: 'vary names seed'.
        consequence: the consequence in the message: 'so its values cannot share a program: train a separate run for
            each'.
    """
    try:
        yield
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        raise UserError(f'{what}, which determines the compiled program, {consequence}.') from error


def _is(kind: type, value: Any) -> bool:
    if kind is object:
        return True
    accepted = {float: (float, int), tuple: (tuple, list)}.get(kind, kind)
    return isinstance(value, accepted) and not (isinstance(value, bool) and kind is not bool)
