"""Rewrites convolutions to the one layout that is fast on XLA:CPU.

XLA:CPU uses a library (Eigen, oneDNN) for a convolution only if its layout is NHWC x HWIO -> NHWC. The gradients of
`flax.linen.Conv` have other layouts. XLA's pass that transposes them only handles the outermost computation of a
program. Inside a loop, where training steps run, they are not changed and become plain loops, slower by factors of 10
to 50. Therefore they are transposed here, before compilation.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun
from jax.extend.core.primitives import conv_general_dilated_p

from gan_jax.layers.platforms import by_platform


def canonical(function: Callable) -> Callable:
    """A function with the same values whose convolutions are all NHWC x HWIO -> NHWC on a CPU.

    This includes its loops, branches and compiled functions, and gradients taken inside it. On other devices
    convolutions do not change.

    Args:
        function: a function of positional arguments that are trees of arrays, as its result is.
    """

    @functools.wraps(function)
    def transposed(*arguments: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        results = jaxpr_as_fun(_rewrite(closed))(*jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return transposed


def _rewrite(part: Any) -> Any:
    """A rewritten program, or tuple of programs; the same object if nothing changes, because JAX caches by identity."""
    if isinstance(part, Jaxpr):
        equations = [new for equation in part.eqns for new in _rewrite_equation(equation)]
        return part if _identical(equations, part.eqns) else part.replace(eqns=equations)
    if isinstance(part, ClosedJaxpr):  # from jax 0.12 on a Jaxpr too
        jaxpr = _rewrite(part.jaxpr)
        return part if jaxpr is part.jaxpr else part.replace(jaxpr=jaxpr)
    if type(part) is tuple:
        parts = tuple(map(_rewrite, part))
        return part if _identical(parts, part) else parts
    return part


def _rewrite_equation(equation: JaxprEqn) -> list[JaxprEqn]:
    if equation.primitive is conv_general_dilated_p:
        numbers = equation.params['dimension_numbers']
        return [equation] if numbers == _canonical_numbers(len(numbers.lhs_spec)) else _transposed(equation)
    params = {name: _rewrite(value) for name, value in equation.params.items()}
    same = _identical(list(params.values()), list(equation.params.values()))
    return [equation if same else equation.replace(params=params)]


def _identical(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


def _canonical_numbers(rank: int) -> lax.ConvDimensionNumbers:
    image = (0, rank - 1, *range(1, rank - 1))
    return lax.ConvDimensionNumbers(image, (rank - 1, rank - 2, *range(rank - 2)), image)


def _transposed(equation: JaxprEqn) -> list[JaxprEqn]:
    """The equations of the convolution between transpositions."""
    here = equation.params['dimension_numbers']
    there = _canonical_numbers(len(here.lhs_spec))

    def order(before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
        """The permutation of an array's axes from one specification to the other."""
        return [before[after.index(axis)] for axis in range(len(after))]

    def as_it_was(images, kernel):
        return conv_general_dilated_p.bind(images, kernel, **equation.params)

    def between(images, kernel):
        images = lax.transpose(images, order(here.lhs_spec, there.lhs_spec))
        kernel = lax.transpose(kernel, order(here.rhs_spec, there.rhs_spec))
        outputs = conv_general_dilated_p.bind(images, kernel, **(equation.params | {'dimension_numbers': there}))
        return lax.transpose(outputs, order(there.out_spec, here.out_spec))

    shapes = [jax.ShapeDtypeStruct(variable.aval.shape, variable.aval.dtype) for variable in equation.invars]
    inner = jax.make_jaxpr(functools.partial(by_platform, between, as_it_was))(*shapes).jaxpr
    outer = dict(zip([*inner.invars, *inner.outvars], [*equation.invars, *equation.outvars], strict=True))

    def rename(variables):
        return [variable if isinstance(variable, Literal) else outer.get(variable, variable) for variable in variables]

    return [each.replace(invars=rename(each.invars), outvars=rename(each.outvars)) for each in inner.eqns]
