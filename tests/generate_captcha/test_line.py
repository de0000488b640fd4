"""Style `line`: texts from files, any width, any script, legibility."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageDraw, ImageFont, features

from crnn_reader.errors import UserError
from crnn_reader.fit import MAX_WIDTH, fit_image
from generate_captcha import style_of
from generate_captcha.drawing import effects, ink
from generate_captcha.drawing.visibility import stands_out
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.styles.line import Line, PlacedLine
from generate_captcha.text import fonts, typesetting
from generate_captcha.text.fonts import Font
from generate_captcha.text.text_file import TextFile
from parameter import GenerateParameters

LINES = 'The quick brown  fox jumps\tover\n\n  the lazy dog, e\u0301t "cetera" 50 % </b>\n'


def line(**others: object) -> Line:
    short: dict[str, object] = {"size": "128x64", "length": "4"}
    made = style_of(GenerateParameters(style="line", **(short | others)))  # type: ignore[arg-type]
    assert isinstance(made, Line)
    return made


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def labels(style: Line, count: int = 300) -> set[str]:
    return {style.label(index) for index in range(count)}


# Texts


def test_labels_are_words_of_the_file(tmp_path: Path) -> None:
    text = written(tmp_path / "text.txt", LINES)
    pieces = labels(line(text=text, length="5-12", size="200x32"), 600)
    assert {"The quick", "quick brown", "brown fox", "jumps over", "the lazy", "lazy dog, ét", '"cetera" 50'} <= pieces
    for piece in pieces:
        assert 5 <= len(piece) <= 12
        assert unicodedata.is_normalized("NFC", piece)
        # Whole words, all from one line of the file.
        assert any(
            f" {piece} " in f" {' '.join(whole.split())} " for whole in LINES.replace("e\u0301", "é").split("\n")
        )


def test_unspaced_scripts_are_cut_between_any_characters(tmp_path: Path) -> None:
    pieces = TextFile(written(tmp_path / "text.txt", "天地玄黄宇宙洪荒\nที่นี่"), 2, 4, None)
    found = {pieces.piece(SeededRandom(seed)) for seed in range(600)}
    chinese = "天地玄黄宇宙洪荒"
    assert {chinese[i : i + n] for n in (2, 3, 4) for i in range(len(chinese) - n + 1)} <= found
    thai = {piece for piece in found if piece[0] not in chinese}
    assert thai == {"ที่", "นี่"}


def test_marks_and_punctuation_stay_with_their_character(tmp_path: Path) -> None:
    text = written(tmp_path / "text.txt", "น้ำตกเทศะ\n光临，人民币《红楼梦》。")
    pieces = TextFile(text, 2, 6, None)
    found = {pieces.piece(SeededRandom(seed)) for seed in range(600)}
    assert {"น้ำ", "น้ำตก", "เทศะ", "光临，", "《红楼梦》。"} <= found
    assert not {piece for piece in found if piece[0] in "ำะ้，》。" or piece[-1] in "เ《" or piece == "น้"}


def test_pieces_contain_only_characters_of_the_alphabet(tmp_path: Path) -> None:
    text = written(tmp_path / "text.txt", "pay 12.50 at 5€ or 7 9 now")
    assert labels(line(text=text, length="1-5", alphabet="0-9. ")) == {"12.50", "7", "9", "7 9"}
    assert line(text=text, length="1-5").alphabet == " .012579anoprtwy€"


def test_frequent_words_are_frequent(tmp_path: Path) -> None:
    style = line(text=written(tmp_path / "text.txt", "often often often seldom"), length="5-6")
    often = sum(style.label(index) == "often" for index in range(1000))
    assert 690 < often < 810


@pytest.mark.parametrize(
    ("content", "others", "sentence"),
    [
        (b"", {}, "has no text: give a UTF-8 file"),
        (b" \n\n", {}, "has no text: give a UTF-8 file"),
        (b"longer words", {}, "has no piece of 4 characters between spaces: give"),
        (b"four five", {"alphabet": "five "}, None),
        (
            b"four",
            {"alphabet": "0-9"},
            "has no piece of 4 characters between spaces with only characters of the alphabet",
        ),
        (b"\xff", {}, "not UTF-8"),
        ("four 漢漢漢漢".encode(), {}, "lacks the character '漢'"),
    ],
)
def test_files_without_usable_texts_are_refused(
    content: bytes, others: dict[str, object], sentence: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    if sentence is None:
        assert labels(line(text=str(path), **others)) == {"five"}
    else:
        with pytest.raises(UserError, match=sentence):
            line(text=str(path), **others)


def test_random_texts_have_spaces_only_between_letters() -> None:
    for label in labels(line(alphabet="A ", length="1-6")):
        assert label == " ".join(label.split())
    with pytest.raises(UserError, match="the alphabet has no visible character"):
        line(alphabet=" ")


# Legibility


def scene(ink: int, ground: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw three bars, like letters. Returns the image and the mask of the ink."""
    mask = np.zeros((32, 96), np.uint8)
    for left in (14, 46, 78):
        mask[8:24, left : left + 4] = 255
    grey = np.where(mask > 0, ink, ground) + np.random.default_rng(0).normal(0, noise, mask.shape)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2), mask


