"""Style `arithmetic`: tasks such as `3+5=?`. The label is the task as it is written."""

from __future__ import annotations

from crnn_reader.alphabet import parse_alphabet
from generate_captcha.drawing import finishes, grounds, marks, warps
from generate_captcha.family import Family, Look
from generate_captcha.seeded_random import SeededRandom
from parameter import GenerateParameters

PROPERTIES = {"family": True, "texts": "tasks"}

ALPHABET = "0-9+*/x=?-"
#: Minimum and maximum number of characters of a task.
TASK_LENGTHS = 3, 10


class Arithmetic(Family):
    LOOK = Look(
        sizes=(0, 0.1),
        own_font=0.1,
        own_colour=0.4,
        gap=(0.02, 0.5),
        slots=0.3,
        rotation=(0, 20),
        capital=(0.4, 0.7),
        grounds=((3, grounds.plain), (1, grounds.gradient), (0.5, grounds.grain)),
        contrast=(80, 230),
        behind=((1, marks.line), (1, marks.specks), (0.7, marks.arc)),
        over=((0.6, marks.line), (0.5, marks.curve)),
        thickness=(0.015, 0.07),
        warps=((0.25, warps.waves),),
        finishes=((0.2, finishes.compressed), (0.15, finishes.palette)),
    )

    LENGTH = "{}-{}".format(*TASK_LENGTHS)

    def _alphabet(self, parameters: GenerateParameters) -> str:
        return parse_alphabet(ALPHABET)

    def _label(self, rng: SeededRandom) -> str:
        return task(rng)


def task(rng: SeededRandom) -> str:
    """Two numbers of one or two digits, rarely three, mostly followed by `=` or `=?`."""
    largest = 10 if rng.random() < 0.6 else 100
    signs = ((3, "+"), (2, "-"), (1.5, "x"), (0.7, "*"), (0.3, "/"))
    text = str(rng.randbelow(largest))
    for _ in range(2 if rng.random() < 0.1 else 1):
        text += rng.pick(signs) + str(rng.randbelow(largest))
    return text + rng.pick(((2, "=?"), (2, "="), (0.5, ""), (0.3, "?")))
