"""The model file: written atomically, refused if damaged, and used as the start of another training."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from crnn_reader import model_files
from crnn_reader.config import CONFIG_ENTRY, ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.model_files import locate_model, open_model, read_config
from crnn_reader.pixels import convert_channels
from model import model_file
from model.model_file import SHIPPED
from model.network import COLUMNS, build
from model.training.transfer import average, transfer
from tests.model.striped import HEIGHT, WIDTH
from tests.processes import finished

ROOT = Path(__file__).parents[2]

CONFIG = ModelConfig(
    network="vgg_bilstm", preset="small", head="ctc", alphabet="abc", width=WIDTH, height=HEIGHT, channels=1, fit="pad"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model_file.save(build(CONFIG), CONFIG, path)
    return path


def test_the_config_is_read_without_keras(written: Path) -> None:
    assert read_config(written) == CONFIG


def test_keras_itself_opens_the_file(written: Path) -> None:
    import keras

    assert keras.saving.load_model(written, safe_mode=True).output_shape == (None, WIDTH // 4, 4)


def test_saving_leaves_no_folder_behind_even_if_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary folders are created only beside the file, where later runs remove them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    model_file.save(build(CONFIG), CONFIG, tmp_path / "model.keras")
    assert read_config(tmp_path / "model.keras") == CONFIG
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]
    assert tempfile.gettempdir() == str(tmp_path / "gone")


def test_without_keras_the_error_names_another_file(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.backend.find_spec", lambda name: None)
    (tmp_path / "mine.keras").write_bytes(written.read_bytes())
    with pytest.raises(
        UserError, match=r"mine\.keras needs Keras, .* run python export\.py .*mine\.keras --out .*mine\.onnx"
    ):
        open_model(tmp_path / "mine.keras", CONFIG)
    (tmp_path / "mine.onnx").touch()
    with pytest.raises(UserError, match=r"mine\.keras needs Keras, which is not installed: give .*mine\.onnx"):
        open_model(tmp_path / "mine.keras", CONFIG)


def test_a_file_is_found_by_path_run_folder_or_shipped_name(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locate_model(str(written)) == written
    assert locate_model(str(written.parent)) == written
    monkeypatch.setattr(model_files, "WEIGHTS", [tmp_path])
    (tmp_path / "mine.keras").write_bytes(written.read_bytes())
    assert locate_model("mine") == tmp_path / "mine.keras"
    with pytest.raises(UserError, match=r"no model file thine: .*\(mine\)"):
        locate_model("thine")
    with pytest.raises(UserError, match=r"is a folder without a model\.keras"):
        locate_model(str(tmp_path))
    for name, sentence in (("mine.tflite", "is for LiteRT"), ("mine.h5", "is not a model file that this kit reads")):
        (tmp_path / name).touch()
        with pytest.raises(UserError, match=f"{name} {sentence}"):
            locate_model(str(tmp_path / name))


def with_config(written: Path, path: Path, config: object) -> Path:
    """A copy of a model file with another config."""
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, json.dumps(config) if name == CONFIG_ENTRY else old.read(name))
    return path


def test_a_newer_file_needs_a_newer_kit(written: Path, tmp_path: Path) -> None:
    newer = asdict(CONFIG) | {"format": 99, "kit_version": "9.1", "unheard_of": 1}
    with pytest.raises(UserError, match=r"written by crnn-kit 9\.1 in format 99.*update"):
        model_file.load(with_config(written, tmp_path / "m.keras", newer))


@pytest.mark.parametrize("config", [{"network": "vgg_bilstm"}, asdict(CONFIG) | {"width": 0}, ["no", "config"]])
def test_a_damaged_config_is_refused(written: Path, tmp_path: Path, config: object) -> None:
    with pytest.raises(UserError, match=r"m\.keras.*damaged"):
        read_config(with_config(written, tmp_path / "m.keras", config))


def test_other_files_are_refused(written: Path, tmp_path: Path) -> None:
    picture, foreign, short = tmp_path / "a.png", tmp_path / "b.keras", tmp_path / "c.keras"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("config.json", "{}")
    short.write_bytes(written.read_bytes()[:1000])
    # A bit of the compression method of the config, in the directory at the end.
    flipped, data = tmp_path / "d.keras", bytearray(written.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(CONFIG_ENTRY.encode()))
    data[entry + 10] |= 64
    flipped.write_bytes(data)
    for path, reason in (
        (flipped, "not a model file"),
        (picture, "not a model file"),
        (foreign, "not written by this kit"),
        (short, "not a model file"),
    ):
        with pytest.raises(UserError, match=reason):
            model_file.load(path)


def test_damaged_weights_are_refused(written: Path, tmp_path: Path) -> None:
    broken = tmp_path / "m.keras"
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[:500] if name.endswith(".h5") else old.read(name))
    with pytest.raises(UserError, match="cannot be opened"):
        model_file.load(broken)


def test_a_failing_write_leaves_the_old_file(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"old")
    network = build(CONFIG)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        model_file.save(network, CONFIG, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_known_characters_keep_their_weights_in_a_larger_alphabet_and_another_width(written: Path) -> None:
    config = replace(CONFIG, alphabet="xcab", width=2 * WIDTH)
    network = build(config)
    sentence = transfer(str(written), network, config)
    assert "3 of 4 characters" in sentence
    old, _ = model_file.load(written)
    # Blank, c, a, b of the new alphabet are 0, 3, 1, 2 in the old one.
    for before, after in zip(
        old.get_layer("classes").get_weights(), network.get_layer("classes").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(after[..., [0, 2, 3, 4]], before[..., [0, 3, 1, 2]])
    np.testing.assert_array_equal(network.layers[2].get_weights()[0], old.layers[2].get_weights()[0])


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_grey_pictures_read_the_same_after_a_change_of_colour(
    before: Literal[1, 3], after: Literal[1, 3], tmp_path: Path
) -> None:
    old_config, new_config = (replace(CONFIG, channels=channels) for channels in (before, after))
    old, new = build(old_config), build(new_config)
    # The outputs of an untrained network hardly depend on the picture.
    old.set_weights([3 * weights for weights in old.get_weights()])
    model_file.save(old, old_config, tmp_path / "old.keras")
    transfer(str(tmp_path / "old.keras"), new, new_config)
    # Values of blue whose grey (0.114 times blue) is nearly an integer, so that rounding hardly matters.
    blues = np.array([0, 35, 79, 114, 149, 193, 228], np.uint8)
    colourful = np.zeros((4, HEIGHT, WIDTH, 3), np.uint8)
    colourful[..., 2] = np.random.default_rng(0).choice(blues, (4, HEIGHT, WIDTH))
    grey = np.stack([convert_channels(image, 1) for image in colourful])
    # A network for grey pictures sees coloured ones as grey, and the other way round.
    of_old = grey if before == 1 else np.repeat(grey, 3, -1)
    of_new = grey if after == 1 else colourful
    np.testing.assert_allclose(old(of_old), new(of_new), atol=0.1)


@pytest.mark.parametrize(
    "changed", [{"head": "attention"}, {"head": "joint"}, {"rectify": "tps"}, {"preset": "plate", "width": None}]
)
def test_another_head_a_new_rectifier_and_more_layers_do_not_change_the_columns(
    changed: dict[str, Any], written: Path
) -> None:
    config = replace(CONFIG, **changed)
    network = build(config)
    assert "3 of 3 characters" in transfer(str(written), network, config)
    images = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH, 1), dtype=np.uint8)
    before, after = (columns_of(either, images) for either in (model_file.load(written)[0], network))
    assert before.std() > 0
    np.testing.assert_allclose(after, before, atol=1e-3 * before.std())


@pytest.mark.parametrize(
    ("preset", "start", "height"),
    [
        ("small", "small", 3 * HEIGHT),
        ("plate", "small", 3 * HEIGHT),
        ("small", "small", HEIGHT // 2),
        ("lite", "lite", 48),
    ],
)
def test_weights_of_another_height_see_the_same_columns(preset: str, start: str, height: int, tmp_path: Path) -> None:
    """The pictures have vertical stripes. Only rows at the edges differ, because they see zeros beside them."""
    written = tmp_path / "start.keras"
    model_file.save(build(replace(CONFIG, preset=start)), replace(CONFIG, preset=start), written)
    config = replace(CONFIG, height=height, preset=preset)
    network = build(config)
    transfer(str(written), network, config)
    stripes = np.random.default_rng(0).integers(0, 256, (4, 1, WIDTH, 1), dtype=np.uint8)
    before = columns_of(model_file.load(written)[0], stripes.repeat(HEIGHT, axis=1))
    after = columns_of(network, stripes.repeat(config.height, axis=1))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9


def test_an_average_is_the_mean_of_the_weights(written: Path, tmp_path: Path) -> None:
    """Layers that one network lacks count as the identity, and its unknown characters as those of the first."""
    config = replace(CONFIG, preset="plate", alphabet="xabc")
    network = build(config)
    network.set_weights([weights + 0.5 for weights in network.get_weights()])
    model_file.save(network, config, tmp_path / "first.keras")
    mean, mean_config = average(str(tmp_path / "first.keras"), [str(written)])
    assert mean_config == config
    other = model_file.load(written)[0]
    first, both = (dict(enumerate(layer for layer in each.layers if layer.weights)) for each in (network, mean))
    second = [layer for layer in other.layers if layer.weights]
    # The convolution of 64 features and the sequence are in both networks.
    for place, of_other in ((2, 2), (34, 10)):
        for weights in zip(
            *(layer.get_weights() for layer in (first[place], second[of_other], both[place])), strict=True
        ):
            np.testing.assert_allclose(weights[2], (weights[0] + weights[1]) / 2, rtol=1e-5)
    # The residual blocks after it are only in one. Their last normalisation has half its scale, so they add half.
    for place in (4, 8):
        for layer in range(place, place + 3):
            for mean_weights, weights in zip(both[layer].get_weights(), first[layer].get_weights(), strict=True):
                np.testing.assert_array_equal(mean_weights, weights)
        np.testing.assert_allclose(both[place + 3].gamma, first[place + 3].gamma / 2)
        np.testing.assert_allclose(both[place + 3].beta, first[place + 3].beta / 2)
    classes, known, averaged = (each.get_layer("classes").get_weights()[0] for each in (network, other, mean))
    np.testing.assert_array_equal(averaged[:, 1], classes[:, 1])
    np.testing.assert_allclose(averaged[:, 2:], (classes[:, 2:] + known[:, 1:]) / 2, rtol=1e-5)


def test_an_attention_decoder_starts_from_the_character_weights_of_ctc(written: Path) -> None:
    config = replace(CONFIG, head="attention", alphabet="b" + CONFIG.alphabet.replace("b", "") + "x")
    network = build(config)
    transfer(str(written), network, config)
    aligned = model_file.load(written)[0].get_layer("classes").kernel.numpy()
    decoder = network.get_layer("attention")
    of_columns = decoder.classes.kernel.numpy()[decoder.units :]
    for number, character in enumerate(config.alphabet[:-1], 1):
        np.testing.assert_array_equal(of_columns[:, number], aligned[:, CONFIG.alphabet.index(character) + 1])
    # Class 0 is the blank in CTC and the end in attention, so it is not copied.
    assert not np.isclose(of_columns[:, 0], aligned[:, 0]).any()


def columns_of(network: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    import keras

    given = {"images": images, "widths": np.full(len(images), WIDTH, np.int32)}
    inputs = [tensor for tensor in network.inputs if tensor.name in given]
    columns = keras.Model(inputs, network.get_layer(COLUMNS).output)
    return np.asarray(columns.predict_on_batch([given[tensor.name] for tensor in inputs]))


@pytest.mark.parametrize("name", [file.stem for file in SHIPPED.glob("*.keras")])
def test_a_training_can_start_from_all_shipped_weights(name: str) -> None:
    config = replace(read_config(SHIPPED / f"{name}.keras"), head="joint", width=160)
    assert f"{len(config.alphabet)} of {len(config.alphabet)} characters known" in transfer(name, build(config), config)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"network": "vgg_bigru"}, "network vgg_bilstm instead of vgg_bigru"),
        ({"preset": "lite"}, "preset small instead of lite"),
        ({"preset": "plate", "rectify": "tps"}, "rectify none instead of tps"),
    ],
)
def test_weights_of_other_stages_are_refused(changed: dict[str, Any], reason: str, written: Path) -> None:
    config = replace(CONFIG, **changed)
    with pytest.raises(UserError, match=f"has {reason}: use"):
        transfer(str(written), build(config), config)


@pytest.mark.parametrize(("name", "meant"), [("captca", "captcha"), ("captcha-lite", "captcha_lite")])
def test_a_similar_name_is_suggested(name: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"no model file {name}: did you mean {meant}\\?"):
        locate_model(name)


def test_a_folder_without_a_model_is_not_suggested_for_itself(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(UserError) as caught:
        locate_model(str(tmp_path / "pictures"))
    assert "did you mean" not in str(caught.value)


def test_programs_of_version_0_1_find_the_reader(written: Path) -> None:
    story = "import sys; from model.reader import Reader; print(Reader(sys.argv[1]).read_one(sys.argv[2]).error)"
    sample = next((ROOT / "DB" / "samples").glob("*.png"))
    done = finished([sys.executable, "-c", story, written, sample], cwd=ROOT, check=True)
    assert done.stdout == "None\n"
