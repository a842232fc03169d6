"""Checkpoints of a run: written atomically in the background by orbax, verified when read.

One checkpoint is one directory `<directory>/<step>` with two orbax items of a file each. `state/bytes` has the bytes of
all arrays of the training state, one after the other. `meta/metadata` is a JSON object with the config, the metrics,
the package versions, the place of each array in the bytes, and checksums. `checkpoint_files` writes and reads them.

Orbax writes into a temporary directory and renames it at the end, so that a process killed in the middle leaves no half
checkpoint; the files' bytes are on the disk before that, so a power failure leaves none either. The checksums detect
later damage.

With several processes the first one writes and all read, so the directory must be shared. Orbax
is configured for a single process: a full disk on the writer is then an error there instead of a barrier at which the
others wait.
"""

import contextlib
import math
import os
import pathlib
import platform
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any, Literal, Self

import jax
import orbax.checkpoint as ocp
from absl import logging

from gan_jax import __version__
from gan_jax.errors import UserError
from gan_jax.runtime import checkpoint_files, hosts, snapshot

PyTree = Any


class Checkpoints:
    """The checkpoints in one directory; a context manager that waits for the last save when it is left.

    Construction does not change the disk: the first `save` creates the directory, or removes what an interrupted save
    left in it.

    Args:
      directory: where the checkpoints are; with several hosts, a directory that all of them see.
      keep_last: number of latest checkpoints to keep, at least 1.
      keep_best: number of best checkpoints to keep in addition, if `best_metric` is given.
      best_metric: the metric that decides which is best; a checkpoint saved without it, or with a value that is not
        finite, is not a candidate.
      best_mode: whether the smallest or the largest value is the best.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        keep_last: int = 3,
        keep_best: int = 1,
        best_metric: str | None = None,
        best_mode: Literal['min', 'max'] = 'min',
    ):
        self.directory = pathlib.Path(directory).absolute()
        self._retention = _Retention(keep_last, keep_best, best_metric, best_mode)
        self._writer: ocp.CheckpointManager | None = None
        self._writing: int | None = None
        self._restored: int | None = None
        self._is_proven = False

    def save(
        self,
        step: int,
        state: PyTree,
        *,
        config: dict[str, Any],
        metrics: dict[str, float] | None = None,
        unfinished: dict[str, list[float]] | None = None,
    ) -> None:
        """Copies `state` to the host and starts writing it; a step that is already saved does not change.

        When this returns, the buffers of `state` can be donated or deleted. A save in progress is waited for
        first, and its error is raised here. The first save is waited for and read back.

        Args:
          step: the step after which the state was taken.
          state: a tree of arrays, typed PRNG keys among them; arrays spread over several processes are replicated.
          config: the resolved config, of JSON values.
          metrics: the latest evaluation, if there was one.
          unfinished: the metrics of the steps that are not recorded yet, a value for each.

        Raises:
          UserError: the directory cannot be written or the disk is full; earlier checkpoints do not change. Or
            the checkpoint cannot be read back.
        """
        if jax.process_index() != 0:
            return
        self.wait()
        with self._explaining(step):
            writer = self._open_writer()
        if step in writer.all_steps():
            return
        data, leaves = snapshot.pack(state)
        metrics = {name: float(value) for name, value in (metrics or {}).items()}
        meta = {
            'config': config,
            'metrics': metrics,
            'unfinished': unfinished or {},
            'versions': package_versions(),
            'leaves': leaves,
            'crc32': zlib.crc32(data),
        }
        _drop_equal(self.directory / f'set-aside-{step}', meta)
        self._retention.note(step, metrics)
        self._writing = step
        with self._explaining(step):
            writer.save(step, args=checkpoint_files.items(meta, data), force=True)
        if not self._is_proven:
            self.wait()
            self._prove(step)

    def restore(
        self,
        target: PyTree | Callable[[int, dict[str, Any]], PyTree],
        step: int | None = None,
        *,
        at_most: int | None = None,
    ) -> tuple[int, PyTree] | None:
        """Reads the latest readable checkpoint, or the one of `step`, into the structure of `target`.

        A damaged checkpoint is skipped with a warning. After a restore, the first `save` moves all later
        checkpoints (damaged, or abandoned) to `set-aside-<step>`, which is removed when the same state is saved
        again.

        Args:
          target: a tree with the structure, shapes and dtypes of the saved one, of arrays or of shapes, or a function
            that makes such a tree of the step and the config that was saved with it.
          step: which checkpoint to read; by default the latest.
          at_most: later ones are not read.

        Returns:
          The step and the state, in new buffers on the default device, bit for bit as saved; None if there is no
          checkpoint.

        Raises:
          UserError: `step` does not exist, no checkpoint is readable, the target does not match, or the processes
            read different checkpoints.
        """
        self.close()
        hosts.gather('restore')  # so that the first process has written its last
        found = _latest_readable(self.directory, step, checkpoint_files.read, at_most)
        _check_agreement(found and found[0], self.directory)
        if found is None:
            _check_none_damaged(self.directory, step, at_most)
            self._restored = -1
            return None
        step, (meta, data) = found
        target = target(step, meta['config']) if callable(target) else target
        if difference := snapshot.difference(target, meta['leaves']):
            raise UserError(
                f'The checkpoint of step {step} in {self.directory} has another state: {difference}; use the config '
                'it was saved with, or another directory.'
            )
        self._restored = step
        return step, snapshot.unpack(target, data, meta['leaves'])

    def all_steps(self) -> list[int]:
        """The steps of the checkpoints that are completely written, in increasing order."""
        return _steps(self.directory)

    def latest_step(self) -> int | None:
        """The step of the latest checkpoint that is completely written, or None."""
        return max(self.all_steps(), default=None)

    def wait(self) -> None:
        """Waits until the current save is on the disk.

        Raises:
          UserError: it could not be written.
        """
        if self._writer is not None:
            with self._explaining(self._writing):
                self._writer.wait_until_finished()

    def close(self) -> None:
        """Like `wait`, and ends the writer's threads; a later `save` starts them again."""
        self.wait()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close()
        except UserError as error:
            if kind is None:
                raise
            logging.error('%s', error)  # the exception that is on its way is the one to see

    def _prove(self, step: int) -> None:
        """Reads a checkpoint back as a restart would, to detect problems early."""
        try:
            checkpoint_files.read(self.directory, step)
        except Exception as error:
            raise UserError(
                f'The checkpoint of step {step} was written to {self.directory}, but cannot be read back '
                f'({_reason(error)}): choose a --workdir on another disk.'
            ) from error
        self._is_proven = True

    def _open_writer(self) -> ocp.CheckpointManager:
        if self._writer is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            if self._restored is not None:
                _set_aside(self.directory, after=self._restored)
            self._retention.recall(self.directory)
            self._writer = checkpoint_files.manager(
                self.directory, cleanup_tmp_directories=True, preservation_policy=self._retention
            )
        return self._writer

    @contextlib.contextmanager
    def _explaining(self, step: int | None) -> Iterator[None]:
        """Converts orbax's write errors to one sentence, and removes the incomplete checkpoint."""
        try:
            yield
        except Exception as error:
            writer, self._writer = self._writer, None
            with contextlib.suppress(Exception):
                writer.close()
            for path in self.directory.glob(f'{step}.orbax-checkpoint-tmp*'):
                shutil.rmtree(path, ignore_errors=True)
            last = self.latest_step()
            raise UserError(
                f'The checkpoint of step {step} could not be written to {self.directory} ({_reason(error)}); '
                + ('there is no earlier one' if last is None else f'the last good checkpoint is that of step {last}')
                + ': free some space or change the permissions, then run the same command again.'
            ) from error


