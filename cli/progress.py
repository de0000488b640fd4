"""Progress of a job: a bar on a terminal, lines in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from cli.messages import warn
from crnn_reader.errors import printable

#: Seconds between two progress lines if stderr is not a terminal.
LOG_INTERVAL = 15.0


class Advance(Protocol):
    """Report that `count` more units are done. `new_total` replaces the total number of units."""

    def __call__(self, count: int, new_total: int | None = None) -> None: ...


@contextlib.contextmanager
def progress(title: str, total: int | None, unit: str = "pictures") -> Iterator[Advance]:
    """Show the progress of a job on stderr. Yields a function to report finished units, see :class:`Advance`.

    On a terminal this is a bar with the rate and the time left. In a log it is a line every :data:`LOG_INTERVAL`
    seconds.

    Arguments:
        title: name of the job.
        total: number of units, None if unknown.
        unit: name of the units, in the plural.
    """
    if sys.stderr.isatty():
        with _bar(title, total, unit) as advance_bar:
            yield advance_bar
        return
    started = last = time.monotonic()
    done = 0

    def advance(count: int, new_total: int | None = None) -> None:
        nonlocal done, last, total
        done, total = done + count, new_total or total
        now = time.monotonic()
        if now - last >= LOG_INTERVAL:
            last = now
            rate = done / (now - started)
            left = f" of {total:,}, {_clock((total - done) / rate)} left" if total and rate else ""
            warn(f"{title}: {done:,}{left}, {rate:,.0f} {unit}/s")

    yield advance


@contextlib.contextmanager
def _bar(title: str, total: int | None, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        # The description may contain paths, and brackets in paths are not markup.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    # By default, rich also redirects stdout, which would move results to stderr.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(printable(title), total=total, rate="")

        def advance(count: int, new_total: int | None = None) -> None:
            bar.update(task, advance=count, total=new_total or bar.tasks[0].total)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield advance


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
