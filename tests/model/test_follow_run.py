"""Follow a run folder while a training runs. The files of the training are written by the tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crnn_reader.errors import UserError
from model.training import follow_run
from model.training.run_folder import RunFolder
from tests.processes import started

ROOT = Path(follow_run.__file__).parents[2]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_run, "POLL", 0.005)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    """A run folder whose training has begun."""
    folder = RunFolder(tmp_path / "run")
    folder.begin("{}", {})
    yield folder
    folder.end()


def rows(*exact: float) -> list[dict[str, float]]:
    return [
        {"epoch": epoch, "exact_match": rate, "character_error_rate": 1 - rate}
        for epoch, rate in enumerate(exact, start=1)
    ]


def save_model(folder: RunFolder, text: str) -> None:
    part = folder.path / "part"
    part.write_text(text)
    part.replace(folder.model)


def save_state(folder: RunFolder, *exact: float) -> None:
    folder.save_state({"network/0": np.zeros(2)}, rows(*exact))


def test_yields_each_better_model_with_its_epoch_until_the_training_ends(folder: RunFolder) -> None:
    models = follow_run.models(str(folder.path))

    def next_model() -> tuple[int, str] | None:
        found = next(models, None)
        return found and (found[0], found[1].read_text())

    save_model(folder, "first")
    save_state(folder, 0.1)
    assert next_model() == (1, "first")
    # The second epoch is not better, so it does not replace the model.
    save_state(folder, 0.1, 0.05)
    save_model(folder, "third")
    save_state(folder, 0.1, 0.05, 0.3)
    assert next_model() == (3, "third")
    save_model(folder, "fourth")
    save_state(folder, 0.1, 0.05, 0.3, 0.4)
    folder.end()
    assert next_model() == (4, "fourth")
    assert next_model() is None
    # A run that has ended has its last model.
    assert [epoch for epoch, _ in follow_run.models(str(folder.path))] == [4]


def test_waits_for_a_model_and_its_epoch(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[tuple[int, str]] = []

    def training() -> Iterator[None]:
        """Each step happens between two checks of the folder."""
        save_model(folder, "first")
        yield
        assert not found
        save_state(folder, 0.1)
        yield
        assert found == [(1, "first")]
        save_model(folder, "second")
        yield
        assert found == [(1, "first")]
        save_state(folder, 0.1, 0.2)
        yield
        assert found == [(1, "first"), (2, "second")]
        folder.end()
        yield

    events = training()
    monkeypatch.setattr(follow_run, "time", SimpleNamespace(sleep=lambda seconds: next(events)))
    for epoch, copy in follow_run.models(str(folder.path)):
        found.append((epoch, copy.read_text()))
    assert found == [(1, "first"), (2, "second")]
    assert next(events, "over") == "over"
    assert capsys.readouterr().err == f"waiting for the first epoch of {folder.path}\n"


def test_a_killed_training_has_ended_and_can_be_resumed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    script = (
        "import pathlib, time\n"
        "from model.training.run_folder import RunFolder\n"
        f"folder = RunFolder(pathlib.Path({str(folder.path)!r}))\n"
        "folder.begin('{}', {})\n"
        "print('begun', flush=True)\n"
        "time.sleep(60)\n"
    )
    with started([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as training:
        assert training.stdout and training.stdout.readline() == "begun\n"
        assert folder.is_training()
        with pytest.raises(UserError, match=r"another training is running in .*run"):
            RunFolder(folder.path).begin("{}", {})
        training.send_signal(signal.SIGKILL)
        training.wait()
    assert not folder.is_training()
    save_model(folder, "half an epoch")
    with pytest.raises(UserError, match=r"has no model, and no training runs there; continue with: .* --resume"):
        next(follow_run.models(str(folder.path)))
    folder.begin("{}", {})
    assert folder.is_training()
    folder.end()


def test_waits_for_a_run_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "run")

    def training() -> Iterator[None]:
        """Each step happens between two checks of the folder."""
        yield
        folder.begin("{}", {})
        yield
        save_model(folder, "first")
        save_state(folder, 0.1)
        yield
        folder.end()
        yield

    events = training()
    monkeypatch.setattr(follow_run, "time", SimpleNamespace(sleep=lambda seconds: next(events)))
    assert [epoch for epoch, _ in follow_run.models(str(folder.path))] == [1]
    assert next(events, "over") == "over"
    assert capsys.readouterr().err.startswith(f"waiting for a training to begin in {folder.path}\n")


@pytest.mark.parametrize("run", ["captcha", "a_file", "pictures"])
def test_refuses_a_folder_without_a_run(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a_file").touch()
    Path("pictures").mkdir()
    Path("pictures", "a_1.png").touch()
    with pytest.raises(UserError, match=f"only a run can be followed, and {run} is not a run folder"):
        next(follow_run.models(run))


def test_a_run_of_an_older_version_keeps_its_table(folder: RunFolder) -> None:
    old, new = rows(0.1, 0.2)
    folder.write_history([old, new | {"letter_accuracy": 0.5}])
    lines = (folder.path / "history.csv").read_text().splitlines()
    assert lines == ["epoch,exact_match,character_error_rate,letter_accuracy", "1,0.1,0.9,", "2,0.2,0.8,0.5"]
