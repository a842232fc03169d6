"""Pictures of a run: sample grids, animations of their progress, scatter plots and curves."""

import functools
import io
import math
import os
import pathlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import PngImageFile, PngInfo

from gan_jax.errors import UserError
from gan_jax.records import files
from gan_jax.records.metrics import metrics_of

# The pictures of a whole run, as it is at its last step.
LAST_PICTURES = ('neighbours.png', 'interpolation.png', 'samples.png', 'samples.gif', 'curves.png')
_BACKGROUND = 128
_WIDEST_GRID = 900  # pixels


def image_grid(
    images: np.ndarray, columns: int | None = None, *, padding: int = 2, scale: int | None = None
) -> np.ndarray:
    """Puts images side by side, row by row, on a grey background.

    Args:
      images: uint8 [n, H, W, C].
      columns: number of columns; by default the grid is nearly square.
      padding: pixels around each image.
      scale: enlargement of each pixel; by default the largest that keeps the grid within 900 pixels.

    Returns:
      uint8 [height, width, C].

    Raises:
      UserError: there are no images, or they have another shape or dtype.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
        raise UserError(f'A grid needs uint8 images [n, H, W, C], not {images.dtype}{list(images.shape)}.')
    number, height, width, channels = images.shape
    columns = columns or columns_of(number, height, width)
    scale = scale or max(1, (_WIDEST_GRID - padding * (columns + 1)) // (columns * width))
    rows, height, width = math.ceil(number / columns), height * scale, width * scale
    shape = (rows * (height + padding) + padding, columns * (width + padding) + padding, channels)
    grid = np.full(shape, _BACKGROUND, np.uint8)
    for i, image in enumerate(images):
        top = padding + i // columns * (height + padding)
        left = padding + i % columns * (width + padding)
        grid[top : top + height, left : left + width] = image.repeat(scale, 0).repeat(scale, 1)
    return grid


def columns_of(number: int, height: int, width: int) -> int:
    """The number of columns with which a grid of images is nearly square."""
    return min(number, math.ceil(math.sqrt(number * height / width)))


def save_png(path: str | os.PathLike, image: np.ndarray, description: str = '', *, step: int | None = None) -> None:
    """Writes a picture as a PNG file, atomically; arguments as in `png`.

    Raises:
      UserError: the file cannot be written.
    """
    files.replace(path, png(image, description, step=step))


def png(image: np.ndarray, description: str = '', *, step: int | None = None) -> bytes:
    """The bytes of a PNG file of uint8 [H, W], [H, W, 1] (grey) or [H, W, 3] (colour).

    Args:
      image: the picture; two channels are shown as red and green, and more than three are reduced to the first three.
      description: the description, stored in the file.
      step: step of the run that it shows, kept inside the file for `step_of`.
    """
    data, about = io.BytesIO(), PngInfo()
    if description:
        about.add_itxt('Description', description.encode(errors='replace').decode())  # names of data may be no text
    if step is not None:
        about.add_text('Step', str(step))
    to_pillow(image).save(data, 'png', optimize=True, pnginfo=about)
    return data.getvalue()


def save_animation(
    path: str | os.PathLike,
    frames: Sequence[np.ndarray | str | os.PathLike],
    *,
    max_frames: int = 50,
    max_size: int = 512,
    seconds: float = 0.15,
    hold: float = 2.0,
    step: int | None = None,
) -> None:
    """Writes an endless GIF, atomically.

    Args:
      path: the file.
      frames: at least one; uint8 [H, W, 1 or 3] or the names of files as `open_picture` opens. Those of another size
        than the last are scaled to it.
      max_frames: maximum number of frames; of more, evenly spaced ones are taken, including the first and the last.
      max_size: larger frames are shrunk to this many pixels.
      seconds: duration of each frame.
      hold: duration of the last frame.
      step: step of the run that the last one shows, kept inside the file for `step_of`.

    Raises:
      UserError: the file cannot be written.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), max_frames)).round().astype(int))
    pictures = [_frame(frames[i], max_size) for i in chosen]
    size = pictures[-1].size
    pictures = [one if one.size == size else one.resize(size, Image.Resampling.NEAREST) for one in pictures]
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * hold)]
    data, options = io.BytesIO(), {} if step is None else {'comment': f'Step {step}'}
    pictures[0].save(data, 'gif', save_all=True, append_images=pictures[1:], duration=durations, loop=0, **options)
    files.replace(path, data.getvalue())


