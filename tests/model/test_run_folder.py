"""Run folders with damaged, edited or replaced files: one sentence, or the run continues."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn_reader.errors import UserError
from model.training import follow_run, run_folder
from model.training.run_folder import RunFolder
from model.training.tensorboard_files import TensorBoardFiles
from parameter import TrainingParameters

SHAPES: dict[str, tuple[int, ...]] = {"network/0": (2, 3), "optimizer/0": ()}
SPLIT = {"training": {"a_1.png": "a"}, "validation": {"b_2.png": "b"}, "contents": ["x", "y"], "alphabet": "ab"}
ROW = {"loss": 2.0, "validation_loss": 1.0, "learning_rate": 0.1, "exact_match": 0.5, "character_error_rate": 0.25}


def history(epochs: int = 2) -> list[dict[str, float]]:
    return [{"epoch": float(epoch), **ROW} for epoch in range(1, epochs + 1)]


def variables() -> dict[str, Any]:
    return {"network/0": np.ones((2, 3), np.float32), "optimizer/0": np.array(7)}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A finished run of two epochs."""
    run = RunFolder(tmp_path / "r")
    run.begin(TrainingParameters(data="pictures").to_json(), SPLIT)
    run.model.write_bytes(b"model")
    run.save_state(variables(), history())
    run.end()
    return run


