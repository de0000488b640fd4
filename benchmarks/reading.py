"""How fast pictures are read, by this kit and its parts, and by other readers.

    python benchmarks/reading.py parts --model captcha
    PEER_PYTHON=… python benchmarks/reading.py readers --models captcha captcha_lite
    python benchmarks/reading.py runtimes MODEL PATH…
    python benchmarks/reading.py models
    python benchmarks/reading.py formats --model plate

The pictures are generated captchas, 128x64, 4 of 0-9A-Z; those of `formats` are plates.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.harness import Command, Results

if TYPE_CHECKING:
    from crnn_reader.reader import Reader

BATCH = 32


def parts(results: Results, given: argparse.Namespace) -> None:
    """Read a folder with prediction.py, in a warm process, and each part separately."""
    import model  # noqa: F401 (it adds the files of Keras)
    from crnn_reader.batching import available_cores
    from crnn_reader.fit import fit_image
    from crnn_reader.image import read_image
    from crnn_reader.reader import Reader

    with tempfile.TemporaryDirectory() as folder:
        harness.generated(Path(folder), f"--count {given.pictures} --seed 9")
        files, reader = sorted(Path(folder).glob("*.png")), Reader(given.model)
        config, starts = reader.config, range(0, given.pictures, BATCH)
        # Like the reader, which lets onnxruntime compute a batch on each core.
        at_once = available_cores() if reader.path.suffix == ".onnx" else 1

        def decoded() -> np.ndarray:
            def fitted(file: Path) -> np.ndarray:
                return fit_image(read_image(file, config.channels), config.width, config.height, config.fit)

            with ThreadPoolExecutor() as pool:
                return np.stack(list(pool.map(fitted, files)))

        images = decoded()

        def computed() -> list[np.ndarray]:
            with ThreadPoolExecutor(at_once) as pool:
                return list(pool.map(lambda start: reader.outputs(images[start : start + BATCH]), starts))

        outputs = computed()
        jobs: dict[str, Callable[[], object]] = {
            "prediction.py, from the start of the process": lambda: harness.kit(
                "prediction.py", folder, "--model", given.model
            ),
            "in a warm process": lambda: list(reader.read(files)),
            "part: files to fitted arrays": decoded,
            "part: network": computed,
            "part: outputs to texts": lambda: [reader.decode(batch) for batch in outputs],
        }
        seconds = harness.by_turns(jobs, given.rounds)
        results.rates("parts", reader.path.name, "speed", given.pictures, seconds, options=f"{given.pictures} pictures")


def formats(results: Results, given: argparse.Namespace) -> None:
    """Read generated plates with and without the formats in the model file, in a warm process, and open them.

    With formats also without test-time augmentation of unsure texts.
    """
    from crnn_reader.decoding.formats import FormatIndex
    from crnn_reader.model_files import locate_model, read_config
    from crnn_reader.reader import Reader

    for difficulty in (0.5, 0.8):
        with tempfile.TemporaryDirectory() as folder:
            flags = f"--style plate --difficulty {difficulty} --count {given.pictures} --seed 9"
            files = sorted(harness.generated(Path(folder), flags).rglob("*.png"))
            trials = {
                f"without formats{harness.ONCE}": Reader(given.model, layouts="none", tta=0),
                f"with formats{harness.ONCE}": Reader(given.model, tta=0),
                "without formats": Reader(given.model, layouts="none"),
                "with formats": Reader(given.model),
            }
            jobs = {name: functools.partial(read_all, reader, files) for name, reader in trials.items()}
            subject, seconds = f"plates, difficulty {difficulty:g}", harness.by_turns(jobs, given.rounds)
            options = f"{given.pictures} pictures"
            results.rates("formats", subject, "speed", given.pictures, seconds, base="without formats", options=options)
    config = read_config(locate_model(given.model))
    opened = {"compiling": lambda: FormatIndex(config.formats, config.alphabet)}
    milliseconds = [1000 * each for each in harness.by_turns(opened, given.rounds)["compiling"]]
    results.values("formats", f"{len(config.formats)} layouts", "with formats", "compiling", milliseconds, "ms")


def read_all(reader: Reader, files: list[Path]) -> None:
    for _ in reader.read(files):
        pass


def readers(results: Results, given: argparse.Namespace) -> None:
    """Time this kit, ddddocr and RapidOCR on the same files, each in a process of its own.

    This kit reads with its .keras files and with their exports, in floats and in 8-bit integers.

        first     from the start of a process to its first text, with the same short script for all, and with
                  prediction.py
        p50, p99  from a file to its text, one picture after the other in a warm process
        folder    a whole folder, from the start of the process to its end, texts written to a file
        memory    the peak of that process

    The bytecode of all is compiled before.
    """
    import model  # noqa: F401 (it adds the files of Keras)
    from crnn_reader.model_files import locate_model

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder = harness.generated(place / "pictures", f"--count {given.pictures} --seed 9")
        found: dict[str, str] = {}
        for source in given.models:
            keras, stem = locate_model(source, to_train=True), Path(source).stem
            for form, flags in (("", []), (", integers", ["--int8", folder])):
                exported = place / f"{stem}{form}.onnx"
                harness.kit("export.py", keras, "--out", exported, *flags)
                found |= {f"{stem}.keras": str(keras.resolve()), f"{stem}.onnx{form}": str(exported)}
        found |= {peer: peer for peer in harness.peers(given.without_peers)}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(place / "bytecode")
        values: dict[tuple[str, str, str], list[float]] = {}
        for turn in range(given.rounds + 1):
            for variant, reader in found.items():
                # The first turn compiles bytecode.
                for (measure, unit), value in measured(reader, folder, first=not turn).items():
                    values.setdefault((variant, measure, unit), []).extend([value] if turn else [])
        options = f"{given.pictures} pictures"
        for (variant, measure, unit), each in values.items():
            results.values("readers", "captchas 128x64", variant, measure, each, unit, options=options)


def measured(reader: str, folder: Path, first: bool) -> dict[tuple[str, str], float]:
    """Measure a reader once. Returns figures by their names and units. `first` measures only the start."""
    ours = reader not in harness.PEERS
    script = [sys.executable, "prediction.py", "--model", reader]
    found = {("first", "s"): seconds_to_first_line(harness.process_of(reader, "first", folder))}
    if ours:
        found["prediction.py", "s"] = seconds_to_first_line([*script, str(next(folder.glob("*.png")))])
    if first:
        return found
    p50, p99 = harness.answer(reader, "one", folder)
    whole = [*script, str(folder), "--csv", str(folder.with_name("texts.csv"))]
    command = whole if ours else harness.process_of(reader, "folder", folder)
    started = time.perf_counter()
    memory = harness.peak_memory(command)
    speed = len(list(folder.glob("*.png"))) / (time.perf_counter() - started)
    found |= {("p50", "ms"): float(p50), ("p99", "ms"): float(p99)}
    return found | {("folder", "pictures/s"): speed, ("memory", "MB"): memory}


def seconds_to_first_line(command: list[str]) -> float:
    """Seconds from the start of a process to the first line that it prints."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if not process.stdout or not process.stdout.readline():
            raise SystemExit(f"{' '.join(command)} read nothing")
        return time.perf_counter() - started


