"""Write a model file for another runtime; it is read back there and compared with Keras, or not written.

python export.py runs/mine --out mine.onnx
python export.py captcha --out captcha.onnx --int8 DB/test
"""

from __future__ import annotations

import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import tempfile
from pathlib import Path

import console
from console import UserError
from parameter import ExportParameters

#: Labelled pictures that --int8 finds ranges with, at the most: every other one. The loss is measured on the rest.
CALIBRATING = 200


def main(parameters: ExportParameters) -> int:
    """The whole story; returns the exit code."""
    from model import export, model_file

    model, out = model_file.locate(parameters.model, model_file.TRAINED), Path(parameters.out)
    if parameters.int8:
        return export_int8(model, out, parameters.int8, parameters.label_pattern)
    comparison = export.export(model, parameters.form, out)
    console.say(f"{out}: {comparison}")
    return console.ALL_DONE


def export_int8(model: Path, out: Path, path: str, label_pattern: str | None) -> int:
    """Export exactly and in integers, keep the second, and print what both read."""
    import dataset
    from model import export, model_file
    from model.alphabet import told_unknown
    from model.reader import Reader
    from model.scores import read_and_score

    labelled = [sample for sample in dataset.collect(path, label_pattern) if sample.label]
    if len(labelled) < 2:
        raise UserError(f"{path} has {len(labelled)} pictures with a label, --int8 needs two: see --label-pattern")
    if hopeless := told_unknown([sample.label for sample in labelled], model_file.read_card(model).alphabet):
        console.warn(hopeless)
    calibrating = labelled[: 2 * CALIBRATING : 2]
    others = labelled[1 : 2 * CALIBRATING : 2] + labelled[2 * CALIBRATING :]
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "exact.onnx"
        print(f"float32: {export.export(model, 'onnx', exact)}")
        scores, _ = read_and_score(Reader(str(exact)), others)
        print(f"float32: {scores}, {exact.stat().st_size / 1e6:.1f} MB")
    found = export.export_int8(model, out, [sample.path for sample in calibrating])
    # Which of them cannot be read has been said.
    scores, _ = read_and_score(Reader(str(out)), others, tell=False)
    print(f"int8: {scores}, {out.stat().st_size / 1e6:.1f} MB, ranges found with {found:,} other pictures")
    all_read = found == len(calibrating) and not scores.unreadable
    return console.ALL_DONE if all_read else console.SOME_UNREADABLE


if __name__ == "__main__":
    console.run(main, ExportParameters)
