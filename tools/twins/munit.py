"""MUNIT's game and the networks of `gan_jax.models.munit` in PyTorch."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .named import Named
from .order import Batch
from .scales import AtScales, halved
from .training import Metrics, Shapes
from .translators import reflecting
from .two_domains import DIRECTIONS, joined

Normalize = Callable[[Tensor], Tensor]


class _Residual(Named):
    """A network with residual blocks of two convolutions each."""

    def blocks(self, channels: int, number: int) -> list[tuple[nn.Module, nn.Module]]:
        """The convolutions of the blocks."""
        layers = [self.append('Conv', reflecting(channels, channels, 3)) for _ in range(2 * number)]
        return list(zip(layers[::2], layers[1::2], strict=True))

    @staticmethod
    def residual(images: Tensor, block: tuple[nn.Module, nn.Module], norm: Normalize) -> Tensor:
        """The images plus what a block makes of them."""
        first, second = block
        return images + norm(second(functional.relu(norm(first(images)), inplace=True)))


class ContentEncoder(_Residual):
    """Images [B, C, H, W] -> content codes [B, 4 width, H / 4, W / 4]."""

    def __init__(self, channels: int, width: int, blocks: int):
        super().__init__()
        self.layers = [self.append('Conv', reflecting(channels, width, 7))]
        for inputs in (width, 2 * width):
            self.layers.append(self.append('Conv', reflecting(inputs, 2 * inputs, 4, 2)))
        self.residuals = self.blocks(4 * width, blocks)

    def forward(self, images: Tensor) -> Tensor:
        """The codes of the images."""
        for layer in self.layers:
            images = functional.relu(functional.instance_norm(layer(images)), inplace=True)
        for block in self.residuals:
            images = self.residual(images, block, functional.instance_norm)
        return images


class StyleEncoder(Named):
    """Images [B, C, H, W] -> styles [B, size]."""

    def __init__(self, channels: int, width: int, size: int):
        super().__init__()
        widths = [width, 2 * width, 4 * width, 4 * width, 4 * width]
        self.layers = [self.append('Conv', reflecting(channels, width, 7))]
        for pair in itertools.pairwise(widths):
            self.layers.append(self.append('Conv', reflecting(*pair, 4, 2)))
        self.last = self.append('Dense', nn.Linear(widths[-1], size))

    def forward(self, images: Tensor) -> Tensor:
        """The styles of the images."""
        for layer in self.layers:
            images = functional.relu(layer(images), inplace=True)
        return self.last(images.mean((2, 3))).float()


class LayerNorm(nn.Module):
    """MUNIT's layer normalisation: the epsilon is added to the unbiased deviation of an example."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] normalised."""
        deviation, mean = torch.std_mean(images.flatten(1).float(), 1)
        images = (images - mean.view(-1, 1, 1, 1)) / (deviation + 1e-5).view(-1, 1, 1, 1)
        return torch.addcmul(self.bias.view(-1, 1, 1), images, self.weight.view(-1, 1, 1))


