"""Converts any of the published files of Inception's weights to gan_jax's file.

    python -m gan_jax.tools.convert_inception FILE [--unverified] [--output FILE]
    python -m gan_jax.tools.convert_inception --download [--output FILE]

FILE is pytorch-fid's or torch-fidelity's .pth (PyTorch is not needed), or TensorFlow's classify_image_graph_def.pb
(with pip install 'gan_jax[tensorflow]'). The .pth is verified by its SHA-256. That of the graph is unknown, so it needs
--unverified, like any other file; the protocol of every value then says that the weights are unverified.
"""

import argparse
import sys
from collections.abc import Sequence

from gan_jax.errors import exit_code
from gan_jax.evaluation.features.inception_weights import convert, download, save_inception_weights, weights_path
from gan_jax.records import files


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('file', nargs='?', help='a published file of the weights')
    source.add_argument(
        '--download', action='store_true', help='download the published weights (96 MB) and verify them'
    )
    parser.add_argument(
        '--output',
        type=files.user_path,
        help="where to write them (default: gan_jax's cache, where they are found automatically)",
    )
    parser.add_argument('--unverified', action='store_true', help='accept a file that is not the published one')
    arguments = parser.parse_args(argv)

    def run() -> None:
        output = arguments.output or weights_path()
        files.check_writable(output)
        weights = download() if arguments.download else convert(arguments.file, arguments.unverified)
        print(
            f'{weights.source} weights {weights.sha256[:12]} in {save_inception_weights(weights, output)}'.capitalize()
        )

    return exit_code(run)


if __name__ == '__main__':
    sys.exit(main())