def test_ink_must_stand_out_from_background() -> None:
    assert stands_out(*scene(20, 230), 32)
    assert stands_out(*scene(230, 20), 32)
    assert stands_out(*scene(100, 150), 32)
    assert not stands_out(*scene(150, 150), 32)
    assert not stands_out(*scene(135, 150), 32), "too faint"
    assert stands_out(*scene(100, 150, noise=10), 32)
    assert not stands_out(*scene(100, 150, noise=60), 32), "lost in noise"


def test_each_letter_must_stand_out() -> None:
    image, mask = scene(20, 230)
    image[:, 40:60] = 230
    assert not stands_out(image, mask, 32), "the second bar is gone"
    image, mask = scene(20, 230)
    image[:, 64:] = 20
    assert not stands_out(image, mask, 32), "the third bar stands on black"
    assert not stands_out(image, np.zeros_like(mask), 32), "nothing was written"
    assert not stands_out(image, mask, 0.4), "letters smaller than a pixel"


def test_each_half_of_a_letter_must_stand_out() -> None:
    image, mask = scene(20, 230)
    image[16:] = 230
    assert not stands_out(image, mask, 16), "the lower halves are gone"
    image, mask = scene(20, 230)
    image[16:, 46:50] = 230
    assert not stands_out(image, mask, 16), "the lower half of the second bar is gone"


class Watched(Line):
    """Keeps the masks that it paints and the pictures. Every second picture, or every one, loses its contrast."""

    def __init__(self, fading: str = "none", **others: object) -> None:
        super().__init__(GenerateParameters(**{"style": "line", "size": "128x64", "length": "4", **others}))  # type: ignore[arg-type]
        self.fading = fading
        self.masks: list[np.ndarray] = []
        self.painted: list[np.ndarray] = []

    def paint(self, mask: np.ndarray, em: float, difficulty: float, rng: SeededRandom) -> np.ndarray:
        image = super().paint(mask, em, difficulty, rng)
        if self.fading == "all" or (self.fading == "half" and len(self.painted) % 2 == 0):
            image = image // 16 + 120
        self.masks.append(mask)
        self.painted.append(image)
        return image


def test_illegible_picture_is_drawn_again() -> None:
    style = Watched("half", difficulty=0.2)
    image, label = style.picture(0)
    assert len(style.painted) == 2
    np.testing.assert_array_equal(image, style.painted[1])
    assert label == style.label(0)
    # It still depends only on seed and index.
    np.testing.assert_array_equal(style.picture(0)[0], image)


