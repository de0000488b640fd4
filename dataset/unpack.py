"""Unpack archives of pictures from untrusted sources: `python -m dataset unpack mjsynth.tar.gz DIR`.

`tarfile`'s data filter and `zipfile` keep files inside DIR, too. But they replace existing files, silently stop at
damaged headers, unpack any amount of data, and guess the encoding of names.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import filecmp
import gzip
import itertools
import lzma
import os
import re
import shlex
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, NamedTuple, Protocol

from cli import interrupts
from cli.command import ALL_DONE
from cli.files import atomic, write_new
from cli.messages import warn
from cli.progress import progress
from crnn_reader import bounded
from crnn_reader.errors import UserError
from dataset.formats.normalize import short
from parameter import UnpackParameters, notation

#: Maximum number of members, including folders. Maximum number of characters of a name, and of its parts.
MAX_MEMBERS = 20_000_000
_MAX_NAME_LENGTH, _MAX_DEPTH = 1000, 50

#: Without --max-size, an archive may unpack to this multiple of its size, and always to this many bytes. Pictures
#: hardly shrink. Text and bitmaps of one colour do, up to about a thousand times.
_RATIO, ALWAYS = 100, 250 * 10**6

#: Maximum size in bytes of a tar header with the long name or the properties of the next member.
_MAX_HEADER_BYTES = 1 << 20
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)

#: The flags of a zip for names in UTF-8 and for encrypted files, and the extra field with the name in UTF-8.
_UTF8, _ENCRYPTED, _UNICODE_PATH = 0x800, 0x1, 0x7075

#: Encodings of names to suggest.
_ENCODINGS = ("gbk", "big5", "shift_jis", "euc_kr", "cp866", "cp437")

WINDOWS = os.name == "nt"

#: Names of devices on Windows, and characters that its names cannot contain.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE)
_NOT_IN_WINDOWS = re.compile(r'[\x00-\x1f<>:"|?*\\]|[. ]$')

CHUNK = 1 << 20


class _Damage(Exception):
    """A damaged archive. The message is that of its reader."""


class _DamagedEnd(_Damage):
    """Damage after the last file: a wrong checksum of the archive, or data where only zeros may be."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Member(NamedTuple):
    """A file in an archive, or a link to one."""

    name: str
    open: Callable[[], IO[bytes] | None]
    link: str | None  #: the path in the archive that a link leads to


class _Budget:
    """Counts unpacked bytes, because the sizes in headers may be wrong."""

    def __init__(self, archive: Path, limit: int) -> None:
        self._archive, self.limit, self._taken = archive, limit, 0

    def take(self, count: int) -> None:
        """Raise UserError if `count` more bytes exceed the limit."""
        self._taken += count
        if self._taken > self.limit:
            raise UserError(
                f"{self._archive} unpacks to more than {self.limit:,} bytes: if you trust it, allow more",
                "max_size",
                "50GB",
            )


def unpack(parameters: UnpackParameters) -> int:
    """Unpack the files that are not there yet, and return the exit code."""
    interrupts.continue_by(interrupts.CONTINUES)
    archive, out = Path(parameters.archive), Path(parameters.out)
    if not archive.is_file():
        fault = "is not a file" if archive.exists() else "does not exist"
        raise UserError(f"{archive} {fault}: give an archive, such as mjsynth.tar.gz")
    if parameters.max_size:
        limit = notation.byte_count(parameters.max_size)
    else:
        limit = max(ALWAYS, _RATIO * archive.stat().st_size)
    budget = _Budget(archive, limit)
    new = found = 0
    parents: set[Path] = set()
    try:
        with archive.open("rb") as file, progress("unpacking", None, "files") as advance:
            for member in _members(file, archive, budget, parameters.names):
                target = out / _relative_path(archive, member.name)
                with _naming(archive, member.name):
                    if target.parent not in parents:
                        _make_folder(out, target.parent, archive)
                        parents.add(target.parent)
                    new += _write(archive, out, member, target, budget)
                found += 1
                advance(1)
    except _DamagedEnd as error:
        raise UserError(
            f"{archive} is damaged or truncated ({error}): files of {out} may be wrong or missing; remove what was "
            "unpacked and download the archive again"
        ) from None
    except _Damage as error:
        raise UserError(
            f"{archive} cannot be unpacked beyond its first {found:,} file{'s' if found > 1 else ''} ({error}): "
            "it is damaged or truncated; download it again"
            if found
            else f"{archive} is not a tar or zip archive, or it is damaged ({error}): download it again"
        ) from None
    if not found:
        raise UserError(f"{archive} holds no files: check that it is the right archive")
    there = f"; {found - new:,} were there" if found > new else ""
    warn(f"{out}: {new:,} file{'' if new == 1 else 's'} unpacked{there}")
    warn(f"next: python -m dataset {shlex.quote(str(_pictures_in(out)))}")
    return ALL_DONE


