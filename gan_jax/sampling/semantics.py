"""Directions of the latent space along which the generated images change most, without any training.

SeFa: Shen and Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs", arXiv:2007.06600. A generator's first
layer maps latents z to A z + b, so a move by a unit vector n changes the input of all later layers by A n, the same at
every z. The directions with the largest |A n|, each perpendicular to the ones before, are the eigenvectors of A^T A
(equation 6). In W of a style generator A is that of the affine layers which make the styles of the chosen layers.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.game import Array
from gan_jax.layers.choices import require
from gan_jax.sampling.styles import chosen_layers

FIRST_LAYER = 'Dense_0'  # as Flax names the first dense layer, in all families of `gan_jax.models`


class Directions(NamedTuple):
    """Semantic directions, the strongest first.

    Attributes:
        vectors: unit vectors [k, n], float64; the sign is chosen so that the largest component is positive.
        gains: |A n| [k], the square roots of the eigenvalues.
    """

    vectors: np.ndarray
    gains: np.ndarray


def semantic_directions(kernel: ArrayLike, num: int | None = None) -> Directions:
    """The directions of a layer's weight.

    Args:
        kernel: A^T [n, units], the kernel of a dense layer, which is multiplied by a latent [n].
        num: how many directions; None: all n.

    Raises:
        UserError: `num` is larger than n.
    """
    kernel = np.asarray(kernel, np.float64)
    size = len(kernel)
    num = size if num is None else num
    require(1 <= num <= size, 'The number of directions', num, f'from 1 to {size}, the size of the latents')
    eigenvalues, eigenvectors = np.linalg.eigh(kernel @ kernel.T)  # ascending
    vectors = eigenvectors.T[::-1][:num]
    largest = vectors[np.arange(num), np.argmax(np.abs(vectors), axis=1)]
    return Directions(vectors * np.sign(largest)[:, None], np.sqrt(np.maximum(eigenvalues[::-1][:num], 0)))


def first_kernel(params: Any, latent_size: int) -> np.ndarray:
    """The rows for the latents of a generator's first weight: [latent_size, units].

    It is that of the dense layer `Dense_0`: the first hidden layer of the MLP, the projection to the base of DCGAN and
    SNGAN. If a class embedding is concatenated to the latents, its rows are omitted. Spectral normalisation
    divides the weight by a number, which does not change directions; the following batch norm is ignored, as in the
    paper.

    Args:
        params: the generator's parameters.
        latent_size: size of its latents.

    Raises:
        UserError: the generator does not have the layer.
    """
    layer = params.get(FIRST_LAYER) if isinstance(params, Mapping) else None
    kernel = np.asarray(layer['kernel']) if isinstance(layer, Mapping) and 'kernel' in layer else np.zeros((0, 0))
    if kernel.ndim != 2 or len(kernel) < latent_size:
        raise UserError(
            f'The generator has no dense layer {FIRST_LAYER} for its latents: pass the weight that the latents are '
            'multiplied by to gan_jax.sampling.semantics.semantic_directions.'
        )
    return kernel[:latent_size]


def style_kernel(
    synthesize: Callable[[Array], Array], params: Any, shape: tuple[int, int], layers: Sequence[int] | None = None
) -> np.ndarray:
    """The concatenated weights by which layers of a style generator multiply w: [w, units].

    Each column has length 1, as in the published code of SeFa, so that the scale of a layer does not matter. An affine
    layer belongs to the layer whose w is its input; those of the to-RGB layers are included.

    Args:
        synthesize: styles [1, layers, w] -> images, of linen modules.
        params: their parameters.
        shape: (layers, w).
        layers: which ones; None: all of them.

    Raises:
        UserError: the layer does not exist, or has no affine layer.
    """
    chosen = chosen_layers(layers, shape[0])

    def readers(styles: Array) -> dict[tuple[str, ...], Array]:
        """A component of what each module that is given a w is given."""
        found = {}

        def see(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
            if context.method_name == '__call__' and args and jnp.shape(args[0]) == (1, shape[1]):
                found[context.module.path] = args[0][0, 0]
            return call(*args, **kwargs)

        with nn.intercept_methods(see):
            synthesize(styles)
        return found

    numbers = np.broadcast_to(np.arange(shape[0], dtype=np.float32)[:, None], (1, *shape))
    kernels = []
    for path, number in jax.jit(readers)(numbers).items():
        layer = functools.reduce(lambda tree, name: tree.get(name, {}), path, params)
        if 'kernel' in layer and chosen[int(number)]:
            kernels.append(np.asarray(layer['kernel'], np.float64))
    if not kernels:
        raise UserError('These layers have no affine layer for styles: choose others by --layers.')
    kernel = np.concatenate(kernels, axis=1)
    return kernel / np.linalg.norm(kernel, axis=0)
