"""`python -m dataset suggest`: what pictures without labels seem to show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dataset.__main__ import run
from generate_captcha import write_corpus
from parameter import GenerateParameters
from tests.crnn_reader.test_reader import write_fixed_model

Suggest = Callable[..., tuple[int, str, str]]


@pytest.fixture
def suggest(capsys: pytest.CaptureFixture[str]) -> Suggest:
    """Run the command. Returns exit code, stdout and stderr."""

    def suggest(*flags: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            run(["suggest", *map(str, flags)])
        assert isinstance(stop.value.code, int)
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return suggest


def drawn(folder: Path, **flags: Any) -> Path:
    """Pictures with names that do not tell their texts."""
    write_corpus(GenerateParameters(out=str(folder), workers=1, **{"count": 30, "size": "160x64"} | flags))
    (folder / "corpus.json").unlink()
    for place, picture in enumerate(sorted(folder.rglob("*.png"))):
        picture.rename(folder / f"{place:03}.png")
    return folder


@pytest.mark.parametrize(
    ("alphabet", "length", "lengths", "charset"),
    [("0-9", "4", "4", "0-9"), ("A-Z", "5", "5", "A-Z"), ("0-9a-z", "6", "6", "0-9a-z"), ("0-9", "3-5", "3-5", "0-9")],
)
def test_lengths_and_characters_are_those_of_the_pictures(
    alphabet: str, length: str, lengths: str, charset: str, tmp_path: Path, suggest: Suggest
) -> None:
    folder = drawn(tmp_path / "unknown", alphabet=alphabet, length=length, noise=0.5)
    code, out, errors = suggest(folder, "--json", tmp_path / "found.json")
    assert code == 0
    assert errors.endswith(
        f"next: python prediction.py {folder} --model general --length {lengths} --charset {charset}\n"
    )
    assert "160x64 pixels" in out and "30 of 30, read with general" in out
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert (found["length"], found["charset"]) == (lengths, charset)
    # `captcha` was trained on such pictures of digits and capitals.
    best = max(found["weights"], key=found["weights"].get)
    assert found["sure"] > 0.5 and best.startswith("general" if "a-z" in charset else "captcha")
    for shares in ("lengths", "characters"):
        assert sum(found[shares].values()) == pytest.approx(1, abs=0.01)


def test_pictures_of_something_else_give_no_suggestion(tmp_path: Path, suggest: Suggest) -> None:
    (tmp_path / "photos").mkdir()
    for place in range(12):
        noise = np.random.default_rng(place).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / f"{place}.png"), cv2.resize(noise, (800, 600)))
    code, out, errors = suggest(tmp_path / "photos", "--json", tmp_path / "found.json")
    assert code == 2
    assert "800x600 pixels" in out and "suggestion" not in out
    assert "of 12 pictures, too few for a suggestion" in errors and "next:" not in errors
    assert errors.count("error: ") == 1
    assert json.loads((tmp_path / "found.json").read_text("utf-8"))["length"] == ""


def test_surer_weights_and_countries_are_named(tmp_path: Path, suggest: Suggest) -> None:
    folder = drawn(tmp_path / "unknown", style="plate", layouts="de_car", size="192x64", count=31, difficulty=0.2)
    code, out, errors = suggest(folder, "--model", "plate")
    # The formats in the file say more than a set of characters.
    assert code == 0 and "countries" in out and "de: " in out and "suggestion" not in out
    assert errors.endswith(f"next: python prediction.py {folder} --model plate\n")
    _, _, errors = suggest(folder, "--model", "captcha_lite")
    assert f"is surer of these pictures than captcha_lite: python -m dataset suggest {folder} --model plate" in errors


def test_a_model_of_few_characters_suggests_a_length(tmp_path: Path, suggest: Suggest) -> None:
    # It reads aab in every picture.
    own = write_fixed_model(tmp_path / "own.onnx")
    code, out, errors = suggest(drawn(tmp_path / "unknown"), "--model", own)
    assert code == 0 and "--length 3" in out and "--charset" not in out
    assert errors.endswith(f"--model {own} --length 3\n")


def test_few_pictures_give_a_warning(tmp_path: Path, suggest: Suggest) -> None:
    _, _, errors = suggest(drawn(tmp_path / "few", count=3, alphabet="0-9"))
    assert "3 pictures say little about all others: give 30 or more" in errors


def test_damaged_pictures_are_named_and_left_out(tmp_path: Path, suggest: Suggest) -> None:
    folder = drawn(tmp_path / "unknown", alphabet="0-9", length="4")
    (folder / "zero.png").write_bytes(b"")
    code, out, errors = suggest(folder)
    assert code == 1
    assert "zero.png: zero bytes" in errors and "30 of 31, read with general" in out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["gone"], "gone"),
        (["empty"], "no pictures in empty"),
        (["bad"], "none of 1 pictures in bad can be read"),
        (["bad", "--model", "nothing"], "nothing"),
        (["bad", "--json", "bad/a.png"], "a.png"),
        (["bad", "--json", "empty"], "empty is a folder"),
        (["bad", "--model", "bad"], "bad is a folder without a model.keras: give a run folder"),
        (["bad", "--model", "mine.keras"], "run python export.py mine.keras --out mine.onnx"),
        (
            ["bad", "--model", "lines"],
            "lines is read with Keras, which this command does not use: run",
        ),
        ([], "PATH is missing"),
    ],
)
def test_mistakes_give_a_sentence(
    flags: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suggest: Suggest
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"nothing")
    code, out, errors = suggest(*flags)
    assert (code, out) == (2, "")
    assert sentence in errors.splitlines()[-1]
    assert (tmp_path / "bad" / "a.png").read_bytes() == b"nothing"