@contextlib.contextmanager
def _naming(archive: Path, name: str) -> Iterator[None]:
    """Raise UserError for a name that the file system does not support, such as `a:b` on FAT."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EILSEQ):
            raise
        raise UserError(
            f"{archive}: {short(name)!r} cannot be the name of a file here ({error.strerror}): unpack it elsewhere"
        ) from None


def _members(file: BinaryIO, archive: Path, budget: _Budget, encoding: str | None) -> Iterator[_Member]:
    """Yield the files of an archive. Raises _Damage, and UserError for members that are refused."""
    try:
        # zipfile looks at the end of the file, but a tar whose last file is a zip ends like a zip, too.
        start = file.read(6)
        file.seek(0)
        if start and not any(start):
            # A sparse file may have terabytes of zeros, which tarfile treats as an empty archive.
            raise _Damage("it begins with zeros")
        members = _zip(file, archive, budget, encoding) if start[:2] == b"PK" else _tar(file, start, budget, encoding)
        for count, member in enumerate(members):
            if count >= MAX_MEMBERS:
                raise UserError(f"{archive} holds more than {MAX_MEMBERS:,} files: unpack it with another program")
            if member is not None:
                yield member
    except (UserError, _Damage):
        raise
    except Exception as error:  # tarfile and zipfile raise many kinds of errors for damaged archives
        raise _Damage(str(error) or type(error).__name__) from None


def _tar(file: BinaryIO, start: bytes, budget: _Budget, encoding: str | None) -> Iterator[_Member | None]:
    """Yield the files, and None for each folder."""
    stream = _Stream(_decompressed(file, start), budget)
    path = Path(file.name)
    # Read as a stream: listing the members of MJSynth first would read its ten gigabytes twice.
    with tarfile.open(  # type: ignore[call-overload]
        fileobj=stream,
        mode="r|",
        tarinfo=_Header,
        encoding=encoding or "utf-8",
        errors="surrogateescape",
    ) as archive:
        for info in archive:
            stream.allow_headers()
            for name in (info.name, info.linkname):
                _refuse_undecoded(path, name, encoding)
            if info.isdir():
                _relative_path(path, info.name)
                yield None
                continue
            if not (info.isfile() or info.issym() or info.islnk()):
                raise UserError(f"{path}: {short(info.name)} is a device or pipe: this is not an archive of pictures")
            link = info.linkname if info.islnk() else None
            if info.issym():
                if info.linkname.startswith("/"):
                    raise UserError(f"{path}: {short(info.name)} links to {short(info.linkname)}, outside the folder")
                link = os.path.normpath(os.path.join(os.path.dirname(info.name), info.linkname)).replace(os.sep, "/")
            yield _Member(info.name, lambda info=info: archive.extractfile(info), link)  # type: ignore[misc]
            # tarfile keeps half a kilobyte per member for seeking, which a stream does not support.
            archive.members.clear()
        _check_end(archive)


def _check_end(archive: tarfile.TarFile) -> None:
    """Read on from the first zero block, where tarfile stops, to the end. Raises _DamagedEnd.

    The end mark is two zero blocks, and only zeros may follow it. If other data follows, a block was overwritten with
    zeros. The checksum of a compressed archive comes last.
    """
    rest = archive.fileobj
    assert rest is not None
    try:
        if len(data := rest.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
            raise _DamagedEnd("it has no end mark")
        while data:
            if data.count(0) < len(data):
                raise _DamagedEnd("there is data after its end mark")
            data = rest.read(CHUNK)
    except (UserError, _DamagedEnd):
        raise
    except Exception as error:
        raise _DamagedEnd(str(error) or type(error).__name__) from None


def _decompressed(file: BinaryIO, start: bytes) -> _Readable:
    # tarfile decompresses ten kilobytes at a time, which bzip2 may expand to ten gigabytes.
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        return lzma.open(file)
    return file


class _Stream:
    """Limits what tarfile reads, including headers and padding."""

    def __init__(self, file: _Readable, budget: _Budget) -> None:
        self._file, self._budget = file, budget
        self._left = budget.limit + 64 * CHUNK

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            self._budget.take(self._budget.limit + 1)
        return data

    def allow_headers(self) -> None:
        """Do not count the header and padding of one more member."""
        self._left += 16 * tarfile.BLOCKSIZE


class _Header(tarfile.TarInfo):
    """Refuses damaged headers, and extension headers that would take much memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        return _checked(lambda: super(_Header, cls).frombuf(buf, encoding, errors))

    @classmethod
    def _frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str, **how: Any) -> _Header:
        # Newer releases of Python, such as 3.14.10, parse all headers with this method and do not call frombuf.
        return _checked(lambda: super(_Header, cls)._frombuf(buf, encoding, errors, **how))  # type: ignore[misc]


