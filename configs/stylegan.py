"""StyleGAN, grown from 8x8 images to those of the data.

Karras, Laine and Aila 2019, "A Style-Based Generator Architecture for GANs", https://arxiv.org/abs/1812.04948, config F
as in the authors' code: a mapping of eight layers that learns at a hundredth of the rate, AdaIN, noise, style mixing
(0.9), the logistic loss with R1 (gamma 10) in every step, Adam at 0.001 (0.0015 to 0.003 from 128x128 on) with betas 0
and 0.99, and new optimisers at each level. Each level fades in over 600 thousand images and is then trained for as
many, the last one until 25 million images in all. Batches are from 256 (8x8) to 32 (64x64 and more).

    python -m gan_jax.main --config stylegan                      # scikit-learn's digits, from 8x8 to 16x16
    python -m gan_jax.main --config stylegan:folder:/faces,1024   # as published
    python -m gan_jax.main --config stylegan:small                # fashion_mnist at 32x32, for a laptop
    python -m gan_jax.main --config stylegan:cifar10,small

A level is a phase of the run (`earlier_phases`). Expect FID 4.40 for FFHQ at 1024x1024: a week on eight V100 GPUs, and
26 million parameters in the generator. `--mode sample --psi 0.7` truncates the styles; for the paper's pictures this
was done in the first eight layers only (`--config.generator.cutoff=8` in training). After 36 thousand images, four
minutes on a busy CPU core, there are digits of all kinds, with ragged strokes.

`small` has 64 channels at most, two layers of mapping, batches of 32 and 60 thousand images in place of 600 (12 on the
digits), as many on the last level as on the others. It needs the published gamma: with 0.1 or 0.002 the discriminator
wins, and the digits are of few kinds. The simplified form of tutorials, without noise and filters, is
`--config.generator.blur=False --config.generator.noise_layers=False --config.generator.mixing=0`, with
`--config.generator.rate=1` for a mapping that learns as fast as the rest.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import UserError

BATCHES = {8: 256, 16: 128, 32: 64, 64: 32, 128: 32, 256: 32, 512: 32, 1024: 32}  # as published for eight GPUs
RATES = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
TOTAL = 25_000  # thousands of images


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'DATA', 'DATA,SIZE', 'small' or 'DATA,small' (default: the embedded digits at 16x16, small)."""
    parts = argument.split(',')
    size = next((int(part) for part in parts if part.isdigit()), 32 if argument else 16)
    if size not in BATCHES:
        raise UserError(
            f'A StyleGAN grows to {", ".join(map(str, BATCHES))} pixels, not to {size}: choose one of these sizes.'
        )
    config = configs.base('stylegan')
    small = configs.choose_small(config, ','.join(part for part in parts if not part.isdigit()))
    config.latents.size = 64 if small else 512
    config.loss = configs.section('loss', 'logistic')
    config.penalties.r1.weight = 10.0
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 1e-3, 0.0, 0.99
    config.fresh_optimizers = True
    config.generator.fade = config.discriminator.fade = config.real_fade = 0.5
    config.ema.half_life_kimg, config.ema.ramp_up = 10.0, 0.05 if small else 0.0
    kimg = (12 if not argument else 60) if small else 600
    levels = [_level(side, kimg, small) for side in BATCHES if side <= size]
    if small:
        for network in (config.generator, config.discriminator):
            network.width, network.max_width = 1024, 64
        config.generator.depth, config.generator.w_size = 2, 64
    else:
        levels[-1]['duration'] = f'{TOTAL - kimg * max(0, 2 * len(levels) - 3)} kimg'
    configs.grow(config, levels)
    config.sample_every = config.checkpoint_every = f'{kimg / 2:g} kimg'
    return config


def _level(side: int, kimg: int, small: bool) -> dict[str, str | int | float]:
    """What a level of the growth has for itself; the first has nothing to fade in."""
    level = {
        'data.size': side,
        'batch_size': min(BATCHES[side], 32) if small else BATCHES[side],
        'duration': f'{kimg if side == 8 else 2 * kimg} kimg',
    }
    if not small:
        rate = RATES.get(side, 0.001)
        level |= {'generator_optimizer.learning_rate': rate, 'discriminator_optimizer.learning_rate': rate}
    if side == 8:
        level |= {'real_fade': 0.0, 'generator.fade': 0.0, 'discriminator.fade': 0.0}
    return level
