"""Converts weights of a published implementation to a run's directory, without PyTorch and without executing pickles.

    python -m gan_jax.tools.convert_weights mimicry --generator G.pth --discriminator D.pth --out runs/published
    python -m gan_jax.tools.convert_weights network.pkl --out runs/published    # both networks of a StyleGAN2
    python -m gan_jax.main --mode sample --workdir runs/published

The files are state dicts of PyTorch (.pth, .pt), or the same arrays by the same names (.npz). The layouts are the
modules of tools/weights. A pickle is that of stylegan2-ada-pytorch, or of TensorFlow by StyleGAN2 (config E or F) or
StyleGAN2-ADA.
"""

import argparse
import hashlib
import importlib
import os
import pathlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import build
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluation.features.torch_file import read_torch_file
from gan_jax.game import GanState
from gan_jax.layers.choices import choose
from gan_jax.records import files, npz
from gan_jax.runtime.checkpoint import Checkpoints, package_versions
from gan_jax.sampling.trained import is_run
from gan_jax.training import run

from . import network_pickle, weights
from .weights import Converted, stylegan2

LAYOUTS = sorted(name for _, name, _ in pkgutil.iter_modules(weights.__path__) if name != 'state_dict')
_ENTRIES = {  # of checkpoints, under which a state dict lies
    'generator': ('model_state_dict', 'state_dict', 'G_ema'),
    'discriminator': ('model_state_dict', 'state_dict', 'D'),
}


def convert(
    layout: str,
    generator: pathlib.Path | None,
    discriminator: pathlib.Path | None,
    out: pathlib.Path,
    data: str | None = None,
) -> None:
    """Writes the run's directory.

    Args:
        layout: a name in `LAYOUTS`, or the file of a pickle of StyleGAN2, which has both networks.
        generator: the file of its weights; None with a pickle.
        discriminator: the file of its weights; None: those of the pickle, else a new one of random weights.
        out: the directory.
        data: the name of the data that the networks were trained on; None: the layout's guess.

    Raises:
        UserError: a file cannot be read or is of another layout, or the directory holds a run or the rest of
            one, or its path is not text.
    """
    files.check_text(out)
    if is_run(out):
        raise UserError(f'{out} already contains a run: choose another --out.')
    if (out / 'checkpoints').exists():  # whose weights would stay
        raise UserError(
            f'{out}/checkpoints is left of a run or a conversion that was stopped: remove it, then try again.'
        )
    if layout.endswith('.pkl'):
        paths = {'networks': files.user_path(layout)}
        if generator or discriminator:
            raise UserError(f'{layout} contains both networks: omit --generator and --discriminator.')
        layout, converted = 'stylegan2', _convert_pickle(paths['networks'])
    else:
        choose(dict.fromkeys(LAYOUTS), layout, 'layout of weights')
        if generator is None:
            raise UserError(f'The layout {layout} needs --generator, the file of its weights.')
        paths = {'generator': generator} | ({'discriminator': discriminator} if discriminator else {})
        arrays = {role: read_weights(path, _ENTRIES[role]) for role, path in paths.items()}
        module = importlib.import_module(f'{weights.__name__}.{layout}')
        converted = module.networks(arrays['generator'], arrays.get('discriminator'))
    config, sources = converted.config, {role: _source(path) for role, path in paths.items()}
    if data is not None:
        config.data.name = data
    configs.check(config)
    state = fill(converted, example_shape(config))
    run.write_json(out / 'config.json', json_values.to_json(config))
    with Checkpoints(out / 'checkpoints') as checkpoints:
        checkpoints.save(0, state, config=json_values.to_json(config))
    facts = {
        'name': config.data.name,
        'split': config.data.split,
        'shape': example_shape(config),
        'classes': converted.num_classes,
    }
    run.write_json(
        out / 'run.json',
        {'data': facts, 'versions': package_versions(), 'converted': {'layout': layout, 'files': sources}},
    )


def _convert_pickle(path: pathlib.Path) -> Converted:
    found = network_pickle.read_networks(path)
    for network in found.values():
        _check_size(path, network.arrays)
    return stylegan2.networks_of_pickle(found)


def read_weights(path: pathlib.Path, entries: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of a file by name, in a PyTorch file possibly under one of these entries.

    Raises:
        UserError: it cannot be read, or is of another kind.
    """
    if path.suffix in ('.pth', '.pt'):
        arrays = read_torch_file(path, entries)
    elif path.suffix == '.npz':
        try:
            arrays = npz.load(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, 'strerror', None) or error
            raise UserError(f'{path} cannot be read as a NumPy archive ({reason}).') from error
    else:
        raise UserError(f'{path} is neither a .pth, a .pt nor a .npz: give a state dict in one of these files.')
    _check_size(path, arrays)
    return arrays


def _check_size(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    if sum(array.nbytes for array in arrays.values()) > os.path.getsize(path):
        raise UserError(f'{path} has tensors that are larger than the file: it is not a state dict of a network.')


def example_shape(config: ConfigDict) -> tuple[int, int, int]:
    """(H, W, C) of the images that a converted config is for."""
    return config.data.size, config.data.size, config.data.channels


def fill(converted: Converted, shape: tuple[int, int, int]) -> GanState:
    """The state before the first step, with the converted networks in it and in their averages.

    Raises:
        UserError: the weights do not fit the networks of the config.
    """
    config = converted.config
    state = build.init_state(config, build.make_game(config, shape, num_classes=converted.num_classes))
    for role, variables in converted.variables.items():
        player = state.players[role]
        kept = {name: tree for name, tree in variables.items() if name != 'params'}
        _check_fits(role, {'params': player.params, **player.variables}, variables)
        networks = jax.tree.map(np.float32, (variables['params'], kept))
        state = state.with_player(
            role, params=networks[0], variables=networks[1], ema=None if player.ema is None else networks
        )
    return state


def _check_fits(role: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raises a UserError for the first place at which two networks' variables differ in shape."""
    theirs, ours = (
        {jax.tree_util.keystr(path, simple=True, separator='/'): np.shape(leaf) for path, leaf in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, (found, wanted))
    )
    for place in sorted(theirs.keys() | ours.keys()):
        if theirs.get(place) != ours.get(place):
            raise UserError(
                f'The weights of the {role} do not fit its network: {place} has the shape {theirs.get(place, "none")}, '
                f'not {ours.get(place, "none")}.'
            )


def _source(path: pathlib.Path) -> dict[str, str]:
    return {'name': path.name, 'sha256': hashlib.sha256(path.read_bytes()).hexdigest()}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'layout',
        metavar='LAYOUT',
        help=f'the implementation of the weights ({", ".join(LAYOUTS)}), or a pickle of both networks',
    )
    parser.add_argument('--generator', type=files.user_path, metavar='FILE')
    parser.add_argument('--discriminator', type=files.user_path, metavar='FILE', help='(default: random weights)')
    parser.add_argument('--out', type=files.user_path, required=True, metavar='DIRECTORY', help='of the run')
    parser.add_argument(
        '--data', metavar='NAME', help='the data that the networks were trained on (default: chosen by size)'
    )
    arguments = parser.parse_args(argv)

    def run() -> None:
        convert(**vars(arguments))
        print(f'Wrote {arguments.out}')

    return exit_code(run)


if __name__ == '__main__':
    sys.exit(main())
