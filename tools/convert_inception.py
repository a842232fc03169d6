"""Makes the file of Inception's weights that gan_jax reads, from any of the published ones.

    python -m tools.convert_inception FILE [--output FILE]
    python -m tools.convert_inception --download [--output FILE]

FILE is pytorch-fid's or torch-fidelity's .pth (PyTorch is not needed), or TensorFlow's classify_image_graph_def.pb
(with pip install -e '.[tensorflow]').
"""

import argparse
import sys

from gan_jax.errors import UserError
from gan_jax.evaluation.features.inception_weights import convert, download, save_inception_weights


def main() -> None:
    """Parses the command line and makes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('file', nargs='?', help='a published file of the weights')
    source.add_argument('--download', action='store_true', help='fetch the published weights (96 MB) and verify them')
    parser.add_argument('--output', help="where to put them (default: gan_jax's cache, where they are looked for)")
    arguments = parser.parse_args()
    try:
        weights = download() if arguments.download else convert(arguments.file)
        print(f'Weights {weights.sha256[:12]} in {save_inception_weights(weights, arguments.output)}')
    except UserError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
