"""Read LMDB's `data.mdb` without mapping it, and check each page.

The LMDB library trusts the file: six of a hundred copies with flipped bytes killed the process (SIGBUS, abort), and so
does a file that is truncated while it is mapped. Here, a damaged page raises :class:`Damaged`. The library is used for
writing.

The layout is that of `mdb.c`, data version 1, on a 64-bit little-endian machine: pages of one size, of which the first
two are meta pages. The newer one points to the root of a B+ tree. Named databases and duplicate keys are not supported.
"""

from __future__ import annotations

import bisect
import functools
import os
import struct
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from crnn_reader import bounded

_MAGIC: Final = 0xBEEFC0DE
_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
_LARGE_VALUE, _SUB_DATABASE, _DUPLICATES = 1, 2, 4
_NONE = 2**64 - 1

#: Page number, padding, flags, and the ends of the node pointers and of the free space.
_HEADER = struct.Struct("<QHHHH")
#: Magic, version, address, map size, then the free list's tree and the main one, last page and transaction.
_META_PAGE = struct.Struct("<IIQQ48s48sQQ")
#: Page size, flags, depth, pages of three kinds, entries, root.
_TREE = struct.Struct("<IHHQQQQQ")
#: Size of a value or page of a child in 16-bit parts, flags or upper part of the page, size of the key.
_NODE = struct.Struct("<HHHH")

#: Maximum depth of the tree, as in the library.
_MAX_DEPTH = 32
#: Number of cached pages. Neighbours are read one after the other.
_CACHED = 256


class Damaged(Exception):
    """A damaged file. The message continues its name, as in `is truncated`."""


class RecordTooLarge(Exception):
    """A value that is larger than allowed. The message is its size."""


