"""Batch an iterator dynamically (:func:`dynamic_batches`); map one in parallel and in order (:func:`ordered_map`).

Threads pass items on by queues:

    taker        next(items)      -> to_prepare and arrived, with a Future beside each item
    preparers    prepare(item)    -> the item's Future
    workers      next(items), work(item) -> done

Why none of them waits for ever:

- Leaving sets a flag and puts something into every queue that a thread may be waiting at. It takes no lock and waits
  for nobody, and `SimpleQueue.put` is reentrant. So it may run anywhere: in the thread that reads, in the garbage
  collector (in whichever thread that happens to run, one of these included), or in an exception handler.
- A Future is always set: a preparer sets it whatever `prepare` raises, and the taker cancels those that it put into
  `to_prepare` after the preparers were sent home.
- The thread that reads waits at `done` only, and looks now and then whether the workers are still there.
- At the exit of the interpreter all is left, and what is being computed has some seconds to end: a process that ends
  while a library computes in a thread may crash.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from .errors import UserError

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Made = TypeVar("Made")

#: Seconds that computations have to end when the interpreter exits.
LEAVING = 10.0
#: Seconds after which the thread that reads looks whether the workers are still there.
WATCH = 1.0


def available_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Team:
    """Daemon threads that end after `leave()`.

    Daemons, because a source that waits for a line from a terminal must not keep an interrupted command alive.
    """

    def __init__(self) -> None:
        self.over = self.left = False

    def begin(self) -> None:
        """To be called before the first thread starts."""
        _teams.add(self)
        # Registered last, it runs before what the libraries have registered.
        atexit.unregister(_leave_all)
        atexit.register(_leave_all)

    def thread(self, story: Callable[[], None], name: str) -> threading.Thread:
        """A thread in which a library may compute."""

        def run() -> None:
            _computing.add(thread)
            try:
                story()
            finally:
                _computing.discard(thread)

        thread = threading.Thread(target=run, name=name, daemon=True)
        return thread

    def leave(self) -> None:
        """Send all threads home. Never waits; may be called by any thread at any point."""
        # When the interpreter takes its modules apart, all has been left.
        if not self.left:
            self.over = True
            self.wake()
            _teams.discard(self)
            self.left = True

    def wake(self) -> None:
        """Put something into every queue that a thread may be waiting at."""
        raise NotImplementedError


#: What the end of the interpreter has to leave, and to wait for.
_teams, _computing = set[_Team](), set[threading.Thread]()


def _leave_all() -> None:
    with contextlib.suppress(ValueError):
        # A second Ctrl-C would interrupt the waiting, and the process could crash.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for team in tuple(_teams):
        team.leave()
    due = time.monotonic() + LEAVING
    for thread in tuple(_computing):
        thread.join(max(0.0, due - time.monotonic()))


# Batches


class DynamicBatches(Iterator[list[tuple[Item, Prepared]]]):
    """What :func:`dynamic_batches` returns. One thread at a time may ask for the next batch; any may leave."""

    def __init__(
        self, items: Iterable[Item], prepare: Callable[[Item], Prepared], size: int, ahead: int, patience: float
    ) -> None:
        self._line = _Line(prepare, size * ahead)
        self._size, self._patience, self._end = size, patience, list[BaseException | None]()
        self._line.begin()
        threading.Thread(target=self._line.take, args=(items,), name="arrivals", daemon=True).start()

    def __next__(self) -> list[tuple[Item, Prepared]]:
        if not self._end:
            batch = []
            entry = self._line.arrived.get()
            due = time.monotonic() + self._patience
            while isinstance(entry, tuple):
                batch.append(entry)
                self._line.room.put(None)
                if len(batch) == self._size:
                    break
                try:
                    entry = self._line.arrived.get(timeout=max(0.0, due - time.monotonic()))
                except Empty:
                    break
            if not isinstance(entry, tuple):
                self._end.append(entry)
            if self._line.over:
                self._end.append(None)
            elif batch:
                return [(item, future.result()) for item, future in batch]
        error = self._end[0]
        self._end[:] = [None]
        raise error or StopIteration

    def close(self) -> None:
        """Leave: take no further item. Never waits."""
        self._line.leave()

    def __del__(self) -> None:
        self.close()


def dynamic_batches(
    items: Iterable[Item], prepare: Callable[[Item], Prepared], size: int, ahead: int, patience: float
) -> DynamicBatches[Item, Prepared]:
    """Yield batches of `items` in their order: non-empty lists of at most `size` pairs (item, prepared).

    Once a batch has its first item, it waits `patience` seconds for more. With a patience of 0 it is what has arrived
    since the last batch was asked for, so a slow source gives small batches and a fast one full ones. `items` is
    iterated in a thread of its own and may block; `prepare` runs in one thread per core. At most `size * ahead` items
    are held beside the batch that was handed out. An exception of the iterator is raised after all items before it,
    one of `prepare` in place of its batch.
    """
    return DynamicBatches(items, prepare, size, ahead, patience)


class _Line(_Team, Generic[Item, Prepared]):
    """The taker and the preparers. They hold no reference to :class:`DynamicBatches`, so that it can be collected."""

    def __init__(self, prepare: Callable[[Item], Prepared], room: int) -> None:
        super().__init__()
        self.prepare, self.most_preparers = prepare, available_cores()
        #: One entry for each item that may be taken.
        self.room = SimpleQueue[None]()
        for _ in range(room):
            self.room.put(None)
        #: None sends a preparer home.
        self.to_prepare = SimpleQueue[tuple[Item, Future[Prepared]] | None]()
        #: None, or the exception of the iterator, is the end.
        self.arrived = SimpleQueue[tuple[Item, Future[Prepared]] | BaseException | None]()

    def wake(self) -> None:
        self.room.put(None)
        self.arrived.put(None)
        self._send_preparers_home()

    def take(self, items: Iterable[Item]) -> None:
        end, preparers = None, 0
        try:
            remaining = iter(items)
            del items
            while not self.over:
                self.room.get()
                if self.over:
                    break
                try:
                    item = next(remaining)
                except StopIteration:
                    break
                if preparers < self.most_preparers:
                    self.thread(self._prepare_items, f"preparing {preparers}").start()
                    preparers += 1
                entry = item, Future[Prepared]()
                # First here: what has arrived is sure to be prepared.
                self.to_prepare.put(entry)
                self.arrived.put(entry)
        except BaseException as error:
            end = error
        if self.over:
            self._cancel_preparing()
        self.arrived.put(end)
        self._send_preparers_home()

    def _send_preparers_home(self) -> None:
        for _ in range(self.most_preparers):
            self.to_prepare.put(None)

    def _cancel_preparing(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                entry = self.to_prepare.get_nowait()
                if entry is not None:
                    entry[1].cancel()

    def _prepare_items(self) -> None:
        while (entry := self.to_prepare.get()) is not None:
            item, future = entry
            if self.over:
                future.cancel()
                continue
            try:
                future.set_result(self.prepare(item))
            except BaseException as error:
                future.set_exception(error)


# Work


def ordered_map(items: Iterator[Item], work: Callable[[Item], Made], workers: int) -> Generator[Made, None, None]:
    """Yield `work` of each of the `items` in their order, `workers` of them at a time, in threads.

    At most one item beside those that are worked on is taken ahead of what was handed out. An exception of `items` or
    `work` is raised in its turn. Raises UserError when the generator is continued in a forked process.
    """
    crew = _Crew(items, work, workers)
    del items
    try:
        crew.begin()
        for worker in crew.workers:
            worker.start()
        yield from crew.results()
    finally:
        crew.leave()


class _Outcome(NamedTuple, Generic[Made]):
    """What has come of item `number`; without `made` it is an error, or the end."""

    number: int
    made: tuple[Made, ...] = ()
    error: BaseException | None = None


class _Crew(_Team, Generic[Item, Made]):
    """The workers. They hold no reference to the generator, so that it can be collected."""

    def __init__(self, items: Iterator[Item], work: Callable[[Item], Made], workers: int) -> None:
        super().__init__()
        self.items, self.work, self.process = items, work, os.getpid()
        #: Held by the worker that takes an item.
        self.turn, self.taken, self.ended = threading.Lock(), 0, False
        #: One entry for each item that may be taken.
        self.slots = SimpleQueue[None]()
        for _ in range(workers + 1):
            self.slots.put(None)
        self.done = SimpleQueue[_Outcome[Made]]()
        self.workers = [self.thread(self._work, f"reading {number}") for number in range(workers)]

    def wake(self) -> None:
        self._wake_workers()
        # A plain iterator cannot be woken: the worker that waits for it leaves when it gives its next item.
        if isinstance(self.items, DynamicBatches):
            self.items.close()

    def results(self) -> Generator[Made, None, None]:
        outcomes = dict[int, _Outcome[Made]]()
        for number in itertools.count():
            while number not in outcomes:
                outcome = self._outcome()
                outcomes[outcome.number] = outcome
            outcome = outcomes.pop(number)
            if outcome.error is not None:
                raise outcome.error
            if not outcome.made:
                return
            yield outcome.made[0]
            self.slots.put(None)

    def _outcome(self) -> _Outcome[Made]:
        while True:
            if os.getpid() != self.process:
                raise UserError("this iterator was started in another process: call read() in the process that reads")
            there = any(worker.is_alive() for worker in self.workers)
            try:
                return self.done.get(timeout=WATCH)
            except Empty:
                if not there:
                    raise RuntimeError("the threads that read have ended before their work") from None

    def _work(self) -> None:
        number = 0
        try:
            while True:
                self.slots.get()
                with self.turn:
                    if self.over or self.ended:
                        return
                    # Should the taking fail, no other worker goes on behind the gap.
                    number, self.ended = self.taken, True
                    try:
                        item = next(self.items)
                    except StopIteration:
                        self.done.put(_Outcome(number))
                        self._wake_workers()
                        return
                    self.taken, self.ended = number + 1, False
                if self.over:
                    return
                self.done.put(_Outcome(number, (self.work(item),)))
        except BaseException as error:
            self.ended = True
            self.done.put(_Outcome(number, error=error))
            self._wake_workers()

    def _wake_workers(self) -> None:
        for _ in self.workers:
            self.slots.put(None)
