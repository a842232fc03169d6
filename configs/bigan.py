"""BiGAN, a GAN with an encoder.

Donahue, Krähenbühl and Darrell 2017, "Adversarial Feature Learning", https://arxiv.org/abs/1605.09782.

A generator makes images from latents, an encoder infers latents from images, and the discriminator tells the two kinds
of pairs apart. At the optimum, generator and encoder invert each other, although no reconstruction error is minimised.
The networks are the published fully connected ones for permutation-invariant MNIST, trained for 400 epochs with a
learning rate that falls to a hundredth over the last 200. As in the authors' code, 2.5e-5 times each weight is added to
its gradient.

    python -m gan_jax.main --config bigan          # the embedded digits
    python -m gan_jax.main --config bigan:mnist    # the published run

With `encoder.code=gaussian` the encoder draws from a normal distribution that it predicts, as in ALI (Dumoulin et al.
2017, "Adversarially Learned Inference", https://arxiv.org/abs/1606.00704):

    python -m gan_jax.main --config bigan --config.encoder.code=gaussian --config.latents.distribution=normal

The pictures show images, their reconstructions and samples. `code_accuracy` is the accuracy of a nearest-neighbour
classifier in the encoder's features on the test split, and `reconstruction` the distance of images and reconstructions;
`--mode eval --metrics code_accuracy,reconstruction` recomputes both. The paper has an accuracy of 97.39 % on MNIST
(table 1).

The digits take half a minute on two CPU cores; their `code_accuracy` was 0.79 after the 3,000 steps and 0.85 at 500.
The published run has not been made in full: 1,500 of its 187,500 steps, with the learning rate falling within them,
took three minutes there and gave 0.943 on MNIST's test images.

Expect reconstructions of the right class more often than of the same image.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('bigan', game='bigan')
    config.data.name = argument or 'digits'
    config.latents.size, config.latents.distribution = 50, 'uniform'
    config.game.decay = 2.5e-5
    config.batch_size = 128
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '400 epochs'
    config.schedule = configs.section('schedule', 'exponential')
    config.schedule.begin = 0.5
    config.log_every, config.sample_every, config.checkpoint_every = '468 steps', '4680 steps', '4680 steps'
    config.evaluate, config.evaluate_every = ('code_accuracy', 'reconstruction'), '9360 steps'
    config.evaluation.split, config.evaluation.samples = 'test', 100
    config.samples = 96
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """1,500 images of 8x8 pixels: small networks and codes, and fewer steps."""
    for role in ('generator', 'discriminator', 'encoder'):
        config[role].widths = (256, 256)
    config.latents.size = 16
    config.duration = '3000 steps'
    config.log_every = '50 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '500 steps'
