"""What can be wrong with a corpus, found before the first step of training."""

from __future__ import annotations

import unicodedata
from collections.abc import Sized
from dataclasses import dataclass

from crnn_reader.alphabet import UNREADABLE
from crnn_reader.errors import UserError
from crnn_reader.image import TooLong
from crnn_reader.sources import MISSING
from dataset.contents import Contents
from dataset.forms.normal import short
from dataset.splitting import copies

#: File names that one sentence lists.
_LISTED = 3


@dataclass(frozen=True)
class Report:
    """The findings. Unreadable pictures are left out of a corpus and counted; the other `errors` must be mended."""

    pictures: int  #: readable ones
    unreadable: list[tuple[str, str]]  #: name, reason
    unlabelled: list[str]  #: names
    broken: list[str]  #: names of pictures whose labels hold what no text has
    foreign: dict[str, list[str]]  #: character outside the alphabet -> names
    too_long: list[tuple[str, str]]  #: name, why
    conflicts: list[tuple[str, str, str, str]]  #: name, label, other name, other label
    duplicates: int  #: pictures beyond the first of the same bytes and label

    def errors(self) -> list[str]:
        """What must be mended, one sentence each."""
        found = []
        if not self.pictures:
            what = f"none of the {len(self.unreadable)} pictures can be read" if self.unreadable else "no pictures"
            found.append(f"{what}{self._first_reason()}: {self._remedy()}")
        if self.unlabelled:
            found.append(
                f"{_count(self.unlabelled, 'picture')} without a label ({_some(self.unlabelled)}): fill it in "
                "where a list has the labels; else name files LABEL_anything.png, say with --label-pattern where the "
                "label is, or see docs/forms.md for other ways"
            )
        if self.broken:
            found.append(
                f"{_count(self.broken, 'label')} with a tab, line break, control or replacement character "
                f"({_some(self.broken)}): mend the labels"
            )
        if self.foreign:
            characters = " ".join(map(shown, sorted(self.foreign)))
            names = next(iter(self.foreign.values()))
            found.append(
                f"labels hold {_count(self.foreign, 'character')} outside the alphabet: {characters} ({_some(names)}): "
                "add them to --alphabet, or mend the labels"
            )
        if self.too_long:
            name, why = self.too_long[0]
            found.append(f"{_count(self.too_long, 'label')} too long for the network, first {short(name)}: {why}")
        if self.conflicts:
            one, label, other, other_label = self.conflicts[0]
            found.append(
                f"two labels for the same picture: {short(one)} says {short(label)}, "
                + f"{short(other)} says {short(other_label)}"
                + (f", and {len(self.conflicts) - 1} more" if len(self.conflicts) > 1 else "")
                + ": mend the label or remove one of them"
            )
        return found

    def _remedy(self) -> str:
        # Only lists name files that are not there.
        if self.unreadable and all(reason == MISSING for _, reason in self.unreadable):
            return "say with --root where the paths of the list start"
        return "check the path and the files"

    def _first_reason(self) -> str:
        return " (first {}: {})".format(*self.unreadable[0]) if self.unreadable else ""


def inspect(contents: Contents, alphabet: str | None = None, too_long: TooLong | None = None) -> Report:
    """Look at every label, and at the pictures' content hashes.

    `alphabet` holds the characters that are allowed (None: all). `too_long` says of a label and its picture's
    width and height why the network cannot read it, or None when it can.
    """
    unlabelled, broken, foreign, long = [], [], dict[str, list[str]](), []
    allowed = None if alphabet is None else frozenset(alphabet)
    for name, label, size in zip(contents.names, map(str, contents.labels), contents.sizes.tolist(), strict=True):
        if not label:
            unlabelled.append(str(name))
            continue
        if UNREADABLE.search(label):
            broken.append(str(name))
        elif allowed is not None and not allowed.issuperset(label):
            for character in dict.fromkeys(label):
                if character not in allowed:
                    foreign.setdefault(character, []).append(str(name))
        if too_long and (why := too_long(label, *size)):
            long.append((str(name), why))

    conflicts, more = [], 0
    for rows in copies(contents.digests):
        first, *others = sorted(rows, key=lambda row: str(contents.names[row]))
        for row in others:
            one, other = str(contents.labels[first]), str(contents.labels[row])
            if one == other:
                more += 1
            elif one and other:
                conflicts.append((str(contents.names[first]), one, str(contents.names[row]), other))
    return Report(len(contents), contents.unreadable, unlabelled, broken, foreign, long, conflicts, more)


def check(contents: Contents, alphabet: str, too_long: TooLong) -> Report:
    """:func:`inspect`, with UserError for what must be mended before training."""
    report = inspect(contents, alphabet, too_long)
    if errors := report.errors():
        raise UserError(errors[0] + (f" (and {_count(errors[1:], 'other fault')})" if errors[1:] else ""))
    return report


def _count(things: Sized, what: str) -> str:
    return f"{len(things):,} {what}{'' if len(things) == 1 else 's'}"


def _some(names: list[str]) -> str:
    return ", ".join(map(short, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")


def shown(character: str) -> str:
    """A character that can be told from others in a message: a space or an invisible one by its Unicode name."""
    if character.isspace() or unicodedata.category(character)[0] in "CM":
        return unicodedata.name(character, f"U+{ord(character):04X}")
    return character
