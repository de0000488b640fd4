"""Style `plate`: layouts, patterns, letters, pictures, and errors in layout files."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from crnn_reader.config import MAX_CONFIG_BYTES
from crnn_reader.decoding.formats import FormatIndex
from crnn_reader.errors import UserError
from crnn_reader.formats import Format, check_total
from crnn_reader.model_files import locate_model, read_config
from generate_captcha import style_of, write_corpus
from generate_captcha.drawing.visibility import INK
from generate_captcha.plates import camera, layout, layout_files, letters
from generate_captcha.plates.distractors import add_distractors
from generate_captcha.plates.layout import Layout
from generate_captcha.plates.patterns import Pattern, PatternError, TextPart, join_rows
from generate_captcha.plates.rendering import render
from generate_captcha.plates.rows import PlacedRow
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.styles.plate import Plate
from generate_captcha.text import fonts, strokes
from generate_captcha.text.fonts import Font
from generate_captcha.text.han import HAN
from generate_captcha.text.strokes import StrokeFont
from parameter import GenerateParameters

FILES = sorted(layout_files.FOLDER.glob("*.toml"))
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "plates.md"

SMALL = """random_texts = 0
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


def load(path: Path) -> Layout:
    try:
        return layout_files.read_layout(path)
    except letters.MissingFont as error:
        pytest.skip(str(error))


def written(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


# Every layout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_layout_is_drawn_and_most_labels_match_its_patterns(path: Path) -> None:
    load(path)
    for difficulty, keep in ((0.0, True), (1.0, False)):
        style = plate(layouts=str(path), size="autox64", difficulty=difficulty, keep_separators=keep)
        (only,) = style.layouts
        expression = re.compile(only.expression(keep))
        for index in range(3):
            image, label = style.picture(index)
            assert image.shape[0] == 64 and image.dtype == np.uint8 and image.std() > 5
            assert label == style.label(index)
        labels = [style.label(index) for index in range(100)]
        assert all(set(label) <= set(style.alphabet) and len(label) <= style.longest for label in labels)
        # The others are random.
        assert sum(bool(expression.fullmatch(label)) for label in labels) >= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_texts_of_every_layout_are_of_its_format(path: Path) -> None:
    layout, found = load(path), layout_files.read_format(path)
    if path.stem.startswith("any_"):
        assert found is None
        return
    assert found
    assert (found.name, found.title) == (path.stem, layout.fields.title)
    assert Format.of(json.loads(json.dumps(asdict(found)))) == found
    alphabet = "".join(sorted({character for each in layout.patterns for character in each.characters}))
    index = FormatIndex([found], alphabet)
    for number in range(200):
        rng = SeededRandom(str(number))
        pattern = rng.choice(layout.patterns)
        rows = pattern.write(rng)
        if "<word>" in pattern.text:
            continue
        label, written = join_rows(rows, False), "/".join(join_rows([row], True) for row in rows)
        forms = index.forms_of([alphabet.index(character) + 1 for character in label])
        texts = {"".join(map("".join, zip(form.signs, [*label, ""], strict=True))) for form in forms}
        assert written in texts


def test_formats_of_all_layouts_fit_into_a_model_file() -> None:
    formats = layout_files.formats_of("all")
    assert len(formats) == sum(not path.stem.startswith("any_") for path in FILES)
    size = sum(len(json.dumps(asdict(each), ensure_ascii=False).encode()) for each in formats)
    assert size < MAX_CONFIG_BYTES / 10
    check_total(formats)


def test_every_code_is_documented_with_its_country() -> None:
    rows: dict[tuple[str, str], list[str]] = {}
    for each in layout_files.formats_of("all"):
        rows.setdefault((each.country, each.country_name), []).append(f"`{each.name}`")
    lines = DOCUMENTATION.read_text(encoding="utf-8").splitlines()
    for (code, country), names in rows.items():
        assert f"| `{code}` | {country} | {', '.join(names)} |" in lines
    assert sum(line.startswith("| `") and "_" in line.split("|")[3] for line in lines if line.count("|") == 4) == len(
        rows
    )


def test_formats_are_chosen_by_name(tmp_path: Path) -> None:
    own = written(tmp_path, SMALL)
    assert [each.name for each in layout_files.formats_of(f"de,{own}")] == ["de_car", "de_two_rows", "own"]
    assert layout_files.formats_of("none") == []
    assert layout_files.formats_of("any_one_row") == []
    (tmp_path / "other").mkdir()
    twice = f"{own},{written(tmp_path / 'other', SMALL)}"
    with pytest.raises(UserError, match="two layouts are called own: rename one of the files"):
        layout_files.formats_of(twice)
    for name in ("none", "help", "all", "my car", "a,b", "_"):
        (named := tmp_path / f"{name}.toml").write_text(SMALL)
        with pytest.raises(UserError, match=f"a format cannot be called '{name}', as .* is: name it as li_car.toml"):
            layout_files.formats_of(str(tmp_path) if "," in name else str(named))
        named.unlink()
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1_001):
        (many / f"x{number}.toml").write_text(SMALL)
    with pytest.raises(UserError, match="has 1,001 layouts, and a model file at most 1,000: give fewer"):
        layout_files.formats_of(str(many))