def open_picture(path: str | os.PathLike) -> GifImageFile | PngImageFile:
    """Opens a PNG or GIF file that this package wrote, of any size, without reading its pixels.

    `PIL.Image.open` refuses a picture of more than 179 million pixels, because one of unknown origin may be an attack.

    Raises:
      OSError, SyntaxError, ValueError: it cannot be read.
    """
    return (GifImageFile if pathlib.Path(path).suffix == '.gif' else PngImageFile)(path)


def step_of(path: str | os.PathLike) -> int | None:
    """The step stored in a picture; None if there is none, or the picture cannot be read."""
    try:
        with open_picture(path) as picture:
            text = picture.info.get('Step') or picture.info.get('comment', b'').decode().removeprefix('Step ')
        return int(text)
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for a damaged file
        return None


def caption_of(path: str | os.PathLike) -> str:
    """The description stored in a picture; '' if there is none, or the picture cannot be read."""
    try:
        with open_picture(path) as picture:
            return picture.info.get('Description', '')
    except (OSError, SyntaxError, ValueError):
        return ''


def scatter(points: np.ndarray, real: np.ndarray | None = None, limit: float | None = None) -> np.ndarray:
    """Draws generated points over real ones.

    Args:
      points: [n, 2], from the generator.
      real: [m, 2], from the data; at most 2000 of them are drawn.
      limit: both axes go from -limit to limit; by default a little more than the data, or else the points, need.

    Returns:
      uint8 [600, 600, 3].
    """
    figure = new_figure(6, 6)
    axes = figure.add_axes((0.07, 0.06, 0.9, 0.9))
    if limit is None:
        limit = 1.25 * float(np.abs(points if real is None else real).max())
    if real is not None:
        some = real[:: math.ceil(len(real) / 2000)]
        axes.scatter(*some.T, s=8, color='0.7', linewidths=0, label='data')
    axes.scatter(*points.T, s=12, color='C1', alpha=0.7, linewidths=0, label='generated')
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect='equal')
    axes.tick_params(labelsize=8, color='0.6', labelcolor='0.4')
    axes.spines[:].set_color('0.8')
    axes.legend(loc='upper right', frameon=False, fontsize=9, handletextpad=0.2, markerscale=1.5)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def curves(records: Sequence[Mapping[str, Any]], path: str | os.PathLike) -> None:
    """Draws metrics over the steps as a PNG file 1200 pixels wide.

    Metrics with the same last part of the name share a panel (`discriminator/loss` and `generator/loss`), and so do all
    whose name ends in `_probability`. Long series are smoothed, with the original values pale behind the curve.

    Args:
      records: as `gan_jax.records.metrics.MetricsFile.read` returns them.
      path: the file.

    Raises:
      UserError: there is nothing to draw, or the file cannot be written.
    """
    drawn = panels(records)
    if not drawn:
        raise UserError(f'{path} cannot be drawn: there are no metrics yet.')
    rows = math.ceil(len(drawn) / 2)
    figure = new_figure(12, 3 * rows)
    figure.set_layout_engine('constrained', h_pad=0.1, w_pad=0.1)
    all_axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, (title, names) in zip(all_axes, drawn.items(), strict=False):
        _draw_panel(axes, title, names, records)
    for axes in all_axes[len(drawn) :]:
        axes.remove()
    last = records[-1]
    for axes in all_axes[max(0, len(drawn) - 2) : len(drawn)]:
        axes.set_xlabel(f'steps   ({last["step"]:,} steps are {last["kimg"]:,.4g} thousand images)', color='0.3')
    data = io.BytesIO()
    figure.savefig(data, format='png', metadata={'Step': str(last['step'])})
    files.replace(path, data.getvalue())


