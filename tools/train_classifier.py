"""Trains a small classifier of a data set; its features and logits are used to evaluate generators of this data.

    python -m gan_jax.tools.train_classifier mnist [--full] [--seed 0] [--data_dir DIR] [--output FILE.npz]

It goes into the cache, where the evaluation finds it, unless --output names another file. Any labelled data set will
do. The default recipes take minutes on two CPU cores, digits seconds; --full is wider and longer, for a GPU.
"""

import argparse
import functools
import pathlib
import sys
import time
from collections.abc import Callable, Sequence

from gan_jax import data
from gan_jax.data.dataset import Dataset
from gan_jax.errors import MissingSplitError, UserError, exit_code
from gan_jax.evaluation.features.classifier import classifier_path, save_classifier, weights_hash
from gan_jax.evaluation.features.classifier_training import find_recipe, train_classifier
from gan_jax.records import files
from gan_jax.runtime import parallel


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name', help='digits, mnist, ..., folder:/path, or another labelled data set')
    parser.add_argument('--split', default='train', help='to train on')
    parser.add_argument('--test_split', help="split to test on (default: 'test'; if there is none, every tenth image)")
    parser.add_argument('--size', type=int, help="height and width to resize the images to (default: the data's own)")
    parser.add_argument('--channels', type=int, help="1 or 3 (default: the data's own)")
    parser.add_argument('--full', action='store_true', help='use the recipe for a GPU')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--data_dir', help='directory of TFDS data sets (default: TFDS_DATA_DIR or ~/tensorflow_datasets)'
    )
    parser.add_argument('--output', type=files.user_path, help='the .npz file to write (default: in the cache)')
    arguments = parser.parse_args(argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Trains and saves a classifier, and prints its accuracy."""
    options = {'size': arguments.size, 'channels': arguments.channels}
    load = functools.partial(data.load, arguments.name, data_dir=arguments.data_dir, **options)
    path = pathlib.Path(arguments.output or classifier_path(arguments.name, **options))
    if path.suffix != '.npz':
        raise UserError(f'--output is {arguments.output}: name a file *.npz.')
    files.check_writable(path)
    train = load(split=arguments.split)
    test = load(split=arguments.test_split) if arguments.test_split else _test_images(load, arguments.name)
    recipe, start = find_recipe(arguments.name, arguments.full), time.monotonic()
    print(f'{recipe}', flush=True)

    def report(epoch: int, loss: float, right: float) -> None:
        seconds = time.monotonic() - start
        print(
            f'epoch {epoch} of {recipe.epochs}: loss {loss:.4f}, {right:.2%} right in training, {seconds:.0f} s',
            flush=True,
        )

    trained = train_classifier(train, test, recipe=recipe, seed=arguments.seed, report=report)
    save_classifier(trained, path)
    print(f'{trained.accuracy:.2%} right of {trained.tested_on}, weights {weights_hash(trained.variables)}: {path}')


def _test_images(load: Callable[..., Dataset], name: str) -> Dataset | None:
    """The images of the split 'test'; None if the data have none, so that some of the others are held out."""
    if name.startswith('folder:'):
        return None
    try:
        return load(split='test')
    except MissingSplitError:
        return None


if __name__ == '__main__':
    sys.exit(main())
