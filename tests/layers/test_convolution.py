"""The fast forms are the textbook convolutions, to the second derivative, in float64."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.layers import convolution as module
from gan_jax.layers.convolution import convolution, doubled_convolution, transposed_convolution
from gan_jax.layers.platforms import traced_for
from gan_jax.runtime import compiler

LAYOUTS = {2: ('NHWC', 'HWIO', 'NHWC'), 3: ('NDHWC', 'DHWIO', 'NDHWC')}
CANONICAL = LAYOUTS[2]


@pytest.fixture(params=['convolutions', 'products'])
def form(request, monkeypatch):
    """Each of the two forms on a CPU, whatever the channels."""
    needed = module._prefers_product

    def prefers_product(role, windows, *_):
        return request.param == 'products' or needed(role, windows, 10**6, 1, None)

    monkeypatch.setattr(module, '_prefers_product', prefers_product)
    return request.param


@pytest.mark.parametrize(
    ('windows', 'roles'),
    [
        (module._Windows((3, 3), 1, (1, 1), (4, 4), (4, 4)), set()),
        (module._Windows((3, 3), 1, (1, 1), (2, 4), (2, 4)), {'outputs', 'images'}),
        (module._Windows((4, 4), 1, (2, 2), (9, 9), (10, 10)), set()),  # images and outputs are exchanged
        (module._Windows((3, 4), 1, (0, 2), (5, 9), (3, 10)), {'kernel'}),
        (module._Windows((4, 4), 2, (1, 1), (4, 4), (2, 2)), set()),
        (module._Windows((5, 5), 2, (1, 1), (4, 4), (2, 2)), {'outputs', 'images'}),
    ],
)
def test_a_kernel_larger_than_its_image_makes_a_product(windows, roles):
    every = ('outputs', 'images', 'kernel')
    assert {role for role in every if module._prefers_product(role, windows, 64, 64, jnp.float32)} == roles


def textbook(images, kernel, stride, padding):
    sides = images.ndim - 2
    return lax.conv_general_dilated(images, kernel, (stride,) * sides, padding, dimension_numbers=LAYOUTS[sides])


def textbook_transposed(images, kernel):
    sides = images.ndim - 2
    return lax.conv_transpose(
        images, kernel.swapaxes(-2, -1), (2,) * sides, 'SAME', transpose_kernel=True, dimension_numbers=LAYOUTS[sides]
    )


def arrays(size, window, dtype=np.float64):
    draw = np.random.default_rng(0).normal
    window = (window,) * len(size) if isinstance(window, int) else window
    return draw(size=(2, *size, 3)).astype(dtype), draw(size=(*window, 3, 4)).astype(dtype)


def derivatives(layer):
    """The value, both gradients, and the gradients of two scalars of the gradients (as penalties take them)."""

    def all_of_them(images, kernel):
        def scalar(images, kernel):
            return jnp.sum(jnp.sin(layer(images, kernel)))

        def penalty(argument):
            return lambda *inputs: jnp.sum(jnp.cos(jax.grad(scalar, argument)(*inputs)))

        return (
            layer(images, kernel),
            *(jax.grad(function, (0, 1))(images, kernel) for function in (scalar, penalty(0), penalty(1))),
        )

    return jax.jit(all_of_them)


def assert_same_derivatives(ours, reference, size, window):
    with jax.enable_x64(True):
        inputs = arrays(size, window)
        for got, wanted in zip(
            jax.tree.leaves(derivatives(ours)(*inputs)), jax.tree.leaves(derivatives(reference)(*inputs)), strict=True
        ):
            assert got.shape == wanted.shape
            assert got.dtype == jnp.float64
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-11)


@pytest.mark.usefixtures('form')
@pytest.mark.parametrize(
    ('window', 'size', 'stride', 'padding'),
    [
        (3, (6, 8), 2, 'SAME'),
        pytest.param(4, (6, 8), 2, 'SAME', marks=pytest.mark.slow),
        pytest.param(5, (6, 8), 2, 'SAME', marks=pytest.mark.slow),
        pytest.param(4, (5, 7), 2, 'SAME', marks=pytest.mark.slow),
        (5, (5, 7), 2, 'SAME'),
        (3, (6, 7), 2, ((2, 0), (0, 3))),
        ((2, 5), (6, 7), 2, 'VALID'),
        (1, (5, 6), 2, 'SAME'),
        pytest.param(3, (9, 7), 3, 'SAME', marks=pytest.mark.slow),
        (3, (5, 6), 1, 'SAME'),
        pytest.param(4, (5, 6), 1, 'SAME', marks=pytest.mark.slow),
        pytest.param(5, (7, 6), 1, 'SAME', marks=pytest.mark.slow),
        (5, (4, 4), 1, 'SAME'),  # a kernel larger than the image
        (3, (5, 6), 1, ((2, 0), (0, 2))),
        pytest.param(3, (5, 6), 1, ((2, 2), (2, 2)), marks=pytest.mark.slow),
        (4, (4, 4), 1, 'VALID'),
        pytest.param(3, (6, 5), 1, 'VALID', marks=pytest.mark.slow),
        (4, (4, 6, 2), 2, 'SAME'),  # of solids
        ((1, 3, 2), (3, 2, 4), 1, 'SAME'),
    ],
)
def test_convolution_and_its_derivatives_are_the_textbooks(window, size, stride, padding):
    assert_same_derivatives(
        functools.partial(convolution, stride=stride, padding=padding),
        functools.partial(textbook, stride=stride, padding=padding),
        size,
        window,
    )


@pytest.mark.usefixtures('form')
@pytest.mark.parametrize(
    ('window', 'size'),
    [(3, (4, 6)), pytest.param(4, (4, 6), marks=pytest.mark.slow), (5, (4, 6)), ((2, 3), (3, 1)), (4, (2, 3, 1))],
)
def test_transposed_convolution_and_its_derivatives_are_the_textbooks(window, size):
    assert_same_derivatives(transposed_convolution, textbook_transposed, size, window)


@pytest.mark.usefixtures('form')
@pytest.mark.parametrize(
    ('window', 'size'), [(3, (4, 6)), pytest.param(4, (2, 3), marks=pytest.mark.slow), (5, (1, 3))]
)
def test_a_doubled_convolution_and_its_derivatives_are_those_of_the_doubled_image(window, size):
    def reference(images, kernel):
        return textbook(jnp.repeat(jnp.repeat(images, 2, 1), 2, 2), kernel, 1, 'SAME')

    assert_same_derivatives(doubled_convolution, reference, size, window)


@pytest.mark.usefixtures('form')
def test_transposed_convolution_of_one_pixel_is_the_middle_of_the_kernel():
    # PyTorch's ConvTranspose2d(1, 1, 4, stride=2, padding=1): the outer ring of the 4x4 kernel is cropped away.
    kernel = jnp.arange(16.0).reshape(4, 4, 1, 1)
    image = transposed_convolution(jnp.full((1, 1, 1, 1), 2.0), kernel)
    np.testing.assert_array_equal(image[0, :, :, 0], [[10.0, 12.0], [18.0, 20.0]])


def test_strided_convolution_by_hand():
    # Padding is 1 on each side, so each 4x4 window sees a 3x3 corner of the image.
    image = convolution(jnp.ones((1, 4, 4, 1)), jnp.ones((4, 4, 1, 1)), stride=2)
    np.testing.assert_array_equal(image[0, :, :, 0], [[9.0, 9.0], [9.0, 9.0]])


@pytest.mark.parametrize('window', [3, 4, 5])
def test_transposed_is_the_adjoint_of_strided(window):
    with jax.enable_x64(True):
        images, kernel = arrays((6, 4), window)
        outputs = np.random.default_rng(1).normal(size=(2, 3, 2, 4))
        forth = jnp.vdot(convolution(images, kernel, stride=2), outputs)
        back = jnp.vdot(images, transposed_convolution(outputs, kernel.swapaxes(2, 3)))
        np.testing.assert_allclose(forth, back, rtol=1e-13)


LAYERS = {
    'strided': (functools.partial(convolution, stride=2), functools.partial(textbook, stride=2, padding='SAME')),
    'same': (convolution, functools.partial(textbook, stride=1, padding='SAME')),
    'transposed': (transposed_convolution, textbook_transposed),
}


@pytest.mark.usefixtures('form')
@pytest.mark.parametrize('name', LAYERS)
def test_under_vmap_and_scan(name):
    def updates(layer):
        def step(kernel, images):
            value, gradient = jax.value_and_grad(lambda kernel: jnp.sum(jnp.sin(layer(images, kernel))))(kernel)
            return kernel - 0.1 * gradient, value

        def train(kernel):
            return lax.scan(step, kernel, jnp.stack([images, 2 * images]))

        return jax.jit(jax.vmap(train))(jnp.stack([kernel, -kernel, 3 * kernel]))

    with jax.enable_x64(True):
        images, kernel = arrays((6, 4), 4)
        for got, wanted in zip(*map(updates, LAYERS[name]), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.usefixtures('form')
@pytest.mark.parametrize('name', LAYERS)
def test_under_pmap(name):
    images, kernel = arrays((6, 4), 4, np.float32)
    images = np.stack([images * scale for scale in range(1, 9)])

    def gradient(layer, images):
        return jax.grad(lambda kernel: jnp.sum(layer(images, kernel) ** 2))(kernel)

    ours, reference = LAYERS[name]
    mapped = jax.pmap(lambda images: lax.psum(gradient(ours, images), 'devices'), 'devices')(images)
    wanted = gradient(reference, jnp.concatenate(images))
    np.testing.assert_allclose(mapped[0], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize('name', LAYERS)
def test_no_slow_convolution_is_compiled_for_cpu(name, form):
    program = derivatives(LAYERS[name][0]).lower(*arrays((6, 4), 3, np.float32)).compile().as_text()
    windows = re.findall(r' convolution\(.*window={([^}]*)}', program)
    assert bool(windows) == (form == 'convolutions')
    assert not any('lhs_dilate' in window or 'reversal' in window for window in windows)


@pytest.mark.skipif(not compiler.HAS_ONEDNN, reason='this version of XLA calls oneDNN for nothing')
@pytest.mark.parametrize(('dtype', 'calls'), [('float32', 1), ('bfloat16', 2)])
def test_weight_gradients_of_float32_are_not_by_onednn(dtype, calls):
    def gradients(images, kernel):
        return jax.value_and_grad(lambda kernel: jnp.sum(jnp.sin(convolution(images, kernel, 1))))(kernel)

    images, kernel = jnp.ones((8, 16, 16, 32), dtype), jnp.ones((3, 3, 32, 32), dtype)
    program = jax.jit(gradients).lower(images, kernel).compile(compiler.training()).as_text()
    assert program.count('"__onednn$convolution"') == calls


@pytest.mark.parametrize('name', LAYERS)
def test_other_platforms_get_the_plain_convolution(name):
    """Also in its derivatives: as many convolutions as those of XLA's own operation, and no products of patches."""

    def lowered(function):
        with traced_for(None):
            traced = jax.jit(function).trace(*arrays((6, 4), 4, np.float32))
        return traced.lower(lowering_platforms=('cuda',)).as_text()

    ours, reference = LAYERS[name]
    assert lowered(ours).count('stablehlo.convolution') == 1
    programs = lowered(derivatives(ours)), lowered(derivatives(reference))
    assert programs[0].count('stablehlo.convolution') == programs[1].count('stablehlo.convolution') > 10
    assert 'dot_general' not in programs[0]
