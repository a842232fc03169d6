"""Makes the weights of LPIPS for gan_jax from the published files, without PyTorch.

    python -m tools.convert_lpips vgg16-397923af.pth vgg.pth [--network vgg16] [--output FILE]

The first is torchvision's (https://download.pytorch.org/models/vgg16-397923af.pth, or alexnet-owt-7be5be79.pth); the
second is weights/v0.1/vgg.pth (or alex.pth) of the lpips package on PyPI or of its repository,
https://github.com/richzhang/PerceptualSimilarity. Both are verified by their SHA-256.
"""

import argparse
import hashlib
import pathlib
import sys

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features.torch_file import read_torch_file
from gan_jax.evaluation.features.vgg import TRUNKS
from gan_jax.evaluation.lpips import check_weights, default_path, save_weights, weight_shapes

# How the SHA-256 of the published files begin: torchvision's have it in their names; lpips 0.1.4 was hashed.
PUBLISHED = {
    'vgg16': ('397923af', 'a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868'),
    'alexnet': ('7be5be79', 'df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0'),
}


def convert(
    trunk_path: pathlib.Path, lin_path: pathlib.Path, output: pathlib.Path, network: str, unverified: bool = False
) -> None:
    """Converts the two files into one.

    Args:
        trunk_path: torchvision's weights; its classifier's layers are dropped.
        lin_path: the linear layers' weights.
        output: the .npz to write.
        network: a name in `TRUNKS`.
        unverified: whether files that are not the published ones are taken; the identity of the distance says so.

    Raises:
        UserError: a file cannot be read, is not the published one or is of another network.
    """
    weights = {}
    for path, wanted in zip((trunk_path, lin_path), PUBLISHED[network], strict=True):
        if not path.is_file():
            raise UserError(f'{path} does not exist; see tools/convert_lpips.py for where the files are published.')
        with open(path, 'rb') as file:
            found = hashlib.file_digest(file, 'sha256').hexdigest()
        if not unverified and not found.startswith(wanted):
            raise UserError(
                f'{path} is not the published file for {network}: its SHA-256 is {found}, which should begin with '
                f'{wanted[:16]}; get it again, or pass --unverified to take it as it is.'
            )
        weights |= read_torch_file(path)
    shapes = weight_shapes(TRUNKS[network])
    weights = {name: np.asarray(array, np.float32) for name, array in weights.items() if name in shapes}
    check_weights(weights, TRUNKS[network], trunk_path)
    save_weights(output, weights, 'unverified' if unverified else 'published')


def main() -> None:
    """Parses the command line and converts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('trunk', type=pathlib.Path, help="torchvision's weights of the network")
    parser.add_argument('lin', type=pathlib.Path, help='the linear weights of LPIPS, version 0.1')
    parser.add_argument('--network', choices=list(TRUNKS), default='vgg16')
    parser.add_argument('--output', type=pathlib.Path, help='the .npz to write (default: in the cache directory)')
    parser.add_argument('--unverified', action='store_true', help='take files that are not the published ones')
    arguments = parser.parse_args()
    output = arguments.output or default_path(arguments.network)
    try:
        convert(arguments.trunk, arguments.lin, output, arguments.network, arguments.unverified)
    except UserError as error:
        sys.exit(f'error: {error}')
    print(f'Wrote {output}')


if __name__ == '__main__':
    main()