def test_expected_countries_and_kinds_exist() -> None:
    names = {path.stem for path in FILES}
    groups = {name.split("_")[0] for name in names}
    assert set("kr cn us de pl cz sk hr fr it es nl gb br ar vn in".split()) <= groups
    assert {"kr_white_long", "kr_white_short", "kr_yellow_two_rows", "kr_green_two_rows", "kr_new_long"} <= names
    assert sum(len(load(path).fields.rows) > 1 for path in FILES if not path.stem.startswith(("kr", "cn"))) >= 12


@pytest.mark.parametrize(
    ("name", "never"),
    [("de_car", ""), ("cn_blue", "IO"), ("es_car", "AEIOUQ"), ("fr_car", "IOU"), ("cz_car", "GOQW"), ("gb_car", "Q")],
)
def test_letters_that_a_country_does_not_use_do_not_occur(name: str, never: str) -> None:
    assert not set(never) & set(plate(layouts=name).alphabet)


def test_german_plates_have_umlauts() -> None:
    assert set("ÄÖÜ") <= set(plate(layouts="de").alphabet)


def test_every_country_is_documented() -> None:
    """Also the number of characters, and that of the layouts that the shipped `plate` knows, in README.md."""
    page = " ".join(DOCUMENTATION.read_text(encoding="utf-8").split())
    section = page.partition("## Available layouts")[2].partition(" ## ")[0]
    layouts = [load(path) for path in FILES]
    countries = {each.fields.title.partition(",")[0] for each in layouts if not each.name.startswith("any_")}
    assert not {country for country in countries if country not in section}
    characters = {character for each in layouts for pattern in each.patterns for character in pattern.characters}
    assert f"has {len(characters)} characters" in section
    readme = (DOCUMENTATION.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"licence plates of {len(read_config(locate_model('plate')).formats)} layouts" in readme


def test_every_field_is_documented() -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    parts = (layout.LayoutFields, layout.Paint, layout.Border, layout.Band, layout.Row, layout.Print, layout.Mark)
    for part in parts:
        for name, field in part.model_fields.items():
            assert f"`{name}`" in page and field.description, (part, name)
    assert all(f"`{name}`" in page for name in (*letters.ROLES, *letters.SCRIPTS))


def test_example_of_the_documentation_works(tmp_path: Path) -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    example = re.search(r"^    # Norway.*?(?=^\S)", page, re.MULTILINE | re.DOTALL)
    assert example
    style = plate(layouts=written(tmp_path, re.sub(r"^    ", "", example[0], flags=re.MULTILINE)))
    assert re.fullmatch(r"[A-Z]{2}\d{5}", style.picture(0)[1])


# Labels


def test_labels_have_separators_only_on_request() -> None:
    bare, kept = plate(layouts="fr_car"), plate(layouts="fr_car", keep_separators=True)
    for index in range(20):
        assert kept.label(index).count("-") == 2
        assert bare.label(index) == kept.label(index).replace("-", "")
    assert "-" in kept.alphabet and "-" not in bare.alphabet
    np.testing.assert_array_equal(bare.picture(3)[0], kept.picture(3)[0])


def test_upper_row_comes_first_in_labels() -> None:
    rows = Pattern("'UP' 99/'LOW'", "A", "7", {}).write(SeededRandom(0))
    assert [[part.text for part in row] for row in rows] == [["UP", " ", "7", "7"], ["LOW"]]
    assert join_rows(rows, False) == "UP77LOW"
    assert join_rows(rows, True) == "UP 77LOW"
    style = plate(layouts="es_motorcycle")
    # A quarter of the texts is random.
    assert sum(bool(re.fullmatch(r"\d{4}[A-Z]{3}", style.label(index))) for index in range(20)) >= 12


def test_random_texts_have_the_characters_of_the_layout_at_any_place(tmp_path: Path) -> None:
    own = SMALL.replace('"AA 99"', '"AAA 999"').replace("size =", 'letters = "BDIQZ"\nsize =')
    bare = plate(layouts=written(tmp_path, own.replace("random_texts = 0", "random_texts = 0.4")))
    labels = [bare.label(index) for index in range(1500)]
    random = [label for label in labels if not re.fullmatch(r"[BDIQZ]{3}\d{3}", label)]
    assert 0.34 < len(random) / len(labels) < 0.44
    assert {len(label) for label in random} == {5, 6, 7} and bare.longest == 7
    assert set("".join(random)) == set("BDIQZ0123456789")
    assert all({label[place] for label in random} == set("BDIQZ0123456789") for place in range(5))
    # Those that are easily confused occur more often.
    together = "".join(random)
    assert together.count("0") + together.count("8") > 1.15 * (together.count("3") + together.count("9"))
    never = plate(layouts=written(tmp_path, own))
    assert all(re.fullmatch(r"[BDIQZ]{3}\d{3}", never.label(index)) for index in range(300))


def test_random_texts_keep_the_places_of_hangul() -> None:
    if not letters.system_font("NotoSansCJK-Bold.ttc"):
        pytest.skip("this machine has no Noto CJK")
    style = plate(layouts="kr_white_short")
    labels = [style.label(index) for index in range(200)]
    assert all(sum(ord(character) >= fonts.FULL_WIDTH for character in label) == 1 for label in labels)
    assert any(not re.fullmatch(r"\d{2}.\d{4}", label) for label in labels)


def test_upper_row_is_above_the_lower_one() -> None:
    loaded = load(layout_files.FOLDER / "es_motorcycle.toml")
    sheets = [
        render(loaded, [[TextPart("1"), TextPart("2")], [TextPart(low), TextPart("F")]], 1.0, 0.0, 1.0, SeededRandom(5))
        for low in "BC"
    ]
    differing = np.flatnonzero((sheets[0].ink != sheets[1].ink).any(axis=1))
    upper = np.flatnonzero(sheets[0].ink.any(axis=1))
    assert differing[0] > (upper[0] + upper[-1]) / 2


def test_long_text_is_narrowed_and_stays_on_the_plate() -> None:
    loaded = load(layout_files.FOLDER / "us_vanity.toml")
    for seed in range(60):
        sheet = render(
            loaded,
            [[TextPart("LUCKY"), TextPart(" ", separator=True), TextPart("LUCKY")]],
            0.4,
            0.0,
            1.0,
            SeededRandom(seed),
        )
        assert sheet.plate[0] <= sheet.text[0] and sheet.text[2] <= sheet.plate[2], seed


def test_labels_of_other_scripts_are_as_plates_stand_from_left_to_right() -> None:
    for name, expression in (
        ("ir_car", "[۰-۹]{2}[بپتثجدزسشصطعفقکلمنوهی][۰-۹]{5}"),
        ("eg_car", "[١-٩]{2,4}[أبجدرسصطعفقلمنهوى]{2,3}"),
        ("sa_car", "[0-9]{2,4}[A-Z]{3}"),
        ("th_car", "[1-9]?[ก-ฮ]{2}[0-9]{1,4}|[0-9]{6}"),
        ("jp_car", "[^0-9A-Z]{1,4}[0-9]{1,2}[0-9A-Z][ぁ-ん][0-9]{1,4}"),
    ):
        load(layout_files.FOLDER / f"{name}.toml")
        style = plate(layouts=name)
        assert sum(bool(re.fullmatch(expression, style.label(index))) for index in range(60)) > 35, name
    loaded = load(layout_files.FOLDER / "eg_car.toml")
    for text, heavier in (("٨١١١١١", 0), ("١١١١١٨", 1)):
        sheet = render(loaded, [[TextPart(letter) for letter in text]], 1.0, 0.0, 1.0, SeededRandom(5))
        middle = round((sheet.text[0] + sheet.text[2]) / 2)
        halves = sheet.ink[:, :middle].any(axis=0).sum(), sheet.ink[:, middle:].any(axis=0).sum()
        assert halves[heavier] > halves[1 - heavier]


def test_row_is_repeated_in_another_script_outside_the_label() -> None:
    loaded = load(layout_files.FOLDER / "sa_car.toml")
    one, other = (
        render(loaded, [[TextPart(letter) for letter in text]], 1.0, 0.0, 1.0, SeededRandom(3))
        for text in ("1298JGV", "1298JGX")
    )
    top, bottom = round(one.text[1]), round(one.text[3])
    ink = np.flatnonzero(one.ink.any(axis=1))
    assert top <= ink[0] and ink[-1] <= bottom
    differing = np.flatnonzero((one.image != other.image).any(axis=(1, 2)))
    assert differing[0] < top - 20 and differing[-1] > top


def test_small_letters_of_other_scripts_stay_small() -> None:
    face = next(face for face in letters.faces("arabic", Path()) if isinstance(face, Font))
    top, bottom = letters.extent(face, "۰", "arabic")
    assert bottom - top < 0.6 < letters.extent(face, "۸", "arabic")[1] == 1.0
    loaded = load(layout_files.FOLDER / "jp_car.toml")
    for seed in range(12):
        sheet = render(
            loaded,
            [[TextPart("つくば"), TextPart("5")], [TextPart("さ"), TextPart("8")]],
            1.0,
            0.0,
            1.0,
            SeededRandom(seed),
        )
        middle = round(sheet.plate[1]) + 60
        for ink, few in ((sheet.ink[:middle] > INK, False), (sheet.ink[middle:] > INK, True)):
            columns = np.flatnonzero(ink.any(axis=0))
            left = ink[:, : (columns[0] + columns[-1]) // 2].any(axis=1).sum()
            assert (left < 0.75 * ink.any(axis=1).sum()) == few, seed


# Pictures


@pytest.mark.parametrize("name", ["us_vanity", "de_car", "gb_car"])
def test_crops_cut_off_less_than_a_stroke_of_letters(name: str) -> None:
    loaded = load(layout_files.FOLDER / f"{name}.toml")
    cut, loose = 0, 0
    for seed in range(60):
        rng = SeededRandom(seed)
        rendered = render(loaded, loaded.write(rng), 0.6, 1.0, 1.0, rng)
        view = camera.random_view(rendered, False, (0, 64), 1.0, 1.0, rng)
        rows, columns = np.nonzero(rendered.ink > INK)
        x, y, depth = view.matrix @ np.stack([columns, rows, np.ones(len(rows))])
        outside = max(
            side.max() for side in (-x / depth, -y / depth, x / depth - view.size[0] + 1, y / depth - view.size[1] + 1)
        )
        assert outside < 0.08 * rendered.letter_height * view.scale + 1, seed
        cut += bool(outside > 0)
        loose += bool(view.size[1] > 1.5 * (rendered.plate[3] - rendered.plate[1]) * view.scale)
    assert cut > 3 and loose > 3


def test_frames_cover_less_than_a_stroke_of_letters(tmp_path: Path) -> None:
    loaded = layout_files.read_layout(Path(written(tmp_path, SMALL)))
    lost = []
    for seed in range(120):
        sheet = render(loaded, [[TextPart("HHHH")]], 1.0, 1.0, 1.0, SeededRandom(seed))
        seen = np.flatnonzero((sheet.ink > INK).any(axis=1))
        lost.append((sheet.text[3] - sheet.text[1] - (seen[-1] - seen[0] + 1)) / sheet.letter_height)
    assert max(lost) < 0.12 and sum(part > 0.01 for part in lost) > 5


def test_distractors_stand_between_letters_and_beside_them(tmp_path: Path) -> None:
    loaded = layout_files.read_layout(Path(written(tmp_path, SMALL.replace("[20, 20, 280, 80]", "[90, 20, 210, 80]"))))

    def changed(difficulty: float, columns: slice) -> int:
        """Number of plates, of 60, with something else than the white ground in `columns` of the plate, in mm."""
        count = 0
        for seed in range(60):
            rows = [[TextPart("HH"), TextPart(" ", separator=True), TextPart("HH")]]
            sheet = render(loaded, rows, 1.0, difficulty, 1.0, SeededRandom(seed))
            left, top, right, bottom = (round(side) for side in sheet.plate)
            plate_only, ink = (
                sheet.image[top + 20 : bottom - 20, left:right],
                sheet.ink[top + 20 : bottom - 20, left:right],
            )
            part, letters_there = plate_only[:, columns], ink[:, columns]
            count += bool(np.ptp(part[letters_there == 0], axis=0).max() > 150)
        return count

    for columns in (slice(140, 160), slice(20, 70)):
        assert changed(0.0, columns) == 0 and changed(1.0, columns) > 8


def test_distractors_keep_off_a_row_beside_another() -> None:
    rows = [PlacedRow([], 1.0, [], *edges) for edges in ((20, 180, 20, 80), (200, 280, 30, 80))]
    for seed in range(60):
        image = np.full((100, 300, 3), 255, np.uint8)
        add_distractors(image, rows, (0.0, 0.0, 0.0), SeededRandom(seed))
        assert image[32:76, 200:280].min() == 255, seed


def test_widths_and_distances_of_letters_vary(tmp_path: Path) -> None:
    loaded = layout_files.read_layout(Path(written(tmp_path, SMALL.replace("[20, 20, 280, 80]", "[0, 20, 300, 80]"))))
    sheets = [render(loaded, [[TextPart("HHHH")]], 1.0, 0.0, 1.0, SeededRandom(seed)) for seed in range(60)]
    widths = np.array([sheet.text[2] - sheet.text[0] for sheet in sheets]) / 60
    assert np.mean(np.abs(widths / np.median(widths) - 1) < 0.1) > 0.6
    assert widths.min() < 0.8 * np.median(widths)


def test_some_pictures_are_compressed_until_blocks_show() -> None:
    columns = np.linspace(90, 160, 128, dtype=np.uint8)
    image = np.repeat(np.repeat(columns[None, :, None], 64, axis=0), 3, axis=2)

    def blocks(difficulty: float) -> int:
        """Number of pictures, of 60, that change more at the edges of blocks of 8 pixels than within them."""
        count = 0
        for seed in range(60):
            taken = camera.photograph(image, 4.0, difficulty, 0.0, SeededRandom(seed)).astype(float).mean(axis=(0, 2))
            steps = np.abs(np.diff(taken))
            count += bool(steps[7::8].mean() > 3 * np.delete(steps, slice(7, None, 8)).mean())
        return count

    assert blocks(0.0) == 0 and blocks(1.0) > 4


def test_screws_of_a_layout_may_cover_letters(tmp_path: Path) -> None:
    def changed(text: str) -> int:
        """Number of plates, of 30, on which something light covers ink."""
        loaded = layout_files.read_layout(Path(written(tmp_path, text)))
        sheets = [render(loaded, [[TextPart("HHHH")]], 1.0, 0.0, 1.0, SeededRandom(seed)) for seed in range(30)]
        return sum(bool(sheet.image[sheet.ink == 255].max() > 100) for sheet in sheets)

    plain = SMALL.replace("patterns", "relief = 0\npatterns")
    assert changed(plain) == 0
    assert 5 < changed(plain.replace("patterns", "screws = [[150, 50], [150, 25]]\npatterns")) < 30


def test_one_row_needs_less_height_than_two() -> None:
    image, _ = plate(layouts="cn_blue", size="94x24", difficulty=1).picture(0)
    assert image.shape == (24, 94, 3)
    with pytest.raises(
        UserError, match=r"layout cn_motorcycle, whose letters would be 8 pixels high: .* a height of 32 or more"
    ):
        plate(layouts="cn", size="94x24")
    with pytest.raises(UserError, match=r"whose letters would be .* a height of 40 or more"):
        plate(size="autox32")


def test_pictures_have_the_requested_size() -> None:
    for size in ("160x48", "192x64", "94x32"):
        width, height = map(int, size.split("x"))
        style = plate(layouts="de_car,cn_yellow_two_rows,us_vanity", size=size)
        assert {style.picture(index)[0].shape for index in range(6)} == {(height, width, 3)}
    style = plate(layouts="de_car", size="autox48", difficulty=0)
    assert abs(style.picture(0)[0].shape[1] - 48 * 520 / 110) < 4
    assert plate().height == 64 and plate().width == 0


def test_difficulty_makes_pictures_harder() -> None:
    def at(difficulty: float) -> tuple[float, float]:
        """Standard deviation of the brightness over pictures, and mean sharpness."""
        style = plate(layouts="pl_car", difficulty=difficulty, size="160x48")
        images = [style.picture(index)[0].astype(float) for index in range(40)]
        sharp = [np.abs(np.diff(image, axis=1)).max(axis=1).mean() for image in images]
        return float(np.std([image.mean() for image in images])), float(np.mean(sharp))

    (even, sharp), (middling, softer), (wild, soft) = at(0.0), at(0.5), at(1.0)
    assert even < middling < wild
    assert sharp > softer > soft


def test_number_of_workers_does_not_change_plates(tmp_path: Path) -> None:
    for workers in (1, 2):
        write_corpus(
            GenerateParameters(style="plate", out=str(tmp_path / str(workers)), count=48, size="96x32", workers=workers)
        )
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / workers).rglob("*") if path.is_file()}
        for workers in ("1", "2")
    )
    assert one == two and len(one) == 49


