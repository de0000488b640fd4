"""Write a model file for another runtime; it is read back there and compared with Keras, or not written.

python export.py runs/mine --out mine.onnx
python export.py captcha --out captcha.onnx --int8 DB/test
python export.py captcha --out captcha.onnx --float16 DB/test
python export.py runs/mine --out mine.keras --form keras --average plate --calibrate DB/test
"""

from __future__ import annotations

from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import ALL_DONE, SOME_UNREADABLE, run_command
from cli.files import atomic
from cli.messages import print_line, warn
from crnn_reader.errors import UserError
from parameter import ExportParameters

if TYPE_CHECKING:
    from crnn_reader.formats import Format
    from dataset import Sample

#: Maximum number of pictures that --int8 is calibrated on. It is tested on all others.
CALIBRATING = 200
#: Minimum number of pictures for --calibrate without a warning.
FEW = 100
#: Below this p-value, a loss is significant.
SIGNIFICANT = 0.05


def main(flags: ExportParameters) -> int:
    """Export the model file. Returns the exit code."""
    from crnn_reader.decoding.formats import writable
    from crnn_reader.formats import ALL_LAYOUTS
    from crnn_reader.model_files import locate_model, read_config
    from dataset.inputs import refuse_overlapping_paths
    from generate_captcha.plates.layout_files import named_formats
    from model import export

    model, out = locate_model(flags.model, to_train=True), Path(flags.out)
    others = models_to_average(flags.average)
    pictures = [flags.calibrate, flags.int8, flags.float16]
    refuse_overlapping_paths(pictures, {"out": flags.out}, used=map(str, (model, *others)))
    formats = None if flags.layouts is None else named_formats(flags.layouts)
    if formats and flags.layouts == ALL_LAYOUTS:
        formats = writable(formats, read_config(model).alphabet)
    with tempfile.TemporaryDirectory() as folder:
        all_read = True
        if others:
            model = average(model, others, Path(folder))
        if flags.calibrate:
            model, all_read = calibrate(model, flags, formats, Path(folder))
        if flags.int8:
            code = export_int8(model, out, flags, formats)
        elif flags.float16:
            code = export_float16(model, out, flags, formats)
        else:
            comparison = export.export(model, flags.form, out, formats)
            print_line(f"{out}: {comparison}")
            code = ALL_DONE
    return code if all_read else SOME_UNREADABLE


def models_to_average(models: str | None) -> list[Path]:
    """The files of models that are separated by commas. Raises UserError if there is no such model."""
    from crnn_reader.model_files import locate_model

    names = [name.strip() for name in models.split(",")] if models else []
    if not all(names):
        raise UserError(f"one of the models in {models!r} has no name: give each, with commas between them", "average")
    return [locate_model(name, to_train=True) for name in names]


def average(model: Path, others: list[Path], folder: Path) -> Path:
    """Write the mean of the weights of `model` and `others` to a model file in `folder`. Returns its path."""
    from model import model_file
    from model.training.transfer import average as averaged

    network, config = averaged(str(model), list(map(str, others)))
    written = folder / "average.keras"
    model_file.save(network, config, written)
    return written


def calibrate(model: Path, flags: ExportParameters, formats: list[Format] | None, folder: Path) -> tuple[Path, bool]:
    """Calibrate a model on labelled pictures, and print its scores.

    Returns the path of the calibrated model file in `folder`, and whether all pictures could be read.
    """
    from crnn_reader.decoding.calibration import temperature
    from crnn_reader.reader import Reader
    from model import model_file
    from model.scores import read_labelled, score_read

    path, labelled = flags.calibrate, labelled_pictures("calibrate", flags, 1, model)
    network, config = model_file.load(model)
    # With the formats that the export will have, because they change which texts are read.
    config = replace(config if formats is None else config.with_formats(formats), temperature=1.0)
    raw, written = folder / "raw.keras", folder / "calibrated.keras"
    model_file.save(network, config, raw)
    read = read_labelled(Reader(str(raw), tta=0), labelled, model=flags.model)
    found = [(reading.probability, reading.text == sample.label) for sample, reading in read if reading.text]
    if not found:
        raise UserError(f"{path}: no picture is read as a text, so that nothing can be calibrated: check the model")
    config = replace(config, temperature=temperature(*zip(*found, strict=True)))
    model_file.save(network, config, written)
    print_line(f"{path}: {score_read(read, len(labelled) - len(read))}; temperature {config.temperature:.3g}")
    if len(found) < FEW:
        warn(
            f"{path}: a temperature from {len(found)} picture{'s' * (len(found) > 1)} is rough: give {FEW} or more "
            "that the model was not trained on"
        )
    if not any(right for _, right in found):
        warn(f"{path}: no picture is read right, so all probabilities become small: check the labels and the model")
    return written, len(read) == len(labelled)


