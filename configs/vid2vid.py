"""vid2vid, clips from clips of label maps.

Wang et al. 2018, "Video-to-Video Synthesis", https://arxiv.org/abs/1808.06601.

A frame is generated from its label map, those of the two previous frames, and these two generated frames: a mask mixes
a new image with the last frame, warped by a flow. One discriminator judges each frame with its map; others judge three
frames that are 1 or 3 frames apart, with their flow. The losses are least squares and feature matching; flow and mask
have their own losses. FlowNet2 is left out. The default data are motion_maps, coloured shapes over still backgrounds,
whose flow is known. The maps contain shape and colour, but not the background.

    python -m gan_jax.main --config vid2vid                              # moving shapes, at 16x16
    python -m gan_jax.main --config vid2vid:clip_maps:/path/to/data      # clips and their maps, at 256x256
    python -m gan_jax.main --config vid2vid --config.generator.past=0 --config.game.time_scales=0   # frame by frame
    python -m gan_jax.main --mode sample --workdir runs/vid2vid-motion_maps
    python -m gan_jax.main --mode eval --workdir runs/vid2vid-motion_maps --metrics warp_error,clip_error

Its pictures show maps, outputs and targets; `--mode sample` also writes films of them. `warp_error` is the difference
of a frame and the previous one, warped by the known flow; `clip_l1` and `clip_psnr` compare outputs with targets.

Expect shapes in their colours after some hundred steps, over invented backgrounds that stay still, with faint trails
behind the shapes. After the 1,500 steps, eight minutes on a share of two CPU cores, `warp_error` was 0.0086 (frame by
frame 0.077, real clips 0.0026). `clip_l1` was 0.124 and `clip_psnr` 16.2 dB (frame by frame 0.135 and 15.4 dB; one
seed). Painting each class in its mean colour gives 0.089 and 19.3 dB, because the maps do not contain the background.
The flow was not learnt yet: its mean absolute error was 0.039 pixels; zero flow has 0.038.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the clips and maps named by `argument` (default: shapes that move over still backgrounds)."""
    config = configs.base('vid2vid', game='vid2vid')
    config.data.name = argument or 'motion_maps'
    config.data.size = 256
    config.generator.width = 128
    config.loss = configs.section('loss', 'mean_squares')
    config.batch_size = 1
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '20 epochs'
    config.schedule = configs.section('schedule', 'linear')
    config.schedule.begin = 0.5
    config.log_every, config.sample_every = '100 steps', '2000 steps'
    config.checkpoint_every = '2000 steps'
    config.samples = 24
    if config.data.name == 'motion_maps':
        _suit_the_motions(config)
    return config


def _suit_the_motions(config: ConfigDict) -> None:
    """Small frames, small networks that learn faster, and the metrics at the end."""
    config.data.size = 16
    config.game.knows_flow, config.game.window = True, 8
    config.generator.width, config.generator.halvings, config.generator.blocks = 16, 1, 2
    config.generator.kernel, config.generator.reach = 3, 1.0
    config.discriminator.width, config.discriminator.depth = 16, 2
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].learning_rate = 1e-3
    config.batch_size = 4
    config.duration, config.sample_every, config.checkpoint_every = '1500 steps', '500 steps', '500 steps'
    config.evaluate, config.evaluate_every = ('warp_error', 'clip_error'), '1500 steps'
    config.evaluation.split, config.evaluation.samples = 'test', 500
