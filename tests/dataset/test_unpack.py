"""`python -m dataset unpack`: all of a sound archive, and nothing of a bad one outside the folder."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
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
    """Run the command in a folder of its own; gives exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def unpack(archive: Path | str, out: str = "out") -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            run(["unpack", str(archive), out])
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
def test_archives_are_unpacked_and_gone_on_with(kind: str, unpack: Unpack, tmp_path: Path) -> None:
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
    assert "out: 1 files unpacked; 3 were there\n" in unpack(path)[1]
    assert content() == {name.removeprefix("./"): data for name, data in FILES.items()}


def test_a_file_of_ones_own_is_not_replaced(unpack: Unpack, tmp_path: Path) -> None:
    links = [member("hard.jpg", type=tarfile.LNKTYPE, linkname="c.jpg")]
    path = tar(tmp_path / "a.tar", member("c.jpg", b"good"), *links, mode="w:")
    for name in ("c.jpg", "hard.jpg"):
        Path("out").mkdir(exist_ok=True)
        Path("out", name).write_bytes(b"my own")
        code, err = unpack(path)
        assert (code, f"out/{name} is in the way of a file of {path}" in err) == (2, True)
        assert Path("out", name).read_bytes() == b"my own"
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
    assert err == f"error: {path}: {name!r} leads out of the folder: this archive is not to be trusted\n"
    assert content() == {"good.jpg": b"good"}
    assert sorted(os.listdir()) == ["bad", "out"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "links to /etc/passwd, outside of the folder"),
        ({"type": tarfile.SYMTYPE, "linkname": "../../etc/passwd"}, "leads out of the folder"),
        ({"type": tarfile.SYMTYPE, "linkname": ".."}, "which is no file before it in there"),
        ({"type": tarfile.SYMTYPE, "linkname": "missing"}, "which is no file before it in there"),
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


def test_links_that_were_there_before_lead_nowhere(unpack: Unpack, tmp_path: Path) -> None:
    for folder in ("out", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "out" / "d").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "out" / "f.jpg").symlink_to(tmp_path / "elsewhere" / "f.jpg")
    code, err = unpack(tar(tmp_path / "a.tar.gz", member("d/e/x.jpg", b"x")))
    assert (code, "out/d/e is a link out of out" in err) == (2, True)
    code, err = unpack(tar(tmp_path / "b.tar.gz", member("f.jpg", b"x")))
    assert (code, "out/f.jpg is a link, in the way" in err) == (2, True)
    assert os.listdir("elsewhere") == []


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
    assert ("holds no files" if kind == "no files" else "get it again") in err
    # What is there is whole.
    sizes = {file.stat().st_size for file in Path("out").rglob("*")} if Path("out").exists() else set()
    assert sizes == ({50_000} if kind in ("gz", "xz", "zip") else set())


def test_no_archive(unpack: Unpack) -> None:
    assert unpack("nowhere.tar.gz") == (
        2,
        "error: nowhere.tar.gz does not exist: give an archive, such as mjsynth.tar.gz\n",
    )
