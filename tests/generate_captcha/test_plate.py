"""Style `plate`: layouts as data, their patterns, two rows, and what is wrong with a layout, in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from crnn_reader.errors import UserError
from generate_captcha import Source, style_of, write_corpus
from generate_captcha.plates import graphics as plates
from generate_captcha.plates import layout_files as layouts
from generate_captcha.plates import letters as lettering
from generate_captcha.plates import patterns
from generate_captcha.plates.layout_files import Layout
from generate_captcha.plates.patterns import Part, Pattern, PatternError
from generate_captcha.styles.plate import Plate
from generate_captcha.text import fonts, strokes
from generate_captcha.text.fonts import Font
from generate_captcha.text.han import HAN
from generate_captcha.text.strokes import Drawn
from parameter import GenerateParameters

FILES = sorted(layouts.FOLDER.glob("*.toml"))
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "plates.md"

SMALL = """
title = "Nowhere"
size = [300, 100]
patterns = ["AA 99"]

[[paints]]
ground = ["#ffffff"]
ink = "#000000"

[[rows]]
box = [20, 20, 280, 80]
letter = 40
gap = 8
"""


def plate(**others: object) -> Plate:
    made = style_of(GenerateParameters(**{"style": "plate", **others}))  # type: ignore[arg-type]
    assert isinstance(made, Plate)
    return made


def layout(path: Path) -> Layout:
    try:
        return layouts.read(path)
    except lettering.MissingFont as error:
        pytest.skip(str(error))


def written(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


# Every layout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_layout_is_drawn_and_says_what_its_pattern_says(path: Path) -> None:
    layout(path)
    for difficulty, keep in ((0.0, True), (1.0, False)):
        style = plate(layouts=str(path), size="autox64", difficulty=difficulty, keep_separators=keep)
        (only,) = style.layouts
        expression = re.compile(only.expression(keep))
        for index in range(3):
            image, label = style.picture(index)
            assert image.shape[0] == 64 and image.dtype == np.uint8 and image.std() > 5
            assert expression.fullmatch(label), label
            assert label == style.label(index)
            assert set(label) <= set(style.alphabet) and len(label) <= style.longest
        for index in range(100):
            assert expression.fullmatch(style.label(index))


def test_there_are_the_countries_and_the_kinds_that_there_should_be() -> None:
    names = {path.stem for path in FILES}
    groups = {name.split("_")[0] for name in names}
    assert {
        "kr",
        "cn",
        "us",
        "de",
        "pl",
        "cz",
        "sk",
        "hr",
        "fr",
        "it",
        "es",
        "nl",
        "gb",
        "br",
        "ar",
        "vn",
        "in",
    } <= groups
    assert {"kr_white_long", "kr_white_short", "kr_yellow_two_rows", "kr_green_two_rows", "kr_new_long"} <= names
    assert sum(len(layout(path).rows) > 1 for path in FILES if not path.stem.startswith(("kr", "cn"))) >= 12


@pytest.mark.parametrize(
    ("name", "never"),
    [("de_car", ""), ("cn_blue", "IO"), ("es_car", "AEIOUQ"), ("fr_car", "IOU"), ("cz_car", "GOQW"), ("gb_car", "Q")],
)
def test_letters_that_a_country_leaves_out_are_left_out(name: str, never: str) -> None:
    assert not set(never) & layout(layouts.FOLDER / f"{name}.toml").characters


def test_german_plates_have_umlauts() -> None:
    assert set("ÄÖÜ") <= set(plate(layouts="de").alphabet)


def test_every_field_is_documented() -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    parts = (Layout, layouts.Paint, layouts.Border, layouts.Band, layouts.Row, layouts.Print, layouts.Mark)
    for part in parts:
        for name, field in part.model_fields.items():
            assert f"`{name}`" in page and field.description, (part, name)
    assert all(f"`{name}`" in page for name in (*lettering.ROLES, *lettering.SCRIPTS))


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    example = re.search(r"^    # Norway.*?(?=^\S)", page, re.MULTILINE | re.DOTALL)
    assert example
    style = plate(layouts=written(tmp_path, re.sub(r"^    ", "", example[0], flags=re.MULTILINE)))
    assert re.fullmatch(r"[A-Z]{2}\d{5}", style.picture(0)[1])


# Labels


def test_separators_are_in_labels_only_if_they_are_to_stay() -> None:
    bare, kept = plate(layouts="fr_car"), plate(layouts="fr_car", keep_separators=True)
    for index in range(20):
        assert re.fullmatch(r"[A-Z]{2}-\d{3}-[A-Z]{2}", kept.label(index))
        assert bare.label(index) == kept.label(index).replace("-", "")
    assert "-" in kept.alphabet and "-" not in bare.alphabet
    np.testing.assert_array_equal(bare.picture(3)[0], kept.picture(3)[0])


def test_the_upper_row_is_read_first() -> None:
    rows = Pattern("'UP' 99/'LOW'", "A", "7", {}).write(Source(0))
    assert [[part.text for part in row] for row in rows] == [["UP", " ", "7", "7"], ["LOW"]]
    assert patterns.label(rows, False) == "UP77LOW"
    assert patterns.label(rows, True) == "UP 77LOW"
    style = plate(layouts="es_motorcycle")
    assert all(re.fullmatch(r"\d{4}[A-Z]{3}", style.label(index)) for index in range(20))


def test_the_upper_row_stands_above_the_lower_one() -> None:
    read = layout(layouts.FOLDER / "es_motorcycle.toml")
    sheets = [
        plates.draw(read, [[Part("1"), Part("2")], [Part(low), Part("F")]], 1.0, 0.0, 1.0, Source(5)) for low in "BC"
    ]
    differing = np.flatnonzero((sheets[0].ink != sheets[1].ink).any(axis=1))
    upper = np.flatnonzero(sheets[0].ink.any(axis=1))
    assert differing[0] > (upper[0] + upper[-1]) / 2


def test_a_text_too_long_for_its_row_is_set_closer_and_stays_on_the_plate() -> None:
    read = layout(layouts.FOLDER / "us_vanity.toml")
    for seed in range(60):
        sheet = plates.draw(
            read, [[Part("LUCKY"), Part(" ", separator=True), Part("LUCKY")]], 0.4, 0.0, 1.0, Source(seed)
        )
        assert sheet.plate[0] <= sheet.text[0] and sheet.text[2] <= sheet.plate[2], seed


# Pictures


def test_letters_are_never_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ink that the sheet has is in the picture: no letter ends at its edge."""
    from generate_captcha.styles import plate as module

    seen: list[np.ndarray] = []

    def watched(sheet: plates.Sheet, view: module.View) -> object:
        image, ink = faithful(sheet, view)
        seen.append(ink)
        return image, ink

    faithful = module._seen
    monkeypatch.setattr(module, "_seen", watched)
    style = plate(difficulty=1.0, layouts="us,de,gb")
    for index in range(60):
        style.picture(index)
    for ink in seen:
        assert max(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max()) < 128


