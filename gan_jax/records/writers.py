"""The records of a run during training: metrics as JSON lines, TensorBoard, W&B, pictures and the progress line.

`metrics.jsonl` contains nothing that depends on time, so the file of a run that was killed and resumed
equals, byte for byte, that of an uninterrupted run; `timing.jsonl` has the times.
"""

import functools
import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.record import Evaluation
from gan_jax.records import files, plane, report, weights_and_biases
from gan_jax.records.metrics import evaluations_of, metrics_of, timing_of
from gan_jax.records.progress import Progress
from gan_jax.records.tensorboard import TensorBoard
from gan_jax.records.weights_and_biases import WeightsAndBiases
from gan_jax.runtime import parallel


def check(writers: Sequence[str]) -> None:
    """Raises a UserError if a config's `writers` are not available."""
    if 'jsonl' not in writers:
        raise UserError(
            f'writers={",".join(writers)} has no jsonl, which a run resumes from and its page shows: add jsonl.'
        )
    if 'wandb' in writers:
        weights_and_biases.check_installed()


class Writers:
    """Writes the records of a run; a context manager.

    When a run is resumed at step `begin`, records, pictures and frames of later steps are removed.

    Args:
      workdir: the run's directory. Written below it: `metrics.jsonl`, `timing.jsonl`, `evaluations.jsonl`,
        `samples/<step>.png`, `plane/<step>.npz`, `tensorboard/` and `wandb/`.
      begin: the step at which the run resumes; 0 starts new records.
      total: the run's last step.
      every: maximum number of steps between two records of metrics, to detect lost records.
      enabled: False on every process but one: then nothing is written.
      quiet: whether nothing is printed.
      writers: additional writers: 'tensorboard', 'wandb'.
      config: config of the run, as JSON values, for Weights & Biases.
    """

    def __init__(
        self,
        workdir: str | os.PathLike,
        *,
        begin: int,
        total: int,
        every: int | None = None,
        enabled: bool = True,
        quiet: bool = False,
        writers: Sequence[str] = ('tensorboard',),
        config: Mapping[str, Any] | None = None,
    ):
        self.workdir = pathlib.Path(workdir)
        self.enabled = enabled
        self._quiet = quiet
        self._every = every
        self._last = begin or -1  # a run that starts has no records to keep, not even of step 0
        self._total = total
        self._writers, self._config = writers, config or {}
        self._wandb: WeightsAndBiases | None = None

    def __enter__(self) -> Self:
        if self.enabled:
            self._metrics, self._timing = metrics_of(self.workdir), timing_of(self.workdir)
            self._evaluations = evaluations_of(self.workdir)
            self._metrics.rewind(self._last, self._every)
            for file in (self._timing, self._evaluations):
                file.rewind(self._last)
            last = [
                (report.step_of(path), path) for name in report.LAST_PICTURES if (path := self.workdir / name).exists()
            ]
            for step, file in [*report.sample_files(self.workdir), *plane.frame_files(self.workdir), *last]:
                if step is not None and step > self._last:
                    files.remove(file)
            self._progress = Progress(self._total, stream=io.StringIO() if self._quiet else None)
            if 'wandb' in self._writers:
                self._wandb = WeightsAndBiases(self.workdir, self._config, resume=self._last >= 0)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self.enabled:
            self._progress.close()
            if '_tensorboard' in self.__dict__:
                self._tensorboard.close()
            if self._wandb:
                self._wandb.close(failed=error is not None)

    @functools.cached_property
    def _tensorboard(self) -> TensorBoard:
        """Opened with the first record, while the devices compute, because tensorboardX imports PyTorch if it can."""
        return TensorBoard(self.workdir / 'tensorboard', purge_step=self._last + 1)

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        if 'tensorboard' in self._writers:
            self._tensorboard.scalars(step, values)
            self._tensorboard.flush()
        if self._wandb:
            self._wandb.scalars(step, values)

    def metrics(self, step: int, kimg: float, values: Mapping[str, float], done: float | None = None) -> None:
        """Records the metrics of a step and updates the progress line.

        Args:
          step: number of completed steps.
          kimg: thousands of images by the generator's steps: steps times batch size, in thousands.
          values: numbers by name, such as `generator/loss`.
          done: the time of `time.monotonic` when the step was done; None: now.

        Raises:
          UserError: a file cannot be written; the message names it.
        """
        if not self.enabled:
            return
        self._metrics.write(step, kimg, values)
        self._progress.report(step, kimg, values, done)
        timing = {'seconds': self._progress.seconds, 'memory_gib': parallel.peak_memory() / 2**30}
        if self._progress.images_per_second is not None:
            timing['images_per_second'] = self._progress.images_per_second
        self._timing.write(step, kimg, timing)
        self._scalars(step, {**values, 'kimg': kimg, **{f'timing/{name}': value for name, value in timing.items()}})

    def evaluation(self, step: int, kimg: float, evaluation: Evaluation) -> None:
        """Records an evaluation: its values with the metrics; its records and failures in `evaluations.jsonl`.

        Args:
          step: number of completed steps.
          kimg: as in `metrics`.
          evaluation: evaluation of the samples of this step.

        Raises:
          UserError: a file cannot be written; the message names it.
        """
        if not self.enabled:
            return
        records = evaluation.records
        for one in (*records, *evaluation.failures):
            self._evaluations.append({'step': step, 'kimg': kimg, **one.to_json()})
        if not records:
            return
        values = {f'eval/{record.metric}': record.value for record in records}
        self._metrics.write(step, kimg, values)
        self._scalars(step, values)
        self._progress.note(f'step {step}  ' + '  '.join(f'{record.metric} {record.value:.5g}' for record in records))

    def samples(self, step: int, picture: np.ndarray, caption: str = '') -> None:
        """Writes a picture of samples, uint8 [H, W, 1 or 3], to `samples/<step>.png`, TensorBoard and W&B.

        The caption is stored in the file.

        Raises:
          UserError: a file cannot be written; the message names it.
        """
        if not self.enabled:
            return
        report.save_png(self.workdir / 'samples' / f'{step:08d}.png', picture, caption, step=step)
        if 'tensorboard' in self._writers:
            self._tensorboard.image(step, 'samples', picture)
            self._tensorboard.flush()
        if self._wandb:
            self._wandb.image(step, 'samples', picture, caption)

    def frame(self, step: int, frame: plane.Frame) -> None:
        """Writes the frame of a game in the plane to `plane/<step>.npz`.

        Raises:
          UserError: it cannot be written; the message names the file.
        """
        if self.enabled:
            plane.save(self.workdir, step, frame)
