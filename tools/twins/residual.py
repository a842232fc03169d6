"""The residual networks of `gan_jax.models.resnet` and `gan_jax.models.biggan` as PyTorch modules."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from .named import Named, to_images
from .sngan import SpectralConv2d, SpectralEmbedding, SpectralLinear


class Names(NamedTuple):
    """What the families call their blocks and the layer to the image, and the epsilon of their normalisation."""

    up: str
    down: str
    last: str
    epsilon: float


NAMES = {
    'resnet': Names('UpBlock_{}', 'DownBlock_{}', 'Conv_0', 2e-5),
    'biggan': Names('block{}', 'block{}', 'to_image', 1e-5),
}


def make_networks(
    config: Mapping[str, Any], shape: tuple[int, int, int], classes: int
) -> tuple['Generator', 'Discriminator']:
    """Generator and discriminator of a config with explicit widths; of `classes` where it is conditional, else 0."""
    maker, critic, names = config['generator'], config['discriminator'], NAMES[config['model']]
    stages = len(maker['widths']) - 1
    generator = Generator(
        config['latents']['size'],
        maker['widths'],
        (shape[0] >> stages, shape[1] >> stages),
        shape[2],
        classes,
        spectral=bool(maker['spectral_iterations']),
        names=names,
    )
    options = {'wide': critic['wide'], 'bias': critic.get('final_bias', True), 'names': names}
    return generator, Discriminator(shape[2], critic['widths'], min(stages, 2), classes, **options)


class ConditionalNorm(nn.Module):
    """Batch normalisation with scale and shift of each class."""

    def __init__(self, classes: int, channels: int, epsilon: float):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, epsilon, affine=False)
        self.scale, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images [B, C, H, W] normalised."""
        return self.scale(labels)[:, :, None, None] * self.norm(images) + self.shift(labels)[:, :, None, None]


class UpBlock(Named):
    """[B, C, H, W] and labels or nothing -> [B, D, 2 H, 2 W]."""

    def __init__(self, inputs: int, outputs: int, classes: int, convolution: type[nn.Conv2d], epsilon: float):
        super().__init__()
        self.norms = []
        for channels in (inputs, outputs):
            norm = ConditionalNorm(classes, channels, epsilon) if classes else nn.BatchNorm2d(channels, epsilon)
            self.norms.append(self.append('ConditionalAffine' if classes else 'BatchNorm', norm))
        self.first = convolution(inputs, outputs, 3, padding=1)
        self.second = convolution(outputs, outputs, 3, padding=1)
        self.shortcut = convolution(inputs, outputs, 1)

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """The outputs."""
        before, between = self.norms
        hidden = self.first(_doubled(functional.relu(before(images, *labels), inplace=True)))
        hidden = self.second(functional.relu(between(hidden, *labels), inplace=True))
        return hidden + _doubled(self.shortcut(images))


class DownBlock(nn.Module):
    """[B, C, H, W] -> [B, D, H / 2, W / 2], or [B, D, H, W] where it does not halve; the first has no ReLU in front."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, halves: bool, first: bool):
        super().__init__()
        self.halves, self.is_first = halves, first
        self.first = SpectralConv2d(inputs, hidden, 3, padding=1)
        self.second = SpectralConv2d(hidden, outputs, 3, padding=1)
        self.shortcut = SpectralConv2d(inputs, outputs, 1) if first or halves or inputs != outputs else None

    def forward(self, images: Tensor) -> Tensor:
        """The outputs."""
        hidden = self.first(images if self.is_first else functional.relu(images))
        hidden = self.second(functional.relu(hidden, inplace=True))
        if self.halves:
            hidden, images = functional.avg_pool2d(hidden, 2), functional.avg_pool2d(images, 2)
        return hidden + (images if self.shortcut is None else self.shortcut(images))


class Generator(Named):
    """Latents [B, n] and labels [B] or nothing -> images [B, channels, H, W] in [-1, 1]."""

    def __init__(
        self,
        latents: int,
        widths: Sequence[int],
        base: tuple[int, int],
        channels: int,
        classes: int,
        *,
        spectral: bool,
        names: Names,
    ):
        super().__init__()
        self.size = base
        dense, convolution = (SpectralLinear, SpectralConv2d) if spectral else (nn.Linear, nn.Conv2d)
        self.project = self.add('Dense_0', dense(latents, base[0] * base[1] * widths[0]))
        self.blocks = [
            self.add(names.up.format(i), UpBlock(*pair, classes, convolution, names.epsilon))
            for i, pair in enumerate(itertools.pairwise(widths))
        ]
        self.norm = self.add('BatchNorm_0', nn.BatchNorm2d(widths[-1], names.epsilon))
        self.last = self.add(names.last, convolution(widths[-1], channels, 3, padding=1))

    def forward(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """The images made from the latents."""
        images = to_images(self.project(latents), *self.size)
        for block in self.blocks:
            images = block(images, *labels)
        return self.last(functional.relu(self.norm(images), inplace=True)).tanh()


class Discriminator(Named):
    """Images [B, C, H, W] and labels [B] or nothing -> logits [B], with a projection of the labels."""

    def __init__(
        self, channels: int, widths: Sequence[int], halvings: int, classes: int, *, wide: bool, bias: bool, names: Names
    ):
        super().__init__()
        self.blocks = []
        for i, (inputs, outputs) in enumerate(itertools.pairwise([channels, *widths])):
            block = DownBlock(inputs, outputs if wide or i == 0 else inputs, outputs, halves=i < halvings, first=i == 0)
            self.blocks.append(self.add(names.down.format(i), block))
        self.last = self.add('Dense_0', SpectralLinear(widths[-1], 1, bias=bias))
        self.table = self.add('Embedding_0', SpectralEmbedding(classes, widths[-1])) if classes else None

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """The logits of the images."""
        for block in self.blocks:
            images = block(images)
        hidden = functional.relu(images).sum((2, 3))
        logits = self.last(hidden)[:, 0]
        return logits + (self.table(*labels) * hidden).sum(1) if labels else logits


def _doubled(images: Tensor) -> Tensor:
    return functional.interpolate(images, scale_factor=2, mode='nearest')
