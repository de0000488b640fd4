"""Make batches ahead of the network: in a thread, or in worker processes if the network has to wait.

A thread augments a few thousand pictures per second. More threads are slower, because of Python's lock. A network on a
GPU consumes ten times as many. Worker processes map the pictures from the cache and augment them into shared memory, so
that no picture is sent through a pipe.
"""

from __future__ import annotations

import errno
import logging
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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cli.workers import Workers, result
from crnn_reader.batching import available_cores
from crnn_reader.fit import padded_width
from dataset.augmentation import augmented
from dataset.cache import Joined, Ragged, widths_of
from dataset.contents import in_order

if TYPE_CHECKING:
    from dataset.batches import Batches

logger = logging.getLogger(__name__)

#: Images, or the pair (images, widths) if the widths of the pictures differ; and labels.
Batch = tuple[Any, npt.NDArray[np.int32]]

#: Number of recent batches that decide whether to start workers, and the minimum number.
RECENT, ENOUGH = 32, 16
#: Start workers when the network spends at least this fraction of its time waiting. Start RESERVE times as many as the
#: measured speeds require, because the network is faster once no thread competes with it for the processor.
WAITING, RESERVE = 0.1, 1.2
#: Minimum number of pictures in a task: submitting one takes about as long as augmenting a picture.
TASK = 32


