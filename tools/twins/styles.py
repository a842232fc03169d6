"""The training step of StyleGAN2 in PyTorch: with R1 and path length regularisation, each in an update of its own."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from . import stylegan2
from .order import Batch
from .training import Metrics, Twin, squared_gradients


class StyleGan2(Twin):
    """Twin of a config of the model stylegan2 whose penalties are R1 and path length, both lazy."""

    def make_networks(self, shapes: Mapping[str, tuple[int, int, int]]) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator; see `Twin.make_networks`."""
        self.length = torch.zeros((), device=self.device)
        return stylegan2.make_networks(self.config, shapes['real'], 0)

    def generator_loss(self, batch: Batch, latents: Tensor | None = None) -> tuple[Tensor, Metrics]:
        """The generator's loss and metrics; moves the average of w on."""
        latents = self.latents() if latents is None else latents
        with self.precision():
            ws = self.generator.styles(latents)
            fake = self.generator.synthesis(ws)
        with torch.no_grad():
            self.generator.average.lerp_(ws[:, 0].mean(0), 1 - self.config['generator']['momentum'])
        return self.fooling(self.discriminate, fake), {}

    def lazy_discriminator_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """R1."""
        real = batch['real'].detach().requires_grad_()
        value = squared_gradients(self.discriminator(real), real) / 2
        weight = self.config['penalties']['r1']['weight'] * self.config['lazy']['discriminator']
        return weight * value, {'r1': value.detach()}

    def lazy_generator_loss(
        self, latents: Tensor | None = None, directions: Tensor | None = None
    ) -> tuple[Tensor, Metrics]:
        """Path length regularisation; moves the average length on. The noise [b, C, H, W] gives the directions."""
        options = self.config['penalties']['path_length']
        latents = self.latents() if latents is None else latents
        ws = self.generator.styles(latents[:: options['shrink']])
        images = self.generator.synthesis(ws)
        directions = torch.randn_like(images) if directions is None else directions
        moved = (images * directions).sum() / math.sqrt(images.shape[2] * images.shape[3])
        (gradients,) = torch.autograd.grad(moved, ws, create_graph=True)
        lengths = gradients.square().sum(2).mean(1).sqrt()
        self.length.lerp_(lengths.detach().mean(), options['decay'])
        value = (lengths - self.length).square().mean()
        return options['weight'] * self.config['lazy']['generator'] * value, {'path_length': value.detach()}
