"""evaluation.py: flags, table, files and exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import evaluation
from cli.command import ALL_DONE, INTERRUPTED, SOME_UNREADABLE
from dataset.convert import convert
from dataset.tfrecord_file import records
from model.model_file import SHIPPED
from model.training.run_folder import RunFolder
from parameter import ConvertParameters, EvaluationParameters
from tests.commands import exit_code
from tests.processes import finished, started
from tests.samples import LABELS, MODEL, level, sample

ROOT = Path(evaluation.__file__).parent

Evaluate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Evaluate:
    """Run the command with captcha_lite in a folder of its own; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def evaluate(*argv: str) -> tuple[int, str, str]:
        return exit_code(evaluation.main, EvaluationParameters, [*MODEL, *argv]), *capsys.readouterr()

    return evaluate


def mistaken(number: int) -> str:
    """The label of a sample with another last character."""
    return LABELS[number][:3] + ("A" if LABELS[number][3] != "A" else "B")


def test_table_json_and_report_agree(evaluate: Evaluate, tmp_path: Path) -> None:
    for number, label in enumerate((LABELS[0], LABELS[1], mistaken(2), f"{LABELS[3]}x")):
        sample(tmp_path / "in" / f"{label}_{number}.png", number)
    code, out, errors = evaluate("in", "--json", "deep/scores.json", "--report", "report", "--min-probability", "0.5")
    assert code == 0
    assert "accepted at 0.5" in out
    assert "50.00% (15.00% to 85.00%)" in out
    assert "1 label has characters that the model cannot read: x" in errors
    scores = json.loads((tmp_path / "deep" / "scores.json").read_text())
    assert (scores["images"], scores["exact_match"], scores["character_error_rate"]) == (4, 0.5, pytest.approx(2 / 17))
    assert scores["exact_match_interval"] == pytest.approx([0.1500, 0.8500], abs=1e-4)
    assert scores["images_per_second"] > 0
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == scores
    page = (tmp_path / "report" / "index.html").read_text()
    assert f"in/{mistaken(2)}_2.png" in page
    assert (tmp_path / "report" / "pictures-2.png").exists()


def test_negatives_are_counted_as_empty_or_accepted(evaluate: Evaluate, tmp_path: Path) -> None:
    for number in range(4):
        sample(tmp_path / "in" / f"{LABELS[number]}_{number}.png", number)
    # A text is read in captchas, and none in plain pictures.
    sample(tmp_path / "no" / "captcha.png", 5)
    for shade in (10, 120, 250):
        level(tmp_path / "no" / f"plain{shade}.png", shade)
    code, out, _ = evaluate("in", "--negatives", "no", "--min-probability", "0.5", "--json", "scores.json")
    assert code == 0
    assert re.search(r"negatives read as empty +75\.00% \(3 of 4; 95 % interval", out)
    assert re.search(r"negatives accepted at 0\.5 +25\.00% \(1 of 4;", out)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["images"], scores["exact"]) == (4, 4), "negatives are not among the labelled pictures"
    negatives = scores["negatives"]
    assert (negatives["images"], negatives["empty"]) == (4, 3)
    assert [(point["images"], point["share"]) for point in negatives["accepted"]] == [(1, 0.25), (1, 0.25)]

    (tmp_path / "no" / "broken.png").write_bytes(b"junk")
    code, out, errors = evaluate("in", "--negatives", "no", "--json", "scores.json")
    assert code == SOME_UNREADABLE
    assert "broken.png: " in errors and "(3 of 4; 95 % interval" in out
    assert json.loads((tmp_path / "scores.json").read_text())["negatives"]["unreadable"] == 1


def test_negatives_have_no_labels_and_are_files(evaluate: Evaluate, tmp_path: Path) -> None:
    for number in range(2):
        sample(tmp_path / "in" / f"{LABELS[number]}_{number}.png", number)
    for negatives, sentence in (
        ("in", f"2 of the negatives also have a label, such as in/{LABELS[0]}_0.png: remove it from one of the two"),
        (
            "generate:no_plate",
            "generate:no_plate: only the pictures to train on can be drawn; write others to a folder",
        ),
        ("missing", "missing does not exist: give a folder of pictures, or a list of them"),
    ):
        code, out, errors = evaluate("in", "--negatives", negatives)
        assert (code, out) == (2, "")
        assert sentence in errors and errors.count("\n") == 1


def test_unreadable_pictures_are_named_counted_and_left_out(evaluate: Evaluate, tmp_path: Path) -> None:
    sample(tmp_path / f"{LABELS[5]}_a.png", 5)
    (tmp_path / "6_b.png").write_bytes(b"junk")
    sample(tmp_path / "_unlabelled.png", 7)
    code, out, errors = evaluate(".", "--json", "scores.json")
    assert code == 1
    assert "6_b.png: " in errors
    assert "1 of 3 pictures have no label and are left out" in errors
    assert "1 (1 unreadable left out)" in out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["images"], scores["unreadable"], scores["exact_match"]) == (1, 1, 1.0)