def test_screws_lie_where_the_layout_says_over_letters_too(tmp_path: Path) -> None:
    def changed(text: str) -> int:
        """Plates of 30 some of whose ink is lighter than it was printed."""
        read = layouts.read(Path(written(tmp_path, text)))
        sheets = [plates.draw(read, [[Part("HHHH")]], 1.0, 0.0, 1.0, Source(seed)) for seed in range(30)]
        return sum(bool(sheet.image[sheet.ink == 255].max() > 100) for sheet in sheets)

    plain = SMALL.replace("patterns", "relief = 0\npatterns")
    assert changed(plain) == 0
    assert 5 < changed(plain.replace("patterns", "screws = [[150, 50], [150, 25]]\npatterns")) < 30


def test_a_row_of_letters_needs_less_height_than_two() -> None:
    image, _ = plate(layouts="cn_blue", size="94x24", difficulty=1).picture(0)
    assert image.shape == (24, 94, 3)
    with pytest.raises(UserError, match=r"letters of cn_motorcycle would be 8 pixels tall, .* a height of 32 or more"):
        plate(layouts="cn", size="94x24")
    with pytest.raises(UserError, match=r"letters of .* would be .* a height of 40 or more"):
        plate(size="autox32")


def test_pictures_are_as_large_as_asked_for() -> None:
    for size in ("160x48", "192x64", "94x32"):
        width, height = map(int, size.split("x"))
        style = plate(layouts="de_car,cn_yellow_two_rows,us_vanity", size=size)
        assert {style.picture(index)[0].shape for index in range(6)} == {(height, width, 3)}
    style = plate(layouts="de_car", size="autox48", difficulty=0)
    assert abs(style.picture(0)[0].shape[1] - 48 * 520 / 110) < 4
    assert plate().height == 64 and plate().width == 0


