"""Contract tests of every network: it builds, learns, is saved and reads."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crnn_reader import decoding
from crnn_reader.config import ModelConfig
from crnn_reader.decoding import Decoder
from crnn_reader.decoding.constraints import Constraint
from crnn_reader.errors import UserError
from crnn_reader.fit import WIDTH_STEP
from crnn_reader.reader import Reader
from model import model_file
from model.backbones import NAMES as BACKBONES
from model.backbones import backbone_of
from model.backend import import_keras, jit_compile, precision, set_random_seed
from model.heads import HEADS
from model.network import build, columns
from model.rectifiers import RECTIFIERS
from model.runtimes import of_keras
from model.sequences import NAMES as SEQUENCES
from tests.model.striped import ALPHABET, HEIGHT, WIDTH, striped

#: Wide enough for the backbone that crops most.
WIDE = 2 * WIDTH

#: The networks that memorise pictures in every run of the tests: each sequence, head, rectifier and backbone except the
#: largest, in as few networks as possible. A joint network has two heads. The others take minutes (`pytest -m slow`).
QUICK = {
    ("vgg", "bilstm", "joint", "none", "small"),
    ("inception", "bilstm", "ctc", "none", "small"),
    ("crnn", "bigru", "ctc", "affine", "small"),
    ("vgg", "conv", "ctc", "tps", "lite"),
}
#: The networks that are also tested with the instructions of other processors.
ELSEWHERE = {network for network in QUICK if network[:2] == ("vgg", "bilstm")}
EVERY = [
    *itertools.product(BACKBONES, SEQUENCES, HEADS, ["none"], ["small"]),
    ("vgg", "bilstm", "ctc", "none", "base"),
    ("vgg", "conv", "ctc", "none", "lite"),
    ("vgg", "bilstm", "ctc", "none", "plate"),
    ("inception", "bilstm", "attention", "tps", "small"),
    *(("vgg", "bilstm", "ctc", rectifier, "small") for rectifier in RECTIFIERS if rectifier != "none"),
]
NETWORKS = [
    pytest.param(
        *network,
        marks=[pytest.mark.slow] if network not in QUICK else [pytest.mark.runtimes] if network in ELSEWHERE else [],
    )
    for network in sorted({*EVERY, *QUICK})
]


def config(backbone: str, sequence: str, head: str, rectify: Any, preset: str, width: int | None = WIDE) -> ModelConfig:
    return ModelConfig(
        network=f"{backbone}_{sequence}",
        preset=preset,
        head=head,
        rectify=rectify,
        alphabet=ALPHABET,
        width=width,
        height=HEIGHT,
        channels=1,
        fit="stretch",
        longest=6,
        label_smoothing=0.0,
    )


def wide(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int32], list[str]]:
    images, labels, texts = striped(count)
    return np.repeat(images, 2, axis=2), labels, texts


def inputs(described: ModelConfig, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> Any:
    """Images, labels and texts to train a network of this config on."""
    widths = [np.full(len(images), images.shape[2], np.int32)] if described.width is None else []
    everything = [images, *widths, *HEADS[described.head].decoder_inputs(labels)]
    return everything if len(everything) > 1 else images


def two_rows(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int32], list[str]]:
    """Two texts of up to two characters, one above the other, in pictures of the usual height."""
    images, labels, texts = wide(2 * count)
    halves = images[:, ::2, :WIDTH]
    labels = np.concatenate([labels[:count, :2], labels[count:, :2]], 1)
    return (
        np.concatenate([halves[:count], halves[count:]], 1),
        labels,
        [upper[:2] + lower[:2] for upper, lower in zip(texts[:count], texts[count:], strict=True)],
    )


def trained(described: ModelConfig, steps: int) -> tuple[Any, NDArray[np.uint8], list[str]]:
    """Train a network on 16 pictures. Returns it with settled batch statistics, the pictures and their texts."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    network, head = build(described), HEADS[described.head]
    drawn = two_rows if described.rows > 1 else wide if described.width == WIDE else striped
    images, labels, texts = drawn(16)
    given, targets = inputs(described, images, labels), head.targets(labels)
    optimizer = keras.optimizers.Adam(2e-3)
    # Otherwise TensorFlow traces the first step twice: once with the variables, and once without.
    optimizer.build(network.trainable_variables)
    network.compile(optimizer, head.loss(described), jit_compile=jit_compile())
    first = np.ravel(network.train_on_batch(given, targets))[0]
    for _ in range(steps):
        last = np.ravel(network.train_on_batch(given, targets))[0]
    assert last < first
    # Reading uses moving averages of batch statistics, which lag behind after so few steps.
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.2
    for _ in range(5):
        network(given, training=True)
    return network, images, texts


