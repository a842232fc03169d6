"""Transformers for both players, GAT.

Hyun et al. 2026, "Scalable GANs with Transformers" (ICML), https://arxiv.org/abs/2509.24935. Both players are vision
transformers. In training the generator returns its image at four stages of its depth, and the discriminator gets them
all, the early ones with much noise. The recipe has the relativistic loss of pairs of the same class, R1 and R2 by
finite differences, AdamW, and a learning rate of 2e-4 * 768 / width (a width given on the command line also changes the
rate).

    python -m gan_jax.main --config gat                        # scikit-learn's digits at 16x16
    python -m gan_jax.main --config gat:fashion_mnist,small    # a laptop: depth 4, width 128, patch 4
    python -m gan_jax.main --config gat:cifar10,S              # the published sizes: S, B, L, XL

The paper trains on latents [32, 32, 4] of an autoencoder; its FID-50K on ImageNet-256 is 15.2 (S) to 4.0 (XL) after
50,000 steps, and 2.18 (XL) after 150,000. There is no published figure for pixels. Here a pixel takes the place of a
latent: 32x32 images at patch 2 have the paper's 256 tokens. Three things differ from the authors' code: each player's
step draws separate latents, the discriminator is not aligned with a pretrained encoder (without which the paper
reports clearly worse results), and samples are not truncated.

Data without classes need `--config.generator.conditioning=none --config.discriminator.conditioning=none`.
`--config.penalties.stage_consistency.weight=0.1` adds the consistency loss of CAT, from secondary sources.

Expect legible digits in rows of one class after 600 steps of the default run. Digits of one class begin to differ
around step 1,200, but only a little. 600 steps took five minutes on two busy cores. A step of `small` has about five
times as much work, by its tokens and width: 800 steps on Fashion-MNIST take 34 minutes of one core, and give clothes of
the requested classes that differ little within a class. The published sizes are for accelerators: a forward pass of the
generator takes 6 (S) to 118 (XL) billion multiply-adds at 256 tokens, and a step about four such passes and fifteen of
the discriminator.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs

SIZES = {  # depth, width, heads
    'S': (12, 384, 6),
    'B': (12, 768, 12),
    'L': (24, 1024, 16),
    'XL': (28, 1152, 16),
}


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for `DATA,SIZE`: 'cifar10,B', 'cifar10' (size S), 'small' or '' (the embedded digits)."""
    words = argument.split(',')
    size = next((word for word in words if word in SIZES), 'S')
    config = configs.base('gat')
    small = configs.choose_small(config, ','.join(word for word in words if word not in SIZES))
    config.latents.size = 64
    config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'projection'
    config.loss = configs.section('loss', 'relativistic_pairing')
    config.penalties.approximate_r1.weight = config.penalties.approximate_r2.weight = 0.1
    config.augment = configs.section('augment', 'diffaugment')
    config.samples = 100
    if small:
        _set_size(config, *((4, 128, 4, 4) if argument else (4, 96, 2, 4)))
        config.discriminator.deviation = 0.6  # of the pixels of both data sets
        config.augment.policy = ('translation',)
        config.duration = '2500 steps'
        return config

    _set_size(config, *SIZES[size], 2)
    config.discriminator.projection_size = 2048
    config.augment.colour_share, config.augment.flip_share = 0.5, 0.4
    config.batch_size, config.duration = 512, '150000 steps'
    config.ema.half_life_kimg, config.ema.ramp_up = 354.7, 0.0  # 0.999 in each step of 512 images
    config.sample_every = config.checkpoint_every = config.evaluate_every = '5000 steps'
    return config


def _set_size(config: ConfigDict, depth: int, width: int, heads: int, patch: int) -> None:
    """Networks of that size, and the learning rate that goes with their width."""
    for network, optimizer in (
        (config.generator, config.generator_optimizer),
        (config.discriminator, config.discriminator_optimizer),
    ):
        network.depth, network.width, network.heads, network.patch = depth, width, heads, patch
        optimizer.learning_rate = 2e-4 * 768 / network.get_oneway_ref('width').to_float()
        optimizer.b1, optimizer.b2, optimizer.clip_norm = 0.0, 0.99, 1.0
