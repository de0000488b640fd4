"""Style `line`: texts from files, any width, any script, and nothing that cannot be read."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageDraw, ImageFont, features

import generate_captcha.styles.line
from crnn_reader.errors import UserError
from crnn_reader.fit import MAX_WIDTH, fit_image
from generate_captcha import Source, style_of
from generate_captcha.drawing import effects as camera
from generate_captcha.drawing.visibility import stands_out
from generate_captcha.styles.line import Line, Written
from generate_captcha.text import fonts, typesetting
from generate_captcha.text.fonts import Font
from generate_captcha.text.text_file import Texts
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


def test_a_picture_shows_words_of_the_file(tmp_path: Path) -> None:
    text = written(tmp_path / "text.txt", LINES)
    pieces = labels(line(text=text, length="5-12", size="200x32"), 600)
    assert {"The quick", "quick brown", "brown fox", "jumps over", "the lazy", "lazy dog, ét", '"cetera" 50'} <= pieces
    for piece in pieces:
        assert 5 <= len(piece) <= 12
        assert unicodedata.is_normalized("NFC", piece)
        # Whole words, and never from one line into the next.
        assert any(
            f" {piece} " in f" {' '.join(whole.split())} " for whole in LINES.replace("e\u0301", "é").split("\n")
        )


def test_scripts_without_spaces_are_cut_anywhere_but_within_a_character(tmp_path: Path) -> None:
    pieces = Texts(written(tmp_path / "text.txt", "天地玄黄宇宙洪荒\nที่นี่"), 2, 4, None)
    found = {pieces.piece(Source(seed)) for seed in range(600)}
    chinese = "天地玄黄宇宙洪荒"
    assert {chinese[i : i + n] for n in (2, 3, 4) for i in range(len(chinese) - n + 1)} <= found
    thai = {piece for piece in found if piece[0] not in chinese}
    assert thai == {"ที่", "นี่"}


def test_no_piece_begins_with_what_belongs_to_the_character_before(tmp_path: Path) -> None:
    text = written(tmp_path / "text.txt", "น้ำตกเทศะ\n光临，人民币《红楼梦》。")
    pieces = Texts(text, 2, 6, None)
    found = {pieces.piece(Source(seed)) for seed in range(600)}
    assert {"น้ำ", "น้ำตก", "เทศะ", "光临，", "《红楼梦》。"} <= found
    assert not {piece for piece in found if piece[0] in "ำะ้，》。" or piece[-1] in "เ《" or piece == "น้"}


def test_the_alphabet_says_which_pieces_may_be_shown(tmp_path: Path) -> None:
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
        (b"", {}, "it holds no text; give a UTF-8 text file"),
        (b" \n\n", {}, "it holds no text; give a UTF-8 text file"),
        (b"longer words", {}, "no 4 characters of it"),
        (b"four five", {"alphabet": "five "}, None),
        (b"four", {"alphabet": "0-9"}, "no 4 characters of it that are all of --alphabet"),
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


def test_spaces_of_random_texts_stand_between_letters() -> None:
    for label in labels(line(alphabet="A ", length="1-6")):
        assert label == " ".join(label.split())
    with pytest.raises(UserError, match="it has no visible character"):
        line(alphabet=" ")


# What can be read


def scene(ink: int, ground: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A picture of three bars, like letters, and the mask of their ink."""
    mask = np.zeros((32, 96), np.uint8)
    for left in (14, 46, 78):
        mask[8:24, left : left + 4] = 255
    grey = np.where(mask > 0, ink, ground) + np.random.default_rng(0).normal(0, noise, mask.shape)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2), mask


def test_ink_must_stand_out_from_its_ground() -> None:
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
    assert not stands_out(image, mask, 0.4), "letters of less than a pixel are none"


