"""VGG16, VGG19 and AlexNet up to their last convolution, as torchvision has them, for distances of deep features.

Simonyan & Zisserman 2015, arXiv:1409.1556 (VGG), and Krizhevsky 2014, arXiv:1404.5997 (AlexNet).
"""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.layers.convolution import Padding, convolution

Array = jax.Array


class Trunk(NamedTuple):
    """The convolutions of a classification network, in torchvision's numbering of `features`.

    Attributes:
        stages: for each tap the convolutions since the one before, each (index, input channels, output channels) and
            followed by a ReLU.
        pooled: the stages that begin with a max pool.
        pool: its window; its stride is 2.
        special: index -> (size, stride, padding) of a convolution that is not 3x3 with stride 1 and padding 1.
        least: the smallest height and width of images.
    """

    stages: tuple[tuple[tuple[int, int, int], ...], ...]
    pooled: tuple[int, ...]
    pool: int
    special: Mapping[int, tuple[int, int, int]]
    least: int

    def geometry(self, index: int) -> tuple[int, int, int]:
        """(size, stride, padding) of a convolution."""
        return self.special.get(index, (3, 1, 1))

    def channels(self) -> list[int]:
        """Of each tap."""
        return [convolutions[-1][2] for convolutions in self.stages]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each published array of weights by its name, kernels in the order OIHW."""
        shapes: dict[str, tuple[int, ...]] = {}
        for index, inputs, outputs in itertools.chain.from_iterable(self.stages):
            size = self.geometry(index)[0]
            shapes[f'features.{index}.weight'] = (outputs, inputs, size, size)
            shapes[f'features.{index}.bias'] = (outputs,)
        return shapes

    def kernels(self, weights: Mapping[str, np.ndarray]) -> dict[str, Array]:
        """The published arrays as `taps` takes them: kernels in the order HWIO."""
        published = {name: weights[name] for name in self.shapes()}
        return {name: jnp.asarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w) for name, w in published.items()}

    def taps(self, kernels: Mapping[str, Array], images: Array, *, activated: bool = True) -> list[Array]:
        """The features [n, h, w, c] at each tap, of images [n, H, W, 3] scaled as the network wants them.

        Without `activated` a tap is before its ReLU.
        """
        x, taps = images, []
        for stage, convolutions in enumerate(self.stages):
            if stage in self.pooled:
                window, strides = (1, self.pool, self.pool, 1), (1, 2, 2, 1)
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, 'VALID')
            for index, _, _ in convolutions:
                _, stride, padding = self.geometry(index)
                kernel = kernels[f'features.{index}.weight']
                with jax.default_matmul_precision('highest'):  # or accelerators would round the inputs
                    x = (convolution if stride == 1 else _strided)(x, kernel, stride, [(padding, padding)] * 2)
                linear = x + kernels[f'features.{index}.bias']
                x = jax.nn.relu(linear)
            taps.append(x if activated else linear)
        return taps


def _strided(images: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    """As `convolution`, whose patches of 11x11 take XLA:CPU seconds to compile."""
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )


VGG19 = Trunk(  # relu1_2, relu2_2, relu3_4, relu4_4, relu5_4
    stages=(
        ((0, 3, 64), (2, 64, 64)),
        ((5, 64, 128), (7, 128, 128)),
        ((10, 128, 256), (12, 256, 256), (14, 256, 256), (16, 256, 256)),
        ((19, 256, 512), (21, 512, 512), (23, 512, 512), (25, 512, 512)),
        ((28, 512, 512), (30, 512, 512), (32, 512, 512), (34, 512, 512)),
    ),
    pooled=(1, 2, 3, 4),
    pool=2,
    special={},
    least=16,
)

TRUNKS = {
    'vgg16': Trunk(  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
        stages=(
            ((0, 3, 64), (2, 64, 64)),
            ((5, 64, 128), (7, 128, 128)),
            ((10, 128, 256), (12, 256, 256), (14, 256, 256)),
            ((17, 256, 512), (19, 512, 512), (21, 512, 512)),
            ((24, 512, 512), (26, 512, 512), (28, 512, 512)),
        ),
        pooled=(1, 2, 3, 4),
        pool=2,
        special={},
        least=16,
    ),
    'alexnet': Trunk(  # relu1 to relu5
        stages=(((0, 3, 64),), ((3, 64, 192),), ((6, 192, 384),), ((8, 384, 256),), ((10, 256, 256),)),
        pooled=(1, 2),
        pool=3,
        special={0: (11, 4, 2), 3: (5, 1, 2)},
        least=31,
    ),
}
