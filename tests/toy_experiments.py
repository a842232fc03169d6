"""Experiments at toy size: fully connected networks, which compile in a moment, and runs without pages of their own."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest

RECIPE = 'configs/mlp.py:digits'
DIVERGING = {'generator_optimizer.name': 'sgd', 'generator_optimizer.learning_rate': '1e30'}

_TOY = {
    'data.name': 'digits',
    'data.size': '8',
    'batch_size': '8',
    'duration': '2 steps',
    'log_every': '2 steps',
    'sample_every': '2 steps',
    'checkpoint_every': '2 steps',
    'evaluate': 'fid',
    'evaluate_every': '2 steps',
    'evaluation.samples': '32',
    'evaluation.split': 'train',
    'evaluation.extractor': 'tests.extractors:QUADRANTS',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'discriminator.dropout': '0.0',
    'ema.half_life_kimg': '0.0',
    'samples': '4',
}
_PAGES = (  # and pictures of single runs, which have tests of their own
    'gan_jax.training.run.refresh_page',
    'gan_jax.records.report.curves',
    'gan_jax.records.report.save_animation',
    'gan_jax.pages.pictures.save_neighbours',
    'gan_jax.pages.pictures.save_interpolation',
)


@contextlib.contextmanager
def without_pages() -> Iterator[pytest.MonkeyPatch]:
    """While it lasts, runs leave no pages, curves, animations, neighbours and interpolations."""
    with pytest.MonkeyPatch.context() as patch:
        for drawing in _PAGES:
            patch.setattr(drawing, lambda *arguments, **options: None)
        yield patch


def run(
    experiment: ModuleType,
    root: pathlib.Path,
    arms: Any,
    changes: Mapping[str, str | None],
    seeds: int = 1,
    name: str = 'ARMS',
    **options: Any,
) -> None:
    """Runs an experiment's `main` with other arms.

    Args:
        experiment: its `__main__`.
        root: of runs/ and results/.
        arms: instead of its own.
        changes: of the overrides of every arm; one to None leaves a key as it is in the arms.
        seeds: how many.
        name: of its arms.
        **options: of `main`.
    """
    overrides = {key: value for key, value in {**_TOY, **changes}.items() if value is not None}
    argv = [f'--seeds={seeds}', f'--runs={root}/runs', f'--out={root}/results']
    argv += [f'--config.{key}={value}' for key, value in overrides.items()]
    with without_pages() as patch:
        patch.setenv('XDG_CACHE_HOME', str(root / 'cache'))
        patch.setattr(experiment, name, arms)
        assert experiment.main(argv, **options) == 0