class Prefetcher:
    """Streams the batches of a source and makes a few of them ahead."""

    def __init__(self, source: Batches, workers: int | None) -> None:
        """`workers` processes augment. None starts as many as the network needs once it has to wait."""
        self._source, self._workers = source, workers
        self._timings = deque[_Timing](maxlen=RECENT)
        self._shared: _SharedBatches | None = None

    def stream(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from `start` on. Raises UserError if a worker process is killed."""
        indices = iter(range(start, len(self._source)))
        if self._shared is None:
            yield from self._from_thread(epoch, indices)
        if self._shared is not None:
            yield from self._shared.stream(epoch, indices)

    def close(self) -> None:
        """End the worker processes."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _from_thread(self, epoch: int, indices: Iterator[int]) -> Iterator[Batch]:
        def until_workers_start() -> Iterator[int]:
            while not self._start_workers() and (index := next(indices, None)) is not None:
                yield index

        def timed(index: int) -> tuple[Batch, float]:
            started = time.perf_counter()
            return self._source.get(epoch, index), time.perf_counter() - started

        asked = time.perf_counter()
        for batch, seconds in in_order(timed, until_workers_start(), workers=1):
            given = time.perf_counter()
            yield batch
            asked, before = time.perf_counter(), asked
            self._timings.append(_Timing(given - before, asked - given, seconds))

    def _start_workers(self) -> bool:
        """Start worker processes if they are needed. Returns whether they run."""
        if self._shared is None and self._source.augmentation > 0:
            count = self._needed() if self._workers is None else self._workers
            if count:
                self._shared = _SharedBatches.begin(self._source, count)
                # If workers cannot be started, do not try again.
                self._workers = self._workers if self._shared else 0
        return self._shared is not None

    def _needed(self) -> int:
        """The number of processes that the network needs, 0 if a thread is enough."""
        if len(self._timings) < ENOUGH or available_cores() == 1:
            return 0
        # Medians, because compiling the network takes much longer than other steps.
        if statistics.median(timing.waited / (timing.waited + timing.used) for timing in self._timings) < WAITING:
            return 0
        made = statistics.median(timing.made for timing in self._timings)
        used = statistics.median(timing.used for timing in self._timings)
        return min(max(2, math.ceil(RESERVE * made / max(used, 1e-6))), available_cores())


class _Timing(NamedTuple):
    """Seconds for which the network waited for a batch and used it, and which the thread took to make it."""

    waited: float
    used: float
    made: float


class _Task(NamedTuple):
    """Pictures for a worker to write into a batch, from index `first` on."""

    slot: int
    width: int
    first: int
    rows: list[int]
    epoch: int
    strength: float


class _SharedBatches:
    """Worker processes and shared memory with a slot for each batch."""

    def __init__(self, source: Batches, workers: Workers, memory: Any, slot: int, task_size: int) -> None:
        self._source, self._workers = source, workers
        self._slots = np.frombuffer(memory, np.uint8).reshape(-1, slot)
        #: Number of pictures in a task.
        self._task_size = task_size
        self._free = deque(range(len(self._slots)))

    @classmethod
    def begin(cls, source: Batches, count: int) -> _SharedBatches | None:
        """Start the processes.

        Returns None if the pictures are not in a named file, or, with a warning, if shared memory is too small.
        """
        pictures, size = source.largest_batch()
        task_size = max(TASK, -(-pictures // count))
        # One slot is filled and one is consumed. The others hold two tasks for each worker.
        slots = 2 + -(-2 * count // -(-pictures // task_size))
        try:
            images = _mapped(source.images)
            if not images:
                return None
            _refuse_full_disk(slots * size)
            memory = get_context("spawn").RawArray("B", slots * size)
        except OSError as error:
            logger.warning(
                f"{count} worker processes would share {max(1, slots * size >> 20):,} MB of memory with this one "
                f"({error.strerror or error}): give a container more of it (docker run --shm-size), or free some "
                f"space in {tempfile.gettempdir()}; until then one thread makes the batches"
            )
            return None
        workers = Workers(count, _begin, images, source.seed, memory, size)
        return cls(source, workers, memory, size, task_size)

    def close(self) -> None:
        self._workers.close()

    def stream(self, epoch: int, indices: Iterator[int]) -> Iterator[Batch]:
        waiting = deque[_PendingBatch]()
        try:
            for index in indices:
                waiting.append(self._begin_batch(epoch, index))
                if not self._free:
                    yield self._batch(waiting.popleft())
            while waiting:
                yield self._batch(waiting.popleft())
        finally:
            # Workers may still write to slots after the consumer has stopped.
            tasks = [task for pending in waiting for task in pending.tasks if not task.cancel()]
            wait(tasks)
            self._free.extend(pending.slot for pending in waiting)

    def _begin_batch(self, epoch: int, index: int) -> _PendingBatch:
        rows, labels = self._source.rows_and_labels(epoch, index)
        images, slot = self._source.images, self._free.popleft()
        if (all_widths := widths_of(images)) is not None:
            widths = all_widths[rows].astype(np.int32)
            width, shape = padded_width(int(widths.max())), images.shape
        else:
            widths = None
            width, shape = images.shape[2], (images.shape[1], images.shape[3])
        tasks = [
            self._workers.submit(
                _fill,
                _Task(slot, width, first, rows[first : first + self._task_size], epoch, self._source.augmentation),
            )
            for first in range(0, len(rows), self._task_size)
        ]
        return _PendingBatch(slot, (len(rows), shape[0], width, shape[1]), widths, labels, tasks)

    def _batch(self, pending: _PendingBatch) -> Batch:
        try:
            for task in pending.tasks:
                result(task)
            # A copy, because backends may use the memory later.
            images = self._slots[pending.slot, : math.prod(pending.shape)].reshape(pending.shape).copy()
        finally:
            wait(pending.tasks)
            self._free.append(pending.slot)
        return (images if pending.widths is None else (images, pending.widths)), pending.labels


class _PendingBatch(NamedTuple):
    """A batch in preparation."""

    slot: int
    shape: tuple[int, int, int, int]
    widths: npt.NDArray[np.int32] | None
    labels: npt.NDArray[np.int32]
    tasks: Sequence[Future[None]]


def _refuse_full_disk(size: int) -> None:
    """Raise OSError if `size` bytes of shared memory do not fit. Writing to it would kill the process with SIGBUS.

    Python uses /dev/shm, or the folder for temporary files if /dev/shm is too small.
    """
    folders = [tempfile.gettempdir(), *(["/dev/shm"] if os.path.isdir("/dev/shm") else [])]
    if all(shutil.disk_usage(folder).free < size for folder in folders):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _mapped(images: Any) -> list[_Mapped]:
    """The parts of a corpus, mapped. Empty if the pictures are in memory, or in a file without a name."""
    parts = images.parts if isinstance(images, Joined) else [images]
    found = [_Mapped.of(part) for part in parts]
    return [each for each in found if each] if all(found) else []


class _Mapped:
    """Pictures of a corpus, pickled as a file descriptor and a shape. The worker process maps the file again."""

    def __init__(self, array: Any, ragged: tuple[int, npt.NDArray[np.int64], int] | None) -> None:
        self._path, self._shape, self._ragged = str(array.filename), array.shape, ragged
        # Opened now, because another process may replace the file before the last worker has started.
        self._file = open(self._path, "rb")  # noqa: SIM115

    @classmethod
    def of(cls, images: Any) -> _Mapped | None:
        """None if the pictures are in memory, or in a file without a name."""
        array = images.pixels if isinstance(images, Ragged) else images
        if not isinstance(array, np.memmap) or not isinstance(array.filename, (str, os.PathLike)):
            return None
        return cls(array, (images.shape[0], images.widths, images.shape[1]) if isinstance(images, Ragged) else None)

    def __getstate__(self) -> dict[str, Any]:
        # On Windows, descriptors are not inherited, and an open file cannot be replaced.
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


def _begin(images: list[_Mapped], seed: int, memory: Any, slot: int) -> None:
    """Initialise a worker process."""
    global _state
    # The processes already use all cores.
    import cv2

    cv2.setNumThreads(1)
    parts = [each.images for each in images]
    _state = _State(
        parts[0] if len(parts) == 1 else Joined(parts), seed, np.frombuffer(memory, np.uint8).reshape(-1, slot)
    )


def _fill(task: _Task) -> None:
    """Augment the pictures of a task into their slot. Narrow pictures are padded with zeros on the right."""
    for place, row in enumerate(task.rows, task.first):
        image = augmented(_state.images, row, task.epoch, _state.seed, task.strength)
        height, width, channels = image.shape
        size = height * task.width * channels
        room = _state.slots[task.slot, place * size : (place + 1) * size].reshape(height, task.width, channels)
        room[:, :width] = image
        room[:, width:] = 0