def scalars(folder: Path) -> dict[int, dict[str, float]]:
    """The scalars of a folder of TensorBoard, by step."""
    from tensorboard.compat.proto.event_pb2 import Event

    (file,) = folder.iterdir()
    events = [Event.FromString(data) for _, data in records(file)]
    return {event.step: {v.tag: v.simple_value for v in event.summary.value} for event in events if event.step}


def test_interrupting_follow_keeps_the_latest_scores(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample(tmp_path / "in" / f"{LABELS[0]}_a.png")
    folder = RunFolder(tmp_path / "run")
    folder.begin("{}", {})
    shutil.copyfile(SHIPPED / "captcha_lite.keras", folder.model)
    folder.save_state({}, [{"epoch": 1, "exact_match": 0.1, "character_error_rate": 0}])

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    # Ctrl-C while it waits for the second epoch.
    monkeypatch.setattr("model.training.follow_run.time.sleep", interrupted)
    arguments = ("in", "--follow", "--model", "run", "--json", "scores.json", "--report", "report")
    assert evaluate(*arguments)[0] == INTERRUPTED
    record = json.loads((tmp_path / "scores.json").read_text())
    assert (record["epoch"], record["model"], record["exact_match"]) == (1, "run", 1.0)
    assert (tmp_path / "report" / "index.html").is_file()
    folder.end()


def test_labels_that_a_constraint_forbids_are_counted(evaluate: Evaluate, tmp_path: Path) -> None:
    sample(tmp_path / "in" / f"{LABELS[0]}_a.png", 0)
    sample(tmp_path / "in" / "3_b.png", 1)
    _, _, errors = evaluate("in", "--length", "4")
    assert "1 label does not satisfy the constraint, such as 3" in errors


def test_follows_a_real_training_to_its_end(tmp_path: Path) -> None:
    for number in range(24):
        level(tmp_path / "in" / f"{'AB'[number % 2]}_{number}.png", 10 * number)
    (tmp_path / "in" / "A_broken.png").write_bytes(b"junk")
    small = ["--preset", "lite", "--from", "random", "--size", "32x32", "--batch-size", "8", "--augmentation", "0"]
    train = [sys.executable, str(ROOT / "training.py"), "--data", "in", "--run", "r", "--epochs", "4", *small]
    follow = [sys.executable, str(ROOT / "evaluation.py"), "in", "--model", "r", "--follow", "--json", "scores.json"]
    with started(train, cwd=tmp_path, stderr=subprocess.PIPE) as training:
        while not (tmp_path / "r" / "parameters.json").exists():
            assert training.poll() is None
            time.sleep(0.05)
        followed = finished(follow, cwd=tmp_path)
        assert training.wait() == SOME_UNREADABLE
    assert followed.returncode == SOME_UNREADABLE, followed.stderr
    assert followed.stderr.count("A_broken.png: ") == 1
    training_rows = json.loads((tmp_path / "r" / "split.json").read_text())["training"]
    assert f"{len(training_rows)} of the 25 pictures were used in the training" in followed.stderr
    steps = scalars(tmp_path / "r" / "tensorboard" / "evaluation-in")
    assert 1 <= len(steps) <= 4
    printed = [line for line in followed.stdout.splitlines() if line.startswith("epoch ") and ": " in line]
    assert [int(line.partition(":")[0].split()[1]) for line in printed] == list(steps) == sorted(steps)
    record = json.loads((tmp_path / "scores.json").read_text())
    assert (record["epoch"], record["model"], record["images"]) == (max(steps), "r", 24)
    latest = steps[max(steps)]
    assert latest.keys() == {"exact_match", "character_error_rate", "letter_accuracy"}
    assert latest == pytest.approx({name: record[name] for name in latest})


def test_misread_pictures_of_records_are_listed_and_drawn(evaluate: Evaluate, tmp_path: Path) -> None:
    sample(tmp_path / "in" / f"{mistaken(0)}_a.png", 0)
    sample(tmp_path / "in" / f"{LABELS[1]}_b.png", 1)
    assert exit_code(convert, ConvertParameters, ["in", "records", "--form", "lmdb"]) == ALL_DONE
    code, _, errors = evaluate("records", "--report", "report", "--json", "report/scores.json")
    assert code == 0, errors
    (worst,) = json.loads((tmp_path / "report" / "scores.json").read_text())["worst"]
    assert (worst["truth"], worst["text"]) == (mistaken(0), LABELS[0])
    page = (tmp_path / "report" / "index.html").read_text()
    assert worst["name"] in page
    headings = re.findall("<h2>(.*)</h2>", page)
    assert len(headings) == len(set(headings)) == 3


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["empty"], "no pictures in empty"),
        (["unlabelled"], "no picture in unlabelled has a label"),
        (["broken"], "none of the 1 pictures can be read (first broken/"),
        (["in", "--json", "empty"], "empty is a folder, not a file"),
        (["in", "--follow"], "only a run can be followed, and captcha_lite is not a run folder"),
        (["in", "--report", "broken/1.png"], "broken/1.png is not a folder: choose another path"),
        (["in", "--report", "broken"], "broken holds something other than a report: choose another folder"),
        (["in", "--report", "in/report"], "in/report would lie in in, and what is drawn would be read as pictures"),
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
