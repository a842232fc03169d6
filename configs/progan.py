"""ProGAN: progressive growing of both players, from 4x4 images to those of the data.

Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
https://arxiv.org/abs/1710.10196, as in the authors' code: WGAN-GP with a drift of 0.001, Adam at 0.001 with betas 0 and
0.99, one step of the critic, and new optimisers at each level. Each level fades in over 600 thousand images and is then
trained for as many, the last one until 12 million images in all. Batches are from 128 (4x4) to 4 (512x512).

    python -m gan_jax.main --config progan                        # scikit-learn's digits, from 4x4 to 16x16
    python -m gan_jax.main --config progan:cifar10                # as published, to 32x32
    python -m gan_jax.main --config progan:folder:/faces,256      # images of that size
    python -m gan_jax.main --config progan:small                  # fashion_mnist at 32x32, for a laptop
    python -m gan_jax.main --config progan:mnist,small

A level is a phase of the run (`earlier_phases`). Expect samples.gif to show blurs that become images. The published
networks have 23 million parameters each at 128x128, and CIFAR-10 without labels an Inception Score of 8.80 +- 0.05 (the
best of ten runs). `small` has 64 channels at most, 60 thousand images in place of 600 (12 on the digits) and as many on
the last level as on the others, and an average that follows more closely, as runs are short.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import UserError

BATCHES = {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4}  # as published for one GPU
TOTAL = 12_000  # thousands of images
AVERAGE = 0.693  # thousands of images of half-life for each example of a batch: a decay of 0.999 in each step


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'DATA', 'DATA,SIZE', 'small' or 'DATA,small' (default: the embedded digits at 16x16, small)."""
    parts = argument.split(',')
    size = next((int(part) for part in parts if part.isdigit()), 32 if argument else 16)
    if size not in BATCHES:
        raise UserError(
            f'A ProGAN grows to {", ".join(map(str, BATCHES))} pixels, not to {size}: choose one of these sizes.'
        )
    config = configs.base('progan')
    small = configs.choose_small(config, ','.join(part for part in parts if not part.isdigit()))
    config.latents.size = 64 if small else 512
    config.loss = configs.section('loss', 'wasserstein')
    config.penalties.gradient_penalty.weight = 10.0
    config.penalties.drift.weight = 0.001
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 1e-3, 0.0, 0.99
    config.fresh_optimizers = True
    for network in (config.generator, config.discriminator):
        network.fade = 0.5
        if small:
            network.width, network.max_width = 1024, 64
    config.real_fade = 0.5
    kimg = (12 if not argument else 60) if small else 600
    levels = [_level(side, kimg, small) for side in BATCHES if side <= size]
    if not small:
        levels[-1]['duration'] = f'{TOTAL - kimg * max(0, 2 * len(levels) - 3)} kimg'
        config.ema.ramp_up = 0.0
    configs.grow(config, levels)
    config.sample_every = config.checkpoint_every = f'{kimg / 2:g} kimg'
    return config


def _level(side: int, kimg: int, small: bool) -> dict[str, str | int | float]:
    """The options of a level; the first has nothing to fade in."""
    batch = min(BATCHES[side], 32) if small else BATCHES[side]
    level = {
        'data.size': side,
        'batch_size': batch,
        'duration': f'{kimg if side == 4 else 2 * kimg} kimg',
    }
    if not small:
        level['ema.half_life_kimg'] = round(AVERAGE * batch, 4)
    if side == 4:
        level |= {'real_fade': 0.0, 'generator.fade': 0.0, 'discriminator.fade': 0.0}
    return level
