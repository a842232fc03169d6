"""Reads the inputs of findings from a run's directory."""

import os
import pathlib

import numpy as np
from PIL import Image

from gan_jax.errors import UserError
from gan_jax.pages.diversity import cut_grid
from gan_jax.pages.health.course import Course
from gan_jax.parts import is_conditional
from gan_jax.records import description, report
from gan_jax.records.metrics import metrics_of
from gan_jax.training import phases

_MOST_GRIDS = 10  # of earlier samples that are looked at, evenly spaced


def read(workdir: str | os.PathLike) -> Course:
    """Reads the inputs of findings from a run's directory.

    Raises:
        UserError: the directory is not a run, or its records are damaged.
    """
    workdir = pathlib.Path(workdir)
    try:
        course = phases.recorded(description.read_config(workdir), description.read_phases(workdir))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f'{workdir} is not the directory of a run: its config.json or run.json is missing.') from error
    records, _ = metrics_of(workdir).scan()
    config = course[phases.trained_in(course, records[-1]['step'] if records else 0)]
    facts, begin = description.read_data_facts(workdir, config.phase.number), config.phase.steps
    run = Course(config, [record for record in records if record['step'] > begin or not begin])
    run = run._replace(given_up=description.read_divergence(workdir), is_last=config.phase.number + 1 == len(course))

    *earlier, last = [path for step, path in report.sample_grids(workdir) if step > begin or not begin] or [None]
    if last is None or len(facts['shape']) != 3 or report.caption_of(last):  # which shows more than samples
        return run
    classes = facts['classes'] if is_conditional(config) else None

    def grid(path: pathlib.Path) -> np.ndarray | None:
        try:
            picture = np.asarray(Image.open(path))
        except Image.DecompressionBombError:  # a grid of so many pixels is not compared
            return None
        return cut_grid(picture, facts['shape'], config.samples, classes)

    chosen = np.unique(np.linspace(0, len(earlier) - 1, min(len(earlier), _MOST_GRIDS)).astype(int))
    before = [grid(earlier[i]) for i in chosen]
    real = workdir / 'real.png'
    return run._replace(
        shape=tuple(facts['shape']),
        samples=grid(last),
        real=grid(real) if real.exists() else None,
        earlier=tuple(one for one in before if one is not None),
    )
