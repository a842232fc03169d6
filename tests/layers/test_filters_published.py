"""StyleGAN2's resampling, modulated convolutions and activations against published outputs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.layers.convolution import convolution
from gan_jax.layers.filters import convolve_down, convolve_up, resample
from gan_jax.layers.minibatch import minibatch_deviation
from gan_jax.layers.modulated import activate, clipped, modulated_convolution
from tests.golden_files import assert_close, nhwc, read

ARRAYS = functools.partial(read, 'sg2_ops')


def flipped(taps):
    """The taps of a correlation that is the true convolution of the published code."""
    return np.flip(taps)


def normalised(name):
    taps = ARRAYS()[f'in/{name}']
    return taps / taps.sum()


def as_kernel(weight):
    return jnp.asarray(weight.transpose(2, 3, 1, 0))


@pytest.mark.parametrize('name', ['f4', 'f_asym', 'f2d', 'f12'])
def test_images_are_doubled_halved_and_filtered_as_published(name):
    arrays, taps = ARRAYS(), normalised(name)
    images, setup = nhwc(arrays['in/x']), arrays[f'out/setup_filter/{name}']
    assert_close(np.outer(taps, taps) if taps.ndim < setup.ndim else taps, setup)
    sizes = [taps.shape[0], taps.shape[-1]]  # vertical, horizontal
    doubled = resample(
        images,
        flipped(taps) * (2 if taps.ndim == 1 else 4),
        (2, 2),
        padding=[((n + 1) // 2, (n - 2) // 2) for n in sizes],
    )
    assert_close(doubled, nhwc(arrays[f'out/upsample2d/{name}']))
    around = [((n - 1) // 2, (n - 2) // 2) for n in sizes]
    for suffix, filtered in (('', flipped(taps)), ('_flip', taps)):
        halved = resample(images, filtered, down=(2, 2), padding=around)
        assert_close(halved, nhwc(arrays[f'out/downsample2d{suffix}/{name}']))
    kept = resample(images, flipped(taps), padding=[(n // 2, (n - 1) // 2) for n in sizes])
    assert_close(kept, nhwc(arrays[f'out/filter2d/{name}']))


def test_any_rates_and_paddings_are_the_published_ones():
    arrays = ARRAYS()
    images, taps, symmetric = nhwc(arrays['in/x']), normalised('f_asym'), normalised('f4')
    wide = resample(images, 1.5**0.5 * flipped(taps), (2, 2), padding=((2, 4), (3, 1)))
    assert_close(wide, nhwc(arrays['out/upfirdn/up2_down1_pad']))
    mixed = resample(images, taps, up=(2, 3), down=(3, 2), padding=((3, 2), (4, 5)))
    assert_close(mixed, nhwc(arrays['out/upfirdn/up3_down2_pad']))
    cropped = resample(images, symmetric, (2, 2), padding=((2, -2), (-1, 3)))
    assert_close(cropped, nhwc(arrays['out/upfirdn/negpad']))


@pytest.mark.parametrize('weight', ['w3', 'w1'])
@pytest.mark.parametrize('name', ['f4', 'f_asym'])
def test_convolutions_that_change_the_size_are_the_published_ones(weight, name):
    arrays = ARRAYS()
    images, kernel, taps = nhwc(arrays['in/x']), as_kernel(arrays[f'in/{weight}']), tuple(normalised(name))
    golden = f'out/conv2d_resample/{weight}_{name}'
    assert_close(convolve_up(images, kernel, taps), nhwc(arrays[f'{golden}_up2']))
    assert_close(convolve_up(images, kernel[::-1, ::-1], taps), nhwc(arrays[f'{golden}_up2_flipw']))
    assert_close(convolve_down(images, kernel, taps[::-1]), nhwc(arrays[f'{golden}_down2']))


@pytest.mark.parametrize('name', ['demod', 'nodemod_1x1', 'up2', 'down2'])
def test_modulated_convolutions_are_the_published_ones(name):
    arrays, taps = ARRAYS(), tuple(normalised('f4'))
    convolve = {
        'up2': lambda images, kernel: convolve_up(images, kernel, taps),
        'down2': lambda images, kernel: convolve_down(images, kernel, taps),
    }.get(name, convolution)
    made = modulated_convolution(
        nhwc(arrays['in/x']),
        as_kernel(arrays['in/w1' if '1x1' in name else 'in/w3']),
        arrays['in/styles'],
        demodulate='nodemod' not in name,
        convolve=convolve,
    )
    noise = nhwc(arrays['in/noise_up']) if name == 'up2' else 0.0
    assert_close(made + noise, nhwc(arrays[f'out/modconv/{name}']))


def test_the_gradients_of_a_modulated_convolution_are_those_of_each_examples_kernel():
    key = jax.random.key(0)
    images, kernel = jax.random.normal(key, (3, 5, 5, 4)), jax.random.normal(key, (3, 3, 4, 6))
    styles = jax.random.normal(key, (3, 4))

    def fast(images, kernel, styles):
        return jnp.sin(modulated_convolution(images, kernel, styles)).sum()

    def by_the_book(images, kernel, styles):
        kernels = kernel[None] * styles[:, None, None, :, None]
        kernels *= (kernels**2).sum((1, 2, 3), keepdims=True) ** -0.5
        made = [convolution(image[None], kernel)[0] for image, kernel in zip(images, kernels, strict=True)]
        return jnp.sin(jnp.stack(made)).sum()

    for ours, theirs in zip(
        *(jax.jit(jax.grad(f, (0, 1, 2)))(images, kernel, styles) for f in (fast, by_the_book)), strict=True
    ):
        assert_close(ours, np.asarray(theirs))


def test_activations_are_the_published_ones():
    arrays = ARRAYS()
    inputs = nhwc(arrays['out/bias_act_input']) + arrays['in/b5']
    assert_close(activate(inputs), nhwc(arrays['out/bias_act/lrelu']))
    assert_close(activate(inputs, 0.5, 0.8), np.clip(0.5 * nhwc(arrays['out/bias_act/lrelu']), -0.4, 0.4))
    assert_close(clipped(inputs, 0.0), nhwc(arrays['out/bias_act/linear']))


def test_deviations_of_groups_are_the_published_ones_in_another_order():
    arrays = ARRAYS()
    images = nhwc(arrays['out/mbstd_input'])
    for name, size, features in (
        ('group2_ch1', 2, 1),
        ('group3_ch1', 3, 1),
        ('group6_ch2', 6, 2),
        ('groupNone_ch1', 0, 1),
    ):
        order = np.arange(6).reshape(size or 6, -1).T.reshape(-1)  # theirs are strided, ours are neighbours
        ours = minibatch_deviation(jnp.asarray(images[order]), size, features)[:, 0, 0, 4:]
        assert_close(ours, arrays[f'out/mbstd/{name}'][order])