def test_consequences_of_other_layouts_are_not_reported(tmp_path: Path) -> None:
    corpus = {"style": "plate", "out": str(tmp_path), "count": 1, "size": "96x32", "workers": 1}
    write_corpus(GenerateParameters(layouts="de_car", **corpus))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"another seed \(0, now 7\), layouts \([^()]*\): give"):
        write_corpus(GenerateParameters(layouts="gb", seed=7, **corpus))  # type: ignore[arg-type]


def test_record_contains_digests_of_layouts(tmp_path: Path) -> None:
    one = written(tmp_path, SMALL)
    before = plate(layouts=one).record()
    written(tmp_path, SMALL.replace("#ffffff", "#fffff0"))
    after = plate(layouts=one).record()
    assert before["layouts"][0].startswith("own sha256:") and before["layouts"] != after["layouts"]


def test_own_layouts_and_folders_are_used(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL)
    for names in (path, str(tmp_path)):
        assert re.fullmatch(r"[A-Z]{2}\d{2}", plate(layouts=names).label(0))
    several = plate(layouts=f"{path}, de, us_vanity")
    assert {each.name for each in several.layouts} == {"own", "de_car", "de_two_rows", "us_vanity"}


def test_a_shipped_name_is_not_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("no").mkdir()
    (layout,) = plate(layouts="no").layouts
    assert layout.name == "no_car"
    with pytest.raises(UserError, match=r"the folder \./no has no \.toml file"):
        plate(layouts="./no")


