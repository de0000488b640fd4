"""Malicious and damaged model files: refused in one sentence before anything is built or run from them."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import prediction
from cli.command import WRONG_USE
from crnn_reader import onnx_graph
from crnn_reader.config import CONFIG_ENTRY, ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.model_files import locate_model, open_model, read_config
from crnn_reader.reader import Reader
from model import model_file
from model.model_file import WEIGHTS_ENTRY
from model.network import build
from parameter import PredictionParameters
from tests.commands import exit_code

CONFIG = ModelConfig(
    network="vgg_conv", preset="lite", head="ctc", alphabet="abc", width=32, height=16, channels=1, fit="stretch"
)
STEPS, FEATURES, CLASSES = 4, 128, 4


def network(weights: Any = None, rows: int = FEATURES, classes: int = CLASSES) -> Any:
    """A small network from pictures to log-probabilities, with operators that export writes."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.02, (rows, classes)).astype(np.float32) if weights is None else weights
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["numbers", "shape"], ["columns"]),
        helper.make_node("MatMul", ["columns", "kernel"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["log_probabilities"], axis=-1),
    ]
    constants = [
        numpy_helper.from_array(np.array([0, STEPS, rows]), "shape"),
        numpy_helper.from_array(kernel, "kernel"),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 16, 32, 1])
    outputs = helper.make_tensor_value_info("log_probabilities", TensorProto.FLOAT, ["batch", STEPS, classes])
    graph = helper.make_graph(nodes, "network", [images], [outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def as_file(path: Path, model: Any, config: str | None = None) -> Path:
    """An ONNX file with a config and without checksum, as earlier versions wrote them."""
    helper.set_model_props(model, {CONFIG_ENTRY: CONFIG.to_json() if config is None else config})
    path.write_bytes(model.SerializeToString())
    return path


def refuses(path: Path, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        open_model(path, read_config(path))
    sentence = str(caught.value)
    assert reason in sentence, sentence
    assert str(path) in sentence and "\n" not in sentence and len(sentence) < 600


PICTURE = np.random.default_rng(0).integers(0, 256, (16, 32), np.uint8)


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (reading,) = Reader(str(as_file(tmp_path / "m.onnx", network()))).read([PICTURE])
    assert reading.error is None and set(reading.text) <= set("abc")


# Configurations.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("head", value) for value in ("CTC", "", "rnn", 1, None)],
        *[
            ("alphabet", value)
            for value in ("", "aba", "ab" * 1000, "a\nb", "a\x00", "a\u202eb", "\ud800", "\u212b", 1, ["a"])
        ],
        *[(side, value) for side in ("width", "height") for value in (0, -1, 10_001, 10**30, True, 3.5, "128")],
        ("height", None),
        *[("rows", value) for value in (0, 5, None, 10**18)],
        *[("longest", value) for value in (0, -1, 10**9)],
        *[("temperature", value) for value in (0, -1, 1e-300, 1e300, 10**400, None)],
        *[("label_smoothing", value) for value in (-0.1, 1.5)],
        *[("channels", value) for value in (0, 2, 4, True)],
        ("fit", "crop"),
        ("reads", "joint"),
        ("unheard_of", 1),
        ("\x1b[31m" * 50, 1),
        ("kit_version", 1),
    ],
)
def test_a_config_has_bounds(field: str, value: Any, tmp_path: Path) -> None:
    path = as_file(tmp_path / "m.onnx", network(), json.dumps(asdict(CONFIG) | {field: value}))
    with pytest.raises(UserError, match=r"the crnn_kit\.json in .*m\.onnx is damaged") as caught:
        read_config(path)
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (CONFIG.to_json().replace('"temperature": 1.0', '"temperature": NaN'), "it holds NaN"),
        (CONFIG.to_json().replace('"temperature": 1.0', '"temperature": -Infinity'), "it holds -Infinity"),
        (CONFIG.to_json().replace('"width": 32', '"width": ' + "1" * 5000), "Exceeds the limit"),
        (CONFIG.to_json().replace('"rows": 1', '"rows": 1, "rows": 2'), "it has 'rows' twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"alphabet":' * 50_000, "nested too deeply"),
        (CONFIG.to_json() + " " * (1 << 20), "characters"),
        ("", "Expecting value"),
        ("[]", "no object"),
        ("null", "no object"),
    ],
)
def test_a_config_is_plain_json(config: str, reason: str, tmp_path: Path) -> None:
    refuses(as_file(tmp_path / "m.onnx", network(), config), reason)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr(CONFIG_ENTRY, config)
    refuses(tmp_path / "m.keras", "bytes, more than" if len(config) > 1 << 20 else reason)


