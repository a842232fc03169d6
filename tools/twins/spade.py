"""SPADE's game without an encoder, and the networks of `gan_jax.models.spade`, in PyTorch."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from .named import Named
from .order import Batch
from .scales import AtScales, halved
from .sngan import SpectralConv2d
from .training import Metrics, Shapes


class SpatialNorm(Named):
    """Batch normalisation whose scale and shift come from the map."""

    def __init__(self, channels: int, classes: int, hidden: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.first = self.append('Conv', nn.Conv2d(classes, hidden, 3, padding=1))
        self.second = self.append('Conv', nn.Conv2d(hidden, 2 * channels, 3, padding=1))

    def forward(self, images: Tensor, maps: Tensor) -> Tensor:
        """Images [B, C, h, w] normalised, for maps [B, classes, H, W] of a multiple of their size."""
        hidden = functional.relu(self.first(_nearest(maps, images.shape[2])), inplace=True)
        scale, shift = self.second(hidden).chunk(2, 1)
        return torch.addcmul(shift, self.norm(images), 1 + scale)


class Block(Named):
    """A residual block: [B, C, h, w] -> [B, D, h, w]."""

    def __init__(self, inputs: int, outputs: int, classes: int, hidden: int):
        super().__init__()
        between, self.shortcut, self.layers = min(inputs, outputs), None, []
        pairs = [(inputs, between), (between, outputs)]
        if inputs != outputs:
            norm = self.append('SpatialNorm', SpatialNorm(inputs, classes, hidden))
            self.shortcut = norm, self.append('Conv', SpectralConv2d(inputs, outputs, 1, bias=False))
        for pair in pairs:
            norm = self.append('SpatialNorm', SpatialNorm(pair[0], classes, hidden))
            self.layers.append((norm, self.append('Conv', SpectralConv2d(*pair, 3, padding=1))))

    def forward(self, images: Tensor, maps: Tensor) -> Tensor:
        """The outputs."""
        shortcut, hidden = images, images
        if self.shortcut:
            norm, convolution = self.shortcut
            shortcut = convolution(norm(images, maps))
        for norm, convolution in self.layers:
            hidden = convolution(functional.leaky_relu(norm(hidden, maps), 0.2, inplace=True))
        return shortcut + hidden


class Generator(Named):
    """Maps [B, classes, H, W] -> images [B, channels, H, W] in [-1, 1]; the size doubles before some of the blocks."""

    def __init__(self, classes: int, channels: int, width: int, hidden: int, upsamplings: int):
        super().__init__()
        self.step = 2**upsamplings
        widths = [16 * width] * 3 + [16 * width >> halvings for halvings in range(1, 6 if upsamplings == 7 else 5)]
        doubles = [False, upsamplings > 4, upsamplings > 5] + [True] * (len(widths) - 3)
        self.first = self.append('Conv', nn.Conv2d(classes, widths[0], 3, padding=1))
        pairs = zip(doubles, itertools.pairwise([widths[0], *widths]), strict=True)
        self.blocks = [(double, self.append('Block', Block(*pair, classes, hidden))) for double, pair in pairs]
        self.last = self.append('Conv', nn.Conv2d(widths[-1], channels, 3, padding=1))

    def forward(self, maps: Tensor) -> Tensor:
        """The images."""
        images = self.first(_nearest(maps, maps.shape[2] // self.step))
        for double, block in self.blocks:
            images = functional.interpolate(images, scale_factor=2, mode='nearest') if double else images
            images = block(images, maps)
        return self.last(functional.leaky_relu(images, 0.2, inplace=True)).tanh()


class Discriminator(Named):
    """Images and their maps [B, C, H, W] -> the logits [B, h, w] of each scale, and the features of all layers."""

    def __init__(self, channels: int, width: int, depth: int, scales: int):
        super().__init__()
        self.scales, widths = [], [channels, *(width * min(2**layer, 8) for layer in range(depth))]
        for _ in range(scales):
            layers = []
            for layer, pair in enumerate(itertools.pairwise(widths)):
                convolution = SpectralConv2d if layer else nn.Conv2d
                stride = 1 if layer == depth - 1 else 2
                layers.append(self.append('Conv', convolution(*pair, 4, stride, padding=2, bias=not layer)))
            self.scales.append((layers, self.append('Conv', nn.Conv2d(widths[-1], 1, 4, padding=2))))

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The logits and the features of the images."""
        logits, features = [], []
        for scale, (layers, last) in enumerate(self.scales):
            hidden = images = halved(images) if scale else images
            for layer, convolution in enumerate(layers):
                hidden = convolution(hidden)
                hidden = functional.instance_norm(hidden) if layer else hidden
                hidden = functional.leaky_relu(hidden, 0.2, inplace=True)
                features.append(hidden)
            logits.append(last(hidden)[:, 0])
        return logits, features


class Spade(AtScales):
    """The game of label maps. Both turns see the same images, which are made once."""

    fields = (('real', 'input'),)

    def make_networks(self, shapes: Shapes) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator; see `Twin.make_networks`."""
        maker, options, channels = self.config['generator'], self.config['discriminator'], shapes['real'][2]
        self.classes = 1 + int(self.orders[0].images['input'].max())
        generator = Generator(self.classes, channels, *(maker[name] for name in ('width', 'hidden', 'upsamplings')))
        sizes = [options[name] for name in ('width', 'depth', 'scales')]
        return generator, Discriminator(self.classes + channels, *sizes)

    def batch(self) -> Batch:
        """The next images, their maps one-hot, and what is painted by these."""
        return self.painted(super().batch())

    def painted(self, batch: Batch) -> Batch:
        """The 'real' images of a batch, its 'maps' [B, classes, H, W] and the 'fake' images."""
        indices = ((batch['input'][:, 0] + 1) * 127.5).round().long()
        maps = functional.one_hot(indices, self.classes).permute(0, 3, 1, 2).float()
        maps = maps.contiguous(memory_format=self.format)
        with self.precision():
            return {'real': batch['real'], 'maps': maps, 'fake': self.generate(maps)}

    def discriminated(self, batch: Batch, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The discriminator's logits and features of images."""
        with self.precision():
            return tuple(
                [one.float() for one in some] for some in self.discriminate(torch.cat([batch['maps'], images], 1))
            )

    def discriminator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The discriminator's loss and metrics."""
        (real, _), (fake, _) = (self.discriminated(batch, images) for images in (batch['real'], batch['fake'].detach()))
        loss, metrics = self.reading_of_scales(real, fake)
        means = {name: metrics[name] / len(real) for name in ('real_loss', 'fake_loss')}
        return loss / len(real), metrics | means

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The generator's loss and metrics."""
        with torch.no_grad():
            _, real = self.discriminated(batch, batch['real'])
        logits, fake = self.discriminated(batch, batch['fake'])
        distances = [(one - other).abs().mean() for one, other in zip(fake, real, strict=True)]
        features, weights = sum(distances) / len(logits), self.config['game']
        loss = weights['adversary'] * self.fooled_at_scales(logits) / len(logits)
        return loss + weights['features'] * features, {'features': features.detach()}


def _nearest(maps: Tensor, size: int) -> Tensor:
    step = maps.shape[2] // size
    return maps[:, :, ::step, ::step]
