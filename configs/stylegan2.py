"""StyleGAN2, the published config F.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", https://arxiv.org/abs/1912.04958: modulated
convolutions, a generator that sums an image of each resolution and a residual discriminator, style mixing, R1 (gamma
10) every 16 and path length regularisation every 4 rounds, Adam at 2e-3 with beta1 0 and beta2 0.99.

    python -m gan_jax.main --config stylegan2:folder:/faces --config.data.size=256
    python -m gan_jax.main --config stylegan2:small                # fashion_mnist, for a laptop
    python -m gan_jax.main --config stylegan2:cifar10,small
    python -m gan_jax.main --config stylegan2                      # scikit-learn's digits at 16x16

Expect FID 2.84 for FFHQ at 1024x1024 after its 25 million images: nine days on eight V100 GPUs. With
`--config.dtype=bfloat16` the four highest resolutions are computed in 16 bits; StyleGAN2-ADA's code then clamps those
layers (`--config.generator.clamp=256 --config.discriminator.clamp=256`). `small` has at most 64 channels, two layers of
mapping and 5,000 steps: on fashion_mnist, FID by its classifier falls from 12.5 after 1,000 steps to 3.2, in 18 minutes
on two busy CPU cores. With gamma 0.1 it is 13.2 after 1,000 steps.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'small', or both with a comma (default: the digits)."""
    config = configs.base('stylegan2')
    small = configs.choose_small(config, argument)
    config.loss = configs.section('loss', 'logistic')
    config.penalties.r1.weight = 10.0
    config.penalties.path_length.weight, config.penalties.path_length.shrink = 2.0, 2
    config.lazy.generator, config.lazy.discriminator = 4, 16
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 2e-3, 0.0, 0.99
    config.latents.size = 512
    config.batch_size, config.duration = 32, '25000 kimg'
    config.ema.half_life_kimg, config.ema.ramp_up = 10.0, 0.0
    config.sample_every = config.checkpoint_every = '50 kimg'
    if small:
        config.generator.width = config.discriminator.width = 512
        config.generator.max_width = config.discriminator.max_width = 64
        config.generator.depth, config.generator.w_size, config.latents.size = 2, 64, 64
        config.duration = '5000 steps' if argument else '2000 steps'
        config.ema.ramp_up = 0.05
        config.sample_every = config.checkpoint_every = '500 steps'
    return config
