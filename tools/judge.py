"""Lets people judge generated images: a blind quiz of real and generated ones, and choices between two runs.

    python -m gan_jax.tools.judge runs/a runs/b --real fashion_mnist          # writes judge.html and judge.key.json
    python -m gan_jax.tools.judge runs/a runs/b --real fashion_mnist --serve   # and collects votes in judge.votes/
    python -m gan_jax.tools.judge --votes judge.votes                          # error rates, or of downloaded files

judge.html may be given to anybody and needs no server. judge.key.json says what the pictures are: keep it. One run and
--num 50 is the protocol of HYPE-infinity (Zhou et al. 2019): 50 generated and 50 real images.
"""

import argparse
import hashlib
import itertools
import json
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from gan_jax.data import Dataset, to_uint8
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluate import load_images, name_and_split
from gan_jax.evaluation import human
from gan_jax.evaluation.gather import shape_text
from gan_jax.evaluation.human import REAL, Results, Study, Votes
from gan_jax.evaluation.labels import draw_conditions
from gan_jax.evaluation.votes import parse_votes, read_votes, save_key
from gan_jax.game import named_key
from gan_jax.pages import judge_page
from gan_jax.ranges import SEED, Range
from gan_jax.records import files
from gan_jax.runtime import parallel
from gan_jax.sampling.samples import generate
from gan_jax.sampling.trained import TrainedRun, import_model, load_run
from gan_jax.training.datasets import load_data

from .compare import page_path
from .serving import Route, make_server, serve

_NUM = Range(0, 1000)


def make_study(
    runs: Mapping[str, TrainedRun], real: Dataset, *, num: int = 25, pairs: int = 25, seed: int = 0
) -> tuple[Study, np.ndarray]:
    """The pictures of a page, and their identities.

    Args:
        runs: by name, of images of one shape; their samples have running averages and no truncation.
        real: images of the same shape.
        num: images of each run in the quiz, which has as many real ones as of all runs.
        pairs: of each two runs; pairs of conditional runs have one class each.
        seed: seed of latents, classes, real images and the order.

    Returns:
        The study, whose id depends on all of this, and uint8 [quiz + 2 pairs, H, W, C]: the pictures of the quiz, then
        both of each pair.

    Raises:
        UserError: the shapes differ, there are too few real images, or the page would have no pictures.
    """
    if not num and (not pairs or len(runs) < 2):
        raise UserError('There is nothing to judge: raise --num, or give two runs and raise --pairs.')
    for name, run in runs.items():
        _check_run(name, run)
        if run.shape != real.shape:
            raise UserError(
                f'{name} generates images of {shape_text(run.shape)} and those of {real.name} are '
                f'{shape_text(real.shape)}: runs and real images must have one size.'
            )
    if num * len(runs) > len(real):
        raise UserError(f'The quiz needs {num * len(runs)} real images and {real.name} has {len(real)}: lower --num.')
    rng = np.random.default_rng(seed)
    meetings = [pair for pair in itertools.combinations(range(len(runs)), 2) for _ in range(pairs)]
    drawn = [_samples(run, real, num + len(meetings), seed) for run in runs.values()]
    chosen = np.sort(rng.choice(len(real), num * len(runs), replace=False))
    pictures = [(REAL, image) for image in np.asarray(real.examples[chosen])]
    pictures += [(i, image) for i, images in enumerate(drawn) for image in images[:num]]
    pictures = [pictures[i] for i in rng.permutation(len(pictures))]
    compared = []
    for place in rng.permutation(len(meetings)):
        both = [(run, drawn[run][num + place]) for run in meetings[place]]
        compared.append(both if rng.integers(2) else both[::-1])
    images = np.stack([image for _, image in pictures] + [image for both in compared for _, image in both])
    sources = tuple(source for source, _ in pictures), tuple(tuple(run for run, _ in both) for both in compared)
    about = tuple(runs), f'{real.name}@{real.split}', *sources
    page = hashlib.sha256(json.dumps(about).encode() + images.tobytes()).hexdigest()[:16]
    return Study(page, *about), images


def _check_run(name: str, run: TrainedRun) -> None:
    if len(run.shape) != 3:
        raise UserError(f'{name} generates {run.kind.name}, which people cannot judge here: give runs of images.')
    if run.game.translates:
        raise UserError(f'{name} translates images; only runs that make images of latents can be judged.')


def _samples(run: TrainedRun, real: Dataset, num: int, seed: int) -> np.ndarray:
    """uint8 [num, H, W, C], in classes as often as real images have them; none that a run's own page shows."""
    latents = run.game.latents(named_key(seed, 'judge'), jnp.arange(num))
    conditions = None
    if run.is_conditional:
        conditions = draw_conditions(real, num, seed, run.num_classes, run.class_names)['conditions']
    return np.asarray(to_uint8(generate(run.game, run.generator, latents, conditions)))


def load_real(run: TrainedRun, spec: str | None, data_dir: str | None = None) -> Dataset:
    """Real images for a run.

    Args:
        run: whose size and channels they get.
        spec: a directory, an .npz or .npy file or NAME[@SPLIT]; None: the data that the run was trained on.
        data_dir: where TFDS data sets lie.

    Raises:
        UserError: the images do not exist.
    """
    own = run.config.data
    name, split = (own.name, own.split) if spec is None else name_and_split(spec)
    if name == own.name and data_dir is None:
        return load_data(own, split)
    size = run.shape[0] if run.shape[0] == run.shape[1] else None
    found = load_images(spec or f'{name}@{split}', size=size, channels=run.shape[2], data_dir=data_dir)
    if not isinstance(found, Dataset):
        raise UserError(f'{spec} contains statistics of features; --real needs images.')
    return found


