"""The plan of a training: every value decided, from the flags and the pictures, before the first step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from crnn_reader.alphabet import write_alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.trained_sizes import with_sizes
from model import devices
from model.processes import ALONE, Rank
from model.training import defaults
from model.training.adaptation import Augmentation, Curriculum
from model.training.picture_source import PictureSource
from model.training.schedule import Schedule
from parameter import RANDOM, TrainingParameters


@dataclass(frozen=True)
class TrainingPlan:
    """A training with every value decided. Run folders store it as `plan.json`, and its flags as `parameters.json`."""

    flags: TrainingParameters  #: as given, with network, start, batch size, learning rate and precision filled in
    config: ModelConfig
    schedule: Schedule
    start: str = RANDOM  #: model file, run folder or shipped name whose weights the network starts from, or `random`
    batch_size: int = 0
    validation_batch_size: int = 0
    devices: int = 1  #: number of devices that share each batch
    precision: str = "float32"  #: Keras' dtype policy
    augmentation: float = 0.0  #: strength in the first epoch
    adaptation: Augmentation | Curriculum | None = None  #: what changes from epoch to epoch
    rank: Rank = ALONE

    def __str__(self) -> str:
        """One line for the log."""
        config = self.config
        on = f"{self.devices} devices, " if self.devices > 1 else ""
        return (
            f"{config.network} {config.preset} {config.head}, {self.flags.size}, {len(config.alphabet)} characters, "
            f"{on}batches of {self.batch_size:,}, learning rate {self.schedule.peak:g}, {self.precision}, "
            f"epochs: {'' if self.flags.epochs else 'up to '}{self.schedule.epochs}"
        )

    def to_json(self) -> str:
        """All values but the flags, readable and diffable."""
        values = {name: value for name, value in asdict(self).items() if name not in ("flags", "rank")}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    def with_half_batches(self) -> TrainingParameters:
        """Flags to resume this training with half the batch size, and the learning rate for it if the kit chose it."""
        from_weights, size, rate = self.start != RANDOM, self.batch_size, self.schedule.peak
        if rate == defaults.learning_rate(self.flags.preset, from_weights, size):
            rate = defaults.learning_rate(self.flags.preset, from_weights, size // 2)
        return self.flags.model_copy(update={"batch_size": size // 2, "learning_rate": rate, "resume": True})


def decide_plan(
    flags: TrainingParameters, config: ModelConfig, precision: str, source: PictureSource, rank: Rank = ALONE
) -> TrainingPlan:
    """Decide everything that `flags` leave open about a training.

    Arguments:
        flags: as given, or with --resume as stored.
        config: the network, see :func:`model.training.defaults.config`.
        precision: Keras' dtype policy of the network.
        source: the pictures, decoded.
        rank: of this process among those that train together.

    Raises UserError if the devices asked for do not exist, or do not divide the batch size.
    """
    start = flags.from_ or defaults.start_of(config)
    from_weights = start != RANDOM
    pictures_seen = source.count * (flags.epochs or defaults.epochs(source.count, from_weights))
    divisor = flags.devices or devices.batch_divisor()
    batch_size = flags.batch_size or defaults.batch_size(
        source.count, pictures_seen, divisor, len(devices.accelerators())
    )
    schedule = Schedule(
        peak=flags.learning_rate or defaults.learning_rate(config.preset, from_weights, batch_size),
        epochs=flags.epochs or defaults.epochs(source.training_count, from_weights),
        warmup=flags.warmup,
        # With a curriculum, the validation pictures become harder, so their loss says nothing.
        settle=flags.epochs is None and not flags.curriculum,
    )
    augmentation = flags.augmentation or 0.0
    adaptation: Augmentation | Curriculum | None = None
    if flags.curriculum and source.difficulty is not None:
        adaptation = Curriculum(source.difficulty, schedule.epochs)
    elif source.augments and flags.augmentation is None:
        augmentation = defaults.first_augmentation(source.training_count)
        adaptation = Augmentation(augmentation)
    decided = defaults.flags_of(config) | {
        "alphabet": flags.alphabet or write_alphabet(config.alphabet),
        "longest": config.longest,
        "from_": start,
        "batch_size": batch_size,
        "learning_rate": schedule.peak,
        "precision": precision,
    }
    return TrainingPlan(
        flags.model_copy(update=decided),
        with_sizes(config, source.sizes),
        schedule,
        start,
        batch_size,
        # Larger batches keep a GPU busier. Without gradients, four times as many pictures take no more memory.
        batch_size * (4 if devices.accelerators() else 1),
        devices.device_count(flags.devices, batch_size),
        precision,
        augmentation,
        adaptation,
        rank,
    )
