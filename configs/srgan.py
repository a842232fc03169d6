"""SRGAN, super-resolution of photographs.

Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
https://arxiv.org/abs/1609.04802.

A residual network enlarges images four times. It is trained on crops of 96x96 pixels, 16 at a time, in three phases: a
million updates with the squared error of pixels (SRResNet), a hundred thousand with a discriminator and the squared
error in features of VGG19, and as many at a tenth of the learning rate. The small images are computed from the data by
antialiased bicubic interpolation.

    python -m gan_jax.main --config srgan                            # generated images, without VGG19
    python -m gan_jax.main --config srgan:tf_flowers                 # as published, on flowers of 128x128 pixels
    python -m gan_jax.main --config srgan:folder:/path/to/photos,2   # twice as large
    python -m gan_jax.main --workdir runs/srgan-quarter-leaves --mode sample --what upscale --image photo.png

The published loss needs the weights of VGG19 in a file that you provide (see `gan_jax.content`). With
`--config.game.content=none --config.game.pixels=1` it is the paper's SRGAN-MSE; `--config.game.content=classifier:NAME`
takes a classifier of this project. `--config.generator.family=msrresnet` is the SRResNet of the ESRGAN authors' code.

`--config.evaluate=luma,interpolated,lpips_distance` measures PSNR and SSIM of the luma, those of bicubic interpolation
and of repeated pixels, and LPIPS. Expect a lower PSNR and sharper edges with an adversary; the paper has 28.43 for
bicubic interpolation, 32.05 for SRResNet and 29.40 for SRGAN on Set5. The published runs have not been made.

The default run took a quarter of an hour on a share of two busy CPU cores. The luma of 200 test images had a PSNR of
24.0 after the first phase, whose rate is high, and 25.0 at the end (SSIM 0.708); bicubic interpolation has 24.4 (0.682)
and repeated pixels 23.1 (0.611).
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'DATA' or 'DATA,FACTOR' with the factor 2 or 4 (default: generated images, 4)."""
    config = configs.base('srgan', game='super_resolution')
    configs.choose_small_images(config, argument)
    config.game.crop, config.game.norm = 96, 'squared'
    config.batch_size = 16
    config.generator_optimizer.learning_rate = config.discriminator_optimizer.learning_rate = 1e-5
    config.generator_optimizer.b1 = config.discriminator_optimizer.b1 = 0.9
    config.game.pixels, config.game.content, config.game.content_weight = 0.0, 'vgg19_relu', 0.006
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '100000 steps'
    rates = {'generator_optimizer.learning_rate': 1e-4, 'discriminator_optimizer.learning_rate': 1e-4}
    phases = [
        {'duration': '1000000 steps', 'game.pixels': 1.0, 'game.content': 'none', 'game.adversary': 0.0, **rates},
        {'duration': '100000 steps', **rates},
    ]
    config.log_every, config.sample_every, config.checkpoint_every = '500 steps', '10000 steps', '20000 steps'
    config.checkpoints.keep_last = 12  # with the end of the first phase, for interpolated networks
    config.evaluate, config.evaluate_every = ('luma', 'interpolated'), '20000 steps'
    config.samples = 48
    if not argument:
        phases = _suit_the_leaves(config)
    configs.grow(config, [*phases, {}])
    return config


def _suit_the_leaves(config: ConfigDict) -> list[dict[str, str | float]]:
    """Small networks and crops, and the loss of SRGAN-MSE; returns the phase before the last."""
    config.game.crop = 48
    config.generator.width, config.generator.depth = 32, 4
    config.discriminator.width, config.discriminator.hidden = 16, 128
    config.generator_optimizer.learning_rate = config.discriminator_optimizer.learning_rate = 1e-4
    config.game.pixels, config.game.content = 1.0, 'none'
    config.duration = '500 steps'
    config.log_every = '50 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '250 steps'
    config.evaluation.split = 'test'
    return [{'duration': '1500 steps', 'game.adversary': 0.0, 'generator_optimizer.learning_rate': 1e-3}]
