"""Creative adversarial network: images between the classes.

Elgammal, Liu, Elhoseiny and Mazzone 2017, "CAN: Creative Adversarial Networks, Generating "Art" by Learning About
Styles and Deviating from Style Norms", https://arxiv.org/abs/1706.07068.

The discriminator also learns the classes of real images, by a head with hidden layers of 1024 and 512 units. The
generator's images should pass for real and leave the classes ambiguous. In the paper the classes are styles of
paintings; here they are those of any labelled data, as stand-ins. The networks are those of DCGAN.

    python -m gan_jax.main --config can                  # scikit-learn's digits at 16x16
    python -m gan_jax.main --config can:fashion_mnist    # or mnist, tf_flowers, cifar10

`class_entropy` is the mean entropy, in nats, of the classes that an independent classifier sees in the samples. Read it
together with the FID, because bad images are ambiguous too. Both need the classifier of
`python -m gan_jax.tools.train_classifier NAME`.

Expect digit-like strokes that are mostly not digits, after about three minutes on two CPU cores. With seed 0 the
entropy was 1.40 and the FID 8.9; the same DCGAN without ambiguity had 1.16 and 1.9, and the real digits have 0.58. The
recall of CAN was 0.06 (DCGAN: 0.77): ambiguity costs variety.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan', game='can')
    config.loss.real_label = 0.9  # one-sided label smoothing (Salimans et al. 2016)
    config.duration = '2500 steps'
    configs.choose_data(config, argument)
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """For 1,500 images of 8x8 pixels, as in configs/dcgan.py, and a smaller head."""
    config.latents.size = 32
    config.generator.kernel_size = 5
    config.discriminator.dropout = 0.3
    config.discriminator_optimizer.learning_rate = 1e-4
    config.generator_optimizer.learning_rate = 4e-4
    config.game.head_widths = (128,)
    config.duration = '2000 steps'
