"""BigGAN-deep: four times as deep as BigGAN, with bottleneck blocks and fewer parameters.

Brock, Donahue and Simonyan 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
https://arxiv.org/abs/1809.11096, appendix B, by the recipe of the first author's BigGAN-PyTorch: spectral norm in both
players, the hinge loss, projection, a class embedding and all latents in every batch norm, attention, and samples of
averaged weights with standing statistics of 16 passes.

    python -m gan_jax.main --config biggan_deep:imagenet2012    # the published recipe, at 128x128
    python -m gan_jax.main --config biggan_deep:cifar10         # the same networks at 32x32
    python -m gan_jax.main --config biggan_deep:small           # fashion_mnist, for a laptop
    python -m gan_jax.main --config biggan_deep:cifar10,small
    python -m gan_jax.main --config biggan_deep                 # scikit-learn's digits at 16x16

ImageNet: batches of 2,048, accumulated over eight parts, attention at 64x64. Expect FID 5.7 at the best checkpoint,
which `--config.evaluate=fid --config.checkpoints.best_metric=eval/fid` keeps: the training collapses in the end. A step
costs 450 TFLOP; the run takes eight days at 100 TFLOP/s. CIFAR-10 and other data are trained as in configs/biggan.py,
without a published figure; `--config.generator.attention='(16,)' --config.discriminator.attention='(16,)'` adds
attention.

`small` has networks of 32 channels and two steps of the discriminator; its 2,500 steps take less than half an hour on
two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'small', or both with a comma (default: the digits)."""
    config = configs.base('biggan_deep')
    is_small = configs.choose_small(config, argument)
    config.loss = configs.section('loss', 'hinge')
    config.generator.conditioning = 'normalization'
    config.discriminator.conditioning = 'projection'
    config.latents.size = 128
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 2e-4, 0.0, 0.999
    config.samples = 100
    config.standing_statistics = 16
    if config.data.name.startswith('imagenet'):
        _suit_imagenet(config)
    else:
        config.batch_size, config.discriminator_steps = 50, 4
        config.duration = '125000 steps'
        config.ema.half_life_kimg = 346.6  # 6,931 steps, as an average of 0.9999 a step has
    if is_small:
        config.generator.width = config.discriminator.width = 8
        config.discriminator_steps = 2
        config.duration = '2500 steps'
        config.ema.half_life_kimg = 10.0
    return config


def _suit_imagenet(config: ConfigDict) -> None:
    """As launch_BigGAN_deep.sh."""
    config.data.size = 128
    config.generator.attention = config.discriminator.attention = (64,)
    config.batch_size, config.accumulate = 2048, 8
    config.generator_optimizer.learning_rate, config.discriminator_optimizer.learning_rate = 1e-4, 4e-4
    config.generator_optimizer.eps = config.discriminator_optimizer.eps = 1e-6
    config.duration = '150000 steps'
    config.ema.half_life_kimg = 14195.0
