"""DANN, a classifier for a domain without labels.

Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand and Lempitsky 2016, "Domain-Adversarial Training of
Neural Networks", https://arxiv.org/abs/1505.07818.

A classifier learns the classes of a labelled source domain. A second network, the discriminator, tells the domains
apart by the classifier's features. Its gradient is reversed before it reaches these features, so that they become alike
in both domains. Networks, the learning rate 0.01 / (1 + 10 p)^0.75, the momentum and the ramp of lambda are the
published ones for MNIST; p is the completed share of the training. Images have the range [-1, 1] in both domains; the
authors subtract the mean.

    python -m gan_jax.main --config dann                       # digits -> digits over computed textures
    python -m gan_jax.main --config dann:mnist+tf_flowers      # MNIST -> MNIST over patches of flowers
    python -m gan_jax.main --config dann:unpaired:SOURCE,TARGET

`game.learns_from=source` and `target` train the same classifier on the labels of one domain alone, the lower and the
upper limit. `class_error` is that of the classifier on the target's test split, after the last step; one minus this
error is the accuracy. `--mode eval --metrics class_error` recomputes it. Labels of the target are not used in training.

The pictures show images of both domains, each with the gradient of the probability of its class.

Expect no gain on the included digits, which are few: with one seed and 1,500 steps, the accuracy on the target was 0.88
from the source alone, and with DANN 0.86 after 500 steps and 0.75 at the end.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data of `argument`: SOURCE+PATCHES, or two domains (default: the embedded digits)."""
    config = configs.base('dann', game='dann')
    name = argument or 'digits'
    config.data.name = name if name.startswith('unpaired:') else f'unpaired:{name.partition("+")[0]},blended:{name}'
    config.data.channels = 3
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'] = configs.section(f'{role}_optimizer', 'sgd')
        config[f'{role}_optimizer'].learning_rate, config[f'{role}_optimizer'].momentum = 0.01, 0.9
    config.schedule = configs.section('schedule', 'inverse')
    config.ema.half_life_kimg = 0.0  # as published
    config.batch_size = 64  # of each domain
    config.duration = '8600 steps'
    config.log_every, config.sample_every, config.checkpoint_every = '100 steps', '2000 steps', '2000 steps'
    config.evaluate, config.evaluate_every, config.evaluation.split = ('class_error',), '2000 steps', 'test'
    config.evaluation.samples = 64
    config.samples = 96
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """1,500 images of 8x8 pixels, enlarged, and fewer steps."""
    config.data.size = 16
    config.duration = '3000 steps'
    config.log_every = '50 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '1000 steps'
