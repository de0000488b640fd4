"""Unusual pictures and texts, and full disks: the commands read them, or refuse them in one sentence."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import training
from cli.command import ALL_DONE, SOME_UNREADABLE, WRONG_USE
from crnn_reader.alphabet import parse_alphabet
from crnn_reader.model_files import read_config
from model.training import defaults
from model.training.run_folder import RunFolder
from tests.commands import COMMANDS, exit_code
from tests.full_disk import full_disk
from tests.processes import finished, started
from tests.samples import MODEL, level

ROOT = Path(training.__file__).parent
SMALL = ["--preset", "lite", "--from", "random", "--size", "48x32"]
SMALL += ["--batch-size", "8", "--augmentation", "0", "--epochs", "1"]

LINES = {
    "dataset": "python -m dataset",
    "convert": "python -m dataset convert",
    "generate_captcha": "python -m generate_captcha",
    "training": "python training.py",
    "prediction": "python prediction.py",
    "evaluation": "python evaluation.py",
}

Run = Callable[..., tuple[int, list[str], str]]

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("training", …)` in a folder of its own: exit code, lines of stdout, stderr. captcha_lite is the default."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *argv: str) -> tuple[int, list[str], str]:
        model = MODEL if name in ("prediction", "evaluation") else ()
        code = exit_code(*COMMANDS[LINES[name]], [*model, *argv])
        out, errors = capsys.readouterr()
        return code, out.removesuffix("\n").split("\n"), errors

    return run


def noise(path: str, width: int = 48, height: int = 32) -> Path:
    """Write a picture that depends on its path."""
    file = Path(path)
    file.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng([*os.fsencode(path)]).integers(0, 256, (height, width), np.uint8)
    file.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return file


def sentence(errors: str) -> str:
    """The only error of a command."""
    assert "Traceback" not in errors
    (error,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    return error


# Texts


def test_combining_and_right_to_left_labels_are_normalised_everywhere(run: Run) -> None:
    labels = {"cafe\u0301": "café", "q\u0323\u0307": "q\u0323\u0307", "שלום": "שלום", "سلام": "سلام", "नमस्ते": "नमस्ते"}
    for label in labels:
        for number in range(4):
            noise(f"data/{label}_{number}.png")
    code, _, errors = run("training", "--data", "data", "--run", "r", *SMALL)
    assert code == ALL_DONE, errors
    assert "and ctc reads from left to right" in errors and "try another head (--head attention)" in errors
    # Weights that know the characters have learnt their order.
    code, _, errors = run("training", "--data", "data", "--run", "again", "--from", "r", "--epochs", "1")
    assert code == ALL_DONE and "from left to right" not in errors
    alphabet = read_config(Path("r/model.keras")).alphabet
    assert sorted(alphabet) == sorted(set("".join(labels.values())))
    split = json.loads(Path("r/split.json").read_text())
    assert set((split["training"] | split["validation"]).values()) == set(labels.values())
    code, lines, errors = run("prediction", "data", "--labels", "--model", "r")
    assert (code, {line.split("\t")[3] for line in lines}) == (ALL_DONE, set(labels.values()))
    code, _, errors = run("evaluation", "data", "--model", "r", "--json", "s.json")
    assert code == ALL_DONE
    assert "cannot read" not in errors
    worst = json.loads(Path("s.json").read_text())["worst"]
    assert {mistake["truth"] for mistake in worst} <= set(labels.values())


@pytest.mark.parametrize("labels", [["a-c", "cab"], ["e\u0307", "qé\u0323".replace("é", "e")], ["ก็", "กิ่", "ש\u05b8"]])
def test_the_alphabet_of_any_labels_can_be_given_as_a_flag(labels: list[str]) -> None:
    # In sorted order, a mark would combine with the letter before it.
    assert set(parse_alphabet(defaults.characters(labels))) == set("".join(labels))


@pytest.mark.parametrize("head", ["ctc", "attention", "joint"])
def test_unknown_characters_are_named_for_each_head(run: Run, head: str) -> None:
    for number in range(8):
        noise(f"data/ab_{number}.png")
    noise("other/aéb_1.png")
    arguments = ["--data", "data", "--head", head, "--run", "r", *SMALL]
    code, _, errors = run("training", *arguments, "--alphabet", "b")
    assert (code, "1 character outside the alphabet: a (ab_0.png" in sentence(errors)) == (WRONG_USE, True)
    code, _, errors = run("training", *arguments, "--validation", "other")
    assert (code, "1 character outside the alphabet: é (aéb_1.png)" in sentence(errors)) == (WRONG_USE, True)
    drawn = "generate:line --alphabet abc --length 2 --size 48x32 --count 8"
    code, _, errors = run("training", *arguments, "--data", drawn, "--alphabet", "ab")
    assert (code, "the alphabet lacks c, which are in the pictures" in sentence(errors)) == (WRONG_USE, True)
    assert not Path("r").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.tsv", "file\tlabel\ndata/ab_1.png\t\ndata/ab_2.png\tab\n"),
        ("l.csv", "file,label\ndata/ab_1.png,\ndata/ab_2.png,ab\n"),
        ("l.jsonl", '{"file": "data/ab_1.png", "label": ""}\n{"file": "data/ab_2.png", "label": "ab"}\n'),
        ("l.txt", "data/ab_1.png\ndata/ab_2.png ab\n"),
    ],
)
def test_an_empty_text_is_no_label(run: Run, name: str, content: str) -> None:
    noise("data/ab_1.png")
    noise("data/ab_2.png")
    Path(name).write_text(content)
    assert run("dataset", name)[0] == SOME_UNREADABLE
    code, _, errors = run("training", "--data", name, "--run", "r", *SMALL)
    assert (code, "1 picture without a label (data/ab_1.png)" in sentence(errors)) == (WRONG_USE, True)
    assert "1 of 2 pictures have no label and are left out" in run("evaluation", name)[2]
    code, lines, _ = run("prediction", name, "--labels")
    assert (code, lines[0].rpartition("\t")[2]) == (ALL_DONE, "unlabelled")


@pytest.mark.parametrize("text", ["a\\tb", "a\\nb", "\\u0001", "a\\ud800", "\\u0000", "a\\u2028b", "\ufffd"])
def test_labels_with_control_characters_are_named(run: Run, text: str) -> None:
    entries = []
    for number in range(4):
        file = noise(f"data/{number}.png")
        entries.append(f'{{"file": "{file}", "label": "{text if number == 2 else "ab"}"}}\n')
    Path("l.jsonl").write_text("".join(entries), encoding="utf-8")
    code, lines, _ = run("dataset", "l.jsonl")
    expected = "1 label with a tab, line break, control or replacement character (data/2.png): mend the labels"
    assert (code, lines.count("")) == (SOME_UNREADABLE, 0)
    code, _, errors = run("training", "--data", "l.jsonl", "--run", "r", *SMALL)
    assert (code, sentence(errors)) == (WRONG_USE, f"error: {expected}")
    # Such labels count as mistakes.
    assert run("evaluation", "l.jsonl", "--json", "s.json", "--report", "report")[0] == ALL_DONE
    for further in ([], ["--demo", "2"]):
        argv = ["l.jsonl", "--labels", "--csv", "o.csv", "--json", "o.json", *further]
        code, lines, _ = run("prediction", *argv)
        assert (code, len(lines)) == (ALL_DONE, 2 if further else 4)


# Records and pairs


@pytest.mark.parametrize("form", ["tfrecord", "fsns", "lmdb"])
def test_truncated_records_are_named_by_every_command(run: Run, form: str) -> None:
    for number in range(12):
        noise(f"data/ab_{number}.png")
    assert run("convert", "data", "records", "--form", form)[0] == ALL_DONE
    file = max(Path("records").iterdir(), key=lambda path: path.stat().st_size)
    # Cut within a record: after a whole one, nothing would show that there were more.
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2 + 9])
    Path("o.csv").write_text("earlier")
    for name, *argv in (
        ("dataset", "records"),
        ("training", "--data", "records", "--run", "r", *SMALL),
        ("evaluation", "records", "--json", "s.json"),
        ("prediction", "records", "--csv", "o.csv"),
        ("convert", "records", "copy", "--form", "csv"),
    ):
        code, _, errors = run(name, *argv)
        assert (code, str(file) in sentence(errors), "truncated" in errors) == (WRONG_USE, True, True)
    assert Path("o.csv").read_text() == "earlier"
    assert not {Path("r"), Path("s.json"), Path("copy")} & set(Path().iterdir())


def test_a_picture_without_its_text_and_a_text_without_its_picture_are_named(run: Run) -> None:
    for number in range(4):
        noise(f"data/ab_{number}.png")
    assert run("convert", "data", "pairs", "--form", "sidecar")[0] == ALL_DONE
    Path("pairs/000001.txt").unlink()
    Path("pairs/000002.png").unlink()
    code, _, errors = run("training", "--data", "pairs", "--run", "r", *SMALL)
    assert (code, "1 picture without a label (000001.png)" in sentence(errors)) == (WRONG_USE, True)
    assert "pairs: 1 texts without a picture of the same name: 000002.txt" in errors


# Widths


@pytest.mark.parametrize("size", ["48x32", "autox32"])
def test_pictures_of_1_pixel_and_of_100_000(run: Run, size: str) -> None:
    for number in range(8):
        noise(f"data/ab_{number}.png")
    noise("data/ab_thin.png", 1, 40)
    noise("data/ab_dot.png", 1, 1)
    noise("data/ab_wide.png", 100_000, 32)
    too_wide = "ab_wide.png: 100,000 pixels wide at a height of 32, more than 16,000: cut it"
    code, lines, _ = run("dataset", "data")
    assert (code, any("(1 to 100000)" in line for line in lines)) == (ALL_DONE, True)
    some = SOME_UNREADABLE if size == "autox32" else ALL_DONE
    arguments = ["--data", "data", "--run", "r", "--validation", "0.3", *SMALL]
    code, _, errors = run("training", *arguments, "--size", size)
    assert (code, too_wide in errors) == (some, size == "autox32")
    split = json.loads(Path("r/split.json").read_text())
    assert len(split["training"] | split["validation"]) == 10 + (size == "48x32")
    code, lines, errors = run("prediction", "data", "--model", "r")
    assert (code, too_wide in errors, len(lines)) == (some, size == "autox32", 10 + (size == "48x32"))
    assert run("evaluation", "data", "--model", "r")[0] == some


# Full disks


@pytest.mark.parametrize(
    ("largest", "name"), [(20, "parameters.json"), (50_000, "model.keras"), (5_000_000, "state.npz")]
)
def test_training_on_a_full_disk_names_the_file(run: Run, largest: int, name: str) -> None:
    for number in range(16):
        level(Path(f"data/{'ab'[number % 2]}_{number}.png"), 15 * number)
    arguments = ["--data", "data", *SMALL, "--size", "32x32"]
    # This fills the cache of pictures before the disk is full.
    assert run("training", *arguments, "--alphabet", "c")[0] == WRONG_USE
    with full_disk(largest):
        code, _, errors = run("training", *arguments, "--run", "r")
    assert code == WRONG_USE
    assert f"no space left to write {Path.cwd()}/r/{name}: " in sentence(errors)
    assert not [file for file in Path("r").rglob("*") if "partial" in file.name]


def test_a_full_disk_keeps_the_earlier_epochs(run: Run) -> None:
    for number in range(16):
        level(Path(f"data/{'ab'[number % 2]}_{number}.png"), 15 * number)
    assert run("training", "--data", "data", "--run", "r", *SMALL, "--size", "32x32")[0] == ALL_DONE
    # As if the second epoch had been interrupted.
    file = Path("r/parameters.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"epochs": 2}))
    before = {name: Path("r", name).read_bytes() for name in ("model.keras", "state.npz", "history.csv", "split.json")}
    with full_disk(1_000_000):
        code, _, errors = run("training", "--resume", "--run", "r")
    assert (code, "no space left to write" in sentence(errors)) == (WRONG_USE, True)
    assert {name: Path("r", name).read_bytes() for name in before} == before
    assert run("training", "--resume", "--run", "r")[0] == ALL_DONE
    assert len(Path("r/history.csv").read_text().splitlines()) == 3


def test_a_full_disk_keeps_the_labels_of_an_earlier_corpus(run: Run) -> None:
    argv = ["--out", "c", "--style", "line", "--alphabet", "0-9 ", "--workers", "1", "--count"]
    assert run("generate_captcha", *argv, "5")[0] == ALL_DONE
    before = {path: path.read_bytes() for path in Path("c").iterdir()}
    with full_disk(2 * len(before[Path("c/labels.tsv")])):
        code, _, errors = run("generate_captcha", *argv, "500")
    assert code == WRONG_USE
    assert f"no space left to write {Path.cwd()}/c/labels.tsv: " in sentence(errors)
    assert {path: path.read_bytes() for path in Path("c").iterdir()} == before


def test_a_training_continues_without_room_for_tensorboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path)
    picture = np.zeros((4, 4, 3), np.uint8)
    folder.write_tensorboard(1, {"loss": 1.0}, picture)
    (file,) = folder.tensorboard.iterdir()
    threads = threading.active_count()
    with full_disk(file.stat().st_size):
        for step in (2, 3):
            folder.write_tensorboard(
                step, {"loss": 0.5}, np.random.default_rng(0).integers(0, 9, (40, 40, 3), np.uint8)
            )
    assert capsys.readouterr().err == f"TensorBoard will lack some values: {file} cannot be written (File too large)\n"
    assert threading.active_count() == threads
    # Later values are in a new file, not behind half a value.
    folder.write_tensorboard(4, {"loss": 0.4}, picture)
    assert max(folder.tensorboard.iterdir()) != file


def test_evaluation_on_a_full_disk_keeps_the_earlier_report(run: Run) -> None:
    for value in range(60):
        level(Path(f"in/{value}_{value}.png"), value)
    argv = ["in", "--json", "s.json", "--report"]
    assert run("evaluation", *argv, "report")[0] == ALL_DONE
    before = {path: path.read_bytes() for path in Path("report").iterdir()}
    for value in range(60):
        shutil.move(f"in/{value}_{value}.png", f"in/9{value}_.png")
    assert run("evaluation", *argv, "other")[0] == ALL_DONE
    sizes = {path.name: path.stat().st_size for path in Path("other").iterdir()}
    with full_disk(max(sizes.values()) - 1):
        code, _, errors = run("evaluation", *argv, "report")
    assert code == WRONG_USE
    assert f"no space left to write {Path.cwd()}/report/{max(sizes, key=sizes.__getitem__)}: " in sentence(errors)
    assert {path: path.read_bytes() for path in Path("report").iterdir()} == before
    with full_disk(100):
        Path("s.json").write_text("earlier")
        code, _, errors = run("evaluation", *argv, "report")
    assert (code, Path("s.json").read_text()) == (WRONG_USE, "earlier")
    assert f"no space left to write {Path.cwd()}/s.json: " in sentence(errors)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["-m dataset {}", "evaluation.py {}"])
def test_a_closed_stdout_is_no_error(tmp_path: Path, command: str) -> None:
    level(tmp_path / "1_a.png", 1)
    whole = [sys.executable, *command.format(tmp_path).split()]
    with started(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait() == ALL_DONE


@pytest.mark.parametrize(
    ("name", "argv"), [("dataset", ["l.csv", "--json", "l.csv"]), ("evaluation", ["l.csv", "--json", "l.csv"])]
)
def test_a_list_is_not_replaced_by_its_report(run: Run, name: str, argv: list[str]) -> None:
    noise("a.png")
    Path("l.csv").write_text("file,label\na.png,a\n")
    code, _, errors = run(name, *argv)
    assert code == WRONG_USE
    assert "l.csv would replace what is read, l.csv: give it another name (--json)" in errors
    assert Path("l.csv").read_text() == "file,label\na.png,a\n"


def test_results_that_cannot_be_printed_are_an_error(tmp_path: Path) -> None:
    level(tmp_path / "1.png", 1)
    command = [sys.executable, "-m", "dataset", str(tmp_path)]
    with open("/dev/full", "w") as full:
        done = finished(command, stdout=full, cwd=ROOT)
    assert done.returncode == WRONG_USE
    assert "no space left to write the output" in sentence(done.stderr)
    assert len(done.stderr.splitlines()) == 1


# Outputs, and files that are no lists


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_if_a_program_reads_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.files.PIPE_PATIENCE", 1)
    noise("pictures/a.png")
    os.mkfifo("pipe")
    code, _, errors = run("prediction", "pictures", "--csv", "pipe")
    assert (code, sentence(errors)) == (
        WRONG_USE,
        "error: pipe is a pipe that no program reads: start that first, or give a file",
    )
    with started(["cat", "pipe"], stdout=subprocess.PIPE) as reading:
        assert run("prediction", "pictures", "--csv", "pipe")[0] == ALL_DONE
        assert reading.communicate()[0].startswith("file,text,probability\npictures/a.png,")


@pytest.mark.parametrize("flag", ["--csv", "--json", "--icdar", "--plot"])
def test_an_output_needs_a_name(run: Run, flag: str) -> None:
    noise("pictures/a.png")
    errors = run("prediction", "pictures", flag, "-")[2]
    assert sentence(errors).startswith("error: an output cannot be -: give a file") and errors.endswith(f" ({flag})\n")
    assert not Path("-").exists()


@pytest.mark.parametrize("command", ["prediction", "evaluation", "dataset"])
def test_prose_is_no_list_of_pictures(run: Run, command: str) -> None:
    Path("README.md").write_text("# Pictures\n\nAll were taken at the gate,\nsee [one](pictures/a.png).\n" * 5)
    code, _, errors = run(command, "README.md")
    assert (code, len(errors.splitlines())) == (WRONG_USE, 1)
    assert "README.md is not a list of pictures" in sentence(errors)
    # Names without suffixes are found if there is one such picture.
    noise("pictures/A1_0.png")
    Path("pictures/list.txt").write_text("A1_0 A1\n")
    assert run(command, "pictures/list.txt")[0] == ALL_DONE


def test_a_folder_that_cannot_be_opened_is_left_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    noise("pictures/A1_0.png")
    noise("pictures/closed/B2_0.png")
    scandir = os.scandir

    def closed(path: str = ".") -> Any:
        if os.path.basename(path) == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    for command in ("prediction", "dataset"):
        code, _, errors = run(command, "pictures")
        assert code == SOME_UNREADABLE
        assert "pictures/closed cannot be opened (no permission): what it holds is left out" in errors


def test_tables_have_no_spaces_at_the_ends_of_their_lines(run: Run) -> None:
    for name in ("A1", "B2", "C3C"):
        noise(f"pictures/{name}_0.png")
    for command in ("dataset", "evaluation"):
        lines = run(command, "pictures")[1]
        assert len(lines) > 5
        assert [line for line in lines if line != line.rstrip()] == []
