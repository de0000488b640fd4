"""Train with several processes, which the tests start."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import training
from cli.command import INTERRUPTED, WRONG_USE
from model import processes
from model.backend import import_keras
from model.processes import ALONE, Rank
from model.training.run_folder import RunFolder
from parameter import TrainingParameters
from tests.commands import exit_code
from tests.model.test_steps import BATCH, EMA, UNOPTIMISED, array, batches, network, state
from tests.processes import finished, free_port, started

ROOT = Path(training.__file__).parent
#: Batch sizes: one that two processes share evenly, and one that they cannot.
SIZES = [8, 7] * 10


def environment() -> dict[str, str]:
    return os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": UNOPTIMISED, "PYTHONPATH": str(ROOT)}


def train(join: str | None, file: str) -> None:
    """Train for twenty steps; the first process writes all variables to `file`."""
    from model.training import steps

    rank = processes.join(join) if join else ALONE
    trained = network("float32", True)
    average = [import_keras().Variable(variable, trainable=False) for variable in trained.trainable_variables]
    taken = steps.steps_of(trained, trained.loss, average, EMA, rank.processes)

    def own(values: np.ndarray, size: int) -> np.ndarray:
        """The part of this process, as a source of batches yields it; the whole batch if it cannot be divided."""
        values = values[:size]
        return values if size % rank.processes else np.split(values, rank.processes)[rank.process]

    few = (
        (own(given, size), {name: own(values, size) for name, values in targets.items()}, size, rate)
        for size, (given, targets, _, rate) in zip(SIZES, batches(True, len(SIZES)), strict=True)
    )
    loss, pictures = taken.epoch(few, lambda count: None)
    assert pictures == sum(SIZES) <= BATCH * len(SIZES)
    if not rank.process:
        np.savez(file, loss, *map(array, (*state(trained), *average)))


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    address = f"localhost:{free_port()}"
    script = "from tests.model import test_processes\n"
    second_script = script + f"test_processes.train('{address},1/2', '')\n"
    # Afterwards the first process trains by itself. Starting a third one would take longer.
    script += f"test_processes.train('{address},0/2', 'two.npz')\ntest_processes.train(None, 'one.npz')\n"
    with started(
        [sys.executable, "-c", second_script], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE
    ) as second:
        finished([sys.executable, "-c", script], cwd=tmp_path, env=environment(), check=True)
        said = second.communicate()[1]
        assert second.returncode == 0, said
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        assert len(one.files) > 10
        for name in one.files:
            np.testing.assert_allclose(two[name], one[name], 1e-5, 1e-5)


def test_no_process_begins_if_one_cannot(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    address = f"localhost:{free_port()}"
    command = [sys.executable, str(ROOT / "training.py"), "--join"]
    second = [*command, f"{address},1/2"]
    with started(second, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as other:
        first = finished([*command, f"{address},0/2", "--resume", "--run", "r"], cwd=tmp_path, env=environment())
        said = other.communicate()[1]
    assert first.returncode == other.returncode == WRONG_USE
    assert "error: r holds no run to resume" in first.stderr
    assert said.endswith("error: process 0 of 2 could not begin: its own output has the reason\n")


@pytest.mark.parametrize(
    ("join", "sentence"),
    [
        ("node1", "--join node1: give auto, or HOST:PORT,I/N such as node1:5000,0/4 for the first of 4 processes"),
        ("node1:5000,4/4", "--join node1:5000,4/4: give auto"),
        ("node1:65536,0/2", "--join node1:65536,0/2: a port is a number from 1 to 65535"),
        ("node1:5000,0/2", "only JAX trains in several processes: set KERAS_BACKEND=jax (--join)"),
    ],
)
def test_invalid_values_of_join_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], join: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(training.main, TrainingParameters, ["--join", join]) == WRONG_USE
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def joining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run training.py with --join in this process, as if the backend were JAX; returns the exit code."""
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_keras().backend, "backend", lambda: "jax")

    def leave(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr("model.processes.os._exit", leave)

    return lambda join: exit_code(training.main, TrainingParameters, ["--join", join])


@pytest.mark.parametrize(
    ("join", "raised", "sentence"),
    [
        (
            "auto",
            ValueError("coordinator_address should be defined."),
            "JAX finds no SLURM, Open MPI or Kubernetes (coordinator_address should be defined): start the processes "
            "with one of them, or give each an address and its number (--join HOST:PORT,I/N)",
        ),
        (
            "node1:5000,0/2",
            RuntimeError("UNKNOWN: Failed to start RPC server"),
            "the port is in use on this machine: give all processes another (--join)",
        ),
    ],
)
def test_the_error_says_why_processes_cannot_join(
    joining: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    join: str,
    raised: Exception,
    sentence: str,
) -> None:
    import jax

    def initialize(**given: Any) -> NoReturn:
        raise raised

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    assert joining(join) == WRONG_USE
    assert capsys.readouterr().err == f"error: {sentence}\n"


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_process_that_waits_for_others_ends_in_one_sentence(
    joining: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interrupted: bool
) -> None:
    """JAX waits in C++, where neither Ctrl-C nor a time limit of Python has an effect."""
    import jax

    ended = threading.Event()
    monkeypatch.setattr(jax.distributed, "initialize", lambda **given: ended.wait())
    monkeypatch.setattr(processes, "NOTICE_AFTER", 0.0)
    monkeypatch.setattr(processes, "JOIN_TIMEOUT", 20 if interrupted else 0.1)
    if interrupted:
        threading.Timer(0.5, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    try:
        code = joining("node1:5000,1/2")
    finally:
        ended.set()
    waiting, last = capsys.readouterr().err.splitlines()
    assert "waiting for the other processes" in waiting
    if interrupted:
        assert (code, last.partition(":")[0]) == (INTERRUPTED, "interrupted")
    else:
        assert code == WRONG_USE
        assert last.startswith("error: the processes did not find each other within 0.1 seconds")


@pytest.mark.parametrize(
    ("rank", "remedy"),
    [
        (ALONE, "continue after epoch 3 with: python training.py --resume --run r"),
        (Rank(0, 2), "start all processes again, the first one with: python training.py --resume --run r --join …"),
        (Rank(1, 2), "start all processes again, the first one with: python training.py --resume --run r --join …"),
    ],
)
def test_every_process_names_the_run_to_resume(tmp_path: Path, rank: Rank, remedy: str) -> None:
    path = tmp_path if rank.process else Path("r")
    assert RunFolder(path, "r", rank).how_to_resume(epochs=3) == remedy


def test_sigterm_works_after_joining(monkeypatch: pytest.MonkeyPatch, joining: Any) -> None:
    """JAX sets a handler in C++, without the knowledge of Python."""
    import jax

    heard: list[int] = []
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda **given: ctypes.CDLL(None).signal(signal.SIGTERM, signal.SIG_IGN)
    )
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        assert processes.join("auto") == ALONE
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize("kind", ["JaxRuntimeError", "ValueError"])
def test_a_process_that_loses_another_before_the_training_ends_in_one_sentence(
    joining: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    import jax

    def left(how: str) -> NoReturn:
        error = getattr(jax.errors, kind, ValueError)
        raise error("UNKNOWN: Gloo all-reduce failed: Connection closed by peer")

    monkeypatch.setattr(processes, "join", left)
    assert joining("node1:5000,0/2") == WRONG_USE
    assert capsys.readouterr().err.startswith("error: another process ended before the training began: its own output")