def test_own_fonts_draw_the_letters(tmp_path: Path) -> None:
    folder = tmp_path / "fonts"
    folder.mkdir()
    (folder / "Own.ttf").write_bytes(Path(fonts.packaged_font("DejaVuSerif.ttf")).read_bytes())
    style = plate(layouts=written(tmp_path, SMALL), fonts=str(folder))
    assert [font.name for font in style.fonts] == ["Own.ttf"]


def test_illegible_plate_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL.replace("#000000", "#f4f4f4"))
    with pytest.raises(UserError, match=r"own\.toml: '[A-Z]{2}\d\d' cannot be drawn legibly: choose"):
        plate(layouts=path).picture(0)


def test_a_layout_that_is_seldom_illegible_does_not_end_a_corpus(tmp_path: Path) -> None:
    paint = '[[paints]]\nground = ["#f4f4f4"]\nink = "#f4f4f4"\nweight = 4\n\n'
    style = plate(layouts=written(tmp_path, SMALL.replace("[[paints]]", f"{paint}[[paints]]", 1)))
    for index in range(40):
        assert style.picture(index)[1] == style.label(index)


def test_sampled_pictures_have_uneven_strokes() -> None:
    """Strokes of one pixel, reduced to two fifths: averaging leaves all of them, sampling only some."""
    image = np.zeros((60, 300, 3), np.uint8)
    lines = np.arange(10, 300, 33)
    image[:, lines] = 255
    averaged, sampled = (camera.resize(image, (120, 24), 0.0, aliased, SeededRandom(0)) for aliased in (False, True))
    places = (lines / 2.5).astype(int)[:, np.newaxis] + np.arange(-3, 4)
    inks = [each[12, places, 0].sum(1, dtype=int) for each in (averaged, sampled)]
    assert np.ptp(inks[0]) < 10 and np.ptp(inks[1]) > 100


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
def test_pattern_writes_and_matches_all_its_texts(pattern: str, labels: set[str]) -> None:
    made = Pattern(pattern, "XY", "01", {"city": ("U", "UM")})
    assert {join_rows(made.write(SeededRandom(seed)), False) for seed in range(300)} == labels
    assert all(re.fullmatch(made.expression(), text) for text in labels)
    assert not any(re.fullmatch(made.expression(), text + "?") for text in labels)
    assert max(map(len, labels)) == made.longest()
    assert set("".join(labels)) == made.characters


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("AAB", "has 'B', which stands for nothing .*: write 'B' in quotes"),
        ("<town>", r"the unknown list 'town' .*\[lists\] \(now: city\)"),
        ("(A", r"a '\(' that is never closed"),
        ("A)", r"a '\)' that closes nothing"),
        ("A{3,2}", r"the number of times \{3,2\}"),
        ("A{99}", "the number of times"),
        ("?A", r"a '\?' with nothing before it"),
        ("A [Z-A9]9", r"has \[Z-A9\], in which the range Z-A runs backwards \(at character 8\): write A-Z"),
        ("[AA]", r"a character twice in \[AA\]"),
        ("[]", "nothing in"),
        ("'A", 'no closing "\'"'),
        (" - ", "may have no letter at all"),
        ("A?", "may have no letter at all"),
        ("A(/9|9)", "has a varying number of rows"),
        ("A(/9){1,2}", "repeats a '/' a varying number of times"),
        ("A/9?", "row 2 of 'A/9.' may have no letter at all"),
        ("(A9)^", r"a '\^' after a group"),
    ],
)
def test_invalid_pattern_is_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(PatternError, match=sentence):
        Pattern(pattern, "XY", "01", {"city": ("U", "UM")})


