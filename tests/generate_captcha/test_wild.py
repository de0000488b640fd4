"""Style wild and its families: texts, fonts, backgrounds, and what makes a picture legible."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph

from crnn_reader.errors import UserError
from generate_captcha import style_of
from generate_captcha.arrays import Image
from generate_captcha.text.fonts import packaged_font
from parameter import FAMILIES, GenerateParameters


def drawn(style: str, count: int = 8, **flags: object) -> list[tuple[Image, str]]:
    made = style_of(GenerateParameters(style=style, **flags))  # type: ignore[arg-type]
    return [made.picture(index) for index in range(count)]


def with_glyphs(source: str, glyphs: dict[str, str], path: Path) -> None:
    """Save a font whose only characters are the keys, drawn as the values."""
    font = TTFont(packaged_font(source))
    # All other characters are drawn as nothing.
    font["glyf"][".notdef"] = Glyph()
    for table in font["cmap"].tables:
        known = dict(table.cmap)
        table.cmap = {ord(to): known[ord(shown)] for to, shown in glyphs.items() if ord(shown) in known}
    font.save(path)


def heights(image: Image) -> list[int]:
    """The heights of the letters of a picture without marks, from left to right."""
    grey = image.min(axis=2)
    ink = (abs(grey.astype(int) - int(np.median(grey))) > 40).astype(np.uint8)
    parts = [part for part in cv2.connectedComponentsWithStats(ink)[2][1:] if part[cv2.CC_STAT_AREA] > 20]
    return [int(part[cv2.CC_STAT_HEIGHT]) for part in sorted(parts, key=lambda part: part[cv2.CC_STAT_LEFT])]


def test_texts_are_of_one_kind_or_tasks() -> None:
    made = style_of(GenerateParameters(style="wild"))
    labels = [made.label(index) for index in range(2000)]
    assert {len(label) for label in labels} == set(range(2, 13))
    assert 4.5 < np.mean([len(label) for label in labels]) < 6
    assert set("".join(labels)) == set(made.alphabet) and len(made.alphabet) == 68
    tasks = [label for label in labels if re.search(r"[-+*/=?]", label)]
    assert 60 < len(tasks) < 180
    assert all(re.fullmatch(r"\d+([-+*/x]\d+){1,2}=?\??", task) for task in tasks)
    # In texts of digits and letters of both cases, nothing looks like something else of the same size.
    mixed = [label for label in labels if re.search("[A-Z]", label) and re.search("[a-z]", label) and label.isalnum()]
    assert mixed
    assert not [label for label in mixed if set(label) & set("O") and "0" in label]


def test_a_length_is_kept_without_an_alphabet() -> None:
    assert {len(label) for _, label in drawn("wild", 40, length="5")} == {5}


def test_a_task_has_its_own_texts() -> None:
    assert all(re.fullmatch(r"\d+([-+*/x]\d+){1,2}=?\??", label) for _, label in drawn("arithmetic"))
    for flag, value in (("--length", "5"), ("--alphabet", "0-9")):
        with pytest.raises(UserError, match=f"{flag} {value} is not for --style arithmetic, whose texts are tasks"):
            GenerateParameters.parse(["--style", "arithmetic", flag, value])


def test_only_the_chosen_families_are_mixed() -> None:
    # These letters are light, those of the other families mostly dark.
    pictures = drawn("wild", 12, families="dark", alphabet="M", length="3", noise=0)
    assert all(np.median(image) < image.mean() for image, _ in pictures)
    one, other = (drawn("wild", 4, families=families) for families in ("dotted", "dotted, wavy,dotted"))
    assert any(a.tobytes() != b.tobytes() for (a, _), (b, _) in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("families", "hint"),
    [("doted", "did you mean dotted?"), ("kr", "give some of arithmetic"), ("a b", "give some")],
)
def test_an_unknown_family_is_refused(families: str, hint: str) -> None:
    with pytest.raises(UserError, match=rf"there is no family called '.*': {re.escape(hint)}"):
        style_of(GenerateParameters(style="wild", families=families))


def test_empty_names_of_families_do_not_count() -> None:
    one, other = (drawn("wild", 2, families=families) for families in ("dotted", " dotted ,, "))
    assert [image.tobytes() for image, _ in one] == [image.tobytes() for image, _ in other]
    with pytest.raises(UserError, match="' , ' names no family: give some of arithmetic"):
        style_of(GenerateParameters(style="wild", families=" , "))


def test_texts_are_tasks_as_often_as_families_are_arithmetic() -> None:
    def tasks(families: str) -> int:
        made = style_of(GenerateParameters(style="wild", families=families))
        return sum(bool(re.search("[-+*/=?]", made.label(index))) for index in range(200))

    assert tasks("dotted,wavy") == 0 and 60 < tasks("dotted,arithmetic") < 140 and tasks("arithmetic") > 180


def test_tasks_have_the_length_that_is_asked_for() -> None:
    made = style_of(GenerateParameters(style="wild", families="arithmetic", length="5"))
    assert all(re.fullmatch(r"\d+[-+*/x].+", label) and len(label) == 5 for label in map(made.label, range(50)))


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (
            {"alphabet": "0-9A-Z"},
            "the texts of the family arithmetic are tasks, whose characters are fixed: leave out the",
        ),
        ({"length": "2"}, "tasks of the family arithmetic have 3 to 10 characters, not 2: give another length"),
        ({"length": "11-12"}, "tasks of the family arithmetic have 3 to 10 characters, not 11-12"),
    ],
)
def test_tasks_that_cannot_be_drawn_are_refused(flags: dict[str, str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        style_of(GenerateParameters(style="wild", families="dotted,arithmetic", **flags))
    # Where the family was not asked for by name, the pictures show other texts.
    assert not re.search("[-+*/=?]", "".join(map(style_of(GenerateParameters(style="wild", **flags)).label, range(50))))


@pytest.mark.parametrize("family", FAMILIES)
def test_clean_pictures_have_no_marks(family: str) -> None:
    clean, without = (drawn(family, 6, difficulty=0, noise=noise) for noise in (1, 0))
    marked = [abs(one.astype(int) - other).max() > 60 for (one, _), (other, _) in zip(clean, without, strict=True)]
    # Frames belong to the noise, too.
    assert sum(marked) <= 3


@pytest.mark.parametrize("family", ["colourful", "faint", "touching"])
def test_cases_of_the_same_shape_differ_in_height(family: str) -> None:
    # Letters are apart, so that they can be measured.
    flags = {"alphabet": "oO", "length": "2", "size": "autox64", "noise": 0, "distortion": 0, "difficulty": 0}
    mixed = [pair for pair in drawn(family, 60, **flags) if len(set(pair[1])) == 2]
    measured = [(heights(image), label) for image, label in mixed]
    separate = [(found, label) for found, label in measured if len(found) == 2]
    assert len(separate) > 10
    for (first, second), label in separate:
        assert (first < second) == (label == "oO"), label


def test_spacious_pictures_are_mostly_empty() -> None:
    shares = []
    for image, _ in drawn("spacious", 20, size="autox64", noise=0, distortion=0):
        changed = np.flatnonzero(abs(image.astype(int) - np.median(image, axis=(0, 1))).max(axis=(1, 2)) > 60)
        shares.append((changed[-1] - changed[0] + 1) / 64)
    # The text of other families fills half of the height or more.
    assert 0.15 < np.median(shares) < 0.5


def test_overlapping_letters_hide_a_part_of_their_neighbours() -> None:
    flags = {"alphabet": "8", "length": "4", "size": "autox64", "noise": 0, "distortion": 0}
    apart, overlapping = (
        [image.shape[1] for image, _ in drawn(family, 30, **flags)] for family in ("simple", "overlapping")
    )
    parts = [len(heights(image)) for image, _ in drawn("overlapping", 30, **flags)]
    assert np.median(overlapping) < 0.85 * np.median(apart)
    assert np.median(parts) < 3


def test_a_font_draws_only_what_it_has(tmp_path: Path) -> None:
    digits, letters = "0123456789", "ABC"
    with_glyphs("DejaVuSans.ttf", dict(zip(digits, digits, strict=True)), tmp_path / "digits.ttf")
    with_glyphs("DejaVuSerif.ttf", dict(zip(letters, letters, strict=True)), tmp_path / "letters.ttf")
    both = drawn("simple", 6, fonts=str(tmp_path), alphabet="0-9ABC")
    assert all(image.std() > 5 for image, _ in both)
    # Nor do small letters around the text have others.
    assert len(drawn("crowded", 30, fonts=str(tmp_path), alphabet="0-9ABC")) == 30
    with pytest.raises(UserError, match=r"the font digits\.ttf lacks the character 'D' \(U\+0044\)"):
        style_of(GenerateParameters(style="simple", fonts=str(tmp_path), alphabet="A-D"))


def test_small_letters_that_look_like_capitals_are_not_drawn(tmp_path: Path) -> None:
    small = "abdegmnqrt"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        with_glyphs("DejaVuSans.ttf", {x: x for x in small + small.upper()}, tmp_path / folder / "usual.ttf")
    # The second font draws all small letters as capitals.
    as_capitals = {x: x.upper() for x in small + small.upper()}
    with_glyphs("DejaVuSerif.ttf", as_capitals, tmp_path / "two" / "capitals.ttf")
    one, two = (drawn("simple", 6, fonts=str(tmp_path / folder), alphabet=small) for folder in ("one", "two"))
    assert [image.tobytes() for image, _ in one] == [image.tobytes() for image, _ in two]
    # It does draw texts of capitals.
    one, two = (drawn("simple", 6, fonts=str(tmp_path / folder), alphabet=small.upper()) for folder in ("one", "two"))
    assert [image.tobytes() for image, _ in one] != [image.tobytes() for image, _ in two]


@pytest.mark.parametrize("family", FAMILIES)
def test_backgrounds_are_pieces_of_own_pictures(family: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), noise)
    plain, on_photos = (
        style_of(GenerateParameters(style=family, backgrounds=given)) for given in (None, str(tmp_path))
    )
    assert any(plain.picture(i)[0].tobytes() != on_photos.picture(i)[0].tobytes() for i in range(6))
    assert "backgrounds" in on_photos.record() and "backgrounds" not in plain.record()


@pytest.mark.parametrize("style", ["wild", *FAMILIES])
def test_letters_stand_out_also_at_the_highest_difficulty(style: str) -> None:
    for image, label in drawn(style, 10, difficulty=1.0, size="autox48"):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
        assert image.shape[0] == 48 and image.shape[1] > 5 * len(label)
        # Ink and background differ by more than a fine grain does.
        assert np.percentile(cv2.blur(grey, (3, 3)), 98) - np.percentile(cv2.blur(grey, (3, 3)), 2) > 20


@pytest.mark.parametrize("style", ["captcha", "lines", "dots", "line"])
def test_other_styles_are_mixed_too(style: str) -> None:
    pictures = drawn("wild", 6, families=style, length="5")
    assert len({image.tobytes() for image, _ in pictures}) == 6
    assert {image.shape[0] for image, _ in pictures} == {48}
    # They have no fonts for this alphabet.
    with pytest.raises(UserError, match="lacks the character '漢'"):
        style_of(GenerateParameters(style="wild", families=style, alphabet="漢"))
