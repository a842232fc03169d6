"""The networks of `gan_jax.models.stylegan2` as PyTorch modules: a generator by sums, a residual discriminator."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan_jax.layers.modulated import TAPS

from .named import Named, Resampling, flattened

ROOT = math.sqrt(2)


def make_networks(
    config: Mapping[str, Any], shape: tuple[int, int, int], classes: int
) -> tuple['Generator', 'Discriminator']:
    """Generator and discriminator of an unconditional config with explicit widths, both from the base."""
    del classes
    options, critic, (height, width, channels) = config['generator'], config['discriminator'], shape
    stages = len(options['widths']) - 1
    base = height >> stages, width >> stages
    latents = config['latents']['size'], options['w_size'], options['depth'], options['rate']
    generator = Generator(latents, options['widths'], base, channels, options['mixing'])
    return generator, Discriminator(channels, critic['widths'], base, critic['minibatch_group'])


class Equalized(nn.Module):
    """A kernel [D, ...] and perhaps a bias [D], scaled in each call so that all layers learn at one rate."""

    def __init__(self, *shape: int, gain: float = 1.0, rate: float = 1.0, bias: float | None = 0.0):
        super().__init__()
        self.rate, self.scale = rate, gain * rate / math.sqrt(math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.randn(shape) / rate)
        self.bias = None if bias is None else nn.Parameter(torch.full(shape[:1], bias / rate))

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """Kernel and bias to compute with."""
        return self.weight * self.scale, None if self.bias is None else self.bias * self.rate


class Dense(Equalized):
    """An affine map [B, C] -> [B, D]."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs."""
        return functional.linear(inputs, *self.weights())


class Convolution(Equalized):
    """A convolution [B, C, H, W] -> [B, D, H, W], or halved behind a filter."""

    def __init__(self, inputs: int, outputs: int, size: int, resample: Resampling | None = None, **options: float):
        super().__init__(outputs, inputs, size, size, **options)
        self.resample, self.size = resample, size

    def forward(self, images: Tensor) -> Tensor:
        """The outputs."""
        if self.resample is None:
            return functional.conv2d(images, *self.weights(), padding=self.size // 2)
        if self.size == 1:
            return functional.conv2d(self.resample.filtered(images, 1, stride=2), *self.weights())
        return functional.conv2d(self.resample.filtered(images, 2), *self.weights(), stride=2)


def activate(inputs: Tensor, gain: float = 1.0) -> Tensor:
    """Leaky ReLU 0.2 times sqrt(2) and a gain."""
    return functional.leaky_relu(inputs, 0.2) * (ROOT * gain)


class Modulated(nn.Module):
    """A modulated convolution [B, C, H, W] and w [B, n] -> [B, D, H', W'], without bias."""

    def __init__(self, w_size: int, inputs: int, outputs: int, size: int, up: Resampling | None = None):
        super().__init__()
        self.up, self.demodulates = up, size > 1
        self.style = Dense(inputs, w_size, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))

    def forward(self, images: Tensor, w: Tensor) -> Tensor:
        """The outputs."""
        styles, weight = self.style(w), self.weight
        if not self.demodulates:
            styles = styles / math.sqrt(weight[0].numel())
        images = images * styles[:, :, None, None]
        if self.up is None:
            outputs = functional.conv2d(images, weight, padding=weight.shape[-1] // 2)
        else:
            spread = functional.conv_transpose2d(images, weight.transpose(0, 1), stride=2)
            outputs = self.up.filtered(spread, 1, gain=4.0)
        if not self.demodulates:
            return outputs
        squares = styles.square() @ weight.square().sum((2, 3)).T
        return outputs * (squares + 1e-8).rsqrt()[:, :, None, None]


class PlaceNoise(nn.Module):
    """Adds noise times a learnt strength: in training that of each image, else always the same."""

    def __init__(self, size: tuple[int, int]):
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer('constant', torch.randn(size))

    def forward(self, images: Tensor) -> Tensor:
        """The images with noise."""
        shape = len(images), 1, *self.constant.shape
        noise = torch.randn(shape, device=images.device) if self.training else self.constant
        return images + self.strength * noise


class StyleLayer(nn.Module):
    """A 3x3 modulated convolution with noise, bias and activation."""

    def __init__(self, w_size: int, inputs: int, outputs: int, size: tuple[int, int], up: Resampling | None = None):
        super().__init__()
        self.convolution = Modulated(w_size, inputs, outputs, 3, up)
        self.noise = PlaceNoise(size)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, images: Tensor, w: Tensor) -> Tensor:
        """The outputs."""
        return activate(self.noise(self.convolution(images, w)) + self.bias[:, None, None])


class ImageLayer(nn.Module):
    """A 1x1 modulated convolution to an image."""

    def __init__(self, w_size: int, inputs: int, channels: int):
        super().__init__()
        self.convolution = Modulated(w_size, inputs, channels, 1)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, images: Tensor, w: Tensor) -> Tensor:
        """The image."""
        return self.convolution(images, w) + self.bias[:, None, None]


