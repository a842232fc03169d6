"""3D-GAN: solids as voxels, by convolutions in three dimensions.

Wu, Zhang, Xue, Freeman and Tenenbaum 2016, "Learning a Probabilistic Latent Space of Object Shapes via 3D
Generative-Adversarial Modeling", https://arxiv.org/abs/1610.07584.

DCGAN's networks with convolutions of 4x4x4. The generator learns at 2.5e-3 and the discriminator at 1e-5. The
discriminator also skips its step while its accuracy on the batch is above 80 % (section 3.2).

    python -m gan_jax.main --config voxelgan                   # furniture of 32^3 voxels, quarter of the width
    python -m gan_jax.main --config voxelgan:furniture         # the published networks at 64^3

The published data, ModelNet, need a download; furniture is a set of tables, chairs, lamps and mugs that is computed.
`--mode sample` writes pictures, a film of the solids turning, and the surfaces as `.obj` files.

Expect rough lamps, tables, chairs and mugs after the 1,500 steps, which take a quarter of an hour on a free CPU core.
`python -m gan_jax.evaluate RUN --metrics solids --num 1000` gave 0.924 of the voxels in one piece, a symmetry of 0.41,
a best match of 0.40 by intersection over union, and a coverage of 0.11 (one seed). A thousand training solids against a
thousand others have 1, 0.79, 0.83 and 0.58. The small networks have other learning rates, because at the published ones
the discriminator hardly learned and lost from the start.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'furniture' at the published size, or '' for a laptop."""
    config = configs.base('voxelgan')
    config.data.name = argument or 'furniture'
    config.latents.size, config.latents.distribution = 200, 'uniform'
    config.generator_optimizer.learning_rate, config.discriminator_optimizer.learning_rate = 2.5e-3, 1e-5
    config.balance.measure = 'accuracy'
    if argument:
        config.data.size, config.batch_size, config.duration = 64, 100, '20000 steps'
        return config
    config.data.size, config.batch_size = 32, 32
    config.generator.width = config.discriminator.width = 16
    config.latents.size = 64
    config.generator_optimizer.learning_rate, config.discriminator_optimizer.learning_rate = 1e-3, 2e-4
    config.duration = '1500 steps'
    return config
