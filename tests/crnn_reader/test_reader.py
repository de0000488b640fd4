"""Reading with model files: positions of characters, sources, processes."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from crnn_reader.config import CONFIG_ENTRY, ModelConfig
from crnn_reader.decoding.constraints import Constraint
from crnn_reader.errors import UserError
from crnn_reader.image import read_image
from crnn_reader.reader import Reader
from tests.processes import finished


def write_fixed_model(path: Path, **settings: Any) -> Path:
    """Write an ONNX file whose network sees the same text in every picture.

    It has 12 columns, one for every fourth pixel of 48. Columns 1, 2 and 4 are an a, column 10 is a b, the others are
    blanks, each with a probability of 0.9.
    """
    usual: dict[str, Any] = {"width": 48, "height": 32, "channels": 1, "fit": "stretch", "temperature": 2.0}
    config = ModelConfig(network="vgg_bilstm", preset="small", head="ctc", alphabet="ab", **{**usual, **settings})
    probabilities = np.full((1, 12, 3), 0.05, np.float32)
    probabilities[0, range(12), [0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0]] = 0.9
    constants = {
        "log": np.log(probabilities),
        "zero": np.zeros(1, np.float32),
        "axes": np.array([1, 2]),
        "axis": np.array([1]),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        # The constant once for each picture: zeros of (batch, 1, 1) are added to it.
        helper.make_node("ReduceSum", ["numbers", "axes"], ["sums"], keepdims=0),
        helper.make_node("Unsqueeze", ["sums", "axis"], ["columns"]),
        helper.make_node("Mul", ["columns", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "log"], ["log_probabilities"]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 32, config.width or "w", 1])]
    if not config.width:
        inputs.append(helper.make_tensor_value_info("widths", TensorProto.INT32, ["batch"]))
    outputs = [helper.make_tensor_value_info("log_probabilities", TensorProto.FLOAT, ["batch", 12, 3])]
    arrays = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {CONFIG_ENTRY: config.to_json()})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("settings", "shape", "expected"),
    [
        # As it is; twice as wide and high; twice as wide, squeezed.
        ({}, (32, 48), [(4, 12), (16, 20), (40, 44)]),
        ({}, (64, 96), [(8, 24), (32, 40), (80, 88)]),
        ({}, (32, 96), [(8, 24), (32, 40), (80, 88)]),
        # Fitted by its width, then by its height: half of the columns lie beyond the picture.
        ({"fit": "pad"}, (32, 96), [(8, 24), (32, 40), (80, 88)]),
        ({"fit": "pad"}, (64, 48), [(8, 24), (32, 40), (47, 48)]),
        # A network for any width: a column is four pixels.
        ({"width": None}, (64, 96), [(8, 24), (32, 40), (80, 88)]),
        # Two rows of six columns, each of eight pixels.
        ({"rows": 2}, (32, 48), [(8, 24), (32, 40), (32, 40)]),
    ],
)
def test_characters_lie_in_the_picture_itself(
    settings: dict[str, Any], shape: tuple[int, int], expected: list[tuple[int, int]], tmp_path: Path
) -> None:
    path = write_fixed_model(tmp_path / "fixed.onnx", **settings)
    reading = Reader(str(path)).read_one(np.zeros(shape, np.uint8))
    assert reading.text == "aab"
    assert [character.character for character in reading.characters] == ["a", "a", "b"]
    assert [(character.left, character.right) for character in reading.characters] == expected
    # Calibrated with the temperature of the model, as the probability of the text is.
    assert [character.probability for character in reading.characters] == pytest.approx([0.9**0.5] * 3)


def test_arrays_are_read_as_files_are() -> None:
    """In colour, with transparency, with 16 bits; and arrays that are no pictures do not affect the others."""
    path = next((Path(__file__).parents[2] / "DB" / "samples").rglob("*.png"))
    image = read_image(path, 3)
    ink = np.dstack([np.zeros_like(image), 255 - image.mean(axis=2).astype(np.uint8)])
    images: list[Any] = [
        image,
        image.astype(np.uint16) * 257,
        ink,
        None,
        image.astype(float),
        image[:, :, :2],
        image[:0],
    ]
    first, deep, transparent, *wrong = Reader("captcha").read(images)
    assert first.text == deep.text == transparent.text == next(Reader("captcha").read([path])).text
    assert [reading.text for reading in wrong] == [""] * 4
    assert "a NoneType is not a picture: give a path, the bytes of a file" in str(wrong[0].error)
    assert "is not a picture: give array.astype(np.uint8)" in str(wrong[1].error)
    assert all("is not a picture: give uint8 (height, width)" in str(reading.error) for reading in wrong[2:])


@pytest.mark.parametrize(
    "source",
    [
        "a.png",
        b"bytes",
        Path("a.png"),
        PurePath("a.png"),
        np.zeros((32, 48), np.uint8),
        np.zeros((32, 48, 3), np.uint8),
    ],
)
def test_one_source_in_place_of_several_is_refused(source: Any) -> None:
    with pytest.raises(TypeError, match="give a list"):
        Reader("captcha").read(source)


class Raising(io.RawIOBase):
    """A stream that raises an error when it is read, after `first` bytes."""

    def __init__(self, error: BaseException, first: bytes = b"") -> None:
        self._error, self._first = error, first

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._first:
            raise self._error
        first, self._first = self._first, b""
        return first


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Evasive:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} today")


class InPieces(io.RawIOBase):
    """A stream without a buffer: every read gives a few bytes, as a socket's may."""

    def __init__(self, data: bytes, length: int) -> None:
        self._file, self._length = io.BytesIO(data), length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(memoryview(buffer)[: self._length])


