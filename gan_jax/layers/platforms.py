"""Forms of a computation that are fast on a CPU, beside XLA's own for other devices."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import jax
from jax import lax

_PLATFORM: contextvars.ContextVar[str | None] = contextvars.ContextVar('platform', default=None)


def by_platform(fast: Callable[..., jax.Array], plain: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Applies `fast` to the arrays in programs compiled for a CPU, and `plain` in all others.

    A program has both forms, unless it is traced in the context of `traced_for`.
    """
    platform = _PLATFORM.get()
    if platform is None:
        return lax.platform_dependent(*arrays, cpu=fast, default=plain)
    return (fast if platform == 'cpu' else plain)(*arrays)


@contextlib.contextmanager
def traced_for(platform: str | None) -> Iterator[None]:
    """In this context, programs are traced for one platform only: quicker, with the same results.

    Compiled for another platform they would be slow. JAX does not trace a function again that it has traced before the
    context.

    Args:
        platform: the platform of the devices, such as 'cpu' or 'cuda'; None: all.
    """
    token = _PLATFORM.set(platform)
    try:
        yield
    finally:
        _PLATFORM.reset(token)