class Decoder(_Residual):
    """Content codes [B, C, h, w] and numbers of the adaptive normalisations [B, n] -> images in [-1, 1]."""

    def __init__(self, width: int, channels: int, blocks: int):
        super().__init__()
        self.residuals, self.stages = self.blocks(width, blocks), []
        for inputs in (width, width // 2):
            convolution = self.append('Conv', reflecting(inputs, inputs // 2, 5))
            self.stages.append((convolution, self.append('LayerNorm', LayerNorm(inputs // 2))))
        self.last = self.append('Conv', reflecting(width // 4, channels, 7))

    def forward(self, images: Tensor, adaptive: Tensor) -> Tensor:
        """The images [B, channels, 4 h, 4 w]."""
        given = iter(adaptive.chunk(2 * len(self.residuals), 1))
        for block in self.residuals:
            images = self.residual(images, block, lambda inputs: _adapted(inputs, next(given)))
        for convolution, norm in self.stages:
            images = convolution(functional.interpolate(images, scale_factor=2, mode='nearest'))
            images = functional.relu(norm(images), inplace=True)
        return self.last(images).tanh()


class Generator(Named):
    """The networks of a direction: contents of its source, styles of its target, and a decoder of both."""

    def __init__(self, source: int, target: int, width: int, blocks: int, style_size: int, style_width: int):
        super().__init__()
        self.contents = ContentEncoder(source, width, blocks)
        self.styles = StyleEncoder(target, width, style_size)
        sizes = [style_size, style_width, style_width, 4 * blocks * 4 * width]
        for i, pair in enumerate(itertools.pairwise(sizes)):
            self.add(f'mlp_{i}', nn.Linear(*pair))
        self.decoder = Decoder(4 * width, target, blocks)

    def forward(self, part: str, *inputs: Tensor) -> Tensor:
        """What one of the parts 'content', 'style' and 'decode' makes of its inputs."""
        return getattr(self, part)(*inputs)

    def content(self, images: Tensor) -> Tensor:
        """The content codes of images of the source."""
        return self.contents(images)

    def style(self, images: Tensor) -> Tensor:
        """The styles [B, n] of images of the target."""
        return self.styles(images)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Images of the target."""
        hidden = functional.relu(self.mlp_1(functional.relu(self.mlp_0(style), inplace=True)), inplace=True)
        return self.decoder(content, self.mlp_2(hidden))


class Discriminator(Named):
    """Images [B, C, H, W] -> the logits [B, h, w] of each scale."""

    def __init__(self, channels: int, width: int, depth: int, scales: int):
        super().__init__()
        self.scales, widths = [], [channels, *(width * 2**layer for layer in range(depth))]
        for _ in range(scales):
            pairs = itertools.pairwise(widths)
            layers = [self.append('Conv', reflecting(*pair, 4, 2)) for pair in pairs]
            self.scales.append((layers, self.append('Conv', nn.Conv2d(widths[-1], 1, 1))))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The logits of the images."""
        logits = []
        for scale, (layers, last) in enumerate(self.scales):
            hidden = images = halved(images) if scale else images
            for layer in layers:
                hidden = functional.leaky_relu(layer(hidden), 0.2, inplace=True)
            logits.append(last(hidden)[:, 0])
        return logits


class Munit(AtScales):
    """The game of contents and styles. Both turns see the same contents of real images, which are encoded once."""

    fields = (('a',), ('real',))

    def make_networks(self, shapes: Shapes) -> tuple[nn.Module, nn.Module]:
        """A generator for each direction, and a discriminator for each domain; see `Twin.make_networks`."""
        maker, options, makers, discriminators = self.config['generator'], self.config['discriminator'], {}, {}
        channels = {'a': shapes['a'][2], 'b': shapes['real'][2]}
        sizes = [maker[name] for name in ('width', 'blocks', 'style_size', 'style_width')]
        own_sizes = [options[name] for name in ('width', 'depth', 'scales')]
        for way, (source, target, _) in DIRECTIONS.items():
            makers[way] = Generator(channels[source], channels[target], *sizes)
            discriminators[target] = Discriminator(channels[target], *own_sizes)
        return nn.ModuleDict(makers), nn.ModuleDict(discriminators)

    def batch(self) -> Batch:
        """The next images of 'a' and 'b', and by direction the contents of its source."""
        batch = super().batch()
        return self.encoded({'a': batch['a'], 'b': batch['real']})

    def encoded(self, batch: Batch) -> Batch:
        """A batch with the contents of its images."""
        with self.precision():
            return batch | {
                way: self.generate[way]('content', batch[source]) for way, (source, *_) in DIRECTIONS.items()
            }

    def styles(self) -> Batch:
        """Standard normal styles for each direction."""
        size = self.batch_size, self.config['generator']['style_size']
        return {way: torch.randn(size, device=self.device) for way in DIRECTIONS}

    def discriminator_loss(self, batch: Batch, styles: Batch | None = None) -> tuple[Tensor, Metrics]:
        """The sum of the discriminators' losses, and the means of their metrics."""
        each, styles = [], styles or self.styles()
        for way, (_, target, _) in DIRECTIONS.items():
            with self.precision():
                with torch.no_grad():
                    fake = self.generate[way]('decode', batch[way], styles[way])
                logits = (
                    [one.float() for one in self.discriminate[target](images)] for images in (batch[target], fake)
                )
                loss, metrics = self.reading_of_scales(*logits)
            decay = _half_squares(self.discriminator[target])
            each.append((loss + self.config['game']['decay'] / 2 * decay, metrics | {'decay': decay.detach()}))
        return joined(each)

    def generator_loss(self, batch: Batch, styles: Batch | None = None) -> tuple[Tensor, Metrics]:
        """The sum of the generators' losses, and the means of their metrics."""
        each, styles, weights = [], styles or self.styles(), self.config['game']
        for way, (source, target, back) in DIRECTIONS.items():
            own, other = self.generate[way], self.generate[back]
            with self.precision():
                fake = own('decode', batch[way], styles[way])
                again = other('decode', batch[way], other('style', batch[source]))
                terms = {
                    'image': _distance(again, batch[source]),
                    'content': _distance(other('content', fake), batch[way]),
                    'style': _distance(own('style', fake), styles[way]),
                }
                loss = self.fooled_at_scales([one.float() for one in self.discriminate[target](fake)])
            terms['decay'] = _half_squares(self.generator[way])
            loss = loss + sum(weights[name] * value for name, value in terms.items())
            each.append((loss, {name: value.detach() for name, value in terms.items()}))
        return joined(each)


def _adapted(images: Tensor, numbers: Tensor) -> Tensor:
    """Images whose channels have the means and deviations [B, 2 C], as in the authors' code."""
    mean, deviation = numbers.float().chunk(2, 1)
    channels = images.reshape(1, -1, *images.shape[2:])
    adapted = functional.batch_norm(channels, None, None, deviation.flatten(), mean.flatten(), training=True)
    return adapted.view_as(images)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return (one.float() - other).abs().mean()


def _half_squares(network: nn.Module) -> Tensor:
    return torch.stack(torch._foreach_norm(list(network.parameters()))).square().sum() / 2