def test_each_half_of_a_letter_must_stand_out() -> None:
    image, mask = scene(20, 230)
    image[16:] = 230
    assert not stands_out(image, mask, 16), "the lower halves are gone"
    image, mask = scene(20, 230)
    image[16:, 46:50] = 230
    assert not stands_out(image, mask, 16), "that of the second bar is gone"


def test_a_rendering_that_cannot_be_read_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []
    faithful = Line._pictured

    def fading(style: Line, mask: np.ndarray, em: float, hard: float, source: Source) -> np.ndarray:
        image = faithful(style, mask, em, hard, source)
        # Every other one loses its contrast.
        drawn.append(image // 16 + 120 if len(drawn) % 2 == 0 else image)
        return drawn[-1]

    monkeypatch.setattr(Line, "_pictured", fading)
    style = line(difficulty=0.2)
    image, label = style.picture(0)
    assert len(drawn) == 2
    np.testing.assert_array_equal(image, drawn[1])
    assert label == style.label(0)
    drawn.clear()
    # Still a function of seed and index.
    np.testing.assert_array_equal(style.picture(0)[0], image)


def test_a_rendering_that_is_cut_off_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    faithful = Line._written
    masks: list[np.ndarray] = []

    def pushed(style: Line, label: str, hard: float, source: Source) -> Written:
        written = faithful(style, label, hard, source)
        columns = np.flatnonzero(written.ink.max(axis=0) > 64)
        # The first is moved until half its ink is beyond the left edge.
        masks.append(np.roll(written.ink, -int(columns.mean()), axis=1) if not masks else written.ink)
        return written._replace(ink=masks[-1])

    monkeypatch.setattr(Line, "_written", pushed)
    assert line(difficulty=0).picture(0)[0].shape == (64, 128, 3)
    assert len(masks) == 2


def test_what_can_never_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "_pictured", lambda style, mask, *_: np.full((*mask.shape, 3), 77, np.uint8))
    with pytest.raises(UserError, match=r"--size 128x64: '\w{4}' cannot be drawn readably in it"):
        line().picture(0)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_lines_stay_inside_and_legible(difficulty: float) -> None:
    style = line(difficulty=difficulty, distortion=3, size="200x32", length="3-14", alphabet="0-9A-Za-z ")
    checked = 0
    faithful = style._pictured

    def watched(mask: np.ndarray, em: float, hard: float, source: Source) -> np.ndarray:
        nonlocal checked
        checked += 1
        assert mask.shape == (32, 200)
        assert np.count_nonzero(mask > 100) > 30
        return faithful(mask, em, hard, source)

    style._pictured = watched  # type: ignore[method-assign]
    for index in range(60):
        style.picture(index)
    # Most renderings are good at once.
    assert 60 <= checked < 120


def test_lines_are_cut_out_as_from_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    style = line(difficulty=0.8, size="autox32", length="3-14", alphabet="0-9A-Za-z ")
    faithful = style._written
    drawn: list[Written] = []

    def watched(label: str, hard: float, source: Source) -> Written:
        drawn.append(faithful(label, hard, source))
        return drawn[-1]

    monkeypatch.setattr(style, "_written", watched)
    for index in range(80):
        style.picture(index)
    closely = [written for written in drawn if written.closely]
    assert 20 < len(closely) < 60
    for written in closely:
        inside = written.ink[2:-2, 2:-2]
        # Ink from edge to edge, and hardly any beyond it.
        rows, columns = np.flatnonzero(inside.max(axis=1) > 64), np.flatnonzero(inside.max(axis=0) > 64)
        assert np.ptp(rows) + 1 > 0.6 * inside.shape[0]
        assert np.ptp(columns) > inside.shape[1] - 0.6 * written.em
        assert inside.sum() > 0.8 * written.ink.sum(dtype=int)
    neighbours = [written for written in drawn if written.neighbour is not None and written.neighbour[2:-2].any()]
    assert 3 < len(neighbours) < 40
    for written in neighbours:
        assert written.neighbour is not None
        assert (written.neighbour[2:-2] > 64).sum() < 0.6 * (written.ink > 64).sum()
        # Nowhere a whole letter, such as beside the line's end.
        seen = written.neighbour[2:-2] > 64
        assert max(np.ptp(rows) if len(rows := np.flatnonzero(column)) else 0 for column in seen.T) < 0.5 * written.em
        assert not (np.minimum(written.neighbour, written.ink) > 64).any(), "the lines touch"


