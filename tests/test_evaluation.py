"""evaluation.py from its flags to its table, files and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import console
import evaluation
from parameter import EvaluationParameters
from tests.reading import LevelReader, level

Evaluate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Evaluate:
    """Run the command in a folder of its own; gives exit code, stdout and stderr."""
    monkeypatch.setattr("model.reader.Reader", LevelReader)
    monkeypatch.chdir(tmp_path)

    def evaluate(*argv: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            console.run(evaluation.main, EvaluationParameters, list(argv))
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, captured.out, captured.err

    return evaluate


def test_table_json_and_report_tell_the_same(evaluate: Evaluate, tmp_path: Path) -> None:
    for name, value in (("1_a.png", 1), ("23_b.png", 23), ("45_c.png", 46), ("7x_d.png", 7)):
        level(tmp_path / "in" / name, value)
    code, out, errors = evaluate("in", "--json", "deep/scores.json", "--report", "report", "--model", "some.keras")
    assert code == 0
    assert "50.00% (15.00% to 85.00%)" in out
    assert "1 labels have characters that the model cannot read: x" in errors
    scores = json.loads((tmp_path / "deep" / "scores.json").read_text())
    assert (scores["images"], scores["exact_match"], scores["character_error_rate"]) == (4, 0.5, pytest.approx(2 / 7))
    assert scores["exact_match_interval"] == pytest.approx([0.1500, 0.8500], abs=1e-4)
    assert scores["images_per_second"] > 0
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == scores
    page = (tmp_path / "report" / "index.html").read_text()
    assert "in/45_c.png" in page
    assert (tmp_path / "report" / "pictures-2.png").exists()


def test_unreadable_pictures_are_named_counted_and_left_out(evaluate: Evaluate, tmp_path: Path) -> None:
    level(tmp_path / "5_a.png", 5)
    (tmp_path / "6_b.png").write_bytes(b"junk")
    level(tmp_path / "_unlabelled.png", 7)
    code, out, errors = evaluate(".", "--json", "scores.json")
    assert code == 1
    assert "6_b.png: " in errors
    assert "1 of 3 pictures have no label and are left out" in errors
    assert "1 (1 unreadable left out)" in out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["images"], scores["unreadable"], scores["exact_match"]) == (1, 1, 1.0)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["empty"], "no pictures in empty"),
        (["unlabelled"], "no picture in unlabelled has a label"),
        (["broken"], "none of the 1 pictures in broken can be read"),
        (["in", "--json", "empty"], "empty is in the way"),
        (["in", "--report", "in/1.png"], "in/1.png is in the way"),
    ],
)
def test_mistakes_end_in_one_sentence(evaluate: Evaluate, tmp_path: Path, argv: list[str], sentence: str) -> None:
    level(tmp_path / "in" / "1.png", 1)
    level(tmp_path / "unlabelled" / "_1.png", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").write_bytes(b"junk")
    code, out, errors = evaluate(*argv)
    assert (code, out) == (2, "")
    assert sentence in errors.splitlines()[-1]
    assert not list(tmp_path.rglob(".*"))
