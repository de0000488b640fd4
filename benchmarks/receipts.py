"""Fields of printed receipts, case folded: generated lines first, then the corpus' own train rows.

    python benchmarks/receipts.py CORPUS FONTS [FOLDER]

CORPUS is a folder with `labels.csv` (columns file, label, split). Its train labels are cut into words, and new fields
are made of them, with other digits and signs and in lower and upper case; 160,000 of these are drawn as lines, with the
fonts of the folder FONTS (docs/lines.md says which), and trained on, beginning with the shipped `lines`, and then the
train rows, alone or among generated lines. All networks read the test rows, and so does RapidOCR's recogniser
(benchmarks/peers.py says what that needs), which leaves out spaces: so texts are also compared without them. Runs go to
FOLDER (default runs/receipts) and go on where they were stopped.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import peers
from benchmarks.feeding import processor
from benchmarks.small_corpora import described, write_list
from benchmarks.trials import corpus, trial

FIELDS, PICTURES = 80_000, 160_000
LINES = (
    "--style line --size autox32 --length 1-45 --difficulty 0.6 --distortion 0.5 --noise 0.3 "
    f"--count {PICTURES} --seed 2"
)
TRAINING = (
    "--validation 0.02 --size autox32 --from lines --epochs 3 --batch-size 64 --learning-rate 0.001 "
    "--precision mixed_bfloat16"
)
#: Each train row so often among so many generated lines.
TIMES, GENERATED = 40, 20_000
MIXED = "--epochs 3 --learning-rate 0.0005 --batch-size 64 --precision mixed_bfloat16"
SIGNS = "%#=@&*+-/:.,()$'"


def main() -> None:
    """Print the figures."""
    source = Path(sys.argv[1])
    fonts = Path(sys.argv[2]).resolve()
    folder = Path(sys.argv[3] if len(sys.argv) > 3 else "runs/receipts").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    train, test = write_list(source, "train", folder), write_list(source, "test", folder)
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)

    fields = folder / "fields.txt"
    fields.write_text("\n".join(invented(labels(train))), encoding="utf-8")
    drawn = corpus(folder / "drawn", f"{LINES} --text {fields} --fonts {fonts}")
    folded = folder / "drawn.tsv"
    folded.write_text("".join(f"{path}\t{label.upper()}\n" for path, label in rows_of(drawn)), encoding="utf-8")

    first, second, third = folder / "generated", folder / "own", folder / "mixed"
    trial("generated lines alone", first, ["--data", str(folded), *TRAINING.split()], test)
    following = ["--size", "autox32", "--from", str(first)]
    trial("then its own train rows", second, ["--data", str(train), *following], test)
    mixed, held = among_generated(second, folded, folder)
    following += ["--data", str(mixed), "--validation", str(held)]
    trial("or these among generated lines", third, [*following, *MIXED.split()], test)
    show("generated lines alone", texts(first, test))
    show("then its own train rows", texts(second, test))
    show("or these among generated lines", texts(third, test))
    pairs, speed = peers.texts_of("RapidOCR", test, folder / "rapid.tsv")
    show(f"RapidOCR, read at {speed:,.0f} pictures/s", pairs)


def among_generated(own: Path, generated: Path, folder: Path) -> tuple[Path, Path]:
    """The train rows of the run `own` many times, shuffled among generated lines; and those it validated with."""
    split = json.loads((own / "split.json").read_text(encoding="utf-8"))
    train, validation = (
        [f"{path}\t{label}\n" for path, label in split[part].items()] for part in ("training", "validation")
    )
    chance = random.Random(1)
    lines = generated.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = train * TIMES + chance.sample(lines, GENERATED)
    chance.shuffle(rows)
    mixed, held = folder / "mixed.tsv", folder / "held.tsv"
    mixed.write_text("".join(rows), encoding="utf-8")
    held.write_text("".join(validation), encoding="utf-8")
    return mixed, held


def show(name: str, pairs: list[tuple[str, str]]) -> None:
    """Print how many texts are their truths, case folded, with spaces and without."""
    folded = [(truth, text.upper()) for truth, text in pairs]
    bare = [(truth.replace(" ", ""), text.replace(" ", "")) for truth, text in folded]
    print(f"{name}: {described(folded)}; without spaces {described(bare)}", flush=True)


def texts(run: Path, test: Path) -> list[tuple[str, str]]:
    """Truth and text of each row of the list `test`, read with the model of `run`."""
    from crnn_reader.reader import Reader
    from dataset import collect

    samples = list(collect(test))
    readings = Reader(str(run)).read(sample.path for sample in samples)
    return [(sample.label, reading.text) for sample, reading in zip(samples, readings, strict=True)]


def labels(listed: Path) -> list[str]:
    return [line.split("\t", 1)[1] for line in listed.read_text(encoding="utf-8").splitlines()]


def rows_of(drawn: Path) -> list[tuple[str, str]]:
    from dataset import collect

    return [(str(sample.path), sample.label) for sample in collect(drawn)]


def invented(known: list[str]) -> list[str]:
    """Fields of the words of `known` ones, every digit another, in capitals, as they are, small, or titled."""
    chance = random.Random(1)
    words = [word for label in known for word in label.split()]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    fields: list[str] = []
    while len(fields) < FIELDS:
        chosen = chance.choices(words, k=chance.choice((1, 1, 1, 2, 2, 3, 4, 6)))
        # As many digits and letters of their own as it takes to learn to read rather than to remember.
        text = re.sub(r"\d", lambda _: chance.choice("0123456789"), " ".join(chosen))
        text = re.sub(r"[A-Z]", lambda found: chance.choice((found[0], found[0], chance.choice(letters))), text)
        # Signs are rare in few labels, and stand anywhere.
        if chance.random() < 0.15:
            place = chance.randrange(len(text) + 1)
            text = text[:place] + chance.choice(SIGNS) + text[place:]
        fields.append(chance.choice((text, text, text.lower(), text.title())))
    return fields


if __name__ == "__main__":
    main()
