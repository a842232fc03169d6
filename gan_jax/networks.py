"""Networks as pairs of pure functions, made of Flax's linen modules or of plain functions.

`gan_jax.nnx_networks` makes them of nnx modules.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.game import Array, Key, PyTree, stream
from gan_jax.layers.choices import require


class Network(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: key -> (params, variables). With `from_flax` it takes examples [N, ...] as an optional second argument,
            from which layers with a data-dependent initialisation start.
        apply: (params, variables, inputs, key, train, condition=None) -> (outputs, new variables). `train` is a Python
            bool; with `train=False` the variables come back unchanged, and the key may be None: only a network with
            noise in evaluation mode needs one. The condition is class
            labels [B] or vectors [B, n], or None in an unconditional game. A discriminator's outputs are logits [B] or
            a `gan_jax.judgement.Judgement`.
        styles: (params, variables, latents, key, train, condition=None) -> the styles [B, ...] of latents, from which
            the generator makes its examples; None: the generator has no styles.
        synthesize: (params, variables, styles [B, ...], key, train) -> the examples [B, ...] of styles.
    """

    init: Callable[..., tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[Any, PyTree]]
    styles: Callable[..., Array] | None = None
    synthesize: Callable[..., Array] | None = None


def pure(init: Callable[[Key], PyTree], apply: Callable[..., Any]) -> Network:
    """A network from any pure pair `init(key) -> params` and `apply(params, inputs) -> outputs`.

    In a conditional game the call is `apply(params, inputs, condition)`.
    """

    def apply_stateless(params, variables, inputs, key, train, condition=None):
        del key, train
        return apply(params, inputs) if condition is None else apply(params, inputs, condition), variables

    return Network(lambda key: (init(key), {}), apply_stateless)


def from_flax(
    module: nn.Module,
    input_shape: tuple[int, ...],
    *,
    condition: jax.ShapeDtypeStruct | None = None,
    reference: Callable[[Key], tuple[Array, Array | None]] | None = None,
    method: str = '__call__',
) -> Network:
    """A network from a linen module called as `module(inputs, train=...)`, for inputs [batch, *input_shape].

    Collections other than `params` are the network's variables, all of them mutable in training. The key feeds every
    random stream of the module (including dropout). A module with the methods `styles` and `synthesize` makes
    its outputs by `synthesize` from the styles of the inputs; both methods also take `train`.

    Args:
        module: the module, called as `module(inputs, condition, train=...)` where there is a condition.
        input_shape: shape of one input.
        condition: shape and dtype of one example's condition, or a tree of them; None: the module is unconditional.
        reference: key -> the (inputs [R, ...], conditions [R, ...] or None) of virtual batch normalisation. They are
            drawn once and kept among the variables; each application passes them through the module first.
        method: the method of the module that makes the outputs.

    Raises:
        UserError: the module is not a linen module, or its method does not take `train`; there is virtual batch
            normalisation without a reference.
    """
    if not isinstance(module, nn.Module):
        what = f'the class {module.__name__}' if isinstance(module, type) else f'a {type(module).__name__}'
        raise UserError(
            f'from_flax takes an instance of a linen module, not {what}: use nnx_networks.from_nnx for nnx, and '
            'pure(init, apply) for others.'
        )
    parameters = inspect.signature(getattr(module, method)).parameters.values()
    if not any(parameter.name == 'train' or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        raise UserError(
            f'The method {method} of {type(module).__name__} has no argument `train`, with which from_flax calls it: '
            'add one, or use pure(init, apply).'
        )
    require(isinstance(input_shape, Sequence), 'input_shape', input_shape, 'a tuple, without the batch axis')

    def arguments(inputs, condition):
        return (inputs,) if condition is None else (inputs, condition)

    def init(key: Key, examples: Array | None = None) -> tuple[PyTree, PyTree]:
        inputs = jnp.zeros((1, *input_shape)) if examples is None else examples
        conditions = jax.tree.map(lambda one: jnp.zeros((len(inputs), *one.shape), one.dtype), condition)
        variables = dict(module.init(key, *arguments(inputs, conditions), train=examples is not None))
        params = variables.pop('params')
        if reference is None and 'virtual' in variables:
            raise UserError('Virtual batch normalisation needs a reference batch: pass `reference` to from_flax.')
        if reference is not None:
            variables['reference'] = reference(stream(key, 'reference'))
        return params, variables

    def apply(params, variables, inputs, key, train, condition=None):
        collections = {name: value for name, value in variables.items() if name != 'reference'}
        mutable = [name for name in collections if name != 'virtual']
        if reference is not None:
            _, statistics = module.apply(
                {'params': params, **collections}, *arguments(*variables['reference']), train=False, mutable=['virtual']
            )
            collections |= statistics
        made = functools.partial(
            module.apply, {'params': params, **collections}, *arguments(inputs, condition), rngs=key, method=method
        )
        if not train:
            return made(train=False), variables
        outputs, updated = made(train=True, mutable=mutable)
        return outputs, {**variables, **updated}

    def styles(params, variables, inputs, key, train, condition=None):
        inputs = arguments(inputs, condition)
        return module.apply({'params': params, **variables}, *inputs, train=train, rngs=key, method='styles')

    def synthesize(params, variables, styles, key, train):
        return module.apply({'params': params, **variables}, styles, train=train, rngs=key, method='synthesize')

    return Network(init, apply, *((styles, synthesize) if hasattr(module, 'synthesize') else ()))


def recomputed(network: Network) -> Network:
    """The network with its forward pass computed again for the gradient: less memory, about a third more time."""
    return network._replace(apply=jax.checkpoint(network.apply, static_argnums=(4,)))


def init_networks(networks: Mapping[str, Network], key: Key) -> dict[str, tuple[PyTree, PyTree]]:
    """(params, variables) of networks by name, each from the stream of its name."""
    return {name: network.init(stream(key, name)) for name, network in networks.items()}


def check_network(name: str, made: Any) -> None:
    """Raises a UserError unless the result of a network's init is (params, variables)."""
    if not (isinstance(made, tuple) and len(made) == 2):
        raise UserError(
            f'The init of {name!r} returns a {type(made).__name__}; it must return (params, variables), with '
            'variables {} for a network without any.'
        )