def test_a_later_format_ends_in_one_short_sentence(tmp_path: Path) -> None:
    config = asdict(CONFIG) | {"format": 10**1000, "kit_version": "\x1b[2J" * 1000}
    refuses(as_file(tmp_path / "m.onnx", network(), json.dumps(config)), "update the kit")


# ONNX files.


def node(*args: Any, **attributes: Any) -> Callable[[Any], None]:
    return lambda model: model.graph.node.append(helper.make_node(*args, **attributes))


def constant(values: Any, name: str = "more") -> Callable[[Any], None]:
    return lambda model: model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))


def both(*changes: Callable[[Any], None]) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for each in changes:
            each(model)

    return change


def loop(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["x"], body=body))


def branches(model: Any) -> None:
    empty = helper.make_graph([], "empty", [], [])
    inner = helper.make_graph([helper.make_node("If", ["c"], ["x"], then_branch=empty)], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner))


def elsewhere(model: Any) -> None:
    (kernel,) = (each for each in model.graph.initializer if each.name == "kernel")
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    entry = kernel.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def other_length(model: Any) -> None:
    model.graph.initializer[1].dims[0] = 1 << 40


def many_nodes(model: Any) -> None:
    for number in range(onnx_graph.MAX_NODES):
        model.graph.node.append(helper.make_node("Identity", ["images"], [f"n{number}"]))


def function(model: Any) -> None:
    model.functions.add().name = "F"


def sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


def of_double(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3), "doubles"))


def of_texts(model: Any) -> None:
    model.graph.initializer.append(helper.make_tensor("texts", TensorProto.STRING, [1], [b"x"]))


