"""Modules whose layers have the names of gan_jax's, by which `tools.twins.weights` finds their parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Named(nn.Module):
    """A network in which each layer is called as its like in gan_jax, so that a parameter's path is the same in both.

    Images between layers [B, C, H, W] become and come from vectors in the order (H, W, C), which costs nothing where
    channels are last in memory.
    """

    def add(self, name: str, module: nn.Module) -> nn.Module:
        """The module, which is registered by that name."""
        self.add_module(name, module)
        return module

    def append(self, kind: str, module: nn.Module) -> nn.Module:
        """The module, which is called KIND_0, KIND_1 and so on."""
        number = sum(name.startswith(f'{kind}_') for name, _ in self.named_children())
        return self.add(f'{kind}_{number}', module)


def to_images(vectors: Tensor, height: int, width: int) -> Tensor:
    """Vectors [B, H W C] -> images [B, C, H, W]."""
    return vectors.view(len(vectors), height, width, -1).permute(0, 3, 1, 2)


def flattened(images: Tensor) -> Tensor:
    """Images [B, C, H, W] -> vectors [B, H W C]."""
    return images.permute(0, 2, 3, 1).flatten(1)


class Resampling(nn.Module):
    """A filter of the outer product of taps around changes of size, as a depthwise convolution of each channel.

    Args:
        taps: for each axis.
    """

    def __init__(self, taps: Sequence[float]):
        super().__init__()
        taps = torch.tensor(taps)
        self.register_buffer('taps', torch.outer(taps, taps)[None, None], persistent=False)

    def filtered(self, images: Tensor, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
        """The filtered images, padded by zeros and times a gain, of which every stride-th pixel is kept."""
        return functional.conv2d(images, self._kernel(images, gain), None, stride, padding, 1, images.shape[1])

    def doubled(self, images: Tensor) -> Tensor:
        """Images [B, C, 2 H, 2 W] of the same brightness."""
        return functional.conv_transpose2d(images, self._kernel(images, 4.0), None, 2, 1, 0, images.shape[1])

    def _kernel(self, images: Tensor, gain: float) -> Tensor:
        """The filter [C, 1, h, w] of all channels."""
        return (gain * self.taps).expand(images.shape[1], -1, -1, -1)
