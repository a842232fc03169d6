"""Marks further cases of a test as slow."""

from collections.abc import Container, Iterable
from typing import Any

import pytest


def slow_but(fast: Container, cases: Iterable) -> list[Any]:
    """Parameters of a test, of which all but the `fast` ones are slow."""
    return [case if case in fast else pytest.param(case, marks=pytest.mark.slow) for case in cases]