@pytest.mark.parametrize(("backbone", "sequence", "head", "rectify", "preset"), NETWORKS)
def test_memorises_pictures_and_reads_them_from_its_file(
    backbone: str, sequence: str, head: str, rectify: str, preset: str, tmp_path: Path
) -> None:
    described = config(backbone, sequence, head, rectify, preset, WIDTH if backbone_of(backbone).any_width else WIDE)
    # Networks without recurrence or with another preset learn more slowly.
    longer = 2 if sequence == "conv" or preset != "small" else 1
    network, images, texts = trained(described, longer * (50 if HEADS[head].autoregressive else 30))
    model_file.save(network, described, tmp_path / "model.keras")
    for each in decoding.DECODERS[head]:
        reader = Reader(str(tmp_path / "model.keras"), head=each)
        readings = list(reader.read(images))
        # Convolutions over columns do not see far enough to count stripes that are so wide.
        fewest = 14 if sequence == "conv" else 15
        assert sum(reading.text == text for reading, text in zip(readings, texts, strict=True)) >= fewest
        assert all(0 < reading.probability <= 1 for reading in readings)

    reader = Reader(str(tmp_path / "model.keras"))
    assert reader.config == described
    kept, opened = decoder_of(network, described).outputs(images), reader.outputs(images)
    for before, after in zip(parts(kept), parts(opened), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-4, rtol=1e-4, err_msg="reads differently")


def decoder_of(network: Any, described: ModelConfig) -> Decoder:
    return decoding.decoder_of(of_keras(HEADS[described.head].parts(network, described)), described)


def parts(outputs: Any) -> list[NDArray[Any]]:
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize(
    ("head", "reads"), [(head, reads) for head, decoders in decoding.DECODERS.items() for reads in decoders]
)
def test_every_decoder_finds_texts_with_probabilities(head: str, reads: str) -> None:
    described = replace(config("vgg", "conv", head, "none", "lite"), reads=reads)
    images, _, _ = wide(3)
    decoder = decoder_of(build(described), described)
    outputs = decoder.outputs(images)
    for how, top in (("greedy", 1), ("beam", 2)):
        found = decoder.decode(outputs, how, 4, top)
        assert len(found) == 3
        for texts in found:
            # Beam search of attention orders texts by the mean log-probability of their characters.
            assert 1 <= len(texts) <= top and len({text.numbers for text in texts}) == len(texts)
            assert all(0 <= text.probability <= 1 for text in texts)
            assert len(texts[0].spans) == len(texts[0].numbers)
    steps = decoder.predictions(outputs, [(1, 2)] * 3)[0]
    assert steps.ndim == 3 and steps.shape[::2] == (3, len(ALPHABET) + 1)
    np.testing.assert_allclose(np.exp(steps).sum(-1), 1, atol=1e-4)


ANY_WIDTH = [name for name in BACKBONES if backbone_of(name).any_width]


def with_statistics(network: Any) -> Any:
    """`network` with noise in place of zeros and ones, as if it was trained. Kernels keep their initial values.

    Larger kernels would saturate the gates of the recurrent layer, so that all pictures would be read the same.
    """
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif not np.any(weight):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return network


