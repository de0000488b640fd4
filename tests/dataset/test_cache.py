"""The packed cache: the same pictures as reading them, decoded once, never half a file."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import dataset
from crnn_reader.fit import fit_image
from crnn_reader.image import ImageOptions, read_image
from dataset.contents import decode
from tests.full_disk import full_disk

Maker = Callable[..., Path]


def pack(path: Path, cache: Path, **changes: object) -> dataset.Corpus:
    options = {"width": 32, "height": 16, "channels": 1, "fit": "stretch"} | changes
    return dataset.pack(dataset.collect(path), cache=cache, **options)  # type: ignore[arg-type]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from now on."""
    names: list[str] = []

    def counting(path: str, channels: int, options: ImageOptions) -> object:
        names.append(os.path.basename(path))
        return decode(path, channels, options)

    monkeypatch.setattr("dataset.cache.decode", counting)
    return names


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_rows_are_the_fitted_pictures(channels: int, fit: str, tmp_path: Path, write: Maker) -> None:
    folder = write(tmp_path / "data", [f"{i:03}_x.png" for i in range(100)], 30, 20)
    corpus = pack(folder, tmp_path / "cache", channels=channels, fit=fit)
    assert corpus.images.shape == (100, 16, 32, channels)
    assert isinstance(corpus.images, np.memmap)
    assert not corpus.images.flags.writeable
    for name, image in zip(corpus.names, corpus.images, strict=True):
        expected = fit_image(read_image(folder / str(name), channels), 32, 16, fit)  # type: ignore[arg-type]
        assert (image == expected).all()
    assert [str(label) for label in corpus.labels] == [f"{i:03}" for i in range(100)]
    assert (corpus.sizes == (30, 20)).all()
    assert len(set(corpus.digests)) == 100
    assert corpus.unreadable == []


def test_pictures_are_decoded_once(tmp_path: Path, write: Maker, decoded: list[str]) -> None:
    folder = write(tmp_path / "data", ["a.png", "b.png"])
    first = pack(folder, tmp_path / "cache")
    assert len(decoded) == 2
    second = pack(folder, tmp_path / "cache")
    assert len(decoded) == 2
    assert (first.images == second.images).all()
    assert (first.digests == second.digests).all()
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_only_new_and_changed_files_are_decoded(tmp_path: Path, write: Maker, decoded: list[str]) -> None:
    folder = write(tmp_path / "data", ["b.png", "c.png", "d.png", "e.png"])
    (folder / "d.png").write_bytes(b"broken")
    earlier = pack(folder, tmp_path / "cache")
    before = earlier.images.copy()
    decoded.clear()
    write(folder, ["a.png"], 9, 9)
    cv2.imwrite(str(folder / "b.png"), np.full((5, 5), 9, np.uint8))
    (folder / "c.png").unlink()
    corpus = pack(folder, tmp_path / "cache")
    assert sorted(decoded) == ["a.png", "b.png"]
    assert [str(name) for name in corpus.names] == ["a.png", "b.png", "e.png"]
    assert (corpus.images[1] == 9).all()
    assert (corpus.images[2] == before[2]).all()
    assert corpus.unreadable == [("d.png", "not a picture")]
    assert (earlier.images == before).all(), "who has the old one open keeps it"
    assert len(list((tmp_path / "cache").iterdir())) == 2, "the old pictures are gone"


def test_new_content_with_the_old_size_and_time_is_noticed(tmp_path: Path, write: Maker) -> None:
    folder = write(tmp_path / "data", ["a.bmp"])
    file = folder / "a.bmp"
    file.write_bytes(cv2.imencode(".bmp", np.zeros((8, 8), np.uint8))[1].tobytes())
    stat = file.stat()
    assert (pack(folder, tmp_path / "cache").images == 0).all()
    time.sleep(0.02)
    file.write_bytes(cv2.imencode(".bmp", np.full((8, 8), 255, np.uint8))[1].tobytes())
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (pack(folder, tmp_path / "cache").images == 255).all()