def test_line_that_is_cut_off_is_drawn_again() -> None:
    class Pushed(Line):
        masks: ClassVar[list[np.ndarray]] = []

        def place(self, label: str, difficulty: float, rng: SeededRandom) -> PlacedLine:
            placed = super().place(label, difficulty, rng)
            if not self.masks:
                # Half of the first line's ink is moved beyond the left edge.
                columns = np.flatnonzero(placed.ink.max(axis=0) > 64)
                placed = placed._replace(ink=np.roll(placed.ink, -int(columns.mean()), axis=1))
            self.masks.append(placed.ink)
            return placed

    style = Pushed(GenerateParameters(style="line", size="128x64", length="4", difficulty=0))
    assert style.picture(0)[0].shape == (64, 128, 3)
    assert len(Pushed.masks) == 2


def test_text_that_is_never_legible_is_an_error() -> None:
    with pytest.raises(UserError, match=r"'\w{4}' cannot be drawn legibly in a picture of 128x64"):
        Watched("all").picture(0)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_lines_stay_inside_and_legible(difficulty: float) -> None:
    style = Watched(difficulty=difficulty, distortion=3, size="200x32", length="3-14", alphabet="0-9A-Za-z ")
    for index in range(60):
        style.picture(index)
    for mask in style.masks:
        assert mask.shape == (32, 200)
        assert np.count_nonzero(mask > 100) > 30
    # Most first attempts are legible.
    assert 60 <= len(style.masks) < 120


def placed_lines(count: int, difficulty: float, size: str, alphabet: str) -> list[PlacedLine]:
    style = line(size=size, length="3-14", alphabet=alphabet)
    return [style.place(style.label(index), difficulty, SeededRandom(index)) for index in range(count)]


def test_lines_are_cropped_as_from_a_page() -> None:
    drawn = placed_lines(80, 0.8, "autox32", "0-9A-Za-z ")
    closely = [written for written in drawn if written.closely]
    assert 20 < len(closely) < 60
    for written in closely:
        inside = written.ink[2:-2, 2:-2]
        # Ink from edge to edge, and hardly any outside.
        rows, columns = np.flatnonzero(inside.max(axis=1) > 64), np.flatnonzero(inside.max(axis=0) > 64)
        assert np.ptp(rows) + 1 > 0.6 * inside.shape[0]
        assert np.ptp(columns) > inside.shape[1] - 0.6 * written.em
        assert inside.sum() > 0.8 * written.ink.sum(dtype=int)
    neighbours = [written for written in drawn if written.neighbour is not None and written.neighbour[2:-2].any()]
    assert 3 < len(neighbours) < 40
    for written in neighbours:
        assert written.neighbour is not None
        assert (written.neighbour[2:-2] > 64).sum() < 0.6 * (written.ink > 64).sum()
        # No whole letter is visible, for example beside the end of the line.
        seen = written.neighbour[2:-2] > 64
        assert max(np.ptp(rows) if len(rows := np.flatnonzero(column)) else 0 for column in seen.T) < 0.5 * written.em
        assert not (np.minimum(written.neighbour, written.ink) > 64).any(), "the lines touch"


def test_some_lines_are_dot_matrix_prints() -> None:
    def of_dots(mask: np.ndarray) -> bool:
        """Whether the ink is made of squares of 2 or 3 pixels."""
        for size in (2, 3):
            dots = np.kron(mask[::size, ::size] > 0, np.ones((size, size), bool))
            if np.array_equal(dots[: mask.shape[0], : mask.shape[1]], mask > 0):
                return True
        return False

    assert 5 < sum(of_dots(written.ink) for written in placed_lines(80, 0.8, "autox40", "0-9A-Z")) < 40
    assert not any(of_dots(written.ink) for written in placed_lines(20, 0.0, "autox40", "0-9A-Z"))


def bars() -> np.ndarray:
    """Ink like that of large letters: uint8 (40, 120)."""
    mask = np.zeros((40, 120), np.uint8)
    for left in range(10, 110, 20):
        mask[5:35, left : left + 7] = 255
    return mask


