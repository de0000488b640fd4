"""Archives of pictures unpacked without trust: `python -m dataset unpack mjsynth.tar.gz DIR`."""

from __future__ import annotations

import lzma
import os
import re
import shlex
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, NamedTuple

import console
from console import UserError, warn
from parameter import UnpackParameters

#: What the libraries raise when an archive is broken, beside OSError without a number and RuntimeError.
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)


class _Member(NamedTuple):
    """A file in an archive, or a link to one."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]
    link: str | None  #: where it leads, as a path in the archive


def unpack(parameters: UnpackParameters) -> int:
    """Unpack the files that are not there yet; returns the exit code."""
    archive, out = Path(parameters.archive), Path(parameters.out)
    if not archive.is_file():
        raise UserError(f"{archive} does not exist: give an archive, such as mjsynth.tar.gz")
    new = there = 0
    parents: set[Path] = set()
    try:
        with archive.open("rb") as file, console.progress("unpacking", None, "files") as advance:
            # By how it begins: that it ends as a zip does is true of a tar whose last file is one.
            members = _zip if file.read(2) == b"PK" else _tar
            file.seek(0)
            for member in members(file):
                target = out / _inside(archive, member.name)
                if target.parent not in parents:
                    _make_folder(out, target.parent, archive)
                    parents.add(target.parent)
                if _write(archive, out, member, target):
                    new += 1
                else:
                    there += 1
                advance(1)
    except (OSError, RuntimeError, *_DAMAGE) as error:
        if isinstance(error, OSError) and error.errno:  # a full disk, and the like
            raise
        raise UserError(
            f"{archive} cannot be unpacked beyond its first {new + there:,} files ({error}): "
            "it is damaged, cut short or no archive; get it again"
        ) from None
    if not new + there:
        raise UserError(f"{archive} holds no files: is it the archive that was meant?")
    warn(f"{out}: {new:,} files unpacked" + (f"; {there:,} were there" if there else ""))
    warn(f"next: python -m dataset {shlex.quote(str(_content(out)))}")
    return console.ALL_DONE


def _tar(file: BinaryIO) -> Iterator[_Member]:
    # As a stream: the ten gigabytes of MJSynth are not read twice, once to list them.
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for info in archive:
            if info.isdir():
                _inside(Path(file.name), info.name)
                continue
            if not (info.isfile() or info.issym() or info.islnk()):
                raise UserError(f"{file.name}: {info.name} is a device or pipe: this is no archive of pictures")
            link = None
            if info.islnk():
                link = info.linkname
            elif info.issym():
                if info.linkname.startswith("/"):
                    raise UserError(f"{file.name}: {info.name} links to {info.linkname}, outside of the folder")
                link = os.path.normpath(os.path.join(os.path.dirname(info.name), info.linkname)).replace(os.sep, "/")
            yield _Member(info.name, info.size, lambda info=info: archive.extractfile(info), link)  # type: ignore[misc]
            # Kept for looking back, half a kilobyte each, which a stream cannot.
            archive.members.clear()  # type: ignore[attr-defined]


def _zip(file: BinaryIO) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir():
                _inside(Path(file.name), info.filename)
                continue
            if kind not in (0, stat.S_IFREG):
                raise UserError(f"{file.name}: {info.filename} is a link or device: this is no archive of pictures")
            yield _Member(info.filename, info.file_size, lambda info=info: archive.open(info), None)  # type: ignore[misc]


def _inside(archive: Path, name: str) -> PurePosixPath:
    """A member's name as a relative path. Raises UserError when it leads out of the folder, on any system."""
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise UserError(f"{archive}: {name!r} leads out of the folder: this archive is not to be trusted")
    return PurePosixPath(*(part for part in name.split("/") if part not in ("", ".")))


def _make_folder(out: Path, folder: Path, archive: Path) -> None:
    # A link that was there before would lead files astray.
    if not folder.resolve().is_relative_to(out.resolve()):
        raise UserError(f"{folder} is a link out of {out}, where {archive} would be written: remove the link")
    folder.mkdir(parents=True, exist_ok=True)


def _write(archive: Path, out: Path, member: _Member, target: Path) -> bool:
    """Write a file, whole or not at all; False when it is there."""
    if target.is_symlink():
        raise UserError(f"{target} is a link, in the way of a file of {archive}: remove the link")
    if member.link is not None:
        source = out / _inside(archive, member.link)
        if not source.is_file() or source.is_symlink():
            raise UserError(f"{archive}: {member.name} links to {member.link}, which is no file before it in there")
        if _is_there(archive, target, source.stat().st_size):
            return False
        with console.atomic(target, sync=False) as temporary:
            shutil.copyfile(source, temporary)
        return True
    if _is_there(archive, target, member.size):
        return False
    content = member.open()
    assert content is not None
    with content, console.atomic(target, sync=False) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(content, file)
    return True


def _is_there(archive: Path, target: Path, size: int) -> bool:
    """Whether an earlier call has written a file of `size` bytes. Raises UserError where `target` is another file."""
    if not target.is_file():
        return False
    # Files are written whole: one of another size is not ours.
    if target.stat().st_size != size:
        raise UserError(f"{target} is in the way of a file of {archive}: move it, or unpack into another folder")
    return True


def _content(out: Path) -> Path:
    """The first folder below `out` that holds more than one other."""
    while True:
        entries = [entry for entry in out.iterdir() if not entry.name.startswith(".")]
        if len(entries) != 1 or not entries[0].is_dir():
            return out
        out = entries[0]
