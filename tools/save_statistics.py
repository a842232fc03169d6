"""Writes mean and covariance of the features of images, as pytorch-fid, clean-fid and gan_jax.evaluate read them.

    python -m gan_jax.tools.save_statistics cifar10 cifar10.npz --extractor inception:pytorch-fid
    python -m gan_jax.evaluate generated/ cifar10.npz --metrics fid --extractor inception:pytorch-fid

The file does not say by which extractor it was made: put it into its name. pytorch-fid reads those of
inception:pytorch-fid, clean-fid those of inception:clean, TTUR those of inception.
"""

import argparse
import sys

import jax

from gan_jax.errors import exit_code
from gan_jax.evaluate import load_images
from gan_jax.evaluation.evaluator import IMAGES_PER_DEVICE
from gan_jax.evaluation.features.find import GRAMMAR, find_extractor
from gan_jax.evaluation.gather import gather_dataset
from gan_jax.evaluation.statistics import write_statistics
from gan_jax.records import files
from gan_jax.runtime import parallel


def main(argv: list[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m gan_jax.tools.save_statistics', description=__doc__, allow_abbrev=False
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('images', metavar='IMAGES', help='a directory of images, an .npz or .npy file or NAME[@SPLIT]')
    parser.add_argument('output', metavar='FILE.npz', type=files.user_path)
    parser.add_argument('--extractor', default='auto', help=f'{GRAMMAR} (default: auto)')
    parser.add_argument('--size', type=int, help='size in pixels to resize images of directories and data sets to')
    parser.add_argument('--channels', type=int, choices=(1, 3))
    parser.add_argument('--data_dir', help='directory of TFDS data sets (default: TFDS_DATA_DIR)')
    flags = parser.parse_args(argv)

    def run() -> None:
        parallel.enable_compilation_cache()
        files.check_writable(flags.output)
        options = {'size': flags.size, 'channels': flags.channels, 'data_dir': flags.data_dir}
        images = load_images(flags.images, **options, mixed=True)
        images.check_images()
        extractor = find_extractor(flags.extractor, images.name, images.shape, labelled=images.labels is not None)
        layout = parallel.make_layout(jax.device_count())
        batch_size = IMAGES_PER_DEVICE * len(layout.devices)
        store = gather_dataset(images, extractor, layout, keep=(), batch_size=batch_size)
        write_statistics(flags.output, store.moments)
        print(
            f'Statistics of {len(images)} images by {extractor.name} ({extractor.identity}) written to {flags.output}.'
        )

    return exit_code(run)


if __name__ == '__main__':
    sys.exit(main())
