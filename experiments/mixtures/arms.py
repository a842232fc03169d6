"""The arms of each table, with the figures that the papers give for them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from experiments.mixtures import remedies
from experiments.sweep import Arm

RECIPE = 'experiments/mixtures/recipe.py'


def pacgan(data: str, packing: int, epochs: int) -> Arm:
    """PacGAN of a degree of packing, 1 being the GAN: an epoch is 1,000 steps of 100 packs (the authors' code)."""
    overrides = {'packing': str(packing), 'batch_size': str(100 * packing), 'duration': f'{1000 * epochs} steps'}
    return Arm(f'{RECIPE}:pacgan,{data}', overrides)


def unrolled(steps: int) -> Arm:
    """Unrolled GAN on the ring."""
    return Arm(f'{RECIPE}:unrolled,ring', {'unrolled_steps': str(steps)})


class Table(NamedTuple):
    """One table.

    Attributes:
        title: title of its page.
        question: what it asks.
        arms: the settings of every arm to choose from, by its name; one, where there is nothing to choose.
        published: {arm: {column: figure}}, as the paper prints it.
        source: where these figures are from.
    """

    title: str
    question: str
    arms: Mapping[str, Sequence[Arm]]
    published: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    source: str = ''


def _packed(data: str, epochs: int) -> dict[str, list[Arm]]:
    names = {1: 'GAN', 2: 'PacGAN2', 3: 'PacGAN3', 4: 'PacGAN4'}
    return {name: [pacgan(data, number, epochs)] for number, name in names.items()}


def _figures(**rows: tuple[str, str, str]) -> dict[str, dict[str, str]]:
    """{arm: {column: figure}} from modes, high quality and reverse KL."""
    columns = 'paper: modes', 'paper: high quality', 'paper: reverse KL'
    return {arm: dict(zip(columns, figures, strict=True)) for arm, figures in rows.items()}


PACKING = 'How many modes does a GAN capture, and how many more if its discriminator judges packs of 2, 3 or 4 points?'
REMEDIES = (
    'Which remedies keep the modes that the plain GAN loses, and how sharp are their samples? Each is trained long, '
    'with the best of four settings.'
)
SOURCE = 'Lin et al. 2018, table 1, means and standard errors over ten trials; not compared with the text'
RING = _figures(
    GAN=('6.3 ± 0.5', '0.982 ± 0.002', '0.45 ± 0.09'),
    PacGAN2=('7.9 ± 0.1', '0.956 ± 0.020', '0.07 ± 0.03'),
    PacGAN3=('7.8 ± 0.1', '0.977 ± 0.003', '0.10 ± 0.02'),
    PacGAN4=('7.8 ± 0.1', '0.959 ± 0.014', '0.07 ± 0.02'),
)
GRID = _figures(
    GAN=('17.3 ± 0.8', '0.948 ± 0.007', '0.70 ± 0.07'),
    PacGAN2=('23.8 ± 0.7', '0.913 ± 0.008', '0.13 ± 0.04'),
    PacGAN3=('24.6 ± 0.4', '0.942 ± 0.004', '0.06 ± 0.02'),
    PacGAN4=('24.8 ± 0.2', '0.936 ± 0.006', '0.04 ± 0.01'),
)


def tables(full: bool) -> dict[str, Table]:
    """The tables by setting, at the published length if `full`: 400 epochs of PacGAN, instead of 20."""
    epochs = 400 if full else 20
    return {
        'ring': Table('PacGAN on the ring of 8', PACKING, _packed('ring', epochs), RING, SOURCE),
        'grid': Table('PacGAN on the grid of 25', PACKING, _packed('grid', epochs), GRID, SOURCE),
        'unrolled': Table(
            'Unrolled GAN on the ring of 8',
            'How many modes does a generator capture whose loss is computed after unrolled steps of the discriminator?',
            {f'{number} unrolled steps': [unrolled(number)] for number in (0, 1, 5, 10)},
        ),
        'remedies': Table('Remedies on the ring of 8, each tuned', REMEDIES, remedies.arms('ring')),
        'remedies-grid': Table('Remedies on the grid of 25, each tuned', REMEDIES, remedies.arms('grid')),
    }
