"""StyleGAN2 with adaptive discriminator augmentation, for small data sets.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", https://arxiv.org/abs/2006.06676: the
inputs of the discriminator are transformed ('bgc': blitting, geometry, colour) with a probability that rises while the
mean sign of its logits for real images is above 0.6. The settings are those that the authors' code chooses
automatically for eight GPUs ('auto'): batches of 64 at most, gamma 0.0002 size^2 / batch, half of the channels below
512 pixels, two layers of mapping, Adam at 2.5e-3 with beta1 0 and beta2 0.99, R1 every 16 and path length every 4
rounds.

    python -m gan_jax.main --config stylegan2_ada:folder:/faces      # 256x256; or folder:/faces,128 ...
    python -m gan_jax.main --config stylegan2_ada:small              # tf_flowers at 64x64, for a laptop
    python -m gan_jax.main --config stylegan2_ada:cifar10,32,small
    python -m gan_jax.main --config stylegan2_ada                    # scikit-learn's digits at 16x16

Expect FID 4.30 for the 70,000 images of FFHQ at 256x256 after 25 million images, by the authors' settings for that data
(`--config.penalties.r1.weight=1 --config.generator.depth=8 --config.ema.ramp_up=0`), most of a week on eight V100 GPUs.
With `--config.data.flip=True` images are mirrored, which helps for most small data sets.

`small` has at most 64 channels, batches of 32, mirrored images and 10,000 steps, about an hour on two CPU cores; its
probability adapts ten times as fast, because the run is shorter, and geometry is sampled bilinearly, which costs a
fraction on a CPU.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, a size, 'small', with commas between (default: the digits)."""
    config = configs.base('stylegan2')
    parts = argument.split(',')
    sizes = [part for part in parts if part.isdecimal()]
    data = ','.join(part for part in parts if part not in ('small', *sizes))
    small = not data or 'small' in parts
    configs.choose_data(config, data or ('tf_flowers' if 'small' in parts else ''))
    if config.data.name != 'digits':
        config.data.size = int(sizes[0]) if sizes else 64 if small else 256
    size = config.data.size
    config.batch_size = 32 if small else min(64, max(8, 8 * 4096 // size))

    config.loss = configs.section('loss', 'logistic')
    config.penalties.r1.weight = 0.0002 * size**2 / config.batch_size
    config.penalties.path_length.weight, config.penalties.path_length.shrink = 2.0, 2
    config.lazy.generator, config.lazy.discriminator = 4, 16
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 2e-3 if size >= 1024 else 2.5e-3, 0.0, 0.99
    config.augment = configs.section('augment', 'ada')
    config.latents.size = 512
    config.generator.depth = 2
    if size < 512:
        config.generator.width = config.discriminator.width = 16384
    config.ema.half_life_kimg, config.ema.ramp_up = config.batch_size * 10 / 32, 0.05
    config.duration = '25000 kimg'
    config.sample_every = config.checkpoint_every = '50 kimg'
    if small:
        config.generator.width = config.discriminator.width = 1024
        config.generator.max_width = config.discriminator.max_width = 64
        config.generator.w_size = config.latents.size = 64
        config.augment.adjust_kimg, config.augment.resampling = 50.0, 'bilinear'
        config.data.flip = config.data.name != 'digits'
        config.duration = '10000 steps' if argument else '2000 steps'
        config.sample_every = config.checkpoint_every = '500 steps'
    return config