def test_difficulty_makes_pictures_harder() -> None:
    def at(difficulty: float) -> tuple[float, float]:
        """How the light differs from picture to picture, and how sharp they are."""
        style = plate(layouts="pl_car", difficulty=difficulty, size="160x48")
        images = [style.picture(index)[0].astype(float) for index in range(40)]
        sharp = [np.abs(np.diff(image, axis=1)).max(axis=1).mean() for image in images]
        return float(np.std([image.mean() for image in images])), float(np.mean(sharp))

    (even, sharp), (middling, softer), (wild, soft) = at(0.0), at(0.5), at(1.0)
    assert even < middling < wild
    assert sharp > softer > soft


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    for workers in (1, 2):
        write_corpus(
            GenerateParameters(style="plate", out=str(tmp_path / str(workers)), count=48, size="96x32", workers=workers)
        )
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / workers).rglob("*") if path.is_file()}
        for workers in ("1", "2")
    )
    assert one == two and len(one) == 49


def test_what_follows_from_other_layouts_is_not_said_to_differ(tmp_path: Path) -> None:
    corpus = {"style": "plate", "out": str(tmp_path), "count": 1, "size": "96x32", "workers": 1}
    write_corpus(GenerateParameters(layouts="de_car", **corpus))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"another --seed \(0, now 7\), --layouts \([^()]*\): give"):
        write_corpus(GenerateParameters(layouts="gb", seed=7, **corpus))  # type: ignore[arg-type]


def test_a_corpus_says_which_layouts_made_it(tmp_path: Path) -> None:
    one = written(tmp_path, SMALL)
    before = plate(layouts=one).about()
    written(tmp_path, SMALL.replace("#ffffff", "#fffff0"))
    after = plate(layouts=one).about()
    assert before["layouts"][0].startswith("own sha256:") and before["layouts"] != after["layouts"]


def test_own_layouts_and_folders_of_them_are_used(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL)
    for names in (path, str(tmp_path)):
        assert re.fullmatch(r"[A-Z]{2}\d{2}", plate(layouts=names).label(0))
    several = plate(layouts=f"{path}, de, us_vanity")
    assert {read.name for read in several.layouts} == {"own", "de_car", "de_two_rows", "us_vanity"}


def test_own_fonts_draw_the_letters(tmp_path: Path) -> None:
    folder = tmp_path / "fonts"
    folder.mkdir()
    (folder / "Own.ttf").write_bytes(Path(fonts.brought("DejaVuSerif.ttf")).read_bytes())
    style = plate(layouts=written(tmp_path, SMALL), fonts=str(folder))
    assert [font.name for font in style.fonts] == ["Own.ttf"]


def test_a_plate_that_nobody_could_read_is_an_error_not_a_picture(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL.replace("#000000", "#f4f4f4"))
    with pytest.raises(UserError, match=r"own\.toml: '[A-Z]{2}\d\d' cannot be drawn readably: choose"):
        plate(layouts=path).picture(0)


# Patterns


@pytest.mark.parametrize(
    ("pattern", "labels"),
    [
        ("A9", {"X1", "Y1", "X0", "Y0"}),
        ("1", {"1"}),
        ("[B-DK]", {"B", "C", "D", "K"}),
        ("[-B][B-]", {"--", "-B", "B-", "BB"}),
        ("'OST'", {"OST"}),
        ("<city>", {"U", "UM"}),
        ("(A|9)?'-'", {"-", "X-", "Y-", "1-", "0-"}),
        ("A{2}", {"XX", "XY", "YX", "YY"}),
        ("'a'{1,3}", {"a", "aa", "aaa"}),
        ("<city>^ 9", {"U1", "U0", "UM1", "UM0"}),
        ("('a'/|9/){2}A", {one + two + last for one in "a01" for two in "a01" for last in "XY"}),
        ("('a'|'b'9)/A", {"aX", "aY", "b0X", "b1X", "b0Y", "b1Y"}),
    ],
)
def test_a_pattern_writes_all_that_it_means_and_knows_it_again(pattern: str, labels: set[str]) -> None:
    made = Pattern(pattern, "XY", "01", {"city": ("U", "UM")})
    assert {patterns.label(made.write(Source(seed)), False) for seed in range(300)} == labels
    assert all(re.fullmatch(made.expression(), text) for text in labels)
    assert not any(re.fullmatch(made.expression(), text + "?") for text in labels)
    assert max(map(len, labels)) == made.longest()
    assert set("".join(labels)) == made.characters


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("AAB", "has 'B', which stands for nothing .*: write 'B' in quotes"),
        ("<town>", r"the list 'town', which is not there .*\[lists\] \(now: city\)"),
        ("(A", r"a '\(' that is never closed"),
        ("A)", r"a '\)' that closes nothing"),
        ("A{3,2}", r"the number of times \{3,2\}"),
        ("A{99}", "the number of times"),
        ("?A", r"a '\?' with nothing before it"),
        ("A [Z-A9]9", r"has \[Z-A9\], in which the range Z-A runs backwards \(at character 8\): write A-Z"),
        ("[AA]", r"twice the same in \[AA\]"),
        ("[]", "nothing in"),
        ("'A", '"\'" that closes|closes'),
        (" - ", "may have no letter at all"),
        ("A?", "may have no letter at all"),
        ("A(/9|9)", "has now more rows, now fewer"),
        ("A(/9){1,2}", "repeats a '/' now more, now fewer times"),
        ("A/9?", "row 2 of 'A/9.' may have no letter at all"),
        ("(A9)^", r"a '\^' after a group"),
    ],
)
def test_an_impossible_pattern_is_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(PatternError, match=sentence):
        Pattern(pattern, "XY", "01", {"city": ("U", "UM")})


