"""Downloads a TFDS data set and prepares it in the form that gan_jax reads.

    python -m tools.prepare_dataset celeb_a [--data_dir DIR]

Most data sets need TensorFlow for this (pip install -e '.[tensorflow]'); reading them afterwards does not.
"""

import argparse
import sys

from gan_jax.data.tfds_source import download_and_prepare
from gan_jax.errors import UserError


def main() -> None:
    """Parses the command line and prepares the data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name', help='a TFDS name, such as celeb_a, lsun/bedroom or cifar10:3.0.2')
    parser.add_argument('--data_dir', help='where to put it (default: TFDS_DATA_DIR or ~/tensorflow_datasets)')
    arguments = parser.parse_args()
    try:
        print(f'Prepared in {download_and_prepare(arguments.name, arguments.data_dir)}')
    except UserError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