# Lettering


@pytest.mark.parametrize("face", [StrokeFont(0.14, 0.5), StrokeFont(0.1, 0.3, "Ab 0b 3b"), "SourceSansPro-Bold.ttf"])
def test_letters_fill_the_requested_size(face: StrokeFont | str) -> None:
    drawn = Font(fonts.packaged_font(face)) if isinstance(face, str) else face
    for letter in "AQÖ0171":
        ink = letters.draw_letter(drawn, letter, (24, 40))
        assert ink.shape == (40, 24)
        assert min(ink[:2].max(), ink[-2:].max(), ink[:, :2].max(), ink[:, -2:].max()) > 60


def test_letters_differ_from_one_another() -> None:
    inks = {letter: letters.draw_letter(StrokeFont(0.13, 0.5), letter, (24, 40)) for letter in strokes.characters()}
    for one, ink in inks.items():
        near = [other for other in inks if other != one and np.abs(ink.astype(int) - inks[other]).mean() < 6]
        # On dies of plate makers, O and 0 are nearly equal.
        assert set(near) <= set("O0"), (one, near)


def test_letters_of_every_die_differ() -> None:
    assert len(set(letters.DIES)) == len(letters.DIES)
    for die in letters.DIES:
        inks = {letter: letters.draw_letter(die, letter, (24, 40)) for letter in strokes.characters()}
        for pair in ("2Z", "1I", "4A", "MH", "8B", "G6", "WV", "AH", "VU"):
            one, other = (inks[letter].astype(int) for letter in pair)
            assert np.abs(one - other).mean() > 6, (die, pair)


