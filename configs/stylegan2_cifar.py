"""StyleGAN2 with adaptive discriminator augmentation, tuned for CIFAR-10.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", https://arxiv.org/abs/2006.06676,
section 4.3 and the authors' `--cfg=cifar`: neither path length regularisation nor style mixing, no residual connections
in the discriminator, two layers of mapping, R1 (gamma 0.01) every 16 rounds, Adam at 2.5e-3 with beta1 0 and beta2
0.99, and an average of the weights with a half-life of 500,000 images.

    python -m gan_jax.main --config stylegan2_cifar:cifar10               # as published, without classes
    python -m gan_jax.main --config stylegan2_cifar:cifar10,conditional   # as published, with classes
    python -m gan_jax.main --config stylegan2_cifar:small                 # fashion_mnist, for a laptop
    python -m gan_jax.main --config stylegan2_cifar                       # scikit-learn's digits at 16x16

Expect FID 2.92 and, with classes, 2.42 at the best checkpoint of 100 million images
(`--config.evaluate=fid --config.checkpoints.best_metric=eval/fid` keeps it; 50,000 samples against the training set).
The authors trained on two GPUs: the minibatch deviation is over groups of 32. They computed in 16 bits; the equivalent
is `--config.dtype=bfloat16 --config.generator.clamp=256 --config.discriminator.clamp=256`.

`small` has at most 64 channels, batches of 32 and 5,000 steps; its probability of augmentation moves ten times as fast
and geometry is sampled bilinearly.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'conditional', 'small', with commas (default: the digits)."""
    config = configs.base('stylegan2')
    parts = argument.split(',')
    small = configs.choose_small(config, ','.join(part for part in parts if part != 'conditional'))
    config.loss = configs.section('loss', 'logistic')
    config.penalties.r1.weight = 0.01
    config.lazy.discriminator = 16
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 2.5e-3, 0.0, 0.99
    config.augment = configs.section('augment', 'ada')
    config.latents.size = 512
    config.generator.depth, config.generator.mixing = 2, 0.0
    config.discriminator.architecture = 'original'
    config.discriminator.minibatch_group = 32
    if 'conditional' in parts:
        config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'projection'
        config.samples = 100
    config.batch_size, config.duration = 64, '100000 kimg'
    config.ema.half_life_kimg, config.ema.ramp_up = 500.0, 0.05
    config.sample_every = config.checkpoint_every = '50 kimg'
    if small:
        config.generator.width = config.discriminator.width = 512
        config.generator.max_width = config.discriminator.max_width = 64
        config.generator.w_size = config.latents.size = 64
        config.generator.embedding_size = config.discriminator.embedding_size = 64
        config.batch_size, config.duration = 32, '5000 steps' if 'small' in parts else '2000 steps'
        config.augment.adjust_kimg, config.augment.resampling = 50.0, 'bilinear'
        config.ema.half_life_kimg = 10.0
        config.sample_every = config.checkpoint_every = '500 steps'
    return config