def test_dot_matrix_keeps_most_ink() -> None:
    before = bars()
    prints = [ink.dot_matrix(before, 40, 0.8, SeededRandom(seed)) for seed in range(80)]
    assert 5 < sum((after != before).any() for after in prints) < 50
    for after in prints:
        assert after.shape == before.shape
        assert cv2.norm(before, after, cv2.NORM_L1) < 0.55 * before.sum()


def test_faint_rows_or_columns_are_fainter_everywhere() -> None:
    before = bars().astype(int)
    for seed in range(40):
        less = before - ink.faint_lines(bars(), 40, SeededRandom(seed))
        assert (less >= 0).all() and less.sum() < 0.5 * before.sum()
        lacking = [(less > 0).any(axis=axis, keepdims=True) for axis in (0, 1)]
        assert any((less > 0)[(before > 0) & whole].all() for whole in lacking)


def test_some_pictures_are_grey_scans() -> None:
    style = line(difficulty=1, size="autox40", length="3-8", alphabet="0-9A-Z")
    assert 5 < sum(np.ptp(style.picture(index)[0], axis=2).max() == 0 for index in range(100)) < 60


def test_scans_are_grey_with_more_contrast() -> None:
    before = np.dstack([150 - bars() // 5, 160 - bars() // 4, 170 - bars() // 3])
    for seed, contrast in enumerate((1.5, 3.0, 6.0, 255.0)):
        after = effects.scan(before, 0.8, contrast, SeededRandom(seed))
        assert (after == after[..., :1]).all() and after.shape == before.shape
        assert after.std() > cv2.cvtColor(before, cv2.COLOR_RGB2GRAY).std()
    assert ((after == 0) | (after == 255)).mean() > 0.4, "black and white"


# Looks


def test_difficulty_may_change_between_pictures() -> None:
    style = line(seed=4)
    usual = [style.picture(index) for index in range(5)]
    style.difficulty = 0.0
    clean = [style.picture(index) for index in range(5)]
    for (image, label), (expected, same) in zip(
        clean, (line(seed=4, difficulty=0).picture(index) for index in range(5)), strict=True
    ):
        np.testing.assert_array_equal(image, expected)
        assert label == same
    style.difficulty = 0.5
    for (image, label), (again, same) in zip(usual, (style.picture(index) for index in range(5)), strict=True):
        np.testing.assert_array_equal(image, again)
        assert label == same
    assert [label for _, label in usual] == [label for _, label in clean]


def test_difficulty_0_is_clean_and_higher_ones_are_harder() -> None:
    def spread(difficulty: float) -> float:
        """Mean standard deviation of the colours at the pictures' borders."""
        style = line(difficulty=difficulty, size="160x48")
        borders = (np.concatenate([image[0], image[-1]]) for image, _ in (style.picture(i) for i in range(60)))
        return float(np.mean([border.std(axis=0).mean() for border in borders]))

    clean, middling, hard = spread(0.0), spread(0.5), spread(1.0)
    assert clean == 0
    assert 1 < middling < hard


def test_clean_print_is_dark_on_light_and_centred() -> None:
    style = line(difficulty=0, size="160x48")
    for index in range(20):
        grey = style.picture(index)[0].mean(axis=2)
        ground = grey[0, 0]
        assert ground > 200
        columns = np.flatnonzero((grey < ground - 60).any(axis=0))
        assert abs(columns[0] - (159 - columns[-1])) <= 6
        assert grey.min() < ground - 120


def test_own_backgrounds_are_used(tmp_path: Path) -> None:
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[::2] = 255
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes)
    style = line(backgrounds=str(tmp_path), noise=0, size="160x48")
    drawn = [style.picture(index)[0].astype(int) for index in range(30)]
    plain = line(noise=0, size="160x48")
    assert any((image != plain.picture(index)[0]).any() for index, image in enumerate(drawn))
    # In some pictures, neighbouring rows differ like the stripes.
    assert sum(np.abs(np.diff(image[:, :4].mean(axis=(1, 2)))).mean() > 3 for image in drawn) >= 5
    for index in range(3):
        np.testing.assert_array_equal(style.picture(index)[0], drawn[index])


def test_unreadable_background_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    style = line(backgrounds=str(tmp_path), difficulty=1)
    with pytest.raises(UserError, match=r"broken\.png cannot be read"):
        list(map(style.picture, range(20)))
    (tmp_path / "broken.png").unlink()
    # A header with a width and height of 30,000 pixels.
    header = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    size = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(header[:12] + size + struct.pack(">I", zlib.crc32(size)) + header[33:])
    with pytest.raises(UserError, match=r"huge\.png is too large"):
        line(backgrounds=str(tmp_path)).record()
    (tmp_path / "huge.png").unlink()
    with pytest.raises(UserError, match="has no pictures: add"):
        line(backgrounds=str(tmp_path))


# Widths


def test_auto_width_follows_the_text() -> None:
    style = line(size="autox32", length="2-40", difficulty=0.3)
    widths, lengths = [], []
    for index in range(80):
        image, label = style.picture(index)
        assert image.shape[0] == 32
        widths.append(image.shape[1])
        lengths.append(len(label))
    assert np.corrcoef(widths, lengths)[0, 1] > 0.8
    assert max(widths) > 5 * min(widths)


def test_long_line_shrinks_into_fixed_width() -> None:
    style = line(size="150x40", length="24", alphabet="W", difficulty=0)
    for index in range(8):
        grey = style.picture(index)[0].mean(axis=2)
        columns = np.flatnonzero((grey < grey[0, 0] - 60).any(axis=0))
        assert columns[0] > 0 and columns[-1] < 149
        assert np.ptp(columns) > 120


@pytest.mark.parametrize(("height", "widest"), [(16, 8_000), (32, 16_000), (48, 16_000)])
def test_very_long_line_is_not_too_wide_to_read(height: int, widest: int) -> None:
    style = line(size=f"autox{height}", length=str(widest // 6), difficulty=1)
    for index in range(3):
        image, label = style.picture(index)
        assert len(label) == widest // 6
        assert image.shape[0] == height
        assert widest * 0.7 < image.shape[1] <= widest
        fitted = fit_image(image, None, max(32, height))
        assert fitted.shape[1] <= MAX_WIDTH


@pytest.mark.parametrize(
    ("size", "length", "alphabet"),
    [
        ("autox32", "9999", "0-9A-Z"),
        # Hexagrams, the densest characters of the packaged fonts.
        ("64x12", "10", "䷀-䷿"),
    ],
)
def test_letters_too_small_are_an_error(size: str, length: str, alphabet: str) -> None:
    style = line(size=size, length=length, alphabet=alphabet, difficulty=0)
    with pytest.raises(
        UserError, match=rf"^'.{{10,90}}' cannot be drawn legibly in a picture of {size}: .*shorter texts"
    ):
        style.picture(0)


@pytest.mark.parametrize(("size", "alphabet"), [("64x12", "0-9A-Z"), ("120x16", "䷀-䷿")])
def test_small_legible_letters_are_drawn(size: str, alphabet: str) -> None:
    style = line(size=size, length="10", alphabet=alphabet)
    for index in range(20):
        assert len(style.picture(index)[1]) == 10


# Fonts and scripts


def test_fonts_that_lack_a_character_are_left_out() -> None:
    everywhere, rare = line(alphabet="0-9A-Z").fonts, line(alphabet="0-9<Ж").fonts
    assert len(everywhere) == len(Line.FONTS)
    # Computer Modern draws < as ¡, so it is left out.
    assert {font.name for font in rare} < {font.name for font in everywhere}
    assert not any(font.name.startswith("cmr") for font in rare)
    assert any(font.name == "DejaVuSans.ttf" for font in rare)


def test_faces_of_a_collection_with_the_alphabet_are_used(tmp_path: Path) -> None:
    collection = TTCollection()
    collection.fonts = [
        TTFont(fonts.packaged_font(name)) for name in ("DejaVuSans.ttf", "DroidSansMono.ttf", "cmtt10.ttf")
    ]
    collection.save(tmp_path / "Several.ttc")
    own = str(tmp_path)
    assert [font.face for font in line(fonts=own, alphabet="0-9").fonts] == [0, 1, 2]
    # No face has Thai, only the first has Hebrew.
    assert [font.face for font in line(fonts=own, alphabet="0-9א").fonts] == [0]
    with pytest.raises(UserError, match=r"font Several\.ttc lacks the character 'ก'"):
        line(fonts=own, alphabet="0-9ก")
    first, second = (typesetting.measure(Font(tmp_path / "Several.ttc", face), "illi", 0.0) for face in (0, 1))
    assert first.right < second.right, "the second has a fixed width"


@pytest.mark.parametrize("name", Line.FONTS)
def test_characters_of_fonts_agree_with_fonttools(name: str) -> None:
    path = fonts.packaged_font(name)
    found = set(map(chr, TTFont(path).getBestCmap()))
    (ours,) = fonts.characters(path)
    assert ours == (found & fonts.TEX_CHARACTERS if name in fonts.TEX_FONTS else found)


def font(name: str = "DejaVuSerif.ttf") -> Font:
    return Font(fonts.packaged_font(name))


def test_letters_are_kerned_and_spaced() -> None:
    alone = sum(typesetting.measure(font(), letter, 0.0).right for letter in "AV")
    kerned = typesetting.measure(font(), "AV", 0.0).right
    assert kerned < alone - 0.05
    assert typesetting.measure(font(), "AV", 0.3).right == pytest.approx(kerned + 0.3)
    assert typesetting.measure(font(), "AV", -0.1).right == pytest.approx(kerned - 0.1)
    # The space between words is not reduced.
    assert typesetting.measure(font(), "A V", -0.1).right == pytest.approx(typesetting.measure(font(), "A V", 0).right)


def test_line_is_typeset_as_by_pillow() -> None:
    text = "Total: RM 125.60, Av."
    setting = typesetting.measure(font(), text, 0.0)
    ours, x, y = typesetting.draw_line(font(), text, setting, 40)
    image = Image.new("L", (ours.shape[1] + 10, ours.shape[0]))
    face = ImageFont.truetype(str(font().path), 40)
    ImageDraw.Draw(image).text((x, y), text, font=face, fill=255, anchor="ls")
    theirs = np.asarray(image)[:, : ours.shape[1]]
    # Letters are at whole pixels here, at fractions in Pillow, so the ink overlaps only approximately.
    near = cv2.dilate(theirs, np.ones((3, 5), np.uint8))
    assert (near[ours > 128] > 100).mean() > 0.97
    assert abs(int(ours.sum()) - int(theirs.sum())) < 0.08 * theirs.sum()


def test_arabic_letters_join_and_run_from_right_to_left(tmp_path: Path) -> None:
    if not features.check("raqm"):
        pytest.skip("this Pillow has no Raqm")
    text = written(tmp_path / "text.txt", "سلام")
    style = line(text=text, length="4", size="200x40", difficulty=0)
    assert style.picture(0)[1] == "سلام", "labels are in reading order"
    word = typesetting.measure(font("DejaVuSans.ttf"), "سلام", 0.0)
    letters = sum(typesetting.measure(font("DejaVuSans.ttf"), letter, 0.0).right for letter in "سلام")
    assert word.right < 0.9 * letters, "joined letters are narrower than isolated ones"
    assert typesetting.measure(font("DejaVuSans.ttf"), "سلام", 0.3) == word, "joined letters are not spaced"


def test_joining_scripts_are_refused_without_raqm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(UserError, match="install Pillow with Raqm"):
        line(alphabet="سلام")
    assert line(alphabet="0-9").picture(0)[0].shape == (64, 128, 3)
