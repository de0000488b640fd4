"""Batches made ahead of the network that consumes them: by a thread, or by worker processes once it has to wait.

One thread augments some thousand pictures a second, and more threads fewer, as they take turns at Python's lock. A
network on a GPU consumes ten times as many. Worker processes augment into memory that they share with this process, so
that no picture goes through a pipe; the pictures themselves are mapped from the cache by each of them.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from multiprocessing import get_context, reduction
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

import console
import picture
from dataset.augmentation import augmented
from dataset.cache import Ragged
from dataset.contents import in_order
from workers import Workers, result

#: Images, or for a corpus of any width the pair (images, widths); and labels.
Batch = tuple[Any, npt.NDArray[np.int32]]

#: The last batches by which is decided whether the network has to wait, and how many of them it takes to decide.
LOOKED_AT, ENOUGH = 32, 16
#: Worker processes are started when the network waits for this part of its time, and so many times as many as its own
#: speed asks for, because it is measured while a thread takes processor time from it.
WAITING, RESERVE = 0.1, 1.2
#: Pictures that a worker augments in one go, at the least: handing over a task takes as long as a picture.
TASK = 32


class Source(Protocol):
    """What batches are made from; see :class:`dataset.Batches`."""

    images: Any
    seed: int
    augmentation: float

    def __len__(self) -> int:
        """Batches per epoch."""

    def get(self, epoch: int, index: int) -> Batch:
        """A batch, made here and now."""

    def chosen(self, epoch: int, index: int) -> tuple[list[int], npt.NDArray[np.int32]]:
        """The rows of the pictures in a batch, and their labels."""

    def largest(self) -> tuple[int, int]:
        """Pictures in the largest batch, and the bytes of its images."""


class Prefetcher:
    """Streams the batches of a source, a few of them ahead."""

    def __init__(self, source: Source, workers: int | None) -> None:
        """`workers` processes augment; None: none until the network has to wait, then as many as it needs."""
        self._source, self._workers = source, workers
        self._paces = deque[_Pace](maxlen=LOOKED_AT)
        self._team: _Team | None = None

    def stream(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `start` on, in order. Raises UserError if a worker process is killed."""
        indices = iter(range(start, len(self._source)))
        if self._team is None:
            yield from self._from_thread(epoch, indices)
        if self._team is not None:
            yield from self._team.stream(epoch, indices)

    def close(self) -> None:
        """End the worker processes."""
        if self._team is not None:
            self._team.close()
            self._team = None

    def _from_thread(self, epoch: int, indices: Iterator[int]) -> Iterator[Batch]:
        def until_workers_take_over() -> Iterator[int]:
            while not self._start_workers() and (index := next(indices, None)) is not None:
                yield index

        def timed(index: int) -> tuple[Batch, float]:
            started = time.perf_counter()
            return self._source.get(epoch, index), time.perf_counter() - started

        # Validation takes batches as they come: without augmentation a thread is fast enough for any network.
        asked = time.perf_counter()
        for batch, seconds in in_order(timed, until_workers_take_over(), workers=1):
            given = time.perf_counter()
            yield batch
            asked, before = time.perf_counter(), asked
            self._paces.append(_Pace(given - before, asked - given, seconds))

    def _start_workers(self) -> bool:
        """Start the worker processes if they are needed; whether they are there."""
        if self._team is None and self._source.augmentation > 0:
            count = self._needed() if self._workers is None else self._workers
            if count:
                self._team = _Team.begin(self._source, count)
                # Where it cannot be had, it is not tried again.
                self._workers = self._workers if self._team else 0
        return self._team is not None

    def _needed(self) -> int:
        """How many processes the network needs, 0 while a thread is enough."""
        if len(self._paces) < ENOUGH or console.cores() == 1:
            return 0
        # Medians: in some steps the network is compiled.
        if statistics.median(pace.waited / (pace.waited + pace.used) for pace in self._paces) < WAITING:
            return 0
        made, used = (statistics.median(times) for times in zip(*((p.made, p.used) for p in self._paces), strict=True))
        return min(max(2, math.ceil(RESERVE * made / max(used, 1e-6))), console.cores())


class _Pace(NamedTuple):
    """Seconds that the network waited for a batch and used it, and that the thread took to make it."""

    waited: float
    used: float
    made: float


class _Task(NamedTuple):
    """Pictures that a worker writes to a batch, from its picture `first` on."""

    slot: int
    width: int
    first: int
    rows: list[int]
    epoch: int
    strength: float