LONG = np.zeros((1, 50_000), np.float32)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (loop, "the operator 'Loop'"),
        (node("Scan", ["images"], ["x"]), "the operator 'Scan'"),
        (node("ConstantOfShape", ["shape"], ["x"]), "the operator 'ConstantOfShape'"),
        (node("Resize", ["images"], ["x"]), "the operator 'Resize'"),
        (node("SequenceEmpty", [], ["x"]), "the operator 'SequenceEmpty'"),
        (node("Cast", ["images"], ["x"], domain="com.evil", to=1), "operators of 'com.evil'"),
        (lambda model: model.opset_import.add(domain="com.microsoft", version=1), "operators of 'com.microsoft'"),
        (branches, "the operator 'If'"),
        (function, "a field of number 25"),
        (sparse, "a field of number 15"),
        (lambda model: model.training_info.add(), "a field of number 20"),
        (elsewhere, "'kernel' lies in another file"),
        (other_length, "numbers and says"),
        (of_double, "of a type that export never writes"),
        (of_texts, "a field of number 6"),
        (constant(np.array([1 << 40])), "states the gigantic length"),
        (constant(np.array([-(1 << 63)])), "states the gigantic length"),
        (constant(np.array([1 << 20, 1 << 20])), "states the gigantic length"),
        (constant(np.array([1, np.nan], "f4")), "'more' holds NaN or infinity"),
        (constant(np.array([np.inf], "f4")), "'more' holds NaN or infinity"),
        (both(constant([4]), node("Expand", ["kernel", "more"], ["x"])), "a node Expand with only constants"),
        (
            both(constant(LONG), node("Mul", ["more", "more"], ["x"])),
            "a node Mul with only constants, which could",
        ),
        (
            both(constant(LONG), node("Concat", ["more"] * 400, ["x"], axis=0)),
            "a node Concat with only constants, which could make",
        ),
        (node("Conv", ["images", "kernel"], ["x"], pads=[9_000] * 4), "an attribute 'pads'"),
        (node("MaxPool", ["images"], ["x"], kernel_shape=[1 << 30, 1]), "the 'kernel_shape' 1073741824"),
        (node("BatchNormalization", ["images"], ["x"], epsilon=float("nan")), "that is no number"),
        (many_nodes, "more than 5,000 nodes"),
        (lambda model: model.graph.input[0].type.tensor_type.shape.dim[2].CopyFrom(axis(1 << 40)), "has the shape"),
        (lambda model: model.graph.input[0].type.tensor_type.shape.dim[2].CopyFrom(axis(64)), "images are"),
        (lambda model: model.graph.output[0].type.tensor_type.shape.dim[2].CopyFrom(axis(9)), "of 9 classes"),
        (lambda model: model.graph.output[0].type.tensor_type.shape.dim[2].CopyFrom(axis(3)), "of 3 classes"),
    ],
)
def test_a_graph_that_export_would_not_write_is_refused(
    change: Callable[[Any], None], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    # The graph is refused before it is loaded.
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    model = network()
    change(model)
    refuses(as_file(tmp_path / "m.onnx", model), reason)


def axis(length: int) -> Any:
    return onnx.TensorShapeProto.Dimension(dim_value=length)


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        (network().SerializeToString(), "no network, or several"),
        (b"\x72\x04\x0a\x00\x12\x00" * 2000, "more fields than any export"),
        (b"\x08\x01" * 2000, "more fields than any export"),
        (b"\x0a\xff\xff\xff\x7f", "ends too early"),
        (b"\x12\x80\x80\x80\x02" + bytes(4 << 20), "a field of 4,194,304 bytes"),
    ],
)
def test_additions_to_a_file_are_refused(added: bytes, reason: str, tmp_path: Path) -> None:
    path = as_file(tmp_path / "m.onnx", network())
    path.write_bytes(path.read_bytes() + added)
    refuses(path, reason)


def test_a_second_config_is_refused(tmp_path: Path) -> None:
    model = network()
    helper.set_model_props(model, {CONFIG_ENTRY: CONFIG.to_json()})
    entry = model.metadata_props.add()
    entry.key, entry.value = CONFIG_ENTRY, replace(CONFIG, alphabet="xyz").to_json()
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    refuses(tmp_path / "m.onnx", "is there twice")


def test_a_longer_alphabet_than_the_network_has_classes_is_refused(tmp_path: Path) -> None:
    refuses(as_file(tmp_path / "m.onnx", network(), replace(CONFIG, alphabet="abcdefg").to_json()), "of 4 classes")
    # A file whose graph claims 8 classes, and whose weights have 4, is refused when it reads.
    model = network()
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 8
    path = as_file(tmp_path / "m.onnx", model, replace(CONFIG, alphabet="abcdefg").to_json())
    with pytest.raises(UserError, match=r"m\.onnx (is|cannot)"):
        list(Reader(str(path)).read([PICTURE]))


def lying(model: Any, *nodes: Any) -> Any:
    """Replace the last node of a network by others."""
    del model.graph.node[-1]
    model.graph.node.extend(nodes)
    return model


