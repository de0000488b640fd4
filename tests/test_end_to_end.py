"""From nothing to a model in a program of one's own: the commands of the README, one after the other."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cli.command import ALL_DONE
from crnn_reader import Reader
from tests.commands import run


def test_from_pictures_to_a_model_in_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    # Make captchas to train on, and others to test with. The name of each file begins with its label.
    captchas = "python -m generate_captcha --alphabet ABC --length 3 --size 96x32"
    assert run(f"{captchas} --out train --count 100") == ALL_DONE
    assert run(f"{captchas} --out test --count 40 --seed 1") == ALL_DONE
    assert len(list(Path("train").glob("[ABC][ABC][ABC]_*.png"))) == 100

    # Look at them: the report has their number, alphabet and sizes, and names what is broken.
    assert run("python -m dataset train --json report.json") == ALL_DONE
    report = json.loads(Path("report.json").read_text())
    assert (report["pictures"], report["alphabet"]) == (100, "ABC")

    # Train for two epochs, from the weights of the kit that suit pictures of this size.
    assert run("python training.py --data train --size 96x32 --epochs 2 --run mine") == ALL_DONE
    with Path("mine/history.csv").open() as file:
        first, second = (float(row["loss"]) for row in csv.DictReader(file))
    assert second < first

    # Evaluate on the pictures that the training has not seen. Guessing would read 1 of 27.
    assert run("python evaluation.py test --model mine --json scores.json") == ALL_DONE
    scores = json.loads(Path("scores.json").read_text())
    assert scores["images"] == 40 and scores["exact_match"] > 0.4

    # Read a folder into a CSV file, which names the pictures as seen from its own folder.
    assert run("python prediction.py test --model mine --csv texts.csv") == ALL_DONE
    with Path("texts.csv").open() as file:
        texts = {row["file"]: row["text"] for row in csv.DictReader(file)}
    right = sum(Path(name).name.startswith(f"{text}_") for name, text in texts.items())
    assert right / 40 == scores["exact_match"]

    # Export the model to ONNX. The file is only written if it reads what the network in Keras reads.
    assert run("python export.py mine --out mine.onnx") == ALL_DONE
    assert "mine.onnx: the same texts as Keras" in capsys.readouterr().out

    # Read with the library, which needs neither Keras nor this repository: pip install .
    readings = list(Reader("mine.onnx").read(texts))
    assert [reading.text for reading in readings] == list(texts.values())
