"""Fully connected GAN.

Goodfellow et al. 2014, "Generative Adversarial Nets", https://arxiv.org/abs/1406.2661, in its common modern
form: a generator 100-256-512-1024-784 against a discriminator 784-1024-512-256-1, LeakyReLU 0.2,
Adam at 2e-4 with beta1 0.5, batches of 128.

    python -m gan_jax.main --config mlp:mnist
    python -m gan_jax.main --config mlp            # scikit-learn's digits at 16x16
    python -m gan_jax.main --config mlp:mnist --config.generator.widths='(128,256,512)' \
        --config.generator.normalization=batch                # the batch-normalised variant

Expect clear digits from the embedded data after three minutes on two CPU cores, with 0, 3, 5 and 9 much more often than
1, 4 and 7: part of the collapse this game is known for.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('mlp')
    configs.choose_data(config, argument)
    config.batch_size = 128
    config.discriminator.dropout = 0.3
    config.duration = '6000 steps'
    config.log_every = '100 steps'
    config.sample_every = config.checkpoint_every = '1000 steps'
    return config