def _checked(parse: Callable[[], _Header]) -> _Header:
    try:
        info = parse()
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        raise
    except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
        # tarfile treats the end of the file like the end mark.
        raise tarfile.ReadError("it has no end mark") from None
    except tarfile.HeaderError as error:
        # tarfile treats a damaged header like the end mark.
        raise tarfile.ReadError(str(error)) from None
    if info.size < 0 or (info.type in _EXTENSIONS and info.size > _MAX_HEADER_BYTES):
        raise tarfile.ReadError(f"a header of {info.size:,} bytes")
    return info


def _zip(file: BinaryIO, path: Path, budget: _Budget, encoding: str | None) -> Iterator[_Member | None]:
    """Yield the files, and None for each folder."""
    with zipfile.ZipFile(file) as archive:
        found = archive.infolist()
        for name, info in zip(names := _zip_names(path, found, encoding), found, strict=True):
            if info.flag_bits & _ENCRYPTED:
                raise UserError(f"{path}: {short(name)} is encrypted: unpack it with its password in another program")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # zipfile does not limit what bzip2 and LZMA expand four kilobytes to.
                raise UserError(
                    f"{path}: {short(name)} is compressed by method {info.compress_type}, which is not read (8 is): "
                    "unpack it with 7-Zip"
                )
        if sum(info.file_size for info in found) > budget.limit:
            budget.take(budget.limit + 1)
        for name, info in zip(names, found, strict=True):
            kind = stat.S_IFMT(info.external_attr >> 16)
            _relative_path(path, name)
            # Some Windows programs write backslashes.
            name = name.replace("\\", "/")
            if name.endswith("/"):
                yield None
                continue
            if kind not in (0, stat.S_IFREG):
                raise UserError(f"{path}: {short(name)} is a link or device: this is not an archive of pictures")
            yield _Member(name, lambda info=info: archive.open(info), None)  # type: ignore[misc]


def _zip_names(path: Path, found: list[zipfile.ZipInfo], encoding: str | None) -> list[str]:
    """The names in a zip, with `/`. Names that are not marked as UTF-8 are decoded together.

    A name in another encoding may happen to be valid UTF-8, but hardly all of them. Raises UserError if the encoding is
    unknown.
    """
    known = [_utf8_name(info) for info in found]
    # zipfile decodes the others as cp437, which has a character for every byte.
    raw = [info.orig_filename.encode("cp437") if name is None else b"" for name, info in zip(known, found, strict=True)]
    decoded = _decode(path, raw, encoding)
    return [other if name is None else name for name, other in zip(known, decoded, strict=True)]


def _utf8_name(info: zipfile.ZipInfo) -> str | None:
    """A name that is marked as UTF-8, or the copy in UTF-8 of another name. None if there is neither."""
    if info.flag_bits & _UTF8:
        return info.orig_filename
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        # The field has the checksum of the name that it is a copy of.
        checksum = struct.pack("<I", zlib.crc32(info.orig_filename.encode("cp437")))
        if kind == _UNICODE_PATH and field.startswith(b"\1" + checksum):
            with contextlib.suppress(UnicodeDecodeError):
                return field[5:].decode()
    return None


def _refuse_undecoded(archive: Path, name: str, encoding: str | None) -> None:
    """Raise UserError for a name with surrogates, which stand for bytes of another encoding."""
    try:
        name.encode()
    except UnicodeEncodeError:
        _decode(archive, [name.encode(encoding or "utf-8", "surrogateescape")], encoding)
        raise UserError(f"{archive}: {short(name)!r} is no name: do not trust this archive") from None


