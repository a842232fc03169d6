"""The networks of `gan_jax.models.mlp` and `gan_jax.models.dcgan` as PyTorch modules."""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn


def mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with LeakyReLU 0.2 and dropout between them; the sizes are those of inputs, layers and outputs."""
    layers = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2, inplace=True)]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers[: -3 if dropout else -1])


class MlpGenerator(nn.Module):
    """Latents [B, n] -> images [B, 1, H, W] in [-1, 1]."""

    def __init__(self, latents: int, widths: Sequence[int], size: int):
        super().__init__()
        self.layers = nn.Sequential(mlp([latents, *widths, size * size]), nn.Tanh(), nn.Unflatten(1, (1, size, size)))

    def forward(self, latents: Tensor) -> Tensor:
        """The images made from the latents."""
        return self.layers(latents)


class MlpDiscriminator(nn.Module):
    """Images [B, 1, H, W] -> logits [B]."""

    def __init__(self, size: int, widths: Sequence[int], dropout: float):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), mlp([size * size, *widths, 1], dropout), nn.Flatten(0))

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the images."""
        return self.layers(images)


def norm(name: str, channels: int) -> nn.Module:
    """Layer, instance (without scale and shift) or batch normalisation."""
    if name == 'layer':
        return nn.GroupNorm(1, channels)
    return nn.InstanceNorm2d(channels) if name == 'instance' else nn.BatchNorm2d(channels)


def upsampling(latents: int, widths: Sequence[int], base: tuple[int, int, int]) -> list[nn.Module]:
    """Latents [B, n] -> [B, *base], then a stage of twice the size for each width after the first; batch norm, ReLU."""
    layers = [nn.Linear(latents, math.prod(base), bias=False), nn.Unflatten(1, base)]
    layers += [nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return layers


class DcganGenerator(nn.Module):
    """Latents [B, n] -> images [B, C, H, W] in [-1, 1].

    Attributes:
        base: (C, H, W) of what the first layer projects to.
    """

    def __init__(self, latents: int, widths: Sequence[int], base: int, channels: int):
        super().__init__()
        self.base = (widths[0], base, base)
        layers = upsampling(latents, widths, self.base)
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        """The images made from the latents."""
        return self.layers(latents)


class DcganDiscriminator(nn.Module):
    """Images [B, C, H, W] -> logits [B], with batch or layer normalisation.

    Attributes:
        base: (C, H, W) of what the last layer sees.
    """

    def __init__(self, channels: int, widths: Sequence[int], base: int, normalization: str):
        super().__init__()
        self.base = (widths[-1], base, base)
        layers = [nn.Conv2d(channels, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
            layers += [norm(normalization, outputs), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Flatten(), nn.Linear(widths[-1] * base * base, 1), nn.Flatten(0)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the images."""
        return self.layers(images)