def write(workdir: str | os.PathLike) -> None:
    """Writes the summary pictures of a run from its directory; existing pictures of the last step are kept.

    Writes `samples.png` (the last picture in `samples/`), `samples.gif` (all of them) and `curves.png` (from
    `metrics.jsonl`). A picture that cannot be read is skipped with a warning.

    Raises:
      UserError: a file cannot be written, or `metrics.jsonl` cannot be read.
    """
    workdir = pathlib.Path(workdir)
    names, grids = outdated(workdir), sample_grids(workdir)
    if 'samples.png' in names:
        files.replace(workdir / 'samples.png', grids[-1][1].read_bytes())
    if 'samples.gif' in names:
        save_animation(workdir / 'samples.gif', [path for _, path in grids], step=grids[-1][0])
    if 'curves.png' in names:
        curves(metrics_of(workdir).read(), workdir / 'curves.png')


def outdated(workdir: str | os.PathLike) -> list[str]:
    """The pictures that `write` would write: those that are missing, or belong to another step than the last record."""
    workdir = pathlib.Path(workdir)
    samples = [step for step, _ in sample_grids(workdir)][-1:]
    records = [record['step'] for record in metrics_of(workdir).read()[-1:]]
    wanted = {'samples.png': samples, 'samples.gif': samples, 'curves.png': records}
    return [name for name, step in wanted.items() if step and step != [step_of(workdir / name)]]


def sample_files(workdir: str | os.PathLike) -> list[tuple[int, pathlib.Path]]:
    """(step, file) of every picture in a run's `samples/`, in order; other files are skipped."""
    found = (pathlib.Path(workdir) / 'samples').glob('*.png')
    return sorted((int(path.stem), path) for path in found if path.stem.isdigit())


def sample_grids(workdir: str | os.PathLike) -> list[tuple[int, pathlib.Path]]:
    """The `sample_files` that can be read; a damaged one is skipped with a warning."""
    return [(step, path) for step, path in sample_files(workdir) if _is_whole(path, path.stat().st_mtime_ns)]


@functools.lru_cache(maxsize=4096)
def _is_whole(path: pathlib.Path, time_changed: int) -> bool:
    """Whether a picture is complete, checked once per modification."""
    del time_changed
    try:
        with open_picture(path) as picture:
            picture.verify()
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises
        warnings.warn(f'{path} is damaged and skipped ({error}).', stacklevel=2)
        return False
    return True


def to_pillow(image: np.ndarray) -> Image.Image:
    """Converts to grey or colour; two channels become red and green, of more than three the first three are used."""
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    elif image.ndim == 3:
        image = np.pad(image[..., :3], ((0, 0), (0, 0), (0, 3 - min(3, image.shape[-1]))))
    return Image.fromarray(image)


def _frame(frame: np.ndarray | str | os.PathLike, max_size: int) -> Image.Image:
    picture = to_pillow(frame) if isinstance(frame, np.ndarray) else open_picture(frame)
    picture.thumbnail((max_size, max_size), Image.Resampling.BOX)
    return picture if picture.mode == 'L' else picture.quantize(256, dither=Image.Dither.NONE)


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure with 100 pixels per inch, without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, facecolor='white')
    FigureCanvasAgg(figure)
    return figure


def scale_by_logarithms(axes: Any) -> None:
    """Makes the vertical axis of matplotlib's axes logarithmic, with plain numbers as labels.

    The powers of ten are major ticks. Minor ticks are at 2 and 5, or closer within a part of a decade; many decades
    have none.
    """
    from matplotlib.ticker import LogLocator

    axes.set_yscale('log')
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.yaxis.set_major_formatter('{x:g}')
    axes.yaxis.set_minor_formatter('{x:g}')


