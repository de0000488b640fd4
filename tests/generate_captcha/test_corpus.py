"""The corpus on disk and its command: equal bytes, continuing, errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest

import generate_captcha.corpus
from crnn_reader.errors import UserError
from generate_captcha import style_of, write_corpus
from generate_captcha.text.fonts import packaged_font
from parameter import GenerateParameters
from tests.processes import finished, started

CLONE = Path(__file__).resolve().parents[2]


def parameters(out: Path, **others: object) -> GenerateParameters:
    usual: dict[str, object] = {"count": 70, "workers": 1, "size": "60x24", "length": "4", "style": "lines"}
    return GenerateParameters(out=str(out), **(usual | others))  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(folder: Path, *flags: str) -> CompletedProcess[str]:
    return finished(
        [sys.executable, "-m", "generate_captcha", *flags],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CLONE)},
    )


def test_number_of_workers_does_not_change_bytes(tmp_path: Path) -> None:
    # In another process, without the threads of other tests. A script beside those of the kit counts as a command, in
    # which workers are forked. The first corpus starts threads of OpenCV, which would make forked workers hang.
    story = f"""
import sys
sys.modules["__main__"].__file__ = {str(CLONE / "story.py")!r}
from cli import interrupts
from generate_captcha import write_corpus
from parameter import GenerateParameters
assert interrupts.is_command
for style, alphabet in (("captcha", "A-Z"), ("lines", "A-Z"), ("line", "A-Z"), ("line", "A-Z .")):
    for workers in (1, 3):
        out = f"{{workers}}/{{style}}{{len(alphabet)}}"
        asked = dict(style=style, alphabet=alphabet, count=100, size="60x24", length="4", workers=workers)
        assert write_corpus(GenerateParameters(out=out, **asked)).made == 100
"""
    finished([sys.executable, "-c", story], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(CLONE)}, check=True)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")
    # Pictures, records, and one list of labels.
    assert len(contents(tmp_path / "1")) == 4 * 101 + 1


def test_workers_are_not_forked_in_other_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may have threads that Python does not count, such as those of onnxruntime, whose locks a fork would copy."""
    monkeypatch.setattr(os, "fork", None)
    assert write_corpus(parameters(tmp_path, workers=2)).made == 70


@pytest.mark.parametrize("colour", ["colour", "grey"])
def test_files_contain_pictures_and_names_contain_labels(colour: str, tmp_path: Path) -> None:
    asked = parameters(tmp_path, count=5, colour=colour)
    write_corpus(asked)
    style = style_of(asked)
    for index in range(5):
        image, label = style.picture(index)
        stored = cv2.imread(str(tmp_path / f"{label}_{index:06}.png"), cv2.IMREAD_UNCHANGED)
        assert stored is not None
        if colour == "grey":
            np.testing.assert_array_equal(stored, image[:, :, 0])
        else:
            np.testing.assert_array_equal(stored[:, :, ::-1], image)


def test_names_differ_when_case_is_ignored(tmp_path: Path) -> None:
    write_corpus(parameters(tmp_path, alphabet="aA", length="1", count=40))
    assert len({name.lower() for name in contents(tmp_path)}) == 41


