"""ESRGAN, super-resolution of photographs with more detail.

Wang et al. 2018, "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks",
https://arxiv.org/abs/1809.00219.

A network of residual dense blocks without normalisation enlarges images four times. The first phase minimises the
absolute error of pixels; the second adds a discriminator that compares images with the mean of the opposite kind, and
the absolute error in features of VGG19 before their activation. Crops have 128x128 pixels, 16 at a time, mirrored and
rotated. The weights of the losses are those of the authors' code, but halved, because its pixels are in [0, 1] instead
of [-1, 1], and its adversarial loss is the mean of two parts instead of the sum.

    python -m gan_jax.main --config esrgan                           # generated images, without VGG19
    python -m gan_jax.main --config esrgan:tf_flowers                # as published, on flowers of 128x128 pixels
    python -m gan_jax.main --config esrgan:folder:/path/to/photos,2  # twice as large
    python -m gan_jax.main --workdir runs/esrgan-quarter-leaves --mode sample --what upscale --image photo.png

With `--blend 0.8` the last command takes the paper's network interpolation: 0.8 times the weights, plus 0.2 times those
at the end of the first phase. The published loss needs the weights of VGG19 in a file that you provide (see
`gan_jax.content`). `--config.game.content=none --config.game.pixels=1` uses pixels instead of features, and
`--config.game.content=classifier:NAME` a classifier of this project.

`--config.evaluate=luma,interpolated,lpips_distance` measures PSNR and SSIM of the luma, those of bicubic interpolation
and of repeated pixels, and LPIPS. Expect a lower PSNR and sharper edges with an adversary; the paper has 32.73 on Set5
after its first phase. The published run has not been made. The default run has a PSNR of 25.07 after its first phase
and of 25.28 at the end (SSIM 0.729 and 0.733); bicubic interpolation has 24.41 (0.682). One seed, 200 generated images,
five minutes on a share of two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'DATA' or 'DATA,FACTOR' with the factor 2 or 4 (default: generated images, 4)."""
    config = configs.base('esrgan', game='super_resolution')
    configs.choose_small_images(config, argument)
    config.game.crop, config.game.rotate, config.game.norm = 128, True, 'absolute'
    config.data.flip = True
    config.batch_size = 16
    config.loss = configs.section('loss', 'relativistic_average')
    config.generator_optimizer.learning_rate = config.discriminator_optimizer.learning_rate = 1e-4
    config.generator_optimizer.b1 = config.discriminator_optimizer.b1 = 0.9
    config.game.pixels, config.game.content, config.game.adversary = 0.005, 'vgg19', 0.0025
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '400000 steps'
    pixels = {'game.pixels': 1.0, 'game.content': 'none', 'game.adversary': 0.0}
    config.log_every, config.sample_every, config.checkpoint_every = '500 steps', '10000 steps', '50000 steps'
    config.checkpoints.keep_last = 10  # with the end of the first phase, for interpolated networks
    config.evaluate, config.evaluate_every = ('luma', 'interpolated'), '50000 steps'
    config.samples = 48
    if argument:
        players = ('generator', 'discriminator')
        config.schedules = _halvings(players, 1e-4, (50_000, 100_000, 200_000, 300_000))
        first = _halvings(('generator',), 2e-4, (200_000, 400_000, 600_000, 800_000))
        pixels |= {'duration': '1000000 steps', 'generator_optimizer.learning_rate': 2e-4, 'schedules': first}
    else:
        _suit_the_leaves(config)
        pixels |= {'duration': '1500 steps', 'generator_optimizer.learning_rate': 1e-3}
    configs.grow(config, [pixels, {}])
    return config


def _halvings(players: tuple[str, ...], rate: float, steps: tuple[int, ...]) -> tuple[str, ...]:
    """The schedules that halve the learning rate of some players after each of these steps."""
    begins = ('', *(f' after {step} steps' for step in steps[:-1]))
    lengths = (end - begin for begin, end in zip((0, *steps[:-1]), steps, strict=True))
    jumps = [
        f'jump to {rate / 2**count:g} in {length} steps{begin}'
        for count, (length, begin) in enumerate(zip(lengths, begins, strict=True), 1)
    ]
    return tuple(f'{player}_optimizer.learning_rate: {jump}' for player in players for jump in jumps)


def _suit_the_leaves(config: ConfigDict) -> None:
    """Small networks and crops, and pixels in the place of features."""
    config.game.crop = 32
    config.generator.width, config.generator.growth, config.generator.depth = 32, 16, 2
    config.discriminator.width = 16
    config.game.pixels, config.game.content, config.game.adversary = 1.0, 'none', 0.01
    config.duration = '500 steps'
    config.log_every = '50 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '250 steps'
    config.evaluation.split = 'test'
