"""What devices there are, what suits them, and what is said where they do not suffice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.command import WRONG_USE
from model import devices
from model.backend import import_keras, precision
from model.heads import HEADS
from model.network import build
from model.training import run_folder, trainer
from model.training.schedule import Schedule
from model.training.trainer import Settings
from parameter import TrainingParameters
from tests.model.test_networks import config, wide
from tests.model.test_steps import UNOPTIMISED
from tests.test_training import SMALL, drawn, run

#: Enough for the loss scale of float16 to come down to where gradients are finite.
STEPS = 12
ROOT = Path(__file__).parents[2]
#: Every head, rectifier and recurrent layer, and each policy that has fewer bits.
MIXED = [
    ("bilstm", "joint", "tps", "mixed_bfloat16"),
    ("bigru", "attention", "none", "mixed_bfloat16"),
    ("bigru", "ctc", "affine", "mixed_float16"),
]


# Compilation is nearly all of their time. Attention has a test of its own in test_networks.py; on the other backends
# all but the last are slow tests.
@pytest.mark.parametrize(
    ("backend", "case"),
    [
        pytest.param(
            backend, case, marks=[pytest.mark.slow] if number == 1 or (backend != "tensorflow" and number == 0) else []
        )
        for backend in ("tensorflow", "jax", "torch")
        for number, case in enumerate(MIXED)
    ],
)
def test_trains_with_fewer_bits(backend: str, case: tuple[str, str, str, str]) -> None:
    pytest.importorskip(backend)
    if backend == import_keras().backend.backend():
        trains(*case)
        return
    script = f"from tests.model import test_devices; test_devices.trains(*{case!r})"
    environment = os.environ | {"KERAS_BACKEND": backend, "XLA_FLAGS": UNOPTIMISED}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def trains(sequence: str, head: str, rectify: str, policy: str) -> None:
    """Some steps make the loss smaller and keep everything in float32 from one step to the next."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    described = config("vgg", sequence, head, rectify, "lite", width=None if rectify == "tps" else 96)
    with precision(policy):
        network = build(described)
    dtypes = {type(layer).__name__: layer.compute_dtype for layer in network.layers}
    assert dtypes["Conv2D"] == policy.removeprefix("mixed_")
    assert dtypes["Bidirectional"] == "float32"
    settings = Settings(Schedule(2e-3, 3, 0.0, settle=False), 0.01, 5.0, 0.9, None)
    trained = trainer._Run(network, described, settings)
    HEADS[head].schedule(network, 0.5)
    images, labels, _ = wide(4)
    given = (images, np.full(4, images.shape[2], np.int32)) if described.width is None else images
    losses = [trained.train_epoch(iter([(given, labels)]), [2e-3], 4, lambda count: None)[0] for _ in range(STEPS)]
    assert losses[-1] < losses[0], losses
    assert {array.dtype.kind for array in trained.variables().values()} <= set("fiu")
    assert all(array.dtype == np.float32 for array in trained.variables().values() if array.dtype.kind == "f")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 16.00 GiB"),
    ],
)
def test_batches_that_are_too_large_for_the_memory_are_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn(Path("pictures"), 24)
    epochs: list[int] = []
    failed: list[weakref.ref[Any]] = []

    def train_epoch(*arguments: Any) -> tuple[float, int]:
        """Batches of 8 fit into the memory of the first epoch, and none into that of the second."""
        failed.append(weakref.ref(arguments[0]))
        images, _ = next(arguments[1])
        epochs.append(len(images))
        if len(images) > 8 or epochs.count(8) == 2:
            # A new one: an exception holds the frames that it was raised in.
            raise type(error)(*error.args)
        return 1.0, len(images)

    def again(parameters: TrainingParameters) -> Any:
        """What takes memory between two attempts finds that of the first one free."""
        assert all(attempt() is None for attempt in failed)
        return start_or_resume(parameters)

    start_or_resume = run_folder.start_or_resume

    monkeypatch.setattr(trainer._Run, "train_epoch", train_epoch)
    monkeypatch.setattr(run_folder, "start_or_resume", again)
    monkeypatch.setattr(devices, "DRIVER_FILES", (tmp_path,))
    arguments = ["--data", "pictures", "--run", "r", "--epochs", "2", *SMALL, "--batch-size", "32"]
    assert run(*arguments) == WRONG_USE
    assert epochs == [32, 16, 8, 8]
    printed = capsys.readouterr().err
    for size in (32, 16):
        sentence = f"too little memory for batches of {size} pictures: starting again with batches of {size // 2}\n"
        assert sentence in printed
    sentence = "too little memory for batches of 8 pictures in epoch 2: start another run with --batch-size 4 --from r"
    assert f"error: {sentence}, which has the weights of epoch 1\n" in printed
    assert json.loads(Path("r/parameters.json").read_text())["batch_size"] == 8
    # The machine of this test has no GPU that TensorFlow sees.
    assert "TensorFlow does not find the NVIDIA GPU of this machine and trains on the processor: pip install" in printed


def with_card(folder: Path) -> None:
    device = folder / "0000:00:01.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030200\n")


def without_card(folder: Path) -> None:
    folder.mkdir()


@pytest.mark.parametrize(
    ("prepare", "hidden", "sentence"),
    [(with_card, "0", "without a driver"), (with_card, "", ""), (without_card, "0", "")],
)
def test_a_gpu_without_a_driver_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], None], hidden: str, sentence: str
) -> None:
    prepare(tmp_path / "pci")
    monkeypatch.setattr(devices, "DRIVER_FILES", ())
    monkeypatch.setattr(devices, "PCI_DEVICES", tmp_path / "pci")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert (sentence in devices.unused_gpu()) if sentence else devices.unused_gpu() == ""