def damaged_members(data: bytes) -> list[Any]:
    """Files in archives that cannot be read: a damaged zip's, a cut gzip's, a cut xz's."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", data)
    damaged = bytearray(packed.getvalue())
    damaged[len(data) // 2] ^= 1
    member = zipfile.ZipFile(io.BytesIO(damaged)).open("a.png")  # noqa: SIM115
    return [member, gzip.open(io.BytesIO(gzip.compress(data)[:-9])), lzma.open(io.BytesIO(lzma.compress(data)[:-9]))]


def test_a_source_that_cannot_be_read_does_not_affect_the_others() -> None:
    path = next((Path(__file__).parents[2] / "DB" / "samples").rglob("*.png"))
    data = path.read_bytes()
    wrong = [
        *damaged_members(data),
        *(Raising(error) for error in (RuntimeError("a password\nis needed"), StopIteration(), NoText(), OSError(5))),
        Raising(EOFError("cut"), data[:50]),
        Evasive(),
    ]
    reader = Reader("captcha_lite")
    good = next(reader.read([path]))
    readings = list(reader.read([path, *wrong, path]))
    assert [(reading.text, reading.error) for reading in (readings[0], readings[-1])] == [(good.text, None)] * 2
    for reading in readings[1:-1]:
        assert (reading.text, len(str(reading.error).splitlines())) == ("", 1)
        assert "that cannot be read (" in str(reading.error)
    assert "RuntimeError: a password is needed): check that its file is whole" in str(readings[4].error)
    assert "a Evasive that cannot be read (RuntimeError: no read today): give a path" in str(readings[-2].error)
    for source in [*damaged_members(data), Evasive()]:
        assert "that cannot be read (" in str(reader.read_one(source).error)


@pytest.mark.parametrize("many", [False, True])
def test_an_interruption_while_a_source_is_read_is_raised(many: bool) -> None:
    reader = Reader("captcha_lite")
    for error in (KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            list(reader.read([Raising(error())] * (1 + many)))


def test_a_stream_that_gives_a_few_bytes_at_a_time_is_read_to_its_end() -> None:
    path = next((Path(__file__).parents[2] / "DB" / "samples").rglob("*.png"))
    data = path.read_bytes()
    # A file without a buffer gives less than it is asked for, as well.
    with path.open("rb", buffering=0) as unbuffered:
        sources = [path, InPieces(data, 1), InPieces(data, 100), unbuffered]
        readings = list(Reader("captcha_lite").read(sources))
    assert [(reading.text, reading.error) for reading in readings] == [(readings[0].text, None)] * 4
    endless = InPieces(data + bytes(17_000_000), 1 << 16)
    (reading,) = Reader("captcha_lite", max_pixels=1_000_000).read([endless])
    assert "MB, more than 17 MB" in str(reading.error)


def test_a_reader_is_pickled_by_what_it_was_opened_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = str(next((Path(__file__).parents[2] / "DB" / "samples").rglob("*.png")))
    monkeypatch.chdir(Path(__file__).parents[2])
    reader = Reader("crnn_reader/weights/captcha_lite.onnx", top=2, constraint=Constraint(length="4"))
    pickled = pickle.dumps(reader)
    # A process that is spawned may work somewhere else.
    monkeypatch.chdir(tmp_path)
    (one,), (other,) = (list(each.read([path])) for each in (reader, pickle.loads(pickled)))
    assert (one.text, one.alternatives, one.error) == (other.text, other.alternatives, None)
    assert len(other.alternatives) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("under_way", [False, True])
def test_a_forked_process_reads_with_an_onnx_file(under_way: bool) -> None:
    story = f"""
