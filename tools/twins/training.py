"""The training step of gan_jax's recipes in PyTorch: the same losses, updates, metrics and moving average."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.twins import networks, sngan

Batch = dict[str, Tensor]
Metrics = dict[str, Tensor]


def make_networks(config: Mapping[str, Any], shape: tuple[int, int, int]) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of a config whose networks have explicit widths, for square images (H, W, C)."""
    size, _, channels = shape
    maker, judge, latents = config['generator'], config['discriminator'], config['latents']['size']
    if config['model'] == 'mlp':
        return (
            networks.MlpGenerator(latents, maker['widths'], size),
            networks.MlpDiscriminator(size, judge['widths'], judge['dropout']),
        )
    if config['model'] == 'sngan':
        base = size >> (len(judge['widths']) - 1)
        return (
            sngan.SnganGenerator(latents, maker['widths'], base, channels),
            sngan.SnganDiscriminator(channels, judge['widths'], base),
        )
    base = size >> len(judge['widths'])
    return (
        networks.DcganGenerator(latents, maker['widths'], base, channels),
        networks.DcganDiscriminator(channels, judge['widths'], base, judge['normalization']),
    )


class Twin:
    """A run of a config: Adam, metrics and, where the config has one, the average of the generator.

    The game is that of latents, with the losses `non_saturating`, `wasserstein` and `hinge` and the gradient penalty;
    `tools.twins.translations` has others.

    Where gan_jax throws a pass's batch statistics away PyTorch keeps them, and its running variances are the unbiased
    ones. Neither enters a loss.

    Args:
        config: of gan_jax, as plain values, with explicit widths.
        images: uint8 [n, H, W, C] by their field in a batch, kept on the device.
        channels_last: memory format of weights and images.
        compiled: pass the networks through `torch.compile`; the gradient penalty's second derivatives, which it does
            not support, go through the networks as they are.
        bfloat16: compute under autocast, the gradient penalty excepted.
    """

    fields: Sequence[Sequence[str]] = (('real',),)  # of a batch, those of one order together

    def __init__(
        self,
        config: Mapping[str, Any],
        images: Mapping[str, np.ndarray],
        *,
        channels_last: bool = False,
        compiled: bool = False,
        bfloat16: bool = False,
    ):
        self.config, self.batch_size, self.bfloat16 = config, config['batch_size'], bfloat16
        self.loss = config['loss']['name']
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        if self.device.type == 'cuda':
            torch.set_float32_matmul_precision('high')  # TF32, as JAX's default there
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.orders = [
            Order({field: self._stored(images[field]) for field in fields}, self.batch_size, config['data']['flip'])
            for fields in self.fields
        ]
        pair = self.make_networks({field: array.shape[1:] for field, array in images.items()})
        self.generator, self.discriminator = (one.to(self.device, memory_format=self.format) for one in pair)
        self.generate, self.judge = self.generator, self.discriminator
        if compiled:
            self.generate, self.judge = self._compiled(self.generator), self._compiled(self.discriminator)
        self.generator_optimizer = self._adam(self.generator, config['generator_optimizer'])
        self.discriminator_optimizer = self._adam(self.discriminator, config['discriminator_optimizer'])
        values = [*self.generator.parameters(), *self.generator.buffers()] if config['ema']['half_life_kimg'] else []
        self.averaged = [value for value in values if value.is_floating_point()]
        self.averages = [value.detach().clone() for value in self.averaged]
        self.steps = 0

    def make_networks(self, shapes: Mapping[str, tuple[int, int, int]]) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator for images (H, W, C) in each field of a batch."""
        return make_networks(self.config, shapes['real'])

    def run(self, steps: int) -> dict[str, float]:
        """The means of the metrics over so many steps, read once at the end."""
        each = [self.step() for _ in range(steps)]
        means = torch.stack([torch.stack(list(metrics.values())) for metrics in each]).mean(0).tolist()
        return dict(zip(each[0], means, strict=True))

    def step(self) -> Metrics:
        """The discriminator's steps and one of the generator."""
        self.discriminator.requires_grad_(True)
        rounds = []
        for _ in range(self.config['discriminator_steps']):
            batch = self.batch()
            loss, metrics = self.discriminator_loss(batch)
            metrics |= _update(loss, self.discriminator, self.discriminator_optimizer)
            rounds.append(metrics)
        judged = {f'discriminator/{name}': sum(one[name] for one in rounds) / len(rounds) for name in rounds[0]}

        self.discriminator.requires_grad_(False)
        loss, metrics = self.generator_loss(batch)
        made = metrics | _update(loss, self.generator, self.generator_optimizer)
        self.average()
        self.steps += 1
        return judged | {f'generator/{name}': value for name, value in made.items()}

    def discriminator_loss(
        self, batch: Batch, latents: Tensor | None = None, shares: Tensor | None = None
    ) -> tuple[Tensor, Metrics]:
        """The discriminator's loss and metrics; `shares` [B] place the points of the gradient penalty."""
        real = batch['real']
        with self.precision(), torch.no_grad():
            fake = self.generate(self.latents() if latents is None else latents)
        loss, metrics = self.judgement(self.judge, (real,), (fake,))
        weight = self.config['penalties']['gradient_penalty']['weight']
        if weight:
            penalty = self.gradient_penalty(real, fake.float(), shares)
            loss, metrics['gradient_penalty'] = loss + weight * penalty, penalty.detach()
        return loss, metrics

    def judgement(self, judge: nn.Module, real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, Metrics]:
        """A discriminator's loss and metrics for what it is given of real and of fake images."""
        with self.precision():
            real_logits, fake_logits = judge(*real).float(), judge(*fake).float()
        real_probability, fake_probability = real_logits.detach().sigmoid(), fake_logits.detach().sigmoid()
        metrics = {
            'real_probability': real_probability.mean(),
            'fake_probability': fake_probability.mean(),
            'accuracy': ((real_logits > 0).float().mean() + (fake_logits < 0).float().mean()) / 2,
        }
        if self.loss == 'wasserstein':
            loss = fake_logits.mean() - real_logits.mean()
        elif self.loss == 'hinge':
            loss = (1 - real_logits).relu().mean() + (1 + fake_logits).relu().mean()
        elif self.loss == 'mean_squares':
            loss = ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2
        else:
            loss = _cross_entropy(real_logits, self.config['loss']['real_label']) + _cross_entropy(fake_logits, 0.0)
        return loss, metrics

    def gradient_penalty(self, real: Tensor, fake: Tensor, shares: Tensor | None) -> Tensor:
        """WGAN-GP's mean (||gradient|| - 1)^2 between real and fake images."""
        shares = torch.rand(len(real), device=self.device) if shares is None else shares
        points = torch.lerp(fake, real, shares.view(-1, 1, 1, 1)).requires_grad_()
        (gradients,) = torch.autograd.grad(self.discriminator(points).sum(), points, create_graph=True)
        return ((gradients.flatten(1).norm(dim=1) - 1) ** 2).mean()

    def generator_loss(self, batch: Batch, latents: Tensor | None = None) -> tuple[Tensor, Metrics]:
        """The generator's loss and metrics; it sees nothing of the batch."""
        del batch
        with self.precision():
            fake = self.generate(self.latents() if latents is None else latents)
        return self.fooling(self.judge, fake), {}

    def fooling(self, judge: nn.Module, *fake: Tensor) -> Tensor:
        """The generator's loss for what a discriminator is given of fake images."""
        with self.precision():
            logits = judge(*fake).float()
        if self.loss == 'mean_squares':
            return (logits - 1).square().mean()
        return _cross_entropy(logits, 1.0) if self.loss == 'non_saturating' else -logits.mean()

    def latents(self) -> Tensor:
        """Standard normal latents."""
        return torch.randn(self.batch_size, self.config['latents']['size'], device=self.device)

    def batch(self) -> Batch:
        """The next images of each field, in [-1, 1], mirrored half of the time where the config says so."""
        images = {field: image for order in self.orders for field, image in order.next().items()}
        return {field: image.contiguous(memory_format=self.format) for field, image in images.items()}

    def average(self) -> None:
        """Moves the generator's average on, by the rule of `gan_jax.optim.ema_decay`."""
        if not self.averages:
            return
        ema = self.config['ema']
        half_life = min(1000 * ema['half_life_kimg'], ema['ramp_up'] * self.batch_size * self.steps)
        decay = 0.5 ** (self.batch_size / max(half_life, 1e-8))
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.averaged, 1 - decay)

    def synchronize(self) -> None:
        """Waits for the device."""
        if self.device.type == 'cuda':
            torch.cuda.synchronize()

    def precision(self) -> contextlib.AbstractContextManager:
        """The arithmetic of the networks."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def _stored(self, images: np.ndarray) -> Tensor:
        return torch.tensor(images).permute(0, 3, 1, 2).to(self.device).contiguous(memory_format=self.format)

    @staticmethod
    def _compiled(network: nn.Module) -> nn.Module:
        if isinstance(network, nn.ModuleDict):
            return nn.ModuleDict({name: torch.compile(part) for name, part in network.items()})
        return torch.compile(network)

    @staticmethod
    def _adam(network: nn.Module, options: Mapping[str, Any]) -> torch.optim.Adam:
        betas = options['b1'], options['b2']
        return torch.optim.Adam(network.parameters(), options['learning_rate'], betas, options['eps'], fused=True)


class Order:
    """A random order of stored images, those of several fields side by side.

    Args:
        images: uint8 [n, C, H, W] by field.
        batch_size: of each draw.
        flip: whether the images of a draw are mirrored half of the time, those of all fields together.
    """

    def __init__(self, images: Mapping[str, Tensor], batch_size: int, flip: bool):
        self.images, self.batch_size, self.flip = images, batch_size, flip
        self.device, self.length = next((stored.device, len(stored)) for stored in images.values())
        self.place, self.order = 0, torch.randperm(self.length, device=self.device)

    def next(self) -> Batch:
        """The next images of each field, in [-1, 1]."""
        if self.place + self.batch_size > self.length:
            self.place, self.order = 0, torch.randperm(self.length, device=self.device)
        chosen = self.order[self.place : self.place + self.batch_size]
        self.place += self.batch_size
        batch = {field: stored[chosen].float().mul_(2 / 255).sub_(1) for field, stored in self.images.items()}
        if self.flip:
            mirrored = torch.rand(self.batch_size, 1, 1, 1, device=self.device) < 0.5
            batch = {field: torch.where(mirrored, image.flip(3), image) for field, image in batch.items()}
        return batch


def _update(loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> Metrics:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    parameters = [parameter.detach() for parameter in network.parameters()]
    return {
        'loss': loss.detach(),
        'gradient_norm': nn.utils.get_total_norm(parameter.grad for parameter in network.parameters()),
        'parameter_norm': nn.utils.get_total_norm(parameters),
    }


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
