"""The kinds of input files, the code that reads them, and the facts that must stay the same."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import dataset
from cli.command import WRONG_USE
from crnn_reader.errors import UnreadablePicture
from crnn_reader.fit import fit_image
from crnn_reader.image import read_image
from crnn_reader.model_files import locate_model, read_config
from dataset.__main__ import main as dataset_command
from dataset.convert import convert
from dataset.formats import WRITERS
from dataset.unpack import unpack
from model.training import run_folder
from parameter import (
    ConvertParameters,
    DatasetParameters,
    EvaluationParameters,
    GenerateParameters,
    PredictionParameters,
    TrainingParameters,
    UnpackParameters,
)
from tests.fuzz import seeds
from tests.fuzz.mutators import Mutation, damage
from tests.fuzz.oracle import Case, Wrong, strict_json, table

#: Which facts of the intact seed a mutant must give as well: those of files that were not touched; all, if a checksum
#: can detect the change; always all; none.
Same = Literal["untouched", "checked", "all", "none"]
Facts = dict[str, str]

LITE = str(locate_model("captcha_lite"))


@dataclass(frozen=True)
class Kind:
    """One kind of input: how its seeds are made, how they are damaged, and what runs on them."""

    make: Callable[[Path], None]
    #: Runs commands in the current folder; returns facts by the name of the file that they are read from.
    run: Callable[[Case, random.Random], Facts]
    same: Same = "none"
    #: Names of additional files, for which some reader looks.
    strays: Sequence[str] = ()
    #: Only files whose path begins with this are damaged.
    within: str = ""
    #: Entries whose name begins with one of these may be written.
    writes: tuple[str, ...] = ("out", ".cache")
    #: Modules that are imported once for all cases.
    imports: tuple[str, ...] = ()
    #: Seconds of processor time that a case may take.
    seconds: int = 10
    #: Number of cases in the test suite; 0 if making the seeds takes too long.
    cases: int = 0
    #: Called in the folder of a case before it is damaged, to write files that depend on its path.
    prepare: Callable[[], object] | None = None


def predicted(case: Case, rng: random.Random, *argv: str, model: str = LITE) -> Facts:
    """Read with prediction.py and some of its flags; returns the text of each picture."""
    import prediction

    table_of = rng.choice(("--csv", "--json", ""))
    flags = [table_of, f"out{table_of.replace('--', '.')}"] if table_of else []
    flags += ["--plot", "out.png"] if rng.random() < 0.1 else []
    beam = rng.random() < 0.25
    flags += ["--top", "3", "--decoder", "beam"] if beam else rng.choice(([], ["--labels"]))
    case.command(prediction.main, PredictionParameters, *argv, "--model", model, *flags)
    found = Facts()
    if Path("out.json").exists():
        rows = strict_json(Path("out.json"))
        found = {row["file"]: row["text"] for row in rows if isinstance(row, dict)}
    elif Path("out.csv").exists():
        found = {row["file"]: row["text"] for row in table(Path("out.csv"))}
    # Beam search may read other texts.
    return {} if beam else found


def listed(case: Case, rng: random.Random, path: str) -> None:
    """Give the lines of a file to prediction.py as paths."""
    with (
        contextlib.suppress(OSError),
        open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), errors="surrogateescape") as file,
    ):
        sys.stdin = file
        predicted(case, rng, "-")


def read_from_memory(names: Sequence[str]) -> Facts:
    """Read pictures from bytes, with the library."""
    from crnn_reader.reader import Reader

    files = [name for name in names if os.path.isfile(name) and not os.path.islink(name)]
    contents = {name: Path(name).read_bytes() for name in files if os.path.getsize(name) < 1 << 20}
    readings = Reader(LITE).read(list(contents.values()))
    return {name: reading.text for name, reading in zip(contents, readings, strict=True) if reading.error is None}


def counted(case: Case, path: str) -> None:
    """Look at labelled pictures with `python -m dataset`."""
    if case.command(dataset_command, DatasetParameters, path, "--json", "out.json").code != WRONG_USE:
        strict_json(Path("out.json"))


def collected(case: Case, path: str) -> Facts:
    """Collect samples; returns their names and labels."""
    found = Facts()
    case.library(lambda: found.update((sample.name, sample.label) for sample in dataset.collect(path)))
    if spaced := [label for label in found.values() if label != label.strip()]:
        raise Wrong(f"the label {spaced[0]!r} begins or ends with white space")
    return found


def converted(case: Case, rng: random.Random, path: str) -> None:
    """Write labelled pictures in another form, and read what was written."""
    form = rng.choice(list(WRITERS))
    done = case.command(convert, ConvertParameters, path, "out", "--form", form)
    if done.code == WRONG_USE:
        if os.path.lexists("out"):
            raise Wrong("out is there after a conversion that failed")
        return
    given = {sample.label for sample in dataset.collect(path)}
    places = ("out", "out/labels.csv", "out/labels.tsv", "out/labels.jsonl")
    place = next(each for each in reversed(places) if os.path.exists(each))
    written = {sample.label for sample in dataset.collect(place)}
    if not written <= given:
        raise Wrong(f"convert to {form} writes labels that were not there: {sorted(written - given)[:3]}")


def read_pictures(case: Case, rng: random.Random) -> Facts:
    what = rng.randrange(7)
    names = sorted(f"pics/{name}" for name in os.listdir("pics") if name.startswith("AB12"))
    if what <= 2:
        found = Facts()
        for name in names:
            for channels in (1, 3):
                with contextlib.suppress(UnreadablePicture):
                    image = read_image(name, channels)
                    for width in (None, 48):
                        with contextlib.suppress(UnreadablePicture):
                            fit_image(image, width, 32, rng.choice(("stretch", "pad")))
                    found[name] = found.get(name, "") + hashlib.sha256(image.tobytes()).hexdigest()
        return {f"pixels {name}": digest for name, digest in found.items()}
    if what == 3:
        counted(case, "pics")
    elif what == 4:
        converted(case, rng, "pics")
    elif what == 5:
        found = Facts()
        case.library(lambda: found.update(read_from_memory(names)))
        return {f"memory {name}": text for name, text in found.items()}
    else:
        return {f"text {name}": text for name, text in predicted(case, rng, "pics").items()}
    return {}


def read_lists(case: Case, rng: random.Random) -> Facts:
    lists = [f"data/{name}" for name in sorted(os.listdir("data")) if name.startswith("list.")]
    path = rng.choice(lists) if lists and rng.random() < 0.9 else "data"
    what = rng.randrange(5)
    if what == 0:
        counted(case, path)
    elif what == 1:
        predicted(case, rng, path)
    elif what == 4 and path != "data":
        listed(case, rng, path)
    elif what == 2:
        converted(case, rng, path)
    else:
        collected(case, path)
    return {}


def read_records(case: Case, rng: random.Random) -> Facts:
    what = rng.randrange(4)
    if what == 0:
        counted(case, "data")
    elif what == 1:
        predicted(case, rng, "data")
    elif what == 2:
        converted(case, rng, "data")
    # LMDB has no checksums.
    return {} if os.path.exists("data/data.mdb") else collected(case, "data")


def unpacked(case: Case, rng: random.Random) -> Facts:
    archive = next((name for name in os.listdir() if name.startswith("archive.")), "archive.zip")
    for _ in range(2):
        code = case.command(unpack, UnpackParameters, archive, "out").code
        if code == WRONG_USE:
            break
        if rng.random() < 0.2:
            # Files that an earlier call has written may have changed.
            damage(Path("out"), rng)
    return {}


def packed() -> Facts:
    """Pack pictures; returns a digest of each, and the reasons for unreadable ones."""
    width = Path("width.txt").read_text()
    corpus = dataset.pack(dataset.collect("data"), int(width) if width else None, 32, 1, "pad")
    found = Facts(corpus.unreadable)
    for row, name in enumerate(corpus.names):
        pixels = hashlib.sha256(corpus.images[row].tobytes()).hexdigest()
        found[str(name)] = f"{pixels} {corpus.sizes[row]} {corpus.labels[row]}"
    return found


def read_cache(case: Case, rng: random.Random) -> Facts:
    found = Facts()
    case.library(lambda: found.update(packed()))
    return found


def read_models(case: Case, rng: random.Random) -> Facts:
    name = next((name for name in os.listdir() if name.startswith("model.")), "model.onnx")
    what = rng.randrange(4)
    if what == 0:
        case.library(lambda: _read_card(name))
        return {}
    if what == 1:
        return _evaluated(case, "pics", name)
    return predicted(case, rng, "pics", model=name)


def _evaluated(case: Case, path: str, model: str, *flags: str) -> Facts:
    import evaluation

    argv = [path, "--model", model, "--json", "out.json", *flags]
    if case.command(evaluation.main, EvaluationParameters, *argv).code != WRONG_USE:
        strict_json(Path("out.json"))
    return {}


def _read_card(name: str) -> None:
    def refuse(word: str) -> NoReturn:
        raise Wrong(f"the config has {word}")

    json.loads(read_config(locate_model(name)).to_json(), parse_constant=refuse)


def read_run(case: Case, rng: random.Random) -> Facts:
    """Read the files of a run that need no Keras."""
    folder = run_folder.RunFolder(Path("r"))

    def begun() -> None:
        folder.begin(TrainingParameters(data="data").to_json(), {"training": {"a": "b"}, "alphabet": "0123"})
        folder.end()

    ways: tuple[Callable[[], object], ...] = (
        lambda: run_folder.start_or_resume(TrainingParameters(run="r", resume=True)),
        lambda: folder.load_state({"weights/0": (3, 4), "iterations": ()}),
        lambda: folder.has_state() and run_folder.best(folder.progress()[0]),
        begun,
        lambda: run_folder.trained_on("r"),
    )
    way = rng.choice(ways)
    case.library(way)
    return {}


def resumed(case: Case, rng: random.Random) -> Facts:
    """Resume a run, or read with it."""
    import training

    if rng.random() < 0.3:
        return _evaluated(case, "data", "r", *rng.choice(((), ("--follow",), ("--report", "out"))))
    case.command(training.main, TrainingParameters, "--resume", "--run", "r")
    return {}


def drawn(case: Case, rng: random.Random) -> Facts:
    """Draw or read a few pictures with settings from files."""
    from generate_captcha.__main__ import generate

    plain = ["--out", "out", "--count", "3", "--workers", "1"]
    line = [*plain, "--style", "line"]
    argv = rng.choice(
        (
            [*plain, "--alphabet", "alphabet.txt"],
            [*plain, "--alphabet", "counted.txt"],
            [*line, "--alphabet", "dictionary.txt"],
            [*line, "--text", "text.txt"],
            [*line, "--backgrounds", "grounds"],
            [*line, "--fonts", "fonts"],
            [*plain, "--fonts", "fonts"],
            [*plain, "--style", "plate", "--layouts", "layout.toml"],
            ["--lexicon", "lexicon.txt"],
            ["--charset", "alphabet.txt"],
        )
    )
    if "--out" in argv:
        case.command(generate, GenerateParameters, *argv)
        if rng.random() < 0.3 and Path("out/corpus.json").exists():
            # Files of an earlier corpus are read as well.
            damage(Path("out"), rng)
            case.command(generate, GenerateParameters, *argv)
    else:
        predicted(case, rng, "pics", *argv)
    return {}


_KERAS = ("keras", "tensorflow")
_LIGHT = (
    "numpy", "cv2", "PIL.ImageOps", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.MpoImagePlugin",
    "PIL.PngImagePlugin", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin", "onnxruntime", "google_crc32c",
    "google.protobuf.message", "importlib.metadata", "rich.console", "prediction", "evaluation",
    "dataset.contact_sheets", "crnn_reader.reader", "model.scores", "model.tables",
)  # fmt: skip
_RUNS = ("state.npz", "history.csv", "training.lock", "split.json")
_LISTS = (
    "labels.tsv", "labels.csv", "labels.jsonl", "labels.txt", "labels.json", "metadata.csv", "metadata.jsonl", "gt.txt",
    "train.txt", "Label.txt", "rec_gt.txt", "annotations.csv", "annotation_train.txt", "corpus.json", "char_map.json",
    "char_map", "dic.txt", "charset.txt", "data.mdb", "lock.mdb", "AB12_0.txt", "AB12_0.gt.txt", "2.txt", "a.tfrecord",
    "x-00000-of-00001", "new.png", "new.gif", "convert.json",
)  # fmt: skip

_DRAWING = (
    "captcha.image", "fontTools.ttLib", "generate_captcha.corpus", "generate_captcha.__main__",
    "generate_captcha.styles.line", "generate_captcha.styles.plate",
)  # fmt: skip

KINDS: dict[str, Kind] = {
    "pictures": Kind(seeds.pictures, read_pictures, "untouched", _LISTS, imports=_LIGHT, cases=10),
    "lists": Kind(seeds.lists, read_lists, strays=_LISTS, imports=_LIGHT, cases=10),
    "records": Kind(seeds.records, read_records, "checked", _LISTS, imports=(*_LIGHT, "lmdb"), cases=10),
    "archives": Kind(seeds.archives, unpacked, within="archive", imports=("tarfile", "importlib.metadata"), cases=6),
    "caches": Kind(seeds.caches, read_cache, "all", within=".cache", imports=_LIGHT, prepare=packed, cases=6),
    "onnx": Kind(seeds.onnx_models, read_models, "checked", within="model", imports=_LIGHT, cases=6),
    "runs": Kind(seeds.runs, read_run, "none", _RUNS, "r/", ("r",), _LIGHT, cases=8),
    "settings": Kind(seeds.settings, drawn, imports=(*_LIGHT, *_DRAWING), cases=5),
    "keras": Kind(seeds.keras_models, read_models, "checked", within="model", imports=(*_LIGHT, *_KERAS), cases=2),
    "all_onnx": Kind(seeds.all_onnx_models, read_models, "checked", within="model", imports=_LIGHT),
    "all_keras": Kind(seeds.all_keras_models, read_models, "checked", within="model", imports=(*_LIGHT, *_KERAS)),
    "trainings": Kind(seeds.trainings, resumed, "none", (), "r/", ("r", "out", ".cache"), (*_LIGHT, *_KERAS), 60),
}  # fmt: skip


def load(kind: Kind) -> None:
    """Import what all cases need before they are forked."""
    for name in kind.imports:
        if name == "keras":
            from model.backend import import_keras

            import_keras()
        else:
            importlib.import_module(name)


def wrong_facts(kind: Kind, expected: Facts, found: Facts, mutations: Sequence[Mutation]) -> str:
    """Describe a fact that differs from that of the intact seed; empty if there is none."""
    touched = {mutation.path for mutation in mutations}
    # No checksum covers the texts that map the numbers of records to characters.
    all_raw = all(mutation.raw and not mutation.path.endswith((".json", ".txt")) for mutation in mutations)
    for name, fact in expected.items():
        file = name.rpartition(" ")[2]
        if kind.same == "untouched":
            # PNG files have checksums.
            raw = file.endswith(".png") and all(mutation.raw for mutation in mutations if mutation.path == file)
            needed, fixed = file not in touched, file not in touched or raw
        else:
            needed, fixed = kind.same == "all", kind.same == "all" or all_raw
        if needed and name not in found:
            return f"{name} is missing"
        if fixed and found.get(name, fact) != fact:
            return f"{name} gives {found[name][:80]!r} instead of {fact[:80]!r}"
    if kind.same == "all" and (new := sorted(found.keys() - expected.keys())):
        return f"{new[0]} is new: {found[new[0]][:80]!r}"
    return ""
