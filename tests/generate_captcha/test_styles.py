"""Contract tests of all styles, and tests of single ones."""

from __future__ import annotations

import random
import secrets
from pathlib import Path

import captcha.image
import numpy as np
import pytest

import parameter
from crnn_reader.errors import UserError
from generate_captcha import style_of
from generate_captcha.corpus import picture_path
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import TextStyle
from generate_captcha.styles import NAMES
from parameter import GenerateParameters

#: Styles that draw any text; that of a plate comes from its layout.
TEXTS = [name for name, style in parameter.STYLES.items() if style.draws_any_text]
SIZES = ["128x64", "70x30", "150x40", "24x12", "61x200"]


def parameters(style: str, **others: object) -> GenerateParameters:
    short: dict[str, object] = {"length": "4"} if style in TEXTS else {}
    return GenerateParameters(style=style, **(short | others))  # type: ignore[arg-type]


@pytest.mark.parametrize("style", NAMES)
class TestEveryStyle:
    def test_picture_depends_only_on_seed_and_index(self, style: str) -> None:
        one, other = style_of(parameters(style, seed=5)), style_of(parameters(style, seed=5))
        forwards = [one.picture(index) for index in range(6)]
        backwards = [other.picture(index) for index in reversed(range(6))][::-1]
        for (image, label), (again, same) in zip(forwards, backwards, strict=True):
            assert label == same
            np.testing.assert_array_equal(image, again)
        assert len({image.tobytes() for image, _ in forwards}) == 6

    def test_other_seed_gives_other_pictures(self, style: str) -> None:
        one, other = style_of(parameters(style, seed=1)), style_of(parameters(style, seed=2))
        if parameter.STYLES[style].labelled:
            assert [one.label(index) for index in range(8)] != [other.label(index) for index in range(8)]
        assert one.picture(0)[0].tobytes() != other.picture(0)[0].tobytes()

    def test_labels_are_empty_only_if_there_is_nothing_to_read(self, style: str) -> None:
        made = style_of(parameters(style))
        labels = [made.label(index) for index in range(20)]
        assert made.picture(3)[1] == labels[3]
        if parameter.STYLES[style].labelled:
            assert all(labels) and made.alphabet
        else:
            assert not any(labels) and not made.alphabet and made.longest == 0

    def test_distortion_changes_the_letters(self, style: str) -> None:
        straight, bent = (
            style_of(parameters(style, distortion=distortion, noise=0, size="128x64")) for distortion in (0, 1)
        )
        assert straight.label(3) == bent.label(3)
        # A single line may be straight by chance.
        assert any((straight.picture(index)[0] != bent.picture(index)[0]).any() for index in range(5))

    def test_grey_is_grey_and_colour_is_not(self, style: str) -> None:
        grey, colour = (style_of(parameters(style, colour=colour)) for colour in ("grey", "colour"))
        assert max(np.ptp(grey.picture(index)[0], axis=2).max() for index in range(5)) == 0
        assert max(np.ptp(colour.picture(index)[0], axis=2).max() for index in range(5)) > 20


@pytest.mark.parametrize("style", TEXTS)
class TestEveryTextStyle:
    @pytest.mark.parametrize("size", SIZES)
    def test_pictures_have_the_requested_size_and_are_not_empty(self, style: str, size: str) -> None:
        width, height = map(int, size.split("x"))
        for index in range(3):
            image, _ = style_of(parameters(style, size=size)).picture(index)
            assert image.shape == (height, width, 3)
            assert image.dtype == np.uint8
            assert image.std() > 5

    def test_labels_have_the_requested_lengths_and_characters(self, style: str) -> None:
        made = style_of(parameters(style, length="3-5", alphabet="äöü0-9"))
        labels = [made.label(index) for index in range(300)]
        assert {len(label) for label in labels} == {3, 4, 5}
        assert set("".join(labels)) == set("äöü0123456789")
        assert made.picture(7)[1] == labels[7]

    def test_noise_adds_marks(self, style: str) -> None:
        # Without noise, only the label differs from the plain background.
        def marked(noise: float) -> float:
            made = style_of(parameters(style, noise=noise, alphabet="1", length="1", size="300x60", distortion=0))
            images = [made.picture(index)[0].astype(int) for index in range(12)]
            return float(np.mean([abs(image - np.median(image, axis=(0, 1))).max(axis=2) > 24 for image in images]))

        none, usual, much = marked(0), marked(1), marked(3)
        assert 0 < none < usual < much

    def test_picture_without_noise_and_distortion_has_only_letters(self, style: str) -> None:
        # Backgrounds depend on the difficulty.
        even = {"difficulty": 0} if "difficulty" in parameter.STYLES[style].own else {}
        made = style_of(parameters(style, noise=0, distortion=0, length="1", alphabet="I", size="400x60", **even))
        image = made.picture(0)[0].astype(int)
        inked = np.flatnonzero((abs(image - np.median(image, axis=(0, 1))).max(axis=2) > 24).any(axis=0))
        assert np.ptp(inked) < 60

    def test_error_names_font_and_missing_character(self, style: str) -> None:
        with pytest.raises(UserError, match=r"font \S+\.ttf lacks the character '漢' \(U\+6F22\)"):
            style_of(parameters(style, alphabet="0-9漢"))

    def test_combining_mark_in_alphabet_is_refused(self, style: str) -> None:
        with pytest.raises(
            UserError,
            match=r"the alphabet contains '\u0301', which (cannot be drawn by itself|must follow another character)",
        ):
            style_of(parameters(style, alphabet="0-9\u0301"))

    def test_own_fonts_are_used(self, style: str, tmp_path: Path) -> None:
        usual = style_of(parameters(style))
        tmp_path.joinpath("Own.TTF").write_bytes(_serif().read_bytes())
        own = style_of(parameters(style, fonts=str(tmp_path)))
        assert [font.name for font in own.fonts] == ["Own.TTF"]
        # The usual fonts include this one.
        assert any(own.picture(index)[0].tobytes() != usual.picture(index)[0].tobytes() for index in range(4))


