"""curves.png: how a training went, at a glance."""

from __future__ import annotations

from pathlib import Path

from console import atomic
from model.training.run_folder import History


def draw_curves(history: History, best: dict[str, float], path: Path) -> None:
    """Loss, exact match and character error rate over the epochs, the `best` one named, as a PNG at `path`.

    And the difficulty of the pictures, where it grew.
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, label in (("loss", "training"), ("validation_loss", "validation")):
        left.plot(epochs, [row[name] for row in history], label=label)
    left.set(xlabel="epoch", ylabel="loss", yscale="log")
    left.legend()
    right.plot(epochs, [100 * row["exact_match"] for row in history], label="exact match")
    right.plot(epochs, [100 * row["character_error_rate"] for row in history], label="character error rate")
    if "difficulty" in best:
        right.plot(epochs, [100 * row["difficulty"] for row in history], ":", label="difficulty, of 100")
    right.set(xlabel="epoch", ylabel="% of the validation pictures", ylim=(-2, 102))
    right.set_title(f"the model file: epoch {best['epoch']:.0f}, {best['exact_match']:.2%}", fontsize="medium")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=100)
