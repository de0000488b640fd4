"""`python -m dataset unpack`: all of a sound archive, and nothing of a bad one outside the folder."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import os
import random
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset.__main__ import run

Unpack = Callable[..., tuple[int, str]]

FILES = {
    "mnt/90k/1/a.jpg": b"first",
    "mnt/90k/1/b.jpg": b"",
    "./mnt/90k/2/ü c.jpg": b"second" * 1000,
    "mnt/90k/l.txt": b"x",
}


@pytest.fixture
def unpack(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unpack:
    """Run the command in an empty folder. Returns exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def unpack(archive: Path | str, out: str = "out", *flags: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            run(["unpack", str(archive), out, *flags])
        assert isinstance(stop.value.code, int)
        return stop.value.code, capsys.readouterr().err

    return unpack


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, io.BytesIO(data)


def tar(path: Path, *members: tuple[tarfile.TarInfo, io.BytesIO], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            archive.addfile(info, data)
    return path


def content(folder: str = "out") -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_archives_are_unpacked_and_continued(kind: str, unpack: Unpack, tmp_path: Path) -> None:
    path = tmp_path / f"archive.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir("mnt/90k/1")
            for name, data in FILES.items():
                archive.writestr(name, data)
    else:
        folder = member("mnt/90k/1", type=tarfile.DIRTYPE)
        tar(path, folder, *(member(*item) for item in FILES.items()), mode=f"w:{kind[4:]}")
    code, err = unpack(path)
    assert code == 0
    assert content() == {name.removeprefix("./"): data for name, data in FILES.items()}
    assert "out: 4 files unpacked\n" in err
    assert f"next: python -m dataset {Path('out/mnt/90k')}\n" in err
    Path("out/mnt/90k/1/a.jpg").unlink()
    assert "out: 1 file unpacked; 3 were there\n" in unpack(path)[1]
    assert content() == {name.removeprefix("./"): data for name, data in FILES.items()}


def test_an_existing_file_is_not_replaced(unpack: Unpack, tmp_path: Path) -> None:
    links = [member("hard.jpg", type=tarfile.LNKTYPE, linkname="c.jpg")]
    path = tar(tmp_path / "a.tar", member("c.jpg", b"good"), *links, mode="w:")
    for name, own in itertools.product(("c.jpg", "hard.jpg"), (b"my own", b"size", b"", b"good and more")):
        Path("out").mkdir(exist_ok=True)
        Path("out", name).write_bytes(own)
        code, err = unpack(path)
        assert (code, f"out/{name} is in the way of a file of {path} with other content" in err) == (2, True)
        assert Path("out", name).read_bytes() == own
        Path("out", name).unlink()
    assert unpack(path)[0] == 0
    assert "out: 0 files unpacked; 2 were there" in unpack(path)[1]


def test_a_tar_that_ends_with_a_zip_is_a_tar(unpack: Unpack, tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("inside.txt", "x")
    path = tar(tmp_path / "a.tar", member("b.txt", b"b"), member("c.zip", inner.getvalue()), mode="w:")
    assert unpack(path)[0] == 0
    assert content() == {"b.txt": b"b", "c.zip": inner.getvalue()}


@pytest.mark.parametrize(
    "name", ["/etc/evil", "../evil", "a/../../evil", "..", "..\\evil", "\\evil", "C:\\evil", "c:evil", "a/.."]
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_lead_out_of_the_folder(name: str, kind: str, unpack: Unpack, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    if kind == "tar":
        tar(path, member("good.jpg", b"good"), member(name, b"evil"))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("good.jpg", b"good")
            archive.writestr(name, b"evil")
    code, err = unpack(path)
    assert code == 2
    assert err == f"error: {path}: {name!r} leads out of the folder: do not trust this archive\n"
    assert content() == {"good.jpg": b"good"}
    assert sorted(os.listdir()) == ["bad", "out"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "links to /etc/passwd, outside the folder"),
        ({"type": tarfile.SYMTYPE, "linkname": "../../etc/passwd"}, "leads out of the folder"),
        ({"type": tarfile.SYMTYPE, "linkname": ".."}, "which is not a file before it in the archive"),
        ({"type": tarfile.SYMTYPE, "linkname": "missing"}, "which is not a file before it in the archive"),
        ({"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, "leads out of the folder"),
        ({"type": tarfile.LNKTYPE, "linkname": "../secret"}, "leads out of the folder"),
        ({"type": tarfile.CHRTYPE}, "is a device or pipe"),
        ({"type": tarfile.BLKTYPE}, "is a device or pipe"),
        ({"type": tarfile.FIFOTYPE}, "is a device or pipe"),
    ],
)
def test_links_and_devices(fields: dict[str, Any], message: str, unpack: Unpack, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    path = tar(tmp_path / "bad.tar.gz", member("d/good.jpg", b"good"), member("d/link", **fields))
    code, err = unpack(path)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert content() == {"d/good.jpg": b"good"}


def test_links_to_files_in_the_archive_become_files(unpack: Unpack, tmp_path: Path) -> None:
    links = [
        member("d/symbolic", type=tarfile.SYMTYPE, linkname="../c/good.jpg"),
        member("d/hard", type=tarfile.LNKTYPE, linkname="c/good.jpg"),
    ]
    assert unpack(tar(tmp_path / "a.tar", member("c/good.jpg", b"good"), *links, mode="w:"))[0] == 0
    assert content() == {"c/good.jpg": b"good", "d/symbolic": b"good", "d/hard": b"good"}
    assert not any(path.is_symlink() for path in Path("out").rglob("*"))


def test_a_link_in_a_zip(unpack: Unpack, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "link is a link or device" in unpack("a.zip")[1]
    assert content() == {}


def test_files_are_not_written_through_existing_links(unpack: Unpack, tmp_path: Path) -> None:
    for folder in ("out", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "out" / "d").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "out" / "f.jpg").symlink_to(tmp_path / "elsewhere" / "f.jpg")
    code, err = unpack(tar(tmp_path / "a.tar.gz", member("d/e/x.jpg", b"x")))
    assert (code, "out/d/e is a link out of out" in err) == (2, True)
    code, err = unpack(tar(tmp_path / "b.tar.gz", member("f.jpg", b"x")))
    assert (code, "out/f.jpg is a link, in the way" in err) == (2, True)
    assert os.listdir("elsewhere") == []


@pytest.mark.parametrize("kind", ["a named pipe", "a folder"])
def test_a_pipe_or_folder_in_the_place_of_a_file_is_named(kind: str, unpack: Unpack, tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", member("b.jpg", b"x"))
    (tmp_path / "out").mkdir()
    (os.mkfifo if kind == "a named pipe" else os.mkdir)(tmp_path / "out" / "b.jpg")
    code, err = unpack(archive)
    assert (code, f"out/b.jpg is {kind}, in the way of a file of {archive}: remove it" in err) == (2, True)


@pytest.mark.parametrize("kind", ["gz", "xz", "zip", "junk", "empty", "no files"])
def test_broken_archives(kind: str, unpack: Unpack, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    noise = [member(f"{index}.jpg", os.urandom(50_000)) for index in range(4)]
    if kind in ("gz", "xz"):
        whole = tar(path, *noise, mode=f"w:{kind}").read_bytes()
        path.write_bytes(whole[: len(whole) * 6 // 10])
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for info, data in noise:
                archive.writestr(info.name, data.getvalue())
        damaged = bytearray(path.read_bytes())
        damaged[120_000] ^= 1
        path.write_bytes(damaged)
    elif kind == "no files":
        tar(path, member("d", type=tarfile.DIRTYPE))
    else:
        path.write_bytes({"junk": b"no archive" * 1000, "empty": b""}[kind])
    code, err = unpack(path)
    assert code == 2
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert ("holds no files" if kind == "no files" else "download it again") in err
    # All files are complete.
    sizes = {file.stat().st_size for file in Path("out").rglob("*")} if Path("out").exists() else set()
    assert sizes == ({50_000} if kind in ("gz", "xz", "zip") else set())


def test_a_sparse_file_is_not_read_to_its_end(unpack: Unpack, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.touch()
    os.truncate(path, 1 << 42)
    assert "is not a tar or zip archive, or it is damaged (it begins with zeros)" in unpack(path)[1]


def test_no_archive(unpack: Unpack) -> None:
    assert unpack("nowhere.tar.gz") == (
        2,
        "error: nowhere.tar.gz does not exist: give an archive, such as mjsynth.tar.gz\n",
    )


def raw_zip(path: Path, *names: bytes, flags: int = 0, extra: bytes = b"") -> Path:
    """A zip with these bytes as names. Each file contains its number."""
    data, directory = b"", b""
    for number, name in enumerate(names):
        content = b"%d" % number
        fields = struct.pack("<HHHHLLLHH", flags, 0, 0, 0, zlib.crc32(content), 1, 1, len(name), len(extra))
        directory += b"PK\1\2" + struct.pack("<HH", 20, 20) + fields + struct.pack("<HHHLL", 0, 0, 0, 0, len(data))
        directory += name + extra
        data += b"PK\3\4" + struct.pack("<H", 20) + fields + name + extra + content
    counts = struct.pack("<HHHHLLH", 0, 0, len(names), len(names), len(directory), len(data), 0)
    path.write_bytes(data + directory + b"PK\5\6" + counts)
    return path


def test_unmarked_names_in_utf8_in_a_zip(unpack: Unpack, tmp_path: Path) -> None:
    """Such as zips of macOS."""
    assert unpack(raw_zip(tmp_path / "a.zip", "京A1_1.png".encode(), b"plain.png"))[0] == 0
    assert content() == {"京A1_1.png": b"0", "plain.png": b"1"}


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("gbk", "京A1_1.png"), ("shift_jis", "品川_1.png"), ("euc_kr", "서울_1.png"), ("cp866", "А1_1.png")],
)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_in_another_encoding_need_the_flag(
    kind: str, encoding: str, name: str, unpack: Unpack, tmp_path: Path
) -> None:
    """Such as zips of Windows in China, Japan, Korea and Russia, and old tars."""
    path = tmp_path / "a"
    if kind == "zip":
        raw_zip(path, b"a.png", name.encode(encoding))
    else:
        with tarfile.open(path, f"w:{kind[4:]}", format=tarfile.GNU_FORMAT, encoding=encoding) as archive:  # type: ignore[call-overload]
            for index, each in enumerate(("a.png", name)):
                info, data = member(each, b"%d" % index)
                archive.addfile(info, data)
    code, err = unpack(path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"the name {name.encode(encoding)!r} is not UTF-8: give the encoding of the names; " in err
    assert f"{encoding} gives {name!r}" in err
    assert err.endswith(" (--names)\n")
    # The names in a zip are known before its content.
    assert content() == ({} if kind == "zip" else {"a.png": b"0"})
    assert unpack(path, "out", "--names", encoding)[0] == 0
    assert content() == {"a.png": b"0", name: b"1"}


def test_names_of_a_zip_are_decoded_together(unpack: Unpack, tmp_path: Path) -> None:
    """The bytes of a name in GBK may be valid UTF-8."""
    both = b"\xc4\x81.png"
    assert both.decode() == "ā.png"
    path = raw_zip(tmp_path / "a.zip", both, "京.png".encode("gbk"))
    assert "is not UTF-8" in unpack(path)[1]
    assert unpack(path, "out", "--names", "gbk")[0] == 0
    assert content() == {both.decode("gbk"): b"0", "京.png": b"1"}


def test_names_marked_as_utf8(unpack: Unpack, tmp_path: Path) -> None:
    name = "京A1_1.png"
    old = name.encode("gbk")
    copy = b"\1" + struct.pack("<L", zlib.crc32(old)) + name.encode()
    field = struct.pack("<HH", 0x7075, len(copy)) + copy
    for path in (
        raw_zip(tmp_path / "marked.zip", name.encode(), flags=0x800),
        raw_zip(tmp_path / "copied.zip", old, extra=b"UT\1\0x" + field),
    ):
        assert unpack(path, path.stem, "--names", "gbk")[0] == 0
        assert content(path.stem) == {name: b"0"}
    stale = field.replace(copy[1:5], b"\0\0\0\0")
    assert "is not UTF-8" in unpack(raw_zip(tmp_path / "stale.zip", old, extra=stale), "stale")[1]
    assert "does not" not in unpack(raw_zip(tmp_path / "bad.zip", b"\xff.png", flags=0x800), "bad")[1]


def test_an_unknown_encoding(unpack: Unpack, tmp_path: Path) -> None:
    for name in ("klingon", "hex", "rot13"):
        code, err = unpack(raw_zip(tmp_path / "a.zip", b"a"), "out", "--names", name)
        assert (code, "not the name of a text encoding" in err) == (2, True)


def test_backslashes_in_a_zip_make_folders(unpack: Unpack, tmp_path: Path) -> None:
    assert unpack(raw_zip(tmp_path / "a.zip", b"train\\a.png", b"train\\sub\\"))[0] == 0
    assert content() == {"train/a.png": b"0"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_is_twice_in_the_archive(kind: str, unpack: Unpack, tmp_path: Path) -> None:
    for same in (True, False):
        path = tmp_path / f"{same}.{kind}"
        files = [("a.png", b"one"), ("a.png", b"one" if same else b"two")]
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(*files[0])
                with pytest.warns(UserWarning, match="Duplicate name"):
                    archive.writestr(*files[1])
        else:
            tar(path, *(member(*file) for file in files), mode="w:")
        code, err = unpack(path, str(same))
        assert code == (0 if same else 2)
        assert ("if the archive has the name twice, use another archive" in err) == (not same)
        assert content(str(same)) == {"a.png": b"one"}


def test_an_encrypted_zip_is_named(unpack: Unpack, tmp_path: Path) -> None:
    code, err = unpack(raw_zip(tmp_path / "a.zip", b"a.png", flags=1))
    assert (code, err) == (
        2,
        f"error: {tmp_path}/a.zip: a.png is encrypted: unpack it with its password in another program\n",
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_methods_without_limits_are_refused(method: int, unpack: Unpack, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a.png", bytes(1000))
    assert f"a.png is compressed by method {method}, which is not read (8 is)" in unpack("a.zip")[1]


LARGE = 40_000_000


def zeros(path: Path, kind: str) -> Path:
    """An archive of a few kilobytes with 40 MB, in a file or in headers that are read into memory."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.bmp", "w") as file:
            for _ in range(LARGE // 10**6):
                file.write(bytes(10**6))
        return path
    if kind == "links":
        return tar(
            path, member("a", bytes(10**6)), *(member(f"{n}", type=tarfile.LNKTYPE, linkname="a") for n in range(9))
        )
    info = tarfile.TarInfo("a.bmp")
    info.size = LARGE
    if kind == "pax header":
        info.type = tarfile.XHDTYPE
    elif kind == "long name":
        info.type = tarfile.GNUTYPE_LONGNAME
    with (bz2.open if kind == "bz2" else gzip.open)(path, "wb", 1) as packed:
        packed.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(LARGE // 10**6):
            packed.write(bytes(10**6))
    return path


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "links", "pax header", "long name"])
def test_bombs_are_stopped(kind: str, unpack: Unpack, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = zeros(tmp_path / "bomb", kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, err = unpack(path, "out", "--max-size", "5MB")
    assert (code, len(err.splitlines())) == (2, 1)
    reason = "a header of 40,000,000 bytes" if kind in ("pax header", "long name") else "more than 5,000,000 bytes"
    assert reason in err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 25_000, "kilobytes"
    assert sum(map(len, content().values())) <= 5_000_000 if Path("out").exists() else True
    assert not list(tmp_path.rglob("*.partial*"))


def test_the_limit_depends_on_the_size_of_the_archive(
    unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataset.unpack.ALWAYS", 1000)
    path = tar(tmp_path / "a.tar.gz", member("a.txt", bytes(10**6)))
    code, err = unpack(path)
    assert code == 2
    assert (
        f"unpacks to more than {100 * path.stat().st_size:,} bytes: if you trust it, allow more (--max-size 50GB)"
        in err
    )
    assert unpack(path, "out", "--max-size", "1MB")[0] == 0
    for wrong in ("0", "-1", "many", "1e9", "5 apples", "9" * 5000):
        assert "a size is a number of bytes, such as 500MB" in unpack(path, "out", "--max-size", wrong)[1]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["a/" * 60 + "a.png", "n" * 1001, "a/" * 5000])
def test_names_that_are_too_long_or_deep(name: str, kind: str, unpack: Unpack, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if kind == "tar":
        tar(path, member(name, b"x"))
    else:
        raw_zip(path, name.encode())
    code, err = unpack(path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "more than 1,000 in 50: this is not an archive of pictures" in err
    assert len(err) < 500


def test_too_many_members(unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataset.unpack.MAX_MEMBERS", 3)
    folders = [member(f"d{n}", type=tarfile.DIRTYPE) for n in range(3)]
    assert "holds more than 3 files" in unpack(tar(tmp_path / "a.tar", *folders, member("a"), mode="w:"))[1]


@pytest.mark.parametrize(
    "name", ["con", "NUL.png", "a/aux.txt", "com1", "a./b.png", "a.png ", "a<b.png", "a|b", "x?.png"]
)
def test_names_that_windows_would_change(
    name: str, unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tar(tmp_path / "a.tar", member("console.png", b"x"), member("com.1", b"x"), member(name, b"x"), mode="w:")
    assert unpack(path)[0] == 0
    monkeypatch.setattr("dataset.unpack.WINDOWS", True)
    code, err = unpack(path, "windows")
    assert (code, "cannot be the name of a file on Windows" in err) == (2, True)
    assert content("windows") == {"console.png": b"x", "com.1": b"x"}


@pytest.mark.parametrize("damage", ["header", "size", "boundary"])
def test_a_damaged_header_is_not_the_end(damage: str, unpack: Unpack, tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", *(member(f"{n}.jpg", b"%d" % n) for n in range(5)), mode="w:")
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[2 * 1024 + 5] ^= 1
    elif damage == "size":
        data[2 * 1024 + 124 : 2 * 1024 + 136] = b"-7777777777 "
    else:
        del data[2 * 1024 + 700 :]
    path.write_bytes(data)
    code, err = unpack(path)
    assert (code, "cannot be unpacked beyond its first" in err) == (2, True)
    # An incomplete block of zeros after the last byte of the third file does no harm.
    assert set(content()) == {f"{n}.jpg" for n in range(3 if damage == "boundary" else 2)}


NOISE = [(f"{n}.jpg", random.Random(n).randbytes(3000)) for n in range(5)]


@pytest.mark.parametrize("damage", ["flipped bit", "checksum", "length", "no trailer", "half a trailer", "no marker"])
def test_a_compressed_archive_is_read_to_its_checksum(damage: str, unpack: Unpack, tmp_path: Path) -> None:
    # A flipped bit in stored data is no error of the decompressor.
    plain = tar(tmp_path / "a.tar", *(member(*file) for file in NOISE), mode="w:").read_bytes()
    data = bytearray(gzip.compress(plain, 0, mtime=0))
    if damage == "flipped bit":
        data[data.index(NOISE[1][1]) + 100] ^= 1
    elif damage in ("checksum", "length"):
        data[-8 if damage == "checksum" else -4] ^= 1
    elif damage == "no marker":
        data = bytearray(bz2.compress(plain))[:-10]
    else:
        del data[-8 if damage == "no trailer" else -4 :]
    path = tmp_path / "a.tar.packed"
    path.write_bytes(data)
    code, err = unpack(path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert str(path) in err
    assert "damaged" in err
    assert "download" in err


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("damage", ["zeros", "first", "last", "cut", "one block", "second", "lone block"])
def test_files_after_a_false_end_mark_are_an_error(damage: str, packed: bool, unpack: Unpack, tmp_path: Path) -> None:
    data = bytearray(tar(tmp_path / "a.tar", *(member(*file) for file in NOISE), mode="w:").read_bytes())
    each = tarfile.BLOCKSIZE + -(-3000 // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    overwritten = {"zeros": 2, "first": 0, "last": 4}
    if damage in overwritten:
        start = overwritten[damage] * each
        data[start : start + tarfile.BLOCKSIZE] = bytes(tarfile.BLOCKSIZE)
    elif damage == "cut":
        del data[3 * each :]
    elif damage == "one block":
        data[3 * each : 3 * each] = bytes(tarfile.BLOCKSIZE)
    elif damage == "second":
        data = data + data
    else:
        del data[5 * each + tarfile.BLOCKSIZE :]
    path = tmp_path / "bad"
    path.write_bytes(gzip.compress(data) if packed else data)
    code, err = unpack(path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert str(path) in err
    assert "damaged" in err
    assert "download" in err


def test_zeros_after_the_end_mark_are_limited(unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataset.unpack.CHUNK", 1 << 14)
    plain = tar(tmp_path / "a.tar", member("a.jpg", b"a"), mode="w:").read_bytes()
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(plain + bytes(10**7), 1))
    code, err = unpack(path, "out", "--max-size", "5MB")
    assert (code, "unpacks to more than 5,000,000 bytes" in err) == (2, True)
    assert unpack(path, "out", "--max-size", "10MB")[0] == 0


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("padding", [0, 512, 10_000, 1 << 20])
def test_tars_of_every_format_end_with_any_number_of_zeros(
    form: int, padding: int, unpack: Unpack, tmp_path: Path
) -> None:
    path = tmp_path / "a.tar"
    files = {"a" * 90 + ".jpg": b"x" * 513, "d/" + "b" * 60 + "/" + "ü" * 30 + ".jpg": b"y" * 512}
    with tarfile.open(path, "w:", format=form, encoding="utf-8") as archive:
        for file in files.items():
            archive.addfile(*member(*file))
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\0") + bytes(-len(whole.rstrip(b"\0")) % 512 + 1024 + padding))
    assert unpack(path)[0] == 0
    assert content() == files


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_tars_of_the_tar_command(form: str, unpack: Unpack, tmp_path: Path) -> None:
    command = shutil.which("tar")
    if command is None or "GNU" not in subprocess.run([command, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("needs GNU tar")
    for name, data in NOISE:
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    for blocking in ("1", "20", "200"):
        path = tmp_path / f"{blocking}.tar.gz"
        subprocess.run([command, f"--format={form}", "-b", blocking, "-czf", path, "-C", "in", "."], check=True)
        assert unpack(path, blocking)[0] == 0
        assert content(blocking) == dict(NOISE)
