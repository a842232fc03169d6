"""f-AnoGAN: detects images of a class that was left out of training.

Schlegl, Seeböck, Waldstein, Langs and Schmidt-Erfurth 2019, "f-AnoGAN: Fast Unsupervised Anomaly Detection with
Generative Adversarial Networks", https://doi.org/10.1016/j.media.2019.01.010.

The first phase trains a WGAN-GP on images of all classes but `data.left_out`. In the second phase an encoder learns to
invert the generator, which no longer changes: the reconstruction should match the image in pixels and in features of
the discriminator. The anomaly score of an image combines both differences.

    python -m gan_jax.main --config anogan                                      # the embedded digits without 0
    python -m gan_jax.main --config anogan:mnist --config.data.left_out=4       # or fashion_mnist
    python -m gan_jax.main --workdir runs/anogan-digits --mode eval --metrics auroc
    python -m gan_jax.main --workdir runs/anogan-digits --mode sample --what anomalies

`auroc` is the probability that an image of a class that was left out has a higher score than another image of the test
split. `auroc_image` is that of the pixels alone, `auroc_neighbour` that of the distance to the nearest training image.
Adam, penalty and five steps of the critic are those of the authors' code, as are RMSProp at 5e-5 and 50,000 steps for
the encoder. Their networks are for 64x64 pixels; here they are the residual ones of WGAN-GP at the size of the images,
with layer norm in the critic and batch norm in the encoder, and fully connected ones for the embedded digits.

Expect reconstructions close to images of the known digits, and an `auroc` of 0.965 for 0 (0.968 by pixels alone) after
half a minute of CPU time. The nearest neighbour in pixels needs no training and has 0.987: experiments/anomaly has all
digits. The runs on larger images have not been made.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('resnet' if argument else 'mlp', game='anogan')
    config.data.name, config.data.left_out = argument or 'digits', '0'
    config.loss = configs.section('loss', 'wasserstein')
    config.penalties.gradient_penalty.weight = 10.0
    config.encoder_optimizer = configs.section('encoder_optimizer', 'rmsprop')
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 1e-4, 0.0, 0.9
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '50000 steps'
    config.evaluate, config.evaluation.split, config.evaluation.samples = ('auroc',), 'test', 100
    steps = (_suit_images if argument else _suit_the_digits)(config)
    first = {'game.name': 'adversarial', 'discriminator_steps': 5, 'duration': f'{steps} steps', 'evaluate': ()}
    configs.grow(config, [first, {}])
    return config


def _suit_images(config: ConfigDict) -> int:
    """The residual networks. Returns the steps of the first phase."""
    config.latents.size = 128
    for role in ('generator', 'discriminator', 'encoder'):
        config[role].width = 128
    config.discriminator.normalization, config.discriminator.pooling = 'layer', 'mean'
    return 50_000


def _suit_the_digits(config: ConfigDict) -> int:
    """1,500 images of 8x8 pixels: fully connected networks and higher rates. Returns the steps of the first phase."""
    config.latents.size = 16
    for role in ('generator', 'discriminator', 'encoder'):
        config[role].widths = (256, 256)
        config[f'{role}_optimizer'].learning_rate = 5e-4
    config.duration, config.evaluate_every = '3000 steps', '1000 steps'
    return 2000
