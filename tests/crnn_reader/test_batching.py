"""Batches of an iterator, fast or slow, mapped in parallel and in order; and that no thread ever waits for ever."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crnn_reader.batching import dynamic_batches, ordered_map
from tests.processes import finished

ROOT = Path(__file__).parents[2]

#: Seconds, far more than anything here takes, so that a test that hangs ends with a failure.
LONG = 100.0


def doubled(number: int) -> int:
    return 2 * number


def until(condition: Callable[[], bool]) -> None:
    due = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.001)


def threads() -> list[str]:
    names = ("reading", "preparing", "taking")
    return [each.name for each in threading.enumerate() if each.name.startswith(names)]


@pytest.fixture(autouse=True)
def _all_threads_end() -> Iterator[None]:
    yield
    due = time.monotonic() + LONG
    while threads() and time.monotonic() < due:
        time.sleep(0.01)
    assert threads() == []


def test_what_comes_fast_comes_in_full_batches_and_in_order() -> None:
    batches = list(dynamic_batches(range(70), doubled, size=16, ahead=2, patience=LONG))
    assert [len(batch) for batch in batches] == [16, 16, 16, 16, 6]
    assert list(itertools.chain(*batches)) == [(number, 2 * number) for number in range(70)]
    assert list(dynamic_batches([], doubled, size=16, ahead=2, patience=LONG)) == []
    assert [len(batch) for batch in dynamic_batches(range(32), doubled, size=16, ahead=2, patience=LONG)] == [16, 16]


def test_what_comes_slowly_is_there_before_the_next_one_comes() -> None:
    answered = threading.Semaphore(0)

    def slow() -> Iterator[int]:
        for number in range(3):
            yield number
            assert answered.acquire(timeout=LONG), "waited for a second item before the first was handed out"

    batches = []
    for batch in dynamic_batches(slow(), doubled, size=64, ahead=4, patience=0.1):
        batches.append(batch)
        answered.release()
    assert batches == [[(0, 0)], [(1, 2)], [(2, 4)]]


def test_without_patience_a_batch_is_what_has_come() -> None:
    more, taken = threading.Event(), threading.Event()

    def first_one_then_others() -> Iterator[int]:
        yield 0
        assert more.wait(LONG)
        yield from range(1, 6)
        taken.set()

    batches = dynamic_batches(first_one_then_others(), doubled, size=4, ahead=4, patience=0.0)
    assert next(batches) == [(0, 0)]
    more.set()
    assert taken.wait(LONG)
    assert [[number for number, _ in batch] for batch in batches] == [[1, 2, 3, 4], [5]]


def test_takes_no_more_than_it_may_hold() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        for number in itertools.count(1):
            taken = number
            yield number

    batches = dynamic_batches(endless(), doubled, size=8, ahead=2, patience=0.1)
    for batch in itertools.islice(batches, 50):
        until(lambda: taken >= batch[-1][0] + 8)  # noqa: B023 (called at once)
        # Two batches ahead and one that was handed out.
        assert taken <= batch[-1][0] + 24


def test_an_error_of_the_iterator_comes_after_what_came_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(20)
        raise ValueError("line 21 is damaged")

    batches = dynamic_batches(broken(), doubled, size=16, ahead=2, patience=0.1)
    assert [number for number, _ in [*next(batches), *next(batches)]] == list(range(20))
    with pytest.raises(ValueError, match="line 21"):
        next(batches)


def test_an_error_in_preparing_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(dynamic_batches([2, 1, 0], lambda number: 1 // number, size=2, ahead=2, patience=0.1))


def test_one_may_leave_while_the_iterator_waits_and_it_is_not_asked_again() -> None:
    goes_on, asked = threading.Event(), []

    def stuck() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number
            goes_on.wait(LONG)

    batches = dynamic_batches(stuck(), doubled, size=4, ahead=2, patience=0.1)
    assert next(batches) == [(0, 0)]
    threads = [thread for thread in threading.enumerate() if thread.name == "taking"]
    assert len(threads) == 1 and threads[0].daemon
    batches.close()
    goes_on.set()
    threads[0].join(LONG)
    assert not threads[0].is_alive()
    assert asked == [0, 1]


# Several at a time


def numbers(upto: int) -> Generator[int, None, None]:
    yield from range(upto)


def test_several_are_worked_on_at_a_time_and_come_in_their_order() -> None:
    together = threading.Barrier(2)

    def work(number: int) -> int:
        together.wait(LONG)
        if number % 2 == 0:
            time.sleep(0.01)
        return doubled(number)

    assert list(ordered_map(numbers(10), work, workers=2)) == [2 * number for number in range(10)]
    assert list(ordered_map(numbers(0), work, workers=2)) == []


def test_what_is_done_is_handed_out_while_the_next_item_is_awaited() -> None:
    answered = threading.Semaphore(0)

    def slow() -> Generator[int, None, None]:
        for number in range(3):
            yield number
            assert answered.acquire(timeout=LONG), "waited for a second item before the first was handed out"

    found = []
    for made in ordered_map(slow(), doubled, workers=2):
        found.append(made)
        answered.release()
    assert found == [0, 2, 4]


def test_workers_are_no_further_ahead_than_they_may_be() -> None:
    taken = 0

    def endless() -> Generator[int, None, None]:
        nonlocal taken
        for number in itertools.count():
            taken = number
            yield number

    for number in itertools.islice(ordered_map(endless(), int, workers=3), 40):
        until(lambda: taken >= number + 3)  # noqa: B023 (called at once)
        assert taken - number <= 4


def test_errors_of_items_and_of_work_come_in_their_turn() -> None:
    def broken() -> Generator[int, None, None]:
        yield from (4, 2, 1)
        raise ValueError("line 4 is damaged")

    made = ordered_map(broken(), lambda number: 8 // number, workers=2)
    assert [next(made), next(made), next(made)] == [2, 4, 8]
    with pytest.raises(ValueError, match="line 4"):
        next(made)
    made = ordered_map(numbers(5), lambda number: 8 // (2 - number), workers=2)
    assert [next(made), next(made)] == [4, 8]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_items_are_closed_when_one_leaves() -> None:
    closed = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    made = ordered_map(endless(), doubled, workers=2)
    assert next(made) == 0
    made.close()
    assert closed.wait(LONG)


# Both together, as a reader has them


def read(
    items: Iterable[int], prepare: Callable[[int], int], work: Callable[[list[tuple[int, int]]], Any], workers: int
) -> Generator[Any, None, None]:
    return ordered_map(dynamic_batches(items, prepare, size=4, ahead=2, patience=0.0), work, workers)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit])
@pytest.mark.parametrize("place", ["iterator at once", "iterator", "prepare", "work"])
@pytest.mark.parametrize("workers", [1, 3])
def test_whatever_is_raised_anywhere_is_raised_to_the_reader(
    error: type[BaseException], place: str, workers: int
) -> None:
    def items() -> Iterator[int]:
        if place == "iterator":
            yield from range(30)
        if place.startswith("iterator"):
            raise error
        yield from itertools.count()

    def prepare(number: int) -> int:
        if place == "prepare" and number == 30:
            raise error
        return number

    def work(batch: list[tuple[int, int]]) -> int:
        if place == "work" and batch[-1][0] >= 30:
            raise error
        return len(batch)

    made = read(items(), prepare, work, workers)
    with pytest.raises(error):
        for _ in made:
            pass


# Leaving


@pytest.mark.parametrize("how", ["close", "collected in work", "collected in prepare", "collected by the iterator"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_half_read_iterator_ends_its_threads_wherever_it_is_closed(how: str, workers: int) -> None:
    """The garbage collector runs in any thread, in those that the iterator itself has started, too."""
    loose, collected = threading.Event(), threading.Event()

    class Held:
        def __del__(self) -> None:
            collected.set()

    def at(place: str) -> None:
        if not how.endswith(place):
            return
        # Long enough that one is under way when the iterator is let go of: nothing further is begun then.
        time.sleep(0.05)
        if loose.is_set():
            gc.collect()

    def items(_: Held) -> Iterator[int]:
        for number in itertools.count():
            at("iterator")
            yield number

    def prepare(number: int) -> int:
        at("prepare")
        return number

    def work(batch: list[tuple[int, int]]) -> int:
        at("work")
        return len(batch)

    gc.disable()
    try:
        made = read(items(Held()), prepare, work, workers)
        next(made)
        if how == "close":
            made.close()
        else:
            cycle: list[Any] = [made]
            cycle.append(cycle)
            del made, cycle
            loose.set()
        # The iterator itself is let go of, too.
        assert collected.wait(LONG)
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_reading_begun_before_a_fork_says_so_in_the_child() -> None:
    # In a process without the threads of the other tests, whose locks a child would inherit.
    story = """
