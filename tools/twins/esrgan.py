"""ESRGAN's game, with pixels and without features, and the networks of `gan_jax.models.esrgan`, in PyTorch."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan_jax.models.srgan import doublings

from .named import Named, flattened
from .order import Batch
from .training import Metrics, Shapes, Twin

RESIDUAL = 0.2


class Generator(Named):
    """RRDBNet: images [B, C, h, w] -> [B, channels, factor h, factor w]."""

    def __init__(self, inputs: int, channels: int, width: int, growth: int, depth: int, factor: int):
        super().__init__()
        self.first = self._convolution(inputs, width)
        widths = [growth] * 4 + [width]
        self.blocks = [
            [
                [self._convolution(width + i * growth, features, 0.1) for i, features in enumerate(widths)]
                for _ in range(3)
            ]
            for _ in range(depth)
        ]
        self.trunk = self._convolution(width, width)
        self.doublings = [self._convolution(width, width) for _ in range(doublings(factor))]
        self.last = self._convolution(width, channels)
        self.before = self._convolution(width, width)

    def _convolution(self, inputs: int, outputs: int, scale: float = 0.0) -> nn.Module:
        """A convolution; with He's initial weights times a scale, if there is one."""
        layer = nn.Conv2d(inputs, outputs, 3, padding=1)
        if scale:
            nn.init.kaiming_normal_(layer.weight).data.mul_(scale)
            nn.init.zeros_(layer.bias)
        return self.append('Conv', layer)

    def forward(self, images: Tensor) -> Tensor:
        """The enlargements."""
        start = images = self.first((images + 1) / 2)
        for block in self.blocks:
            hidden = images
            for layers in block:
                hidden = _dense(hidden, layers)
            images = torch.add(images, hidden, alpha=RESIDUAL)
        images = start + self.trunk(images)
        for layer in self.doublings:
            images = _leaky(layer(functional.interpolate(images, scale_factor=2, mode='nearest')))
        return 2 * self.last(_leaky(self.before(images))) - 1


class Discriminator(Named):
    """Crops [B, C, H, W], of sides that are multiples of 32, -> logits [B]."""

    def __init__(self, channels: int, width: int, hidden: int, pixels: int):
        super().__init__()
        self.layers, widths = [], [channels, *(width * min(2**stage, 8) for stage in range(5))]
        for stage, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            same = self.append('Conv', nn.Conv2d(inputs, outputs, 3, padding=1, bias=not stage))
            self.layers.append((same, self.append('BatchNorm', nn.BatchNorm2d(outputs)) if stage else None))
            halved = self.append('Conv', nn.Conv2d(outputs, outputs, 4, 2, 1, bias=False))
            self.layers.append((halved, self.append('BatchNorm', nn.BatchNorm2d(outputs))))
        self.first = self.append('Dense', nn.Linear(pixels // 32**2 * widths[-1], hidden))
        self.last = self.append('Dense', nn.Linear(hidden, 1))

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the crops."""
        for convolution, norm in self.layers:
            images = convolution(images)
            images = _leaky(images if norm is None else norm(images))
        return self.last(_leaky(self.first(flattened(images))))[:, 0]


class Esrgan(Twin):
    """The game of enlargements. Both turns see the same crops and their enlargements, which are made once."""

    fields = (('real', 'input'),)

    def make_networks(self, shapes: Shapes) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator; see `Twin.make_networks`."""
        maker, options, (height, width, channels) = (
            self.config['generator'],
            self.config['discriminator'],
            shapes['real'],
        )
        sizes = [maker[name] for name in ('width', 'growth', 'depth', 'factor')]
        pixels = self.config['game']['crop'] ** 2 or height * width
        return (
            Generator(shapes['input'][2], channels, *sizes),
            Discriminator(channels, options['width'], options['hidden'], pixels),
        )

    def batch(self) -> Batch:
        """The next crops and their enlargements."""
        return self.enlarged(self.cropped(super().batch()))

    def cropped(self, batch: Batch) -> Batch:
        """Random crops of the images of a batch and of its inputs, each turned at random."""
        images, inputs, game = batch['real'], batch['input'], self.config['game']
        factor, crops = images.shape[2] // inputs.shape[2], {'real': [], 'input': []}
        side = (game['crop'] or images.shape[2]) // factor
        corners = torch.randint(inputs.shape[2] - side + 1, (len(images), 2)).tolist()
        turns = torch.randint(4 if game['rotate'] else 1, (len(images),)).tolist()
        for i, ((y, x), turn) in enumerate(zip(corners, turns, strict=True)):
            for field, scale in (('real', factor), ('input', 1)):
                rows, columns = (slice(scale * place, scale * (place + side)) for place in (y, x))
                crops[field].append(batch[field][i, :, rows, columns].rot90(turn, (1, 2)))
        return {field: torch.stack(some).contiguous(memory_format=self.format) for field, some in crops.items()}

    def enlarged(self, batch: Batch) -> Batch:
        """A batch with the enlargements of its inputs."""
        with self.precision():
            return batch | {'fake': self.generate(batch['input'])}

    def discriminator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The discriminator's loss and metrics."""
        return self.judgement(self.discriminate, (batch['real'],), (batch['fake'].detach(),))

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The generator's loss and metrics."""
        fake, real, weights = batch['fake'], batch['real'], self.config['game']
        pixels = (fake.float() - real).abs().mean()
        loss = weights['adversary'] * self.fooling(self.discriminate, (fake,), (real,))
        return loss + weights['pixels'] * pixels, {'pixels': pixels.detach()}


def _dense(images: Tensor, layers: list[nn.Module]) -> Tensor:
    """A dense block: each layer sees the images and what the layers before it made of them."""
    seen = [images]
    for layer in layers[:-1]:
        seen.append(_leaky(layer(torch.cat(seen, 1))))
    return torch.add(images, layers[-1](torch.cat(seen, 1)), alpha=RESIDUAL)


def _leaky(images: Tensor) -> Tensor:
    return functional.leaky_relu(images, 0.2, inplace=True)
