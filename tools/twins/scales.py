"""Games whose discriminators see images at several scales."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .training import Metrics, Twin


def halved(images: Tensor) -> Tensor:
    """The mean of 3x3 pixels around every second: [B, C, H, W] -> [B, C, (H + 1) // 2, (W + 1) // 2]."""
    return functional.avg_pool2d(images, 3, 2, 1, count_include_pad=False)


class AtScales(Twin):
    """A game with logits [B, h, w] at each scale, whose losses are added."""

    def reading_of_scales(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, Metrics]:
        """A discriminator's loss and metrics for its logits of real and of fake images at each scale."""
        each = [self.reading(*pair) for pair in zip(real, fake, strict=True)]
        _, metrics = self.reading(*(torch.cat([one.flatten(1) for one in logits], 1) for logits in (real, fake)))
        sums = {name: sum(one[name] for _, one in each) for name in ('real_loss', 'fake_loss')}
        return sum(loss for loss, _ in each), metrics | sums

    def fooled_at_scales(self, logits: Sequence[Tensor]) -> Tensor:
        """The generator's loss for a discriminator's logits of fake images at each scale."""
        return sum(map(self.fooled, logits))
