"""R3GAN, the published recipe for CIFAR-10 with its schedules.

Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN", https://arxiv.org/abs/2501.05441:
grouped residual networks without normalisation, the relativistic pairing loss, R1 and R2 in every step through the
augmentation, and half-cosine schedules over the first 20 million images: rates 2e-4 to 5e-5, Adam's beta2 0.9 to 0.99,
gamma 0.05 to 0.005, the average's half-life 0 to 5 million images, the probability of augmentation 0 to 0.55. The
discriminator moves first; both images of a pair have the same label.

    python -m gan_jax.main --config r3gan:cifar10                  # as published: FID 1.96
    python -m gan_jax.main --config r3gan:stacked_mnist            # 1,000 modes, KL 0.029
    python -m gan_jax.main --config r3gan:stacked_mnist,small      # with the networks of a laptop
    python -m gan_jax.main --config r3gan:small                    # fashion_mnist on a laptop
    python -m gan_jax.main --config r3gan                          # scikit-learn's digits at 16x16

Expect the published figures only after the published number of images: 250 million of CIFAR-10 (four days on eight L40
GPUs, in bfloat16, `--config.dtype=bfloat16`) and 10 million of Stacked MNIST. The paper computes the penalties in
bfloat16 too; here they are in float32. The small networks and the digits have the same schedules over as many images as
they are trained on; two CPU cores train 100 images a second of the small ones, which have 5,000 steps of 64. On Stacked
MNIST the small networks have ten times the published penalties: after each 1,000 steps 26,000 samples showed 457, 690,
669, 836 and 871 of the 1,000 modes, with a reverse KL of 1.28 at the end. With the published penalties they showed 446,
609, 592 and 479 (one seed, another classifier than the paper's).
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set (default: the digits), 'stacked_mnist', 'small', with commas."""
    config = configs.base('r3gan')
    small = configs.choose_small(config, argument.replace('stacked_mnist', 'stacked:mnist'))
    config.loss = configs.section('loss', 'relativistic_pairing')
    config.latents.size = 64
    for player in ('generator', 'discriminator'):
        config[f'{player}_optimizer'].b1, config[f'{player}_optimizer'].b2 = 0.0, 0.9
    config.ema.half_life_kimg = config.ema.ramp_up = 0.0
    if config.data.name == 'stacked:mnist':
        config.data.size = 32
        config.batch_size, config.duration = 512, '10000 kimg'
        _set_gamma(config, 1.0)
        config.schedules = _schedules('2000 kimg', gamma=0.1, half_life=500)
        if small:
            _set_small(config)
            config.batch_size, config.duration = 64, '5000 steps'
            _set_gamma(config, 10.0)  # for batches an eighth of the published size
            config.schedules = _schedules('5000 steps', gamma=1.0, half_life=20)
        return config

    config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'projection'
    config.samples = 100
    config.augment = configs.section('augment', 'ada')
    config.augment.transforms = ('bgc', 'cutout')
    config.augment.colour_share, config.augment.fixed = 0.5, True
    _set_gamma(config, 0.05)
    if small:
        _set_small(config)
        config.augment.resampling = 'bilinear'  # for a CPU
        if not argument:
            config.generator.blocks = config.discriminator.blocks = (1,)
        config.duration = '5000 steps'
        config.schedules = _schedules('5000 steps', gamma=0.005, half_life=20, probability=0.3, rate=5e-5)
        return config

    config.data.flip = True
    config.batch_size, config.duration = 512, '250000 kimg'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '5000 steps'
    config.schedules = _schedules('20000 kimg', gamma=0.005, half_life=5000, probability=0.55, rate=5e-5)
    return config


def _set_small(config: ConfigDict) -> None:
    config.generator.width = config.discriminator.width = 16
    config.generator.max_width = config.discriminator.max_width = config.discriminator.embedding_size = 64


def _set_gamma(config: ConfigDict, gamma: float) -> None:
    config.penalties.r1.weight = config.penalties.r2.weight = gamma


def _schedules(
    horizon: str, gamma: float, half_life: float, probability: float | None = None, rate: float | None = None
) -> tuple[str, ...]:
    """The published half cosines to these numbers; None: it does not change."""
    players = ('generator', 'discriminator')
    ends = {
        **{f'{player}_optimizer.learning_rate': rate for player in players},
        **{f'{player}_optimizer.b2': 0.99 for player in players},
        'penalties.r1.weight': gamma,
        'penalties.r2.weight': gamma,
        'ema.half_life_kimg': half_life,
        'augment.initial': probability,
    }
    return tuple(f'{key}: cosine to {end} in {horizon}' for key, end in ends.items() if end is not None)