# Of the curves that every run has.
COLORS = {
    **{'discriminator': 'C0', 'generator': 'C1'},
    **{'D(real)': 'C2', 'D(fake)': 'C3', 'on real examples': 'C2', 'on fake examples': 'C3'},
}
_TITLES = {
    'parts': 'Discriminator loss',
    'k': 'Weight k of fake examples',
    'convergence': 'Convergence measure',
    'memory_gib': 'Memory (GiB)',
    'ms_ssim': 'MS-SSIM',
    'fid_infinity': 'FID at infinitely many samples',
    'intra_fid': 'FID within classes',
}
_LABELS = {
    'real_probability': 'D(real)',
    'fake_probability': 'D(fake)',
    'real_loss': 'on real examples',
    'fake_loss': 'on fake examples',
}


def panels(records: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Which metrics share a panel: {last part of the names: names}, losses first."""
    names = dict.fromkeys(name for record in records for name in record if name not in ('step', 'kimg'))
    grouped: dict[str, list[str]] = {key: [] for key in ('loss', 'parts', 'probability', 'accuracy', 'gradient_norm')}
    for name in names:
        last = name.rpartition('/')[-1]
        shared = (
            'probability' if last.endswith('_probability') else 'parts' if last in ('real_loss', 'fake_loss') else last
        )
        grouped.setdefault(shared, []).append(name)
    return {key: sorted(names, key=_rank) for key, names in grouped.items() if names}


def label_of(name: str) -> str:
    """The label of a curve in its panel: 'generator', 'D(real)'."""
    owner, _, last = name.rpartition('/')
    return _LABELS.get(last, owner or name)


def title_of(key: str) -> str:
    """The title of a panel."""
    return _TITLES.get(key) or (key.upper() if len(key) <= 3 else key.replace('_', ' ').capitalize())


def _rank(name: str) -> tuple[int, str]:
    """Sorts names in the order of `COLORS`, the others after them."""
    label = label_of(name)
    return [*COLORS, label].index(label), name


def _draw_panel(axes: Any, key: str, names: list[str], records: Sequence[Mapping[str, Any]]) -> None:
    for i, name in enumerate(names):
        series = [(record['step'], record[name]) for record in records if record.get(name) is not None]
        steps, values = np.array(series, float).reshape(-1, 2).T
        label, smooth = label_of(name), _smooth(values)
        color = COLORS.get(label, f'C{i}')
        if smooth is not values:
            axes.plot(steps, values, color=color, alpha=0.2, linewidth=1)
        marker = 'o' if len(steps) < 20 else None
        axes.plot(steps, smooth, color=color, linewidth=1.6, marker=marker, markersize=3, label=label)
    axes.set_title(title_of(key), loc='left', fontsize=11, pad=8)
    if key in ('probability', 'accuracy'):
        axes.set_ylim(-0.02, 1.02)
        axes.axhline(0.5, color='0.6', linewidth=1, linestyle=(0, (4, 4)), zorder=0)
    elif key == 'gradient_norm':
        scale_by_logarithms(axes)
    axes.set_xlim(-0.02 * records[-1]['step'], 1.02 * records[-1]['step'])
    axes.xaxis.set_major_formatter('{x:,.0f}')
    axes.grid(which='both', color='0.92')
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color('0.7')
    axes.tick_params(which='both', labelsize=9, color='0.7', labelcolor='0.3')
    if names not in ([key], [f'eval/{key}']):
        axes.legend(loc='lower right', bbox_to_anchor=(1, 0.99), ncols=len(names), frameon=False, fontsize=9)


def _smooth(values: np.ndarray) -> np.ndarray:
    """A running mean with a Hann window of a twentieth of the series; short series as they are."""
    if len(values) < 40:
        return values
    window = np.hanning(2 * (len(values) // 40) + 3)
    return np.convolve(values, window, 'same') / np.convolve(np.ones_like(values), window, 'same')