def runtimes(results: Results, given: argparse.Namespace) -> None:
    """Compare the texts that Keras reads with a model file and onnxruntime with its export."""
    import dataset
    from crnn_reader.model_files import locate_model
    from crnn_reader.reader import Reader
    from model import export

    trained = locate_model(given.model, to_train=True)
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "model.onnx"
        export.export(trained, "onnx", exported)
        pair = [Reader(str(file)) for file in (trained, exported)]
        for path in given.paths:
            samples = [sample for sample in dataset.collect(path) if sample.label]
            read = [list(reader.read(sample.path for sample in samples)) for reader in pair]
            same = sum(one.text == other.text for one, other in zip(*read, strict=True))
            apart = max(abs(one.probability - other.probability) for one, other in zip(*read, strict=True))
            subject, count = Path(path).name, len(samples)
            results.share("runtimes", subject, trained.name, "same text", same, count)
            results.add("runtimes", subject, trained.name, "probabilities at most apart", apart, "", n=count)
            for runtime, readings in zip(("Keras", "onnxruntime"), read, strict=True):
                right = sum(one.text == sample.label for one, sample in zip(readings, samples, strict=True))
                results.share("runtimes", subject, trained.name, f"exact match, {runtime}", right, count)


def models(results: Results, given: argparse.Namespace) -> None:
    """Read generated pictures of the input size once with every shipped model, alternately, in a warm process.

    The pictures are plates for models with formats, lines for grey ones of any width, captchas of style wild for
    coloured ones, and captchas of the `captcha` package for all others.
    Models without an .onnx file are read by Keras.
    """
    import model  # noqa: F401 (it adds the files of Keras)
    from crnn_reader.reader import Reader
    from parameter.base import SHIPPED_MODELS

    def read(reader: Reader, files: list[Path]) -> None:
        assert not [reading.error for reading in reader.read(files) if reading.error]

    jobs: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for reader in (Reader(name, tta=0) for name in SHIPPED_MODELS):
            width, height = reader.config.width, reader.config.height
            # Lines are grey, and captchas have colours.
            style = "wild" if reader.config.channels == 3 else "line --length 5-25"
            size = f"--size {width}x{height}" if width else f"--style {style} --size autox{height}"
            if reader.config.formats:
                size += " --style plate"
            pictures = harness.generated(Path(folder) / reader.path.stem, f"--count {given.pictures} --seed 9 {size}")
            files = sorted(pictures.rglob("*.png"))
            jobs[reader.path.name] = functools.partial(read, reader, files)
        seconds = harness.by_turns(jobs, given.rounds)
    results.rates("models", "size of the input", "speed", given.pictures, seconds, options=f"{given.pictures} pictures")