def test_size_channels_fit_and_path_have_their_own_caches(tmp_path: Path, write: Maker, decoded: list[str]) -> None:
    folder = write(tmp_path / "data", ["a.png"])
    (tmp_path / "list.txt").write_text("data/a.png x\n")
    pack(folder, tmp_path / "cache")
    for changes in ({"width": 16}, {"channels": 3}, {"fit": "pad"}):
        pack(folder, tmp_path / "cache", **changes)
    assert str(pack(tmp_path / "list.txt", tmp_path / "cache").labels[0]) == "x"
    assert str(pack(folder, tmp_path / "cache").labels[0]) == "a"
    assert len(decoded) == 5


def test_labels_are_not_cached(tmp_path: Path, write: Maker) -> None:
    folder = write(tmp_path / "data", ["a.png"])
    for label in ("x", "y"):
        (folder / "list.txt").write_text(f"a.png {label}\n")
        assert str(pack(folder / "list.txt", tmp_path / "cache").labels[0]) == label


def test_unreadable_pictures_are_left_out(tmp_path: Path, write: Maker) -> None:
    folder = write(tmp_path / "data", ["a.png", "c.png"])
    (folder / "b.png").write_bytes(b"")
    (folder / "d.png").write_bytes((folder / "a.png").read_bytes()[:100])
    for _ in range(2):
        corpus = pack(folder, tmp_path / "cache")
        assert [str(name) for name in corpus.names] == ["a.png", "c.png"]
        assert corpus.unreadable == [("b.png", "zero bytes"), ("d.png", "truncated")]


def test_a_missing_file_is_found_later(tmp_path: Path, write: Maker) -> None:
    folder = write(tmp_path / "data", ["a.png"])
    (folder / "list.txt").write_text("a.png x\nlate.png y\n")
    assert pack(folder / "list.txt", tmp_path / "cache").unreadable == [("late.png", "no such file")]
    write(folder, ["late.png"])
    assert pack(folder / "list.txt", tmp_path / "cache").unreadable == []


def test_without_a_readable_picture(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").touch()
    for _ in range(2):
        assert len(pack(tmp_path / "data", tmp_path / "cache")) == 0


def flipped(place: float) -> Callable[[bytes], bytes]:
    """Flip a bit at a relative position in the file."""

    def spoil(data: bytes) -> bytes:
        at = int(place * (len(data) - 1))
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return spoil


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    **{f"a bit at {place:.0%}": flipped(place) for place in (0, 0.02, 0.3, 0.5, 0.99, 1)},
    "zeros": lambda data: data[:1000] + bytes(1000) + data[2000:],
    "nothing but zeros": lambda data: bytes(len(data)),
    "cut": lambda data: data[:-50],
    "empty": lambda data: b"",
    "gone": lambda data: None,
    "parts exchanged": lambda data: data[1000:2000] + data[:1000] + data[2000:],
    "another file": lambda data: b"no archive",
}