def test_a_state_is_read_back(folder: RunFolder) -> None:
    state = folder.load_state(SHAPES)
    assert state
    assert state.history == history()
    assert state.model == run_folder.digest(folder.model) != ""
    np.testing.assert_array_equal(state.variables["network/0"], np.ones((2, 3)))


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def huge(shape: tuple[int, ...], kind: str) -> bytes:
    """An array that claims to be large and has three bytes."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + b"abc"


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as written:
        for name, data in entries.items():
            written.writestr(name, data)
    return file.getvalue()


def entries(**changed: Any) -> dict[str, bytes]:
    whole = {"network/0.npy": npy(np.ones((2, 3), np.float32)), "optimizer/0.npy": npy(7)}
    whole |= {"history.npy": npy(json.dumps(history()))}
    return whole | {f"{name.replace('_', '/')}.npy": data for name, data in changed.items()}


def with_history(text: str) -> bytes:
    """A state with this history."""
    return archive(entries(history=npy(text)))


def other_row(**changed: Any) -> bytes:
    return with_history(json.dumps([history()[0], {**history()[1], **changed}]))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (b"", "No data left"),
        (b"PK\x03\x04 cut short", "not a zip file"),
        (b"no archive", "it holds pickled objects"),
        (npy(np.zeros(3)), "."),
        (archive({}), "no item named 'history.npy'|has 0 variables"),
        (archive(entries())[:-40], "not a zip file"),
        (archive(entries())[:180] + b"X" + archive(entries())[181:], "Bad CRC-32"),
        (archive(entries(), zipfile.ZIP_DEFLATED), "its arrays are compressed"),
        (archive(entries(network_0=npy(np.ones((3, 2), np.float32)))), r"network/0 is float32 \(3, 2\), .*\(2, 3\)"),
        (archive(entries(network_0=npy(np.full((2, 3), np.nan, np.float32)))), "network/0 holds NaN or infinity"),
        (archive(entries(network_0=npy(np.zeros((2, 3), "c8")))), "network/0 is complex64"),
        (archive(entries(network_0=npy(np.zeros((2, 3), "U9")))), "network/0 is <U9"),
        (archive(entries(network_0=npy(np.array([{}], object)))), "it holds pickled objects, which are not loaded"),
        (archive(entries(network_0=npy(np.zeros((400, 400))))), "network/0 is too large"),
        (archive(entries(network_0=huge((10**6, 10**6), "<f4"))), "."),
        (archive(entries(network_0=b"\x93NUMPY\x01\x00\x60\x00" + b"(" * 96)), "."),
        (archive(entries(history=huge((), "<U2000000000"))), "."),
        (archive(entries(network_1=npy(0))), "it has 3 variables, the network of parameters.json has 2"),
        (archive({name: data for name, data in entries().items() if "opt" not in name}), "it has 1 variables"),
        (archive(entries(history=npy(3))), "it has no history"),
        (with_history("[]"), "it has no history"),
        (with_history("{"), "Expecting"),
        (with_history("[" * 100_000), "nested too deeply"),
        (with_history("[[]]"), "epoch 1 of its history is not an object"),
        (with_history(json.dumps(history()[::-1])), "epoch 1 of its history is not valid"),
        (other_row(epoch=-2), "epoch 2 of its history is not valid"),
        (other_row(exact_match=7), "epoch 2 of its history is not valid"),
        (other_row(exact_match=float("nan")), "it holds NaN"),
        (other_row(loss="low"), "loss of epoch 2 is not a number"),
        (other_row(loss=10**400), "loss of epoch 2 is not a number"),
        (other_row(loss=True), "loss of epoch 2 is not a number"),
        (other_row(validation_loss=None), "validation_loss of epoch 2 is not a number"),
        (
            with_history(json.dumps([{"epoch": 1, "exact_match": 0, "character_error_rate": 1}])),
            "loss of epoch 1 is missing",
        ),
    ],
)
def test_a_damaged_state_ends_in_one_sentence(folder: RunFolder, state: bytes, reason: str) -> None:
    folder.state.write_bytes(state)
    with pytest.raises(UserError, match=reason) as stop:
        folder.load_state(SHAPES)
    assert str(stop.value).startswith(f"{folder.state} is damaged (")
    assert "\n" not in str(stop.value)
    assert "start another run from the weights of this one" in str(stop.value)
    assert stop.value.parameters == {"from": str(folder.path)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "it is not an object"),
        ("7", "it is not an object"),
        ('{"training": ', "Expecting value"),
        ('{"a":' * 100_000, "it is nested too deeply"),
        ('{"training": NaN}', "it holds NaN"),
    ],
)
def test_a_damaged_split_ends_in_one_sentence(folder: RunFolder, text: str, reason: str) -> None:
    (folder.path / "split.json").write_text(text)
    with pytest.raises(UserError, match=rf"split\.json is damaged \({reason}.*: use another copy, or start"):
        folder.begin("{}", SPLIT)
    # The folder is not locked after the error.
    assert not folder.is_training()


@pytest.mark.parametrize("text", ["", "[]", "3", '{"data": 5}', '{"data": []}', '{"data": NaN}', "[" * 100_000, "\xff"])
def test_damaged_parameters_end_in_one_sentence(folder: RunFolder, text: str) -> None:
    (folder.path / "parameters.json").write_text(text, encoding="latin-1")
    with pytest.raises(
        UserError, match=r"parameters\.json is not a parameter file .*: correct it, or use another copy"
    ):
        run_folder.start_or_resume(TrainingParameters(resume=True, run=str(folder.path)))


def test_a_huge_model_file_is_not_read(folder: RunFolder) -> None:
    with folder.model.open("wb") as file:
        file.truncate(1 << 42)
    assert run_folder.digest(folder.model) == ""


def replace_by(path: Path, what: str) -> None:
    path.unlink(missing_ok=True)
    if what == "a named pipe":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if what == "a device" else path.name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("what", ["a named pipe", "a folder", "a device", "a link that leads nowhere"])
@pytest.mark.parametrize("name", run_folder.FILES)
def test_pipes_and_folders_in_place_of_files_are_refused(folder: RunFolder, name: str, what: str) -> None:
    replace_by(folder.path / name, what)
    for use in (lambda: folder.begin("{}", SPLIT), lambda: next(follow_run.models(str(folder.path)))):
        with pytest.raises(UserError, match=rf"{name} is {what}, not the file that a run has there: remove it"):
            use()
    run_folder.trained_on(str(folder.path))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("split.json", "[1]"),
        ("split.json", '{"training": [5]}'),
        ("split.json", '{"training": {"\\u0000": "a"}}'),
        ("split.json", "[" * 100_000),
        ("parameters.json", '{"data": 7}'),
        ("parameters.json", "{"),
    ],
)
def test_a_damaged_record_of_the_training_pictures_is_a_warning(
    folder: RunFolder, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / name).write_text(text)
    assert run_folder.trained_on(str(folder.path)) == set()
    assert "does not say which pictures it was trained on" in capsys.readouterr().err


@pytest.mark.parametrize("away", [shutil.rmtree, lambda path: path.rename(path.with_name("elsewhere"))])
@pytest.mark.parametrize("again", [False, True])
def test_a_removed_folder_is_noticed_and_not_created_again(
    folder: RunFolder, away: Callable[[Path], object], again: bool
) -> None:
    folder.begin("{}", SPLIT)
    folder.refuse_removed()
    away(folder.path)
    other = RunFolder(folder.path)
    if again:
        other.begin("{}", SPLIT)
    with pytest.raises(UserError, match="was removed, moved or replaced while training"):
        folder.refuse_removed()
    assert folder.path.exists() == again
    folder.end()
    other.end()


def test_a_new_run_does_not_continue_another_that_began_meanwhile(folder: RunFolder) -> None:
    with pytest.raises(UserError, match="another training has begun in"):
        folder.begin("{}", SPLIT, new=True)
    assert not folder.is_training()


def test_a_run_begins_after_one_that_was_killed_at_its_beginning(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "r")
    run.path.mkdir()
    (run.path / ".crnn-kit-00000000-1-0000000000000000.partial.json").touch()
    (run.path / "training.lock").touch()
    run.refuse_other_files()
    run.begin("{}", SPLIT)
    assert run.is_training()
    run.end()


def test_file_names_that_are_not_utf_8_are_in_the_split(tmp_path: Path) -> None:
    split = {**SPLIT, "training": {os.fsdecode(b"a_\xff.png"): "a"}}
    for _ in range(2):
        run = RunFolder(tmp_path / "r")
        run.begin("{}", split)
        run.log("in " + os.fsdecode(b"r-\xff"))
        run.end()
    assert json.loads((run.path / "split.json").read_text())["training"] == split["training"]


def test_the_latest_run_is_found_among_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/a", "runs/b"):
        run = RunFolder(Path(name))
        run.begin(TrainingParameters(data="pictures").to_json(), SPLIT)
        run.end()
    Path("runs/c").mkdir()
    Path("runs/c/parameters.json").symlink_to("nowhere")
    assert run_folder.start_or_resume(TrainingParameters(resume=True))[0] == Path("runs/b")
    # The numbers of workers and devices may change, because the weights do not depend on them.
    for name, number in (("workers", None), ("workers", 3), ("workers", 0), ("devices", None), ("devices", 2)):
        given = {} if number is None else {name: number}
        assert getattr(run_folder.start_or_resume(TrainingParameters(resume=True, **given))[1], name) == number


def test_a_model_newer_than_the_state_is_of_the_next_epoch(folder: RunFolder) -> None:
    folder.model.write_bytes(b"model of epoch 3")
    # File times do not count: the clock may have been set back.
    os.utime(folder.model, (1, 1))
    assert [epoch for epoch, _ in follow_run.models(str(folder.path))] == [3]


def test_tensorboard_reads_a_resumed_run_in_order_after_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (2_000_000_000.0, 1_999_990_000.0):
        monkeypatch.setattr("model.training.tensorboard_files.time.time", lambda now=now: now)
        TensorBoardFiles(tmp_path).write(1, {"loss": 1.0}, {})
    first, second = sorted(path.name for path in tmp_path.iterdir())
    assert "2000000000.000000" in first
    assert "2000000000.001000" in second
