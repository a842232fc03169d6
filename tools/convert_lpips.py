"""Makes the weights of LPIPS for gan_jax from the published files, without PyTorch.

    python -m gan_jax.tools.convert_lpips vgg16-397923af.pth vgg.pth [--network vgg16] [--output FILE]

The first is torchvision's (https://download.pytorch.org/models/vgg16-397923af.pth, or alexnet-owt-7be5be79.pth); the
second is weights/v0.1/vgg.pth (or alex.pth) of the lpips package on PyPI or of its repository,
https://github.com/richzhang/PerceptualSimilarity. Both are verified by their SHA-256; other files need --unverified.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from gan_jax.errors import exit_code
from gan_jax.evaluation.features.published import PUBLISHED, UNVERIFIED, verify
from gan_jax.evaluation.features.torch_file import read_torch_file
from gan_jax.evaluation.features.vgg import TRUNKS
from gan_jax.evaluation.lpips import check_weights, default_path, save_weights, weight_shapes
from gan_jax.records import files

# The SHA-256 of the published files: torchvision's, whose names begin with it, and those of lpips 0.1.4.
SHA256 = {
    'vgg16': (
        '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0',
        'a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868',
    ),
    'alexnet': (
        '7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02',
        'df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0',
    ),
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
        unverified: whether files that are not the published ones are accepted; the identity of the distance says so.

    Raises:
        UserError: a file cannot be read, is not the published one or is of another network.
    """
    weights, sources = {}, set()
    for path, sha256, what in zip((trunk_path, lin_path), SHA256[network], ('trunk', 'linear layers'), strict=True):
        sources.add(verify(path, sha256, f'the {what} of LPIPS with {network}', unverified))
        weights |= read_torch_file(path)
    shapes = weight_shapes(TRUNKS[network])
    weights = {name: array for name, array in weights.items() if name in shapes}
    check_weights(weights, TRUNKS[network], trunk_path)
    weights = {name: np.asarray(array, np.float32) for name, array in weights.items()}
    save_weights(output, weights, PUBLISHED if sources == {PUBLISHED} else UNVERIFIED)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('trunk', type=files.user_path, help="torchvision's weights of the network")
    parser.add_argument('lin', type=files.user_path, help='the linear weights of LPIPS, version 0.1')
    parser.add_argument('--network', choices=list(TRUNKS), default='vgg16')
    parser.add_argument('--output', type=files.user_path, help='the .npz to write (default: in the cache directory)')
    parser.add_argument('--unverified', action='store_true', help='accept files that are not the published ones')
    arguments = parser.parse_args(argv)
    output = arguments.output or default_path(arguments.network)

    def run() -> None:
        files.check_writable(output)
        convert(arguments.trunk, arguments.lin, output, arguments.network, arguments.unverified)
        print(f'Wrote {output}')

    return exit_code(run)


if __name__ == '__main__':
    sys.exit(main())