def peek(directory: str | os.PathLike, step: int | None = None) -> dict[str, Any] | None:
    """Reads the description of a checkpoint, without a target.

    Args:
      directory: where the checkpoints are.
      step: which one; by default the latest that reads.

    Returns:
      `step`, `config`, `metrics`, `unfinished` and `versions`; None if there is no checkpoint.

    Raises:
      UserError: `step` does not exist, or no checkpoint is readable.
    """
    directory = pathlib.Path(directory).absolute()
    found = _latest_readable(directory, step, checkpoint_files.read_meta)
    if found is None:
        _check_none_damaged(directory, step)
        return None
    step, meta = found
    meta.setdefault('unfinished', {})  # of checkpoints before there was such a thing
    return {'step': step, **{name: meta[name] for name in ('config', 'metrics', 'unfinished', 'versions')}}


class _Retention:
    """An orbax preservation policy: the last checkpoints and the best, by the metrics in their `meta`."""

    def __init__(self, keep_last: int, keep_best: int, metric: str | None, mode: str):
        if keep_last < 1 or mode not in ('min', 'max'):
            raise UserError(f"keep_last must be at least 1 and best_mode 'min' or 'max', not {keep_last} and {mode!r}.")
        self.keep_last, self.keep_best, self.metric = keep_last, keep_best, metric
        self.sign = 1 if mode == 'min' else -1
        self.scores: dict[int, float] = {}

    def note(self, step: int, metrics: dict[str, float]) -> None:
        if math.isfinite(value := metrics.get(self.metric, math.nan)):
            self.scores[step] = self.sign * value

    def recall(self, directory: pathlib.Path) -> None:
        self.scores.clear()
        if self.metric is not None:
            for step, meta in _readable(directory, _steps(directory), checkpoint_files.read_meta):
                self.note(step, meta['metrics'])

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Implements `ocp.checkpoint_managers.PreservationPolicy`."""
        steps = sorted(checkpoint.step for checkpoint in checkpoints)
        best = sorted((step for step in steps if step in self.scores), key=self.scores.get)
        keep = {*steps[-self.keep_last :], *best[: self.keep_best]}
        return [checkpoint.step in keep for checkpoint in checkpoints]


def _steps(directory: pathlib.Path, at_most: int | None = None) -> list[int]:
    with checkpoint_files.manager(directory) as manager:
        return sorted(step for step in manager.all_steps() if at_most is None or step <= at_most)


def _readable(directory: pathlib.Path, steps: Sequence[int], read: Callable) -> Iterator[tuple[int, Any]]:
    """The readable checkpoints, latest first, each with its contents."""
    for step in sorted(steps, reverse=True):
        try:
            contents = read(directory, step)
        except Exception as error:  # orbax, tensorstore and json raise many kinds for a damaged file
            logging.warning('The checkpoint of step %d in %s cannot be read (%s).', step, directory, _reason(error))
        else:
            yield step, contents


def _latest_readable(
    directory: pathlib.Path, step: int | None, read: Callable, at_most: int | None = None
) -> tuple[int, Any] | None:
    steps = _steps(directory, at_most)
    if step is not None and step not in steps:
        raise UserError(f'There is no checkpoint of step {step} in {directory}; there are: {_join(steps) or "none"}.')
    return next(_readable(directory, steps if step is None else [step], read), None)


def _check_none_damaged(directory: pathlib.Path, step: int | None, at_most: int | None = None) -> None:
    if steps := _steps(directory, at_most) if step is None else [step]:
        raise UserError(
            f'No checkpoint in {directory} can be read (tried: {_join(steps)}); restore a copy, or move the directory '
            'away to start from the beginning.'
        )


def _check_agreement(step: int | None, directory: pathlib.Path) -> None:
    """On several processes, checks that all of them found the same checkpoint."""
    found = hosts.gather('none' if step is None else str(step))
    if len(set(found)) > 1:
        raise UserError(
            f'The processes read different checkpoints in {directory} (steps by process: '
            f'{_join(found)}); the directory must be on a shared file system.'
        )


def _set_aside(directory: pathlib.Path, after: int) -> None:
    for path in list(directory.iterdir()):
        if path.name.isdigit() and int(path.name) > after:
            aside = path.with_name(f'set-aside-{path.name}')
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)


def _drop_equal(aside: pathlib.Path, meta: dict[str, Any]) -> None:
    """Removes a checkpoint that was set aside, if it has the same state, config and metrics as the described one."""
    with contextlib.suppress(Exception):  # there is none, or it is damaged
        if checkpoint_files.read_meta(aside.parent, aside.name) == meta:
            shutil.rmtree(aside)


def _reason(error: Exception) -> str:
    """The reason of an error in a few words; that of the operating system, if tensorstore passes it on."""
    if code := re.search(r"os_error_code='(\d+)'", str(error)):
        return os.strerror(int(code[1]))
    return getattr(error, 'strerror', None) or str(error).partition('\n')[0] or type(error).__name__


def _join(values: Sequence[int | str]) -> str:
    return ', '.join(map(str, values))


def package_versions() -> dict[str, str]:
    """The versions of gan_jax, Python and the packages that affect a run's bits."""
    packages = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')
    versions = {package: metadata.version(package) for package in packages}
    return {'gan_jax': __version__, 'python': platform.python_version(), **versions}
