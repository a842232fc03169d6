"""BigGAN: large residual networks with the class in every batch norm, and large batches.

Brock, Donahue and Simonyan 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
https://arxiv.org/abs/1809.11096, by the recipes of the first author's BigGAN-PyTorch: spectral norm in both players,
the hinge loss, projection, and samples of averaged weights with standing statistics of 16 passes.

    python -m gan_jax.main --config biggan:cifar10         # the published recipe for CIFAR-10
    python -m gan_jax.main --config biggan:imagenet2012    # the published recipe for ImageNet at 128x128
    python -m gan_jax.main --config biggan:small           # fashion_mnist, for a laptop
    python -m gan_jax.main --config biggan:cifar10,small
    python -m gan_jax.main --config biggan                 # scikit-learn's digits at 16x16

CIFAR-10: each batch norm has its own class embedding, latents enter at the base only, no attention; batches of 50, and
four discriminator steps for each of the 125,000 generator steps. Expect FID 14.7 and Inception Score 9.2, the paper's
figures. A step costs 4 TFLOP; the run takes 14 hours at 10 TFLOP/s. Other data follow this recipe.

ImageNet: a shared class embedding, latents in every block, attention at 64x64; batches of 2,048, accumulated over eight
parts. Expect FID 8.7 at the best checkpoint, which `--config.evaluate=fid --config.checkpoints.best_metric=eval/fid`
keeps: the training collapses in the end, as published. A step costs 700 TFLOP; the run takes twelve days at 100
TFLOP/s. The paper's orthogonal regularisation, for truncated samples, is
`--config.penalties.orthogonal.generator_weight=1e-4`.

`small` has networks of 32 channels and two steps of the discriminator; its 2,500 steps take less than half an hour on
two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'small', or both with a comma (default: the digits)."""
    config = configs.base('biggan')
    is_small = configs.choose_small(config, argument)
    config.loss = configs.section('loss', 'hinge')
    config.generator.conditioning = 'normalization'
    config.discriminator.conditioning = 'projection'
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 2e-4, 0.0, 0.999
    config.samples = 100
    config.standing_statistics = 16
    if config.data.name.startswith('imagenet'):
        _suit_imagenet(config)
    else:  # launch_cifar_ema.sh; an average of 0.9999 a step has a half-life of 6,931 steps
        config.latents.size = 128
        config.generator.shared_size, config.generator.hierarchical = 0, False
        config.generator.initializer = config.discriminator.initializer = 'normal'
        config.batch_size, config.discriminator_steps = 50, 4
        config.duration = '125000 steps'
        config.ema.half_life_kimg = 346.6
    if is_small:
        config.generator.width = config.discriminator.width = 8
        config.discriminator_steps = 2
        config.duration = '2500 steps'
        config.ema.half_life_kimg = 10.0
    return config


def _suit_imagenet(config: ConfigDict) -> None:
    """As launch_BigGAN_bs256x8.sh."""
    config.data.size = 128
    config.latents.size = 120
    config.generator.width = config.discriminator.width = 96
    config.generator.attention = config.discriminator.attention = (64,)
    config.batch_size, config.accumulate = 2048, 8
    config.generator_optimizer.learning_rate, config.discriminator_optimizer.learning_rate = 1e-4, 4e-4
    config.generator_optimizer.eps = config.discriminator_optimizer.eps = 1e-6
    config.duration = '150000 steps'
    config.ema.half_life_kimg = 14195.0