@pytest.mark.parametrize(
    "model",
    [
        network(np.full((FEATURES, CLASSES), 3e38, np.float32)),
        lying(network(), helper.make_node("Identity", ["logits"], ["log_probabilities"])),
        lying(
            network(),
            helper.make_node("Relu", ["logits"], ["some"]),
            helper.make_node("Sub", ["some", "some"], ["none"]),
            helper.make_node("Div", ["none", "none"], ["log_probabilities"]),
        ),
    ],
    ids=["overflow", "no log-probabilities", "0 / 0"],
)
def test_outputs_that_are_not_probabilities_are_an_error(
    model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = as_file(tmp_path / "m.onnx", model)
    cv2.imwrite(str(tmp_path / "1.png"), PICTURE)
    flags = [str(tmp_path / "1.png"), "--model", str(path), "--json", str(tmp_path / "out.json")]
    assert exit_code(prediction.main, PredictionParameters, flags) == WRONG_USE
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.count("\n") == 1 and f"the network in {path} gives log_probabilities that are not valid" in errors


# Pipes, devices and large files.


def test_pipes_devices_and_endless_files_are_refused_at_once(tmp_path: Path) -> None:
    for suffix in (".onnx", ".keras"):
        pipe, sparse_file, circle = (tmp_path / f"{name}{suffix}" for name in ("pipe", "sparse", "circle"))
        os.mkfifo(pipe)
        circle.symlink_to(circle)
        with sparse_file.open("wb") as file:
            file.truncate(1 << 42)
        for path in (pipe, circle):
            with pytest.raises(UserError, match="no model file"):
                locate_model(str(path))
        with pytest.raises(UserError, match="a named pipe"):
            read_config(pipe)
        refuses(sparse_file, "bytes, and no network of this kit has more")


# .keras files.


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model_file.save(build(CONFIG), CONFIG, path)
    return path


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, found: dict[str, bytes], compressed: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in found.items():
            archive.writestr(name, content, zipfile.ZIP_DEFLATED if name == compressed else zipfile.ZIP_STORED)
    return path


def test_archives_that_the_kit_does_not_write_are_refused(written: Path, tmp_path: Path) -> None:
    found, path = entries(written), tmp_path / "m.keras"
    refuses(packed(path, found, CONFIG_ENTRY), f"its {CONFIG_ENTRY} is compressed or encrypted")
    refuses(packed(path, found, WEIGHTS_ENTRY), f"its {WEIGHTS_ENTRY} is compressed or encrypted")
    # A megabyte that would expand to a gigabyte.
    refuses(packed(path, found | {CONFIG_ENTRY: bytes(1 << 24)}, CONFIG_ENTRY), "is compressed")
    refuses(packed(path, {name: found[name] for name in found if name != WEIGHTS_ENTRY}), "holds no weights")
    refuses(packed(path, found | {f"{number}": b"" for number in range(100)}), "it has 104 entries")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(packed(path, found), "a") as archive:
        archive.writestr(WEIGHTS_ENTRY, found[WEIGHTS_ENTRY])
    refuses(path, "an entry twice")
    data = written.read_bytes()
    directory = data.rindex(b"PK\x01\x02", 0, data.rindex(CONFIG_ENTRY.encode()))
    for place, values, reason in (
        (8, struct.pack("<H", 1), "encrypted"),
        (20, struct.pack("<I", 1 << 31), "bytes, more than"),
        (20, struct.pack("<II", 1 << 20, 1 << 20), "bytes, more than" if len(data) < 1 << 20 else "damaged"),
        (42, struct.pack("<I", 1 << 31), "damaged"),
    ):
        changed = bytearray(data)
        changed[directory + place : directory + place + len(values)] = values
        path.write_bytes(changed)
        refuses(path, reason)
    path.write_bytes(data[:-22] + b"PK\x06\x07" + bytes(16) + data[-22:])
    refuses(path, "not a zip archive, or truncated")


def test_classes_that_a_file_names_are_never_imported(written: Path, tmp_path: Path) -> None:
    found = entries(written)
    evil = {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": "system"}
    path = packed(tmp_path / "m.keras", found | {"config.json": json.dumps(evil).encode(), "assets/x.py": b"raise"})
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 1), dtype=np.uint8)
    before, after = (np.asarray(model_file.load(each)[0](images)) for each in (written, path))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "change",
    [
        {"network": "vgg_recurrent"},
        {"network": "vgg___init__"},
        {"network": "../../evil_conv"},
        {"network": "os.path_conv"},
        {"network": "vgg"},
        {"network": ""},
        {"preset": "huge"},
        {"preset": "small"},
        {"head": "attention"},
        {"alphabet": "abcdefg"},
        {"alphabet": "ab"},
        {"width": None, "coordinates": True},
        {"coordinates": True},
        {"rows": 2},
        {"channels": 3},
        # 320,000 features in each column: kernels of gigabytes, if they were allocated.
        {"network": "crnn_bilstm", "preset": "base", "height": 10_000},
        {"network": "resnet_bilstm", "preset": "base", "height": 10_000, "rows": 4},
    ],
)
def test_a_network_that_the_weights_do_not_fit_is_refused(
    change: dict[str, Any], written: Path, tmp_path: Path
) -> None:
    found = entries(written) | {CONFIG_ENTRY: json.dumps(asdict(CONFIG) | change).encode()}
    refuses(packed(tmp_path / "m.keras", found), "the network in")


