"""Convolution and transposed convolution, fast on XLA:CPU under any number of derivatives and inside `lax.scan`.

Convolution, image gradient (a transposed convolution) and weight gradient are the partial derivatives of one trilinear
form, so the gradients of each are the other two. XLA:CPU is fast with NHWC x HWIO -> NHWC convolutions and with matrix
products; the gradients that it derives for strided and transposed convolutions are neither, and are slower
by factors of 2 to 100. Here, on a CPU, each of the three is computed in the faster of two forms:

- Convolutions: a transposed convolution of stride s is s^2 convolutions of stride 1, each of which makes every s-th
  pixel; a weight gradient is a convolution of the images with the cotangents as kernel and the batch as channels.
- Products: patches times a matrix; a transposed convolution folds patches, overlaps added. Patches take a multiple of
  the image's memory, which is worthwhile for many output channels or few input channels, and where a kernel is larger
  than its image.

Solids and clips are images with more channels: the slices under the kernel are concatenated, and the convolution of
these, in either form, makes a slice of the outputs.

Elsewhere (GPU, TPU) each of the three is the plain XLA operation. `gan_jax.layers.platforms` decides, inside the three,
so that a derivative traces one rule and not one for each platform. The rules are `jax.custom_vjp`: reverse mode to any
order and `vmap` work, forward mode (`jax.jvp`, `jax.hessian`) does not.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.layers.platforms import by_platform
from gan_jax.runtime.compiler import HAS_ONEDNN

Padding = str | Sequence[tuple[int, int]]
_LAYOUTS = {2: ('NHWC', 'HWIO', 'NHWC'), 3: ('NDHWC', 'DHWIO', 'NDHWC')}  # by the number of sides of a kernel


def convolution(images: jax.Array, kernel: jax.Array, stride: int = 1, padding: Padding = 'SAME') -> jax.Array:
    """Cross-correlation of images or solids with a kernel, equal to `lax.conv_general_dilated`.

    Args:
        images: [B, H, W, C], or solids and clips [B, D, H, W, C].
        kernel: [h, w, C, D], or [d, h, w, C, D].
        stride: in all directions.
        padding: 'SAME' (XLA's: the output is ceil(H / stride), odd padding goes behind; 1, 1 for size 4 and stride 2),
            'VALID', or ((top, bottom), (left, right)) and so on.

    Returns:
        [B, H', W', D], or [B, D', H', W', D].
    """
    size, window = images.shape[1:-1], kernel.shape[:-2]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(size, window, (stride,) * len(window), padding)
    padding = tuple(map(tuple, padding))
    places = tuple((n + sum(pads) - k) // stride + 1 for n, pads, k in zip(size, padding, window, strict=True))
    return _convolution(_Windows(window, stride, tuple(low for low, _ in padding), size, places), images, kernel)


def transposed_convolution(
    images: jax.Array, kernel: jax.Array, stride: int = 2, padding: int | None = None
) -> jax.Array:
    """Transposed convolution that multiplies every side by the stride exactly.

    The adjoint of the 'SAME' strided convolution of an image of the output's size: out[stride i + u - p] += images[i]
    kernel[u], by default with p = (k - stride) // 2 for a kernel of size k. For size 4 and stride 2 that is PyTorch's
    `ConvTranspose2d(4, stride=2, padding=1)`; `ConvTranspose2d(3, stride=2, padding=1, output_padding=1)` has p = 1.

    Args:
        images: [B, H, W, C], or [B, D, H, W, C].
        kernel: [h, w, C, D], or [d, h, w, C, D].
        stride: in all directions.
        padding: p, less than k; None: the default.

    Returns:
        [B, stride H, stride W, D], or [B, stride D, stride H, stride W, D].
    """
    places, window = images.shape[1:-1], kernel.shape[:-2]
    low = tuple(max(k - stride, 0) // 2 if padding is None else padding for k in window)
    windows = _Windows(window, stride, low, tuple(stride * n for n in places), places)
    return _transposed(windows, images, kernel.swapaxes(-2, -1))  # as in the convolution that this is the adjoint of


def doubled_convolution(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """The 'SAME' convolution of images enlarged twofold by the nearest pixel, without computing the large images.

    It is a transposed convolution. Where two pixels of a window are the same pixel of the image, their weights are
    added: that needs less than half of the multiplications.

    Args:
        images: [B, H, W, C].
        kernel: [k, k, C, D].

    Returns:
        [B, 2 H, 2 W, D].
    """
    padding = kernel.shape[0] // 2
    kernel = lax.rev(kernel, (0, 1))
    for axis in (0, 1):
        ends = ([(0, 0)] * axis + [pads] + [(0, 0)] * (3 - axis) for pads in ((0, 1), (1, 0)))
        kernel = sum(jnp.pad(kernel, pads) for pads in ends)
    return transposed_convolution(images, kernel, 2, padding)


def neighbours(solids: jax.Array, taps: int, stride: int = 1) -> jax.Array:
    """Slices of solids, or frames of clips, with those after them as channels, in order.

    A convolution of these in two dimensions is one of the solids in three, with a kernel of so many taps along the
    first side and without padding there.

    Args:
        solids: [B, D, H, W, C].
        taps: slices in one.
        stride: along the first side.

    Returns:
        [B, (D - taps) // stride + 1, H, W, taps C].
    """
    span = (solids.shape[1] - taps) // stride * stride + 1
    return jnp.concatenate([solids[:, tap : tap + span : stride] for tap in range(taps)], axis=-1)


def reflected(images: jax.Array, by: int) -> jax.Array:
    """Images [B, H, W, C] with a border of `by` reflected pixels, less than H and W."""
    return jnp.pad(images, ((0, 0), (by, by), (by, by), (0, 0)), mode='reflect')


class _Windows(NamedTuple):
    """The geometry of the windows of a kernel on an image or solid; tuples have an entry for each side."""

    kernel: tuple[int, ...]
    stride: int
    low: tuple[int, ...]  # padding in front of the image
    image: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def padding(self) -> list[tuple[int, int]]:
        """The padding before and after the image."""
        ends = [(n - 1) * self.stride + k for n, k in zip(self.places, self.kernel, strict=True)]
        return [(low, max(end - low - n, 0)) for end, low, n in zip(ends, self.low, self.image, strict=True)]

    def has_large_kernel(self, role: str) -> bool:
        """Whether a role's convolution has a kernel larger than its image, for which XLA:CPU takes a slow loop."""
        sizes, rooms = self.kernel, self.image
        if role == 'images':
            sizes, rooms = (-(-k // self.stride) for k in self.kernel), self.places
        elif role == 'kernel':
            sizes = ((n - 1) * self.stride + 1 for n in self.places)
        return any(size > room for size, room in zip(sizes, rooms, strict=True))

    @property
    def exchanged(self) -> '_Windows':
        """Of stride 1, the windows with which the outputs are the images and the images are the outputs."""
        low = tuple(k - 1 - low for k, low in zip(self.kernel, self.low, strict=True))
        return self._replace(low=low, image=self.places, places=self.image)

    @property
    def of_slice(self) -> '_Windows':
        """Of a solid, the windows within a slice."""
        return _Windows(self.kernel[1:], self.stride, self.low[1:], self.image[1:], self.places[1:])

    @property
    def layout(self) -> tuple[str, str, str]:
        """The dimension numbers of images, kernel and outputs."""
        return _LAYOUTS[len(self.kernel)]


def _prefers_product(role: str, windows: _Windows, channels: int, features: int, dtype: jax.typing.DTypeLike) -> bool:
    """Whether the product form of 'outputs', 'images' or 'kernel' is faster; see docs/benchmarks.md."""
    if 0 in windows.places:
        return False
    if {*windows.places} == {1} or {*windows.kernel} == {1}:
        return True
    if len(windows.kernel) == 3:
        return role == 'images' and (16 * channels <= features or windows.kernel[0] < windows.stride)
    if role == 'kernel' and windows.stride == 1 and windows.has_large_kernel(role):
        windows = windows.exchanged
    if windows.has_large_kernel(role):
        return True
    few, many = channels <= 16, windows.stride > 1 and features >= (512 if HAS_ONEDNN else 128)
    if role == 'images' and max(windows.kernel) >= 7:  # patches of this size cost more than they save
        few &= channels <= features and not HAS_ONEDNN
    if role == 'images':
        return few or many or min(windows.kernel) < windows.stride  # the last: a phase would have no kernel
    return (many and HAS_ONEDNN) or (role == 'kernel' and few and dtype == jnp.bfloat16)


def _plain(windows: _Windows, images: jax.Array, kernel: jax.Array) -> jax.Array:
    strides = (windows.stride,) * len(windows.kernel)
    return lax.conv_general_dilated(images, kernel, strides, windows.padding, dimension_numbers=windows.layout)


def _plain_transposed(windows: _Windows, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    stride = windows.stride
    padding = [
        (k - 1 - low, n - (places - 1) * stride - 1 + low)
        for k, low, n, places in zip(windows.kernel, windows.low, windows.image, windows.places, strict=True)
    ]
    sides = len(windows.kernel)
    return lax.conv_general_dilated(
        outputs, _flipped(kernel), (1,) * sides, padding, (stride,) * sides, dimension_numbers=windows.layout
    )


def _plain_weight_gradient(windows: _Windows, images: jax.Array, outputs: jax.Array) -> jax.Array:
    shape = jax.ShapeDtypeStruct((*windows.kernel, images.shape[-1], outputs.shape[-1]), images.dtype)
    return jax.linear_transpose(functools.partial(_plain, windows, images), shape)(outputs)[0]


def _flipped(kernel: jax.Array) -> jax.Array:
    """The kernel of the transposed convolution: reversed along its sides, with inputs and outputs exchanged."""
    return lax.rev(kernel, range(kernel.ndim - 2)).swapaxes(-2, -1)


# The three partial derivatives of sum(outputs * convolution(images, kernel)), for images [B, H, W, C], a kernel
# [h, w, C, D] and outputs [B, H', W', D].


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolution(windows: _Windows, images: jax.Array, kernel: jax.Array) -> jax.Array:
    """With respect to the outputs."""
    fast = _fast('outputs', windows, *kernel.shape[-2:], images.dtype)
    return _choose(fast, _plain, windows, images, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _transposed(windows: _Windows, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """With respect to the images."""
    fast = _fast('images', windows, *kernel.shape[-2:], outputs.dtype)
    return _choose(fast, _plain_transposed, windows, outputs, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _weight_gradient(windows: _Windows, images: jax.Array, outputs: jax.Array) -> jax.Array:
    """With respect to the kernel."""
    fast = _fast('kernel', windows, images.shape[-1], outputs.shape[-1], images.dtype)
    return _choose(fast, _plain_weight_gradient, windows, images, outputs)


def _choose(fast: Callable, plain: Callable, windows: _Windows, *arrays: jax.Array) -> jax.Array:
    """`by_platform` of functions of the windows and the arrays, which may be the same."""
    if fast is plain:
        return plain(windows, *arrays)
    return by_platform(functools.partial(fast, windows), functools.partial(plain, windows), *arrays)


_convolution.defvjp(
    lambda windows, images, kernel: (_convolution(windows, images, kernel), (images, kernel)),
    lambda windows, inputs, outputs: (
        _transposed(windows, outputs, inputs[1]),
        _weight_gradient(windows, inputs[0], outputs),
    ),
)
_transposed.defvjp(
    lambda windows, outputs, kernel: (_transposed(windows, outputs, kernel), (outputs, kernel)),
    lambda windows, inputs, images: (
        _convolution(windows, images, inputs[1]),
        _weight_gradient(windows, images, inputs[0]),
    ),
)
_weight_gradient.defvjp(
    lambda windows, images, outputs: (_weight_gradient(windows, images, outputs), (images, outputs)),
    lambda windows, inputs, kernel: (
        _transposed(windows, inputs[1], kernel),
        _convolution(windows, inputs[0], kernel),
    ),
)


def _fast(role: str, windows: _Windows, channels: int, features: int, dtype: jax.typing.DTypeLike) -> Callable:
    """The faster form of 'outputs', 'images' or 'kernel' on a CPU, a function of the windows and two arrays."""
    by_product, by_slices, by_convolution = {
        'outputs': (_convolution_by_product, _convolution_by_slices, _plain),
        'images': (_transposed_by_product, _transposed_by_slices, _transposed_by_convolution),
        'kernel': (_weight_gradient_by_product, _weight_gradient_by_slices, _weight_gradient_by_convolution),
    }[role]
    if _prefers_product(role, windows, channels, features, dtype):
        return by_product
    return by_slices if len(windows.kernel) == 3 else by_convolution


def _weight_gradient_by_convolution(windows: _Windows, images: jax.Array, outputs: jax.Array) -> jax.Array:
    stride = windows.stride
    if stride == 1 and windows.has_large_kernel('kernel'):
        return _flipped(_weight_gradient_by_convolution(windows.exchanged, outputs, images))
    spans = [(n - 1) * stride for n in windows.places]
    padding = [
        (low, span + k - low - n)  # negative where the last windows end before the image does
        for low, span, k, n in zip(windows.low, spans, windows.kernel, windows.image, strict=True)
    ]
    sides = range(1, images.ndim - 1)
    images, outputs = images.swapaxes(0, -1), outputs.transpose(*sides, 0, images.ndim - 1)
    # Kernels as large as these take oneDNN up to three times as long as Eigen, which has no bfloat16. XLA leaves a
    # convolution to Eigen whose kernel is a reversed array; here its features are, and so those of the result. Without
    # oneDNN that is a copy too many where the stride is 1.
    by_eigen = images.dtype == jnp.float32 and (HAS_ONEDNN or windows.stride > 1)
    last = images.ndim - 1
    gradient = lax.conv_general_dilated(
        images,
        lax.rev(outputs, (last,)) if by_eigen else outputs,
        (1,) * len(sides),
        padding,
        rhs_dilation=(stride,) * len(sides),
        dimension_numbers=windows.layout,
    )
    gradient = lax.rev(gradient, (last,)) if by_eigen else gradient
    return gradient.transpose(*sides, 0, last)


def _transposed_by_convolution(windows: _Windows, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    if windows.stride == 1:
        return _plain_transposed(windows, outputs, kernel)
    return _interleave(windows, _phases(windows, outputs, kernel))


def _phases(windows: _Windows, outputs: jax.Array, kernel: jax.Array) -> list[jax.Array]:
    """The images [B, ceil(H / stride), ...] of every stride-th pixel, by a part of the kernel each.

    Phase a of image[stride j + a] sums outputs[j - t] kernel[stride t + a + low].
    """
    stride = windows.stride
    flipped, sides = _flipped(kernel), len(windows.kernel)

    def part(axis: int, phase: int) -> tuple[slice, tuple[int, int]]:
        """The part of the flipped kernel of a phase along an axis, and the padding."""
        size, low = windows.kernel[axis], windows.low[axis]
        shift, first = divmod(phase + low, stride)
        taps = len(range(first, size, stride))
        last = first + (taps - 1) * stride
        rows = -(-windows.image[axis] // stride)
        before = taps - 1 - shift
        return slice(size - 1 - last, size - first, stride), (before, rows + taps - 1 - before - windows.places[axis])

    phases = []
    for phase in itertools.product(range(stride), repeat=sides):
        taps, padding = zip(*map(part, range(sides), phase), strict=True)
        phases.append(
            lax.conv_general_dilated(outputs, flipped[taps], (1,) * sides, padding, dimension_numbers=windows.layout)
        )
    return phases


def _interleave(windows: _Windows, phases: list[jax.Array]) -> jax.Array:
    """The image [B, H, W, C] whose pixels the phases are, row by row."""
    stride, sides = windows.stride, len(windows.image)
    batch, *rows, channels = phases[0].shape
    blocks = jnp.stack(phases, axis=-2).reshape(batch, *rows, *[stride] * sides, channels)
    order = [axis for side in range(1, sides + 1) for axis in (side, side + sides)]
    images = blocks.transpose(0, *order, 2 * sides + 1).reshape(batch, *(stride * n for n in rows), channels)
    return images[(slice(None), *map(slice, windows.image))]


# Products below are of matrices, not of four-dimensional arrays: XLA:CPU takes up to twice as long for those.


def _convolution_by_product(windows: _Windows, images: jax.Array, kernel: jax.Array) -> jax.Array:
    patches = _patches(windows, images)
    outputs = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1])
    return outputs.reshape(images.shape[0], *windows.places, -1)


def _weight_gradient_by_product(windows: _Windows, images: jax.Array, outputs: jax.Array) -> jax.Array:
    patches = _patches(windows, images)
    gradient = patches.reshape(-1, patches.shape[-1]).T @ outputs.reshape(-1, outputs.shape[-1])
    return gradient.reshape(*windows.kernel, images.shape[-1], -1)


def _transposed_by_product(windows: _Windows, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    patches = outputs.reshape(-1, outputs.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1]).T
    return _fold(windows, patches.reshape(outputs.shape[0], *windows.places, -1))


def _patches(windows: _Windows, images: jax.Array) -> jax.Array:
    """The patch of each window, zero outside the image: [B, H, W, C] -> [B, H', W', h w C]."""
    stride, spans = windows.stride, [(n - 1) * windows.stride + 1 for n in windows.places]
    images = jnp.pad(images, ((0, 0), *windows.padding, (0, 0)))
    return jnp.concatenate(
        [
            images[:, *(slice(start, start + span, stride) for start, span in zip(tap, spans, strict=True))]
            for tap in itertools.product(*map(range, windows.kernel))
        ],
        axis=-1,
    )


def _fold(windows: _Windows, patches: jax.Array) -> jax.Array:
    """The adjoint of `_patches`, the sum of patches where they lie: [B, H', W', h w C] -> [B, H, W, C].

    Every stride-th pixel of the image makes a phase. Within one the patches' pixels are contiguous, so each phase is a
    sum of shifted arrays; the phases are interleaved at the end.
    """
    stride = windows.stride
    rows = tuple(-(-n // stride) for n in windows.image)
    batch, channels = patches.shape[0], patches.shape[-1] // math.prod(windows.kernel)
    zero = jnp.zeros((), patches.dtype)
    phases = [jnp.zeros((batch, *rows, channels), patches.dtype)] * stride ** len(rows)
    for pixel, tap in enumerate(itertools.product(*map(range, windows.kernel))):
        shifts, phase = [(0, 0, 0)], 0
        for start, low, row, places in zip(tap, windows.low, rows, windows.places, strict=True):
            shift, place = divmod(start - low, stride)
            shifts.append((shift, row - shift - places, 0))
            phase = phase * stride + place
        seen = patches[..., pixel * channels : (pixel + 1) * channels]
        phases[phase] += lax.pad(seen, zero, [*shifts, (0, 0, 0)])
    return _interleave(windows, phases)


# Below, the slices of a solid [B, D, H, W, C] are B D images.


def _convolution_by_slices(windows: _Windows, images: jax.Array, kernel: jax.Array) -> jax.Array:
    slices = _slices(windows, images)
    kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(*windows.kernel[1:], slices.shape[-1], -1)
    fast = _fast('outputs', windows.of_slice, *kernel.shape[-2:], images.dtype)
    return fast(windows.of_slice, slices, kernel).reshape(images.shape[0], *windows.places, kernel.shape[-1])


def _weight_gradient_by_slices(windows: _Windows, images: jax.Array, outputs: jax.Array) -> jax.Array:
    slices = _slices(windows, images)
    fast = _fast('kernel', windows.of_slice, slices.shape[-1], outputs.shape[-1], images.dtype)
    gradient = fast(windows.of_slice, slices, outputs.reshape(len(slices), *outputs.shape[2:]))
    depth, *window = windows.kernel
    return gradient.reshape(*window, depth, images.shape[-1], -1).transpose(2, 0, 1, 3, 4)


def _transposed_by_slices(windows: _Windows, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Every stride-th slice of the images is a transposed convolution of the slices of the outputs that see it."""
    batch, places, *size, features = outputs.shape
    stride, low, depth = windows.stride, windows.low[0], -(-windows.image[0] // windows.stride)
    zero, uncut = jnp.zeros((), outputs.dtype), (0, 0, 0)

    def phase(first: int) -> jax.Array:
        taps = range((first + low) % stride, windows.kernel[0], stride)
        shifts = ((tap - low) // stride for tap in taps)
        seen = [
            lax.pad(outputs, zero, [uncut, (shift, depth - shift - places, 0), uncut, uncut, uncut]) for shift in shifts
        ]
        slices = jnp.concatenate(seen, axis=-1).reshape(batch * depth, *size, len(taps) * features)
        part = jnp.concatenate([kernel[tap] for tap in taps], axis=-1)
        fast = _fast('images', windows.of_slice, *part.shape[-2:], outputs.dtype)
        return fast(windows.of_slice, slices, part).reshape(batch, depth, *windows.image[1:], kernel.shape[-2])

    images = jnp.stack([phase(first) for first in range(stride)], axis=2)
    return images.reshape(batch, depth * stride, *images.shape[3:])[:, : windows.image[0]]


def _slices(windows: _Windows, images: jax.Array) -> jax.Array:
    """The slices under the kernel at each of its places along the depth: [B, D, H, W, C] -> [B D', H, W, d C]."""
    padded = jnp.pad(images, ((0, 0), windows.padding[0], (0, 0), (0, 0), (0, 0)))
    seen = neighbours(padded, windows.kernel[0], windows.stride)
    return seen.reshape(seen.shape[0] * seen.shape[1], *seen.shape[2:])
