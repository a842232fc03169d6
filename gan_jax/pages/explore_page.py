"""The page of a generator under sliders: a live one that asks a server, and one with a sheet of pictures inside."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from gan_jax.pages import document as html
from gan_jax.records import report
from gan_jax.sampling.sliders import Settings, Sliders

_WALK, _PSI, _MOVE = 5, 4, 4  # stops of the sliders of a sheet: of the walk, of psi from 0 to 1, of a move to one side
_MOST_SEEDS, _MOST_CLASSES = 8, 10
_MOST_PICTURES, _MOST_PIXELS = 4000, 2**24  # of a sheet, so that a page stays in a few megabytes
_WIDEST = 256  # pixels of a picture in a sheet


class Sheet(NamedTuple):
    """The pictures that a page without a server shows: one change at a time of each of some seeds in some classes.

    Attributes:
        seeds: number of seeds, from 0.
        classes: number of classes, the first ones; 1 where the generator is not told classes.
        settings: settings of each picture, by the key under which the page looks for it.
    """

    seeds: int
    classes: int
    settings: dict[str, Settings]


def sheet_of(sliders: Sliders) -> Sheet:
    """As many seeds and classes as fit into a sheet: at most 8 and 10, and at least two seeds of one class."""
    all_classes = min(sliders.run.num_classes, _MOST_CLASSES) if sliders.run.is_conditional else 1
    pixels = math.prod(_size(sliders))
    for classes in range(all_classes, 0, -1):
        for seeds in range(_MOST_SEEDS, 1, -1):
            settings = _settings(sliders, seeds, classes)
            if len(settings) <= min(_MOST_PICTURES, _MOST_PIXELS // pixels):
                return Sheet(seeds, classes, settings)
    return Sheet(2, 1, _settings(sliders, 2, 1))


def page(title: str, sliders: Sliders, command: str, start: Mapping[str, str], sheet: Sheet | None = None) -> str:
    """The page as one HTML document.

    Args:
        title: title of the run, plain text.
        sliders: the generator under sliders.
        command: starts a page of this kind; with more flags it makes one picture.
        start: where the controls stand at first, by their names.
        sheet: the pictures to put into the page; None: a server answers 'picture?seed=...'.
    """
    run = sliders.run
    caption = f'{run.config.model} on {run.config.data.name}, step {run.step:,}'
    data = {
        'command': command,
        'caption': caption,
        'directions': [one.name for one in sliders.directions],
        'layers': sliders.layers and list(sliders.layers),
        'classes': _class_names(sliders),
        'start': dict(start),
        'sheet': None,
    }
    hint = 'Move the sliders; the picture follows.'
    pictures = ''
    if sheet is not None:
        size, columns = _size(sliders), math.ceil(math.sqrt(len(sheet.settings)))
        stops = {'walk': _WALK, 'psi': _PSI, 'move': _MOVE / sliders.reach}
        data['sheet'] = {'keys': list(sheet.settings), 'size': size, 'columns': columns, 'stops': stops}
        images = _resized(sliders.images(list(sheet.settings.values())), size)
        grid = report.png(report.image_grid(images, columns, padding=0, scale=1))
        pictures = f'<div class="sheet" hidden>{html.picture(grid)}</div>'
        hint = (
            f'This page contains {len(images):,} pictures and shows one change at a time: a slider that moves puts the '
            f'others back. For all combinations run: {command}'
        )
    body = [
        html.paragraph(hint),
        '<div class="explore">',
        '<figure class="stage"><canvas role="img" aria-label="the generated picture"></canvas>',
        f'<div><figcaption>{html.escape(caption)}</figcaption><div class="controls">'
        f'{_button("play", "Play")}{_button("keep", "Keep")}</div></div></figure>',
        f'<form class="sliders">\n{_controls(sliders, sheet)}\n</form>',
        '</div>',
        html.section(
            'The same picture as a file', f'<div class="command"><code></code>{_button("copy", "Copy")}</div>'
        ),
        '<div class="keeping" hidden>',
        html.section('Kept pictures', '<div class="kept"></div>', html.paragraph('A click goes back to it.', 'small')),
        '</div>',
        pictures,
        html.style('explore.css'),
        html.data('explore', data),
    ]
    return html.document(title, '\n'.join(filter(None, body)), scripts=('explore.js',))


def _controls(sliders: Sliders, sheet: Sheet | None) -> str:
    last_seed = 2**32 - 1 if sheet is None else sheet.seeds - 1
    names = _class_names(sliders)
    path = [_seed('seed', 'from seed', 0, last_seed), _seed('to', 'to seed', 1, last_seed)]
    path.append(_slider('walk', 'walk', 0, 1, 0.01 if sheet is None else 1 / _WALK, 0))
    groups = [_group('Interpolation', *path)]
    if names:
        shown = names if sheet is None else names[: sheet.classes]
        selects = [_select('class', 'class', shown)]
        if sheet is None:
            selects.append(_select('to_class', 'class at the end', shown))
        groups.append(_group('Class', *selects))
    if sliders.layers:
        choices = ''.join(
            f'<label class="choice"><input type="radio" name="layers" value="{name}"'
            f'{" checked" if name == "all" else ""}>{name}</label>'
            for name in sliders.layers
        )
        groups.append(
            _group('Layers of styles', choices, html.paragraph('that the walk and the moves change', 'small'))
        )
    groups.append(_group('Truncation', _slider('psi', 'psi', 0, 1, 0.01 if sheet is None else 1 / _PSI, 1)))
    step = 0.05 if sheet is None else sliders.reach / _MOVE
    moves = [
        _slider(f'move{i}', one.name, -sliders.reach, sliders.reach, step, 0)
        for i, one in enumerate(sliders.directions)
    ]
    groups.append(_group('Directions', *moves, _button('reset', 'Reset')))
    return '\n'.join(groups)


def _settings(sliders: Sliders, seeds: int, classes: int) -> dict[str, Settings]:
    """The settings of a sheet by the keys that explore.js makes of its controls."""
    found = {}
    for label in range(classes):
        for seed in range(seeds):
            base, key = Settings(seed, label=label), f'{label} {seed}'
            found[key] = base
            for to in (other for other in range(seeds) if other != seed):
                for layers in sliders.layers or ('all',):
                    name = '' if layers == 'all' else f'{layers} '
                    for i in range(1, _WALK + (layers != 'all')):
                        found[f'{key} {name}to {to}={i}'] = base._replace(to=to, walk=i / _WALK, layers=layers)
            for i in range(_PSI):
                found[f'{key} psi={i}'] = base._replace(psi=i / _PSI)
            for number in range(len(sliders.directions)):
                for i in (*range(-_MOVE, 0), *range(1, _MOVE + 1)):
                    moves = (0.0,) * number + (i * sliders.reach / _MOVE,)
                    found[f'{key} move{number}={i}'] = base._replace(moves=moves)
    return found


def _size(sliders: Sliders) -> tuple[int, int]:
    """Height and width of a picture in a sheet."""
    height, width, _ = sliders.run.shape
    scale = min(1.0, _WIDEST / max(height, width))
    return round(height * scale), round(width * scale)


def _resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if images.shape[1:3] == size:
        return images
    height, width = size
    pictures = [Image.fromarray(image.squeeze()).resize((width, height), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(picture).reshape(height, width, -1) for picture in pictures])


def _class_names(sliders: Sliders) -> list[str] | None:
    run = sliders.run
    return list(run.class_names or map(str, range(run.num_classes))) if run.is_conditional else None


def _group(legend: str, *content: str) -> str:
    return f'<fieldset><legend>{html.escape(legend)}</legend>{"".join(content)}</fieldset>'


def _button(what: str, text: str) -> str:
    return f'<button type="button" data-do="{what}">{html.escape(text)}</button>'


def _slider(name: str, text: str, least: float, most: float, step: float, at: float) -> str:
    return (
        f'<label>{html.escape(text)}<input type="range" name="{name}" min="{least:g}" max="{most:g}" step="{step:g}" '
        f'value="{at:g}"><output data-of="{name}"></output></label>'
    )


def _seed(name: str, text: str, at: int, most: int) -> str:
    return (
        f'<label>{html.escape(text)}<input type="number" name="{name}" min="0" max="{most}" value="{at}">'
        f'{_button(name, "new")}</label>'
    )


def _select(name: str, text: str, options: list[str]) -> str:
    inside = ''.join(f'<option value="{i}">{html.escape(one)}</option>' for i, one in enumerate(options))
    return f'<label>{html.escape(text)}<select name="{name}">{inside}</select></label>'
