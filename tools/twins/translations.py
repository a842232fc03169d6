"""The games of `gan_jax.games` between images in PyTorch: pix2pix and CycleGAN, and the twin of any config."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_jax.models.pix2pix import RECEPTIVE_FIELDS

from .esrgan import Esrgan
from .munit import Munit
from .order import Batch
from .spade import Spade
from .styles import StyleGan2
from .training import Metrics, Shapes, Twin
from .translators import PatchDiscriminator, ResidualTranslator, UNet
from .two_domains import DIRECTIONS, joined


class _Translations(Twin):
    def discriminator_for(self, channels: int) -> PatchDiscriminator:
        """A discriminator of images with so many channels."""
        options = self.config['discriminator']
        strided = RECEPTIVE_FIELDS[options['receptive_field']]
        return PatchDiscriminator(channels, options['width'], strided, options['normalization'])


class Pix2Pix(_Translations):
    """The game of pairs: dropout is drawn anew for each player's turn, as in gan_jax."""

    fields = (('real', 'input'),)

    def make_networks(self, shapes: Shapes) -> tuple[nn.Module, nn.Module]:
        """A U-Net, and a discriminator of inputs and images behind one another; see `Twin.make_networks`."""
        (size, _, inputs), outputs, options = shapes['input'], shapes['real'][2], self.config['generator']
        levels = options['levels'] or min(8, (size & -size).bit_length() - 1)  # halvings that leave whole pixels
        unet = UNet(inputs, outputs, options['width'], options['max_width'], levels, options['dropout'])
        return unet, self.discriminator_for(inputs + outputs)

    def discriminator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The discriminator's loss and metrics."""
        with self.precision(), torch.no_grad():
            fake = self.generate(batch['input'])
        return self.judgement(
            self.discriminate, (_pair(batch['input'], batch['real']),), (_pair(batch['input'], fake),)
        )

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The generator's loss and metrics."""
        with self.precision():
            fake = self.generate(batch['input'])
        difference = (fake.float() - batch['real']).abs().mean()
        loss = self.fooling(self.discriminate, (_pair(batch['input'], fake),)) + self.config['game']['l1'] * difference
        return loss, {'l1': difference.detach()}


class CycleGan(_Translations):
    """The game of two domains. Both turns see the same translations, which are made once."""

    fields = (('a',), ('real',))

    def make_networks(self, shapes: Shapes) -> tuple[nn.Module, nn.Module]:
        """A translator for each direction, and a discriminator for each domain; see `Twin.make_networks`."""
        options, makers, discriminators = self.config['generator'], nn.ModuleDict(), nn.ModuleDict()
        shapes, self.pools = {'a': shapes['a'], 'b': shapes['real']}, {}
        for direction, (source, target, _) in DIRECTIONS.items():
            size, _, channels = shapes[target]
            blocks = options['blocks'] or (9 if size >= 256 else 6)
            makers[direction] = ResidualTranslator(shapes[source][2], channels, options['width'], blocks)
            discriminators[target] = self.discriminator_for(channels)
            empty = torch.zeros(self.config['replay'], channels, size, size, device=self.device)
            self.pools[target] = Pool(empty.contiguous(memory_format=self.format))
        return makers, discriminators

    def batch(self) -> Batch:
        """The next images of 'a' and 'b', and by direction what becomes of them."""
        batch = super().batch()
        return self.translated({'a': batch['a'], 'b': batch['real']})

    def translated(self, batch: Batch) -> Batch:
        """A batch with the translations of its images."""
        with self.precision():
            return batch | {way: self.generate[way](batch[source]) for way, (source, *_) in DIRECTIONS.items()}

    def discriminator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The sum of the discriminators' losses, and the means of their metrics."""
        return joined(
            [
                self.judgement(
                    self.discriminate[target],
                    (batch[target],),
                    (self.pools[target].exchange(batch[way].detach().float()),),
                )
                for way, (_, target, _) in DIRECTIONS.items()
            ]
        )

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The sum of the generators' losses, and the means of their metrics."""
        each = []
        for way, (source, target, back) in DIRECTIONS.items():
            with self.precision():
                again = self.generate[back](batch[way])
            cycle = (again.float() - batch[source]).abs().mean()
            loss = self.fooling(self.discriminate[target], (batch[way],)) + self.config['game']['cycle'] * cycle
            each.append((loss, {'cycle': cycle.detach()}))
        return joined(each)


class Pool:
    """Earlier translations, by the rule of `gan_jax.replay.exchange`; `images` [N, C, H, W] is the room for them."""

    def __init__(self, images: Tensor):
        self.images, self.filled = images, torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def exchange(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] of which some are remembered ones, whose places the new ones take."""
        places = torch.randperm(len(self.images), device=images.device)[: len(images)]
        remembered, filled = self.images[places], self.filled[places]
        swap = (torch.rand(len(images), device=images.device) < 0.5) & filled
        self.images[places] = torch.where((swap | ~filled).view(-1, 1, 1, 1), images, remembered)
        self.filled[places] = True
        return torch.where(swap.view(-1, 1, 1, 1), remembered, images)


def make_twin(config: Mapping, *arguments: Mapping, **options: bool) -> Twin:
    """The twin of a config, by its model or game; arguments are those of `Twin`."""
    kinds = {
        'adversarial': Twin,
        'pix2pix': Pix2Pix,
        'cyclegan': CycleGan,
        'munit': Munit,
        'spade': Spade,
        'super_resolution': Esrgan,
    }
    if config['model'] == 'stylegan2':
        return StyleGan2(config, *arguments, **options)
    return kinds[config['game']['name']](config, *arguments, **options)


def _pair(inputs: Tensor, images: Tensor) -> Tensor:
    return torch.cat([inputs, images], 1)
