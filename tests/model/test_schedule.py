from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from crnn_reader.model_files import read_config
from model import devices
from model.model_file import SHIPPED
from model.training import defaults
from model.training.plan import TrainingPlan, decide_plan
from model.training.schedule import Schedule
from parameter import TrainingParameters


@dataclass
class Pictures:
    """A source of pictures that have not been decoded."""

    count: int
    training_count: int = field(init=False)
    labels: list[str] = field(default_factory=lambda: ["AB12"])
    aspect: float = 2.0
    colour_contrast: float = 1.0
    difficulty: float | None = None
    augments: bool = True
    unreadable: int = 0
    sizes: Any = field(default_factory=lambda: np.array([[128, 64]]))

    def __post_init__(self) -> None:
        self.training_count = self.count

    def decode(self, *_: Any) -> None: ...

    def training_batches(self, *_: Any) -> Any: ...

    def validation_batches(self, *_: Any) -> Any: ...


FALLING = [10.0 / epoch for epoch in range(1, 31)]


def test_the_rate_rises_to_its_peak_and_falls_to_a_hundredth() -> None:
    schedule = Schedule(peak=2.0, epochs=10, warmup=0.2, settle=False)
    rates = [schedule.rate(step / 10, []) for step in range(101)]
    assert rates[0] == 0
    assert max(rates) == rates[20] == pytest.approx(2.0)
    assert rates[10] == pytest.approx(1.0)
    assert all(later < earlier for earlier, later in pairwise(rates[20:]))
    assert rates[-1] == pytest.approx(0.02)


def test_a_run_takes_all_epochs_while_the_validation_loss_falls() -> None:
    schedule = Schedule(peak=1.0, epochs=40, warmup=0.1, settle=True)
    for done in range(30):
        assert schedule.last_epoch(FALLING[:done]) == 40


def test_a_run_ends_soon_after_the_validation_loss_has_settled() -> None:
    schedule = Schedule(peak=1.0, epochs=100, warmup=0.1, settle=True)
    losses = [*FALLING[:20], *[0.5] * 30]
    ends = [schedule.last_epoch(losses[:done]) for done in range(31)]
    # Ten epochs that are not better than the twentieth, then half of the thirty for the end.
    assert ends == [100] * 30 + [45]
    assert schedule.last_epoch(losses[:45]) == 45
    rates = [schedule.rate(30 + part / 4, losses[:30]) for part in range(61)]
    assert rates[0] == pytest.approx(schedule.rate(30, losses[:29]))
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert rates[-1] < rates[0] / 50


def test_a_settled_run_ends_even_if_the_loss_falls_again() -> None:
    schedule = Schedule(peak=1.0, epochs=100, warmup=0.1, settle=True)
    losses = [*FALLING[:20], *[0.5] * 10, 0.01, 0.001]
    assert schedule.last_epoch(losses) == 45


def test_losses_of_the_warm_up_do_not_settle_a_run() -> None:
    schedule = Schedule(peak=1.0, epochs=100, warmup=0.1, settle=True)
    losses = [*[0.1] * 10, *FALLING]
    assert [schedule.last_epoch(losses[:done]) for done in range(41)] == [100] * 41


def test_a_given_number_of_epochs_is_taken() -> None:
    schedule = Schedule(peak=1.0, epochs=100, warmup=0.1, settle=False)
    assert schedule.last_epoch([1.0] * 60) == 100


@pytest.mark.parametrize(
    ("aspect", "steps", "expected"),
    [(2.0, 4, (128, 64)), (2.4, 4, (160, 64)), (8.0, 4, (192, 64)), (1.0, 4, (128, 64)), (4.0, 40, (320, 64))],
)
def test_the_width_follows_pictures_and_labels(aspect: float, steps: int, expected: tuple[int, int]) -> None:
    assert defaults.size(aspect, steps) == expected


@pytest.mark.parametrize("from_weights", [False, True])
def test_larger_corpora_take_fewer_epochs_and_more_steps(from_weights: bool) -> None:
    sizes = [300, 1_000, 3_000, 10_000, 100_000, 1_000_000]
    epochs = [defaults.epochs(size, from_weights) for size in sizes]
    assert epochs == sorted(epochs, reverse=True)
    seen = [size * times for size, times in zip(sizes, epochs, strict=True)]
    assert seen == sorted(seen)
    assert epochs[-1] >= 3


def planned(flags: TrainingParameters, source: Pictures) -> TrainingPlan:
    return decide_plan(flags, defaults.config(flags, source), "float32", source)


