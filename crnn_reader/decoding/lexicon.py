"""Read lexicons: file -> encoded texts -> prefix tree. All in arrays, to hold millions of texts."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import bounded
from ..errors import UserError
from .automaton import Automaton, Integers

#: Maximum number of characters of a text in a lexicon. No picture shows more.
MAX_CHARACTERS = 1_000
#: Maximum size of a lexicon in bytes, enough for several million texts. The search takes about 20 times as much memory.
MAX_LEXICON_BYTES = 1 << 26


@dataclass(frozen=True)
class Texts:
    """Encoded texts: text i is `numbers[starts[i]:ends[i]]`."""

    numbers: Integers
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def text(self, index: int, alphabet: str) -> str:
        return "".join(alphabet[number - 1] for number in self.numbers[self.starts[index] : self.ends[index]])

    def accepted(self, automaton: Automaton) -> NDArray[np.bool_]:
        """Whether the automaton accepts each text, bool (texts,)."""
        state = np.zeros(len(self.starts), np.int64)
        # Edges as one sorted key of state and number, for binary search.
        edges = np.repeat(np.arange(automaton.states), np.diff(automaton.offsets)) * automaton.classes
        edges += automaton.numbers
        rows, place = np.arange(len(state)), self.starts.copy()
        while True:
            rows = rows[(place[rows] < self.ends[rows]) & (state[rows] >= 0)]
            if not len(rows):
                break
            wanted = state[rows] * automaton.classes + self.numbers[place[rows]]
            found = np.minimum(np.searchsorted(edges, wanted), len(edges) - 1)
            state[rows] = np.where(edges[found] == wanted, automaton.targets[found], -1) if len(edges) else -1
            place[rows] += 1
        return (state >= 0) & automaton.accepting[state]


def read_texts(path: Path, alphabet: str) -> Texts:
    """Read the non-empty lines of a lexicon.

    Raises UserError for an unreadable or empty file, or a text that is too long or has characters outside `alphabet`.
    """
    remedy = "give a UTF-8 text file with an allowed text per line"
    try:
        content = bounded.read_text(path, MAX_LEXICON_BYTES)
    except FileNotFoundError as error:
        raise UserError(f"lexicon {path} does not exist; {remedy}") from error
    except OSError as error:
        raise UserError(f"lexicon {path} cannot be read ({error.strerror}); {remedy}") from error
    except ValueError as error:
        raise UserError(f"lexicon {path}: {error}; {remedy}") from error
    content = unicodedata.normalize("NFC", content.replace("\r\n", "\n").replace("\r", "\n")) + "\n"
    points = np.frombuffer(content.encode("utf-32-le", "surrogatepass"), np.uint32)
    ends = np.flatnonzero(points == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    table = np.zeros(0x110000, np.int32)
    table[[ord(character) for character in alphabet]] = np.arange(1, len(alphabet) + 1)
    numbers = table[points]
    filled = ends > starts
    if not filled.any():
        raise UserError(f"lexicon {path} has no text in it; write an allowed text on each line")
    unknown = np.flatnonzero((numbers == 0) & (points != ord("\n")))
    if len(unknown):
        lines = np.unique(np.searchsorted(ends, unknown))
        first = lines[0]
        text = content[starts[first] : ends[first]]
        strange = " ".join(sorted({repr(character) for character in text} - {repr(known) for known in alphabet}))
        raise UserError(
            f"{path}, line {first + 1}: the model cannot read {strange} in {text!r}, {len(lines):,} of "
            f"{filled.sum():,} texts have such characters; remove them, or use a model that reads them"
        )
    if len(long := np.flatnonzero(ends - starts > MAX_CHARACTERS)):
        raise UserError(
            f"{path}, line {long[0] + 1}: a text of {(ends - starts)[long[0]]:,} characters, more than the "
            f"{MAX_CHARACTERS:,} that are allowed: write one text per line"
        )
    return Texts(numbers, starts[filled], ends[filled])


def prefix_tree(texts: Texts, characters: int) -> Automaton:
    """Build the prefix tree of texts, depth by depth. Edge i leads to state i + 1."""
    node, rows = np.zeros(len(texts.starts), np.int64), np.arange(len(texts.starts))
    first, width, depth = 0, 1, 0
    depths, numbers, counts, accepting = [0], [], [], []
    while True:
        ended = texts.starts[rows] + depth == texts.ends[rows]
        ends = np.zeros(width, bool)
        ends[node[rows[ended]] - first] = True
        accepting.append(ends)
        rows = rows[~ended]
        if not len(rows):
            counts.append(np.zeros(width, np.int64))
            break
        keys = (node[rows] - first) * (characters + 1) + texts.numbers[texts.starts[rows] + depth]
        children, places = np.unique(keys, return_inverse=True)
        counts.append(np.bincount(children // (characters + 1), minlength=width))
        numbers.append((children % (characters + 1)).astype(np.int32))
        first, width, depth = first + width, len(children), depth + 1
        depths.append(first)
        node[rows] = first + places
    edges = np.concatenate(numbers)
    return Automaton(
        characters + 1,
        np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        edges,
        np.arange(1, len(edges) + 1, dtype=np.int32),
        np.concatenate(accepting),
        np.array(depths),
    )
