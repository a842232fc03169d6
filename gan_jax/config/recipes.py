"""What config files share: the data of an argument, small variants, and growing recipes."""

from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.overrides import apply_overrides, phase_text
from gan_jax.data.computed import FACTORS
from gan_jax.errors import UserError


def choose_data(config: ConfigDict, argument: str) -> None:
    """Sets the data set that follows the colon of `--config`; by default the embedded digits at 16x16."""
    if argument:
        config.data.name = argument
    else:
        config.data.size = 16  # the digits are 8x8


def choose_small(config: ConfigDict, argument: str, default: str = '') -> bool:
    """As `choose_data`, for a recipe with a small variant for a laptop; returns whether it was chosen.

    The small variant is chosen by 'small' in the argument, alone for fashion_mnist or after a comma ('cifar10,small'),
    and for the embedded digits. A `default` takes the place of both data sets.
    """
    parts = argument.split(',')
    data = ','.join(part for part in parts if part != 'small')
    choose_data(config, data or default or ('fashion_mnist' if 'small' in parts else ''))
    return not data or 'small' in parts


def choose_small_images(config: ConfigDict, argument: str) -> None:
    """Sets the data of super-resolution, images with smaller copies of them, and the factor of the generator.

    Args:
        config: config of a game of super-resolution.
        argument: 'DATA' or 'DATA,FACTOR' with the factor 2 or 4; the generated images and 4 by default.

    Raises:
        UserError: there is no such factor.
    """
    name, _, factor = argument.rpartition(',')
    if not factor.isdigit():
        name, factor = argument, '4'
    kinds = {str(number): kind for kind, number in FACTORS.items()}
    if factor not in kinds:
        raise UserError(f'Super-resolution enlarges by {" or ".join(kinds)}, not by {factor}: choose one of these.')
    config.data.name = f'{kinds[factor]}:{name or "leaves"}'
    config.generator.factor = int(factor)


def grow(config: ConfigDict, levels: Iterable[Mapping[str, Any]]) -> None:
    """Makes a config the last of several phases; see `gan_jax.training.phases`.

    Args:
        config: config of all phases.
        levels: in order, the values of each phase by 'x.y'.
    """
    *earlier, last = ({key: str(value) for key, value in level.items()} for level in levels)
    config.earlier_phases = tuple(map(phase_text, earlier))
    apply_overrides(config, last)