import os, sys
from pathlib import Path
from crnn_reader import Reader
paths = sorted(Path("DB/samples").rglob("*.png"))
reader = Reader("captcha_lite", batch_size=8)
texts = [reading.text for reading in reader.read(paths)]
if {under_way}:
    begun = reader.read(paths * 50)
    next(begun)
child = os.fork()
if not child:
    os.write(1, b"same" if [reading.text for reading in reader.read(paths)] == texts else b"different")
    os._exit(0)
os.waitpid(child, 0)
"""
    done = finished([sys.executable, "-c", story], cwd=Path(__file__).parents[2])
    assert done.stdout == "same", done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_says_that_keras_would_hang() -> None:
    # In a process without the threads of the other tests, whose locks a child would inherit.
    story = """
import os
from crnn_reader import Reader, UserError
from model import model_file, runtimes
runtimes._keras_process = os.getpid()
child = os.fork()
if not child:
    try:
        Reader(str(model_file.SHIPPED / "captcha_lite.keras"))
    except UserError as error:
        os.write(1, str(error).encode())
    os._exit(0)
os.waitpid(child, 0)
"""
    done = finished([sys.executable, "-c", story], cwd=Path(__file__).parents[2])
    assert "before this child process was forked" in done.stdout, done


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"constraint": 4}, "constraint is a int: give a pattern such as '[A-Z]{4}', or a Constraint"),
        ({"constraint": {"length": "4"}}, "constraint is a dict"),
        ({"decoder": "beem"}, "decoder is 'beem': give one of greedy, beam"),
        ({"head": "CTC"}, "head is 'CTC': give one of ctc, attention"),
    ],
)
def test_what_a_reader_cannot_do_is_an_error_in_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises((TypeError, UserError), match=re.escape(sentence)):
        Reader("captcha_lite", **given)


@pytest.mark.parametrize("name", ["top", "beam_width", "batch_size"])
@pytest.mark.parametrize("number", [0, -1, 1.5, "3", True, 10**6])
def test_numbers_of_a_reader_are_whole_and_bounded(name: str, number: Any) -> None:
    with pytest.raises(UserError, match=f"^{name} is {number!r}: give a whole number from 1 to "):
        Reader(**{name: number})


@pytest.mark.parametrize(
    ("of", "given"),
    [
        (Reader, {"model": 5}),
        (Reader, {"model": b"captcha"}),
        (Constraint, {"lexicon": ["AB12", "CD34"]}),
        (Constraint, {"charset": ["A", "B"]}),
        (Constraint, {"pattern": re.compile("A")}),
        (Constraint, {"length": 4.5}),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(of: Any, given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"^{next(iter(given))} is a .*: give "):
        of(**given)


def test_onnxruntime_is_kept_from_sending_figures_about_its_use() -> None:
    program = (
        "import os; from crnn_reader import Reader; Reader('crnn_reader/weights/captcha_lite.onnx'); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    for chosen, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        others = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=others | chosen, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