class DataFile:
    """An open `data.mdb`. Can be used from several threads and, on Unix, after a fork."""

    def __init__(self, path: Path) -> None:
        """Raises Damaged if it is not an LMDB file, and OSError."""
        try:
            file = bounded.open_regular(path)
        except ValueError as error:
            raise Damaged(f"cannot be read: {error}") from None
        weakref.finalize(self, file.close)
        self._file = file.fileno()
        self._lock = threading.Lock()
        self._page = functools.lru_cache(_CACHED)(self._read_page)
        length = os.fstat(self._file).st_size
        if not length:
            raise Damaged("is empty (0 bytes)")
        self._page_size = 0
        metas = [meta for meta in (self._meta(0), self._meta(1)) if meta]
        if not metas:
            raise Damaged("is no LMDB file of the 64-bit version 1")
        _, last, (_, flags, self._depth, *_, self.entries, self._root) = max(metas)
        if (last + 1) * self._page_size > length:
            raise Damaged(f"is truncated at {length:,} bytes")
        if flags:
            raise Damaged("has reversed, integer or duplicate keys, which are not read")
        if self._root != _NONE and not (1 <= self._depth <= _MAX_DEPTH and self._root <= last):
            raise Damaged("has no root page")
        self._last = last

    def get(self, key: bytes, limit: int) -> bytes | None:
        """The value of a key, or None. Raises Damaged, and RecordTooLarge for more than `limit` bytes."""
        for page, index in self._path(key)[-1:]:
            if index < len(page) and page.key(index) == key:
                return self._value(page, index, limit)
        return None

    def items(self, first: bytes, end: bytes, limit: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys from `first` up to, but not including, `end`, and their values. Raises as :meth:`get`."""
        path = self._path(first)
        before = None
        while path:
            page, index = path.pop()
            if index >= len(page):
                continue
            path.append((page, index + 1))
            if not page.is_leaf:
                child = self._child(page, index, len(path) + 1)
                path.append((child, 0))
                continue
            key = page.key(index)
            # This also stops at pages that point to each other in a circle.
            if before is not None and key <= before:
                raise Damaged("has keys out of order")
            if key >= end:
                return
            before = key
            if key >= first:
                yield key, self._value(page, index, limit)

    def _path(self, key: bytes) -> list[tuple[_Page, int]]:
        """The pages from the root to the leaf where `key` belongs, each with an index.

        In a leaf it is the index of the first key that is not less, in a branch that of the child after the next page.
        """
        path: list[tuple[_Page, int]] = []
        if self._root == _NONE:
            return path
        page = self._page(self._root, self._depth == 1)
        while not page.is_leaf:
            # The first child has no lower bound.
            index = bisect.bisect_right(range(1, len(page)), key, key=page.key)
            path.append((page, index + 1))
            page = self._child(page, index, len(path) + 1)
        path.append((page, bisect.bisect_left(range(len(page)), key, key=page.key)))
        return path

    def _child(self, page: _Page, index: int, level: int) -> _Page:
        return self._page(page.child(index), level == self._depth)

    def _value(self, page: _Page, index: int, limit: int) -> bytes:
        size, flags, start = page.value(index)
        if flags & (_SUB_DATABASE | _DUPLICATES):
            raise Damaged("has named databases or duplicate keys, which are not read")
        if size > limit:
            raise RecordTooLarge(f"{size:,} bytes")
        if not flags & _LARGE_VALUE:
            return page.cut(start, size)
        (number,) = struct.unpack("<Q", page.cut(start, 8))
        if number > self._last:
            raise Damaged(f"has no page {number}")
        data = self._read(number * self._page_size, _HEADER.size + size)
        if len(data) < _HEADER.size + size:
            raise Damaged("is truncated")
        found, _, kind, low, high = _HEADER.unpack_from(data)
        if found != number or not kind & _OVERFLOW or (low | high << 16) * self._page_size < len(data):
            raise Damaged(f"is damaged at page {number}")
        return data[_HEADER.size :]

    def _read_page(self, number: int, is_leaf: bool) -> _Page:
        data = self._read(number * self._page_size, self._page_size) if number <= self._last else b""
        if len(data) < self._page_size:
            raise Damaged(f"has no page {number}")
        found, _, kind, lower, _ = _HEADER.unpack_from(data)
        kinds = kind & (_BRANCH | _LEAF | _OVERFLOW | _META)
        keys = (lower - _HEADER.size) // 2
        if found != number or kinds != (_LEAF if is_leaf else _BRANCH) or not 1 <= keys <= self._page_size // 4:
            raise Damaged(f"is damaged at page {number}")
        return _Page(number, data, is_leaf, struct.unpack_from(f"<{keys}H", data, _HEADER.size))

    def _meta(self, number: int) -> tuple[int, int, tuple[int, ...]] | None:
        """Transaction, last page and main tree of a meta page, None if it is none. Page 0 sets the page size."""
        data = self._read(number * self._page_size, _HEADER.size + _META_PAGE.size)
        if len(data) < _HEADER.size + _META_PAGE.size or (number and not self._page_size):
            return None
        _, _, kind, *_ = _HEADER.unpack_from(data)
        magic, version, _, _, free, main, last, transaction = _META_PAGE.unpack_from(data, _HEADER.size)
        page_size = _TREE.unpack(free)[0]
        if not kind & _META or magic != _MAGIC or version != 1:
            return None
        if number == 0:
            if page_size.bit_count() != 1 or not 512 <= page_size <= 65_536:
                return None
            self._page_size = page_size
        return transaction, last, _TREE.unpack(main)

    def _read(self, offset: int, size: int) -> bytes:
        """Read `size` bytes from `offset` on, fewer at the end of the file."""
        if offset >= 2**63 - size:
            return b""
        if hasattr(os, "pread"):
            return os.pread(self._file, size, offset)
        with self._lock:  # Windows
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, size)


class _Page:
    """A page of the tree with keys, and with children or values."""

    __slots__ = ("_data", "_nodes", "_number", "is_leaf")

    def __init__(self, number: int, data: bytes, is_leaf: bool, nodes: tuple[int, ...]) -> None:
        self._number, self._data, self.is_leaf, self._nodes = number, data, is_leaf, nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def key(self, index: int) -> bytes:
        # Called about ten times for each value, so it does not call :meth:`_node` and :meth:`cut`.
        data, start = self._data, self._nodes[index] + _NODE.size
        if start <= len(data):
            size = data[start - 2] | data[start - 1] << 8
            if len(key := data[start : start + size]) == size:
                return key
        raise Damaged(f"is damaged at page {self._number}")

    def child(self, index: int) -> int:
        low, middle, high, _ = self._node(index)
        return low | middle << 16 | high << 32

    def value(self, index: int) -> tuple[int, int, int]:
        """Size, flags, and offset in the page."""
        low, high, flags, key_size = self._node(index)
        return low | high << 16, flags, self._nodes[index] + _NODE.size + key_size

    def cut(self, start: int, size: int) -> bytes:
        data = self._data[start : start + size]
        if len(data) < size:
            raise Damaged(f"is damaged at page {self._number}")
        return data

    def _node(self, index: int) -> tuple[int, int, int, int]:
        try:
            return _NODE.unpack_from(self._data, self._nodes[index])
        except struct.error:
            raise Damaged(f"is damaged at page {self._number}") from None
