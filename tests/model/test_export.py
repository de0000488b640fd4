"""export.py, and its files read without Keras: the same texts as with Keras, or one sentence."""

from __future__ import annotations

import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from importlib.metadata import packages_distributions
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import export
import prediction
import training
from cli.files import atomic
from crnn_reader import model_files
from crnn_reader.config import CONFIG_ENTRY, ModelConfig
from crnn_reader.decoding.constraints import Constraint
from crnn_reader.errors import UserError
from crnn_reader.model_files import WEIGHTS, locate_model, read_config
from crnn_reader.reader import Reader, Reading
from model import export as exports
from model import model_file
from model.backbones import NAMES as BACKBONES
from model.backbones import backbone_of
from model.backend import import_keras
from model.export import onnx_layers
from model.export.parity import ALLOWED, compare, some_pictures
from model.heads import HEADS
from model.model_file import SHIPPED
from model.network import build
from model.rectifiers import RECTIFIERS
from model.sequences import NAMES as SEQUENCES
from parameter.exporting import EXPORT_FORMATS
from tests import commands
from tests.model.test_networks import with_statistics
from tests.processes import finished

ROOT = Path(export.__file__).parent
CONFIG = ModelConfig(
    network="vgg_bilstm",
    preset="small",
    head="ctc",
    alphabet="abcd",
    width=48,
    height=32,
    channels=1,
    fit="pad",
    longest=5,
    temperature=1.5,
)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(export, …)`: exit code, stdout, stderr."""

    def run(command: Any, *argv: str | Path) -> tuple[int, str, str]:
        line = f"python {command.__name__}.py"
        return commands.exit_code(*commands.COMMANDS[line], list(map(str, argv))), *capsys.readouterr()

    return run


def saved(config: ModelConfig, path: Path, factor: float = 2.5) -> Path:
    """A model file with initial weights times a factor, so that different pictures are read differently.

    A deep network needs a smaller factor, because rounding grows from layer to layer.
    """
    import_keras().utils.set_random_seed(1)
    network = build(config)
    network.set_weights([factor * weights for weights in network.get_weights()])
    model_file.save(network, config, path)
    return path


#: Model files of all heads, and one of any width with a rectifier.
CARDS = {head: replace(CONFIG, head=head) for head in HEADS}
CARDS["any"] = replace(CONFIG, head="joint", cell="lstm", network="vgg_bigru", width=None, rectify="tps")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for :func:`made`, with `ctc` in it. All processes that run tests share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exported"
    folder.mkdir(exist_ok=True)
    return made("ctc", folder)


def made(name: str, folder: Path) -> Path:
    """Write the model file of CARDS with that name and its export to `folder`, unless they exist.

    A .txt beside them has the difference of their log-probabilities, which the export accepted as rounding.
    """
    difference = folder / f"{name}.txt"
    if not difference.exists():
        # Another process may write the same files at the same time, which replace each other whole.
        saved(CARDS[name], folder / f"{name}.keras")
        comparison = exports.export(folder / f"{name}.keras", "onnx", folder / f"{name}.onnx")
        with atomic(difference) as temporary:
            temporary.write_text(str(comparison.difference), encoding="utf-8")
    return folder


def pictures(count: int = 12) -> list[NDArray[np.uint8]]:
    """Pictures of several sizes."""
    shapes = itertools.cycle([(32, 48), (40, 100), (64, 70)])
    large = some_pictures(replace(CONFIG, width=120, height=80, fit="stretch"), count)
    return [image[: shape[0], : shape[1]] for image, shape in zip(large, shapes, strict=False)]


def same(ours: list[Reading], theirs: list[Reading], difference: float) -> None:
    """Compare readings of two runtimes whose log-probabilities differ by `difference`."""
    for one, other in zip(ours, theirs, strict=True):
        assert (one.text, one.error) == (other.text, other.error)
        assert [text for text, _ in one.alternatives] == [text for text, _ in other.alternatives]
        assert apart(one.probability, other.probability) <= difference
        for mine, yours in zip(one.characters, other.characters, strict=True):
            assert mine.character == yours.character
            assert apart(mine.probability, yours.probability) <= difference
            # The places of characters are rounded to pixels.
            assert abs(mine.left - yours.left) <= 1 and abs(mine.right - yours.right) <= 1


def apart(one: float, other: float) -> float:
    """The difference of two probabilities in logarithms; 0 for empty texts."""
    return 0.0 if one == other == 0 else abs(math.log(one / other))


BEAM, HELD = {"decoder": "beam", "beam_width": 4, "top": 3}, {"constraint": Constraint(length="2-3", charset="b-d")}


@pytest.mark.runtimes
@pytest.mark.parametrize(
    ("name", "all_settings"),
    [
        ("ctc", [{}, BEAM, HELD]),
        ("attention", [{}, BEAM, HELD]),
        ("joint", [{"head": "ctc"}, {"head": "attention"}]),
        ("any", [{"head": "ctc", **BEAM, **HELD}, {"head": "attention", **BEAM, **HELD}]),
    ],
)
def test_onnx_reads_the_same_as_keras(name: str, all_settings: list[Any], folder: Path) -> None:
    made(name, folder)
    sources = pictures()
    # A text's log-probability is a sum over at most 25 columns: 100 pixels, 4 for each. These pictures may differ a
    # little more than those that the export compared.
    difference = ALLOWED * 25 * float((folder / f"{name}.txt").read_text(encoding="utf-8"))
    for settings in all_settings:
        readers = [Reader(str(folder / f"{name}{suffix}"), **settings) for suffix in (".keras", ".onnx")]
        ours, theirs = (list(reader.read(sources)) for reader in readers)
        same(ours, theirs, difference)
        assert readers[0].config == readers[1].config
        for reading, source in zip(theirs, sources, strict=True):
            assert "".join(character.character for character in reading.characters) == reading.text
            assert all(0 <= c.left < c.right <= source.shape[1] for c in reading.characters)
            assert all(0 < c.probability <= 1 for c in reading.characters)
        assert len({reading.text for reading in ours}) > 1, "the same text for every picture proves nothing"


EVERY = [
    *itertools.product(BACKBONES, SEQUENCES, HEADS, ["none"], ["small"], [192], [{}]),
    *itertools.product(
        [name for name in BACKBONES if backbone_of(name).any_width],
        ["bigru"],
        HEADS,
        RECTIFIERS,
        ["small"],
        [None],
        [{}],
    ),
    *itertools.product(BACKBONES, ["bilstm"], ["ctc"], ["none"], ["base"], [192], [{}]),
    *itertools.product(["vgg"], SEQUENCES, HEADS, ["none"], ["lite"], [192, None], [{}]),
    *itertools.product(["vgg"], ["bilstm"], ["ctc"], ["none"], ["plate"], [192, None], [{}]),
    *itertools.product(["vgg"], ["bilstm"], HEADS, RECTIFIERS, ["small"], [192], [{"rows": 2}, {"coordinates": True}]),
    *itertools.product(["vgg"], ["bigru"], HEADS, RECTIFIERS, ["small"], [192], [{"channels": 3, "cell": "lstm"}]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "sequence", "head", "rectify", "preset", "width", "further"), EVERY)
def test_every_network_can_be_exported(
    backbone: str,
    sequence: str,
    head: str,
    rectify: Any,
    preset: str,
    width: int | None,
    further: dict[str, Any],
    tmp_path: Path,
    run: Run,
) -> None:
    config = replace(CONFIG, network=f"{backbone}_{sequence}", head=head, rectify=rectify, preset=preset, width=width)
    file = saved(replace(config, **further), tmp_path / "model.keras", factor=1.2)
    code, out, errors = run(export, file, "--out", tmp_path / "model.onnx")
    assert (code, errors) == (0, "")
    assert "the same texts as Keras" in out


@pytest.mark.parametrize("least", [0.5, -1.0])
def test_batch_normalisation_with_negative_factors(least: float, tmp_path: Path, run: Run) -> None:
    """Max-pooling may be swapped only with increasing functions."""
    keras, rng = import_keras(), np.random.default_rng(0)
    network = build(CONFIG)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            layer.set_weights(
                [rng.uniform(least, 1.5, size), *rng.normal(0, 0.3, (2, *size)), rng.uniform(0.5, 2, size)]
            )
    model_file.save(network, CONFIG, tmp_path / "model.keras")
    code, out, errors = run(export, tmp_path / "model.keras", "--out", tmp_path / "model.onnx")
    assert (code, errors) == (0, "")
    assert "the same texts as Keras" in out


def test_the_exported_file_has_the_config(folder: Path) -> None:
    """Read by the library, and by the package for the form."""
    made("joint", folder)
    config = read_config(folder / "joint.onnx")
    assert config == read_config(folder / "joint.keras") == replace(CONFIG, head="joint")
    entries = {entry.key: entry.value for entry in onnx.load(folder / "joint.onnx").metadata_props}
    assert json.loads(entries[CONFIG_ENTRY]) == asdict(config)


#: Packages that reading may need: these, and the dependencies of onnxruntime.
READING = {"crnn_reader", "numpy", "cv2", "onnxruntime", "flatbuffers", "google", "packaging"}
#: Packages that the commands may need: those of requirements-read.txt.
LOCKED = {line.split("==")[0] for line in (ROOT / "requirements-read.txt").read_text(encoding="utf-8").splitlines()}
COMMANDS = {"crnn_reader"} | {
    module
    for module, packages in packages_distributions().items()
    if LOCKED & {package.lower().replace("_", "-") for package in packages}
}

#: Code for another process, in which only the packages in the first argument can be imported.
WITHOUT = """
import sys
from importlib.metadata import packages_distributions

banned = packages_distributions().keys() - set(sys.argv.pop(1).split(","))

class Banned:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in banned:
            raise ModuleNotFoundError(f"{name} is banned here")

sys.meta_path.insert(0, Banned())
for name in ("keras", "tensorflow", "scipy", "onnx"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name)
"""


def without(packages: set[str], program: str, *argv: str | Path) -> CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT + program, ",".join(packages), *map(str, argv)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return finished(command, env=environment)


READINGS = """
from crnn_reader import Constraint
from crnn_reader import Reader

def print_readings(folder, *files):
    for name, head in (("ctc", None), ("any", "attention")):
        known = Constraint(length="1-4", charset="a-c", pattern="[ab].*")
        for settings in ({}, {"decoder": "beam", "top": 2}, {"constraint": known}):
            for reading in Reader(f"{folder}/{name}.onnx", head=head, **settings).read(files):
                print(reading.text, f"{reading.probability:.3g}", len(reading.characters))
"""


def test_a_reader_needs_only_numpy_opencv_and_onnxruntime(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made("any", folder)
    files = []
    for number, image in enumerate(pictures(4)):
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), image)
    done = without(READING, READINGS + "print_readings(*sys.argv[1:])", folder, *files)
    assert done.returncode == 0, done.stderr
    # The readings of Keras with all these settings are compared above.
    here_too: dict[str, Any] = {}
    exec(READINGS, here_too)
    here_too["print_readings"](folder, *files)
    here = capsys.readouterr().out
    assert done.stdout == here
    assert len(here.splitlines()) == 2 * 3 * 4


def test_the_command_reads_without_keras(folder: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), pictures(1)[0])
    (tmp_path / "broken.png").write_bytes(b"junk")
    script = str(ROOT / "prediction.py")
    program = f"import runpy; sys.argv[0] = {script!r}; runpy.run_path({script!r}, run_name='__main__')"
    flags: list[str | Path] = [
        "--model",
        folder / "ctc.onnx",
        "--csv",
        tmp_path / "texts.csv",
        "--min-probability",
        "0.5",
    ]
    done = without(COMMANDS, program, tmp_path, *flags)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "broken.png: " in done.stderr
    (reading,) = Reader(str(folder / "ctc.keras")).read([str(tmp_path / "1.png")])
    name, text, probability, status = done.stdout.splitlines()[0].split("\t")
    assert (name, text) == (str(tmp_path / "1.png"), reading.text)
    assert float(probability) == pytest.approx(reading.probability, abs=1e-3)
    assert status == ("accepted" if reading.probability >= 0.5 else "rejected")
    assert len((tmp_path / "texts.csv").read_text().splitlines()) == 2

    (tmp_path / "list.tsv").write_text("1.png\tabc\n", encoding="utf-8")
    done = without(COMMANDS, program, tmp_path / "list.tsv", "--labels", "--model", folder / "ctc.onnx")
    assert done.returncode == 0, done.stderr
    assert "exact match" in done.stderr


def test_a_shipped_name_prefers_its_onnx_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "WEIGHTS", [tmp_path])
    (tmp_path / "mine.keras").write_bytes((folder / "ctc.keras").read_bytes())
    assert Reader("mine").path == tmp_path / "mine.keras"
    (tmp_path / "mine.onnx").write_bytes((folder / "ctc.onnx").read_bytes())
    assert Reader("mine").path == tmp_path / "mine.onnx"
    assert locate_model("mine", to_train=True) == tmp_path / "mine.keras"


#: Shipped weights that are stored as 16-bit floats, because all of several thousand pictures have the same texts.
HALVED = ("plate",)


@pytest.mark.runtimes
@pytest.mark.parametrize("name", [file.stem for file in WEIGHTS[0].glob("*.onnx")])
def test_shipped_weights_read_the_same_in_both_forms(name: str, tmp_path: Path) -> None:
    samples = sorted(map(str, (Path(export.__file__).parent / "DB" / "samples").glob("*.png")))
    exported = WEIGHTS[0] / f"{name}.onnx"
    read = [list(Reader(path).read(samples)) for path in (SHIPPED / f"{name}.keras", exported)]
    assert [reading.text for reading in read[0]] == [reading.text for reading in read[1]]
    if name in HALVED:
        exports.export_float16(SHIPPED / f"{name}.keras", "onnx", tmp_path / "again.onnx")
        files = [onnx.load(path).graph.initializer for path in (tmp_path / "again.onnx", exported)]
        for ours, theirs in zip(*files, strict=True):
            assert ours.data_type == theirs.data_type
            np.testing.assert_allclose(
                onnx.numpy_helper.to_array(ours), onnx.numpy_helper.to_array(theirs), rtol=2e-3, atol=1e-6
            )
    else:
        network, config = model_file.load(SHIPPED / f"{name}.keras")
        assert compare(network, exports.module("onnx").opened(exported), config).accepted


def test_test_time_augmentation_is_for_ctc(folder: Path) -> None:
    made("attention", folder)
    with pytest.raises(UserError, match=r"tta is 0\.5: only CTC reads with it, and .* is read with attention"):
        Reader(str(folder / "attention.onnx"), tta=0.5)


def test_int8_prints_both_scores(folder: Path, tmp_path: Path, run: Run) -> None:
    reader = Reader(str(made("attention", folder) / "attention.onnx"))
    for number, image in enumerate(pictures(12)):
        (reading,) = reader.read([image])
        cv2.imwrite(str(tmp_path / f"{reading.text or 'a'}_{number}.png"), image)
    cv2.imwrite(str(tmp_path / "é_12.png"), image)
    (tmp_path / "lists").mkdir()
    names = [file.name for file in sorted(tmp_path.glob("*.png"))]
    (tmp_path / "lists" / "l.tsv").write_text("".join(f"{name}\t{name.partition('_')[0]}\n" for name in names))
    flags = ["--out", tmp_path / "small.onnx", "--int8", tmp_path / "lists" / "l.tsv", "--root", tmp_path]
    code, out, errors = run(export, folder / "attention.keras", *flags)
    assert (code, errors) == (0, f"{flags[3]}: 1 label has characters that the model cannot read: é\n")
    compared, before, after, written = out.splitlines()
    assert written.startswith(f"{tmp_path / 'small.onnx'}: int8, ")
    assert "the same texts as Keras" in compared
    assert "float32: exact match" in before and "of 6;" in before
    assert "int8: exact match" in after and "calibrated with 7 other pictures" in after
    assert (tmp_path / "small.onnx").stat().st_size < 0.9 * (folder / "attention.onnx").stat().st_size
    assert len(list(Reader(str(tmp_path / "small.onnx")).read(pictures(3)))) == 3
    (tmp_path / "none").mkdir()
    for argv, sentence in (
        (["--int8", str(tmp_path / "none")], "none"),
        (["--int8", "x", "--form", "savedmodel", "--out", "folder"], "--int8 is for --form onnx, not for savedmodel"),
    ):
        code, out, errors = run(export, folder / "ctc.keras", "--out", tmp_path / "other.onnx", *argv)
        assert (code, out) == (2, "") and sentence in errors and errors.count("\n") == 1
    assert not (tmp_path / "other.onnx").exists()


def test_int8_names_each_picture_that_cannot_be_read(folder: Path, tmp_path: Path, run: Run) -> None:
    for number, image in enumerate(pictures(6)):
        cv2.imwrite(str(tmp_path / f"{number}_a.png"), image)
    # Every other picture by name calibrates: 0, 2, 4.
    broken = [tmp_path / "2_a.png", tmp_path / "5_a.png"]
    for file in broken:
        file.write_bytes(b"")
    flags = [folder / "ctc.keras", "--out", tmp_path / "small.onnx", "--int8", tmp_path]
    code, out, errors = run(export, *flags, "--label-pattern", "_(?P<label>.)")
    assert code == 1
    *named, last = errors.splitlines()
    assert named == [f"{file}: zero bytes" for file in reversed(broken)]
    # The labels are not those that the network reads.
    assert last.startswith("float32 reads no picture right")
    assert "of 2;" in out and "calibrated with 2 other pictures" in out
    for number in (1, 3):
        (tmp_path / f"{number}_a.png").write_bytes(b"")
    code, out, errors = run(export, *flags, "--label-pattern", "_(?P<label>.)")
    assert code == 2
    assert errors.splitlines()[-1] == (
        f"error: none of the 3 pictures can be read (first {tmp_path / '1_a.png'}: zero bytes): give others"
    )


@pytest.mark.runtimes
@pytest.mark.parametrize("name", ["attention", "any"])
def test_no_sum_of_an_int8_export_saturates(name: str, folder: Path, tmp_path: Path) -> None:
    """Processors without VNNI add pairs of products of u8 and s8 in 16 bits with saturation."""
    files, out, products = [tmp_path / f"{number}.png" for number in range(3)], tmp_path / "small.onnx", 0
    for file, image in zip(files, pictures(3), strict=True):
        cv2.imwrite(str(file), image)
    assert exports.export_int8(made(name, folder) / f"{name}.keras", "onnx", out, files) == len(files)
    for graph in graphs(onnx.load(out).graph):
        arrays = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
        makers = {result: node for node in graph.node for result in node.output}
        for node in graph.node:
            if node.op_type not in ("Conv", "MatMul", "Gemm"):
                continue
            factors = [makers[each] for each in node.input[:2] if each in makers]
            if [factor.op_type for factor in factors] != ["DequantizeLinear", "DequantizeLinear"]:
                # Products without weights stay floats: attention, places in a rectified picture.
                continue
            activations, weights = (factor.input for factor in factors)
            assert arrays[activations[2]].dtype == np.uint8
            values, zero = arrays[weights[0]], arrays[weights[2]]
            assert values.dtype == zero.dtype == np.int8 and not zero.any()
            assert 2 * 255 * int(np.abs(values.astype(int)).max()) <= np.iinfo(np.int16).max
            products += 1
        # No other operator multiplies in 8 bits.
        assert {node.op_type for node in graph.node}.isdisjoint({"QLinearConv", "MatMulInteger", "ConvInteger"})
    assert products >= 5


def graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and its subgraphs."""
    yield graph
    for node in graph.node:
        for each in node.attribute:
            if each.HasField("g"):
                yield from graphs(each.g)


@pytest.mark.parametrize("name", ["ctc", "attention"])
def test_float16_halves_the_file_and_keeps_the_texts(name: str, folder: Path, tmp_path: Path, run: Run) -> None:
    made(name, folder)
    data, out = tmp_path / "pictures", tmp_path / "half.onnx"
    data.mkdir()
    for number, image in enumerate(pictures(6)):
        cv2.imwrite(str(data / f"{number}.png"), image)
    (data / "broken.png").write_bytes(b"")
    code, said, errors = run(export, folder / f"{name}.keras", "--out", out, "--float16", data)
    assert code == 1 and errors == f"{data / 'broken.png'}: zero bytes\n"
    assert said.startswith(f"{out}: float16, ") and said.endswith("the same texts as Keras in 6 pictures\n")
    assert out.stat().st_size < 0.6 * (folder / f"{name}.onnx").stat().st_size
    images = pictures(6)
    before, after = (list(Reader(str(file)).read(images)) for file in (folder / f"{name}.onnx", out))
    assert [reading.text for reading in before] == [reading.text for reading in after]


def test_float16_is_refused_if_a_text_changes(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = tmp_path / "pictures", tmp_path / "half.onnx"
    data.mkdir()
    read = list(Reader(str(folder / "ctc.onnx")).read(pictures(12)))
    number = next(number for number, reading in enumerate(read) if reading.text)
    cv2.imwrite(str(data / "a.png"), pictures(12)[number])
    out.write_bytes(b"earlier")

    def lost(graph: Any) -> None:
        """Storage that loses everything: the weights of convolutions become 0."""
        for each in graph.initializer:
            if len(each.dims) == 4:
                each.CopyFrom(onnx.numpy_helper.from_array(np.zeros(list(each.dims), np.float32), each.name))

    monkeypatch.setattr(exports.module("float16"), "float16", lost)
    flags = [folder / "ctc.keras", "--out", out, "--float16", data]
    code, said, errors = run(export, *flags)
    assert (code, said) == (2, "") and "1 of 1 pictures are read differently" in errors
    assert errors.endswith("leave out --float16\n") and out.read_bytes() == b"earlier"
    (data / "a.png").unlink()
    (data / "a.png").write_bytes(b"")
    code, said, errors = run(export, *flags)
    assert code == 2 and "has no picture that can be read" in errors
    refused(run, "give one of them", export, *flags, "--int8", data)
    refused(run, "--float16 is for --form onnx", export, *flags, "--form", "savedmodel", "--out", tmp_path / "folder")


def test_only_the_same_networks_have_an_average(folder: Path, tmp_path: Path, run: Run) -> None:
    saved(replace(CONFIG, network="vgg_bigru"), tmp_path / "other.keras")
    flags = [folder / "ctc.keras", "--out", tmp_path / "mean.onnx", "--average"]
    refused(
        run, "has network vgg_bigru instead of vgg_bilstm: average models", export, *flags, tmp_path / "other.keras"
    )
    saved(replace(CONFIG, preset="plate"), tmp_path / "more.keras")
    refused(run, "has preset plate instead of small: give it first", export, *flags, tmp_path / "more.keras")
    made("attention", folder)
    refused(run, "has head attention instead of ctc: average models", export, *flags, folder / "attention.keras")
    refused(run, "no model file", export, *flags, "missing.keras")
    refused(run, "one of the models in 'captcha,' has no name", export, *flags, "captcha,")
    other, replaced = folder / "ctc.keras", "would replace what is read"
    refused(run, replaced, export, "captcha", "--average", other, "--out", other, "--form", "keras")
    refused(run, replaced, export, other, "--layouts", "none", "--out", other, "--form", "keras")


@pytest.mark.parametrize("right", [True, False])
def test_probabilities_are_calibrated_on_labelled_pictures(right: bool, folder: Path, tmp_path: Path, run: Run) -> None:
    """A network that is always right becomes surer of its improbable texts, and one that is always wrong less sure."""
    data, out = tmp_path / "pictures", tmp_path / "calibrated.onnx"
    data.mkdir()
    read = Reader(str(folder / "ctc.onnx")).read(pictures(12))
    for number, (image, reading) in enumerate(zip(pictures(12), read, strict=True)):
        text = reading.text if right else reading.text[::-1] + "a"
        cv2.imwrite(str(data / f"{text or 'a'}_{number}.png"), image)
    model = folder / "ctc.keras"
    # The average of a model and itself is the same model.
    code, said, errors = run(export, model, "--out", out, "--average", model, "--calibrate", data)
    assert code == 0 and "; temperature " in said
    few, *others = errors.splitlines()
    assert few.startswith(f"{data}: a temperature from 12 pictures is rough: give 100 or more")
    assert len(others) == (not right)
    assert right or others[0].startswith(f"{data}: no picture is read right")
    calibrated = read_config(out)
    assert calibrated.temperature > 1 if right else calibrated.temperature < 1
    assert replace(calibrated, temperature=CONFIG.temperature) == CONFIG


def test_a_loss_must_be_significant() -> None:
    assert [export.by_chance(*pair) for pair in ((0, 0), (1, 0), (4, 0), (5, 0), (3, 3))] == [
        1,
        1 / 2,
        1 / 16,
        1 / 32,
        (20 + 15 + 6 + 1) / 64,
    ]
    # With 9,800 pictures, 10 new mistakes against 4 fewer may be chance; 40 against 4 are not.
    assert export.by_chance(10, 4) > export.SIGNIFICANT > export.by_chance(40, 4)
    assert export.by_chance(5_000, 4_000) < 1e-20


def test_an_int8_export_that_reads_worse_is_written_only_with_a_flag(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = tmp_path / "pictures", tmp_path / "small.onnx"
    data.mkdir()
    images = pictures(24)
    for number, reading in enumerate(Reader(str(folder / "ctc.onnx")).read(images)):
        cv2.imwrite(str(data / f"{reading.text or 'a'}_{number}.png"), images[number])

    def ruined(model: Any, batches: Any) -> Any:
        """A quantisation that loses everything: the weights of convolutions become 0."""
        for initializer in model.graph.initializer:
            if len(initializer.dims) == 4:
                zeros = np.zeros(list(initializer.dims), np.float32)
                initializer.CopyFrom(onnx.numpy_helper.from_array(zeros, initializer.name))
        return model

    flags = [folder / "ctc.keras", "--out", out, "--int8", data]
    monkeypatch.setattr(exports.module("int8"), "int8", ruined)
    code, said, errors = run(export, *flags)
    assert code == 2 and "int8: exact match" in said
    assert errors.startswith(f"error: {out} is not written: of 12 pictures, ") and errors.count("\n") == 1
    assert "McNemar's test, p = " in errors and errors.endswith("accept the loss with --accept-loss\n")
    assert [*tmp_path.iterdir()] == [data]
    out.write_bytes(b"earlier")
    assert run(export, *flags)[0] == 2
    assert out.read_bytes() == b"earlier"
    code, said, errors = run(export, *flags, "--accept-loss")
    assert code == 0 and errors.startswith(f"{out} is written with a loss: of 12 pictures, ")
    assert read_config(out) == CONFIG
    refused(run, "--accept-loss is for --int8", export, *flags[:3], "--accept-loss")


#: LiteRT takes a minute to convert.
SLOW_FORMS = {"litert"}


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=[pytest.mark.slow] * (form in SLOW_FORMS)) for form in EXPORT_FORMATS]
)
@pytest.mark.parametrize("head", HEADS)
def test_every_form_reads_like_keras(form: str, head: str, folder: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / f"model{EXPORT_FORMATS[form].suffix}"
    code, said, errors = run(export, made(head, folder) / f"{head}.keras", "--form", form, "--out", out)
    if "is written with TensorFlow" in errors or "needs the package" in errors:
        pytest.skip(errors)
    assert code == 0, errors
    assert "the same texts as Keras" in said


def test_a_saved_model_is_a_folder_that_is_not_replaced(folder: Path, tmp_path: Path, run: Run) -> None:
    if import_keras().backend.backend() != "tensorflow":
        pytest.skip("written with TensorFlow only")
    argv = [made("ctc", folder) / "ctc.keras", "--form", "savedmodel", "--out", tmp_path / "model"]
    assert run(export, *argv)[0] == 0
    written = json.loads((tmp_path / "model" / "assets.extra" / CONFIG_ENTRY).read_text())
    assert written == asdict(replace(CONFIG, head="ctc"))
    code, _, errors = run(export, *argv)
    assert code == 2 and "model is a folder" in errors


# Refused files.


def refused(run: Run, sentence: str, *argv: Any) -> None:
    code, out, errors = run(*argv)
    assert (code, out) == (2, "")
    assert sentence in errors
    assert errors.startswith("error: ") and errors.count("\n") == 1


def with_entry(folder: Path, path: Path, entry: str | None) -> Path:
    """A copy of ctc.onnx with another config, or none."""
    whole = onnx.load(folder / "ctc.onnx")
    del whole.metadata_props[:]
    if entry is not None:
        onnx.helper.set_model_props(whole, {CONFIG_ENTRY: entry})
    onnx.save(whole, path)
    return path


def test_commands_refuse_other_files(folder: Path, tmp_path: Path, run: Run) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), pictures(1)[0])
    whole = (folder / "ctc.onnx").read_bytes()
    model = tmp_path / "model.onnx"

    def refuses(sentence: str, content: bytes | None = None) -> None:
        if content is not None:
            model.write_bytes(content)
        refused(run, sentence, prediction, tmp_path / "1.png", "--model", model)
        refused(run, sentence, prediction, tmp_path / "1.png", "--model", model, "--length", "3")

    for length in (0, 1, 7, 100, len(whole) // 2, len(whole) - 1):
        refuses("model.onnx is not a model file, or damaged (", whole[:length])
    refuses("model.onnx is not a model file, or damaged (", (tmp_path / "1.png").read_bytes())
    refuses("model.onnx is not a model file, or damaged (", (folder / "ctc.keras").read_bytes())
    with_entry(folder, model, None)
    refuses(f"model.onnx was not written by this kit (it holds no {CONFIG_ENTRY})")
    with_entry(folder, model, json.dumps(asdict(CONFIG) | {"format": 99, "kit_version": "9.1", "unheard_of": 1}))
    refuses("was written by crnn-kit 9.1 in format 99, this kit reads up to")
    with_entry(folder, model, json.dumps(asdict(CONFIG) | {"width": -1}))
    refuses(f"the {CONFIG_ENTRY} in {model} is damaged (width is -1, not from 1 to 10,000)")
    for other in ({"width": 96}, {"width": None}, {"height": 16}, {"channels": 3}, {"head": "attention"}):
        with_entry(folder, model, json.dumps(asdict(CONFIG) | other))
        refuses(f"the network in {model} is not as its description says (")
    with_entry(folder, model, "{")
    refuses("model.onnx is not a model file, or damaged (")
    # The config is intact, but not the network: a bit of its weights, or an operation in a file of an earlier version.
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    refuses(f"{model} is damaged (its network has changed since it was written)", flipped)
    place = whole.index(CONFIG.alphabet.encode())
    other_config = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    refuses(f"{model} is damaged (its {CONFIG_ENTRY} has changed since it was written)", other_config)
    earlier = with_entry(folder, model, CONFIG.to_json()).read_bytes()
    refuses(f"the network in {model} cannot be opened (", earlier.replace(b"MaxPool", b"MinPool"))

    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(pictures(12)):
        cv2.imwrite(str(tmp_path / "pictures" / f"ab_{number}.png"), image)
    flags = ["--data", tmp_path / "pictures", "--run", tmp_path / "run", "--from", folder / "ctc.onnx"]
    refused(run, "can only be used to read", training, *flags)
    assert not (tmp_path / "run").exists()
    refused(run, "can only be used to read", export, folder / "ctc.onnx", "--out", tmp_path / "again.onnx")


Altered = Callable[[onnx_layers.Graph, str, list[str], dict[str, Any]], None]


def attribute(operation: str, name: str, before: Any, after: Any) -> Altered:
    """A mistake: another value for this attribute of this operator."""

    def alter(graph: onnx_layers.Graph, made: str, inputs: list[str], attributes: dict[str, Any]) -> None:
        if made == operation and attributes.get(name) == before:
            attributes[name] = after

    return alter


def constant(operation: str, place: int, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Altered:
    """A mistake: change this input of this operator, an array of the file."""

    def alter(graph: onnx_layers.Graph, made: str, inputs: list[str], attributes: dict[str, Any]) -> None:
        if made == operation and len(inputs) > place:
            inputs[place] = graph.constant(change(graph.array(inputs[place])))

    return alter


def gates_swapped(weights: NDArray[Any]) -> NDArray[Any]:
    update, reset, hidden = np.split(weights, 3, axis=1)
    return np.concatenate([reset, update, hidden], axis=1)


#: Small mistakes that are easy to make when adding a layer.
FAULTS = {
    "none": None,
    "weights rounded to 16 bits": constant("Conv", 1, lambda array: array.astype(np.float16).astype(np.float32)),
    "biases forgotten": constant("Conv", 2, np.zeros_like),
    "gates swapped": constant("GRU", 1, gates_swapped),
    "directions swapped": constant("GRU", 2, lambda array: array[::-1]),
    "reset before the product": attribute("GRU", "linear_before_reset", 1, 0),
    "padding on the other side": attribute("Conv", "auto_pad", "SAME_UPPER", "SAME_LOWER"),
    "beyond the border": attribute("GridSample", "padding_mode", "border", "zeros"),
    "corners of pixels": attribute("GridSample", "align_corners", 0, 1),
    "nearest pixel": attribute("GridSample", "mode", "bilinear", "nearest"),
}


#: A mistake in an attribute of the Keras layer.
EPSILON = "epsilon of batch normalisation"


@pytest.fixture(scope="module")
def rectified() -> tuple[Any, ModelConfig]:
    """A network of any width whose rectifier bends pictures beyond their borders, as a trained one may."""
    config = replace(CONFIG, network="vgg_bigru", width=None, rectify="tps")
    import_keras().utils.set_random_seed(1)
    return with_statistics(build(config)), config


@pytest.mark.parametrize("fault", [pytest.param("none", marks=pytest.mark.runtimes), *[*FAULTS][1:], EPSILON])
def test_small_faults_exceed_rounding(
    fault: str, rectified: tuple[Any, ModelConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, config = rectified
    alter, add_all, found = FAULTS.get(fault), onnx_layers.Graph.add_all, []

    def altered(graph: Any, operation: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        changed = list(inputs)
        if alter:
            before = changed[:], dict(attributes)
            alter(graph, operation, changed, attributes)
            found.append(before != (changed, attributes))
        return add_all(graph, operation, *changed, outputs=outputs, **attributes)

    monkeypatch.setattr(onnx_layers.Graph, "add_all", altered)
    if fault == EPSILON:
        normalise = onnx_layers.LAYERS["BatchNormalization"]

        def other_epsilon(graph: Any, layer: Any, *inputs: Any, **named: Any) -> Any:
            with monkeypatch.context() as patch:
                # The epsilon of PyTorch; that of Keras is 1e-3.
                patch.setattr(layer, "epsilon", 1e-5)
                return normalise(graph, layer, *inputs, **named)

        monkeypatch.setitem(onnx_layers.LAYERS, "BatchNormalization", other_epsilon)
    forms = exports.module("onnx")
    forms.write(tmp_path / "model.onnx", HEADS[config.head].parts(network, config), config)
    assert any(found) == (alter is not None)
    comparison = compare(network, forms.opened(tmp_path / "model.onnx"), config)
    assert comparison.accepted == (fault == "none"), str(comparison)


def test_an_export_that_fails_leaves_nothing(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out = folder / "ctc.keras", tmp_path / "model.onnx"
    with monkeypatch.context() as patch:
        patch.delitem(onnx_layers.LAYERS, "MaxPooling2D")
        refused(run, "ONNX export does not support the layer max_pooling2d", export, model, "--out", out)
    with monkeypatch.context() as patch:
        patch.setitem(onnx_layers.LAYERS, "Activation", onnx_layers.LAYERS["Identity"])
        refused(run, "model.onnx would read differently from Keras, and is not written (", export, model, "--out", out)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnx", None)
        patch.delitem(sys.modules, "model.export.onnx", raising=False)
        missing = "needs the package onnx for this, which is not installed: pip install '.[export]'"
        refused(run, missing, export, model, "--out", out)
    refused(run, "--form onnx takes a name that ends in .onnx", export, model, "--out", tmp_path / "model")
    refused(run, "ends in .onnx; or give --form litert", export, model, "--out", tmp_path / "model.tflite")
    refused(run, "takes the name of a folder", export, model, "--form", "savedmodel", "--out", out)
    refused(run, "no model file nowhere: give a .keras file, a run folder", export, "nowhere", "--out", out)
    if import_keras().backend.backend() == "tensorflow":
        flags = ["--form", "litert", "--out", tmp_path / "model.tflite"]
        refused(run, "LiteRT needs a network of one width", export, made("any", folder) / "any.keras", *flags)
    assert list(tmp_path.iterdir()) == []
    out.write_bytes(b"earlier")
    with monkeypatch.context() as patch:
        patch.setitem(onnx_layers.LAYERS, "Activation", onnx_layers.LAYERS["Identity"])
        refused(run, "would read differently from Keras", export, model, "--out", out)
    assert out.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("form", ["onnx", "keras"])
def test_an_export_stores_formats(form: str, folder: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / f"x.{form}"
    code, _, messages = run(export, "captcha_lite", "--form", form, "--layouts", "lu,no", "--out", out)
    assert code == 0, messages
    assert [each.name for each in read_config(out).formats] == ["lu_car", "no_car"]
    reader = Reader(out, layouts="lu")
    assert reader.allows("AB1234")
    assert not reader.allows("AB12345")
    code, _, messages = run(export, "captcha_lite", "--form", form, "--layouts", "kr", "--out", out)
    assert code == 2
    assert "cannot write the texts of the layout kr_" in messages
    refused(run, "of no country", export, "captcha_lite", "--form", form, "--layouts", "any_one_row", "--out", out)
    assert not run(export, "captcha_lite", "--form", form, "--layouts", "all", "--out", out)[0]
    countries = {each.country for each in read_config(out).formats}
    assert {"de", "us"} < countries
    assert "kr" not in countries
    assert len(reader.config.formats) == 2
