"""InfoGAN: categories and continuous properties of images, learnt without labels.

Chen, Duan, Houthooft, Schulman, Sutskever and Abbeel 2016, "InfoGAN: Interpretable Representation Learning by
Information Maximizing Generative Adversarial Nets", https://arxiv.org/abs/1606.03657.

Some components of the latents are codes: one of ten categories, and two numbers from -1 to 1. A head of the
discriminator recognises them in the generated images, and both players maximise the information that the images contain
about the codes. Networks, learning rates and 5,000 steps are those of the authors' code for MNIST.

    python -m gan_jax.main --config infogan           # scikit-learn's digits at 16x16
    python -m gan_jax.main --config infogan:mnist     # the published run
    python -m gan_jax.main --workdir runs/infogan-mnist --mode sample --what codes

`class_error` is that of the recognised category on the test split, with each category assigned to a class; the paper
has 5 % on MNIST. `--mode eval --metrics class_error` recomputes it. The rows of sample grids are the categories.

Expect rows of one or two digits each, after about two minutes on two CPU cores: with two seeds the error on the
embedded digits was 0.36 and 0.20. The published run had an error of 0.120 on MNIST (one seed, 48 minutes of one CPU
core): two categories share fours and nines, and all other errors are 3.3 % of the images.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('infogan', game='infogan')
    config.latents.size = 74  # 62 of noise, and 12 of codes
    config.latents.distribution = 'uniform'
    config.generator_optimizer.learning_rate = 1e-3
    config.discriminator_optimizer.learning_rate = 2e-4
    config.batch_size = 128
    config.duration = '5000 steps'
    config.samples = 100
    config.evaluate, config.evaluate_every, config.evaluation.split = ('class_error',), '1000 steps', 'test'
    config.evaluation.samples = 100
    configs.choose_data(config, argument)
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """1,500 images of 8x8 pixels: narrower networks, fewer steps, and less in the latents beside the categories."""
    config.generator.hidden = config.discriminator.hidden = 256
    config.generator.width = config.discriminator.width = 32
    config.latents.size = 20
    config.game.continuous_weight = 0.1
    config.duration = '1500 steps'
    config.evaluate_every = '500 steps'
