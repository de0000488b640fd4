"""One contract for every network: whatever stands in the registries builds, learns, is kept and reads."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from model import model_file
from model.backbones import BACKBONES
from model.heads import HEADS
from model.model_file import Card
from model.network import build, import_keras, jit_compile, precision
from model.reader import Reader
from model.sequences import SEQUENCES
from parameter import TrainingParameters
from tests.model.striped import ALPHABET, HEIGHT, WIDTH, striped

COMBINATIONS = list(itertools.product(BACKBONES, SEQUENCES, HEADS, ("small", "base")))


def card(backbone: str, sequence: str, head: str, preset: str) -> Card:
    return Card(
        network=f"{backbone}_{sequence}",
        preset=preset,
        head=head,
        alphabet=ALPHABET,
        width=WIDTH,
        height=HEIGHT,
        channels=1,
        fit="stretch",
    )


@pytest.mark.parametrize(("backbone", "sequence", "head", "preset"), COMBINATIONS)
def test_learns_a_few_pictures_by_heart_and_reads_them_from_its_file(
    backbone: str, sequence: str, head: str, preset: str, tmp_path: Path
) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(0)
    described = card(backbone, sequence, head, preset)
    network = build(described)
    images, labels, texts = striped(8)
    network.compile(keras.optimizers.Adam(3e-3), HEADS[head].loss(), jit_compile=jit_compile())
    first = network.train_on_batch(images, labels)
    for _ in range(40):
        last = network.train_on_batch(images, labels)
    assert last < first / 10

    # Batch statistics, as in training: so few steps do not settle the moving ones that reading uses.
    outputs = np.asarray(keras.ops.convert_to_numpy(network(images, training=True)))
    decoded = HEADS[head].decode(outputs, "greedy", 1, 1)
    assert ["".join(ALPHABET[n - 1] for n in best[0].numbers) for best in decoded] == texts

    model_file.save(network, described, tmp_path / "model.keras")
    reader = Reader(str(tmp_path / "model.keras"))
    assert reader.card == described
    np.testing.assert_allclose(
        np.exp(reader.outputs(images)), np.exp(network.predict_on_batch(images)), atol=1e-4, err_msg="reads differently"
    )


def test_the_flags_offer_what_the_registries_hold() -> None:
    flags = TrainingParameters.model_fields
    networks = {"_".join(stages) for stages in itertools.product(BACKBONES, SEQUENCES)}
    assert set(get_args(flags["network"].annotation)) == networks
    assert set(get_args(flags["head"].annotation)) == set(HEADS)


def test_base_is_the_published_network() -> None:
    # CRNN-Keras: 32 columns at 128x64; about 7.4 million parameters with LSTM, 7.0 with GRU, at 63 classes. The
    # recurrent layers here sum their directions as there, and keep Keras 3's biases.
    alphabet = "".join(map(chr, range(ord("A"), ord("A") + 62)))
    sizes = {}
    for network in ("vgg_bilstm", "vgg_bigru"):
        net = build(
            Card(
                network=network,
                preset="base",
                head="ctc",
                alphabet=alphabet,
                width=128,
                height=64,
                channels=1,
                fit="stretch",
            )
        )
        assert net.output_shape == (None, 32, 63)
        sizes[network] = net.count_params() / 1e6
    assert sizes["vgg_bilstm"] == pytest.approx(7.4, abs=0.6)
    assert sizes["vgg_bigru"] == pytest.approx(7.0, abs=0.6)


def test_a_network_trained_in_bfloat16_is_kept_in_float32(tmp_path: Path) -> None:
    described = card("vgg", "bilstm", "ctc", "small")
    with precision("mixed_bfloat16"):
        network = build(described)
    assert network.layers[2].compute_dtype == "bfloat16"
    model_file.save(network, described, tmp_path / "model.keras")
    opened, _ = model_file.load(tmp_path / "model.keras")
    assert {layer.compute_dtype for layer in opened.layers} == {"float32"}
    for kept, trained in zip(opened.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, trained)
