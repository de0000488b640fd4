"""Batch an iterator dynamically (:func:`dynamic_batches`), and map an iterator in parallel (:func:`ordered_map`).

Threads communicate by queues:

    taker        next(items)             -> to_prepare and arrived, each item with a Future
    preparers    prepare(item)           -> the Future of the item
    workers      next(items), work(item) -> done

No thread waits forever, because:

- Stopping sets a flag and puts an entry into every queue on which a thread may wait. It takes no lock and never blocks,
  and `SimpleQueue.put` is reentrant. So it may run in the consumer's thread, in an exception handler, or in the garbage
  collector, which may run in any thread.
- Every Future is completed. A preparer completes it whatever `prepare` raises, and the taker cancels the Futures that
  it put into `to_prepare` after the preparers were stopped.
- The consumer stops the workers when it ends, is closed or raises, and they stop the taker and the preparers.
- The consumer's thread only waits on `done`, and regularly checks that the workers are alive.
- When the interpreter exits, all threads are stopped, and running computations get some seconds to end. A process that
  exits while a library computes in a thread may crash.
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

#: Seconds to wait for running computations when the interpreter exits.
EXIT_TIMEOUT = 10.0
#: Seconds between two checks that the workers are alive.
CHECK_INTERVAL = 1.0


def available_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _ThreadGroup:
    """Daemon threads that end after `stop()`.

    They are daemons because a source that waits for input from a terminal must not keep an interrupted command alive.
    """

    def __init__(self) -> None:
        self.stopping = self.stopped = False

    def begin(self) -> None:
        """Register the threads to be stopped at exit. Call this before starting the first thread."""
        _groups.add(self)
        # Functions registered last run first: run before those of the libraries.
        atexit.unregister(_stop_all)
        atexit.register(_stop_all)

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """Create a thread in which a library may compute. The exit of the interpreter waits for it."""

        def run() -> None:
            _computing.add(thread)
            try:
                target()
            finally:
                _computing.discard(thread)

        thread = threading.Thread(target=run, name=name, daemon=True)
        return thread

    def stop(self) -> None:
        """Stop all threads. Never blocks; may be called by any thread at any point."""
        # Guards against calls by destructors during interpreter shutdown, when module globals are gone.
        if not self.stopped:
            self.stopping = True
            self.wake()
            _groups.discard(self)
            self.stopped = True

    def wake(self) -> None:
        """Put an entry into every queue on which a thread may wait."""
        raise NotImplementedError


#: Thread groups to stop and threads to wait for when the interpreter exits.
_groups, _computing = set[_ThreadGroup](), set[threading.Thread]()


def _stop_all() -> None:
    with contextlib.suppress(ValueError):
        # A second Ctrl-C would interrupt the wait below, and the process might crash.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for group in tuple(_groups):
        group.stop()
    due = time.monotonic() + EXIT_TIMEOUT
    for thread in tuple(_computing):
        thread.join(max(0.0, due - time.monotonic()))


# Batches


class DynamicBatches(Iterator[list[tuple[Item, Prepared]]]):
    """The iterator that :func:`dynamic_batches` returns.

    Only one thread at a time may request the next batch. Any thread may call :meth:`close`.
    """

    def __init__(
        self, items: Iterable[Item], prepare: Callable[[Item], Prepared], size: int, ahead: int, patience: float
    ) -> None:
        self._preparation = _Preparation(prepare, size * ahead)
        self._size, self._patience, self._end = size, patience, list[BaseException | None]()
        self._preparation.begin()
        threading.Thread(target=self._preparation.take, args=(items,), name="taking", daemon=True).start()

    def __next__(self) -> list[tuple[Item, Prepared]]:
        if not self._end:
            batch = []
            entry = self._preparation.arrived.get()
            due = time.monotonic() + self._patience
            while isinstance(entry, tuple):
                batch.append(entry)
                self._preparation.room.put(None)
                if len(batch) == self._size:
                    break
                try:
                    entry = self._preparation.arrived.get(timeout=max(0.0, due - time.monotonic()))
                except Empty:
                    break
            if not isinstance(entry, tuple):
                self._end.append(entry)
            if self._preparation.stopping:
                self._end.append(None)
            elif batch:
                return [(item, future.result()) for item, future in batch]
        error = self._end[0]
        self._end[:] = [None]
        raise error or StopIteration

    def close(self) -> None:
        """Stop the threads and take no further items. Never blocks."""
        self._preparation.stop()

    def __del__(self) -> None:
        self.close()


def dynamic_batches(
    items: Iterable[Item], prepare: Callable[[Item], Prepared], size: int, ahead: int, patience: float
) -> DynamicBatches[Item, Prepared]:
    """Batch an iterator dynamically: full batches from fast sources, partial ones from slow sources.

    Arguments:
        items: the source. It is iterated in a thread of its own and may block.
        prepare: called with each item, in one thread per core.
        size: maximum number of items in a batch.
        ahead: number of batches to hold in addition to the one returned last. At most `size * ahead` items are held.
        patience: seconds to wait for more items after the first one of a batch. With 0, a batch has the items that have
            arrived since the last one.

    Yields non-empty lists of pairs (item, prepare(item)), in order. An exception of `items` is raised after all earlier
    items, and an exception of `prepare` in place of its batch.
    """
    return DynamicBatches(items, prepare, size, ahead, patience)


class _Preparation(_ThreadGroup, Generic[Item, Prepared]):
    """The taker and preparers of :class:`DynamicBatches`, without a reference to it, so that it can be collected."""

    def __init__(self, prepare: Callable[[Item], Prepared], room: int) -> None:
        super().__init__()
        self.prepare, self.max_preparers = prepare, available_cores()
        #: Has one entry for each item that may be taken.
        self.room = SimpleQueue[None]()
        for _ in range(room):
            self.room.put(None)
        #: None stops a preparer.
        self.to_prepare = SimpleQueue[tuple[Item, Future[Prepared]] | None]()
        #: None or an exception of the iterator marks the end.
        self.arrived = SimpleQueue[tuple[Item, Future[Prepared]] | BaseException | None]()

    def wake(self) -> None:
        self.room.put(None)
        self.arrived.put(None)
        self._stop_preparers()

    def take(self, items: Iterable[Item]) -> None:
        end, preparers = None, 0
        try:
            remaining = iter(items)
            del items
            while not self.stopping:
                self.room.get()
                if self.stopping:
                    break
                try:
                    item = next(remaining)
                except StopIteration:
                    break
                if preparers < self.max_preparers:
                    self.thread(self._prepare_items, f"preparing {preparers}").start()
                    preparers += 1
                entry = item, Future[Prepared]()
                # In this order, so that every item in `arrived` will be prepared.
                self.to_prepare.put(entry)
                self.arrived.put(entry)
        except BaseException as error:
            end = error
        if self.stopping:
            self._cancel_preparing()
        self.arrived.put(end)
        self._stop_preparers()

    def _stop_preparers(self) -> None:
        for _ in range(self.max_preparers):
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
            if self.stopping:
                future.cancel()
                continue
            try:
                future.set_result(self.prepare(item))
            except BaseException as error:
                future.set_exception(error)


# Work


def ordered_map(items: Iterator[Item], work: Callable[[Item], Made], workers: int) -> Generator[Made, None, None]:
    """Map an iterator in threads. Yields the results in order.

    At most `workers + 1` items are taken ahead of the results.

    Arguments:
        items: the source. Only one worker at a time takes an item from it.
        work: called with each item.
        workers: number of threads.

    An exception of `items` or `work` is raised in place of its result. Raises UserError if a forked process continues
    the generator of its parent.
    """
    group = _WorkerGroup(items, work, workers)
    del items
    try:
        group.begin()
        for worker in group.workers:
            worker.start()
        yield from group.results()
    finally:
        group.stop()


class _Outcome(NamedTuple, Generic[Made]):
    """The result of item `number`, as a tuple of one. An empty tuple without an error marks the end."""

    number: int
    made: tuple[Made, ...] = ()
    error: BaseException | None = None


class _WorkerGroup(_ThreadGroup, Generic[Item, Made]):
    """The workers of :func:`ordered_map`, without a reference to the generator, so that it can be collected."""

    def __init__(self, items: Iterator[Item], work: Callable[[Item], Made], workers: int) -> None:
        super().__init__()
        self.items, self.work, self.process = items, work, os.getpid()
        #: `turn` is held by the worker that takes an item and protects the number of items taken and `ended`.
        self.turn, self.taken, self.ended = threading.Lock(), 0, False
        #: Has one entry for each item that may be taken.
        self.slots = SimpleQueue[None]()
        for _ in range(workers + 1):
            self.slots.put(None)
        self.done = SimpleQueue[_Outcome[Made]]()
        self.workers = [self.thread(self._work, f"reading {number}") for number in range(workers)]

    def wake(self) -> None:
        self._wake_workers()
        # Other iterators cannot be woken. A worker that waits for one ends when it returns its next item.
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
            # Checked before waiting: a worker puts its last outcome into `done` before it ends.
            alive = any(worker.is_alive() for worker in self.workers)
            try:
                return self.done.get(timeout=CHECK_INTERVAL)
            except Empty:
                if not alive:
                    raise RuntimeError("the threads that read have ended before their work") from None

    def _work(self) -> None:
        number = 0
        try:
            while True:
                self.slots.get()
                with self.turn:
                    if self.stopping or self.ended:
                        return
                    # If next() raises, `ended` stays True, and no other worker takes the items after the failed one.
                    number, self.ended = self.taken, True
                    try:
                        item = next(self.items)
                    except StopIteration:
                        self.done.put(_Outcome(number))
                        self._wake_workers()
                        return
                    self.taken, self.ended = number + 1, False
                if self.stopping:
                    return
                self.done.put(_Outcome(number, (self.work(item),)))
        except BaseException as error:
            self.ended = True
            self.done.put(_Outcome(number, error=error))
            self._wake_workers()

    def _wake_workers(self) -> None:
        for _ in self.workers:
            self.slots.put(None)
