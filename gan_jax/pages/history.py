"""Descriptions of how a run was started, stopped and resumed."""

import datetime
from typing import Any

from gan_jax.pages import document as html
from gan_jax.pages.workdir import Workdir
from gan_jax.records import lock


def sentences(run: Workdir, *, stopped: bool = False) -> list[str]:
    """Whether the run is trained, has stopped or diverged, and where it was resumed, as HTML.

    Args:
        run: the run.
        stopped: whether its training is about to end, although the run's lock is still held.
    """
    parts = []
    if text := divergence(run):
        parts.append(html.paragraph(text, 'bad'))
    elif run.step < run.total:
        if lock.is_fresh(run.path) and not stopped:
            now = datetime.datetime.now(datetime.UTC)
            parts.append(
                f'<p>In training when this page was written, <time datetime="{now.isoformat()}">'
                f'{_moment(now.isoformat())}</time>. If that is long ago, the run was killed: run the same command to '
                'resume.</p>'
            )
        else:
            text = f'Stopped after step {run.step:,}, before the end. Run the same command to resume.'
            parts.append(html.paragraph(text, 'warning'))
    if resumed := [resumption(one) for one in run.starts[1:]]:
        parts.append(
            html.folded(f'Resumed {len(resumed)} times' if len(resumed) > 1 else 'Resumed once', _list(resumed))
        )
    return parts


def divergence(run: Workdir) -> str:
    """Why a run was given up, or ''."""
    return '' if run.diverged is None else f'Diverged and stopped: {run.diverged}.'


def resumption(start: dict[str, Any]) -> str:
    """Where and when a run was resumed, and why: 'Resumed from step 400 (2026-11-29 09:30 UTC). The run was ...'."""
    where = f'Resumed from step {start["step"]:,} ({_moment(start["time"])}).'
    if start['diverged'] is not None:
        return f'{where} The run had diverged: {start["diverged"]}.'
    if (start['reached'] or 0) > start['step']:
        return f'{where} The run was killed after step {start["reached"]:,}.'
    return f'{where} The run was stopped there.'


def facts(run: Workdir) -> list[tuple[str, str]]:
    """Rows of a table: when the run started, by which command, from which code."""
    if not run.starts:
        return []
    first, last = run.starts[0], run.starts[-1]
    rows = [('started', f'{_moment(first["time"])} on {first["host"]}'), ('command', last['command'])]
    return rows + ([('commit', last['commit'])] if last['commit'] else [])


def _moment(time: str) -> str:
    return datetime.datetime.fromisoformat(time).strftime('%Y-%m-%d %H:%M UTC')


def _list(texts: list[str]) -> str:
    return '<ul>' + ''.join(f'<li>{html.escape(text)}</li>' for text in texts) + '</ul>'
