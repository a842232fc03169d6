"""TensorBoard events, without TensorFlow."""

import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_jax.records import files


class TensorBoard:
    """An event file.

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