class MappingNetwork(Named):
    """Latents [B, n] -> w [B, size]."""

    def __init__(self, latents: int, size: int, depth: int, rate: float):
        super().__init__()
        sizes = [latents, *[size] * depth]
        self.layers = [
            self.add(f'layer{i}', Dense(outputs, inputs, rate=rate))
            for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
        ]

    def forward(self, latents: Tensor) -> Tensor:
        """W."""
        hidden = latents * (latents.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            hidden = activate(layer(hidden))
        return hidden


class Stage(nn.Module):
    """The layers of a stage: features, the image so far or None and the ws of its layers -> both after this stage."""

    def __init__(
        self, w_size: int, inputs: int, width: int, channels: int, size: tuple[int, int], up: Resampling | None
    ):
        super().__init__()
        self.up = up
        self.first = None if up is None else StyleLayer(w_size, inputs, width, size, up)
        self.second = StyleLayer(w_size, width, width, size)
        self.image = ImageLayer(w_size, width, channels)

    def forward(self, hidden: Tensor, images: Tensor | None, ws: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features and image."""
        if self.first is not None:
            hidden, ws, images = self.first(hidden, ws[0]), ws[1:], self.up.doubled(images)
        hidden = self.second(hidden, ws[0])
        made = self.image(hidden, ws[1])
        return hidden, made if images is None else images + made


class Synthesis(Named):
    """ws [B, L, n] -> images [B, channels, H, W]."""

    def __init__(self, w_size: int, widths: Sequence[int], base: tuple[int, int], channels: int):
        super().__init__()
        self.constant = nn.Parameter(torch.randn(*base, widths[0]))
        up = Resampling(TAPS)
        self.stages = [
            self.add(
                f'stage{i}',
                Stage(w_size, *pair, channels, (base[0] << i, base[1] << i), up if i else None),
            )
            for i, pair in enumerate(itertools.pairwise([widths[0], *widths]))
        ]

    def forward(self, ws: Tensor) -> Tensor:
        """The images."""
        hidden = self.constant.permute(2, 0, 1).expand(len(ws), -1, -1, -1)
        images, ws = None, ws.unbind(1)
        for i, stage in enumerate(self.stages):
            hidden, images = stage(hidden, images, ws[max(0, 2 * i - 1) :])
        return images


class Generator(Named):
    """Latents [B, n] -> images [B, channels, H, W].

    Attributes:
        average: running average of w.
    """

    def __init__(self, latents: tuple, widths: Sequence[int], base: tuple[int, int], channels: int, mixing: float):
        super().__init__()
        self.layers, self.mixing = 2 * len(widths), mixing
        self.mapping = MappingNetwork(*latents)
        self.synthesis = Synthesis(latents[1], widths, base, channels)
        self.register_buffer('average', torch.zeros(latents[1]))

    def forward(self, latents: Tensor) -> Tensor:
        """The images made from the latents."""
        return self.synthesis(self.styles(latents))

    def styles(self, latents: Tensor) -> Tensor:
        """The ws [B, L, n], mixed in training."""
        w = self.mapping(latents)
        ws = w[:, None].expand(-1, self.layers, -1)
        if not (self.training and self.mixing):
            return ws
        other = self.mapping(torch.randn_like(latents))
        first = int(torch.randint(1, self.layers, ())) if torch.rand(()) < self.mixing else self.layers
        return torch.cat([ws[:, :first], other[:, None].expand(-1, self.layers - first, -1)], 1)


class Discriminator(Named):
    """Images [B, C, H, W] -> logits [B]: residual stages, the deviation of groups of images, and dense layers."""

    def __init__(self, channels: int, widths: Sequence[int], base: tuple[int, int], group: int):
        super().__init__()
        down, self.group, self.stages = Resampling(TAPS), group, []
        last = len(widths) - 1
        self.enter = self.add(f'stage{last}_image', Convolution(channels, widths[-1], 1))
        for i in range(last, 0, -1):
            first = self.add(f'stage{i}_first', Convolution(widths[i], widths[i], 3))
            second = self.add(f'stage{i}_second', Convolution(widths[i], widths[i - 1], 3, down))
            options = {'gain': 1 / ROOT, 'bias': None}
            shortcut = self.add(f'stage{i}_shortcut', Convolution(widths[i], widths[i - 1], 1, down, **options))
            self.stages.append((first, second, shortcut))
        self.convolution = self.add('stage0_convolution', Convolution(widths[0] + 1, widths[0], 3))
        self.dense = self.add('stage0_dense', Dense(widths[0], base[0] * base[1] * widths[0]))
        self.logits = Dense(1, widths[0])

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the images."""
        hidden = activate(self.enter(images))
        for first, second, shortcut in self.stages:
            hidden = activate(second(activate(first(hidden))), 1 / ROOT) + shortcut(hidden)
        groups = hidden.reshape(-1, self.group, *hidden.shape[1:])
        deviation = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).repeat_interleave(self.group)
        deviation = deviation[:, None, None, None].expand(-1, 1, *hidden.shape[2:])
        hidden = activate(self.convolution(torch.cat([hidden, deviation], 1)))
        return self.logits(activate(self.dense(flattened(hidden))))[:, 0]
