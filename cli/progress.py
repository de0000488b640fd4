"""How far a job is: a bar on a terminal, lines in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from cli.messages import printable, warn

#: Seconds between two progress lines when stderr is a log file rather than a terminal.
LOG_INTERVAL = 15.0


class Advance(Protocol):
    """Says that `count` more units are done, and how many there are when that has changed."""

    def __call__(self, count: int, new_total: int | None = None) -> None: ...


@contextlib.contextmanager
def progress(title: str, total: int | None, unit: str = "pictures") -> Iterator[Advance]:
    """Show how far a job of `total` units is, on stderr; yields `advance(count)`.

    On a terminal: a bar with rate and time left. In a log: a line every :data:`LOG_INTERVAL` seconds.
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
        # Paths stand in it, and brackets in those are no markup.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    # Left alone, rich would take stdout for its terminal too, and results with it.
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