def labelled_pictures(flag: str, flags: ExportParameters, least: int, model: Path) -> list[Sample]:
    """The labelled pictures in the path of a flag. Raises UserError for fewer than `least`.

    Warns about characters in labels that the model cannot read.
    """
    import dataset
    from crnn_reader.model_files import read_config
    from model.scores import unknown_characters

    path = getattr(flags, flag)
    labelled = [sample for sample in dataset.collect(path, flags.label_pattern, flags.root) if sample.label]
    if len(labelled) < least:
        found = "1 picture" if len(labelled) == 1 else f"{len(labelled)} pictures"
        raise UserError(f"{path} has {found} with a label, --{flag} needs {least} or more: see --label-pattern")
    if message := unknown_characters([sample.label for sample in labelled], read_config(model).alphabet):
        warn(f"{path}: {message}")
    return labelled


def export_int8(model: Path, out: Path, flags: ExportParameters, formats: list[Format] | None) -> int:
    """Export in float32 and in integers, print the scores of both, and keep the integers unless they read worse."""
    from crnn_reader.reader import Reader
    from model import export
    from model.scores import read_labelled, score_read

    labelled = labelled_pictures("int8", flags, 2, model)
    calibrating = labelled[: 2 * CALIBRATING : 2]
    others = labelled[1 : 2 * CALIBRATING : 2] + labelled[2 * CALIBRATING :]
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / f"exact{out.suffix}"
        print_line(f"float32: {export.export(model, flags.form, exact, formats)}")
        before = read_labelled(Reader(str(exact)), others, model=flags.model)
        unreadable = len(others) - len(before)
        print_line(f"float32: {score_read(before, unreadable)}, {exact.stat().st_size / 1e6:.1f} MB")
    with atomic(out) as temporary:
        found = export.export_int8(model, flags.form, temporary, [sample.path for sample in calibrating], formats)
        # Unreadable pictures have been named above.
        after = read_labelled(Reader(str(temporary)), others, warnings=False)
        size = temporary.stat().st_size / 1e6
        print_line(f"int8: {score_read(after, unreadable)}, {size:.1f} MB, calibrated with {found:,} other pictures")
        right = [[reading.text == sample.label for sample, reading in each] for each in (before, after)]
        lost = sum(was and not is_now for was, is_now in zip(*right, strict=True))
        won = sum(is_now and not was for was, is_now in zip(*right, strict=True))
        if (chance := by_chance(lost, won)) < SIGNIFICANT:
            loss = (
                f"of {len(before):,} pictures, {lost:,} are right only in floats and {won:,} only in integers, a loss "
                f"that is more than chance (McNemar's test, p = {chance:.2g}, below {SIGNIFICANT:g})"
            )
            if not flags.accept_loss:
                raise UserError(
                    f"{out} is not written: {loss}: give --int8 more pictures like those that will be read, or "
                    "accept the loss with --accept-loss"
                )
            warn(f"{out} is written with a loss: {loss}")
        elif not any(right[0]):
            warn("float32 reads no picture right, so the loss cannot be measured: check the labels and the model")
    print_line(f"{out}: int8, {size:.1f} MB")
    all_read = found == len(calibrating) and not unreadable
    return ALL_DONE if all_read else SOME_UNREADABLE


def export_float16(model: Path, out: Path, flags: ExportParameters, formats: list[Format] | None) -> int:
    """Export with weights in 16 bits, and keep the file unless it reads a picture differently."""
    import dataset
    from crnn_reader.formats import NO_LAYOUTS
    from crnn_reader.reader import Reader
    from model import export

    path = flags.float16 or ""
    files = [sample.path for sample in dataset.collect(path, flags.label_pattern, flags.root)]
    # Without formats of plates: the export may have others.
    before = list(zip(files, Reader(str(model), layouts=NO_LAYOUTS).read(files), strict=True))
    for file, reading in before:
        if reading.error is not None:
            warn(f"{file}: {reading.error}")
    readable = {file: reading.text for file, reading in before if reading.error is None}
    if not readable:
        raise UserError(f"{path} has no picture that can be read, and --float16 needs some: give others")
    with atomic(out) as temporary:
        export.export_float16(model, flags.form, temporary, formats)
        after = [reading.text for reading in Reader(str(temporary), layouts=NO_LAYOUTS).read(list(readable))]
        others = [(file, text) for file, text in zip(readable, after, strict=True) if text != readable[file]]
        if others:
            file, text = others[0]
            raise UserError(
                f"{out} is not written: with 16-bit floats, {len(others):,} of {len(readable):,} pictures are read "
                f"differently, first {file} ({readable[file]!r} becomes {text!r}): leave out --float16"
            )
        size = temporary.stat().st_size / 1e6
    print_line(f"{out}: float16, {size:.1f} MB, the same texts as Keras in {len(readable):,} pictures")
    return ALL_DONE if len(readable) == len(before) else SOME_UNREADABLE


def by_chance(lost: int, won: int) -> float:
    """The p-value of McNemar's test (1947), exact and one-sided.

    The probability that at least `lost` of `lost + won` pictures become worse, if better and worse are equally likely.
    """
    return sum(math.comb(lost + won, worse) for worse in range(lost, lost + won + 1)) / 2 ** (lost + won)


if __name__ == "__main__":
    run_command(main, ExportParameters)