@pytest.mark.parametrize("after", [0, 5])
def test_interrupted_list_has_only_existing_pictures(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {"style": "line", "alphabet": "0-9 .", "size": "120x24", "length": "4", "count": 20, "workers": 1}
    encode, encoded = generate_captcha.corpus.encode, list[int]()

    def stopped(*arguments: Any) -> bytes:
        if len(encoded) == after:
            raise KeyboardInterrupt
        encoded.append(1)
        return encode(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(generate_captcha.corpus, "encode", stopped)
        with pytest.raises(KeyboardInterrupt):
            write_corpus(parameters(tmp_path / "stopped", **listed))
    if after:
        assert (tmp_path / "stopped" / "labels.tsv").read_text().count("\n") == 1 + after
    else:
        # Nothing is left that would refuse other parameters.
        assert not any((tmp_path / "stopped").iterdir())
    write_corpus(parameters(tmp_path / "stopped", **listed))
    write_corpus(parameters(tmp_path / "whole", **listed))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_interrupted_run_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small sub-folders, so that few pictures are enough.
    monkeypatch.setattr(generate_captcha.corpus, "FOLDER_SIZE", 25)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    write_corpus(parameters(whole))
    assert (whole / "0002").is_dir()
    shutil.copytree(whole, stopped)
    gone = [path for number, path in enumerate(sorted(stopped.rglob("*.png"))) if number % 7 == 0]
    kept = next(path for path in sorted(stopped.rglob("*.png")) if path not in gone)
    for path in gone:
        path.unlink()
    (stopped / ".AAAA_000003.4711.partial.png").write_bytes(b"half")
    (stopped / "0001" / ".AAAA_000030.4711.partial.png").write_bytes(b"half")
    os.utime(kept, (1, 1))

    written = write_corpus(parameters(stopped))

    assert (written.made, written.existing) == (len(gone), 70 - len(gone))
    assert contents(stopped) == contents(whole)
    assert kept.stat().st_mtime == 1, "existing pictures are not drawn again"


def test_larger_count_continues_and_equal_count_makes_nothing(tmp_path: Path) -> None:
    write_corpus(parameters(tmp_path / "grown", count=10))
    first = contents(tmp_path / "grown")
    assert write_corpus(parameters(tmp_path / "grown")).made == 60
    write_corpus(parameters(tmp_path / "whole"))
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")
    assert first.items() <= contents(tmp_path / "whole").items()
    assert write_corpus(parameters(tmp_path / "grown", workers=4)).made == 0


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("style", "dots"),
        ("size", "61x24"),
        ("length", "4-5"),
        ("alphabet", "0123456789"),
        ("colour", "grey"),
        ("noise", 2),
        ("distortion", 0),
        ("seed", 1),
    ],
)
def test_other_parameters_are_refused(flag: str, value: object, tmp_path: Path) -> None:
    write_corpus(parameters(tmp_path, count=3))
    before = contents(tmp_path)
    with pytest.raises(UserError, match=rf"another .*{flag} \(.*now {value}"):
        write_corpus(parameters(tmp_path, **{"count": 5, flag: value}))
    assert contents(tmp_path) == before


def test_other_spellings_of_the_same_parameters_continue(tmp_path: Path) -> None:
    write_corpus(parameters(tmp_path, count=3, alphabet="0-3", noise=1))
    assert write_corpus(parameters(tmp_path, count=4, alphabet="0123", noise=1.0)).made == 1


def test_corpus_json_records_parameters(tmp_path: Path) -> None:
    write_corpus(parameters(tmp_path, count=1, alphabet="0-3", seed=9))
    about = json.loads((tmp_path / "corpus.json").read_text())
    assert about["style"] == "lines"
    assert about["alphabet"] == "0123"
    assert about["seed"] == 9
    assert about["fonts"][0].startswith("DejaVuSans.ttf sha256:")
    assert "count" not in about
    assert "workers" not in about


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "AAAA_1.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"has files but no corpus\.json"):
        write_corpus(parameters(tmp_path))
    assert contents(tmp_path) == {"AAAA_1.png": b"mine"}


