"""Downloads a TFDS data set and prepares it in the form that gan_jax reads.

    python -m gan_jax.tools.prepare_dataset celeb_a [--data_dir DIR]

Most data sets need TensorFlow for this (pip install 'gan_jax[tensorflow]'); reading them afterwards does not.
"""

import argparse
import sys
from collections.abc import Sequence

from gan_jax.data.tfds_source import download_and_prepare
from gan_jax.errors import exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name', help='a TFDS name, such as celeb_a, lsun/bedroom or cifar10:3.0.2')
    parser.add_argument('--data_dir', help='directory to write it to (default: TFDS_DATA_DIR or ~/tensorflow_datasets)')
    arguments = parser.parse_args(argv)
    return exit_code(lambda: print(f'Prepared in {download_and_prepare(arguments.name, arguments.data_dir)}'))


if __name__ == '__main__':
    sys.exit(main())
