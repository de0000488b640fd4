"""Formats of plates: patterns, the search with a prior against brute force, layouts of readings, and bad input."""

from __future__ import annotations

import csv
import itertools
import json
import math
import pickle
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnn_reader import Constraint, Reader, Reading, UserError
from crnn_reader import __main__ as crnn_reader_command
from crnn_reader.config import MAX_CONFIG_BYTES, ModelConfig
from crnn_reader.decoding.ctc import most_probable
from crnn_reader.decoding.formats import FormatIndex
from crnn_reader.formats import MAX_FORMATS, Format, escaped, parse_formats, sequences_of, write_class
from crnn_reader.model_files import read_config
from tests import commands
from tests.crnn_reader.test_decoding import enumerated, outputs
from tests.crnn_reader.test_reader import write_fixed_model

PICTURE = np.zeros((32, 48), np.uint8)


def texts_of(pattern: str) -> set[str]:
    return {"".join(text) for form in sequences_of(pattern) for text in itertools.product(*form.places)}


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        ("ab", "ab"),
        ("[ab]{2}", "[ab]{2}"),
        ("[a-c]?b", "[a-c]?b"),
        ("(a|bc|ba)c", "(a|bc|ba)c"),
        ("(aa|[bc]|cab){1,2}", "(aa|[bc]|cab){1,2}"),
        ("((a|b){2}|c{1,3})a", "((a|b){2}|c{1,3})a"),
        ("(|a)b", "(|a)b"),
    ],
)
def test_a_pattern_has_the_texts_of_a_regular_expression(pattern: str, expression: str) -> None:
    every = ("".join(text) for length in range(1, 7) for text in itertools.product("abc", repeat=length))
    assert texts_of(pattern) == {text for text in every if re.fullmatch(expression, text)}
    assert sum(form.share for form in sequences_of(pattern)) == pytest.approx(1)


def test_separators_and_rows_are_not_in_the_text_but_kept() -> None:
    (form,) = sequences_of("[AB] -B/(C)·")
    assert (form.places, form.signs) == (("AB", "B", "C"), ("", " -", "/", "·"))


def test_any_characters_can_be_written_into_a_pattern() -> None:
    signs = "\\[](){}|?-·./ ^'A"
    assert texts_of(f"x{write_class(signs)}") == {f"x{sign}" for sign in signs}
    assert texts_of(escaped("(A-1)\\")) == {"(A-1)\\"}


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("a)", "closes nothing"),
        ("(a", "not closed"),
        ("[a", "not closed, or an empty class"),
        ("[]", "not closed, or an empty class"),
        ("[b-a]", "the range b-a"),
        ("[aa]", "a character twice"),
        ("a{3,2}", "the repeat {3,2}"),
        ("a{0}", "the repeat {0,0}"),
        ("a{13}", "the repeat {13,13}"),
        ("?a", "has no meaning there"),
        ("a\\", "a '\\' at its end"),
        ("", "matches the empty text"),
        ("a?", "matches the empty text"),
        ("-", "matches the empty text"),
        ("(a{12}){12}", "texts of more than 32 characters"),
        ("(a|bc){12}(a|bc){12}", "more than 10,000 forms"),
        ("(" * 60 + "a" + ")" * 60, "more than 50 brackets in one another"),
        ("a" * 10_001, "more than 10,000"),
    ],
)
def test_an_invalid_pattern_is_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        sequences_of(pattern)


#: Formats of the letters a and b that overlap, of different sizes.
OVERLAPPING = [
    Format("xx_one", "Xland, one", ["a[ab]", "b{2}"], 2.0),
    Format("xx_two", "Xland, two", ["[ab]-[ab][ab]"]),
    Format("yy_one", "Yland", ["ab/b", "b"], 3.0),
]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("top", [1, 3])
def test_the_search_finds_the_texts_with_the_highest_posterior(seed: int, others: bool, top: int) -> None:
    index = FormatIndex(OVERLAPPING, "ab", others)
    batch = outputs(seed, sharpness=1.0 + seed / 3)
    for row, found in zip(batch, most_probable(batch, index, top), strict=True):
        weights = dict[tuple[int, ...], float]()
        every = enumerated(row)
        # Formats do not say whether there is a text.
        empty = every.pop(())
        for text, probability in every.items():
            weight = index.weight(index.state(text), len(text))
            if weight > -1e9:
                weights[text] = probability * math.exp(weight)
        best = sorted(weights, key=lambda text: -weights[text])
        if others or empty > 0.5:
            shares = {text.numbers: text.probability for text in found}
            assert shares[()] == pytest.approx(empty)
            if top == 1 and empty > 0.5:
                assert found[0].numbers == ()
                continue
            best.insert(sum(weights[text] / weights[best[0]] * shares[best[0]] > empty for text in best), ())
        assert [text.numbers for text in found[:top]] == best[:top]
        assert all(text.proven for text in found)
        assert sum(text.probability for text in found) <= 1 + 1e-9


