"""The progress line of a run."""

import collections
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

_SHORT = {'discriminator': 'D', 'generator': 'G'}  # which come first; other players have their full names
_PROBABILITIES = {'D(real)': 'discriminator/real_probability', 'D(fake)': 'discriminator/fake_probability'}


class Progress:
    """Shows steps, the players' losses, D(real), D(fake), images/s and the time left.

    On a terminal it is one line that is overwritten, no wider than the terminal; elsewhere (a log file) a separate line
    for the first report, the last, and between them at most one in `interval` seconds.

    The speed is that of the last reports. It starts with the first one, because the time before that includes
    compilation.

    Args:
      total: the run's last step.
      stream: where to write; standard output by default.
      interval: seconds between two lines where `stream` is no terminal.
      clock: seconds that only grow.

    Attributes:
      images_per_second: the speed; None before the second report.
      seconds: since this object was made, at the last report.
    """

    def __init__(
        self,
        total: int,
        *,
        stream: TextIO | None = None,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total = total
        self.images_per_second: float | None = None
        self.seconds = 0.0
        self._stream = stream or sys.stdout
        self._interval, self._clock = interval, clock
        self._started = clock()
        self._marks = collections.deque(maxlen=20)  # (seconds, step, images)
        self._line = ''  # what is on the terminal's line, or what the log file has not been told yet
        self._printed: float | None = None

    def report(self, step: int, kimg: float, metrics: Mapping[str, float], done: float | None = None) -> None:
        """Shows step `step`, after `kimg` thousand images, with the metrics that are in `metrics`.

        `done` is the clock's time when the step was done, which can be long before it is reported; None: now.
        """
        self.seconds = (self._clock() if done is None else done) - self._started
        self._marks.append((self.seconds, step, 1000 * kimg))
        parts = {
            'step': f'step {step}/{self.total} {100 * step // self.total:3d}%',
            'losses': _losses(metrics),
            'probabilities': _joined(
                {label: metrics[name] for label, name in _PROBABILITIES.items() if name in metrics}, '.2f'
            ),
            'speed': '',
            'left': '',
        }
        first_seconds, first_step, first_images = self._marks[0]
        elapsed = self.seconds - first_seconds
        if elapsed > 0 and step > first_step:
            self.images_per_second = (1000 * kimg - first_images) / elapsed
            parts['speed'] = f'{self.images_per_second:,.0f} images/s'
            parts['left'] = f'{_duration((self.total - step) * elapsed / (step - first_step))} left'
        self._show(parts, last=step >= self.total)

    def note(self, text: str) -> None:
        """Prints a line of its own above the progress line."""
        if self._stream.isatty():
            self._print(f'\r{text}\x1b[K\n{self._line}')
        else:
            self._print(text + '\n')

    def close(self) -> None:
        """Shows the last report if it was not shown, and ends the line."""
        if self._stream.isatty():
            if self._line:
                self._print('\n')
        elif self._line:
            self._print(self._line + '\n')
        self._line = ''

    def _show(self, parts: dict[str, str], last: bool) -> None:
        if self._stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            for name in ('speed', 'probabilities', 'losses'):  # what a narrow terminal does without, first to last
                if len(_join(parts)) > width:
                    parts[name] = ''
            self._line = _join(parts)[:width]
            self._print(f'\r{self._line}\x1b[K')
            return
        self._line = _join(parts)
        if last or self._printed is None or self.seconds - self._printed >= self._interval:
            self._print(self._line + '\n')
            self._line, self._printed = '', self.seconds

    def _print(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _losses(metrics: Mapping[str, float]) -> str:
    """'D 1.234  G 0.567', and those of further players behind them."""
    losses = {name.removesuffix('/loss'): value for name, value in metrics.items() if name.endswith('/loss')}
    players = [*(player for player in _SHORT if player in losses), *sorted(losses.keys() - _SHORT.keys())]
    return _joined({_SHORT.get(player, player): losses[player] for player in players}, '.3f')


def _joined(numbers: Mapping[str, float], form: str) -> str:
    return '  '.join(f'{label} {value:{form}}' for label, value in numbers.items())


def _join(parts: dict[str, str]) -> str:
    return '  '.join(part for part in parts.values() if part)


def _duration(seconds: float) -> str:
    """'42s', '3m 05s', '2h 07m' or '3d 04h'."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f'{rest}s'
    if minutes < 60:
        return f'{minutes}m {rest:02d}s'
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f'{hours}h {minutes:02d}m'
    return f'{hours // 24}d {hours % 24:02d}h'