def test_stroke_han_letters_resemble_those_of_a_font() -> None:
    faces = letters.faces("han", Path())
    printed = [face for face in faces if isinstance(face, Font) and face.path.name == "NotoSansCJK-Regular.ttc"]
    if not printed:
        pytest.skip("this machine has no Noto CJK")

    def looks(face: letters.Face, letter: str) -> np.ndarray:
        ink = cv2.GaussianBlur(letters.draw_letter(face, letter, (32, 64)).astype(float), (0, 0), 2.5)
        return (ink - ink.mean()) / ink.std()

    prints = {letter: looks(printed[0], letter) for letter in HAN}
    for letter in HAN:
        likeness = {other: float((looks(faces[2], letter) * ink).mean()) for other, ink in prints.items()}
        assert max(likeness, key=likeness.__getitem__) == letter


def test_i_of_american_dies_has_serifs() -> None:
    for face in letters.ROLES["american"]:
        assert isinstance(face, StrokeFont)
        ink = letters.draw_letter(face, "I", (60, 96)) > 128
        foot, mast = ink[-10:].any(axis=0).sum(), ink[48].sum()
        assert foot > 1.5 * mast, face
        # A 1 differs from it: it lacks the serifs on the right.
        one = letters.draw_letter(face, "1", (60, 96)).astype(int)
        assert np.abs(one - letters.draw_letter(face, "I", (60, 96))).mean() > 12, face


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("us_")], ids=lambda path: path.stem)
def test_american_layouts_draw_i_with_serifs(path: Path) -> None:
    """Without serifs, as in sans-serif fonts, it would equal the 1 of the same plates."""
    made = load(path)
    if any("I" in pattern.characters for pattern in made.patterns):
        assert not {"grotesk", "bold"} & set(made.fields.faces)


