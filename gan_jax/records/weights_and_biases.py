"""Weights & Biases: the metrics, evaluations, pictures and config of a run, beside its own records.

The library and its settings are the user's own: `wandb login`, and the environment variables `WANDB_MODE`,
`WANDB_PROJECT`, `WANDB_ENTITY` and so on.
"""

import importlib.util
import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.metrics import BEST
from gan_jax.records import files

_PROJECT = 'gan_jax'  # unless WANDB_PROJECT names one


def check_installed() -> None:
    """Raises a UserError if the library is missing."""
    if importlib.util.find_spec('wandb') is None:
        raise UserError("writers has wandb, which is not installed: pip install 'gan_jax[wandb]', or remove it.")


class WeightsAndBiases:
    """A run at Weights & Biases.

    Its curves are over `step`, a metric of its own, so that a run that resumes can write a step again. The last and the
    best value of an evaluated metric are in the run's summary.

    Args:
      workdir: the run's directory. The run's id and all that waits for `wandb sync` are below it, in `wandb/`.
      config: config of the run, as JSON values.
      resume: whether to continue the run whose id is in the directory; if not, or if there is none, a new one begins.

    Raises:
      UserError: it cannot be started, for instance because nobody has logged in.
    """

    def __init__(self, workdir: str | os.PathLike, config: Mapping[str, Any], *, resume: bool):
        check_installed()
        import wandb

        workdir = pathlib.Path(workdir)
        known = workdir / 'wandb' / 'run-id'
        if not (resume and known.exists()):
            files.replace(known, secrets.token_hex(4).encode())
        *_, parent, name = workdir.resolve().parts
        is_member = name.startswith('member-')
        try:
            self._run = wandb.init(
                project=os.environ.get('WANDB_PROJECT', _PROJECT),
                id=known.read_text(),
                name=f'{parent}/{name}' if is_member else name,
                group=parent if is_member else None,
                config=dict(config),
                dir=workdir,
                resume='allow',
                reinit='create_new',  # the members of a population are trained at once
                settings=wandb.Settings(console='off'),  # the progress line is not for a log
            )
        except wandb.Error as error:
            raise UserError(
                f'Weights & Biases cannot be started ({error}): run `wandb login`, set WANDB_MODE=offline, or remove '
                'wandb from writers.'
            ) from error
        self._image = wandb.Image
        self._run.define_metric('*', step_metric='step')
        for metric, best in BEST.items():
            summary = 'last' if best == 'real' else f'last,{best}'
            self._run.define_metric(f'eval/{metric}', step_metric='step', summary=summary)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one number for each name."""
        self._run.log({'step': step, **{name: float(value) for name, value in values.items()}})

    def image(self, step: int, name: str, image: np.ndarray, caption: str = '') -> None:
        """Writes a picture, uint8 [H, W, 1 or 3]."""
        picture = image[..., 0] if image.shape[-1] == 1 else image
        self._run.log({'step': step, name: self._image(picture, caption=caption or None)})

    def close(self, *, failed: bool) -> None:
        """Ends the run as finished or as failed, once everything is sent."""
        self._run.finish(exit_code=int(failed))