def test_folder_with_hidden_files_is_filled(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    assert write_corpus(parameters(tmp_path, count=2)).made == 2


def test_broken_corpus_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_text("[1")
    with pytest.raises(UserError, match=r"corpus\.json does not say how"):
        write_corpus(parameters(tmp_path))


@pytest.mark.parametrize(
    "text", ["", "{", "7", "null", '{"seed": NaN}', "[" * 100_000, '{"a":' * 100_000, '{"seed": ' + "9" * 5000 + "}"]
)
def test_damaged_corpus_json_gives_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(UserError, match=r"corpus\.json does not say how .*: restore the file, or choose"):
        write_corpus(parameters(tmp_path))
    assert os.listdir(tmp_path) == ["corpus.json"]


@pytest.mark.parametrize(
    "about", [[], {}, {"style": ["lines"]}, {"fonts": {"a": [[[1]]]}}, {"seed": -1e308}, {"alphabet": None}]
)
def test_corpus_json_with_other_types_is_refused(about: object, tmp_path: Path) -> None:
    write_corpus(parameters(tmp_path, count=2))
    record = json.loads((tmp_path / "corpus.json").read_text())
    (tmp_path / "corpus.json").write_text(json.dumps(record | about if isinstance(about, dict) and about else about))
    with pytest.raises(UserError, match=r"made with another|does not say how"):
        write_corpus(parameters(tmp_path, count=2))


@pytest.mark.parametrize("name", ["corpus.json", "labels.tsv", "000001.png"])
def test_pipe_in_corpus_is_refused_without_waiting(name: str, tmp_path: Path) -> None:
    listed = {"style": "line", "alphabet": "0-9 ", "size": "120x24", "count": 3}
    write_corpus(parameters(tmp_path, **listed))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name} (does not say how .* a named pipe|is not the list|is not a file)"):
        write_corpus(parameters(tmp_path, **listed))


@pytest.mark.parametrize("what", ["pipe", "device", "circle", "unreadable", "folder"])
@pytest.mark.parametrize("flag", ["text", "layouts", "fonts", "backgrounds"])
def test_input_that_is_not_a_file_gives_one_sentence(flag: str, what: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    path = own / {"text": "a.txt", "layouts": "a.toml", "fonts": "a.ttf", "backgrounds": "a.png"}[flag]
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        # The last can be opened, but not read.
        path.symlink_to({"device": "/dev/zero", "circle": path.name, "unreadable": "/proc/self/mem"}[what])
    style = {"layouts": "plate", "fonts": "line"}.get(flag, "line")
    given = {"style": style, "size": "", "length": "", flag: str(own if flag in ("fonts", "backgrounds") else path)}
    with pytest.raises((UserError, OSError)) as stop:
        write_corpus(GenerateParameters(out=str(tmp_path / "c"), count=2, workers=1, **given))  # type: ignore[arg-type]
    # The command turns an OSError with a name into a sentence.
    assert isinstance(stop.value, UserError) or str(path) in str(stop.value)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("style", ["captcha", "lines", "line"])
@pytest.mark.parametrize("damage", ["cut", "glyphs", "tables"])
def test_damaged_font_is_named(damage: str, style: str, tmp_path: Path) -> None:
    data = bytearray(packaged_font("DejaVuSans.ttf").read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        # The directory of tables, or the outlines of the glyphs.
        place = data.index(b"glyf") if damage == "tables" else 250_000
        data[place : place + (4 if damage == "tables" else 400_000)] = bytes(4 if damage == "tables" else 400_000)
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "own.ttf").write_bytes(data)
    with pytest.raises(UserError, match=r"own\.ttf is (damaged|no font)"):
        write_corpus(parameters(tmp_path / "c", style=style, fonts=str(tmp_path / "fonts"), size="120x32"))


def test_empty_picture_is_drawn_again(tmp_path: Path) -> None:
    write_corpus(parameters(tmp_path, count=3))
    whole = contents(tmp_path)
    picture = sorted(tmp_path.glob("*.png"))[1]
    picture.write_bytes(b"")
    assert write_corpus(parameters(tmp_path, count=3)).made == 1
    assert contents(tmp_path) == whole


def test_corpus_killed_during_clean_up_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {"style": "line", "alphabet": "0-9 ", "size": "120x24", "count": 3}
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        if path.parent == tmp_path / "stopped":
            raise SystemExit

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generate_captcha.corpus, "encode", interrupted)
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(SystemExit):
            write_corpus(parameters(tmp_path / "stopped", **listed))
    write_corpus(parameters(tmp_path / "stopped", **listed))
    write_corpus(parameters(tmp_path / "whole", **listed))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("alphabet", "length"),
    # é takes two bytes.
    [("AB/", "4"), ("_A", "4"), ("A.", "4"), ("A:", "4"), ("AB", "300"), ("é", "120")],
)
def test_labels_that_file_names_cannot_contain_are_listed(alphabet: str, length: str, tmp_path: Path) -> None:
    listed = {"alphabet": alphabet, "length": length, "size": "2000x24", "count": 3}
    asked = parameters(tmp_path, **listed)
    write_corpus(asked)
    style = style_of(asked)
    assert (tmp_path / "labels.tsv").read_text(encoding="utf-8").split("\n") == [
        "file\tlabel",
        *(f"{index:06}.png\t{style.label(index)}" for index in range(3)),
        "",
    ]
    assert contents(tmp_path).keys() == {"corpus.json", "labels.tsv", "000000.png", "000001.png", "000002.png"}


