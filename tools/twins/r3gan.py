"""The networks of `gan_jax.models.r3gan` as PyTorch modules."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan_jax.models.r3gan import TAPS

from .named import Named, Resampling

SLOPE = 0.2


def make_networks(
    config: Mapping[str, Any], shape: tuple[int, int, int], classes: int
) -> tuple['Generator', 'Discriminator']:
    """Generator and discriminator of a conditional config with explicit widths and one number of blocks."""
    maker, critic = config['generator'], config['discriminator']
    stages = len(maker['widths']) - 1
    base = shape[0] >> stages, shape[1] >> stages
    latents = config['latents']['size']
    generator = Generator(latents, maker['embedding_size'], classes, base, shape[2], *_stages(maker))
    return generator, Discriminator(shape[2], base, classes, critic['embedding_size'], *_stages(critic))


def _stages(options: Mapping[str, Any]) -> tuple[Sequence[int], int, int]:
    return options['widths'], options['blocks'][0], options['group_size']


class Block(nn.Module):
    """x + 1x1(act(grouped 3x3(act(1x1(x)))))."""

    def __init__(self, channels: int, group_size: int):
        super().__init__()
        inside = 2 * channels
        self.Conv_0 = nn.Conv2d(channels, inside, 1)
        self.Conv_1 = nn.Conv2d(inside, inside, 3, padding=1, groups=inside // group_size)
        self.Conv_2 = nn.Conv2d(inside, channels, 1, bias=False)
        nn.init.zeros_(self.Conv_2.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Images of the same shape."""
        hidden = functional.leaky_relu(self.Conv_0(images), SLOPE)
        return images + self.Conv_2(functional.leaky_relu(self.Conv_1(hidden), SLOPE))


class _Staged(Named):
    """What both networks have: residual blocks of each stage, and 1x1 convolutions where the width changes."""

    def stage(self, before: int, width: int, blocks: int, group_size: int) -> tuple[nn.Module, list[nn.Module]]:
        """What brings features of another stage to a width, and the blocks of the next."""
        change = nn.Identity() if before == width else self.append('Conv', _convolution(before, width))
        return change, [self.append('Block', Block(width, group_size)) for _ in range(blocks)]


class Generator(_Staged):
    """Latents [B, n] and labels [B] -> images [B, channels, H, W]."""

    def __init__(
        self,
        latents: int,
        embedded: int,
        classes: int,
        base: tuple[int, int],
        channels: int,
        widths: Sequence[int],
        *blocks: int,
    ):
        super().__init__()
        self.resample = Resampling(TAPS)
        self.basis = nn.Parameter(torch.randn(*base, widths[0]))
        self.embedding = self.append('Embedding', nn.Embedding(classes, embedded))
        self.scale = self.append('Dense', nn.Linear(latents + embedded, widths[0], bias=False))
        self.stages = [self.stage(*pair, *blocks) for pair in itertools.pairwise([widths[0], *widths])]
        self.last = self.append('Conv', _convolution(widths[-1], channels))

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """The images made from the latents."""
        scale = self.scale(torch.cat([latents, self.embedding(labels)], 1))
        images = self.basis.permute(2, 0, 1) * scale[:, :, None, None]
        for i, (change, blocks) in enumerate(self.stages):
            images = self.resample.doubled(change(images)) if i else images
            for block in blocks:
                images = block(images)
        return self.last(images)


class Discriminator(_Staged):
    """Images [B, C, H, W] and labels [B] -> logits [B]."""

    def __init__(
        self,
        channels: int,
        base: tuple[int, int],
        classes: int,
        embedded: int,
        widths: Sequence[int],
        *blocks: int,
    ):
        super().__init__()
        self.resample = Resampling(TAPS)
        self.first = self.append('Conv', _convolution(channels, widths[0]))
        self.stages = [self.stage(*pair, *blocks) for pair in itertools.pairwise([widths[0], *widths])]
        self.basis = nn.Parameter(torch.randn(*base, widths[-1]) / math.sqrt(base[0] * base[1]))
        self.last = self.append('Dense', nn.Linear(widths[-1], embedded, bias=False))
        self.embedding = self.append('Embedding', nn.Embedding(classes, embedded))
        nn.init.normal_(self.embedding.weight, std=(classes * embedded) ** -0.5)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The logits of the images."""
        images = self.first(images)
        for i, (change, blocks) in enumerate(self.stages):
            images = change(self.resample.filtered(images, 1, stride=2)) if i else images
            for block in blocks:
                images = block(images)
        hidden = self.last((images * self.basis.permute(2, 0, 1)).sum((2, 3)))
        return (hidden * self.embedding(labels)).sum(1)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)
