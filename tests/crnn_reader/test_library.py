"""The library, installed from its wheel, in a program that has no clone of the repository."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import signal
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as pillow

from crnn_reader import Constraint, Reader, UserError
from crnn_reader.image import read_image
from tests.model.test_export import READING, WITHOUT
from tests.processes import finished, interrupt_import

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted((ROOT / "DB" / "samples").glob("*.png"))[:3]
LABELS = [path.name.partition("_")[0] for path in SAMPLES]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is unpacked to."""
    pytest.importorskip("setuptools")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "crnn_reader", source / "crnn_reader", ignore=shutil.ignore_patterns("__pycache__"))
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(source)]
    finished([sys.executable, "-m", "pip", "wheel", *flags, str(source)], cwd=source, check=True)
    (wheel,) = source.glob("crnn_kit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


PROGRAM = """
import model, picture  # of the program itself
from crnn_reader import Character, Constraint, Reader, Reading, UserError

reader = Reader()
for reading in reader.read(sys.argv[1:]):
    print(reading)
for name in ("captcha", "captcha_lite", "general"):
    assert Reader(name).read_one(sys.argv[1]).text
assert Reader("plate").read_one(sys.argv[1]).error is None
try:
    Reader("thing.keras")
except UserError as error:
    print(error)
"""


def test_an_installed_library_reads_in_any_folder(installed: Path, tmp_path: Path) -> None:
    # Names of the workshop are free for other programs.
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "__init__.py").touch()
    (tmp_path / "picture.py").touch()
    (tmp_path / "thing.keras").write_bytes(b"PK")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{installed}"}
    command = [sys.executable, "-c", WITHOUT + PROGRAM, ",".join(READING), *map(str, SAMPLES)]
    done = finished(command, cwd=tmp_path, env=environment, check=True)
    *texts, sentence = done.stdout.splitlines()
    assert texts == LABELS
    assert sentence.startswith("thing.keras needs Keras, which this library does without: export it")
    assert sentence.endswith("give the .onnx file, or import model there before you open it")