# Lettering


@pytest.mark.parametrize("face", [Drawn(0.14, 0.5), Drawn(0.1, 0.3, "A1 01 31"), "SourceSansPro-Bold.ttf"])
def test_letters_fill_the_size_asked_for(face: Drawn | str) -> None:
    drawn = Font(fonts.brought(face)) if isinstance(face, str) else face
    for letter in "AQÖ0171":
        ink = lettering.letter(drawn, letter, (24, 40))
        assert ink.shape == (40, 24)
        assert min(ink[:2].max(), ink[-2:].max(), ink[:, :2].max(), ink[:, -2:].max()) > 60


def test_letters_differ_from_one_another() -> None:
    inks = {letter: lettering.letter(Drawn(0.13, 0.5), letter, (24, 40)) for letter in strokes.characters()}
    for one, ink in inks.items():
        near = [other for other in inks if other != one and np.abs(ink.astype(int) - inks[other]).mean() < 6]
        # Plate makers' dies: O and 0 are nearly one.
        assert set(near) <= set("O0"), (one, near)


def test_every_die_has_all_its_letters_and_none_is_drawn_as_another() -> None:
    assert len(set(lettering.DIES)) == len(lettering.DIES)
    for die in lettering.DIES:
        inks = {letter: lettering.letter(die, letter, (24, 40)) for letter in strokes.characters()}
        for pair in ("2Z", "1I", "4A", "MH", "8B", "G6", "WV", "AH", "VU"):
            one, other = (inks[letter].astype(int) for letter in pair)
            assert np.abs(one - other).mean() > 6, (die, pair)


def test_drawn_han_letters_look_like_those_of_a_font() -> None:
    faces = lettering.faces("han", Path())
    printed = [face for face in faces if isinstance(face, Font) and face.path.name == "NotoSansCJK-Regular.ttc"]
    if not printed:
        pytest.skip("this machine has no Noto CJK")

    def looks(face: lettering.Face, letter: str) -> np.ndarray:
        ink = cv2.GaussianBlur(lettering.letter(face, letter, (32, 64)).astype(float), (0, 0), 2.5)
        return (ink - ink.mean()) / ink.std()

    prints = {letter: looks(printed[0], letter) for letter in HAN}
    for letter in HAN:
        likeness = {other: float((looks(faces[2], letter) * ink).mean()) for other, ink in prints.items()}
        assert max(likeness, key=likeness.__getitem__) == letter


def test_the_i_of_american_dies_has_serifs() -> None:
    for face in lettering.ROLES["american"]:
        assert isinstance(face, Drawn)
        ink = lettering.letter(face, "I", (60, 96)) > 128
        foot, mast = ink[-10:].any(axis=0).sum(), ink[48].sum()
        assert foot > 1.5 * mast, face
        # A 1 next to it is not taken for it: it has not both serifs to the right.
        one = lettering.letter(face, "1", (60, 96)).astype(int)
        assert np.abs(one - lettering.letter(face, "I", (60, 96))).mean() > 12, face


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("us_")], ids=lambda path: path.stem)
def test_american_layouts_that_have_an_i_draw_it_with_serifs(path: Path) -> None:
    """As a bar, which it is in sans-serif fonts, it would be no other than the 1 of the same plates."""
    made = layout(path)
    if "I" in made.letters:
        assert not {"grotesk", "bold"} & set(made.faces)