class _Team:
    """Worker processes and the memory that they share with this one: slots for one batch each."""

    def __init__(self, source: Source, workers: Workers, memory: Any, slot: int, part: int) -> None:
        self._source, self._workers = source, workers
        self._slots = np.frombuffer(memory, np.uint8).reshape(-1, slot)
        #: Pictures in a task.
        self._part = part
        self._free = deque(range(len(self._slots)))

    @classmethod
    def begin(cls, source: Source, count: int) -> _Team | None:
        """None, and a warning, where there is no memory that can be shared or no file that can be mapped again."""
        pictures, size = source.largest()
        part = max(TASK, -(-pictures // count))
        # One batch is filled while another is consumed, and there are tasks for all workers, twice.
        slots = 2 + -(-2 * count // -(-pictures // part))
        try:
            images = _Mapped.of(source.images)
            if images is None:
                return None
            _refuse_full_disk(slots * size)
            memory = get_context("spawn").RawArray("B", slots * size)
        except OSError as error:
            console.warn(
                f"{count} worker processes would share {slots * size >> 20:,} MB of memory with this one "
                f"({error.strerror or error}): give a container more of it (--shm-size), or free some space in "
                f"{tempfile.gettempdir()}; until then one thread makes the batches"
            )
            return None
        workers = Workers(count, _begin, images, source.seed, memory, size)
        return cls(source, workers, memory, size, part)

    def close(self) -> None:
        self._workers.close()

    def stream(self, epoch: int, indices: Iterator[int]) -> Iterator[Batch]:
        waiting = deque[_Filling]()
        try:
            for index in indices:
                waiting.append(self._begin_batch(epoch, index))
                if not self._free:
                    yield self._batch(waiting.popleft())
            while waiting:
                yield self._batch(waiting.popleft())
        finally:
            # Workers write to a slot until all its tasks have ended, also where nobody wants the batch any more.
            tasks = [task for filling in waiting for task in filling.tasks if not task.cancel()]
            wait(tasks)
            self._free.extend(filling.slot for filling in waiting)

    def _begin_batch(self, epoch: int, index: int) -> _Filling:
        rows, labels = self._source.chosen(epoch, index)
        images, slot = self._source.images, self._free.popleft()
        if isinstance(images, Ragged):
            widths = images.widths[rows].astype(np.int32)
            width, shape = picture.padded_width(int(widths.max())), images.shape
        else:
            widths = None
            width, shape = images.shape[2], (images.shape[1], images.shape[3])
        tasks = [
            self._workers.submit(
                _fill, _Task(slot, width, first, rows[first : first + self._part], epoch, self._source.augmentation)
            )
            for first in range(0, len(rows), self._part)
        ]
        return _Filling(slot, (len(rows), shape[0], width, shape[1]), widths, labels, tasks)

    def _batch(self, filling: _Filling) -> Batch:
        try:
            for task in filling.tasks:
                result(task)
            # A copy: backends hand memory to the device later, or use it as it is.
            images = self._slots[filling.slot, : math.prod(filling.shape)].reshape(filling.shape).copy()
        finally:
            wait(filling.tasks)
            self._free.append(filling.slot)
        return (images if filling.widths is None else (images, filling.widths)), filling.labels


class _Filling(NamedTuple):
    """A batch that workers fill."""

    slot: int
    shape: tuple[int, int, int, int]
    widths: npt.NDArray[np.int32] | None
    labels: npt.NDArray[np.int32]
    tasks: Sequence[Future[None]]


def _refuse_full_disk(size: int) -> None:
    """Raise OSError where a file of so many bytes does not fit: writing to mapped memory without room ends a process.

    Where there is no room in /dev/shm, Python takes the folder for temporary files.
    """
    folders = [tempfile.gettempdir(), *(["/dev/shm"] if os.path.isdir("/dev/shm") else [])]
    if all(shutil.disk_usage(folder).free < size for folder in folders):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Mapped:
    """A corpus' pictures on their way to a process that is spawned, which maps their file for itself."""

    def __init__(self, array: Any, ragged: tuple[int, npt.NDArray[np.int64], int] | None) -> None:
        self._path, self._shape, self._ragged = str(array.filename), array.shape, ragged
        # Opened now: another process may put a new file in its place before the last worker is there.
        self._file = open(self._path, "rb")  # noqa: SIM115

    @classmethod
    def of(cls, images: Any) -> _Mapped | None:
        """None where pictures are in memory, or in a file without a name."""
        array = images.pixels if isinstance(images, Ragged) else images
        if not isinstance(array, np.memmap) or not isinstance(array.filename, (str, os.PathLike)):
            return None
        return cls(array, (images.shape[0], images.widths, images.shape[1]) if isinstance(images, Ragged) else None)

    def __getstate__(self) -> dict[str, Any]:
        # Windows takes no descriptors over, and lets nobody replace a file that is open.
        file = self._path if os.name == "nt" else reduction.DupFd(self._file.fileno())
        return {"file": file, "shape": self._shape, "ragged": self._ragged}

    def __setstate__(self, state: dict[str, Any]) -> None:
        file = state["file"]
        with open(file if os.name == "nt" else file.detach(), "rb") as opened:
            array = np.memmap(opened, np.uint8, "r", shape=state["shape"])
        ragged = state["ragged"]
        self.images = Ragged(array, *ragged) if ragged else array


# In a worker process


class _State(NamedTuple):
    images: Any
    seed: int
    slots: npt.NDArray[np.uint8]


_state: _State


def _begin(images: _Mapped, seed: int, memory: Any, slot: int) -> None:
    """What a worker process does first."""
    global _state
    # As many threads as processes would fight for the cores.
    import cv2

    cv2.setNumThreads(1)
    _state = _State(images.images, seed, np.frombuffer(memory, np.uint8).reshape(-1, slot))


def _fill(task: _Task) -> None:
    """Augment the pictures of a task into their batch, with zeros to the right of those that are less wide."""
    for place, row in enumerate(task.rows, task.first):
        image = augmented(_state.images, row, task.epoch, _state.seed, task.strength)
        height, width, channels = image.shape
        size = height * task.width * channels
        room = _state.slots[task.slot, place * size : (place + 1) * size].reshape(height, task.width, channels)
        room[:, :width] = image
        room[:, width:] = 0
