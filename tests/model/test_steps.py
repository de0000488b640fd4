"""Training steps against those of Keras' `train_on_batch`, on each backend."""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from crnn_reader.errors import UserError
from model.backend import import_keras, precision
from tests.processes import finished

ROOT = Path(__file__).parents[2]
BATCH, STEPS, EMA, RATE = 8, 5, 0.9, 0.02
#: JAX compiles for longer than these steps take.
UNOPTIMISED = "--xla_backend_optimization_level=0"


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_steps_are_those_of_keras(backend: str) -> None:
    pytest.importorskip(backend)
    checks, flags = [same_as_keras, ends_soon], UNOPTIMISED
    if backend == "jax":
        # The processor counts as two.
        flags += " --xla_force_host_platform_device_count=2"
        checks += [devices_that_are_refused, same_on_two_devices]
    if backend == import_keras().backend.backend() == "tensorflow":
        for check in checks:
            check()
        return
    # One process for all: importing a backend takes longer than a check.
    script = "from tests.model import test_steps\n" + "".join(f"test_steps.{check.__name__}()\n" for check in checks)
    environment = os.environ | {"KERAS_BACKEND": backend, "XLA_FLAGS": flags}
    finished([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)


def same_on_two_devices() -> None:
    """Twenty steps give the same weights on one device and on two, also with batches that two cannot share."""
    from model.training import steps

    # Every size is compiled once more.
    sizes = [8, 8, 7, 8] * 5
    found = []
    for devices in (1, 2):
        trained = network("float32", True)
        average = [import_keras().Variable(variable, trainable=False) for variable in trained.trainable_variables]
        taken = steps.steps_of(trained, trained.loss, average, EMA, devices)
        few = (
            (given[:size], {name: values[:size] for name, values in targets.items()}, size, rate)
            for size, (given, targets, _, rate) in zip(sizes, batches(True, len(sizes)), strict=True)
        )
        loss, pictures = taken.epoch(few, lambda count: None)
        assert pictures == sum(sizes)
        found.append([loss, *map(array, (*state(trained), *average))])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(two, one, 1e-5, 1e-5)


def devices_that_are_refused() -> None:
    """More devices than there are, and a number of devices that does not divide the batch size."""
    from model import devices

    assert devices.device_count(2, 8) == 2
    assert devices.device_count(None, 8) == 1
    with pytest.raises(UserError, match=r"JAX finds 2 devices \(processor\), not 3: use 2"):
        devices.device_count(3, 9)
    with pytest.raises(UserError, match=r"batches of 9 are not a multiple of 2, .*: use 8 or 10 pictures"):
        devices.device_count(2, 9)


def same_as_keras() -> None:
    """Losses, weights, their average and all other state are equal to those of Keras' own steps."""
    from model.training import steps

    for policy, two_losses in (("float32", False), ("mixed_float16", True)):
        keras = import_keras()
        ours, theirs = (network(policy, two_losses) for _ in range(2))
        for one, other in zip(state(ours), state(theirs), strict=True):
            one.assign(other)
        average = [keras.Variable(variable, trainable=False) for variable in ours.trainable_variables]
        expected = [keras.ops.convert_to_numpy(variable).copy() for variable in average]
        taken = steps.steps_of(ours, ours.loss, average, EMA)
        counts: list[int] = []
        with mock.patch.object(steps, "CHUNK", 2):
            loss, pictures = taken.epoch(batches(two_losses, STEPS), counts.append)
        total = 0.0
        for step, (given, targets, count, rate) in enumerate(batches(two_losses, STEPS)):
            theirs.optimizer.learning_rate = rate
            theirs.reset_metrics()
            total += count * float(np.ravel(theirs.train_on_batch(given, targets))[0])
            decay = min(EMA, (2 + step) / (11 + step))
            for number, variable in enumerate(theirs.trainable_variables):
                expected[number] = decay * expected[number] + (1 - decay) * keras.ops.convert_to_numpy(variable)
        assert (pictures, counts) == (BATCH * STEPS, [BATCH] * STEPS)
        # float16 has three digits, and the order of sums differs.
        rtol, atol = (1e-4, 1e-6) if policy == "float32" else (1e-2, 2e-3)
        np.testing.assert_allclose(loss, total / pictures, rtol, atol, err_msg=policy)
        for one, other in zip(state(ours), state(theirs), strict=True):
            np.testing.assert_allclose(array(one), array(other), rtol, atol, err_msg=f"{policy} {one.path}")
        for one, other in zip(average, expected, strict=True):
            np.testing.assert_allclose(array(one), other, rtol, atol)
        assert taken.compiled_loss(*labels_and_outputs(two_losses)) > 0


def ends_soon() -> None:
    """An epoch ends soon after a loss of NaN, and returns NaN."""
    from model.training import steps

    trained = network("float32", False)
    endless = (
        (given * (math.nan if step >= 10 else 1), targets, count, rate)
        for step, (given, targets, count, rate) in enumerate(batches(False, None))
    )
    with mock.patch.object(steps, "CHUNK", 7):
        loss, pictures = steps.steps_of(trained, trained.loss, [], 0.0).epoch(endless, lambda count: None)
    assert math.isnan(loss)
    assert pictures <= 21 * BATCH


def network(policy: str, two_losses: bool) -> Any:
    """Two layers with batch normalisation, and one or two outputs and losses."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    given = keras.Input((6,))
    with precision(policy):
        seen = keras.layers.BatchNormalization()(keras.layers.Dense(5, use_bias=False)(given))
        seen = keras.layers.Dropout(0.5)(seen)
        outputs = {
            name: keras.layers.Dense(3, dtype="float32", name=name)(seen) for name in ("a", "b")[: 1 + two_losses]
        }
        built = keras.Model(given, outputs if two_losses else outputs["a"])
    losses = {name: keras.losses.MeanSquaredError() for name in outputs}
    optimizer = keras.optimizers.AdamW(RATE, weight_decay=0.1, global_clipnorm=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    built.compile(optimizer, losses if two_losses else losses["a"], jit_compile=False)
    built.optimizer.build(built.trainable_variables)
    return built


def batches(two_losses: bool, count: int | None) -> Iterator[Any]:
    rng = np.random.default_rng(0)
    for step in itertools.count() if count is None else range(count):
        given, targets = rng.normal(size=(BATCH, 6)).astype(np.float32), rng.normal(size=(BATCH, 3)).astype(np.float32)
        yield given, {"a": targets, "b": -targets} if two_losses else targets, BATCH, RATE / (1 + step)


def labels_and_outputs(two_losses: bool) -> tuple[Any, Any]:
    _, targets, _, _ = next(batches(two_losses, 1))
    outputs = {name: 1 - values for name, values in targets.items()} if two_losses else 1 - targets
    return targets, outputs


def state(trained: Any) -> list[Any]:
    return [*trained.variables, *trained.optimizer.variables]


def array(variable: Any) -> Any:
    return import_keras().ops.convert_to_numpy(variable)