def sizes(results: Results, given: argparse.Namespace) -> None:
    """Measure the packages that reading needs on disk, with their dependencies, and the weights.

    The packages of ddddocr and RapidOCR contain weights.
    """
    program = """
import re, sys
from importlib.metadata import PackageNotFoundError, distribution
asked, found, size = sys.argv[1:], set(), 0
while asked:
    name = re.sub(r"[-_.]+", "-", asked.pop()).lower()
    try:
        package = distribution(name)
    except PackageNotFoundError:
        continue
    if name not in found:
        found.add(name)
        files = [file.locate() for file in package.files or ()]
        size += sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
        asked += [re.match(r"[\\w.-]+", line)[0] for line in package.requires or () if "extra ==" not in line]
print(size)
"""
    found = {"crnn-kit": (sys.executable, ["numpy", "opencv-python-headless", "onnxruntime"])}
    found |= {peer: (harness.PEER_PYTHON, [harness.PEERS[peer][1]]) for peer in harness.peers()}
    for variant, (python, packages) in found.items():
        done = subprocess.run([python, "-c", program, *packages], check=True, capture_output=True, text=True)
        results.add("sizes", "packages", variant, "size on disk", int(done.stdout) / 1e6, "MB", n=1)
    for file in sorted((harness.ROOT / "crnn_reader" / "weights").glob("*.onnx")):
        results.add("sizes", "weights", file.name, "size on disk", file.stat().st_size / 1e6, "MB", n=1)


def main() -> None:
    command = Command(__doc__, "reading")
    for job in (parts, readers):
        added = command.job(job, rounds=6)
        added.add_argument("--pictures", type=int, default=5_000, help="number of captchas (%(default)s)")
        if job is parts:
            added.add_argument("--model", default="captcha")
        else:
            added.add_argument("--models", nargs="+", default=["captcha"])
            added.add_argument("--without-peers", action="store_true", help="only this kit")
    added = command.job(formats, rounds=6)
    added.add_argument("--pictures", type=int, default=2_000, help="number of plates (%(default)s)")
    added.add_argument("--model", default="plate")
    compared = command.job(runtimes)
    compared.add_argument("model", metavar="MODEL")
    compared.add_argument("paths", nargs="+", metavar="PATH")
    command.job(models, rounds=10).add_argument("--pictures", type=int, default=1_000)
    command.job(sizes)
    command.run()


if __name__ == "__main__":
    main()
