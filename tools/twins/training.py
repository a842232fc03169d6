"""The training step of gan_jax's recipes in PyTorch: the same losses, updates, metrics and moving average."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import networks, r3gan, residual, sngan
from .order import Batch, Order

Metrics = dict[str, Tensor]
Shapes = Mapping[str, tuple[int, int, int]]  # (H, W, C) of the images in each field of a batch

FAMILIES = {'resnet': residual, 'biggan': residual, 'r3gan': r3gan}


def make_networks(
    config: Mapping[str, Any], shape: tuple[int, int, int], classes: int = 0
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of a config whose networks have explicit widths, for square images (H, W, C)."""
    if config['model'] in FAMILIES:
        return FAMILIES[config['model']].make_networks(config, shape, classes)
    size, _, channels = shape
    maker, critic, latents = config['generator'], config['discriminator'], config['latents']['size']
    if config['model'] == 'mlp':
        return (
            networks.MlpGenerator(latents, maker['widths'], size),
            networks.MlpDiscriminator(size, critic['widths'], critic['dropout']),
        )
    if config['model'] == 'sngan':
        base = size >> (len(critic['widths']) - 1)
        return (
            sngan.SnganGenerator(latents, maker['widths'], base, channels),
            sngan.SnganDiscriminator(channels, critic['widths'], base),
        )
    base = size >> len(critic['widths'])
    return (
        networks.DcganGenerator(latents, maker['widths'], base, channels),
        networks.DcganDiscriminator(channels, critic['widths'], base, critic['normalization']),
    )