def in_file(change: Callable[[Any], None], content: bytes) -> bytes:
    import h5py

    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        change(file)
    return memory.getvalue()


def replaced(name: str, **settings: Any) -> Callable[[Any], None]:
    """Replace an array by one with these settings."""

    def change(file: Any) -> None:
        values = file[name][()]
        del file[name]
        file.create_dataset(name, **({"data": values} | settings))

    return change


def virtual(file: Any) -> None:
    import h5py

    shape = file[KERNEL].shape
    del file[KERNEL]
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape)
    file.create_virtual_dataset(KERNEL, layout)


def link(kind: str, *args: str) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        import h5py

        del file[KERNEL]
        file[KERNEL] = getattr(h5py, kind)(*args)

    return change


def not_numbers(value: float) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file[KERNEL][0] = value

    return change


def circle(file: Any) -> None:
    file["layers/again"] = file["layers"]


KERNEL = "layers/dense/vars/0"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (not_numbers(np.nan), "holds NaN or infinity"),
        (not_numbers(-np.inf), "holds NaN or infinity"),
        (lambda file: file.__delitem__(KERNEL), f"{KERNEL} is not there"),
        (lambda file: file.__delitem__("layers"), "is not there"),
        (lambda file: file.create_dataset("layers/dense/vars/7", data=np.zeros(1, "f4")), "should be not there"),
        (lambda file: file.create_dataset("evil", data=np.zeros(1, "f4")), "should be not there"),
        (replaced(KERNEL, data=np.zeros((3, 3), "f4")), f"{KERNEL} is (3, 3)"),
        (replaced(KERNEL, data=None, shape=(1 << 30, 1 << 20), dtype="f4"), "larger than the file"),
        (replaced(KERNEL, data=None, shape=(1 << 40,), dtype="f4", chunks=(1 << 20,)), "packed"),
        (replaced(KERNEL, compression="gzip"), "packed"),
        (replaced(KERNEL, data=np.zeros((160, 128), "f8")), "holds float64"),
        (replaced(KERNEL, data=np.array([b"x"] * 9), dtype="S1"), "not float32"),
        (
            replaced(KERNEL, data=None, shape=(160, 128), dtype="f4", external=[("/etc/passwd", 0, 81_920)]),
            "packed, or",
        ),
        (virtual, "packed, or lies in another file"),
        (link("SoftLink", "/layers"), "is a link"),
        (link("ExternalLink", "/etc/passwd", "/x"), "is a link"),
        (circle, "is there twice"),
    ],
)
def test_other_arrays_and_arrays_outside_of_the_file_are_refused(
    change: Callable[[Any], None], reason: str, written: Path, tmp_path: Path
) -> None:
    found = entries(written)
    try:
        content = in_file(change, found[WEIGHTS_ENTRY])
    except (ValueError, TypeError, OSError) as error:
        pytest.skip(f"this HDF5 does not write it ({error})")
    refuses(packed(tmp_path / "m.keras", found | {WEIGHTS_ENTRY: content}), reason)


def test_a_flipped_bit_anywhere_in_the_weights_is_detected(written: Path, tmp_path: Path) -> None:
    data, path = bytearray(written.read_bytes()), tmp_path / "m.keras"
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    refuses(path, "Bad CRC-32")
