"""The networks of `gan_jax.models.pix2pix` and `gan_jax.models.cyclegan` as PyTorch modules."""

import torch
from torch import Tensor, nn

from .networks import norm


class UNet(nn.Module):
    """Images [B, C, H, W] -> images [B, outputs, H, W] in [-1, 1]; batch norm."""

    def __init__(self, inputs: int, outputs: int, width: int, max_width: int, levels: int, dropout: float):
        super().__init__()
        widths = [min(width * 2**level, max_width) for level in range(levels)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, features in enumerate(widths):
            layers = [nn.LeakyReLU(0.2)] if level else []
            layers.append(nn.Conv2d(widths[level - 1] if level else inputs, features, 4, 2, 1, bias=False))
            if 0 < level < levels - 1:
                layers.append(nn.BatchNorm2d(features))
            self.down.append(nn.Sequential(*layers))
        for level in reversed(range(levels)):
            channels = widths[level] * (1 if level == levels - 1 else 2)
            layers = [nn.ReLU(inplace=True)]
            if level == 0:
                layers += [nn.ConvTranspose2d(channels, outputs, 4, 2, 1), nn.Tanh()]
            else:
                layers += [nn.ConvTranspose2d(channels, widths[level - 1], 4, 2, 1, bias=False)]
                layers += [nn.BatchNorm2d(widths[level - 1])]
                layers += [nn.Dropout(dropout)] if levels - level <= 3 else []
            self.up.append(nn.Sequential(*layers))

    def forward(self, images: Tensor) -> Tensor:
        """The translations of the images."""
        skips = []
        for layers in self.down:
            images = layers(images)
            skips.append(images)
        images = self.up[0](skips.pop())
        for layers in self.up[1:]:
            images = layers(torch.cat([skips.pop(), images], 1))
        return images


def reflecting(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution with reflected borders."""
    return nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2, padding_mode='reflect')


def _normalized(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class _Block(nn.Module):
    """Images [B, C, H, W] plus what two convolutions make of them."""

    def __init__(self, channels: int):
        super().__init__()
        first, second = (reflecting(channels, channels, 3) for _ in range(2))
        self.layers = nn.Sequential(*_normalized(first, channels), second, nn.InstanceNorm2d(channels))

    def forward(self, images: Tensor) -> Tensor:
        return images + self.layers(images)


class ResidualTranslator(nn.Module):
    """Images [B, C, H, W] -> images [B, outputs, H, W] in [-1, 1]; instance norm."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int):
        super().__init__()
        layers = _normalized(reflecting(inputs, width, 7), width)
        for channels in (width, 2 * width):
            layers += _normalized(nn.Conv2d(channels, 2 * channels, 3, 2, 1), 2 * channels)
        layers += [_Block(4 * width) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += _normalized(nn.ConvTranspose2d(2 * channels, channels, 3, 2, 1, output_padding=1), channels)
        self.layers = nn.Sequential(*layers, reflecting(width, outputs, 7), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        """The translations of the images."""
        return self.layers(images)


class PatchDiscriminator(nn.Module):
    """Images [B, C, H, W] -> logits [B h w] of their patches, with batch or instance normalisation.

    Of its layers the first `strided` have stride 2, as those of gan_jax's discriminator.
    """

    def __init__(self, channels: int, width: int, strided: int, normalization: str):
        super().__init__()
        layers = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        inputs = width
        for layer in range(1, strided + 1):
            outputs = width * min(2**layer, 8)
            stride, bias = (2 if layer < strided else 1), normalization != 'batch'
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1, bias=bias)]
            layers += [norm(normalization, outputs), nn.LeakyReLU(0.2, inplace=True)]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4, 1, 1), nn.Flatten(0))

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the images' patches."""
        return self.layers(images)