def _serif() -> Path:
    from generate_captcha.text import fonts

    return fonts.packaged_font("DejaVuSerif.ttf")


def test_captcha_and_secrets_are_unchanged_for_others() -> None:
    before = {name: getattr(secrets, name) for name in ("choice", "randbelow", "randbits")}
    made = style_of(parameters("captcha"))
    made.picture(0)
    assert captcha.image.secrets is secrets
    assert {name: getattr(secrets, name) for name in before} == before
    random.seed(1)
    expected = random.random()
    random.seed(1)
    made.picture(1)
    assert random.random() == expected
    painter = captcha.image.ImageCaptcha(128, 64)
    assert painter.generate_image("AB").tobytes() != painter.generate_image("AB").tobytes()


def test_optimisations_of_style_captcha_change_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    made, package = style_of(parameters("captcha")), captcha.image.ImageCaptcha(128, 64)
    assert isinstance(made, TextStyle)
    equal = 0
    for seed in range(60):
        with monkeypatch.context() as patch:
            patch.setattr(captcha.image, "secrets", SeededRandom(seed))
            theirs = np.asarray(package.generate_image("A8k"[seed % 3]))
        equal += np.array_equal(made.draw("A8k"[seed % 3], SeededRandom(seed)), theirs)
    # Half of the letters have a space before them, which takes fewer random numbers here, so these pictures differ.
    assert 20 <= equal <= 40


def test_style_captcha_agrees_with_the_package_on_average() -> None:
    made, package = style_of(parameters("captcha", alphabet="8")), captcha.image.ImageCaptcha(128, 64)
    ours = np.array([made.picture(index)[0].mean() for index in range(300)])
    theirs = np.array([np.asarray(package.generate_image("8888")).mean() for _ in range(300)])
    error = np.hypot(ours.std(), theirs.std()) / np.sqrt(300)
    assert abs(ours.mean() - theirs.mean()) < 5 * error


def test_seeded_random() -> None:
    rng = SeededRandom("x")
    assert {rng.randbelow(3) for _ in range(100)} == {0, 1, 2}
    assert all(0 <= rng.randbits(8) < 256 for _ in range(100))
    assert {rng.choice("ab") for _ in range(100)} == {"a", "b"}
    assert {rng.round_randomly(1.25) for _ in range(100)} == {1, 2}
    assert {rng.round_randomly(2.0) for _ in range(100)} == {2}
    assert 1.15 < sum(rng.round_randomly(1.25) for _ in range(4000)) / 4000 < 1.35


def test_path_of_a_picture() -> None:
    places = {index: str(picture_path(Path("DB"), "aB3x", index)) for index in (0, 9_999, 10_000, 1_234_567)}
    assert places == {
        0: "DB/aB3x_000000.png",
        9_999: "DB/aB3x_009999.png",
        10_000: "DB/0001/aB3x_010000.png",
        1_234_567: "DB/0123/aB3x_1234567.png",
    }


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (None, "there is no folder .*: give one with .ttf"),
        ({"readme.txt": b""}, r"has no \.ttf, \.otf or \.ttc file"),
        ({"broken.ttf": b"not a font at all"}, r"broken\.ttf is not a font"),
        ({"empty.otf": b""}, r"empty\.otf is not a font"),
    ],
)
def test_folder_without_usable_fonts_is_refused(files: dict[str, bytes] | None, sentence: str, tmp_path: Path) -> None:
    folder = tmp_path / "fonts"
    if files is not None:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        style_of(parameters("lines", fonts=str(folder)))


@pytest.mark.parametrize("style", ["captcha", "line"])
def test_characters_have_the_frequencies_of_their_file(style: str, tmp_path: Path) -> None:
    file = tmp_path / "characters.txt"
    file.write_text("A\t600\nB\t300\nC\t100\n", encoding="utf-8")
    drawn = style_of(parameters(style, alphabet=str(file), length="5"))
    text = "".join(drawn.label(index) for index in range(600))
    # With 3,000 characters, the standard deviation of a relative frequency is below 0.01.
    assert [text.count(character) / len(text) for character in "ABC"] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    file.write_text("A\t1\nB\t1\nC\t1\n", encoding="utf-8")
    assert style_of(parameters(style, alphabet=str(file), length="5")).record() != drawn.record()