@pytest.mark.parametrize(
    "flags", [[], ["--from", "random", "--network", "crnn_bigru", "--epochs", "3", "--alphabet", "A-F0-9"]]
)
def test_the_flags_of_a_plan_ask_for_the_same_plan(flags: list[str]) -> None:
    first = planned(TrainingParameters.parse(flags), Pictures(1_000))
    stored = TrainingParameters.from_values(json.loads(first.flags.to_json()) | {"resume": True})
    again = planned(stored, Pictures(1_000))
    assert (again.to_json(), str(again), again.flags) == (first.to_json(), str(first), stored)


@pytest.mark.parametrize(
    ("flags", "start"),
    [
        ([], "general"),
        (["--size", "120x40"], "general"),
        (["--size", "autox48", "--colour", "rgb"], "general"),
        (["--head", "attention", "--rectify", "affine"], "general"),
        (["--network", "vgg_bilstm"], "general"),
        (["--size", "280x32"], "lines"),
        (["--preset", "lite"], "random"),
        (["--network", "vgg_bigru"], "random"),
        (["--rows", "2"], "random"),
        (["--coordinates"], "random"),
        (["--from", "random"], "random"),
    ],
)
def test_the_network_is_that_of_shipped_weights_if_flags_allow_it(flags: list[str], start: str) -> None:
    asked = TrainingParameters.parse(flags)
    plan = planned(asked, Pictures(1_000))
    assert plan.start == start
    usual = read_config(SHIPPED / f"{start}.keras") if start != "random" else asked
    assert (plan.config.network, plan.config.preset) == (usual.network, usual.preset)


def test_half_batches_have_their_learning_rate_unless_it_was_given() -> None:
    for flags, rates in (([], (4e-3, 2.8e-3)), (["--learning-rate", "3e-3"], (3e-3, 3e-3))):
        first = planned(TrainingParameters.parse(["--from", "random", "--batch-size", "256", *flags]), Pictures(10_000))
        half = planned(first.with_half_batches(), Pictures(10_000))
        assert (first.batch_size, half.batch_size) == (256, 128)
        assert (first.schedule.peak, half.schedule.peak) == pytest.approx(rates)


@pytest.mark.parametrize("gpus", [0, 1, 4])
@pytest.mark.parametrize("pictures", [1_000, 10_000, 100_000, 1_000_000])
def test_batches_and_learning_rate_grow_on_gpus_as_far_as_the_corpus_allows(
    monkeypatch: pytest.MonkeyPatch, pictures: int, gpus: int
) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: [None] * gpus)

    def found(*flags: str) -> TrainingParameters:
        given = TrainingParameters.parse(["--from", "random", *flags])
        return planned(given, Pictures(pictures)).flags

    size, rate = found().batch_size, found().learning_rate
    assert size and rate
    steps = pictures * defaults.epochs(pictures, False) / size
    if gpus and pictures == 1_000_000:
        assert size == 512
    if not gpus or pictures == 1_000:
        assert (size, rate) == (32 if pictures == 1_000 else 64, 2e-3)
    elif size > 64:
        assert steps >= defaults.STEPS
        assert rate == pytest.approx(2e-3 * (size / 64) ** 0.5, rel=0.03)
    # A given batch size gets its learning rate, and a given learning rate stays.
    assert found("--batch-size", "256").learning_rate == pytest.approx(4e-3)
    assert found("--batch-size", "256", "--learning-rate", "1e-3").learning_rate == 1e-3
    assert defaults.batch_size(pictures, 10 * pictures, devices=3, gpus=gpus) % 3 == 0


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ("lite", "vgg_conv", "random", 8)),
        (["--head", "attention"], ("lite", "vgg_conv", "random", 8)),
        (["--preset", "small"], ("small", "vgg_bilstm", "random", 4)),
        (["--network", "crnn_bilstm"], ("small", "crnn_bilstm", "random", 4)),
        (["--from", "captcha", "--epochs", "2"], ("small", "vgg_bilstm", "captcha", 2)),
    ],
)
def test_quick_trains_a_lite_network_unless_flags_say_otherwise(
    flags: list[str], expected: tuple[str, str, str, int]
) -> None:
    asked = TrainingParameters.parse(["--quick", *flags])
    found = defaults.quick(asked)
    assert (found.preset, found.network, found.from_, found.epochs) == expected
    assert found.data == defaults.QUICK.out
    assert found.head == asked.head