def test_listed_corpus_does_not_depend_on_its_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_captcha.corpus, "FOLDER_SIZE", 25)
    listed = {"style": "line", "alphabet": "0-9 .", "size": "120x24"}
    write_corpus(parameters(tmp_path / "whole", **listed))
    write_corpus(parameters(tmp_path / "grown", **listed, count=10))
    assert (tmp_path / "grown" / "labels.tsv").read_text().count("\n") == 11
    assert write_corpus(parameters(tmp_path / "grown", **listed)).made == 60
    (tmp_path / "grown" / "0001" / "000030.png").unlink()
    assert write_corpus(parameters(tmp_path / "grown", **listed)).made == 1
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")
    assert write_corpus(parameters(tmp_path / "whole", **listed, count=5)).made == 0
    assert (tmp_path / "whole" / "labels.tsv").read_text().count("\n") == 71, "existing pictures remain listed"
    for index in range(40, 70):
        generate_captcha.corpus.picture_path(tmp_path / "whole", None, index).unlink()
    assert write_corpus(parameters(tmp_path / "whole", **listed, count=5)).made == 0
    assert (tmp_path / "whole" / "labels.tsv").read_text().count("\n") == 41, "missing pictures do not"


def test_list_is_written_before_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, listed = generate_captcha.corpus.encode, list[int]()

    def watched(*arguments: Any) -> bytes:
        listed.append((tmp_path / "labels.tsv").read_text().count("\n"))
        return encode(*arguments)

    monkeypatch.setattr(generate_captcha.corpus, "encode", watched)
    write_corpus(parameters(tmp_path, style="line", alphabet="A ", count=4, workers=1))
    assert listed == [5] * 4


# The command itself


