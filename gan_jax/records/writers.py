"""What a run records while it goes on: metrics as JSON lines, TensorBoard events, pictures and the progress line.

`metrics.jsonl` holds nothing that depends on the clock, so that the file of a run that was killed and started again
equals, byte for byte, that of one never stopped; `timing.jsonl` has the clock's part.
"""

import functools
import io
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from gan_jax.evaluation.record import Evaluation
from gan_jax.records import files, report
from gan_jax.records.metrics import evaluations_of, metrics_of, timing_of
from gan_jax.records.progress import Progress


class TensorBoard:
    """TensorBoard events, without TensorFlow.

    Written at once by tensorboardX's `EventsWriter`: its `SummaryWriter` hands events to a thread, and once that thread
    has died of a full disk, blocks forever.

    Args:
      directory: where to put the event file.
      purge_step: TensorBoard forgets what earlier event files in the directory say about this step and later ones.
    """

    def __init__(self, directory: str | os.PathLike, purge_step: int | None = None):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self.directory = pathlib.Path(directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(self.directory / 'events'))
        except OSError as error:
            raise files.unwritable(self.directory, error) from error
        if purge_step is not None:
            self._write(purge_step, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one number for each name."""
        from tensorboardX import summary

        for name, value in values.items():
            self._write(step, summary=summary.scalar(name, float(value)))

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a picture, uint8 [H, W, 1 or 3]."""
        from tensorboardX import summary

        self._write(step, summary=summary.image(name, image, dataformats='HWC'))

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        try:
            self._writer.flush()
        except OSError as error:
            raise files.unwritable(self.directory, error) from error

    def close(self) -> None:
        """Closes the event file."""
        try:
            self._writer.close()
        except OSError as error:
            raise files.unwritable(self.directory, error) from error

    def _write(self, step: int, **what: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        try:
            self._writer.write_event(Event(step=step, wall_time=time.time(), **what))
        except OSError as error:
            raise files.unwritable(self.directory, error) from error


class Writers:
    """All that is written below a run's directory between two checkpoints; a context manager.

    On entering a run again at step `begin`, records and pictures of later steps are dropped.

    Args:
      workdir: the run's directory. Written below it: `metrics.jsonl`, `timing.jsonl`, `evaluations.jsonl`,
        `samples/<step>.png` and `tensorboard/`.
      begin: the step from which the run goes on; 0 starts all records anew.
      total: the run's last step.
      every: how many steps lie between two records of metrics at most, to notice that some are lost.
      enabled: False on every process but one: such an object writes nothing.
      quiet: whether the terminal is told nothing.
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
    ):
        self.workdir = pathlib.Path(workdir)
        self.enabled = enabled
        self._quiet = quiet
        self._every = every
        self._last = begin or -1  # a run that starts has no records to keep, not even of step 0
        self._total = total

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
            for step, picture in [*report.sample_files(self.workdir), *last]:
                if step is not None and step > self._last:
                    files.remove(picture)
            self._progress = Progress(self._total, stream=io.StringIO() if self._quiet else None)
        return self

    def __exit__(self, *_: object) -> None:
        if self.enabled:
            self._progress.close()
            if '_tensorboard' in self.__dict__:
                self._tensorboard.close()

    @functools.cached_property
    def _tensorboard(self) -> TensorBoard:
        """Opened with the first record, when the devices are at work: tensorboardX imports PyTorch where it can."""
        return TensorBoard(self.workdir / 'tensorboard', purge_step=self._last + 1)

    def metrics(self, step: int, kimg: float, values: Mapping[str, float], done: float | None = None) -> None:
        """Records the metrics of a step and moves the progress line.

        Args:
          step: how many steps were made.
          kimg: thousands of images by the generator's steps: steps times batch size, in thousands.
          values: numbers by name, such as `generator/loss`.
          done: the time of `time.monotonic` when the step was done; None: now.

        Raises:
          UserError: something cannot be written; the sentence names the file.
        """
        if not self.enabled:
            return
        self._metrics.write(step, kimg, values)
        self._progress.report(step, kimg, values, done)
        timing = {'seconds': self._progress.seconds}
        if self._progress.images_per_second is not None:
            timing['images_per_second'] = self._progress.images_per_second
        self._timing.write(step, kimg, timing)
        self._tensorboard.scalars(step, values | {f'timing/{name}': value for name, value in timing.items()})
        self._tensorboard.flush()

    def evaluation(self, step: int, kimg: float, evaluation: Evaluation) -> None:
        """Records an evaluation: its values with the metrics; its records and failures in `evaluations.jsonl`.

        Args:
          step: how many steps were made.
          kimg: as in `metrics`.
          evaluation: of the samples of this step.

        Raises:
          UserError: something cannot be written; the sentence names the file.
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
        self._tensorboard.scalars(step, values)
        self._tensorboard.flush()
        self._progress.note(f'step {step}  ' + '  '.join(f'{record.metric} {record.value:.5g}' for record in records))

    def samples(self, step: int, picture: np.ndarray, caption: str = '') -> None:
        """Writes a picture of samples, uint8 [H, W, 1 or 3], to `samples/<step>.png` and TensorBoard.

        The caption says in the file what it shows.

        Raises:
          UserError: something cannot be written; the sentence names the file.
        """
        if self.enabled:
            report.save_png(self.workdir / 'samples' / f'{step:08d}.png', picture, caption, step=step)
            self._tensorboard.image(step, 'samples', picture)
            self._tensorboard.flush()