def test_other_proportions_keep_the_outline() -> None:
    face = Font(fonts.packaged_font("SourceSansPro-Bold.ttf"))
    plain, other = (letters.draw_letter(face, "B", (40, 60), proportion=number) for number in (0, 1))
    assert np.abs(plain.astype(int) - other).mean() > 6
    assert min(other[:2].max(), other[-2:].max(), other[:, :2].max(), other[:, -2:].max()) > 60


def test_proportions_may_raise_the_left_part() -> None:
    face = Font(fonts.packaged_font("SourceSansPro-Bold.ttf"))
    hung = letters.PROPORTIONS.index((0.0, 0.0, 0.22))
    plain, other = (letters.draw_letter(face, "M", (40, 60), proportion=number) for number in (0, hung))
    assert plain[50:, :8].max() > 200
    assert not other[50:, :8].any()
    assert np.array_equal(plain[:, 24:], other[:, 24:])


# Errors


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("gap = 8", "gab = 8", 13, r"rows\[0\]\.gab is an unknown field: remove it or correct it"),
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
            r"rows\[0\]\.box .* too low to be legible: make it at least 10 high",
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
        ("size = [300", "size = [3000", 3, r"size is \[3000\.0, 100\.0\], but one side may be at most 10 times"),
        (
            "size = ",
            'faces = ["comic"]\nsize = ',
            3,
            "faces: 'comic' is not a face: name one of die, .*, or a font file",
        ),
        ("size = ", 'faces = ["None.ttf"]\nsize = ', 3, "faces: the font None.ttf is in none of the packages"),
        ("size = ", 'letters = "A-ZЖ"\nfaces = ["die"]\nsize = ', 4, "faces: the face die lacks the character 'Ж'"),
        (
            "gap = 8",
            "gap = 8\nrepeat_box = [0, 0, 300, 20]\n[rows.repeat]\nA = 'ا'",
            15,
            r"rows\[0\]\.repeat lacks '0', which the patterns have: add it",
        ),
        ("gap = 8", "gap = 8\n[rows.repeat]\nA = 'ا'", 14, r"rows\[0\]\.repeat needs repeat_box"),
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
def test_errors_in_layouts_name_line_and_field(old: str, new: str, line: int, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"own\.toml, line {line}: {sentence}") as caught:
        plate(layouts=written(tmp_path, SMALL.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_deeply_nested_toml_is_refused(tmp_path: Path) -> None:
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
def test_layouts_at_the_limits_are_drawn(old: str, new: str, tmp_path: Path) -> None:
    style = plate(layouts=written(tmp_path, SMALL.replace(old, new, 1)))
    for index in range(3):
        assert style.picture(index)[0].shape[0] == 64


def test_stacked_print_may_have_spaces(tmp_path: Path) -> None:
    small = '[[prints]]\ntexts = ["A B"]\nat = [9, 50]\nheight = 10\nstacked = true\n[[rows]]'
    assert plate(layouts=written(tmp_path, SMALL.replace("[[rows]]", small))).picture(0)[0].shape[0] == 64


def test_missing_top_level_field_has_no_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own\.toml: title is missing: add it"):
        plate(layouts=written(tmp_path, SMALL.replace('title = "Nowhere"', "")))


def test_letters_and_digits_of_a_layout_are_never_names_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AB", "12"):
        (tmp_path / name).write_text("X\nY\n", encoding="utf-8")
    path = written(tmp_path, SMALL.replace("size = ", 'letters = "AB"\ndigits = "12"\nsize = '))
    assert plate(layouts=path).alphabet == "12AB"


def test_han_letters_have_their_own_face(tmp_path: Path) -> None:
    own = load(Path(written(tmp_path, SMALL.replace("size = ", 'faces = ["grotesk"]\nletters = "A-Z語"\nsize = '))))
    assert any("語" in pattern.characters for pattern in own.patterns) and own.full_width_faces


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        (
            {"layouts": "atlantis"},
            r"there is no layout called 'atlantis': give one of .*ar, .*a file or a folder",
        ),
        ({"layouts": __file__}, "does not end in .toml: rename it"),
        ({"layouts": "layouts/gone"}, "there is no folder layouts/gone: give a folder of layouts"),
        ({"layouts": "gone.toml"}, r"there is no layout file gone\.toml: give a file"),
        ({"layouts": str(Path(__file__).parent)}, "has no .toml file: add layouts"),
        ({"layouts": ""}, "--layouts is empty"),
        ({"length": "4"}, "--length 4 is not for --style plate, whose texts come from --layouts"),
        ({"alphabet": "0-9"}, "--alphabet 0-9 is not for --style plate"),
        ({"text": "x.txt"}, "--text x.txt is for --style line"),
        ({"size": "40x40"}, "the size 40x40 is too small for a plate to be legible: give 80x20 or more"),
        ({"size": "autox12"}, "the size autox12 is too small for a plate to be legible: give autox20"),
        ({"style": "captcha", "layouts": "de"}, "--layouts de is for --style plate, not for --style captcha"),
        ({"style": "line", "keep_separators": True}, "--keep-separators is for --style plate, not for --style line"),
    ],
)
def test_incompatible_parameters_are_refused(others: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        plate(**others)


def test_own_fonts_must_have_all_letters(tmp_path: Path) -> None:
    folder = tmp_path / "fonts"
    folder.mkdir()
    (folder / "cmex10.ttf").write_bytes(Path(fonts.packaged_font("cmex10.ttf")).read_bytes())
    with pytest.raises(UserError, match=r"de_car\.toml: fonts: the face cmex10\.ttf lacks the character"):
        plate(layouts="de_car", fonts=str(folder))


def test_layouts_without_fonts_are_left_out_or_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(letters, "system_font", lambda file: None)
    layout_files.warn_left_out.cache_clear()
    left = {each.name.split("_")[0] for each in plate().layouts}
    assert {"de", "cn", "ir", "eg", "sa"} <= left and not {"kr", "jp", "th"} & left
    complaint = capsys.readouterr().err
    assert (
        complaint.count("\n") == 1
        and "left out jp_car, kr_electric, " in complaint
        and ", th_car, " in complaint
        and "fonts-noto-cjk" in complaint
    )
    with pytest.raises(
        UserError, match=r"kr_electric\.toml: letters of the kind 'hangul' need .* install the package fonts-noto"
    ):
        plate(layouts="kr_electric")
    # Letters drawn from strokes need no font, but other Han letters do.
    own = written(tmp_path, (layout_files.FOLDER / "cn_blue.toml").read_text(encoding="utf-8").replace("京", "漢"))
    with pytest.raises(UserError, match=r"own\.toml: letters of the kind 'han' need .* install the package fonts-noto"):
        plate(layouts=own)
