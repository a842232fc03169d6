"""Files of evaluations: a JSON list of records, and of failures among them."""

import json
import os
import pathlib
from collections.abc import Iterable

from gan_jax.errors import UserError
from gan_jax.evaluation.evaluator import table
from gan_jax.evaluation.record import Evaluation, Failure, Record, differences
from gan_jax.records import files


def report(evaluation: Evaluation, path: pathlib.Path, earlier: Iterable[Record] = ()) -> None:
    """Prints records as a table and writes them as JSON with the failures, after earlier records of the same file.

    Raises:
        UserError: the file cannot be written.
    """
    print(table(evaluation.records))
    values = [one.to_json() for one in (*earlier, *evaluation.records, *evaluation.failures)]
    files.replace(path, (json.dumps(values, indent=2, allow_nan=False) + '\n').encode())
    print(f'\nWritten to {path}.')


def check_complete(evaluations: Iterable[Evaluation]) -> None:
    """Raises a UserError that names the metrics which could not be computed, and why."""
    failures = list(dict.fromkeys(failure for evaluation in evaluations for failure in evaluation.failures))
    if failures:
        reasons = ' '.join(f'{one.metric} of {one.subject}: {one.failure}' for one in failures)
        raise UserError(f'Some metrics could not be computed; the others are written. {reasons}')


def read(path: str | os.PathLike) -> Evaluation:
    """Reads what `report` has written.

    Raises:
        UserError: the file cannot be read or is of something else.
    """
    try:
        values = json.loads(pathlib.Path(path).read_text())
        if not isinstance(values, list):
            raise ValueError('it is not a list of records')
        failed = [one for one in values if isinstance(one, dict) and 'failure' in one]
        records = [Record.from_json(one) for one in values if one not in failed]
        return Evaluation(records, [Failure(**one) for one in failed])
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f'{path} is not the result of an evaluation ({error}): give a file written by gan_jax.evaluate.'
        ) from error


def compare(first: str | os.PathLike, second: str | os.PathLike) -> str:
    """Two results of `report` side by side, with the differences that make them incomparable.

    Raises:
        UserError: a file is not a result, or they have no metric in common.
    """
    one, other = ({record.metric: record for record in read(path).records} for path in (first, second))
    names = [name for name in one if name in other]
    if not names:
        has = ', '.join(one) or 'none'
        raise UserError(f'{first} and {second} have no metric in common: {has}; {", ".join(other) or "none"}.')
    lines = []
    for name in names:
        lines.append(f'{name:24}  {one[name].value:12.6g}  {other[name].value:12.6g}')
        lines += [f'{"":24}  not comparable: {difference}' for difference in differences(one[name], other[name])]
    return '\n'.join(lines)
