"""Devices, precision, and messages about missing GPUs and memory."""

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
from model.training import trainer
from model.training.plan import TrainingPlan
from model.training.schedule import Schedule
from parameter import TrainingParameters
from tests.model.test_networks import config, wide
from tests.model.test_steps import UNOPTIMISED
from tests.test_training import SMALL, drawn, run

#: Enough steps for the loss scale of float16 to fall until gradients are finite.
STEPS = 12
ROOT = Path(__file__).parents[2]
#: Every head, rectifier and recurrent layer, and each policy of half precision.
MIXED = [
    ("bilstm", "joint", "tps", "mixed_bfloat16"),
    ("bigru", "attention", "none", "mixed_bfloat16"),
    ("bigru", "ctc", "affine", "mixed_float16"),
]


# Nearly all of the time is compilation. Attention has its own test in test_networks.py. On the other backends, only
# the last one is not a slow test.
@pytest.mark.parametrize(
    ("backend", "case"),
    [
        pytest.param(backend, case, marks=[] if number == quick else [pytest.mark.slow])
        for backend, quick in (("tensorflow", 0), ("jax", 2), ("torch", 2))
        for number, case in enumerate(MIXED)
    ],
)
def test_trains_in_half_precision(backend: str, case: tuple[str, str, str, str]) -> None:
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
    """A few steps make the loss smaller, and all variables stay float32 between steps."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    described = config("vgg", sequence, head, rectify, "lite", width=None if rectify == "tps" else 96)
    with precision(policy):
        network = build(described)
    dtypes = {type(layer).__name__: layer.compute_dtype for layer in network.layers}
    assert dtypes["Conv2D"] == policy.removeprefix("mixed_")
    assert dtypes["Bidirectional"] == "float32"
    planned = TrainingPlan(TrainingParameters(ema=0.9), described, Schedule(2e-3, 3, 0.0, settle=False))
    trained = trainer.Trainer(network, planned)
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
def test_batches_are_halved_if_memory_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn(Path("pictures"), 24)
    epochs: list[int] = []
    failed: list[weakref.ref[Any]] = []

    def train_epoch(*arguments: Any) -> tuple[float, int]:
        """Batches of 8 fit into the memory of the first epoch, and none into that of the second."""
        # The memory of earlier attempts is free again.
        assert all(attempt() in (None, arguments[0]) for attempt in failed)
        failed[:] = [weakref.ref(arguments[0])]
        images, _ = next(arguments[1])
        epochs.append(len(images))
        if len(images) > 8 or epochs.count(8) == 2:
            # A new exception, because an exception refers to the frames that it was raised in.
            raise type(error)(*error.args)
        return 1.0, len(images)

    monkeypatch.setattr(trainer.Trainer, "train_epoch", train_epoch)
    monkeypatch.setattr(devices, "DRIVER_FILES", (tmp_path,))
    arguments = ["--data", "pictures", "--run", "r", "--epochs", "2", *SMALL, "--batch-size", "32"]
    assert run(*arguments) == WRONG_USE
    assert epochs == [32, 16, 8, 8]
    printed = capsys.readouterr().err
    for size in (32, 16):
        sentence = f"too little memory for batches of {size} pictures: starting again with batches of {size // 2}\n"
        assert sentence in printed
    sentence = "too little memory for batches of 8 pictures in epoch 2: start another run with smaller batches"
    assert f"error: {sentence}, from the weights of epoch 1 (--batch-size 4, --from r)\n" in printed
    assert json.loads(Path("r/parameters.json").read_text())["batch_size"] == 8
    # There is a driver, and no GPU that TensorFlow finds.
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
def test_a_gpu_without_a_driver_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], None], hidden: str, sentence: str
) -> None:
    prepare(tmp_path / "pci")
    monkeypatch.setattr(devices, "DRIVER_FILES", ())
    monkeypatch.setattr(devices, "PCI_DEVICES", tmp_path / "pci")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert (sentence in devices.unused_gpu()) if sentence else devices.unused_gpu() == ""
