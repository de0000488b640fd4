"""Scores as tables in the terminal, and as a report: a folder with `index.html`, plots and `report.json`."""

from __future__ import annotations

import contextlib
import html
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.files import atomic
from cli.flags import with_flags
from crnn_reader.errors import UserError, printable
from model.scores import SURE, Confusion, Interval, Mistake, Scores

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from rich.table import Table

#: File with the scores. A folder with this file is a report.
RECORD = "report.json"
#: Titles of the mistakes on the page, and of their contact sheets.
WORST, SUREST = "Worst pictures", "Surest mistakes"

INK, RIGHT, WRONG, QUIET = "#22313f", "#2a78b8", "#c8452f", "#c9d2da"

CONFUSIONS_DRAWN, CONFUSIONS_SHOWN = 20, 10

#: Fonts with Chinese, Japanese and Korean characters, which matplotlib's DejaVu lacks. Installed ones are used.
OTHER_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Malgun Gothic",
    "Arial Unicode MS",
)


def begin(folder: Path) -> None:
    """Create the folder of a report. Raises UserError if it holds anything but an earlier report."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / RECORD).is_file():
        raise UserError(f"{folder} holds something other than a report: choose another folder")


def write(folder: Path, scores: Scores, record: Mapping[str, Any], sheets: Mapping[str, NDArray[np.uint8]]) -> Path:
    """Write the report, and replace an earlier one. Returns the path of its page.

    Arguments:
        folder: folder of the report, see :func:`begin`.
        scores: the scores.
        record: content of `report.json`. Values beside the scores, such as the model, are at the top of the page.
        sheets: contact sheets of the mistakes, uint8 RGB (height, width, 3), by the titles WORST and SUREST.
    """
    from matplotlib.image import imsave

    figures = {
        "reliability": _reliability(scores),
        "coverage": _coverage(scores),
        "confusions": _confusions(scores),
        "lengths": _lengths(scores),
    }
    names = {title: f"pictures-{number}.png" for number, title in enumerate(sheets, start=1)}
    # All files are renamed at the end, so that an earlier report stays complete if this one fails.
    with contextlib.ExitStack() as files:

        def file(name: str) -> Path:
            return files.enter_context(atomic(folder / name))

        for name, figure in figures.items():
            with warnings.catch_warnings():
                # A character that no installed font has is drawn as a box; the table of the page has it as text.
                warnings.filterwarnings("ignore", message="Glyph .* missing")
                figure.savefig(file(f"{name}.png"), dpi=150)
        for title, name in names.items():
            imsave(file(name), sheets[title])
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        file(RECORD).write_text(text, encoding="utf-8", errors="backslashreplace")
        page = _page(scores, record, list(figures), names)
        file("index.html").write_text(page, encoding="utf-8", errors="replace")
    for left_over in {path.name for path in folder.glob("pictures-*.png")} - set(names.values()):
        (folder / left_over).unlink()
    return folder / "index.html"


def tables(scores: Scores, facts: Mapping[str, Any]) -> list[Table]:
    """The scores, and other `facts` by name, as tables for the terminal."""
    from rich.table import Table

    low, high = scores.exact_match_interval
    summary = Table(show_header=False, box=None)
    for name, value in (
        (
            "images",
            f"{scores.images:,}" + (f" ({scores.unreadable:,} unreadable left out)" if scores.unreadable else ""),
        ),
        ("exact match", f"{scores.exact_match:.2%} ({low:.2%} to {high:.2%})"),
        ("character error rate", f"{scores.character_error_rate:.2%}"),
        ("letter accuracy", f"{scores.letter_accuracy:.2%}"),
        ("calibration error", f"{scores.calibration_error:.2%}"),
        *_acceptance(scores).items(),
        *((name.replace("_", " "), _fact(value)) for name, value in facts.items()),
    ):
        summary.add_row(name, printable(value))
    found = [summary]
    if len(scores.per_length) > 1:
        lengths = Table("length", "images", "exact match", "95 % interval", "character error rate", box=None)
        for part in scores.per_length:
            low, high = part.exact_match_interval
            lengths.add_row(
                str(part.length),
                f"{part.images:,}",
                f"{part.exact_match:.2%}",
                f"{low:.2%} to {high:.2%}",
                f"{part.character_error_rate:.2%}",
            )
        found.append(lengths)
    if scores.confusions:
        confusions = Table("true", "read", "times", "of the true character", box=None)
        for confusion in scores.confusions[:CONFUSIONS_SHOWN]:
            pair = (printable(shown(each)) for each in (confusion.truth, confusion.read))
            confusions.add_row(*pair, f"{confusion.count:,}", _share(confusion))
        found.append(confusions)
    return found


def shown(character: str) -> str:
    """A name for a missing or invisible character; other characters as they are."""
    return {"": "nothing", " ": "space", "\u3000": "wide space"}.get(character, printable(character))


def _axes(title: str, height: float) -> tuple[Figure, Axes]:
    from matplotlib import font_manager, rcParams
    from matplotlib.figure import Figure

    installed = set(font_manager.get_font_names())
    # It warns of each weight that a font lacks, and uses another.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    rcParams["font.family"] = ["DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed)]
    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK, fontweight="bold", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    return figure, axes


def _reliability(scores: Scores) -> Figure:
    """Reliability diagram: exact match over probability, with the share of pictures in each bin."""
    figure, axes = _axes("Does the probability keep its promise?", 5.4)
    images = [part.images for part in scores.reliability]
    share = [count / scores.images for count in images]
    axes.bar(
        [part.low for part in scores.reliability], share, 0.096, align="edge", color=QUIET, label="share of pictures"
    )
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="kept exactly")
    probabilities = [part.probability for part in scores.reliability]
    right = [part.exact_match for part in scores.reliability]
    errors = _error_bars(right, [part.exact_match_interval for part in scores.reliability])
    axes.errorbar(probabilities, right, errors, color=RIGHT, marker="o", capsize=3, label="exact match, 95 % interval")
    for part, height in zip(scores.reliability, share, strict=True):
        axes.annotate(f"{part.images:,}", (part.low + 0.048, height), ha="center", va="bottom", fontsize=7, color=INK)
    axes.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="probability given", ylabel="exact match")
    _legend_below(figure)
    axes.set_title(f"mean distance {scores.calibration_error:.1%}", loc="right", color=INK, fontsize=9)
    return figure


def _coverage(scores: Scores) -> Figure:
    """Risk-coverage curve: the share of wrong readings among the accepted, over the share of accepted readings."""
    from matplotlib.ticker import PercentFormatter

    figure, axes = _axes("What comes of rejecting unsure readings", 4.2)
    if not scores.coverage:
        return _nothing(figure, axes, "nothing was read")
    shares = [point.share for point in scores.coverage]
    wrong = [1 - point.exact_match for point in scores.coverage]
    above = [1 - point.exact_match_interval[0] for point in scores.coverage]
    below = [1 - point.exact_match_interval[1] for point in scores.coverage]
    axes.fill_between(shares, below, above, color=QUIET, label="95 % interval")
    # A single point would not show as a line.
    axes.plot(shares, wrong, color=WRONG, marker="." if len(shares) == 1 else "", label="wrong among the accepted")
    if scores.sure:
        dot = scores.sure.share, 1 - scores.sure.exact_match
        most = f"the most with {SURE:.1%} right: {scores.sure.share:.1%}"
        axes.plot(*dot, "o", color=RIGHT, label=most, clip_on=False)
    # The wide intervals of the few surest readings would flatten the rest of the plot.
    highest = min(1.1 * max(*wrong, above[-1]), 1.02)
    axes.set(xlim=(0, 1), ylim=(0, highest), xlabel="accepted, the surest first", ylabel="wrong among the accepted")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    _legend_below(figure)
    return figure


def _legend_below(figure: Figure) -> None:
    """Put the legend below the axes, where it covers no data."""
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def _acceptance(scores: Scores) -> dict[str, str]:
    """What is accepted with SURE of the readings right, and at the given probability, and of negatives, by name."""
    if scores.sure:
        sure = with_flags(str(scores.sure), min_probability=str(scores.sure.probability))
    else:
        sure = "none: not even the surest readings are"
    found = {f"accepted, {SURE:.1%} right": sure}
    if scores.accepted:
        found[f"accepted at {scores.accepted.probability:g}"] = str(scores.accepted)
    if negatives := scores.negatives:
        low, high = negatives.empty_share_interval
        found["negatives read as empty"] = (
            f"{negatives.empty_share:.2%} ({negatives.empty:,} of {negatives.images:,}; 95 % interval {low:.2%} to "
            f"{high:.2%})"
        )
        for point in negatives.accepted:
            low, high = point.share_interval
            found[f"negatives accepted at {point.probability:g}"] = (
                f"{point.share:.2%} ({point.images:,} of {negatives.images:,}; 95 % interval {low:.2%} to {high:.2%})"
            )
    return found


def _confusions(scores: Scores) -> Figure:
    """The most frequent confusions as bars, with the share of the character's occurrences."""
    from matplotlib.ticker import MaxNLocator

    confusions = scores.confusions[:CONFUSIONS_DRAWN]
    figure, axes = _axes("Most confused characters: true → read", 1.3 + 0.27 * max(3, len(confusions)))
    if not confusions:
        return _nothing(figure, axes, "no character was misread")
    rows = range(len(confusions))
    axes.barh(rows, [confusion.count for confusion in confusions], color=WRONG, height=0.7)
    axes.set_yticks(rows, [_pair(confusion) for confusion in confusions], fontsize=10)
    axes.invert_yaxis()
    for row, confusion in enumerate(confusions):
        axes.annotate(
            f" {confusion.count:,}  ({_share(confusion)})",
            (confusion.count, row),
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.margins(x=0.25)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("times")
    return figure


def _lengths(scores: Scores) -> Figure:
    """Exact match for each length of the true text."""
    figure, axes = _axes("Exact match by length of the text", 3.6)
    lengths = scores.per_length
    right = [part.exact_match for part in lengths]
    errors = _error_bars(right, [part.exact_match_interval for part in lengths])
    places = range(len(lengths))
    axes.bar(places, right, 0.6, yerr=errors, color=RIGHT, ecolor=INK, capsize=3)
    # At most 16 labels fit beside one another.
    named = places[:: -(-len(lengths) // 16)]
    axes.set_xticks(named, [f"{lengths[i].length}\n({lengths[i].images:,})" for i in named], fontsize=8)
    axes.set(ylim=(0, 1.05), ylabel="exact match", xlabel="characters (pictures)")
    axes.set_xlim(-1, max(1, len(lengths)))
    return figure


def _error_bars(rates: list[float], intervals: Sequence[Interval]) -> list[list[float]]:
    """Intervals as matplotlib's error bars: distances below and above the rates."""
    below = [max(0.0, rate - low) for rate, (low, _) in zip(rates, intervals, strict=True)]
    return [below, [max(0.0, high - rate) for rate, (_, high) in zip(rates, intervals, strict=True)]]


def _nothing(figure: Figure, axes: Axes, sentence: str) -> Figure:
    axes.axis("off")
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=INK, transform=axes.transAxes)
    return figure


def _pair(confusion: Confusion) -> str:
    return f"{shown(confusion.truth)} → {shown(confusion.read)}"


def _share(confusion: Confusion) -> str:
    share = f"{confusion.count / max(1, confusion.occurrences):.2%}"
    return share if confusion.truth else f"{share} of all characters"


def _page(scores: Scores, record: Mapping[str, Any], figures: list[str], sheets: Mapping[str, str]) -> str:
    known = scores.to_dict()
    facts = {
        name: value for name, value in record.items() if name not in known and isinstance(value, str | int | float)
    }
    low, high = scores.exact_match_interval
    summary = {
        "Exact match": f"{scores.exact_match:.2%} <small>({scores.exact:,} of {scores.images:,} pictures; "
        f"95 % interval {low:.2%} to {high:.2%})</small>",
        "Character error rate": f"{scores.character_error_rate:.2%}",
        "Letter accuracy": f"{scores.letter_accuracy:.2%}",
        "Calibration error": f"{scores.calibration_error:.2%}",
        **{name.capitalize(): _text(value) for name, value in _acceptance(scores).items()},
        "Unreadable pictures": f"{scores.unreadable:,} <small>(left out)</small>",
        **{name.replace("_", " ").capitalize(): _text(_fact(value)) for name, value in facts.items()},
    }
    parts = [
        _table([], [[f"<b>{name}</b>", value] for name, value in summary.items()]),
        *(f'<img src="{name}.png" alt="{name}">' for name in figures),
        f"<h2>{WORST}</h2>",
        *_mistakes(scores.worst, WORST, sheets),
        f"<h2>{SUREST}</h2>\n<p>A sure mistake is often a wrong label.</p>",
        *_mistakes(scores.surest, SUREST, sheets),
        "<h2>Confusions</h2>",
        _table(
            ["true", "read", "times", "of the true character"],
            [[_text(shown(c.truth)), _text(shown(c.read)), f"{c.count:,}", _share(c)] for c in scores.confusions],
        ),
    ]
    body = "\n".join(parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Evaluation</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: {INK}; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
td, th {{ padding: .2rem .9rem .2rem 0; text-align: left; border-bottom: 1px solid #e4e9ed; vertical-align: top; }}
td {{ overflow-wrap: anywhere; }}
img {{ max-width: 100%; display: block; margin: 1.5rem 0; }}
small {{ opacity: .7; }}
</style>
<h1>Evaluation</h1>
{body}
</html>
"""


def _mistakes(mistakes: tuple[Mistake, ...], title: str, sheets: Mapping[str, str]) -> Iterator[str]:
    """The contact sheet with this title, if there is one, and a table of the mistakes."""
    if title in sheets:
        yield f'<img src="{sheets[title]}" alt="{title}">'
    if not mistakes:
        yield "<p>No picture was read wrongly.</p>"
        return
    rows = [[_text(m.name), _text(m.truth), _text(m.text), f"{m.probability:.4f}"] for m in mistakes]
    yield _table(["picture", "true", "read", "probability"], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in heads) + "</tr>\n" if heads else ""
    return (
        f"<table>\n{head}" + "\n".join("<tr><td>" + "</td><td>".join(row) + "</td></tr>" for row in rows) + "\n</table>"
    )


def _fact(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def _text(value: object) -> str:
    return html.escape(str(value))