def test_formats_do_not_make_a_text_of_nothing() -> None:
    # The only format has the text aa, with the highest prior.
    index = FormatIndex([Format("n", "N", ["aa"])], "ab")
    steps = np.log(np.array([[[0.6, 0.39, 0.01], [0.98, 0.01, 0.01], [0.6, 0.39, 0.01]]], np.float32))
    # Sixteen per cent for aa and 0.35 for the empty text; the prior would raise aa far above it.
    (texts,) = most_probable(steps, index)
    shares = {text.numbers: text.probability for text in texts}
    assert shares[()] == pytest.approx(0.6 * 0.98 * 0.6, rel=1e-4)
    assert shares[1, 1] < 1 - shares[()]
    (silent,) = most_probable(np.log(np.array([[[0.8, 0.19, 0.01], [0.98, 0.01, 0.01], [0.8, 0.19, 0.01]]])), index)
    assert silent[0].numbers == () and silent[0].probability == pytest.approx(0.8 * 0.98 * 0.8)


def test_a_narrow_format_is_more_probable_than_a_wide_one() -> None:
    index = FormatIndex([Format("n", "N", ["[AB]1"]), Format("w", "W", ["[A-Z0-9]{2,8}"])], "ABCDEFGH123456789")
    narrow, wide, none = (index.weight(index.state(text), len(text)) for text in ((1, 9), (3, 9), (1,)))
    assert narrow > wide >= none == 0.0


def model(folder: Path, formats: list[Format], name: str = "model.onnx", **settings: Any) -> Path:
    """A model file with formats that reads `aab` in every picture."""
    return write_fixed_model(folder / name, formats=formats, **settings)


def test_formats_round_trip_through_a_model_file(tmp_path: Path) -> None:
    config = read_config(model(tmp_path, OVERLAPPING))
    assert config.formats == OVERLAPPING
    assert ModelConfig.of(json.loads(config.to_json())) == config


def test_a_file_without_formats_reads_as_before(tmp_path: Path) -> None:
    path = write_fixed_model(tmp_path / "old.onnx", format=4)
    reading = Reader(path).read_one(PICTURE)
    assert (reading.text, reading.proven, reading.layouts, reading.countries) == ("aab", None, [], [])
    with pytest.raises(UserError, match="has no formats of plates, so no layouts can be chosen: leave them out"):
        Reader(path, layouts="de")


def entry(**changes: Any) -> dict[str, Any]:
    return {"name": "xx", "title": "X", "patterns": ["ab"], "weight": 1.0} | changes


