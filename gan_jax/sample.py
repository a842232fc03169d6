"""The flags of `--mode sample`.

A picture accepts the flags that are arguments of its function in `gan_jax.sampling.latent_pictures`; the defaults are
there.
"""

import argparse
import inspect
import pathlib
import re

from gan_jax.errors import UserError
from gan_jax.records import files
from gan_jax.sampling.latent_pictures import PICTURES, draw
from gan_jax.sampling.sample_files import MOST_PICTURES, sample_workdir
from gan_jax.sampling.upscale import upscale
from gan_jax.sampling.wanted_classes import parse_classes

APPLICATIONS = {'upscale': upscale}
"""What a run makes of the user's images, by the name of `--what`."""


def _numbers(text: str) -> tuple[int, ...]:
    """'0,7,20-22' -> (0, 7, 20, 21, 22)."""
    numbers = []
    for part in text.split(','):
        found = re.fullmatch(r'(\d+)(?:-(\d+))?', part.strip())
        if found is None:
            raise argparse.ArgumentTypeError(f'{text!r} is not a list of whole numbers such as 0,7,20-29')
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise argparse.ArgumentTypeError(f'{text!r} has a range that ends before it begins')
        if last - first + len(numbers) >= MOST_PICTURES:
            raise argparse.ArgumentTypeError(f'{text!r} are more than {MOST_PICTURES:,} numbers')
        numbers += range(first, last + 1)
    return tuple(numbers)


def _grid(text: str) -> tuple[int, int]:
    """'4x8' -> (4, 8)."""
    found = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', text)
    if found is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not rows x columns such as 4x8')
    if int(found[1]) * int(found[2]) > MOST_PICTURES:
        raise argparse.ArgumentTypeError(f'{text!r} are more than {MOST_PICTURES:,} pictures')
    return int(found[1]), int(found[2])


FLAGS = {
    'what': {'choices': ('samples', *PICTURES, *APPLICATIONS), 'help': 'the picture to draw (default: samples)'},
    'seeds': {'type': _numbers, 'metavar': '0,7,20-29', 'help': 'seeds, one latent per seed'},
    'classes': {
        'type': parse_classes,
        'metavar': '3,Bag',
        'help': (
            'class names or numbers; "a name, with a comma" in double quotes (default: all; directions, mixing: first)'
        ),
    },
    'grid': {'type': _grid, 'metavar': '4x8', 'help': 'samples: rows x columns, instead of --num'},
    'threshold': {'type': float, 'help': 'truncation: resample components of latents beyond it'},
    'psi': {'type': float, 'help': 'truncation psi of latents or styles: 1 none, 0 the mean (default: 1)'},
    'inputs': {'metavar': 'NAME', 'help': 'translations: data to translate, such as folder:/path'},
    'styles': {'metavar': 'NAME', 'help': 'translations with styles: data whose images give the styles'},
    'prompt': {'metavar': 'CAPTION', 'help': 'images of captions: the caption of all images'},
    'noise': {'help': 'noise inputs of a style generator: none, fixed (the same for all) or random'},
    'columns': {
        'type': int,
        'help': (
            'interpolation, traversal, codes, directions, classes, truncation, anomalies: columns of the picture; '
            'noise: number of draws'
        ),
    },
    'space': {'help': 'interpolation, walk, loop, directions, inversion: z (default) or w; inversion: w+ too'},
    'path': {'help': 'interpolation, walk, loop: spherical (default) or linear'},
    'dimension': {
        'type': _numbers,
        'metavar': '3,5-7',
        'help': 'traversal: dimensions of the latents; codes: numbers of continuous codes (default: 0)',
    },
    'range': {
        'type': float,
        'nargs': 2,
        'metavar': ('LOW', 'HIGH'),
        'help': 'traversal: range of values; directions: of distances (default: -3 3; -1 1 if latents are uniform); '
        'truncation: of psi (default: -1 1); codes: of values (default: -2 2)',
    },
    'directions': {
        'type': int,
        'metavar': 'N',
        'help': 'directions: number of directions, strongest first (default: 6)',
    },
    'layers': {
        'type': _numbers,
        'metavar': '0-3',
        'help': 'mixing: layers taken from B; directions: layers that are moved (default: all)',
    },
    'others': {'type': _numbers, 'metavar': '3-7', 'help': 'mixing: seeds of B (--seeds are those of A)'},
    'frames': {'type': int, 'help': 'walk, loop: frames from one seed to the next (default: 20, one second)'},
    'format': {'help': 'walk, loop, and samples of clips, solids and clouds: gif (default) or mp4'},
    'image': {'type': files.user_path, 'metavar': 'FILE', 'help': 'inversion, upscale: the image'},
    'tile': {'type': int, 'help': 'upscale: height and width of a tile of the image, in pixels (default: 128)'},
    'overlap': {
        'type': int,
        'help': 'upscale: pixels that tiles share with each neighbour and throw away (default: 16)',
    },
    'blend': {'type': float, 'help': 'upscale: share of the weights beside those of the phase without an adversary'},
    'resize': {'action': 'store_true', 'default': None, 'help': 'inversion: centre crop to a square and resample'},
    'loss': {'help': 'inversion: squared error of pixels (default) or of features (of --extractor)'},
    'iterations': {'type': int, 'help': 'inversion: iterations of Adam (default: 300; 1000 in W)'},
    'learning_rate': {'type': float, 'help': 'inversion: initial learning rate; in W the maximum (default: 0.1)'},
    'prior': {'type': float, 'help': 'inversion: weight of the prior on the length of latents (default: 0)'},
}
"""The flags of `--mode sample` alone: arguments of `argparse` by name."""

SHARED = ('num', 'seed', 'step', 'standing_statistics', 'extractor')
"""Those that `--mode eval` has too."""


def run(flags: argparse.Namespace) -> pathlib.Path:
    """Draws the picture that the flags of a command line describe.

    Raises:
        UserError: as `draw` and `sample_workdir`; or a flag does not apply to the picture.
    """
    if flags.step == 'all':
        raise UserError('--step all is for mode eval: name one checkpoint, or omit --step for the latest.')
    given = {name: getattr(flags, name) for name in (*FLAGS, *SHARED) if getattr(flags, name) is not None}
    what = given.pop('what', 'samples')
    whole = {'samples': sample_workdir, **APPLICATIONS}
    functions = [whole[what]] if what in whole else [draw, PICTURES[what][0]]
    takes = [name for function in functions for name in inspect.signature(function).parameters]
    if 'seed' in given and 'seed' not in takes and 'seeds' in takes and 'seeds' not in given:
        given['seeds'] = (given.pop('seed'),)
    if strangers := [name for name in given if name not in takes]:
        known = ', '.join(f'--{name}' for name in takes if name in (*FLAGS, *SHARED) and name != 'what')
        raise UserError(f'--{strangers[0]} does not apply to --what {what}, which accepts {known}.')
    if what in whole:
        return whole[what](flags.workdir, **given)
    return draw(flags.workdir, what, **given)