def test_the_command_reads_folders(installed: Path, tmp_path: Path) -> None:
    for path in SAMPLES:
        shutil.copy(path, tmp_path)
    (tmp_path / "notes.txt").touch()
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "crnn_reader", "."]
    done = finished([*command, "--pattern", "[0-9A-Z]{4}"], cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [(Path(name).name, text) for name, text, _ in lines] == [
        (path.name, label) for path, label in zip(SAMPLES, LABELS, strict=True)
    ]
    assert all(0 < float(probability) <= 1 for *_, probability in lines)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    done = finished(command, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (1, "./broken.png: not a picture\n")
    done = finished([*command, "--model", "nothing"], cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no model file nothing: ")


def test_the_command_reads_with_the_model_that_reader_opens_by_default(installed: Path) -> None:
    # The shipped models give this sample different probabilities.
    (path,) = (ROOT / "DB" / "samples").glob("CO4P_*.png")
    done = finished([sys.executable, "-m", "crnn_reader", str(path)], env=os.environ | {"PYTHONPATH": str(installed)})
    reading = Reader().read_one(path)
    assert done.stdout == f"{path}\t{reading.text}\t{reading.probability:.4f}\n"


def crnn_reader(installed: Path, *flags: str | Path, **how: Any) -> tuple[int, str, str]:
    """The command: exit code, stdout, stderr."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = finished([sys.executable, "-m", "crnn_reader", *map(str, flags)], env=environment, **how)
    return done.returncode, done.stdout, done.stderr


def test_the_command_prints_one_line_for_a_picture_whatever_its_name(installed: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"a\tb\n\x1b[31m\xff.png")
    shutil.copy(SAMPLES[0], tmp_path / name)
    (tmp_path / f"x{name}").touch()
    code, out, errors = crnn_reader(installed, ".", cwd=tmp_path)
    assert code == 1
    assert out.startswith(f"./a\\tb\\n\\x1b[31m\\udcff.png\t{LABELS[0]}\t") and out.count("\n") == 1
    assert errors == "./xa\\tb\\n\\x1b[31m\\udcff.png: zero bytes\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_the_command_says_that_its_output_cannot_be_written(installed: Path) -> None:
    command = f"{sys.executable} -m crnn_reader {SAMPLES[0]} > /dev/full"
    done = finished(["sh", "-c", command], env=os.environ | {"PYTHONPATH": str(installed)})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: the readings cannot be written (No space left on device): ")


def test_the_command_prints_no_errors_on_stdout(installed: Path) -> None:
    done = finished(
        ["sh", "-c", f"{sys.executable} -m crnn_reader missing.png 2>&-"],
        env=os.environ | {"PYTHONPATH": str(installed)},
    )
    assert (done.returncode, done.stdout) == (2, "")


def test_an_empty_pattern_is_not_taken_for_none(installed: Path) -> None:
    code, out, errors = crnn_reader(installed, SAMPLES[0], "--pattern", "")
    assert (code, out) == (2, "") and "no text of the model's characters" in errors


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("module", ["argparse", "crnn_reader.errors", "numpy", "onnxruntime"])
@pytest.mark.parametrize("installer", [False, True])
def test_the_command_stops_without_a_traceback_while_it_starts(
    installed: Path, installer: bool, module: str, tmp_path: Path
) -> None:
    interrupt_import(module, signal.SIGINT, tmp_path)
    # As installers write it.
    (tmp_path / "crnn-reader").write_text("import sys\nfrom crnn_reader.__main__ import main\nsys.exit(main())\n")
    command = [str(tmp_path / "crnn-reader")] if installer else ["-m", "crnn_reader"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{installed}"}
    done = finished([sys.executable, *command, str(SAMPLES[0])], env=environment)
    interrupted = "interrupted: the same command starts again from the beginning\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", interrupted)


def test_readings_are_compared_by_their_results() -> None:
    reader = Reader("captcha_lite")
    one, other = (read_image(path, 3) for path in SAMPLES[:2])
    first, again, second = reader.read([one, one.copy(), other])
    assert first == again and hash(first) == hash(again)
    assert first != second and first != first.text
    # Errors of different files differ.
    assert len(set(reader.read(["a.png", "b.png", "a.png"]))) == 2


def sources() -> dict[str, Any]:
    path = SAMPLES[0]
    bgr = cv2.imread(str(path))
    assert bgr is not None
    return {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "bytearray": bytearray(path.read_bytes()),
        "memoryview": memoryview(path.read_bytes()),
        "file": io.BytesIO(path.read_bytes()),
        "array": np.ascontiguousarray(bgr[..., ::-1]),
        "grey": cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY),
    }


@pytest.mark.parametrize("kind", sources())
def test_sources_of_every_kind_are_read(kind: str) -> None:
    reading = Reader("captcha_lite").read_one(sources()[kind])
    assert (str(reading), reading.error) == (LABELS[0], None)
    entry = json.loads(json.dumps(reading.to_dict()))
    assert entry["text"] == "".join(character["character"] for character in entry["characters"]) == LABELS[0]
    assert entry["source"] == (str(SAMPLES[0]) if kind in ("path", "text") else f"<{type(sources()[kind]).__name__}>")
    assert len(repr(reading)) < 300


@pytest.mark.parametrize("source", ["iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", "https://a.b/c.png", 7, None])
def test_a_source_of_a_wrong_type_is_named(source: Any) -> None:
    reading = Reader("captcha_lite").read_one(source)
    assert reading.text == "" and reading.error is not None
    assert str(reading) == f"error: {reading.error}"
    assert reading.to_dict()["error"] == reading.error


def test_channel_order_bgr_is_for_arrays_of_opencv() -> None:
    # Two captchas on top of each other: how probable the text is depends on every shade of grey.
    image = read_image(SAMPLES[0], 3) // 2 + read_image(SAMPLES[1], 3) // 2
    readers = [Reader("captcha_lite"), Reader("captcha_lite", channel_order="bgr")]
    rgb, bgr, wrong = (
        reader.read_one(array).probability
        for reader, array in zip([*readers, readers[1]], [image, image[..., ::-1], image], strict=True)
    )
    assert rgb == bgr != wrong
    again = pickle.loads(pickle.dumps(readers[1]))
    assert again.read_one(image[..., ::-1]).probability == bgr


def test_threads_share_a_reader() -> None:
    reader = Reader("captcha_lite", constraint="[0-9A-Z]{4}")
    found: dict[int, list[str]] = {}

    def read(number: int) -> None:
        found[number] = [str(reading) for reading in reader.read(SAMPLES * 3)]

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), LABELS * 3)


@pytest.mark.parametrize("sources", [None, 7, "a.png", np.zeros((9, 9), np.uint8), pillow.new("L", (9, 9))])
def test_what_is_no_list_of_sources_is_refused(sources: Any) -> None:
    with pytest.raises(TypeError, match=r"give a list, such as \[source\], or call read_one"):
        Reader("captcha_lite").read(sources)


def test_numbers_of_numpy_are_numbers() -> None:
    four: Any = np.int64(4)
    reader = Reader("captcha_lite", constraint=Constraint(length=four), max_pixels=four * 9_000, top=four)
    assert reader.read_one(np.str_(SAMPLES[0])).to_dict()["source"] == str(SAMPLES[0])
    assert repr(reader.read_one(np.str_(SAMPLES[0]))).endswith(f"source={str(SAMPLES[0])!r})")


@pytest.mark.parametrize("model", ["", "nothing"])
def test_a_model_that_does_not_exist_is_refused_with_the_names_of_those_that_do(model: str) -> None:
    with pytest.raises(UserError, match=r"no model file .*a shipped name \(captcha, captcha_lite, "):
        Reader(model)