def test_a_letter_of_other_proportions_keeps_its_sides() -> None:
    face = Font(fonts.brought("SourceSansPro-Bold.ttf"))
    plain, other = (lettering.letter(face, "B", (40, 60), proportion=number) for number in (0, 1))
    assert np.abs(plain.astype(int) - other).mean() > 6
    assert min(other[:2].max(), other[-2:].max(), other[:, :2].max(), other[:, -2:].max()) > 60


def test_the_left_part_of_a_letter_may_hang_above_the_foot_of_its_right_part() -> None:
    face = Font(fonts.brought("SourceSansPro-Bold.ttf"))
    hung = lettering.PROPORTIONS.index((0.0, 0.0, 0.22))
    plain, other = (lettering.letter(face, "M", (40, 60), proportion=number) for number in (0, hung))
    assert plain[50:, :8].max() > 200
    assert not other[50:, :8].any()
    assert np.array_equal(plain[:, 24:], other[:, 24:])


# What is wrong, in one sentence


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("gap = 8", "gab = 8", 13, r"rows\[0\]\.gab is no field: take it out or mend its name"),
        ("gap = 8", "", 10, r"rows\[0\]\.gap is missing: add it"),
        ("gap = 8", "gap = -1", 13, r"rows\[0\]\.gap is '-1': give a number that is at least 0"),
        ('"#ffffff"', '"white"', 7, r"paints\[0\]\.ground\[0\] is 'white': a colour is #rrggbb"),
        ('["#ffffff"]', "[\n  \"#ffffff\",\n  'white',\n]", 9, r"paints\[0\]\.ground\[1\] is 'white'"),
        ("title =", "title ", 2, r"it is not a TOML file \(Expected '=' .*\): correct it there"),
        ('"AA 99"', '"AA 99/A"', 4, r"patterns\[0\]: 'AA 99/A' has 2 rows and the layout 1: write a '/'"),
        ('["AA 99"]', '[\n  "AA 99",\n  "AA $",\n]', 6, r"patterns\[1\]: 'AA \$' has '\$', which stands for nothing"),
        ("box = [20, 20, 280, 80]", "box = [20, 20, 280, 180]", 11, r"rows\[0\]\.box .* does not lie within size"),
        (
            "box = [20, 20, 280, 80]",
            "box = [20, 20, 280, 20.4]",
            11,
            r"rows\[0\]\.box .* too low to be read: .* 10 or more",
        ),
        ("gap = 8", "gap = inf", 13, r"rows\[0\]\.gap is 'inf': give a number;"),
        ("size = ", "weight = inf\nsize = ", 3, "weight is 'inf': give a number;"),
        (
            "size = ",
            "radius = 1e12\nsize = ",
            3,
            "radius is '1000000000000.0': give a number that is at most 3000",
        ),
        *(
            (
                "[[rows]]",
                f'[[prints]]\ntexts = ["X"]\nat = [{left}, 3]\nheight = 5\n[[rows]]',
                12,
                rf"prints\[0\]\.at\[0\] is '.+': give a number{what}",
            )
            for left, what in (("inf", ";"), ("nan", ";"), ("-1e12", " that is at least -3000"))
        ),
        (
            '"AA 99"',
            f'"{"(" * 1500}A{")" * 1500}"',
            4,
            r"patterns\[0\]: '\({80}…' has more than 50 brackets in one another",
        ),
        ("size = [300", "size = [3000", 3, r"size is \[3000\.0, 100\.0\]: one side may be up to 10 times"),
        (
            "size = ",
            'faces = ["comic"]\nsize = ',
            3,
            "faces: 'comic' is not a face: name one of die, .*, or a font file",
        ),
        ("size = ", 'faces = ["None.ttf"]\nsize = ', 3, "faces: the font None.ttf is in none of the packages"),
        ("size = ", 'letters = "A-ZЖ"\nfaces = ["die"]\nsize = ', 4, "faces: the face die lacks the character 'Ж'"),
        ("size = ", 'letters = "Z-A"\nsize = ', 3, "letters: the range Z-A runs backwards"),
        ("[[paints]]", "[lists]\ncity = []\n[[paints]]", 7, r"lists\.city is empty"),
        ("[[paints]]", "lists.city = []\n[[paints]]", 6, r"lists\.city is empty"),
        ("[[paints]]", "[border]\nwidth = 3\ninset = -1\n[[paints]]", 8, r"border\.inset is '-1'"),
        (
            "[[rows]]",
            '[[prints]]\ntexts = ["X"]\nat = [9, 9]\nheight = 5\nfaces = ["die"]\n[[rows]]',
            14,
            r"prints\[0\]\.faces: small print needs",
        ),
        (
            "[[rows]]",
            '[[marks]]\nkind = "dot"\nat = "gap"\nsize = [9, 9]\ncolours = ["#ff0000"]\n'
            '[[marks]]\nkind = "cat"\nat = "gap"\nsize = [9, 9]\ncolours = []\n[[rows]]',
            16,
            r"marks\[1\]\.kind is",
        ),
    ],
)
def test_what_is_wrong_in_a_layout_is_said(old: str, new: str, line: int, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"own\.toml, line {line}: {sentence}") as caught:
        plate(layouts=written(tmp_path, SMALL.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_brackets_without_end_are_no_layout(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own\.toml: it is not a TOML file"):
        plate(layouts=written(tmp_path, "x = " + "[" * 100_000))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size = ", "radius = 0\nsize = "),
        ("280, 80]", "280, 30]"),
        ('"AA 99"', f'"{"(" * 50}A{")" * 50} 99"'),
    ],
)
def test_what_is_just_allowed_in_a_layout_is_drawn(old: str, new: str, tmp_path: Path) -> None:
    style = plate(layouts=written(tmp_path, SMALL.replace(old, new, 1)))
    for index in range(3):
        assert style.picture(index)[0].shape[0] == 64


def test_what_is_nowhere_in_a_layout_has_no_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own\.toml: title is missing: add it"):
        plate(layouts=written(tmp_path, SMALL.replace('title = "Nowhere"', "")))


def test_han_letters_come_from_a_face_of_their_own(tmp_path: Path) -> None:
    own = layout(Path(written(tmp_path, SMALL.replace("size = ", 'faces = ["grotesk"]\nletters = "A-Z語"\nsize = '))))
    assert "語" in own.characters and own.eastern


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        (
            {"layouts": "atlantis"},
            r"--layouts atlantis: there is no layout of that name; give one of .*ar, .*a file or a folder",
        ),
        ({"layouts": __file__}, "a layout file ends in .toml; give one"),
        ({"layouts": "layouts/gone"}, "--layouts layouts/gone: no such folder; give a folder of layouts"),
        ({"layouts": "gone.toml"}, r"--layouts gone\.toml: no such file"),
        ({"layouts": str(Path(__file__).parent)}, "no .toml file in this folder"),
        ({"layouts": ""}, "--layouts is empty"),
        ({"length": "4"}, "--length 4 is not for --style plate, whose texts come from --layouts"),
        ({"alphabet": "0-9"}, "--alphabet 0-9 is not for --style plate"),
        ({"text": "x.txt"}, "--text x.txt is for --style line"),
        ({"size": "40x40"}, "--size 40x40: too small for a plate to be readable; give 80x20 or more"),
        ({"size": "autox12"}, "--size autox12: too small for a plate to be readable; give autox20"),
        ({"style": "captcha", "layouts": "de"}, "--layouts de is for --style plate, not for --style captcha"),
        ({"style": "line", "keep_separators": True}, "--keep-separators is for --style plate, not for --style line"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(others: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        plate(**others)


def test_own_fonts_must_have_the_letters(tmp_path: Path) -> None:
    folder = tmp_path / "fonts"
    folder.mkdir()
    (folder / "cmex10.ttf").write_bytes(Path(fonts.brought("cmex10.ttf")).read_bytes())
    with pytest.raises(UserError, match=r"de_car\.toml: --fonts: the face cmex10\.ttf lacks the character"):
        plate(layouts="de_car", fonts=str(folder))


def test_layouts_whose_fonts_are_missing_are_left_out_of_all_and_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lettering, "_of_system", lambda file: None)
    layouts._tell.cache_clear()
    left = {read.name.split("_")[0] for read in plate().layouts}
    assert {"de", "cn"} <= left and "kr" not in left
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and "left out kr_electric, " in complaint and "fonts-noto-cjk" in complaint
    with pytest.raises(
        UserError, match=r"kr_electric\.toml: letters of the kind 'hangul' need .* install the package fonts-noto"
    ):
        plate(layouts="kr_electric")
    # What is drawn of strokes needs none, but other Han letters do.
    own = written(tmp_path, (layouts.FOLDER / "cn_blue.toml").read_text(encoding="utf-8").replace("京", "漢"))
    with pytest.raises(UserError, match=r"own\.toml: letters of the kind 'han' need .* install the package fonts-noto"):
        plate(layouts=own)
