"""Batches for the network. A batch depends only on (seed, epoch, index)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from crnn_reader.fit import FULL_BATCH_WIDTH, pad_batch, padded_width
from dataset.augmentation import augmented
from dataset.cache import Corpus, widths_of

if TYPE_CHECKING:
    from dataset.prefetching import Batch

Places = npt.NDArray[np.int64]


class Batches:
    """Rows of a corpus in batches `(images, labels)`. Thread-safe.

    images: `uint8 (batch, height, width, channels)`; labels: `int32 (batch, longest)`, padded with 0. If the widths of
    the pictures differ, `images` is the pair of :func:`crnn_reader.fit.pad_batch`. Then a batch has pictures of similar
    width, and fewer of them if they are wide.

    For training (`shuffle`), each epoch has its own order. The last batch is filled up with the first pictures of the
    epoch: all batches have the same shape, for which the network is compiled once, and no picture is left out.
    Otherwise the pictures are in the order of `rows`, and the last batch may be smaller.

    The augmentation of a picture depends only on (seed, epoch, row).
    """

    def __init__(
        self,
        corpus: Corpus,
        rows: npt.NDArray[np.integer],
        encode: Callable[[str], Sequence[int]],
        batch_size: int,
        *,
        shuffle: bool = False,
        augmentation: float = 0.0,
        seed: int = 0,
        workers: int | None = 0,
        shard: tuple[int, int] = (0, 1),
        multiple: int = 1,
    ) -> None:
        """
        Arguments:
            corpus: the pictures.
            rows: the rows of the corpus to use.
            encode: returns the class numbers of a label, from 1.
            batch_size: number of pictures per batch; a maximum if the widths of the pictures differ.
            shuffle: see above.
            augmentation: strength; 0 is off.
            seed: of order and augmentation.
            workers: number of processes that augment the pictures of :meth:`stream`. With 0, a thread does that. With
                None, a thread does that until the network has to wait for batches, and then processes do.
            shard: (i, n) yields part i, from 0, of n equal parts of each batch. n must divide all batch sizes.
            multiple: a divisor of all batch sizes, if the widths of the pictures differ.
        """
        # Commands that only read pictures need not import it.
        from dataset.prefetching import Prefetcher

        self.images, self.rows = corpus.images, np.asarray(rows, np.int64)
        self._texts = corpus.names[self.rows], corpus.labels[self.rows]
        #: A hash of the pictures' bytes. It shows whether a resumed training has the same pictures.
        self.contents = hashlib.sha1(corpus.digests[self.rows].tobytes()).hexdigest()
        self.shuffle, self.augmentation, self.seed = shuffle, augmentation, seed
        encoded = [encode(str(label)) for label in corpus.labels[self.rows]]
        # Losses need at least one place, also for texts without characters.
        self.longest = max(map(len, encoded), default=0) or 1
        #: The labels of `rows`, `int32 (len(rows), longest)`.
        self.labels = np.zeros((len(encoded), self.longest), np.int32)
        for label, numbers in zip(self.labels, encoded, strict=True):
            label[: len(numbers)] = numbers
        self._widths = widths_of(self.images)
        if self._widths is not None:
            self._groups = _of_similar_width(self._widths[self.rows], batch_size, multiple)
        else:
            self._groups = [Group(np.arange(len(self.rows)), batch_size)]
        self._latest: tuple[int, list[Places]] = (-1, [])
        self._shard, self.processes = shard
        self._prefetcher = Prefetcher(self, workers)

    @property
    def labelled(self) -> dict[str, str]:
        """The names and labels of the pictures, in the order of `rows`."""
        return {str(name): str(label) for name, label in zip(*self._texts, strict=True)}

    def __len__(self) -> int:
        """The number of batches per epoch."""
        return sum(-(-len(group.places) // group.batch_size) for group in self._groups)

    def get(self, epoch: int, index: int) -> Batch:
        """Batch `index` of `epoch`, both from 0. Raises IndexError beyond the last batch."""
        rows, labels = self.rows_and_labels(epoch, index)
        images = [augmented(self.images, row, epoch, self.seed, self.augmentation) for row in rows]
        return np.stack(images) if self._widths is None else pad_batch(images), labels

    def rows_and_labels(self, epoch: int, index: int) -> tuple[list[int], npt.NDArray[np.int32]]:
        """The corpus rows and labels of a batch. Raises IndexError beyond the last batch."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        places = np.split(self._plan(epoch)[index], self.processes)[self._shard]
        return self.rows[places].tolist(), self.labels[places]

    def largest_batch(self) -> tuple[int, int]:
        """The maximum number of pictures in a batch, and the maximum size of its images in bytes."""
        counts = [group.batch_size // self.processes for group in self._groups]
        if self._widths is not None:
            widest = [int(self._widths[self.rows[group.places]].max()) for group in self._groups]
            sizes = [math.prod(self.images.shape) * padded_width(width) for width in widest]
        else:
            sizes = [math.prod(self.images.shape[1:])]
        return max(counts), max(count * size for count, size in zip(counts, sizes, strict=True))

    def stream(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from `start` on, made ahead. Raises UserError if a worker process is killed."""
        return self._prefetcher.stream(epoch, start)

    def close(self) -> None:
        """End the worker processes."""
        self._prefetcher.close()

    def _plan(self, epoch: int) -> list[Places]:
        """For each batch of an epoch, the indices of its pictures in `rows`. The latest plan is cached."""
        known, plan = self._latest
        if known != epoch:
            rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, epoch, 1]))
            plan = []
            for group in self._groups:
                size, count = group.batch_size, len(group.places)
                order = group.places[rng.permutation(count)] if self.shuffle else group.places
                for start in range(0, count, size):
                    batch = np.arange(start, start + size)
                    plan.append(order[batch % count] if self.shuffle else order[batch[batch < count]])
            if self.shuffle and len(self._groups) > 1:
                plan = [plan[batch] for batch in rng.permutation(len(plan))]
            # Assigned as a pair, so that other threads see either the old or the new one.
            self._latest = epoch, plan
        return plan


class Group(NamedTuple):
    """Pictures that may be in one batch, and their number per batch."""

    places: Places
    batch_size: int


def _of_similar_width(widths: npt.NDArray[np.int64], batch_size: int, multiple: int) -> list[Group]:
    """Group pictures by padded width. A group that is too small for a batch is joined with the next wider one."""
    groups: list[Group] = []
    waiting: list[int] = []
    padded = np.array([padded_width(width) for width in widths.tolist()], np.int64)
    for width in np.unique(padded).tolist():
        waiting += np.flatnonzero(padded == width).tolist()
        fitting = min(batch_size, batch_size * FULL_BATCH_WIDTH // width)
        fitting = max(multiple, fitting // multiple * multiple)
        if len(waiting) >= fitting or width == padded.max():
            groups.append(Group(np.sort(np.array(waiting, np.int64)), fitting))
            waiting = []
    return groups
