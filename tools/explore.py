"""Shows a trained generator under sliders in the browser: the picture follows them.

    python -m gan_jax.tools.explore runs/x                                    # open the address that it prints
    python -m gan_jax.tools.explore runs/x --out page.html                    # one file that needs no server
    python -m gan_jax.tools.explore runs/x --seed 3 --psi 0.7 --picture 3.png # one picture

The page says which command makes the picture that it shows. A file for --out contains pictures of a few seeds with one
change at a time.
"""

import argparse
import shlex
import sys
import threading
from collections.abc import Mapping, Sequence

from gan_jax.errors import UserError, exit_code
from gan_jax.pages import explore_page
from gan_jax.records import files, report
from gan_jax.runtime import parallel
from gan_jax.sampling.sliders import Settings, Sliders
from gan_jax.sampling.trained import import_model, load_run
from gan_jax.sampling.wanted_classes import choose_classes

from .compare import page_path
from .serving import Route, make_server, serve

SLIDERS = {
    'seed': 'of the latent where the path begins (default: 0)',
    'to': 'seed where the path ends (default: 1)',
    'walk': 'share of the path that is done (default: 0)',
    'class': 'number or name, of a conditional run (default: the first)',
    'to_class': 'the class at the end of the path (default: the same)',
    'psi': 'truncation, from 1, none, to 0, the mean (default: 1)',
    'layers': 'of a style generator, those that the walk and the moves change: all, coarse, middle or fine',
    'moves': 'along the directions, in their order: --moves=1.5,-2',
}
"""The flags of a picture and what they mean; the page has a control for each."""


def read_settings(sliders: Sliders, given: Mapping[str, str], *, numbered: bool = False) -> Settings:
    """Parses settings from strings.

    Args:
        sliders: the generator under sliders.
        given: texts by names of `SLIDERS`.
        numbered: whether classes are numbers, although a class may be named by the number of another.

    Raises:
        UserError: the name, class or number does not exist.
    """
    found = {}
    for name, text in given.items():
        if name not in SLIDERS:
            raise UserError(f'There is no slider {name!r}; there are {", ".join(SLIDERS)}.')
        key = name.replace('class', 'label')
        try:
            if name.endswith('class'):
                found[key] = _class(sliders, int(text) if numbered else text)
            elif name in ('seed', 'to'):
                found[key] = int(text)
            elif name == 'moves':
                found[key] = tuple(map(float, text.split(',')))
            else:
                found[key] = text if name == 'layers' else float(text)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f'{name}={text} is not a number, or numbers with commas for moves.') from error
    return Settings(**found)


def routes(sliders: Sliders, page: str) -> dict[tuple[str, str], Route]:
    """The routes of the server: the page at '/', and 'picture?seed=3&class=2' as PNG."""
    lock = threading.Lock()

    def picture(query: Mapping[str, str], _: bytes) -> tuple[str, bytes]:
        with lock:
            return 'image/png', report.png(sliders.images([read_settings(sliders, query, numbered=True)])[0])

    return {('GET', '/'): lambda *_: ('text/html; charset=utf-8', page.encode()), ('GET', '/picture'): picture}


def _class(sliders: Sliders, wanted: int | str) -> int:
    run = sliders.run
    if not run.is_conditional:
        raise UserError('The generator of this run is unconditional; remove --class and --to_class.')
    return choose_classes([wanted], run.num_classes, run.class_names)[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line; serves the page, or writes a page or a picture."""
    parser = argparse.ArgumentParser(prog='python -m gan_jax.tools.explore', description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('run', type=files.user_path, help='directory of the run')
    parser.add_argument('--step', type=int, help='of the checkpoint (default: the latest)')
    parser.add_argument('--threshold', type=float, help='components of latents beyond it are drawn again')
    parser.add_argument('--import_model', action='store_true', help="import a run's own module, which runs its code")
    parser.add_argument('--host', default='127.0.0.1', help='address of the server (default: 127.0.0.1)')
    parser.add_argument('--port', type=int, default=8017, help='of the server; 0: any that is free (default: 8017)')
    parser.add_argument('--out', type=files.user_path, metavar='PAGE.html', help='write a page that needs no server')
    parser.add_argument('--picture', type=files.user_path, metavar='FILE.png', help='write one picture')
    for name, text in SLIDERS.items():
        parser.add_argument(f'--{name}', help=text)
    flags = parser.parse_args(argv)
    given = {name: getattr(flags, name) for name in SLIDERS if getattr(flags, name) is not None}
    return exit_code(lambda: _run(flags, given))


def _run(flags: argparse.Namespace, given: Mapping[str, str]) -> None:
    parallel.enable_compilation_cache()
    _check(flags, given)
    if flags.import_model:
        import_model(flags.run)
    answers: dict[tuple[str, str], Route] = {}
    server = None if flags.out or flags.picture else make_server(answers, flags.host, flags.port)
    run = load_run(flags.run, flags.step).standing(None, flags.threshold)
    sliders = Sliders(run, threshold=flags.threshold)
    settings, command = read_settings(sliders, given), _command(flags, run.step)
    title = flags.run.resolve().name
    if flags.picture:
        report.save_png(flags.picture, sliders.images([settings])[0], step=run.step)
        print(f'Step {run.step}: {flags.picture}')
    elif flags.out:
        sheet = explore_page.sheet_of(sliders)
        files.replace(flags.out, explore_page.page(title, sliders, command, {}, sheet).encode())
        print(f'{len(sheet.settings)} pictures of step {run.step}: open {flags.out}')
    else:
        sliders.images([settings])  # compiles, and finds what is wrong before the browser does
        answers.update(routes(sliders, explore_page.page(title, sliders, command, _start(settings))))
        serve(server)


def _check(flags: argparse.Namespace, given: Mapping[str, str]) -> None:
    """Raises a UserError for files that cannot be written."""
    if flags.out and flags.picture:
        raise UserError('--out writes a page and --picture one picture: give one of them.')
    if flags.out and given:
        raise UserError(f'--{next(iter(given))} is for a picture or a served page; remove it with --out.')
    if flags.out:
        page_path(flags.out, '--out')
    for path in filter(None, (flags.out, flags.picture)):
        files.check_writable(path)


def _command(flags: argparse.Namespace, step: int) -> str:
    """The command that starts the page of the same checkpoint."""
    words = ['python', '-m', 'gan_jax.tools.explore', str(flags.run), f'--step={step}']
    if flags.threshold is not None:
        words.append(f'--threshold={flags.threshold:g}')
    if flags.import_model:
        words.append('--import_model')
    return shlex.join(words)


def _start(settings: Settings) -> dict[str, str]:
    """The initial values of the page's controls, by name."""
    values = settings._asdict()
    moves, label, to_label = (values.pop(name) for name in ('moves', 'label', 'to_label'))
    values |= {'class': label, 'to_class': label if to_label is None else to_label}
    values |= {f'move{i}': move for i, move in enumerate(moves)}
    return {name: str(value) for name, value in values.items()}


if __name__ == '__main__':
    sys.exit(main())