class Twin:
    """A run of a config: Adam, metrics and, where the config has one, the average of the generator.

    The game is that of latents and, where the config is conditional, labels, with the losses `non_saturating`,
    `logistic`, `wasserstein`, `hinge`, `relativistic_pairing` and `relativistic_average`, the gradient penalty, R1 and
    R2; `tools.twins.translations` has others.

    Where gan_jax throws a pass's batch statistics away PyTorch keeps them, and its running variances are the unbiased
    ones. Neither enters a loss.

    Args:
        config: config of gan_jax, as plain values, with explicit widths.
        images: uint8 [n, H, W, C] by their field in a batch, kept on the device, with the 'label' [n] of each.
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
        self.is_relativistic = self.loss.startswith('relativistic')
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        if self.device.type == 'cuda':
            torch.set_float32_matmul_precision('high')  # TF32, as JAX's default there
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.is_told = config['discriminator'].get('conditioning', 'none') != 'none'
        self.classes = 1 + int(images['label'].max()) if self.is_told else 0
        self.orders = [
            Order({field: self._stored(images[field]) for field in fields}, self.batch_size, config['data']['flip'])
            for fields in ((('real', 'label'),) if self.is_told else self.fields)
        ]
        pair = self.make_networks({field: array.shape[1:] for field, array in images.items()})
        self.generator, self.discriminator = (one.to(self.device, memory_format=self.format) for one in pair)
        self.generate, self.discriminate = self.generator, self.discriminator
        if compiled:
            self.generate, self.discriminate = self._compiled(self.generator), self._compiled(self.discriminator)
        self.generator_optimizer = self._adam(self.generator, config['generator_optimizer'])
        self.discriminator_optimizer = self._adam(self.discriminator, config['discriminator_optimizer'])
        values = self.generator.state_dict(keep_vars=True).values() if config['ema']['half_life_kimg'] else ()
        self.averaged = [value for value in values if value.is_floating_point()]
        self.averages = [value.detach().clone() for value in self.averaged]
        self.steps, self.kept = 0, {}

    def make_networks(self, shapes: Shapes) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator for images (H, W, C) in each field of a batch."""
        return make_networks(self.config, shapes['real'], self.classes)

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
        if self.is_due('discriminator'):
            loss, metrics = self.lazy_discriminator_loss(batch)
            _update(loss, self.discriminator, self.discriminator_optimizer)
            self.kept |= {f'discriminator/{name}': value for name, value in metrics.items()}

        self.discriminator.requires_grad_(False)
        loss, metrics = self.generator_loss(batch)
        made = metrics | _update(loss, self.generator, self.generator_optimizer)
        if self.is_due('generator'):
            loss, metrics = self.lazy_generator_loss()
            _update(loss, self.generator, self.generator_optimizer)
            self.kept |= {f'generator/{name}': value for name, value in metrics.items()}
        self.average()
        self.steps += 1
        return judged | {f'generator/{name}': value for name, value in made.items()} | self.kept

    def is_due(self, player: str) -> bool:
        """Whether a player's lazy terms have their update in this step."""
        every = self.config['lazy'][player]
        return every > 1 and self.steps % every == 0

    def discriminator_loss(
        self, batch: Batch, latents: Tensor | None = None, shares: Tensor | None = None
    ) -> tuple[Tensor, Metrics]:
        """The discriminator's loss and metrics; `shares` [B] place the points of the gradient penalty."""
        real, told, penalties = batch['real'], self.told(batch), self.config['penalties']
        with self.precision(), torch.no_grad():
            fake = self.generate(self.latents() if latents is None else latents, *told)
        pairs = {'r1': real, 'r2': fake}
        weights = {name: penalties[name]['weight'] for name in pairs if self.config['lazy']['discriminator'] == 1}
        for name, images in pairs.items():
            images.requires_grad_(bool(weights.get(name)))
        with self.precision():
            logits = [self.discriminate(images, *told).float() for images in (real, fake)]
        loss, metrics = self.reading(*logits)
        for one, (name, images) in zip(logits, pairs.items(), strict=True):
            if images.requires_grad:
                penalty = squared_gradients(one, images) / 2
                loss, metrics[name] = loss + weights[name] * penalty, penalty.detach()
        weight = penalties['gradient_penalty']['weight']
        if weight:
            penalty = self.gradient_penalty(real, fake.float(), shares)
            loss, metrics['gradient_penalty'] = loss + weight * penalty, penalty.detach()
        return loss, metrics

    @staticmethod
    def told(batch: Batch) -> tuple[Tensor, ...]:
        """The networks' inputs beside latents or images: the labels, if there are any."""
        return (batch['label'],) if 'label' in batch else ()

    def judgement(
        self, discriminate: nn.Module, real: Sequence[Tensor], fake: Sequence[Tensor]
    ) -> tuple[Tensor, Metrics]:
        """A discriminator's loss and metrics for what it is given of real and of fake images."""
        with self.precision():
            return self.reading(discriminate(*real).float(), discriminate(*fake).float())

    def reading(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Metrics]:
        """A discriminator's loss and metrics for its logits of real and of fake images."""
        real_probability, fake_probability = real_logits.detach().sigmoid(), fake_logits.detach().sigmoid()
        metrics = {
            'real_probability': real_probability.mean(),
            'fake_probability': fake_probability.mean(),
            'accuracy': ((real_logits > 0).float().mean() + (fake_logits < 0).float().mean()) / 2,
        }
        if self.is_relativistic:
            return self.preference(real_logits, fake_logits), metrics
        if self.loss == 'wasserstein':
            on_real, on_fake = -real_logits.mean(), fake_logits.mean()
        elif self.loss == 'hinge':
            on_real, on_fake = (1 - real_logits).relu().mean(), (1 + fake_logits).relu().mean()
        elif self.loss == 'mean_squares':
            on_real, on_fake = (real_logits - 1).square().mean() / 2, fake_logits.square().mean() / 2
        else:
            label = self.config['loss'].get('real_label', 1.0)
            on_real, on_fake = _cross_entropy(real_logits, label), _cross_entropy(fake_logits, 0.0)
        return on_real + on_fake, metrics | {'real_loss': on_real.detach(), 'fake_loss': on_fake.detach()}

    def gradient_penalty(self, real: Tensor, fake: Tensor, shares: Tensor | None) -> Tensor:
        """WGAN-GP's mean (||gradient|| - 1)^2 between real and fake images."""
        shares = torch.rand(len(real), device=self.device) if shares is None else shares
        points = torch.lerp(fake, real, shares.view(-1, 1, 1, 1)).requires_grad_()
        (gradients,) = torch.autograd.grad(self.discriminator(points).sum(), points, create_graph=True)
        return ((gradients.flatten(1).norm(dim=1) - 1) ** 2).mean()

    def generator_loss(self, batch: Batch, latents: Tensor | None = None) -> tuple[Tensor, Metrics]:
        """The generator's loss and metrics; of the batch it sees the labels, and real images in a relativistic game."""
        told = self.told(batch)
        with self.precision():
            fake = self.generate(self.latents() if latents is None else latents, *told)
        return self.fooling(self.discriminate, (fake, *told), (batch['real'], *told)), {}

    def fooling(self, discriminate: nn.Module, fake: Sequence[Tensor], real: Sequence[Tensor] = ()) -> Tensor:
        """The generator's loss for what a discriminator is given of fake images, and of real ones if it compares."""
        with self.precision():
            logits = discriminate(*fake).float()
            if not self.is_relativistic:
                return self.fooled(logits)
            with torch.no_grad():
                real_logits = discriminate(*real).float()
            return self.preference(logits, real_logits)

    def preference(self, better: Tensor, worse: Tensor) -> Tensor:
        """A player's loss in a relativistic game, in which it wants some images to have higher logits than others."""
        if self.loss == 'relativistic_pairing':
            return functional.softplus(worse - better).mean()
        return functional.softplus(worse.mean() - better).mean() + functional.softplus(worse - better.mean()).mean()

    def fooled(self, logits: Tensor) -> Tensor:
        """The generator's loss for a discriminator's logits of fake images."""
        if self.loss == 'mean_squares':
            return (logits - 1).square().mean()
        return -logits.mean() if self.loss in ('wasserstein', 'hinge') else _cross_entropy(logits, 1.0)

    def latents(self) -> Tensor:
        """Standard normal latents."""
        return torch.randn(self.batch_size, self.config['latents']['size'], device=self.device)

    def batch(self) -> Batch:
        """The next images of each field, in [-1, 1], mirrored half of the time where the config says so."""
        images = {field: image for order in self.orders for field, image in order.next().items()}
        return {
            field: image if field == 'label' else image.contiguous(memory_format=self.format)
            for field, image in images.items()
        }

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
        if images.ndim == 1:
            return torch.tensor(images, dtype=torch.long, device=self.device)
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


def squared_gradients(logits: Tensor, images: Tensor) -> Tensor:
    """The mean of the squared norms of each logit's gradient by its image."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1).square().sum(1).mean()


def _update(loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> Metrics:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    parameters = [parameter.detach() for parameter in network.parameters()]
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return {
        'loss': loss.detach(),
        'gradient_norm': nn.utils.get_total_norm(gradients),
        'parameter_norm': nn.utils.get_total_norm(parameters),
    }


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
