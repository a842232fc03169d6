"""Self-contained HTML documents: the frame, and the parts of pages.

Every part is a string of HTML. Texts are escaped where they enter; what is called `body` or `content` is HTML already.
"""

import base64
import contextlib
import functools
import html
import io
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

from PIL import Image

from gan_jax.errors import UserError
from gan_jax.pages.charts import Chart, Clock, evenly, pack, pack_clock
from gan_jax.records import files

NOTHING = '\N{EN DASH}'
_ASSETS = pathlib.Path(__file__).parent / 'assets'
_SCRIPTS = ('films.js', 'lightbox.js', 'age.js')  # of every page
_MOST_LABELS = 30  # beside the rows of a picture: more are too small to be read
_MAX_FRAMES = 40  # of samples, so that a page stays in a few megabytes
_QUALITY = 80  # of WebP
WIDEST_WEBP = 16383  # pixels a side, of the format


class Frame(NamedTuple):
    """One picture of a film: when it was made, its caption and the picture, as for `picture`."""

    at: float
    caption: str
    image: bytes | str | os.PathLike


def document(
    title: str,
    body: str,
    *,
    charts: Mapping[str, Chart] | None = None,
    clocks: Mapping[str, Clock] | None = None,
    scripts: Sequence[str] = (),
) -> str:
    """A complete, self-contained HTML document.

    Args:
        title: plain text.
        body: HTML, of the parts below.
        charts: by the names that `gan_jax.pages.charts.chart` makes room for in the body; all share an axis.
        clocks: of the labels of their series, or '' for all that have none of their own.
        scripts: names of further assets, which run last.
    """
    drawing = ('uPlot.iife.min.js', 'charts.js') if charts else ()
    page = '\n'.join(
        [
            '<!doctype html>',
            '<html lang="en">',
            '<head>',
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f'<title>{escape(title)}</title>',
            f'<style>\n{_asset("uPlot.min.css")}\n{_asset("page.css")}</style>',
            '</head>',
            '<body>',
            f'<h1>{escape(title)}</h1>',
            body,
            data('charts', {name: pack(one) for name, one in (charts or {}).items()}),
            data('clocks', {label: pack_clock(one) for label, one in (clocks or {}).items()}),
            *(f'<script>\n{_asset(name)}</script>' for name in (*_SCRIPTS, *drawing, *scripts)),
            '</body>',
            '</html>\n',
        ]
    )
    return page.encode(errors='replace').decode()  # names of files may have bytes that are no text


def data(name: str, values: Any) -> str:
    """JSON values for a script, which finds them by the element's id."""
    text = json.dumps(values, allow_nan=False).replace('<', r'\u003c')  # so that no text in it can end the script
    return f'<script type="application/json" id="{escape(name)}">{text}</script>'


def style(name: str) -> str:
    """The style sheet of an interactive part, by the name of its asset."""
    return f'<style>\n{_asset(name)}</style>'


def escape(text: Any) -> str:
    """Text as HTML."""
    return html.escape(str(text))


def section(title: str, *content: str) -> str:
    """A part of a page with a heading; empty if it has no content."""
    inside = '\n'.join(part for part in content if part)
    return f'<section>\n<h2>{escape(title)}</h2>\n{inside}\n</section>' if inside else ''


def paragraph(text: Any, kind: str = '') -> str:
    """Plain text; `kind` is a CSS class, such as 'small'."""
    return f'<p class="{escape(kind)}">{escape(text)}</p>' if kind else f'<p>{escape(text)}</p>'


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]], emphasised: Iterable[int] = ()) -> str:
    """A table of plain texts and numbers.

    Args:
        header: header of the columns; empty texts for none.
        rows: a cell is a text, a number (written by `number`) or None (a dash).
        emphasised: the numbers of the rows that stand out.
    """
    rows, emphasised = list(rows), set(emphasised)
    numeric = [any(map(_is_number, column)) for column in zip(*rows, strict=True)] or [False] * len(header)

    def line(tag: str, texts: Sequence[str]) -> str:
        cells = zip(texts, numeric, strict=True)
        return ''.join(f'<{tag}{" class=number" if right else ""}>{escape(text)}</{tag}>' for text, right in cells)

    body = '\n'.join(
        f'<tr{" class=emphasised" if i in emphasised else ""}>{line("td", [_text(cell) for cell in row])}</tr>'
        for i, row in enumerate(rows)
    )
    head = f'<thead><tr>{line("th", header)}</tr></thead>' if any(header) else ''
    return f'<div class="scroll"><table>\n{head}\n<tbody>\n{body}\n</tbody>\n</table></div>'


def number(value: float) -> str:
    """A formatted number: four significant digits, separated thousands; a dash if it is not finite."""
    if not math.isfinite(value):
        return NOTHING
    return f'{value:,}' if isinstance(value, Integral) else f'{value:,.4g}' if abs(value) < 1e4 else f'{value:,.0f}'


def value(of_config: Any) -> str:
    """A value of a config: text as it is, everything else as Python writes it."""
    return of_config if isinstance(of_config, str) else repr(of_config)


def folded(summary: str, *content: str) -> str:
    """Content that a click unfolds."""
    inside = '\n'.join(content)
    return f'<details>\n<summary>{escape(summary)}</summary>\n{inside}\n</details>'


def row(*content: str) -> str:
    """Parts side by side if there is space, else one below the other."""
    return '<div class="row">\n' + '\n'.join(part for part in content if part) + '\n</div>'


