"""Networks of `flax.nnx` modules."""

from collections.abc import Callable, Mapping

import jax
from flax import nnx

from gan_jax.errors import UserError
from gan_jax.game import Array, Key
from gan_jax.networks import Network

_KINDS = nnx.Param, nnx.RngState, ...  # parameters, random streams, and all other state


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    """A network from a function that makes an nnx module, called as `module(inputs)`.

    The parameters are the module's `nnx.Param`, by their paths: `{'layers/0/kernel': array}`. All other state, such as
    batch statistics, are the network's variables. The module is set to training or evaluation mode before each call.
    Its random streams (including dropout) start anew from the key of the call, so their state is not kept.

    Args:
        make: `nnx.Rngs` -> the module, called as `module(inputs, condition)` where there is a condition. The Rngs have
            the default stream alone.

    Raises:
        UserError: `make` is not a function of Rngs that returns an nnx module.
    """
    if isinstance(make, nnx.Module) or not callable(make):
        what = 'a module' if isinstance(make, nnx.Module) else f'a {type(make).__name__}'
        raise UserError(
            f'from_nnx takes a function that makes a module, such as lambda rngs: MLP(rngs=rngs), not {what}.'
        )
    module = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    if not isinstance(module, nnx.Module):
        raise UserError(
            f'The function given to from_nnx returns a {type(module).__name__}; it must return an nnx.Module.'
        )
    graph, *states = nnx.split(module, *_KINDS)

    def init(key: Key) -> tuple[dict[str, Array], dict[str, Array]]:
        _, params, _, variables = nnx.split(make(nnx.Rngs(key)), *_KINDS)
        return _values(params), _values(variables)

    def apply(params, variables, inputs, key, train, condition=None):
        streams = _restarted(states[1], jax.random.key(0) if key is None else key)
        filled = [
            _with_values(state, values) for state, values in zip(states, (params, streams, variables), strict=True)
        ]
        module = nnx.merge(graph, *filled)
        module.train() if train else module.eval()
        outputs = module(inputs) if condition is None else module(inputs, condition)
        return outputs, _values(nnx.split(module, *_KINDS)[3]) if train else variables

    return Network(init, apply)


def _values(state: nnx.State) -> dict[str, Array]:
    """The arrays of a state by their paths."""
    return {_name(path): variable.get_value() for path, variable in nnx.to_flat_state(state)}


def _with_values(state: nnx.State, values: Mapping[str, Array]) -> nnx.State:
    """The inverse of `_values`."""
    return nnx.from_flat_state(
        [(path, variable.replace(values[_name(path)])) for path, variable in nnx.to_flat_state(state)]
    )


def _restarted(state: nnx.State, key: Key) -> dict[str, Array]:
    """The values of random streams before their first draw, each with a key of its own."""
    return {
        _name(path): jax.random.fold_in(key, i) if isinstance(variable, nnx.RngKey) else jax.numpy.uint32(0)
        for i, (path, variable) in enumerate(nnx.to_flat_state(state))
    }


def _name(path: tuple[str | int, ...]) -> str:
    return '/'.join(map(str, path))
