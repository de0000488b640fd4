"""Report what a folder or list of labelled pictures contains: `python -m dataset PATH`.

`python -m dataset suggest`, `convert` and `unpack` are other commands. Give a folder of such a name as `./convert`.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import dataset
from cli.command import ALL_DONE, SOME_UNREADABLE, WRONG_USE, run_command
from cli.files import atomic
from cli.flags import with_flags
from cli.messages import print_table, warn
from crnn_reader import bounded
from crnn_reader.errors import UserError, printable
from crnn_reader.image import ImageOptions
from crnn_reader.model_files import WEIGHTS
from dataset.checks import shown
from dataset.contact_sheets import gallery_file
from dataset.contents import log_each
from dataset.convert import convert
from dataset.formats.normalize import short
from dataset.inputs import refuse_overlapping_paths
from dataset.label_warnings import examples, warnings_about
from dataset.suggest import FEW_SURE, Suggestion, kind_of, suggest
from dataset.unpack import unpack
from parameter import (
    CORPUS_RECORD,
    SHIPPED_MODELS,
    ConvertParameters,
    DatasetParameters,
    SuggestParameters,
    UnpackParameters,
    picture_size,
    size_flag,
)

#: Characters that occur less often than this are hard to learn, and the maximum number of them to print.
_RARE, _RARE_LISTED = 20, 40
#: Maximum number of names to print per fault. The JSON has all of them.
_LISTED = 10
#: Length of the longest bar, in characters.
_BAR = 40
#: Number of readings that `suggest` prints, and number of pictures below which it warns.
_EXAMPLES, _FEW = 5, 30
#: Other weights are named if their mean probability of an error is no more than this multiple of the model's.
_SURER = 0.6
#: Number of pictures that --plot draws.
_PLOTTED = 96


def main(parameters: DatasetParameters) -> int:
    """Read all pictures, print the report, and return the exit code."""
    refuse_overlapping_paths([parameters.path], {"json": parameters.json_, "plot": parameters.plot})
    samples = dataset.collect(parameters.path, parameters.label_pattern, parameters.root)
    options = ImageOptions(parameters.max_pixels)
    contents = dataset.examine(samples, options)
    report = dataset.inspect(contents)
    log_each([f"{name}: {reason}" for name, reason in contents.unreadable], not report.pictures)
    if not report.pictures:
        raise next(report.errors())
    if parameters.plot:
        _plot(parameters.plot, samples, {name for name, _ in contents.unreadable}, options)
    found = summary(contents, report)
    errors = [with_flags(str(error), **error.parameters) for error in report.errors()]
    _print(parameters, found, errors)
    for remark in contents.remarks(options):
        warn(remark)
    if parameters.json_:
        with atomic(parameters.json_) as temporary:
            temporary.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")
    return SOME_UNREADABLE if contents.unreadable or errors else ALL_DONE


def summary(contents: dataset.Contents, report: dataset.Report) -> dict[str, Any]:
    """The report as JSON values. `characters` and `lengths` are counts."""
    labels = [str(label) for label in contents.labels if label]
    characters = Counter(character for label in labels for character in label)
    widths, heights = contents.sizes.T
    sides: dict[str, Callable[..., Any]] = {"smallest": np.min, "median": np.median, "largest": np.max}
    return {
        "pictures": report.pictures,
        "examples": [{"file": name, "label": label} for name, label in examples(contents)],
        "doubts": warnings_about(contents),
        "labels": len(set(labels)),
        "alphabet": "".join(sorted(characters)),
        "characters": dict(sorted(characters.items())),
        "lengths": dict(sorted(Counter(map(len, labels)).items())),
        "width": {name: int(of(widths)) for name, of in sides.items()},
        "height": {name: int(of(heights)) for name, of in sides.items()},
        "sizes": len(np.unique(contents.sizes, axis=0)),
        "duplicates": report.duplicates,
        "single_colour": [str(name) for name in contents.names[contents.single_colour]],
        "several_frames": [str(name) for name in contents.names[contents.frames > 1]],
        "unreadable": [{"file": name, "reason": reason} for name, reason in report.unreadable],
        "unlabelled": report.unlabelled,
        "conflicts": [
            {"file": one, "label": label, "other": other, "other_label": other_label}
            for one, label, other, other_label in report.conflicts
        ],
    }


def _print(parameters: DatasetParameters, found: dict[str, Any], errors: list[str]) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")

    def row(head: str, text: str) -> None:
        table.add_row(head, printable(text))

    row("pictures", f"{found['pictures']:,} readable, {len(found['unreadable']):,} unreadable")
    row("labels", f"{found['labels']:,} different")
    for place, entry in enumerate(found["examples"]):
        row("" if place else "examples", f"{short(entry['label'])}   {short(entry['file'])}")
    row("alphabet", f"{len(found['characters'])} characters: {' '.join(map(shown, found['characters']))}")
    rare = sorted((count, character) for character, count in found["characters"].items() if count < _RARE)
    # In a small corpus most characters are rare, and listing them is useless.
    if rare and 2 * len(rare) < len(found["characters"]):
        more = f" and {len(rare) - _RARE_LISTED:,} more" if len(rare) > _RARE_LISTED else ""
        row("rare", ", ".join(f"{shown(character)} {count}×" for count, character in rare[:_RARE_LISTED]) + more)
    bars = _bars(found["lengths"])
    most = max(bars.values(), default=1)
    for place, (lengths, count) in enumerate(bars.items()):
        row("" if place else "lengths", f"{lengths:>7} {'█' * max(1, round(_BAR * count / most))} {count:,}")
    for side in ("width", "height"):
        of = found[side]
        differ = of["smallest"] != of["largest"]
        row(side, f"{of['median']} pixels" + (f" ({of['smallest']} to {of['largest']})" if differ else ""))
    row("duplicates", f"{found['duplicates']:,}" + (" (kept on one side of the split)" if found["duplicates"] else ""))
    for entry in found["unreadable"][:_LISTED]:
        row("unreadable", f"{entry['file']}: {entry['reason']}")
    if len(found["unreadable"]) > _LISTED:
        row("", f"and {len(found['unreadable']) - _LISTED:,} more, on stderr")
    for error in errors:
        row("to mend", error)
    for doubt in found["doubts"]:
        row("doubtful", doubt)
    print_table(table)
    if not errors and not found["doubts"]:
        given = {"--label-pattern": parameters.label_pattern, "--root": parameters.root}
        flags = "".join(f" {flag} {shlex.quote(value)}" for flag, value in given.items() if value)
        flags += _size_as_drawn(parameters.path)
        warn(f"next: python training.py --data {shlex.quote(parameters.path)}{flags}")


def _size_as_drawn(path: str) -> str:
    """The flag `--size` for training on a folder that generate_captcha has written. Empty for other folders."""
    try:
        about = bounded.read_json(Path(path) / CORPUS_RECORD)
        return size_flag(about["style"], picture_size(about["size"]))
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _plot(path: str, samples: dataset.Samples, unreadable: set[str], options: ImageOptions) -> None:
    """Draw evenly spaced readable pictures with their labels."""
    rows = [row for row, name in enumerate(map(str, samples.names)) if name not in unreadable]
    places = np.linspace(0, len(rows) - 1, min(len(rows), _PLOTTED)).round().astype(int)
    chosen = [samples[rows[place]] for place in places]
    with gallery_file(path) as draw:
        draw([sample.path for sample in chosen], [sample.label for sample in chosen], (), options)


def suggest_flags(parameters: SuggestParameters) -> int:
    """Read some pictures without labels, print what they seem to show, and return the exit code."""
    refuse_overlapping_paths([parameters.path], {"json": parameters.json_}, (parameters.model,))
    if parameters.json_ and Path(parameters.json_).is_dir():
        raise UserError(f"{parameters.json_} is a folder: give the name of a file to write", "json")
    model = parameters.model
    onnx = {file.stem for file in WEIGHTS[0].glob("*.onnx")}
    if Path(model).suffix == ".keras" or Path(model, "model.keras").is_file() or model in {*SHIPPED_MODELS} - onnx:
        raise UserError(
            f"{model} is read with Keras, which this command does not use: run python export.py {shlex.quote(model)} "
            "--out mine.onnx, and give mine.onnx",
            "model",
        )
    suggestion = suggest(parameters.path, model, parameters.max_pixels)
    found, count = suggestion.found, len(suggestion.readings)
    flags = {"--length": suggestion.length, "--charset": suggestion.charset}
    words = [word for flag in flags.items() if flag[1] for word in flag]
    _print_suggestion(suggestion, model, shlex.join(words))
    if parameters.json_:
        values = {
            "pictures": suggestion.pictures,
            "read": count,
            "model": model,
            "size": suggestion.size,
            "lengths": found.lengths,
            "characters": found.characters,
            "countries": suggestion.countries,
            "length": suggestion.length,
            "charset": suggestion.charset,
            "mean_probability": found.probability,
            "sure": found.sure,
            "weights": suggestion.weights,
            "readings": [
                {"file": str(reading.source), "text": reading.text, "probability": reading.probability}
                for reading in suggestion.readings
            ],
        }
        with atomic(parameters.json_) as temporary:
            temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")
    surest, probability = next(iter(suggestion.weights.items()))
    if surest != model and 1 - probability <= _SURER * (1 - found.probability):
        again = shlex.join(["python", "-m", "dataset", "suggest", parameters.path, "--model", surest])
        warn(f"{surest} is surer of these pictures than {model}: {again}")
    if not suggestion.length and not suggestion.countries:
        if found.sure > FEW_SURE:
            reason = f"no text that {model} reads has the format of a country's plates"
        else:
            reason = f"{model} {suggestion.sure_of()}, too few for a suggestion"
        raise UserError(
            f"{reason}: try other weights, cut the texts out of larger pictures, or label some pictures and train on "
            "them (docs/own_pictures.md)"
        )
    if count < _FEW:
        warn(f"{count} pictures say little about all others: give {_FEW} or more")
    warn(f"next: {shlex.join(['python', 'prediction.py', parameters.path, '--model', model, *words])}")
    return SOME_UNREADABLE if suggestion.failed else ALL_DONE


def _print_suggestion(suggestion: Suggestion, model: str, flags: str) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    found, readings = suggestion.found, suggestion.readings
    kinds: Counter[str] = Counter()
    for character, share in found.characters.items():
        kinds[kind_of(character) or character] += share  # type: ignore[assignment]  # a share, not a count
    rows = [
        ("pictures", f"{len(readings):,} of {suggestion.pictures:,}, read with {model}"),
        ("size", f"{suggestion.size[0]}x{suggestion.size[1]} pixels (median)"),
        ("lengths", _percentages(found.lengths)),
        ("characters", _percentages(dict(kinds.most_common()))),
        (
            "how sure",
            f"{found.sure:.0%} of the texts have a probability above 0.5; the mean is {found.probability:.2f}",
        ),
        ("weights", ", ".join(f"{name} {probability:.2f}" for name, probability in suggestion.weights.items())),
    ]
    if suggestion.countries:
        rows.insert(4, ("countries", _percentages(suggestion.countries)))
    if flags:
        rows.append(("suggestion", flags))
    for place, reading in enumerate(readings[:: -(-len(readings) // _EXAMPLES)]):
        rows.append(("" if place else "examples", f"{reading.text}  {reading.probability:.2f}  {reading.source!s}"))
    for head, text in rows:
        table.add_row(head, printable(text))
    print_table(table)


def _percentages(shares: Mapping[Any, float]) -> str:
    return ", ".join(f"{key}: {share:.0%}" for key, share in shares.items() if share >= 0.005)


def _bars(lengths: dict[int, int]) -> dict[str, int]:
    """Counts by ranges of lengths: about twenty at most, of one length each if that suffices."""
    step = max(lengths, default=1) // 20 + 1
    bars: Counter[str] = Counter()
    for length, count in lengths.items():
        low = (length - 1) // step * step + 1
        high = min(low + step - 1, max(lengths))
        bars[str(low) if low == high else f"{low}-{high}"] += count
    return bars


def run(argv: list[str]) -> NoReturn:
    """Run the command that the first argument names, or else print the report."""
    name, *rest = argv or [""]
    if name == "convert":
        run_command(convert, ConvertParameters, rest, prog="python -m dataset convert")
    if name == "suggest":
        run_command(suggest_flags, SuggestParameters, rest, prog="python -m dataset suggest")
    if name == "unpack":
        run_command(unpack, UnpackParameters, rest, prog="python -m dataset unpack")
    meant = difflib.get_close_matches(name, ["convert", "suggest", "unpack"], 1)
    if meant and not os.path.exists(name):
        warn(f"error: {name} does not exist: did you mean `python -m dataset {meant[0]}`?")
        sys.exit(WRONG_USE)
    run_command(main, DatasetParameters, argv, prog="python -m dataset")


if __name__ == "__main__":
    run(sys.argv[1:])