def test_some_lines_are_printed_in_few_dots_and_stay_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    faithful = generate_captcha.styles.line._rastered
    inks: list[tuple[np.ndarray, np.ndarray]] = []

    def watched(mask: np.ndarray, em: float, hard: float, source: Source) -> np.ndarray:
        inks.append((mask.astype(int), faithful(mask, em, hard, source).astype(int)))
        return inks[-1][1].astype(np.uint8)

    monkeypatch.setattr(generate_captcha.styles.line, "_rastered", watched)
    style = line(difficulty=0.8, size="autox40", length="3-8", alphabet="0-9A-Z")
    for index in range(80):
        style.picture(index)
    printed = [(before, after) for before, after in inks if (before != after).any()]
    assert 5 < len(printed) < len(inks) / 2
    for before, after in printed:
        assert before.shape == after.shape
        assert np.abs(before - after).sum() < 0.55 * before.sum()


def test_some_lines_lack_ink_in_whole_rows_or_columns_and_keep_most(monkeypatch: pytest.MonkeyPatch) -> None:
    faithful = generate_captcha.styles.line._missed
    inks: list[tuple[np.ndarray, np.ndarray]] = []

    def watched(mask: np.ndarray, em: float, source: Source) -> np.ndarray:
        inks.append((mask.astype(int), faithful(mask, em, source).astype(int)))
        return inks[-1][1].astype(np.uint8)

    monkeypatch.setattr(generate_captcha.styles.line, "_missed", watched)
    style = line(difficulty=1, size="autox40", length="3-8", alphabet="0-9A-Z")
    for index in range(100):
        style.picture(index)
    assert 5 < len(inks) < 50
    for before, after in inks:
        less = before - after
        assert (less >= 0).all()
        assert after.sum() > 0.5 * before.sum()
        # Where a row, or a column, lacks some, all of its ink does (but for the faintest, which rounds to itself).
        lacking = [(less > 0).any(axis=axis, keepdims=True) for axis in (0, 1)]
        assert any((less > 0)[(before > 3) & whole].all() for whole in lacking)


def test_lines_as_a_scanner_stores_them_are_grey_and_of_more_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    faithful = camera.scanned
    scans: list[tuple[np.ndarray, float, np.ndarray]] = []

    def watched(image: np.ndarray, factor: float, contrast: float, source: Source) -> np.ndarray:
        scans.append((image, contrast, faithful(image, factor, contrast, source)))
        return scans[-1][2]

    monkeypatch.setattr(camera, "scanned", watched)
    style = line(difficulty=1, size="autox40", length="3-8", alphabet="0-9A-Z")
    for index in range(100):
        style.picture(index)
    assert 5 < len(scans) < 60
    for before, contrast, after in scans:
        assert (after == after[..., :1]).all()
        assert after.std() > cv2.cvtColor(before, cv2.COLOR_RGB2GRAY).std()
        if contrast >= 255:
            assert ((after == 0) | (after == 255)).mean() > 0.4


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


def test_difficulty_goes_from_clean_print_upwards() -> None:
    def spread(difficulty: float) -> float:
        """How far the pictures' borders are from being of one colour."""
        style = line(difficulty=difficulty, size="160x48")
        borders = (np.concatenate([image[0], image[-1]]) for image, _ in (style.picture(i) for i in range(60)))
        return float(np.mean([border.std(axis=0).mean() for border in borders]))

    clean, middling, hard = spread(0.0), spread(0.5), spread(1.0)
    assert clean == 0
    assert 1 < middling < hard