@pytest.mark.parametrize(
    ("formats", "sentence"),
    [
        ({}, "not a list"),
        ([7], "a format is 7"),
        ([{"name": "xx"}], "a format is {'name': 'xx'}"),
        ([entry(more=1)], "a format is"),
        ([entry(name="")], "the name of a format is ''"),
        ([entry(title=7)], "the title of a format is 7"),
        ([entry(title="x" * 101)], "the title of a format is"),
        ([entry(weight=0)], "the weight of the format xx is 0"),
        ([entry(weight=float("nan"))], "the weight of the format xx is nan"),
        ([entry(weight=True)], "the weight of the format xx is True"),
        ([entry(patterns="ab")], "the patterns of the format xx are 'ab'"),
        ([entry(patterns=[])], "the patterns of the format xx are []"),
        ([entry(patterns=["ab"] * 201)], "the patterns of the format xx are"),
        ([entry(patterns=[7])], "a pattern of the format xx is 7"),
        ([entry(patterns=["a("])], "the format xx: the pattern 'a(' has a '(' that is not closed"),
        ([entry(), entry()], "two formats have the same name"),
        ([entry()] * (MAX_FORMATS + 1), "not a list of at most 1,000"),
        ([entry(name=f"x{i}", patterns=["(a|bc){12}"]) for i in range(6)], "more than 20,000 forms"),
    ],
)
def test_invalid_formats_in_a_file_are_refused(formats: object, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_formats(formats)


def test_a_file_with_invalid_formats_is_reported_as_damaged(tmp_path: Path) -> None:
    path = model(tmp_path, [replace(OVERLAPPING[0], patterns=["a{9"])])
    with pytest.raises(UserError, match=r"is damaged \(the format xx_one: the pattern 'a\{9' has a '\{'"):
        Reader(path)


def test_formats_that_are_too_many_for_a_model_file_are_refused(tmp_path: Path) -> None:
    config = read_config(model(tmp_path, []))
    with pytest.raises(UserError, match="there are 10,000 formats, more than the 1,000 of a model file: give fewer"):
        config.with_formats([Format(f"x{i}", "X", ["ab"]) for i in range(10_000)])
    long = "(" + "|".join("ab" * 12 for _ in range(390)) + ")"
    with pytest.raises(UserError, match=rf"bytes large, more than {MAX_CONFIG_BYTES:,}: give fewer layouts"):
        config.with_formats([Format(f"x{i}", "X", [long]) for i in range(120)])
    with pytest.raises(UserError, match=r"cannot write the texts of the layout zz \(Z\): leave it out"):
        config.with_formats([Format("zz", "Z", ["[xyz]"])])


def read(path: Path, **arguments: Any) -> Reading:
    return Reader(path, **arguments).read_one(PICTURE)


def test_formats_are_a_prior_that_a_sure_picture_overcomes(tmp_path: Path) -> None:
    # The picture shows aab, and less probably abab; it does not look like bbbb.
    path = model(tmp_path, [Format("nn", "N", ["ab[ab]b"])], temperature=1.0)
    free, weighted = read(path, layouts="none", top=50), read(path, top=50)
    assert (free.text, weighted.text) == ("aab", "abab")
    assert weighted.probability > dict(free.alternatives)["abab"]
    assert sum(probability for _, probability in weighted.alternatives) <= 1 + 1e-6
    ranked = [probability for _, probability in weighted.alternatives]
    assert ranked == sorted(ranked, reverse=True)
    far = model(tmp_path, [Format("nn", "N", ["bbbb"])], "far.onnx")
    assert read(far).text == "aab"
    assert read(far, layouts="nn").text == "bbbb"


def test_a_reading_names_layouts_and_countries_with_probabilities(tmp_path: Path) -> None:
    reading = read(model(tmp_path, OVERLAPPING))
    assert reading.text == "aab"
    assert (reading.layouts[0].name, reading.layouts[0].title) == ("xx_two", "Xland, two")
    assert (reading.countries[0].code, reading.countries[0].name) == ("xx", "Xland")
    assert 0.5 < reading.countries[0].probability <= 1
    assert reading.country == "xx"
    written = json.loads(json.dumps(reading.to_dict()))
    assert written["countries"] == [asdict(country) for country in reading.countries]
    assert written["layouts"] == [asdict(layout) for layout in reading.layouts]


def test_a_text_of_two_countries_has_both(tmp_path: Path) -> None:
    both = [Format("xx", "X", ["aa[ab]"]), Format("yy", "Y", ["[ab]ab"]), Format("zz", "Z", ["bbb"])]
    reading = read(model(tmp_path, both))
    assert {country.code for country in reading.countries} >= {"xx", "yy"}
    assert [country.probability for country in reading.countries][:2] == pytest.approx([0.5, 0.5], abs=0.05)
    assert sum(country.probability for country in reading.countries) <= 1 + 1e-9
    # The names of a known format are not those of a text without one.
    assert read(model(tmp_path, [Format("qq", "Q", ["a"])], "q.onnx")).country is None


def test_layouts_hold_readings_to_their_texts(tmp_path: Path) -> None:
    path = model(tmp_path, OVERLAPPING)
    for layouts, allowed in (("xx_one", {"aa", "ab", "bb"}), ("yy", {"abb", "b"}), (["yy", "xx_one"], None)):
        reader = Reader(path, layouts=layouts, tta=0)
        reading = reader.read_one(PICTURE)
        assert reader.allows(reading.text)
        assert not reader.allows("aab")
        assert not reader.allows("q")
        assert allowed is None or reading.text in allowed
        assert reading.proven
        assert reading.without_layouts is None or reading.without_layouts == "aab"


def test_a_picture_without_text_is_empty_also_with_layouts() -> None:
    reading = Reader("plate", layouts=["no", "de"]).read_one(np.full((64, 192), 255, np.uint8))
    assert (reading.text, reading.probability, reading.without_layouts, reading.error) == ("", 0, None, None)


def test_a_picture_that_contradicts_the_layouts_says_what_is_read_without_them(tmp_path: Path) -> None:
    path = model(tmp_path, [Format("far", "Far", ["bbbb"]), Format("near", "Near", ["a[ab]b"])])
    assert read(path, layouts="near").without_layouts is None
    far = read(path, layouts="far")
    assert (far.text, far.without_layouts) == ("bbbb", "aab")
    assert far.probability < 0.01
    long = model(tmp_path, [Format("long", "Long", ["(ab){10}"])], "long.onnx")
    assert read(long, layouts="long").error == (
        "no text of the layouts fits into this picture, which is read as 'aab' without them"
    )


def test_unknown_layouts_are_refused_with_the_nearest_ones(tmp_path: Path) -> None:
    path = model(tmp_path, [Format("de_car", "Germany, car", ["a"]), Format("pl_car", "Poland, car", ["b"])])
    for layouts, sentence in (
        ("pk_car", "has no layout 'pk_car': did you mean pl_car"),
        ("germany", "has no layout 'germany': did you mean de?"),
        ("xyz", "has no layout 'xyz': give some of de, pl"),
        ("", "one of the layouts '' has no name"),
        ("de,", "one of the layouts 'de,' has no name: remove a comma"),
        ([], "layouts is empty: give names"),
        ("de pl", "has no layout 'de pl': separate names with commas"),
        ("any_one_row", "has no layout 'any_one_row': layouts of no country have no formats"),
        ("de_", "has no layout 'de_'"),
        ("none,de", "has no layout 'none': give none without other names"),
        ("all", "has no layout 'all': leave the layouts out"),
        (
            "own.toml",
            "has no layout 'own.toml': first store the formats of layout files in a copy of it",
        ),
        ("x" * 10_000, "has no layout 'xxx"),
    ):
        with pytest.raises(UserError, match=re.escape(sentence)) as error:
            Reader(path, layouts=layouts)
        assert len(str(error.value)) < 300 + len(str(path))
    for wrong in (7, [7], b"de"):
        with pytest.raises(TypeError, match=r"of type (int|bytes)"):
            Reader(path, layouts=wrong)  # type: ignore[arg-type]


def test_layouts_that_the_alphabet_cannot_write_are_refused_only_if_chosen(tmp_path: Path) -> None:
    path = model(tmp_path, [Format("zz", "Zland", ["[0-9]{2}"]), Format("xx", "Xland", ["a[ab]b"])])
    assert read(path).text == "aab"
    with pytest.raises(UserError, match=r"cannot write the texts of the layout zz \(Zland\): leave it out"):
        Reader(path, layouts="zz")


def test_layouts_and_constraints_must_both_be_satisfied(tmp_path: Path) -> None:
    path = model(tmp_path, OVERLAPPING)
    assert read(path, layouts="xx", constraint="b+").text == "bb"
    assert read(path, layouts="xx_two", constraint=Constraint(length=3, charset="b")).text == "bbb"
    lexicon = tmp_path / "texts.txt"
    lexicon.write_text("a\nb\nbab\n")
    assert read(path, layouts="xx_two", constraint=Constraint(lexicon=lexicon)).text == "bab"
    for given, sentence in (
        (Constraint(pattern="a{5}"), "no text of the layouts satisfies pattern a{5}: choose others, or relax it"),
        (Constraint(length="5-7", pattern=".*"), "no text of the layouts satisfies length 5-7 and pattern .*"),
        (Constraint(lexicon=lexicon), "none of its 3 texts satisfies the layouts, the first is 'a'"),
    ):
        with pytest.raises(UserError, match=re.escape(sentence)):
            Reader(path, layouts="xx_one", constraint=given)
    # The picture shows aab, which fits a layout and contradicts the constraint.
    assert read(path, layouts="xx", constraint="b+").without_layouts is None
    far = model(tmp_path, [Format("far", "Far", ["bbb[ab]"])], "far.onnx")
    assert read(far, layouts="far", constraint="b+").without_layouts == "aab"
    # A constraint replaces the prior, but layouts are still named.
    assert read(path, constraint="a[ab]b").country == "xx"


def test_a_reader_with_layouts_can_be_pickled(tmp_path: Path) -> None:
    reader = Reader(model(tmp_path, OVERLAPPING), layouts=["xx_one"])
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.read_one(PICTURE) == reader.read_one(PICTURE)


def test_commands_list_layouts_and_read_with_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, pictures = model(tmp_path, [*OVERLAPPING, Format("ff_far", "Farland", ["bbbb"])]), tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.pgm").write_bytes(b"P5 48 32 255\n" + PICTURE.tobytes())
    lines = ["ff  ff_far  Farland", "xx  xx_one  Xland, one", "xx  xx_two  Xland, two", "yy  yy_one  Yland"]
    for command in ("prediction.py", "evaluation.py"):
        assert commands.run(f"python {command} --model {path} --layouts help") == 0
        assert capsys.readouterr().out.splitlines() == lines
    assert crnn_reader_command.main(["--model", str(path), "--layouts", "help"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert crnn_reader_command.main(["--model", str(path), "--layouts", "yy", str(pictures)]) == 0
    assert capsys.readouterr().out.split("\t")[1] in ("abb", "b")

    table, objects = tmp_path / "t.csv", tmp_path / "t.json"
    flags = f"{pictures} --model {path} --csv {table} --json {objects} --top 2"
    assert commands.run(f"python prediction.py {flags}") == 0
    with table.open() as file:
        (row,) = csv.DictReader(file)
    assert (row["text"], row["country"], row["layout"]) == ("aab", "xx", "xx_two")
    (found,) = json.loads(objects.read_text())
    assert found["countries"][0]["name"] == "Xland"
    assert found["layouts"][0]["title"] == "Xland, two"
    assert "without_layouts" not in found
    capsys.readouterr()

    assert commands.run(f"python prediction.py {flags} --layouts ff") == 0
    assert "a.pgm: fits none of the layouts; without them it is read as aab" in capsys.readouterr().err
    (found,) = json.loads(objects.read_text())
    assert found["without_layouts"] == "aab"
    assert commands.run(f"python prediction.py {flags} --layouts zz") == 2
    assert "has no layout 'zz': give some of xx, yy, ff (--layouts)" in capsys.readouterr().err
    assert crnn_reader_command.main(["--model", str(path), "--layouts", "zz", str(pictures)]) == 2

    without = write_fixed_model(tmp_path / "without.onnx")
    assert commands.run(f"python prediction.py {pictures} --model {without} --csv {table}") == 0
    assert table.read_text().startswith("file,text,probability\n")
    assert commands.run(f"python prediction.py --model {without} --layouts help") == 2
    assert "has no formats of plates" in capsys.readouterr().err


#: The characters a, a and b stand in columns 1 to 2, 4 and 10 of 12: the second gap is the wide one.
@pytest.mark.parametrize(
    ("patterns", "formatted"),
    [
        (["aa-b"], "aa-b"),
        (["a[ab] b"], "aa b"),
        (["(a|aa) [ab]{1,2}"], "aa b"),
        (["(a|aa)/[ab]{1,2}"], "aa b"),
        (["aa /b"], "aa b"),
        (["·a·a·b"], "·a·a·b"),
        (["bbb"], "aab"),
    ],
)
def test_separators_are_written_as_the_layout_does(patterns: list[str], formatted: str, tmp_path: Path) -> None:
    reading = read(model(tmp_path, [Format("xx", "X", patterns)]))
    assert (reading.text, reading.formatted) == ("aab", formatted)


def test_separators_in_the_alphabet_are_characters_of_the_text(tmp_path: Path) -> None:
    index = FormatIndex([Format("xx", "X", ["a-b b"])], "ab-")
    (form,) = index.forms_of([1, 3, 2, 2])
    assert form.signs == ("", "", "", " ", "")
    assert index.forms_of([1, 2, 2]) == []


def test_prediction_keeps_separators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 48 32 255\n" + PICTURE.tobytes())
    path = model(tmp_path, [Format("xx", "X", ["aa-b"])])
    assert commands.run(f"python prediction.py {tmp_path / 'a.pgm'} --model {path} --keep-separators") == 0
    assert capsys.readouterr().out.split("\t")[1] == "aa-b"
    without = write_fixed_model(tmp_path / "without.onnx")
    assert commands.run(f"python prediction.py {tmp_path / 'a.pgm'} --model {without} --keep-separators") == 2
    assert "has no formats of plates, which say where separators stand" in capsys.readouterr().err


@pytest.mark.parametrize(("label", "verdict"), [("aab", "correct"), ("aa-b", "correct"), ("a-ab", "wrong")])
def test_separators_are_compared_with_labels_that_have_some(
    label: str, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{label}_.pgm").write_bytes(b"P5 48 32 255\n" + PICTURE.tobytes())
    path = model(tmp_path, [Format("xx", "X", ["aa-b"])])
    assert commands.run(f"python prediction.py {tmp_path} --model {path} --keep-separators --labels") == 0
    out, errors = capsys.readouterr()
    assert out.split("\t")[1] == "aa-b" and out.endswith(f"\t{verdict}\n")
    assert f"exact match {100 * (verdict == 'correct'):.2f}%" in errors