@pytest.mark.parametrize("width", [32, None])
@pytest.mark.parametrize("suffix", ["npz", "pictures"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_written_again_with_a_warning(
    damage: str,
    suffix: str,
    width: int | None,
    tmp_path: Path,
    write: Maker,
    decoded: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write(tmp_path / "data", [f"{i}.png" for i in range(8)])
    corpus = pack(folder, tmp_path / "cache", width=width)
    expected = [corpus.images[row].copy() for row in range(8)]
    file = next((tmp_path / "cache").glob(f"*.{suffix}"))
    spoilt = DAMAGE[damage](file.read_bytes())
    file.unlink()
    if spoilt is not None:
        file.write_bytes(spoilt)
    decoded.clear()
    for times in (1, 2):
        corpus = pack(folder, tmp_path / "cache", width=width)
        assert all((corpus.images[row] == expected[row]).all() for row in range(8))
        err = capsys.readouterr().err
        # Without an index there is no warning.
        if times == 1 and (damage, suffix) != ("gone", "npz"):
            assert err.startswith(str(tmp_path / "cache")) and "is damaged (" in err
            assert err.endswith("): its pictures are decoded again\n")
            assert err.count("\n") == 1
        else:
            assert err == ""
    assert len(decoded) == 8


def test_a_cache_of_other_pictures_is_not_used(
    tmp_path: Path, write: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Undamaged files with wrong names, such as in a folder that was merged from several."""
    folder = write(tmp_path / "data", ["a.png", "b.png"])
    for width in (16, 32):
        pack(folder, tmp_path / str(width), width=width)
    index, other = (next((tmp_path / str(width)).glob("*.npz")) for width in (16, 32))
    index.write_bytes(other.read_bytes())
    pictures = next((tmp_path / "32").glob("*.pictures"))
    (tmp_path / "16" / pictures.name).write_bytes(pictures.read_bytes())
    expected = fit_image(read_image(folder / "a.png", 1), 16, 16)
    assert (pack(folder, tmp_path / "16", width=16).images[0] == expected).all()
    assert "is damaged (it belongs to other pictures)" in capsys.readouterr().err


@pytest.mark.parametrize("at_work", ["index", "pictures"])
def test_a_pipe_in_the_cache_is_not_waited_for(at_work: str, tmp_path: Path, write: Maker) -> None:
    folder = write(tmp_path / "data", ["a.png"])
    expected = pack(folder, tmp_path / "cache").images.copy()
    file = next((tmp_path / "cache").glob("*.npz" if at_work == "index" else "*.pictures"))
    file.unlink()
    os.mkfifo(file)
    assert (pack(folder, tmp_path / "cache").images == expected).all()


def test_an_interrupted_call_keeps_finished_pictures(
    tmp_path: Path, write: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "data", [f"{i:04}.png" for i in range(400)], 4, 4)
    seen: list[str] = []

    def interrupted(path: str, channels: int, options: ImageOptions) -> object:
        if path.endswith("0300.png"):
            raise KeyboardInterrupt
        return decode(path, channels, options)

    def counting(path: str, channels: int, options: ImageOptions) -> object:
        seen.append(path)
        return decode(path, channels, options)

    monkeypatch.setattr("dataset.cache.decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(folder, tmp_path / "cache", width=30)
    monkeypatch.setattr("dataset.cache.decode", counting)
    corpus = pack(folder, tmp_path / "cache", width=30)
    assert len(seen) < 200
    assert len(corpus) == 400
    for name, image in zip(corpus.names, corpus.images, strict=True):
        assert (image == fit_image(read_image(folder / str(name), 1), 30, 16)).all()


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Simulate a full disk for files in folders of this name."""
    opened = Path.open

    def fill(folder: str) -> None:
        def full(self: Path, mode: str = "r", *rest: object, **options: object) -> object:
            if mode == "wb" and self.parent == tmp_path / folder:
                opened(self, mode).close()  # type: ignore[call-overload]
                raise OSError(errno.ENOSPC, "No space left on device")
            return opened(self, mode, *rest, **options)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", full)

    return fill


def test_pictures_go_to_the_next_folder_if_the_disk_is_full(
    tmp_path: Path,
    write: Maker,
    full: Callable[[str], None],
    decoded: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write(tmp_path / "data", ["a.png"])
    pack(folder, tmp_path / "cache")
    before = sorted((tmp_path / "cache").iterdir())
    write(folder, ["a.png", "b.png"], 30, 30)
    full("cache")
    decoded.clear()
    for _ in range(2):
        corpus = pack(folder, tmp_path / "cache", fallbacks=[tmp_path / "run" / ".cache"])
        for name, image in zip("ab", corpus.images, strict=True):
            assert (image == fit_image(read_image(folder / f"{name}.png", 1), 32, 16)).all()
    assert decoded == ["a.png", "b.png"]
    said = f"{tmp_path}/cache cannot be written (No space left on device): decoded pictures go to {tmp_path}/run/.cache"
    assert capsys.readouterr().err.splitlines() == [said]
    assert sorted((tmp_path / "cache").iterdir()) == before
    assert sorted(path.suffix for path in (tmp_path / "run" / ".cache").iterdir()) == [".npz", ".pictures"]


@pytest.mark.parametrize("obstacle", ["a file", "a file above", "a link in a circle"])
def test_pictures_go_to_a_temporary_file_if_no_cache_can_be_written(
    obstacle: str, tmp_path: Path, write: Maker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, cache = write(tmp_path / "data", ["a.png", "b.png"]), tmp_path / "cache"
    if obstacle == "a link in a circle":
        cache.symlink_to(cache)
    else:
        cache.touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    before = sorted(tmp_path.rglob("*"))
    for width in (32, None):
        corpus = pack(folder, cache / "below" if obstacle == "a file above" else cache, width=width)
        assert (corpus.images[1] == fit_image(read_image(folder / "b.png", 1), width, 16)).all()
        err = capsys.readouterr().err
        assert err.startswith(str(cache)) and err.count("\n") == 1
        assert err.endswith("decoded pictures go to a temporary file, which is deleted at exit\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_read_only_cache_is_used(
    tmp_path: Path, write: Maker, full: Callable[[str], None], decoded: list[str]
) -> None:
    folder = write(tmp_path / "data", ["a.png"])
    pack(folder, tmp_path / "cache")
    full("cache")
    pack(folder, tmp_path / "cache", fallbacks=[tmp_path / "run"])
    assert decoded == ["a.png"]
    assert not (tmp_path / "run").exists()
    write(folder, ["0.png", "b.png"])
    pack(folder, tmp_path / "cache", fallbacks=[tmp_path / "run"])
    assert sorted(decoded) == ["0.png", "a.png", "b.png"], "what is unchanged is copied"


def test_the_error_names_the_folder_if_nothing_can_be_written(tmp_path: Path, write: Maker) -> None:
    folder = write(tmp_path / "data", [f"{i:03}.png" for i in range(300)])
    with full_disk(1000), pytest.raises(OSError, match="File too large") as caught:
        pack(folder, tmp_path / "cache")
    assert caught.value.filename == tempfile.gettempdir()
    assert list((tmp_path / "cache").iterdir()) == []


def test_files_of_killed_processes_are_removed(tmp_path: Path, write: Maker) -> None:
    folder, cache = write(tmp_path / "data", ["a.png"]), tmp_path / "cache"
    cache.mkdir()
    left, fresh = (cache / f"{'0123' * 4}-{token * 3}.pictures" for token in ("dead", "a11e"))
    left.touch()
    fresh.touch()
    others = [cache / "mine.npz", cache / "other.pictures"]
    for path in others:
        path.touch()
    for path in (left, *others):
        os.utime(path, (0, 0))
    pack(folder, cache)
    assert not left.exists()
    assert all(path.exists() for path in others), "somebody else's"
    assert fresh.exists(), "another process may be writing it"


def test_caches_unused_for_a_month_are_removed(tmp_path: Path, write: Maker) -> None:
    cache = tmp_path / "cache"
    for name in ("used", "unused"):
        pack(write(tmp_path / name, ["a.png"]), cache)
    long_ago = time.time() - 31 * 86_400
    for path in cache.iterdir():
        os.utime(path, (long_ago, long_ago))
    pack(tmp_path / "used", cache)
    before = set(cache.iterdir())
    pack(write(tmp_path / "new", ["a.png"]), cache)
    gone = before - set(cache.iterdir())
    assert sorted(path.suffix for path in gone) == [".npz", ".pictures"]
    assert pack(tmp_path / "used", cache).images.filename not in map(str, gone)


def test_image_statistics(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, [f"a{i}.png" for i in range(30)], 60, 20)
    write(tmp_path, ["wide.png"], 300, 20)
    (tmp_path / "broken.png").touch()
    assert dataset.image_statistics(dataset.collect(tmp_path)).aspect == 3.0


@pytest.mark.parametrize(("ink", "contrast"), [((0, 0, 0), (1.0, 1.1)), ((255, 255, 0), (8.0, 10.0))])
def test_image_statistics_tell_yellow_from_black_on_white(
    ink: tuple[int, int, int], contrast: tuple[float, float], tmp_path: Path
) -> None:
    for name in "ab":
        image = np.full((20, 60, 3), 255, np.uint8)
        image[5:15, 10:50] = ink
        cv2.imwrite(str(tmp_path / f"{name}.png"), image[..., ::-1])
    low, high = contrast
    assert low <= dataset.image_statistics(dataset.collect(tmp_path)).colour_contrast <= high


def test_image_statistics_without_a_readable_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert dataset.image_statistics(dataset.collect(tmp_path)) == (1.0, 1.0)
