"""Grouped convolutions in the forms that are fast on a CPU, against XLA's."""

import functools

import jax
import numpy as np
import pytest

from gan_jax.layers import grouped
from gan_jax.layers.platforms import traced_for


@pytest.mark.parametrize(
    ('channels', 'features', 'groups', 'size', 'blocks'),
    [
        (96, 48, 6, 3, 3),  # blocks of two groups
        (8, 12, 2, 3, 1),  # all groups in one
        (6, 6, 3, 2, 1),  # an even size
        (1088, 1088, 34, 1, 34),  # too many blocks: products
    ],
)
def test_they_and_their_gradients_are_xlas(channels, features, groups, size, blocks):
    assert grouped._number_of_blocks(channels, groups) == blocks
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (2, 5, 4, channels))
    kernel = jax.random.normal(keys[1], (size, size, channels // groups, features))
    outputs = jax.random.normal(keys[2], (2, 5, 4, features))

    @functools.partial(jax.jit, static_argnums=0)
    def gradients(convolution, images, kernel):
        made, adjoint = jax.vjp(convolution, images, kernel)
        # and, as a gradient penalty has it, the gradient of the gradient's square
        penalty = lambda kernel: (jax.vjp(lambda x: convolution(x, kernel), images)[1](outputs)[0] ** 2).sum()  # noqa: E731
        return made, *adjoint(outputs), jax.grad(penalty)(kernel)

    padding = (((size - 1) // 2, size // 2),) * 2
    ours = gradients(functools.partial(_positional, groups), images, kernel)
    theirs = gradients(functools.partial(grouped._plain, groups, padding), images, kernel)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * np.abs(other).max())


def _positional(groups, images, kernel):
    return grouped.grouped_convolution(images, kernel, groups)


def test_other_products_are_the_same_as_blocks():
    images = jax.random.normal(jax.random.key(0), (2, 6, 6, 64))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 16, 128))
    padding = ((1, 1), (1, 1))
    np.testing.assert_allclose(
        grouped._by_products(4, padding, images, kernel), grouped._by_blocks(4, padding, images, kernel), atol=1e-4
    )


def test_gradients_lower_for_other_platforms():
    def penalty(kernel, images):
        return jax.grad(lambda images: jax.numpy.sin(_positional(4, images, kernel)).sum())(images).sum()

    shapes = jax.ShapeDtypeStruct((3, 3, 16, 64), np.float32), jax.ShapeDtypeStruct((2, 6, 6, 64), np.float32)
    with traced_for(None):
        exported = jax.export.export(jax.jit(jax.grad(penalty)), platforms=('cpu', 'cuda', 'tpu'))(*shapes)
    assert exported.platforms == ('cpu', 'cuda', 'tpu')
    assert exported.out_avals[0].shape == (3, 3, 16, 64)
