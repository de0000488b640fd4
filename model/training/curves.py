"""Plot the history of a training: curves.png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.files import atomic
from model.training.run_folder import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Mark each epoch if there are at most this many. A single epoch would not show as a line.
MARKED = 30
#: Minimum range of a vertical axis in percentage points.
MIN_SPAN = 1.0


def draw_curves(history: History, best: dict[str, float], path: Path) -> None:
    """Plot loss, exact match and character error rate over the epochs as a PNG, each scaled to its data.

    The `best` epoch is marked. With a curriculum, the difficulty of the pictures is plotted, too.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    epochs = [row["epoch"] for row in history]
    marker = "." if len(history) <= MARKED else ""
    figure = Figure(figsize=(13, 4), layout="constrained")
    losses, right, wrong = figure.subplots(1, 3)
    for name, label in (("loss", "training, as augmented"), ("validation_loss", "validation")):
        losses.plot(epochs, [row[name] for row in history], marker=marker, label=label)
    losses.set(title="loss", yscale="log")
    losses.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    losses.yaxis.set_major_formatter(ScalarFormatter())
    losses.yaxis.set_minor_formatter(NullFormatter())
    losses.legend()
    for axes, name in ((right, "exact_match"), (wrong, "character_error_rate")):
        values = [100 * row[name] for row in history]
        axes.plot(epochs, values, marker=marker)
        axes.plot(
            best["epoch"], 100 * best[name], "o", color="tab:red", label=f"the model file, epoch {best['epoch']:.0f}"
        )
        axes.set_ylim(_limits(values))
        axes.legend()
    right.set(title=f"exact match: {best['exact_match']:.2%}", ylabel="% of the validation pictures")
    wrong.set(title=f"character error rate: {best['character_error_rate']:.2%}", ylabel="% of their characters")
    if "difficulty" in best:
        _draw_difficulty(right, epochs, [row.get("difficulty", float("nan")) for row in history])
    for axes in (losses, right, wrong):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits of a vertical axis in per cent: the range of the `values`, at least MIN_SPAN, and a margin."""
    low, high = min(values), max(values)
    span = max(high - low, MIN_SPAN)
    low = max(0.0, (low + high - span) / 2)
    return low - 0.06 * span, max(high, low + span) + 0.06 * span


def _draw_difficulty(axes: Axes, epochs: Sequence[float], difficulties: Sequence[float]) -> None:
    other = axes.twinx()
    other.plot(epochs, difficulties, ":", color="grey")
    other.set(ylabel="difficulty of the pictures (dotted)", ylim=(-0.05, 1.05))
