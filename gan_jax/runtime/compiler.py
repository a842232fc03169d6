"""XLA's compiler options."""

import contextlib
import functools
from collections.abc import Iterator

import jax

Options = dict[str, str | int | bool]

ONCE: Options = {'xla_backend_optimization_level': 1}  # compiled in a third of the time; runs slower

# Both are experimental. XLA:CPU's newer library is good at products and sums, but not at convolutions; oneDNN is best
# at those.
_OFTEN = {'xla_cpu_experimental_ynn_fusion_type': 'LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE'}
_ONEDNN = {'xla_cpu_experimental_onednn_custom_call': True}

HAS_ONEDNN = jax.__version_info__ >= (0, 12)  # XLA:CPU before knows the option, but calls oneDNN for nothing


def often() -> Options:
    """Options for programs that run often; docs/benchmarks.md has their speed-up."""
    return dict(_known(tuple(_OFTEN.items())))


def training() -> Options:
    """Options for training steps, which are worth compiling at every start: see `uncached`."""
    return dict(_known(tuple({**_OFTEN, **(_ONEDNN if HAS_ONEDNN else {})}.items())))


@contextlib.contextmanager
def uncached() -> Iterator[None]:
    """In this context, programs are not written to JAX's persistent cache if `training` makes them call oneDNN.

    XLA cannot store those: it tries, and runs out of memory.
    """
    if not training().keys() & _ONEDNN:
        yield
        return
    key = 'jax_persistent_cache_min_compile_time_secs'
    before = getattr(jax.config, key)
    jax.config.update(key, float('inf'))
    try:
        yield
    finally:
        jax.config.update(key, before)


@functools.cache
def _known(options: tuple[tuple[str, str | bool], ...]) -> Options:
    """The options, or none if this is not a CPU or XLA does not know one of them."""
    if jax.default_backend() != 'cpu':
        return {}
    try:
        jax.jit(lambda x: x).lower(0.0).compile(compiler_options=dict(options))
    except Exception:  # whatever a version of XLA raises that does not know it
        return {}
    return dict(options)