def _decode(archive: Path, names: list[bytes], encoding: str | None) -> list[str]:
    """Decode names, as UTF-8 by default. Raises UserError with suggestions if they have another encoding."""
    try:
        return [name.decode(encoding or "utf-8") for name in names]
    except UnicodeDecodeError as error:
        wrong = bytes(error.object)
    if len(wrong) > _MAX_NAME_LENGTH:
        raise UserError(f"{archive}: a name has {len(wrong):,} bytes: this is not an archive of pictures")
    readings = []
    for other in _ENCODINGS:
        with contextlib.suppress(UnicodeDecodeError):
            for name in names:
                name.decode(other)
            readings.append(f"{other} gives {wrong.decode(other)!r}")
    raise UserError(
        f"{archive}: the name {wrong!r} is not {encoding or 'UTF-8'}: give the encoding of the names; "
        + ", ".join(readings[:4]),
        "names",
    )


def _relative_path(archive: Path, name: str) -> PurePosixPath:
    """The name of a member as a relative path. Raises UserError if it leads out of the folder on any system."""
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise UserError(f"{archive}: {short(name)!r} leads out of the folder: do not trust this archive")
    kept = [part for part in name.split("/") if part not in ("", ".")]
    if len(name) > _MAX_NAME_LENGTH or len(kept) > _MAX_DEPTH:
        raise UserError(
            f"{archive}: the name {short(name)!r} has {len(name):,} characters in {len(kept):,} parts, more than "
            f"{_MAX_NAME_LENGTH:,} in {_MAX_DEPTH}: this is not an archive of pictures"
        )
    if WINDOWS and (odd := next((part for part in kept if _DEVICES.match(part) or _NOT_IN_WINDOWS.search(part)), None)):
        # Windows would write to a device, or drop the last characters and merge files.
        raise UserError(f"{archive}: {odd!r} cannot be the name of a file on Windows: unpack it on another system")
    return PurePosixPath(*kept)


def _make_folder(out: Path, folder: Path, archive: Path) -> None:
    # Files must not be written through a link that was there before.
    if not folder.resolve().is_relative_to(out.resolve()):
        raise UserError(f"{folder} is a link out of {out}, where {archive} would be written: remove the link")
    folder.mkdir(parents=True, exist_ok=True)


def _write(archive: Path, out: Path, member: _Member, target: Path, budget: _Budget) -> bool:
    """Write a complete file. Returns False if it is already there. Raises UserError if something else is."""
    if target.is_symlink():
        raise UserError(f"{target} is a link, in the way of a file of {archive}: remove the link")
    if what := bounded.irregular(target):
        raise UserError(f"{target} is {what}, in the way of a file of {archive}: remove it")
    source = None
    if member.link is not None:
        source = out / _relative_path(archive, member.link)
        if not source.is_file() or source.is_symlink():
            raise UserError(
                f"{archive}: {short(member.name)} links to {short(member.link)}, which is not a file before it in "
                "the archive"
            )
        budget.take(source.stat().st_size)
    if target.is_file():
        if source:
            same = filecmp.cmp(source, target, shallow=False)
        else:
            with target.open("rb") as existing:
                same = _is_same(_content(member, budget), existing)
        if not same:
            # It was there before, or the name is twice in the archive, maybe in other capitals.
            raise UserError(
                f"{target} is in the way of a file of {archive} with other content: move it, or unpack into another "
                "folder; if the archive has the name twice, use another archive"
            )
        return False
    if source:
        with atomic(target, sync=False) as temporary:
            shutil.copyfile(source, temporary)
        return True
    chunks = _content(member, budget)
    first, second = next(chunks, b""), next(chunks, b"")
    if not second:
        write_new(target, first)  # faster, and most pictures are small
        return True
    with atomic(target, sync=False) as temporary, temporary.open("wb") as file:
        file.writelines(itertools.chain((first, second), chunks))
    return True


def _content(member: _Member, budget: _Budget) -> Iterator[bytes]:
    """Yield a file in chunks. Raises _Damage, and UserError if the archive becomes too large."""
    try:
        content = member.open()
        assert content is not None
        with content:
            while chunk := content.read(CHUNK):
                budget.take(len(chunk))
                yield chunk
    except UserError:
        raise
    except Exception as error:
        raise _Damage(str(error) or type(error).__name__) from None


def _is_same(chunks: Iterable[bytes], file: BinaryIO) -> bool:
    """Whether a file consists of the chunks. Reads all of them, as a stream must be."""
    checks = [file.read(len(chunk)) == chunk for chunk in itertools.chain(chunks, [b""])]
    return all(checks) and not file.read(1)


def _pictures_in(out: Path) -> Path:
    """The first folder below `out` with more than one entry."""
    while True:
        entries = [entry for entry in out.iterdir() if not entry.name.startswith(".")]
        if len(entries) != 1 or not entries[0].is_dir():
            return out
        out = entries[0]
