"""The networks of `gan_jax.models.sngan` as PyTorch modules, with spectral normalisation as gan_jax does it."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .networks import upsampling

_EPSILON = 1e-12


def _unit(vector: Tensor) -> Tensor:
    return vector / (vector.norm() + _EPSILON)


class _Spectral(nn.Module):
    """A layer whose weight [D, ...] is divided by its spectral norm, for the first base of a PyTorch layer.

    Each pass takes one power iteration from the estimate `u` [D] of the singular vector. The estimate moves on in the
    layer's own training steps alone, which are those in which the weight gets a gradient: by the pass over the real
    and then by that over the fake images.
    """

    def __init__(self, *arguments: int, **options: int):
        super().__init__(*arguments, **options)
        self.register_buffer('u', _unit(torch.randn(len(self.weight))))

    def normalized(self) -> Tensor:
        """The weight with spectral norm 1 once `u` has converged."""
        with torch.autocast(self.weight.device.type, enabled=False):
            matrix = self.weight.flatten(1)
            with torch.no_grad():
                left = _unit(_unit(self.u) @ matrix)
                vector = _unit(matrix @ left)
            if self.weight.requires_grad and torch.is_grad_enabled():
                self.u.copy_(vector)
            return self.weight / (torch.dot(vector, matrix @ left) + _EPSILON)


class SpectralConv2d(_Spectral, nn.Conv2d):
    """A convolution of a normalised weight."""

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] -> [B, D, H', W']."""
        return functional.conv2d(images, self.normalized(), self.bias, self.stride, self.padding)


class SpectralLinear(_Spectral, nn.Linear):
    """A dense layer of a normalised weight."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [B, C] -> [B, D]."""
        return functional.linear(inputs, self.normalized(), self.bias)


class SpectralEmbedding(_Spectral, nn.Embedding):
    """A table of a normalised weight."""

    def forward(self, labels: Tensor) -> Tensor:
        """Labels [B] -> [B, D]."""
        return functional.embedding(labels, self.normalized())


class SnganGenerator(nn.Module):
    """Latents [B, n] -> images [B, C, H, W] in [-1, 1].

    Attributes:
        base: (C, H, W) of what the first layer projects to.
    """

    def __init__(self, latents: int, widths: Sequence[int], base: int, channels: int):
        super().__init__()
        self.base = (widths[0], base, base)
        layers = upsampling(latents, widths, self.base)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """The images made from the latents."""
        return self.layers(latents)


class SnganDiscriminator(nn.Module):
    """Images [B, C, H, W] -> logits [B], with spectral normalisation of every layer.

    Attributes:
        base: (C, H, W) of what the last layer sees.
    """

    def __init__(self, channels: int, widths: Sequence[int], base: int):
        super().__init__()
        self.base = (widths[-1], base, base)
        layers = []
        for stage, (inputs, outputs) in enumerate(itertools.pairwise([channels, *widths])):
            if stage:
                layers += [SpectralConv2d(inputs, inputs, 4, stride=2, padding=1), nn.LeakyReLU(0.1, inplace=True)]
            layers += [SpectralConv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), SpectralLinear(widths[-1] * base * base, 1), nn.Flatten(0))

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the images."""
        return self.layers(images)
