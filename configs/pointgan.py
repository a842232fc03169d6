"""l-GAN and r-GAN, point clouds by a generator of an autoencoder's codes, or directly.

Achlioptas, Diamanti, Mitliagkas and Guibas 2018, "Learning Representations and Generative Models for 3D Point Clouds",
https://arxiv.org/abs/1707.02392.

l-GAN has two phases: an autoencoder with the Chamfer distance, then WGAN-GP on the codes of its encoder. r-GAN is
WGAN-GP on the clouds themselves. The authors also use the usual GAN loss; see `discriminator.slope`. Adam has a beta1
of 0.5 in all of them; the authors' autoencoder has 0.9.

    python -m gan_jax.main --config pointgan                         # l-GAN, furniture of 512 points
    python -m gan_jax.main --config pointgan:raw                     # r-GAN, 256 points
    python -m gan_jax.main --config pointgan:furniture_points        # the published networks, 2,048 points; or ...,raw
    python -m gan_jax.main --config pointgan:folder:/path/to/clouds  # .ply or .npy files of one number of points

The published data, ShapeNet, need a download; furniture_points is a set of tables, chairs, lamps and mugs that is
computed. `--mode sample` writes pictures, films of the clouds turning, and `.ply` and `.npy` files. `clouds` compares
200 clouds of the test split with as many generated ones, and with as many training clouds: values that end in `_train`,
which are the best that can be expected. `--mode eval --metrics clouds_emd` does so by the earth mover's distance.

Expect rough but recognisable tables, lamps and mugs, and few chairs, from the default run of l-GAN, which takes about
six minutes of CPU time. With seed 0 (in brackets: training clouds): `clouds_mmd` 0.0030 (0.0021), `clouds_coverage`
0.455 (0.62), `clouds_1nna` 0.945 (0.46; 0.5 is best) and `clouds_jsd` 0.076 (0.042). r-GAN takes seven minutes of one
core and makes rough tables, chairs and lamps of few kinds, with scattered points: 0.0075 (0.0037), 0.12 (0.585), 1.0
(0.48) and 0.39 (0.068) with seed 0. The published runs have not been made.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'DATA' or 'DATA,raw' at the published size, or '' or 'raw' for a laptop."""
    names = argument.split(',')
    raw = 'raw' in names
    data = ','.join(name for name in names if name != 'raw')
    config = configs.base('pointgan') if raw else configs.base('latent_pointgan', game='latent_gan')
    config.data.name = data or 'furniture_points'
    config.latents.size, config.batch_size = 128, 50
    config.loss = configs.section('loss', 'wasserstein')
    config.penalties.gradient_penalty.weight = 10.0
    config.discriminator_steps = 5
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1 = 1e-4, 0.5
    if raw:
        config.discriminator.slope = 0.0
    config.duration = '100000 steps'
    config.evaluate, config.evaluation.samples = ('clouds',), 200
    if config.data.name == 'furniture_points':
        config.evaluation.split = 'test'
    if not data:
        _suit_a_laptop(config, raw)
    if not raw:
        config.fresh_optimizers = True
        first = {'game.stage': 'autoencoder', 'generator_optimizer.learning_rate': 5e-4, 'evaluate': ()}
        configs.grow(config, [first | {'duration': '40000 steps' if data else '1000 steps'}, {}])
    return config


def _suit_a_laptop(config: ConfigDict, raw: bool) -> None:
    """512 or 256 points, narrow layers of each point, and higher rates."""
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate = 5e-4
    if raw:
        config.data.size = 256
        config.discriminator.widths = (32, 64, 128)
        config.duration = '1000 steps'
    else:
        config.data.size = 512
        config.generator.encoder_widths = (32, 64, 64, 128, 64)
        config.duration = '2000 steps'