@pytest.mark.parametrize(
    ("backbone", "sequence", "head", "rectify", "preset"),
    [
        *itertools.product(["vgg"], ["bigru"], HEADS, ["none"], ["small"]),
        # Heads do not depend on the backbone.
        *itertools.product(sorted({*ANY_WIDTH} - {"vgg"}), ["bigru"], ["ctc"], ["none"], ["small"]),
        *(
            pytest.param(*stages, marks=pytest.mark.slow)
            for stages in itertools.product(
                sorted({*ANY_WIDTH} - {"vgg"}), ["bigru"], sorted({*HEADS} - {"ctc"}), ["none"], ["small"]
            )
        ),
        *(("vgg", "bigru", "ctc", rectifier, "small") for rectifier in RECTIFIERS if rectifier != "none"),
        ("vgg", "bilstm", "ctc", "none", "plate"),
        ("vgg", "conv", "ctc", "none", "lite"),
    ],
)
def test_padding_does_not_change_how_a_picture_is_read(
    backbone: str, sequence: str, head: str, rectify: str, preset: str, tmp_path: Path
) -> None:
    import_keras().utils.set_random_seed(0)
    described = config(backbone, sequence, head, rectify, preset, width=None)
    network = with_statistics(build(described))
    model_file.save(network, described, tmp_path / "model.keras")
    reader = Reader(str(tmp_path / "model.keras"))
    rng = np.random.default_rng(0)
    # Noise in squares of four pixels: the first layers would average finer noise.
    squares = [rng.integers(0, 256, (HEIGHT // 4, width // 4, 1), np.uint8) for width in (24, 36, 68, 120)]
    images = [image.repeat(4, 0).repeat(4, 1) for image in squares]
    together = parts(reader.outputs(images))
    for row, image in enumerate(images):
        for single, padded in zip(parts(reader.outputs([image])), together, strict=True):
            shown = image.shape[1] // WIDTH_STEP
            np.testing.assert_allclose(single[0, :shown], padded[row, :shown], atol=1e-5, rtol=1e-5)
    for one, other in itertools.combinations(together[0][:, : 24 // WIDTH_STEP], 2):
        assert np.abs(one - other).max() > 1e-3, "equal outputs would prove nothing"
    assert [r.text for r in reader.read(images)] == [next(reader.read([image])).text for image in images]


@pytest.mark.parametrize("head", ["ctc", pytest.param("attention", marks=pytest.mark.slow)])
def test_the_upper_row_is_read_first(head: str, tmp_path: Path) -> None:
    described = replace(config("vgg", "bilstm", head, "none", "lite", WIDTH), rows=2)
    one = build(replace(described, rows=1))
    network, images, texts = trained(described, steps=60)
    assert columns(network) == 2 * (columns(one) or 0)
    model_file.save(network, described, tmp_path / "model.keras")
    readings = list(Reader(str(tmp_path / "model.keras")).read(images))
    assert sum(reading.text == text for reading, text in zip(readings, texts, strict=True)) >= 15
    with pytest.raises(UserError, match="rows 2: this needs pictures of one width"):
        build(replace(described, width=None))


def test_coordinates_number_the_columns_of_one_width() -> None:
    described = replace(config("inception", "bigru", "attention", "none", "small"), coordinates=True)
    plain = build(config("inception", "bigru", "attention", "none", "small"))
    numbered = build(described)
    steps = columns(numbered)
    assert steps is not None
    # One weight from each column number to each gate of both directions.
    assert numbered.count_params() - plain.count_params() == steps * 2 * 3 * 128
    with pytest.raises(UserError, match="coordinates: this needs pictures of one width"):
        build(replace(config("vgg", "bigru", "ctc", "none", "small", width=None), coordinates=True))


def test_only_vgg_has_preset_lite() -> None:
    with pytest.raises(UserError, match="crnn_bilstm has no preset lite: choose small or base"):
        build(config("crnn", "bilstm", "ctc", "none", "lite"))


def test_inception_needs_one_width() -> None:
    with pytest.raises(UserError, match="network inception_bilstm: this needs pictures of one width; choose a size"):
        build(config("inception", "bilstm", "ctc", "none", "small", width=None))


def test_the_other_head_of_a_model_with_one_head_is_refused(tmp_path: Path) -> None:
    described = config("vgg", "bilstm", "ctc", "none", "small")
    model_file.save(build(described), described, tmp_path / "model.keras")
    with pytest.raises(UserError, match=r"head is attention: .* has only the head ctc"):
        Reader(str(tmp_path / "model.keras"), head="attention")


def test_an_attention_text_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    described = config("vgg", "bilstm", "attention", "none", "small")
    network = build(described)
    bias = network.get_layer("attention").classes.bias
    bias.assign(np.where(np.arange(len(ALPHABET) + 1) == 2, 20.0, 0.0))
    model_file.save(network, described, tmp_path / "model.keras")
    for decoder in ("greedy", "beam"):
        reading = next(Reader(str(tmp_path / "model.keras"), decoder).read([np.zeros((32, 96), np.uint8)]))
        assert reading.text == ALPHABET[1] * described.longest
        assert reading.probability < 1e-3


def test_an_attention_beam_finds_what_enumeration_finds() -> None:
    described = replace(config("vgg", "bilstm", "attention", "none", "small"), longest=2, alphabet="ab")
    import_keras().utils.set_random_seed(3)
    network = build(described)
    image = wide(1)[0]
    texts = [text for length in range(3) for text in itertools.product((1, 2), repeat=length)]
    labels = np.array([[*text, *[0] * (2 - len(text))] for text in texts], np.int32)
    logits = network.predict_on_batch([np.repeat(image, len(texts), 0), labels]).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    # The end after two characters has the probability of the network, not less.
    chances = {
        text: np.exp(sum(row[place, c] for place, c in enumerate([*text, 0])))
        for text, row in zip(texts, logs, strict=True)
    }
    decoder = decoder_of(network, described)
    found = decoder.decode(decoder.outputs(image), "beam", 7, 7)[0]
    assert {decoded.numbers for decoded in found} == set(texts)
    for decoded in found:
        assert decoded.probability == pytest.approx(chances[decoded.numbers], rel=1e-3)


@pytest.mark.parametrize("pattern", ["ab?", "[^a].", "b{3}|aba", "(ab)*a"])
def test_an_attention_beam_with_a_pattern_finds_what_enumeration_finds(pattern: str) -> None:
    described = replace(config("vgg", "bilstm", "attention", "none", "small"), longest=3, alphabet="ab")
    import_keras().utils.set_random_seed(4)
    network, image = build(described), wide(1)[0]
    decoder = decoder_of(network, described)
    outputs = decoder.outputs(image)
    every = {text.numbers: text for text in decoder.decode(outputs, "beam", 15, 15)[0]}
    assert len(every) == 15
    allowed = Constraint(pattern=pattern).automaton("ab")
    assert allowed is not None
    expected = {numbers: text.probability for numbers, text in every.items() if allowed.accepts(numbers)}
    found = decoder.decode(outputs, "beam", 15, 15, allowed)[0]
    assert {text.numbers for text in found} == set(expected)
    for text in found:
        assert text.probability == pytest.approx(expected[text.numbers], rel=1e-3)
    # A beam of one finds an allowed text, too.
    (greedy,) = decoder.decode(outputs, "greedy", 10, 1, allowed)[0]
    assert allowed.accepts(greedy.numbers)


def test_an_attention_beam_is_split_to_save_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    described = replace(config("vgg", "bilstm", "attention", "none", "small"), longest=3)
    run, sizes = of_keras(HEADS["attention"].parts(build(described), described)), list[int]()

    def watched(inputs: Mapping[str, NDArray[Any]], names: Sequence[str]) -> list[NDArray[Any]]:
        if "characters" in inputs:
            sizes.append(len(inputs["characters"]))
        return run(inputs, names)

    decoder = decoding.decoder_of(watched, described)
    outputs = decoder.outputs(np.concatenate([wide(number)[0] for number in range(5)]))
    whole = decoder.decode(outputs, "beam", 4, 2)
    sizes.clear()
    monkeypatch.setattr("crnn_reader.decoding.attention.BEAM_BYTES", 1)
    parts = decoder.decode(outputs, "beam", 4, 2)
    assert set(sizes) == {4}, "the texts of one picture at a time"
    for cut, together in zip(parts, whole, strict=True):
        assert [text.numbers for text in cut] == [text.numbers for text in together]


def test_both_heads_respect_a_constraint(tmp_path: Path) -> None:
    described = config("vgg", "bilstm", "joint", "none", "small")
    model_file.save(build(described), described, tmp_path / "model.keras")
    known, sources = Constraint("2-3", "b-d"), [np.zeros((32, 96), np.uint8)] * 3
    for head in ("ctc", "attention"):
        for reading in Reader(str(tmp_path / "model.keras"), head=head, constraint=known, top=2).read(sources):
            assert len(reading.alternatives) == 2
            assert all(re.fullmatch("[b-d]{2,3}", text) and 0 <= p <= 1 for text, p in reading.alternatives)
    too_long = Constraint(str(described.longest + 1))
    with pytest.raises(UserError, match=f"at most {described.longest} characters, and the constraint needs"):
        Reader(str(tmp_path / "model.keras"), head="attention", constraint=too_long)
    # More characters than columns.
    readings = Reader(str(tmp_path / "model.keras"), head="ctc", constraint=Constraint("90")).read(sources)
    assert {reading.error for reading in readings} == {"no text that satisfies the constraint fits into this picture"}


@pytest.mark.parametrize(
    ("network", "size", "classes", "millions", "steps"),
    [
        # CRNN-Keras: 32 columns at 128x64; about 7.4 million parameters with LSTM, 7.0 with GRU, at 63 classes. The
        # recurrent layers here sum their directions as there, and keep Keras 3's biases.
        ("vgg_bilstm", (128, 64), 63, 7.4, 32),
        ("vgg_bigru", (128, 64), 63, 7.0, 32),
        # arXiv 1507.05717: 8.3 million parameters at 37 classes, 26 columns.
        ("crnn_bilstm", (100, 32), 37, 8.3, 26),
        # arXiv 1904.01906 counts 44.3 million in this backbone by itself.
        ("resnet_bilstm", (100, 32), 37, 47.0, 26),
        # attention_ocr sees 72 columns of 150x600.
        ("inception_bilstm", (600, 150), 100, None, 72),
    ],
)
def test_base_is_the_published_network(
    network: str, size: tuple[int, int], classes: int, millions: float | None, steps: int
) -> None:
    backbone, sequence = network.split("_")
    alphabet = "".join(map(chr, range(ord("!"), ord("!") + classes - 1)))
    described = config(backbone, sequence, "ctc", "none", "base")
    net = build(replace(described, width=size[0], height=size[1], alphabet=alphabet))
    assert columns(net) == steps
    assert net.output_shape == (None, steps, classes)
    if millions is not None:
        assert net.count_params() / 1e6 == pytest.approx(millions, rel=0.08)


def test_a_network_trained_in_bfloat16_is_saved_in_float32(tmp_path: Path) -> None:
    described = config("vgg", "bilstm", "attention", "tps", "small")
    with precision("mixed_bfloat16"):
        network = build(described)
    assert any(layer.compute_dtype == "bfloat16" for layer in network.layers)
    model_file.save(network, described, tmp_path / "model.keras")
    opened, _ = model_file.load(tmp_path / "model.keras")
    assert {layer.compute_dtype for layer in opened.layers if layer.weights} == {"float32"}
    for kept, built in zip(opened.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, built)


# test_devices.py trains such networks in graph mode.
@pytest.mark.usefixtures("eager")
def test_attention_trains_in_bfloat16_with_scheduled_sampling() -> None:
    described = config("vgg", "bigru", "joint", "affine", "small")
    with precision("mixed_bfloat16"):
        network = build(described)
    head, (images, labels, _) = HEADS["joint"], wide(8)
    network.compile("adam", head.loss(described), jit_compile=jit_compile())
    head.schedule(network, 1.0)
    for _ in range(3):
        loss = network.train_on_batch([images, labels], head.targets(labels))
    assert np.isfinite(loss).all()


def test_tensorflow_prints_nothing_when_it_is_imported_for_a_seed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On other backends, keras.utils.set_random_seed imports it; its C++ code writes to the file descriptor."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    seeds: list[int] = []
    monkeypatch.setattr(
        import_keras().utils, "set_random_seed", lambda seed: seeds.append(seed + 0 * os.write(2, b"I"))
    )
    set_random_seed(3)
    assert seeds == [3]
    assert capfd.readouterr().err == ""
