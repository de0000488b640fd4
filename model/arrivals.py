"""What comes from an iterator, by the batch: full ones where it is fast, whatever is there where it is slow.

And what is made of the batches, several at a time, in their order.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import TypeVar

import console

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Made = TypeVar("Made")

#: Seconds for which one who leaves waits for the next item: longer than any takes that is on its way.
LEAVING = 0.5


def arrivals(
    items: Iterable[Item], prepare: Callable[[Item], Prepared], size: int, ahead: int, patience: float
) -> Generator[list[tuple[Item, Prepared]]]:
    """The `items` in their order, each with what `prepare` makes of it, up to `size` at a time and never none.

    Once there is one, a batch waits for `patience` seconds to be filled; with none, it is what has come since the one
    before was asked for: the longer that took, the more. Items are taken in a thread of its own, which may wait for
    the next one for as long as it likes, and prepared in several others; no more than `ahead` batches are held beside
    the one that was handed out. What the iterator or `prepare` raises is raised here, the iterator's after all items
    that came before.
    """
    arrived: SimpleQueue[tuple[Item, Future[Prepared]] | BaseException | None] = SimpleQueue()
    room = threading.Semaphore(size * ahead)
    over = threading.Event()
    pool = ThreadPoolExecutor(console.cores())

    def take() -> None:
        end = None
        try:
            remaining = iter(items)
            while room.acquire() and not over.is_set():
                try:
                    item = next(remaining)
                except StopIteration:
                    break
                if over.is_set():
                    break
                arrived.put((item, pool.submit(prepare, item)))
        except BaseException as error:
            end = error
        arrived.put(end)

    # A daemon: one that waits for a line from a terminal must not keep an interrupted command alive.
    threading.Thread(target=take, name="arrivals", daemon=True).start()
    try:
        while True:
            batch = []
            entry = arrived.get()
            due = time.monotonic() + patience
            while isinstance(entry, tuple):
                batch.append(entry)
                room.release()
                if len(batch) == size:
                    break
                try:
                    entry = arrived.get(timeout=max(0.0, due - time.monotonic()))
                except Empty:
                    break
            if batch:
                yield [(item, future.result()) for item, future in batch]
            if isinstance(entry, BaseException):
                raise entry
            if entry is None:
                return
    finally:
        over.set()
        room.release()
        pool.shutdown(cancel_futures=True)


def overlapping(
    items: Generator[Item, None, None], work: Callable[[Item], Made], workers: int
) -> Generator[Made, None, None]:
    """What `work` makes of each of the `items`, in their order, `workers` of them at a time, in threads.

    Whoever is free takes the next item; what is made waits for those before it, and no more than one item beside those
    that are worked on is taken ahead of what was handed out. What the items or `work` raise is raised here, in its
    turn.
    """
    taken: SimpleQueue[Future[Made] | BaseException | None] = SimpleQueue()
    taking, room = threading.Lock(), threading.Semaphore(workers + 1)
    underway, over = set[Future[Made]](), threading.Event()

    def take() -> None:
        while room.acquire():
            with taking:
                try:
                    item = next(items)
                except StopIteration:
                    taken.put(None)
                    return
                except BaseException as error:
                    taken.put(error)
                    return
                if over.is_set():
                    items.close()
                    return
                future: Future[Made] = Future()
                underway.add(future)
                taken.put(future)
            try:
                future.set_result(work(item))
            except BaseException as error:
                future.set_exception(error)
            underway.discard(future)

    # What is told here, and not by joining threads: in Python 3.11 a join that is interrupted takes a thread for ended.
    ended = [Future[None]() for _ in range(workers)]

    def worker(end: Future[None]) -> None:
        take()
        end.set_result(None)

    def leave() -> None:
        over.set()
        room.release(workers)
        # Whoever waits for an item cannot be waited for.
        if taking.acquire(timeout=LEAVING):
            items.close()
            taking.release()
            wait(ended)
        else:
            wait(tuple(underway))

    for number, end in enumerate(ended):
        # A daemon, as above.
        threading.Thread(target=worker, args=(end,), name=f"reading {number}", daemon=True).start()
    # A process that ends while a library computes in a thread may crash.
    atexit.register(leave)
    try:
        while (entry := taken.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry.result()
            room.release()
    finally:
        leave()
        # Not before: somebody impatient may interrupt the leaving.
        atexit.unregister(leave)