def test_clean_print_is_dark_on_light_and_in_the_middle() -> None:
    style = line(difficulty=0, size="160x48")
    for index in range(20):
        grey = style.picture(index)[0].mean(axis=2)
        ground = grey[0, 0]
        assert ground > 200
        columns = np.flatnonzero((grey < ground - 60).any(axis=0))
        assert abs(columns[0] - (159 - columns[-1])) <= 6
        assert grey.min() < ground - 120


def test_own_pictures_are_grounds(tmp_path: Path) -> None:
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[::2] = 255
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes)
    style = line(backgrounds=str(tmp_path), noise=0, size="160x48")
    drawn = [style.picture(index)[0].astype(int) for index in range(30)]
    plain = line(noise=0, size="160x48")
    assert any((image != plain.picture(index)[0]).any() for index, image in enumerate(drawn))
    # Rows of some pictures differ as the stripes do.
    assert sum(np.abs(np.diff(image[:, :4].mean(axis=(1, 2)))).mean() > 3 for image in drawn) >= 5
    for index in range(3):
        np.testing.assert_array_equal(style.picture(index)[0], drawn[index])


def test_a_ground_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    style = line(backgrounds=str(tmp_path), difficulty=1)
    with pytest.raises(UserError, match=r"broken\.png cannot be read"):
        list(map(style.picture, range(20)))
    (tmp_path / "broken.png").unlink()
    # One that says it is 30,000 pixels wide and high.
    header = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    size = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(header[:12] + size + struct.pack(">I", zlib.crc32(size)) + header[33:])
    with pytest.raises(UserError, match=r"huge\.png is too large"):
        line(backgrounds=str(tmp_path)).about()
    (tmp_path / "huge.png").unlink()
    with pytest.raises(UserError, match="no pictures in this folder"):
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


def test_a_long_line_shrinks_into_a_fixed_width() -> None:
    style = line(size="150x40", length="24", alphabet="W", difficulty=0)
    for index in range(8):
        grey = style.picture(index)[0].mean(axis=2)
        columns = np.flatnonzero((grey < grey[0, 0] - 60).any(axis=0))
        assert columns[0] > 0 and columns[-1] < 149
        assert np.ptp(columns) > 120


@pytest.mark.parametrize(("height", "widest"), [(16, 8_000), (32, 16_000), (48, 16_000)])
def test_a_very_long_line_is_no_wider_than_can_be_read(height: int, widest: int) -> None:
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
        # Hexagrams, the densest signs that a font of ours has.
        ("64x12", "10", "䷀-䷿"),
    ],
)
def test_letters_too_small_to_be_read_are_an_error(size: str, length: str, alphabet: str) -> None:
    style = line(size=size, length=length, alphabet=alphabet, difficulty=0)
    with pytest.raises(
        UserError, match=rf"^--size {size}: '.{{10,90}}' cannot be drawn readably in it: .*shorter texts"
    ):
        style.picture(0)


@pytest.mark.parametrize(("size", "alphabet"), [("64x12", "0-9A-Z"), ("120x16", "䷀-䷿")])
def test_small_letters_that_can_be_read_are_drawn(size: str, alphabet: str) -> None:
    style = line(size=size, length="10", alphabet=alphabet)
    for index in range(20):
        assert len(style.picture(index)[1]) == 10


# Fonts and scripts


def test_fonts_that_lack_a_character_are_left_out_while_one_remains() -> None:
    everywhere, rare = line(alphabet="0-9A-Z").fonts, line(alphabet="0-9<Ж").fonts
    assert len(everywhere) == len(Line.FONTS)
    # Computer Modern draws < as ¡.
    assert {font.name for font in rare} < {font.name for font in everywhere}
    assert not any(font.name.startswith("cmr") for font in rare)
    assert any(font.name == "DejaVuSans.ttf" for font in rare)


