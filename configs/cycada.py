"""CyCADA, a classifier for a domain without labels: translated images, then features.

Hoffman, Tzeng, Park, Zhu, Isola, Saenko, Efros and Darrell 2018, "CyCADA: Cycle-Consistent Adversarial Domain
Adaptation", https://arxiv.org/abs/1711.03213.

A run has three phases. In the first, networks like CycleGAN's translate between a labelled source domain and the
target, and a classifier, trained on the source at the same time, makes them keep the classes. In the second, a
classifier learns from translated source images. In the third, a discriminator of class logits adapts it to the target's
images (ADDA).

    python -m gan_jax.main --config cycada                           # digits -> digits over computed textures
    python -m gan_jax.main --config cycada:unpaired:mnist,digits     # MNIST -> scikit-learn's digits
    python -m gan_jax.main --config cycada:unpaired:digits,mnist

`class_error` is the error on the target's test split; one minus this error is the accuracy. At the end of the first
phase it is that of learning from the source alone, then that of the pixel stage, then that of both stages.
`--mode eval --metrics class_error` recomputes it. Labels of the target are not used in training; for comparison
`--config.earlier_phases="()" --config.game.stage=classes --config.game.learns_from=target` learns from them.

Learning rates, gates and weights are those of the authors' code for digits, except that both generators have equal
weights; there the loss of the generator of target images counts twice. CycleGAN's replay buffer is left out. Their
networks have 64 channels and 100 epochs of each phase; here both are smaller.

Expect no gain on the included digits: with one seed the accuracy was 0.926 from the source alone, 0.879 after the pixel
stage and 0.889 at the end, seven minutes on a share of two CPU cores. The paper has 0.956 from MNIST to USPS, where the
source alone has 0.822; neither these data nor these networks are the paper's.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the two domains named by `argument` (default: two made of the embedded digits)."""
    config = configs.base('cycada', game='cycada')
    config.data.name = argument or 'unpaired:digits,blended:digits'
    config.data.size, config.data.channels = (32, 1) if argument else (16, 3)
    config.generator.width = config.discriminator.width = 16
    config.generator.blocks = 3
    config.discriminator.receptive_field = 16
    config.loss.name = 'mean_squares'
    config.classifier_optimizer.learning_rate = 1e-3
    for role in ('classifier', 'target_classifier', 'feature_discriminator'):
        config[f'{role}_optimizer'].b1 = 0.9
    config.target_classifier_optimizer.learning_rate = 1e-5
    config.feature_discriminator_optimizer.learning_rate = 1e-5
    config.batch_size = 64
    config.ema.half_life_kimg = 0.0  # as published
    config.earlier_phases = (
        'game.stage=pixels; duration=1500 steps',
        'game.stage=classes; duration=1500 steps; target_classifier_optimizer.learning_rate=0.0001',
    )
    config.game.stage, config.duration, config.fresh_optimizers = 'features', '1000 steps', True
    config.log_every, config.sample_every, config.checkpoint_every = '50 steps', '500 steps', '500 steps'
    config.evaluate, config.evaluate_every, config.evaluation.split = ('class_error',), '500 steps', 'test'
    config.evaluation.samples = 64
    config.samples = 96
    return config
