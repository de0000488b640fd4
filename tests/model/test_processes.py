"""Several processes that train together, each in a process of its own, as JAX wants it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import console
import training
from parameter import TrainingParameters
from tests.model.test_steps import BATCH, EMA, UNOPTIMISED, array, batches, network, state
from tests.processes import finished, free_port, started

ROOT = Path(training.__file__).parent
#: Batches that two processes share evenly, and one that they cannot.
SIZES = [8, 7] * 10


def environment() -> dict[str, str]:
    return os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": UNOPTIMISED, "PYTHONPATH": str(ROOT)}


def train(join: str | None, file: str) -> None:
    """Twenty steps; the first process writes all variables to `file`."""
    from model import processes
    from model.network import import_keras
    from model.training import steps

    place = processes.join(join)
    trained = network("float32", True)
    average = [import_keras().Variable(variable, trainable=False) for variable in trained.trainable_variables]
    taken = steps.steps_of(trained, trained.loss, average, EMA, place.processes)

    def own(values: np.ndarray, size: int) -> np.ndarray:
        """The part of this process, as a source of batches yields it; the whole batch where it cannot be divided."""
        values = values[:size]
        return values if size % place.processes else np.split(values, place.processes)[place.process]

    few = (
        (own(given, size), {name: own(values, size) for name, values in targets.items()}, size, rate)
        for size, (given, targets, _, rate) in zip(SIZES, batches(True, len(SIZES)), strict=True)
    )
    loss, pictures = taken.epoch(few, lambda count: None)
    assert pictures == sum(SIZES) <= BATCH * len(SIZES)
    if not place.process:
        np.savez(file, loss, *map(array, (*state(trained), *average)))


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    address = f"localhost:{free_port()}"

    def script(join: str | None, name: str) -> list[str]:
        call = f"from tests.model import test_processes; test_processes.train({join!r}, {str(tmp_path / name)!r})"
        return [sys.executable, "-c", call]

    with started(script(f"{address},1/2", ""), env=environment(), stderr=subprocess.PIPE) as second:
        finished(script(f"{address},0/2", "two.npz"), env=environment(), check=True)
        said = second.communicate(timeout=60)[1]
        assert second.returncode == 0, said
    finished(script(None, "one.npz"), env=environment(), check=True)
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        assert len(one.files) > 10
        for name in one.files:
            np.testing.assert_allclose(two[name], one[name], 1e-5, 1e-5)


def test_if_one_process_cannot_begin_none_does(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    address = f"localhost:{free_port()}"
    command = [sys.executable, str(ROOT / "training.py"), "--join"]
    second = [*command, f"{address},1/2"]
    with started(second, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as other:
        first = finished([*command, f"{address},0/2", "--resume", "--run", "r"], cwd=tmp_path, env=environment())
        said = other.communicate(timeout=60)[1]
    assert first.returncode == other.returncode == console.WRONG_USE
    assert "error: r holds no run to resume" in first.stderr
    assert said.endswith("error: process 0 of 2 could not begin: its own output has the reason\n")


@pytest.mark.parametrize(
    ("join", "sentence"),
    [
        ("node1", "--join node1: give auto, or HOST:PORT,I/N such as node1:5000,0/4 for the first of 4 processes"),
        ("node1:5000,4/4", "--join node1:5000,4/4: give auto"),
        ("node1:5000,0/2", "--join node1:5000,0/2: only JAX trains in several processes: set KERAS_BACKEND=jax"),
    ],
)
def test_how_to_join_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], join: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        console.run(training.main, TrainingParameters, ["--join", join])
    assert stop.value.code == console.WRONG_USE
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