def test_a_collection_takes_part_with_the_faces_that_have_the_alphabet(tmp_path: Path) -> None:
    collection = TTCollection()
    collection.fonts = [TTFont(fonts.brought(name)) for name in ("DejaVuSans.ttf", "DroidSansMono.ttf", "cmtt10.ttf")]
    collection.save(tmp_path / "Several.ttc")
    own = str(tmp_path)
    assert [font.face for font in line(fonts=own, alphabet="0-9").fonts] == [0, 1, 2]
    # Thai is in none, Hebrew in the first alone.
    assert [font.face for font in line(fonts=own, alphabet="0-9א").fonts] == [0]
    with pytest.raises(UserError, match=r"font Several\.ttc lacks the character 'ก'"):
        line(fonts=own, alphabet="0-9ก")
    first, second = (typesetting.measure(Font(tmp_path / "Several.ttc", face), "illi", 0.0) for face in (0, 1))
    assert first.right < second.right, "the second is of fixed width"


@pytest.mark.parametrize("name", Line.FONTS)
def test_characters_of_a_font_are_those_that_fonttools_finds(name: str) -> None:
    path = fonts.brought(name)
    found = set(map(chr, TTFont(path).getBestCmap()))
    (ours,) = fonts.characters(path)
    assert ours == (found & fonts.TEX if name in fonts.TEX_FONTS else found)


def font(name: str = "DejaVuSerif.ttf") -> Font:
    return Font(fonts.brought(name))


def test_letters_are_kerned_and_spaced() -> None:
    alone = sum(typesetting.measure(font(), letter, 0.0).right for letter in "AV")
    kerned = typesetting.measure(font(), "AV", 0.0).right
    assert kerned < alone - 0.05
    assert typesetting.measure(font(), "AV", 0.3).right == pytest.approx(kerned + 0.3)
    assert typesetting.measure(font(), "AV", -0.1).right == pytest.approx(kerned - 0.1)
    # Words do not run together.
    assert typesetting.measure(font(), "A V", -0.1).right == pytest.approx(typesetting.measure(font(), "A V", 0).right)


def test_a_line_is_set_as_pillow_sets_it() -> None:
    text = "Total: RM 125.60, Av."
    setting = typesetting.measure(font(), text, 0.0)
    ours, x, y = typesetting.draw(font(), text, setting, 40)
    image = Image.new("L", (ours.shape[1] + 10, ours.shape[0]))
    face = ImageFont.truetype(str(font().path), 40)
    ImageDraw.Draw(image).text((x, y), text, font=face, fill=255, anchor="ls")
    theirs = np.asarray(image)[:, : ours.shape[1]]
    # Whole pixels here, fractions there: the ink overlaps, if not to the pixel.
    near = cv2.dilate(theirs, np.ones((3, 5), np.uint8))
    assert (near[ours > 128] > 100).mean() > 0.97
    assert abs(int(ours.sum()) - int(theirs.sum())) < 0.08 * theirs.sum()


def test_arabic_letters_join_and_run_from_right_to_left(tmp_path: Path) -> None:
    if not features.check("raqm"):
        pytest.skip("this Pillow has no Raqm")
    text = written(tmp_path / "text.txt", "سلام")
    style = line(text=text, length="4", size="200x40", difficulty=0)
    assert style.picture(0)[1] == "سلام", "labels stay in reading order"
    word = typesetting.measure(font("DejaVuSans.ttf"), "سلام", 0.0)
    letters = sum(typesetting.measure(font("DejaVuSans.ttf"), letter, 0.0).right for letter in "سلام")
    assert word.right < 0.9 * letters, "joined letters are narrower than letters by themselves"
    assert typesetting.measure(font("DejaVuSans.ttf"), "سلام", 0.3) == word, "what joins is not spaced"


def test_scripts_that_join_are_refused_without_raqm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(UserError, match="install Pillow with Raqm"):
        line(alphabet="سلام")
    assert line(alphabet="0-9").picture(0)[0].shape == (64, 128, 3)