def routes(study: Study, page: str, directory: pathlib.Path) -> dict[tuple[str, str], Route]:
    """The routes of a server: the page at '/', and posted votes, which are saved and answered with the mistakes."""

    def votes(_: Mapping[str, str], posted: bytes) -> tuple[str, bytes]:
        try:
            values = json.loads(posted)
            rater = re.fullmatch('[0-9a-f]{16}', values['rater'])[0]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError('These are no votes.') from error
        one = parse_votes(study, values, 'The posted file')
        files.replace(directory / f'{rater}.json', json.dumps(values).encode())
        return 'text/plain; charset=utf-8', _told(study, one).encode()

    return {('GET', '/'): lambda *_: ('text/html; charset=utf-8', page.encode()), ('POST', '/votes'): votes}


def _told(study: Study, votes: Votes) -> str:
    """A person's own result in words."""
    parts = []
    for kind, other, is_real in (('generated', 'real', False), ('real', 'generated', True)):
        answers = [said for item, said in votes.quiz.items() if (study.quiz[item] == REAL) == is_real]
        if answers:
            parts.append(f'{sum(said != is_real for said in answers)} of {len(answers)} {kind} images for {other}')
    return f'Your votes are saved. You took {" and ".join(parts)}.' if parts else 'Your votes are saved.'


def table(study: Study, results: Results) -> str:
    """The results in lines for a terminal."""
    lines = [f'Real images: {study.real}. Intervals: 95 % of bootstrap resamples of raters and of their answers.', '']
    width = max(map(len, study.runs))
    lines.append(f'{"":{width}}  {"HYPE-infinity":24}  generated taken for real')
    for name, score, fooled in zip(study.runs, results.scores, results.fooled, strict=True):
        lines.append(f'{name:{width}}  {_text(score):24}  {_text(fooled)}')
    lines += ['', f'Real taken for generated: {_text(results.doubted)}']
    for (i, j), rate in results.preferred.items():
        lines.append(f'{study.runs[i]} looks more real than {study.runs[j]}: {_text(rate)}')
    return '\n'.join(lines)


def _text(rate: human.Rate | None) -> str:
    if rate is None:
        return 'no answers'
    low, high = (100 * bound for bound in rate.interval)
    return f'{100 * rate.value:.1f} % [{low:.1f}, {high:.1f}]'


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line; writes the page, serves it, or prints the results of votes."""
    parser = argparse.ArgumentParser(prog='python -m gan_jax.tools.judge', description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('runs', nargs='*', type=files.user_path, help='directories of runs')
    parser.add_argument(
        '--real', help='a directory, an .npz or .npy file or NAME[@SPLIT] (default: data of the first run)'
    )
    parser.add_argument('--num', type=int, default=25, help='images of each run in the quiz (default: 25)')
    parser.add_argument('--pairs', type=int, default=25, help='pairs of each two runs (default: 25)')
    parser.add_argument('--seed', type=int, default=0, help='of images and order (default: 0)')
    parser.add_argument('--data_dir', help='where TFDS data sets lie (default: TFDS_DATA_DIR)')
    parser.add_argument(
        '--import_model', action='store_true', help="import the runs' own modules, which runs their code"
    )
    parser.add_argument('--out', type=files.user_path, default=pathlib.Path('judge.html'), help='default: judge.html')
    parser.add_argument('--serve', action='store_true', help='serve the page and collect votes')
    parser.add_argument('--host', default='127.0.0.1', help='address of the server (default: 127.0.0.1)')
    parser.add_argument('--port', type=int, default=8018, help='of the server; 0: any that is free (default: 8018)')
    parser.add_argument(
        '--votes', nargs='+', type=files.user_path, metavar='JSON', help='files or directories of votes'
    )
    parser.add_argument('--key', type=files.user_path, help='of the page of the votes (default: look for it near them)')
    flags = parser.parse_args(argv)
    return exit_code(lambda: _run(flags))


def _run(flags: argparse.Namespace) -> None:
    if flags.votes:
        study, votes = read_votes(flags.votes, flags.key)
        print(f'Raters: {len(votes)}. ', end='')
        print(table(study, human.results(study, votes)))
        return
    if not flags.runs:
        raise UserError('There is nothing to judge: give directories of runs, or --votes and the files of votes.')
    page_path(flags.out, '--out')
    for name in ('num', 'pairs'):
        _NUM.check(f'--{name}', getattr(flags, name))
    SEED.check('--seed', flags.seed)
    key = flags.out.with_suffix('.key.json')
    for path in (flags.out, key):
        files.check_writable(path)
    answers: dict[tuple[str, str], Route] = {}
    server = make_server(answers, flags.host, flags.port) if flags.serve else None
    parallel.enable_compilation_cache()
    runs = {}
    for path in flags.runs:
        if flags.import_model:
            import_model(path)
        if str(path) in runs:
            raise UserError(f'{path} is given twice: give each run once.')
        runs[str(path)] = load_run(path).standing(None)
        _check_run(str(path), runs[str(path)])
    real = load_real(next(iter(runs.values())), flags.real, flags.data_dir)
    study, images = make_study(runs, real, num=flags.num, pairs=flags.pairs, seed=flags.seed)
    save_key(key, study)
    page = judge_page.page(study.page, len(study.quiz), len(study.pairs), images, served=flags.serve)
    files.replace(flags.out, page.encode())
    print(f'{len(study.quiz)} images and {len(study.pairs)} pairs: {flags.out}; what they are: {key}')
    if server:
        directory = flags.out.with_suffix('.votes')
        answers.update(routes(study, page, directory))
        print(f'Votes are saved in {directory}.')
        serve(server)


if __name__ == '__main__':
    sys.exit(main())
