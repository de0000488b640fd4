"""The benchmarks start, their rows are whole, and the figures of the documentation are those of their rows."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path

import cv2
import pytest

from benchmarks import accuracy, frozen, harness, tables
from benchmarks.harness import Results
from generate_captcha.styles import style_of
from parameter import GenerateParameters
from tests.processes import finished

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path.name for path in (ROOT / "benchmarks").glob("*.py") if path.name != "harness.py")
FILES = sorted(path.stem for path in harness.RESULTS.glob("*.csv"))
#: `benchmarks/NAME.py` in the documentation, and the word after it.
COMMAND = re.compile(r"benchmarks/(\w+\.py)(?: ([a-z]+))?")


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    done = finished([sys.executable, f"benchmarks/{script}", "--help"], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    pages = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), ROOT / "model" / "weights" / "README.md"]
    jobs = {job for page in pages for name, job in COMMAND.findall(page.read_text("utf-8")) if name == script and job}
    assert jobs <= set(done.stdout.split())


def test_documentation_names_no_other_benchmark() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*/**/README.md")]
    named = {
        name for page in pages if ".venv" not in page.parts for name, _ in COMMAND.findall(page.read_text("utf-8"))
    }
    assert named <= {*SCRIPTS, "harness.py"}


def test_tables_of_the_documentation_are_up_to_date() -> None:
    pages = {page: page.read_text("utf-8") for page in tables.PAGES}
    assert sum(text.count("<!-- table:") for text in pages.values()) > 20
    old = [page.name for page, text in pages.items() if tables.with_tables(text) != text]
    assert not old, "run python benchmarks/tables.py"


@pytest.mark.parametrize("name", FILES)
def test_rows(name: str) -> None:
    for row in tables.rows_of(name):
        assert set(row) == set(harness.FIELDS)
        assert all(row[field] for field in ("date", "version", "machine", "job", "n")), row
        assert row["figure"] or row["ratio"], row
        for middle, low, high in (("figure", "low", "high"), ("ratio", "ratio_low", "ratio_high")):
            if row[low]:
                assert float(row[low]) <= float(row[middle]) <= float(row[high]), row


def exact(variant: str, n: int, subject: str) -> str:
    values = {"subject": subject, "variant": variant, "measure": "exact match", "options": "", "n": str(n)}
    return harness.cell(tables.rows_of("accuracy", harness.RESULTS, **values)[-1])


def without_interval(figure: str) -> str:
    return figure.partition(" (")[0]


def test_figures_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    ours, *others = (exact(reader, 2000, "captchas of 0-9A-Z") for reader in ("captcha", "ddddocr", "RapidOCR"))
    ddddocr, rapid = map(without_interval, others)
    assert f"| {ours} exact | ddddocr {ddddocr}, RapidOCR {rapid} |" in readme
    ours, *others = (exact(reader, 4740, "mean of the corpora") for reader in ("general", *harness.PEERS))
    ddddocr, rapid, newer = map(without_interval, others)
    assert f"| {ours} | ddddocr {ddddocr}, RapidOCR {rapid}, rapidocr 3.10 {newer} |" in readme
    for corpus, n in (("captcha_keras1040", 206), ("captcha_dots4", 247)):
        ours, theirs = (exact(reader, n, corpus) for reader in ("crnn-kit", "keras.io"))
        theirs = without_interval(theirs).replace("0.00 %", "0 %")
        assert f"| {ours} | keras.io's network {theirs} |" in readme
    for corpus, n in (("plate_us_state", 746), ("plate_cn_lprnet", 1000), ("plate_tw", 400), ("plate_vn_2line", 120)):
        ours, *others = (exact(reader, n, corpus) for reader in ("plate", "RapidOCR", "rapidocr 3.10"))
        older, newer = (without_interval(each).replace("0.00 %", "0 %") for each in others)
        assert f"| {ours} | RapidOCR {older}, rapidocr 3.10 {newer} |" in readme
    newest = {row["variant"]: row for row in tables.rows_of("reading", job="models")}
    for row in newest.values():
        speed = without_interval(harness.cell(row)).removesuffix(" pictures/s")
        assert re.search(rf"^\| `{row['variant'].partition('.')[0]}`.* \| {speed} \|$", readme, re.MULTILINE)
    machine = "AMD EPYC (Zen 4), 2 cores"
    ours, ddddocr, rapid = (
        harness.cell(tables.rows_of("reading", job="readers", measure="folder", variant=reader, machine=machine)[-1])
        for reader in ("captcha.onnx", "ddddocr", "RapidOCR")
    )
    ddddocr, rapid = (without_interval(each).removesuffix(" pictures/s") for each in (ddddocr, rapid))
    assert f"| {ours} | ddddocr {ddddocr}, RapidOCR {rapid} |" in readme


def test_plates_are_counted_with_and_without_wrong_labels(tmp_path: Path) -> None:
    corpus = tmp_path / "plate_tw"
    corpus.mkdir()
    plates = style_of(GenerateParameters(style="plate", layouts="tw_car", difficulty=0))
    wrong = next(iter(accuracy.wrong_labels("plate_tw")))
    with (corpus / "labels.csv").open("w", encoding="utf-8") as labels:
        labels.write("file,label,split\n")
        for index, name in enumerate(("a.png", "b.png", wrong)):
            picture, label = plates.picture(index)
            cv2.imwrite(str(corpus / name), picture)
            labels.write(f"{name},{'0' if name == wrong else label},test\n")
    command = [sys.executable, "benchmarks/accuracy.py", "plates", str(corpus), "--without-peers"]
    done = finished([*command, "--results", str(tmp_path)], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    all_rows, without, *augmented = tables.rows_of("accuracy", tmp_path)
    assert [row["variant"] for row in augmented] == ["plate --tta 0"] * 2
    assert (all_rows["measure"], all_rows["n"], all_rows["figure"]) == ("exact match", "3", "66.67")
    assert (without["measure"], without["n"], without["figure"]) == ("exact match without wrong labels", "2", "100.00")


def test_characters_that_look_the_same_in_a_corpus_count_as_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("captcha_generic_lower", "captcha_other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "labels.csv").write_text("file,label,split\na.png,0i7,test\nb.png,ab,test\n")
    monkeypatch.setattr(harness, "texts_of", lambda *_: [("0i7", "OL7"), ("ab", "AB")])
    corpora = [tmp_path / name for name in ("captcha_generic_lower", "captcha_other")]
    accuracy.unseen(Results("accuracy", tmp_path), Namespace(corpora=corpora, models=["general"], without_peers=True))
    rows = tables.rows_of("accuracy", tmp_path)
    assert [row["figure"] for row in rows] == ["100.00", "50.00", "75.00"]


def test_each_picture_is_read_once_by_a_training_that_has_not_seen_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [f"{number:02}" for number in range(13)]
    rows = "".join(f"{label}.png,{label},train\n" for label in labels)
    (tmp_path / "labels.csv").write_text(f"file,label,split\n{rows}")
    trained: list[list[str]] = []

    def train(run: Path, flags: list[object]) -> float:
        run.mkdir()
        trained.append(harness.files_in(Path(str(flags[1]))))
        return 1.0

    def read(_: str, rows: Path) -> list[tuple[str, str]]:
        unseen = harness.files_in(rows)
        assert not {*unseen} & {*trained[-1]}
        # One text is misread.
        return [(Path(file).stem, Path(file).stem.replace("1", "7", file.endswith("11.png"))) for file in unseen]

    monkeypatch.setattr(harness, "trained", train)
    monkeypatch.setattr(harness, "texts_of", read)
    given = Namespace(corpora=[tmp_path], pictures=[5, 800], variants=["crnn-kit"], flags=[])
    accuracy.folds(Results("accuracy", tmp_path), given)
    assert [len(each) for each in trained] == [5] * 5 + [10, 10, 10, 11, 11]
    few, seconds, most, _ = tables.rows_of("accuracy", tmp_path)
    assert most["options"] == "11 pictures"
    assert (few["options"], few["n"], few["figure"]) == ("5 pictures", "13", "92.31")
    assert (seconds["measure"], float(seconds["figure"])) == ("training", 1)


def test_a_frozen_benchmark_reads_with_any_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = harness.generated(tmp_path / "simple", "--style simple --count 4 --seed 1")
    found = frozen.fingerprint(drawn)
    monkeypatch.setattr(frozen, "FAMILIES", ("simple",))
    monkeypatch.setattr(frozen, "pinned", lambda: {"count": 4, "versions": {}, "families": {"simple": found}})
    reader = tmp_path / "reader.py"
    reader.write_text(
        "import pathlib, sys\nfor path in list(map(str.strip, sys.stdin))[:0:-1]:\n"
        "    print('a message')\n    print(path, pathlib.Path(path).name.split('_')[0].swapcase(), sep='\\t')\n"
    )
    results = Results("frozen", tmp_path)
    frozen.read(results, Namespace(folder=tmp_path, readers=[f"mine={sys.executable} {reader}"]))
    assert "no text for 1 of 4 pictures" in capsys.readouterr().err
    (row,) = tables.rows_of("frozen", tmp_path)
    assert (row["subject"], row["variant"], row["n"], row["figure"]) == ("simple", "mine", "4", "75.00")
    for command, reason in (
        ("mine=", "names no program"),
        ("mine=no-such-program", "names no program"),
        ("mine='", "is no command"),
        (f"mine={sys.executable} -c ''", "has to print lines"),
        (f"mine={sys.executable} -c 'import sys; sys.exit(3)'", "exit code 3"),
        ("generall", "did you mean general"),
    ):
        with pytest.raises(SystemExit, match=reason):
            frozen.read(results, Namespace(folder=tmp_path, readers=[command]))


def test_a_frozen_benchmark_refuses_other_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = harness.generated(tmp_path / "simple", "--style simple --count 4 --seed 1")
    found = frozen.fingerprint(drawn)
    monkeypatch.setattr(frozen, "FAMILIES", ("simple",))
    assert frozen.difference(found, found) == "the same pixels"
    assert "rounded" in frozen.difference(found | {"pixels": ""}, found)
    old = {"count": 4, "versions": {}, "families": {"simple": found}}
    monkeypatch.setattr(frozen, "pinned", lambda: old)
    frozen.check(tmp_path)
    next(drawn.glob("*.png")).unlink()
    with pytest.raises(SystemExit, match="other files"):
        frozen.check(tmp_path)
    old["versions"] = {"numpy": "0"}
    with pytest.raises(SystemExit, match=r"numpy .* instead of 0"):
        frozen.check(tmp_path)
    with pytest.raises(SystemExit, match="has no folder simple"):
        frozen.check(tmp_path / "nowhere")


def test_results_append_rows(tmp_path: Path) -> None:
    results = Results("trial", tmp_path)
    results.share("job", "subject", "one", "exact match", 98, 100)
    results.rates("job", "subject", "speed", 30, {"one": [2.0] * 6, "two": [1.0] * 5 + [3.0]}, base="one")
    again = Results("trial", tmp_path)
    again.add("job", "subject", "one", "memory", 12345.6, "MB", n=1)
    share, one, two, memory = tables.rows_of("trial", tmp_path)
    assert harness.cell(share) == "98.00 % (93.00–99.45)" and share["n"] == "100"
    assert harness.cell(one) == "15.0 pictures/s (15.0–15.0)" and not one["ratio"]
    assert harness.cell(two) == "30.0 pictures/s (10.0–30.0)"
    assert harness.cell(two, "ratio") == "2.00 times (0.67–2.00)" and two["ratio_to"] == "one"
    assert harness.cell(memory) == "12,346 MB"


def test_median_with_its_interval() -> None:
    assert harness.median(range(1, 10)) == (5, 2, 8)
    assert harness.median([6, 1, 5, 2, 4, 3]) == (3.5, 1, 6)
    assert harness.median([1, 2, 3, 4, 5]) == (3, None, None)


def test_jobs_take_turns_after_a_round_that_does_not_count() -> None:
    calls = list[str]()
    seconds = harness.by_turns({name: partial(calls.append, name) for name in "ab"}, rounds=2)
    assert calls == ["a", "b"] * 3 and [len(times) for times in seconds.values()] == [2, 2]
    assert harness.by_turns({"part": lambda: harness.Seconds(7)}, rounds=1) == {"part": [7.0]}
    assert harness.by_turns({"a result": lambda: -7.0}, rounds=1)["a result"][0] >= 0


def test_a_table(tmp_path: Path) -> None:
    results = Results("trial", tmp_path)
    results.shared_columns |= {"machine": "M", "date": "2026-01-02", "version": "1 abc"}
    for form, seconds in (("b", 1.0), ("a", 2.0), ("b", 4.0)):
        results.add("job", form, "", "opening", seconds, "s", n=6, low=seconds, high=seconds)
    results.share("job", "a", "", "exact match", 6, 6)
    page = "text\n<!-- table: trial rows=subject columns=measure head=form -->\nold\n<!-- end -->\nmore\n"
    assert tables.with_tables(page, tmp_path) == (
        "text\n<!-- table: trial rows=subject columns=measure head=form -->\n\n"
        "| form | opening, s | exact match |\n| --- | --- | --- |\n"
        "| b | 4.00 (4.00–4.00) |  |\n| a | 2.00 (2.00–2.00) | 100.00 % (60.97–100.00) |\n\n"
        "n = 6. Measured on M, 2026-01-02 (1 abc).\n\n<!-- end -->\nmore\n"
    )
    for wrong in ("trial rows=subject columns=speed", "trial rows=subject columns=measure job=other"):
        with pytest.raises(ValueError, match="table 'trial"):
            tables.table(wrong, tmp_path)