def test_command_fills_folder_and_prints_next_command(tmp_path: Path) -> None:
    done = command(tmp_path, "--count", "40", "--workers", "2", "--size", "60x24")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "DB/train: made 40 pictures" in done.stderr
    assert done.stderr.rstrip().endswith("next: python training.py")
    assert len(list((tmp_path / "DB/train").glob("*_0000??.png"))) == 40
    lines = command(tmp_path, "--style", "line", "--count", "5", "--size", "autox32", "--out", "lines")
    assert lines.stderr.rstrip().endswith("next: python training.py --data lines --size autox32")
    test = command(tmp_path, "--count", "5", "--size", "60x24", "--out", "my_test")
    assert test.stderr.rstrip().endswith("next: python evaluation.py my_test --model runs/NAME")
    again = command(tmp_path, "--count", "40", "--size", "60x24")
    assert again.returncode == 0
    assert "nothing to make; 40 were there" in again.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--size", "12"], "--size 12: a size is WIDTHxHEIGHT"),
        (["--size", "8x8"], "--size 8x8: too small"),
        (["--length", "6-4"], "--length 6-4: a length is"),
        (["--alphabet", "Z-A"], "--alphabet Z-A: the range Z-A runs backwards"),
        (["--alphabet", "AA"], "'A' is in the alphabet twice"),
        (["--alphabet", "gone.txt"], "--alphabet gone.txt: no such file"),
        (["--alphabet", "/proc/self/mem"], "--alphabet /proc/self/mem: it cannot be read"),
        (["--alphabet", "漢"], "lacks the character '漢'"),
        (["--fonts", "nowhere"], "there is no folder nowhere: give one with .ttf, .otf or .ttc files (--fonts)"),
        (["--count", "0"], "--count 0: "),
        (["--alphabet", "A B"], "the alphabet contains a space, which cannot be drawn by itself in style captcha"),
        (
            ["--size", "autox32"],
            "--size autox32 is for --style line, plate, no_plate, wild and any family of wild, not for --style captcha",
        ),
        (["--text", "gone.txt"], "--text gone.txt is for --style line"),
        (
            ["--text", "gone.txt", "--style", "line"],
            "there is no file gone.txt: give a UTF-8 file",
        ),
        (["--backgrounds", "gone"], "--backgrounds gone is for --style line"),
        (
            ["--backgrounds", "gone", "--style", "line"],
            "there is no folder gone: give a folder of pictures (--b",
        ),
        (["--backgrounds", "grounds", "--style", "line"], "broken.png is not a picture: remove it"),
        (["--difficulty", "1"], "--difficulty 1.0 is for --style line"),
        (["--difficulty", "2", "--style", "line"], "--difficulty 2"),
        (["--noise", "-1"], "--noise"),
        (["--out", "file"], "file"),
    ],
)
def test_mistake_gives_one_sentence_and_exit_code_2(
    flags: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.command import run_command
    from generate_captcha.__main__ import generate

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "grounds").mkdir()
    (tmp_path / "grounds" / "broken.png").write_bytes(b"nothing")
    with pytest.raises(SystemExit) as stop:
        run_command(generate, GenerateParameters, ["--count", "2", *flags])
    assert stop.value.code == 2
    complaint = capsys.readouterr().err
    assert sentence in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "DB").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_full_disk_gives_one_sentence_and_exit_code_2(workers: str, tmp_path: Path) -> None:
    # A limit on the size of files replaces a full disk: corpus.json fits, a picture does not. The process sets it
    # itself, because a function between fork and exec hangs if another thread holds a lock.
    limited = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-m", "generate_captcha", "--out", "out", "--count", "80", "--workers", workers]
    environment = os.environ | {"PYTHONPATH": str(CLONE)}
    done = finished([sys.executable, "-c", limited, *command], cwd=tmp_path, env=environment)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: no space left to write ")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_command(end: signal.Signals, tmp_path: Path) -> None:
    flags = ["--out", "out", "--count", "1000000", "--workers", "2", "--size", "60x24"]
    command = [sys.executable, "-m", "generate_captcha", *flags]
    environment = os.environ | {"PYTHONPATH": str(CLONE)}
    with started(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        until(lambda: len(list((tmp_path / "out").glob("*.png"))) > 50)
        # Terminals send Ctrl-C to the whole group, and so do clusters that end a job.
        (os.kill if end == signal.SIGKILL else os.killpg)(process.pid, end)
        _, complaint = process.communicate()
        if end != signal.SIGKILL:
            assert process.returncode == 130
            assert complaint.startswith("interrupted")
            assert complaint.count("\n") == 1
        until(lambda: not group_lives(process.pid))
    assert all(cv2.imread(str(path)) is not None for path in (tmp_path / "out").glob("[!.]*.png"))


def until(true: object) -> None:
    deadline = time.monotonic() + 100
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.02)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_help_names_flags(tmp_path: Path) -> None:
    done = command(tmp_path, "--help")
    assert done.returncode == 0
    for flag in ("--out", "--count", "--style", "--size", "--length", "--alphabet", "--fonts", "--seed", "--workers"):
        assert flag in done.stdout
