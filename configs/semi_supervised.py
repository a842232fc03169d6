"""Semi-supervised GAN: a classifier trained with few labels.

Salimans, Goodfellow, Zaremba, Cheung, Radford and Chen 2016, "Improved Techniques for Training GANs", sections 3.1 and
5.1, https://arxiv.org/abs/1606.03498.

The discriminator has a logit for each class; their log-sum-exp is the logit of being real. It learns from a few
labelled examples, from all examples without their labels, and from generated examples. The generator matches its
features. Its averaged parameters are the classifier. The networks are the published fully connected ones for MNIST,
with weight normalisation and Gaussian noise. With 100 labels of MNIST and 300 epochs the paper has an error of 0.93 %.

    python -m gan_jax.main --config semi_supervised          # the embedded digits, ten labels of each
    python -m gan_jax.main --config semi_supervised:mnist    # the published run
    python -m gan_jax.main --config semi_supervised:mnist --config.data.labels_per_class=100

Terms of the unlabelled images: `--config.game.virtual_adversarial_weight=1` (Miyato et al. 2018), `entropy_weight`, and
`pseudo_label_weight` (Lee 2013).

`class_error` is that of the averaged classifier on the test split; `--mode eval --metrics class_error` recomputes it.

Expect poor samples and a good classifier, the known effect of feature matching.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('semi_supervised', game='semi_supervised')
    config.data.name = argument or 'digits'
    config.data.labels_per_class = 10
    config.latents.distribution = 'uniform'
    config.reference_batch = 500  # from which weight normalisation starts
    for player in ('generator', 'discriminator'):
        config[f'{player}_optimizer'].learning_rate = 3e-3
        config[f'{player}_optimizer'].b1 = 0.5
    config.batch_size = 100
    config.duration = '300 epochs'
    config.ema.half_life_kimg = 693.0  # of a decay of 0.9999 for each batch of 100
    config.ema.ramp_up = 0.0
    config.log_every, config.sample_every, config.checkpoint_every = '600 steps', '6000 steps', '6000 steps'
    config.evaluate, config.evaluate_every, config.evaluation.split = ('class_error',), '6000 steps', 'test'
    config.evaluation.samples = 100
    config.samples = 100
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """1,500 images of 8x8 pixels: small networks, and an average of fewer steps."""
    config.generator.widths = (100, 100)
    config.discriminator.widths = (200, 100, 50, 50, 50)
    config.duration = '100 epochs'
    config.ema.half_life_kimg = 10.0
    config.log_every = '50 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '500 steps'