def picture(image: bytes | str | os.PathLike, caption: str = '', rows: Sequence[str] = ()) -> str:
    """A picture inside the page, with its caption.

    Args:
        image: an image file's name, or its bytes.
        caption: plain text.
        rows: what each row of a grid shows, from the top.
    """
    text = f'<figcaption>{escape(caption)}</figcaption>' if caption else ''
    return f'<figure>{_labelled(f"""<img src="{_source(image)}" alt="{escape(caption)}">""", rows)}{text}</figure>'


def films(
    named: Mapping[str, Sequence[Frame]],
    rows: Mapping[str, Sequence[str]] | None = None,
    shares: Mapping[str, float] | None = None,
) -> str:
    """Films side by side under one slider, with a play button.

    The slider stops where any film has a frame; a film shows its last frame until then, or else its first. Of more than
    40 frames that many are kept, evenly spaced, the first and the last among them.

    Args:
        named: title -> frames, in the order of their time; a film without frames is left out. In the place of damaged
            frames stands a sentence for each.
        rows: title -> what each row of its grids shows, from the top.
        shares: title -> the part of its place that a film fills, from 0 to 1; by default its own width.
    """
    rows, shares = rows or {}, shares or {}
    packed = {name: [_packed(frame) for frame in evenly(frames, _MAX_FRAMES)] for name, frames in named.items()}
    damaged = [
        paragraph(frame, 'bad') for frames in packed.values() for frame in frames if isinstance(frame, UserError)
    ]
    named = {name: [frame for frame in frames if isinstance(frame, Frame)] for name, frames in packed.items()}
    named = {name: frames for name, frames in named.items() if frames}
    if not named:
        return '\n'.join(damaged)
    stops = sorted({frame.at for frames in named.values() for frame in frames})
    figures = '\n'.join(
        _film(name if len(named) > 1 else '', frames, rows.get(name, ()), shares.get(name))
        for name, frames in named.items()
    )
    return '\n'.join(damaged) + timed(stops, row(figures))


def timed(stops: Sequence[float], content: str) -> str:
    """Content over a slider with a play button, which begins at the last of the stops."""
    return (
        f'<div class="films" data-stops="{json.dumps(stops)}">\n{content}\n'
        '<div class="controls"><button type="button">Play</button>'
        f'<input type="range" min="0" max="{len(stops) - 1}" value="{len(stops) - 1}" aria-label="time"></div>\n</div>'
    )


def _packed(frame: Frame) -> Frame | UserError:
    """The frame with its picture as a data URL, or the sentence on a damaged one."""
    try:
        return frame._replace(image=_source(frame.image))
    except UserError as error:
        return error


def _film(title: str, frames: Sequence[Frame], rows: Sequence[str], share: float | None) -> str:
    last = frames[-1]
    images = '\n'.join(
        f'<img src="{frame.image}" data-at="{json.dumps(frame.at)}" '
        f'alt="{escape(frame.caption)}"{"" if frame is last else " hidden"}>'
        for frame in frames
    )
    heading = f'<h3>{escape(title)}</h3>\n' if title else ''
    width = '' if share is None else f' style="--share: {share:.4g}"'
    caption = f'<figcaption>{escape(last.caption)}</figcaption>'
    return f'<figure class="film"{width}>\n{heading}{_labelled(images, rows)}\n{caption}\n</figure>'


def _labelled(images: str, rows: Sequence[str]) -> str:
    """Images with what each of their rows shows beside them, or below where there are many."""
    if not rows:
        return images
    if len(rows) > _MOST_LABELS:
        return f'{images}\n{folded("The rows from the top", paragraph(", ".join(rows), "small"))}'
    labels = ''.join(f'<span>{escape(row)}</span>' for row in rows)
    return f'<div class="labelled"><div class="rows">{labels}</div><div>\n{images}\n</div></div>'


def _text(cell: Any) -> str:
    if cell is None:
        return NOTHING
    return number(cell) if _is_number(cell) else str(cell)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _source(image: bytes | str | os.PathLike) -> str:
    """A picture as a data URL."""
    if not isinstance(image, bytes):
        return _file_source(os.fspath(image), *files.state(image))
    return _data_url(image)


@functools.lru_cache(maxsize=64)
def _file_source(path: str, *_state: int) -> str:
    """That of a file in some state: a page that is written again and again packs each picture once."""
    try:
        return _data_url(pathlib.Path(path).read_bytes())
    except Exception as error:  # decoders raise many kinds
        raise UserError(f'{path} is not a complete picture and is skipped: delete it.') from error


def _data_url(original: bytes) -> str:
    """The picture as it is or, if that is possible and smaller, as WebP.

    One of more pixels than Pillow opens can only be a PNG file.
    """
    kind, packed = 'image/png', io.BytesIO()
    with contextlib.suppress(Image.DecompressionBombError), Image.open(io.BytesIO(original)) as opened:
        kind = opened.get_format_mimetype()
        if not getattr(opened, 'is_animated', False) and max(opened.size) <= WIDEST_WEBP:
            opened.save(packed, 'webp', quality=_QUALITY)
    if 0 < len(packed.getvalue()) < len(original):
        kind, original = 'image/webp', packed.getvalue()
    return f'data:{kind};base64,{base64.b64encode(original).decode()}'


@functools.cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding='utf-8')