import itertools, os
from crnn_reader import UserError
from crnn_reader.batching import dynamic_batches, ordered_map
made = ordered_map(dynamic_batches(itertools.count(), int, 4, 2, 0.1), len, 2)
next(made)
child = os.fork()
if not child:
    try:
        next(made)
    except UserError as error:
        os.write(1, str(error).encode())
    os._exit(0)
os.waitpid(child, 0)
made.close()
"""
    done = finished([sys.executable, "-c", story], cwd=ROOT)
    assert "started in another process" in done.stdout, done


# The end of the process

BEGINNING = """
import gc, os, signal, sys, threading, time, itertools
from crnn_reader.batching import dynamic_batches, ordered_map

def items():
    yield from range(100)
    if WAITING: threading.Event().wait()
    yield from itertools.count()

def work(batch):
    time.sleep(0.01)
    return len(batch)

made = ordered_map(dynamic_batches(items(), str, 4, 2, 0.1), work, 2)
next(made)
"""


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("raise OSError(28, 'No space left on device')", 1),
        ("loop = [made]; loop.append(loop); sys.exit(3)", 3),
        ("made.close(); sys.exit(3)", 3),
        ("threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start(); list(made)", -2),
        ("[None for _ in made if 1 // 0]", 1),
        ("threading.Thread(target=list, args=(made,), daemon=True).start(); time.sleep(0.1); sys.exit(3)", 3),
    ],
)
def test_a_process_ends_whatever_happens_to_it(ending: str, code: int, waiting: bool) -> None:
    story = f"WAITING = {waiting}\n{BEGINNING}{ending}\n"
    done = finished([sys.executable, "-c", story], cwd=ROOT)
    assert done.returncode == code, done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_process_interrupted_twice_ends_when_what_is_underway_has_ended() -> None:
    """Else a library that still computes may crash it."""
    story = """
import os, signal, sys, threading, time
from crnn_reader.batching import dynamic_batches, ordered_map

def work(batch):
    for pause in (0.3, 0.6):
        threading.Timer(pause, os.kill, (os.getpid(), signal.SIGINT)).start()
    time.sleep(1.5)
    os.write(1, b"ended")

try:
    list(ordered_map(dynamic_batches("a", str, 1, 1, 0.0), work, 2))
except KeyboardInterrupt:
    sys.exit(130)
"""
    done = finished([sys.executable, "-c", story], cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "ended", "")
