"""Files of people's votes on a page of `tools.judge`, and of the page's key, which identifies its pictures."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from gan_jax.errors import UserError
from gan_jax.evaluation.human import REAL, Study, Votes
from gan_jax.records import files

_ANSWERS = {'real': True, 'generated': False}
_CHOICES = {'first': 0, 'second': 1}


def save_key(path: pathlib.Path, study: Study) -> None:
    """Writes the key of a page.

    Raises:
        UserError: the file cannot be written, or is the key of another page, whose votes need it.
    """
    if path.exists() and read_key(path).page != study.page:
        raise UserError(
            f'{path} is the key of another page, whose votes need it: give this page another name with --out.'
        )
    files.replace(path, json.dumps(study._asdict()).encode())


def read_key(path: pathlib.Path) -> Study:
    """A study from the key of its page.

    Raises:
        UserError: the file does not exist, or is not a key.
    """
    values = _read(path)
    try:
        pairs = tuple((int(first), int(second)) for first, second in values['pairs'])
        quiz = tuple(int(source) for source in values['quiz'])
        study = Study(str(values['page']), tuple(map(str, values['runs'])), str(values['real']), quiz, pairs)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path} is not the key of a page of tools.judge.') from error
    if not {*quiz, *(run for pair in pairs for run in pair)} <= set(range(REAL, len(study.runs))):
        raise UserError(f'{path} is damaged: it names a run that it does not list.')
    return study


def parse_votes(study: Study, values: Mapping[str, Any], name: str) -> Votes:
    """The votes of one person from JSON values.

    Args:
        study: the study of their page.
        values: the values saved by the page.
        name: name of the file, for errors.

    Raises:
        UserError: these are not votes, or they belong to another page.
    """
    page = _page_of(values, name)
    if page != study.page:
        raise UserError(f'{name} contains votes of the page {page}, and the key is that of the page {study.page}.')
    try:
        quiz = {int(one['item']): _ANSWERS[one['answer']] for one in values['quiz']}
        pairs = {int(one['item']): _CHOICES[one['answer']] for one in values['pairs']}
        votes = Votes(str(values['rater']), quiz, pairs)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{name} is damaged: its votes cannot be read.') from error
    if not (set(quiz) <= set(range(len(study.quiz))) and set(pairs) <= set(range(len(study.pairs)))):
        raise UserError(f'{name} is damaged: it contains votes on pictures that the page does not have.')
    return votes


def read_votes(paths: Iterable[pathlib.Path], key: pathlib.Path | None = None) -> tuple[Study, list[Votes]]:
    """The votes in some files, one entry for each person, and their study.

    If a person has several files, the one with the most answers counts.

    Args:
        paths: files of votes, or directories of them.
        key: key of their page; None: it is looked for beside the votes, beside their directory and in the current one.

    Raises:
        UserError: there are no votes, they belong to another page, or no key is found.
    """
    found = {}
    for path in paths:
        for file in sorted(path.glob('*.json')) if path.is_dir() else [path]:
            found[file] = _read(file)
    if not found:
        raise UserError('There are no votes yet: give files of votes, or the directory that a served page fills.')
    first = next(iter(found))
    study = read_key(key) if key else _find_key(first, _page_of(found[first], str(first)))
    people: dict[str, Votes] = {}
    for file, values in found.items():
        votes = parse_votes(study, values, str(file))
        earlier = people.get(votes.rater, votes)
        people[votes.rater] = max(earlier, votes, key=lambda one: len(one.quiz) + len(one.pairs))
    return study, list(people.values())


def _find_key(votes: pathlib.Path, page: str) -> Study:
    beside = votes.resolve().parent
    for path in (
        path for place in (beside, beside.parent, pathlib.Path()) for path in sorted(place.glob('*.key.json'))
    ):
        study = read_key(path)
        if study.page == page:
            return study
    raise UserError(f'No file *.key.json near {votes} is the key of its page, {page}: give it with --key.')


def _page_of(values: Mapping[str, Any], name: str) -> str:
    if not isinstance(values.get('page'), str) or 'rater' not in values:
        raise UserError(f'{name} does not contain votes of a page of tools.judge.')
    return values['page']


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        return files.read_object(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f'There is no file {path}.') from error
