"""The order in which a twin sees the data."""

from collections.abc import Mapping

import torch
from torch import Tensor

Batch = dict[str, Tensor]


class Order:
    """A random order of stored images, those of several fields side by side.

    Args:
        images: uint8 [n, C, H, W] by field, or whole numbers [n].
        batch_size: batch size of each draw.
        flip: whether the images of a draw are mirrored half of the time, those of all fields together.
    """

    def __init__(self, images: Mapping[str, Tensor], batch_size: int, flip: bool):
        self.images, self.batch_size, self.flip = images, batch_size, flip
        self.device, self.length = next((stored.device, len(stored)) for stored in images.values())
        self.place, self.order = 0, torch.randperm(self.length, device=self.device)

    def next(self) -> Batch:
        """The next images of each field, in [-1, 1], and whole numbers as they are."""
        if self.place + self.batch_size > self.length:
            self.place, self.order = 0, torch.randperm(self.length, device=self.device)
        chosen = self.order[self.place : self.place + self.batch_size]
        self.place += self.batch_size
        mirrored = torch.rand(self.batch_size, 1, 1, 1, device=self.device) < 0.5

        def seen(stored: Tensor) -> Tensor:
            if stored.ndim == 1:
                return stored[chosen]
            images = stored[chosen].float().mul_(2 / 255).sub_(1)
            return torch.where(mirrored, images.flip(3), images) if self.flip else images

        return {field: seen(stored) for field, stored in self.images.items()}
