"""StyleGAN's layout in PyTorch: lernapparat/lernapparat, style_gan, at commit 541b6b1, a port of NVlabs/stylegan."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs

from . import Converted
from .state_dict import (
    Layer,
    StateDict,
    assemble,
    check_filters,
    convolution,
    dense,
    dense_of_images,
    resolutions,
)

Arrays = Mapping[str, np.ndarray]
_MAPPING, _SYNTHESIS, _AVERAGE = 'g_mapping', 'g_synthesis', 'truncation.avg_latent'
_BLUR = (0.25, 0.5, 0.25)
_TRANSPOSED = 128  # from this size on the port doubles images by transposed convolutions, whose kernels are flipped


def networks(generator: Arrays, discriminator: Arrays | None) -> Converted:
    """The networks of StyleGAN's state dicts; without the discriminator's it has the same widths.

    The file may lack the average of w, which is 0 then, so that truncation means nothing. It has no constant noise,
    which is drawn here.

    Raises:
        UserError: the arrays are of another implementation, or a network's filters are not the published ones.
    """
    config, state = configs.base('stylegan'), StateDict(generator, 'generator')
    sizes = resolutions(state, rf'{_SYNTHESIS}\.blocks\.(\d+)x\d+\.epi1\.style_mod\.lin\.weight')
    options = config.generator
    options.widths = tuple(len(state[f'{_SYNTHESIS}.blocks.{size}x{size}.epi1.top_epi.noise.weight']) for size in sizes)
    options.depth = len([name for name in state if re.fullmatch(rf'{_MAPPING}\.dense\d+\.weight', name)])
    options.w_size, config.latents.size = state[f'{_MAPPING}.dense0.weight'].shape
    config.data.size, config.data.channels = sizes[-1], len(state[f'{_SYNTHESIS}.torgb.bias'])
    variables = {'generator': _generator(state, sizes, options)}

    config.discriminator.widths = options.widths
    if discriminator is not None:
        state = StateDict(discriminator, 'discriminator')
        sizes = [4, *resolutions(state, r'(\d+)x\d+\.conv0\.weight')]
        firsts = ['4x4.conv', *(f'{size}x{size}.conv0' for size in sizes[1:])]
        config.discriminator.widths = tuple(len(state[f'{name}.bias']) for name in firsts)
        variables['discriminator'] = _discriminator(state, sizes)
    return Converted(config, variables)


def _generator(state: StateDict, sizes: Sequence[int], options: ConfigDict) -> Layer:
    """The variables of a generator."""
    random = np.random.default_rng(0)
    layers = {f'mapping/layer{i}': dense(state, f'{_MAPPING}.dense{i}') for i in range(options.depth)}
    for stage, size in enumerate(sizes):
        block = f'{_SYNTHESIS}.blocks.{size}x{size}'
        for place, theirs, number in (('first', 'conv0_up', 1), ('second', 'conv1' if stage else 'conv', 2)):
            ours = f'synthesis/stage{stage}_{place}'
            if stage or place == 'second':
                layer = convolution(state, f'{block}.{theirs}')
                bias = layer['params'].pop('bias')
                if place == 'first' and size >= _TRANSPOSED:
                    layer['params']['kernel'] = layer['params']['kernel'][::-1, ::-1]
                layers[f'{ours}/convolution'] = layer
            else:
                bias = state[f'{block}.bias']
            layers[ours] = {'params': {'bias': bias}}
            layers[f'{ours}/style'] = dense(state, f'{block}.epi{number}.style_mod.lin')
            layers[f'{ours}/noise'] = {
                'params': {'strength': state[f'{block}.epi{number}.top_epi.noise.weight']},
                'noise': {'constant': random.normal(size=(size, size)).astype(np.float32)},
            }
    layers['synthesis'] = {'params': {'constant': state[f'{_SYNTHESIS}.blocks.4x4.const'][0].transpose(1, 2, 0)}}
    layers[f'synthesis/image{len(sizes) - 1}'] = convolution(state, f'{_SYNTHESIS}.torgb')
    check_filters(state, r'intermediate\.kernel$', _BLUR)
    variables = assemble(layers)
    average = state[_AVERAGE] if _AVERAGE in state else np.zeros(options.w_size, np.float32)
    variables['styles'] = {'average': average}
    state.check_read()
    return variables


def _discriminator(state: StateDict, sizes: Sequence[int]) -> Layer:
    """The variables of a discriminator."""
    layers = {f'image{len(sizes) - 1}': convolution(state, 'fromrgb')}
    for stage, size in enumerate(sizes[1:], 1):
        layers[f'stage{stage}_first'] = convolution(state, f'{size}x{size}.conv0')
        layers[f'stage{stage}_second'] = convolution(state, f'{size}x{size}.conv1_down')
    layers['stage0_convolution'] = convolution(state, '4x4.conv')
    layers['stage0_dense'] = dense_of_images(state, '4x4.dense0', len(state['4x4.conv.bias']))
    layers['logits'] = dense(state, '4x4.dense1')
    check_filters(state, r'\d\.blur\.kernel$', _BLUR)
    check_filters(state, r'downscale\.blur\.kernel$', (0.5, 0.5))
    state.check_read()
    return assemble(layers)
