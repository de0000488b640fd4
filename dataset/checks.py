"""Find faults of a corpus before training."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sized
from dataclasses import dataclass

from crnn_reader.alphabet import UNREADABLE
from crnn_reader.errors import UserError
from crnn_reader.image import TooLong
from crnn_reader.sources import MISSING
from dataset.contents import Contents
from dataset.formats.normalize import short
from dataset.splitting import copies

#: Maximum number of file names in a message.
_LISTED = 3


@dataclass(frozen=True)
class Report:
    """Faults of a corpus. Unreadable pictures are only left out. The other faults must be corrected before training."""

    pictures: int  #: number of readable pictures
    unreadable: list[tuple[str, str]]  #: name, reason
    unlabelled: list[str]  #: names
    broken: list[str]  #: names of pictures whose labels have control characters
    foreign: dict[str, list[str]]  #: character outside the alphabet -> names
    too_long: list[tuple[str, UserError]]  #: name, reason
    conflicts: list[tuple[str, str, str, str]]  #: name, label, other name, other label
    duplicates: int  #: number of pictures with the same bytes and label as an earlier one

    def errors(self) -> Iterator[UserError]:
        """Yield the faults that must be corrected."""
        if not self.pictures:
            what = f"none of the {len(self.unreadable)} pictures can be read" if self.unreadable else "no pictures"
            first = " (first {}: {})".format(*self.unreadable[0]) if self.unreadable else ""
            # Only a list names files that do not exist.
            if self.unreadable and all(reason == MISSING for _, reason in self.unreadable):
                yield UserError(f"{what}{first}: give the folder where the paths of the list start", "root")
            else:
                yield UserError(f"{what}{first}: check the path and the files")
        if self.unlabelled and len(self.unlabelled) == self.pictures:
            yield UserError(
                f"none of the {_count(self.unlabelled, 'picture')} has a label ({_some(self.unlabelled)}): name files "
                "LABEL_anything.png, see docs/formats.md for other ways, or give a pattern for their names; if they "
                "show nothing to read, train with them as negatives beside labelled pictures (docs/own_pictures.md)",
                "label_pattern",
            )
        elif self.unlabelled:
            yield UserError(
                f"{_count(self.unlabelled, 'picture')} without a label ({_some(self.unlabelled)}): fill it in where a "
                "list has the labels; else name files LABEL_anything.png, see docs/formats.md for other ways, or give "
                "a pattern for their names",
                "label_pattern",
            )
        if self.broken:
            yield UserError(
                f"{_count(self.broken, 'label')} with a tab, line break, control or replacement character "
                f"({_some(self.broken)}): mend the labels"
            )
        if self.foreign:
            characters = " ".join(map(shown, sorted(self.foreign)))
            yield UserError(
                f"labels hold {_count(self.foreign, 'character')} outside the alphabet: {characters} "
                f"({_some(next(iter(self.foreign.values())))}): mend the labels, or add them to the alphabet",
                "alphabet",
            )
        if self.too_long:
            name, why = self.too_long[0]
            what = f"{_count(self.too_long, 'label')} too long for the network, first {short(name)}"
            yield UserError(f"{what}: {why}", **why.parameters)
        if self.conflicts:
            one, label, other, other_label = self.conflicts[0]
            more = f", and {len(self.conflicts) - 1} more" if len(self.conflicts) > 1 else ""
            yield UserError(
                f"two labels for the same picture: {short(one)} says {short(label)}, {short(other)} says "
                f"{short(other_label)}{more}: mend the label or remove one of them"
            )


def inspect(contents: Contents, alphabet: str | None = None, too_long: TooLong | None = None) -> Report:
    """Check all labels, and compare those of identical pictures.

    Arguments:
        contents: the corpus.
        alphabet: the allowed characters. None allows all.
        too_long: returns why the network cannot write a label for a picture of some width and height, or None.
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

    conflicts, duplicates = [], 0
    for rows in copies(contents.digests):
        first, *others = sorted(rows, key=lambda row: str(contents.names[row]))
        for row in others:
            one, other = str(contents.labels[first]), str(contents.labels[row])
            if one == other:
                duplicates += 1
            elif one and other:
                conflicts.append((str(contents.names[first]), one, str(contents.names[row]), other))
    return Report(len(contents), contents.unreadable, unlabelled, broken, foreign, long, conflicts, duplicates)


def check(contents: Contents, alphabet: str, too_long: TooLong) -> Report:
    """Like :func:`inspect`. Raises UserError for a fault that must be corrected before training."""
    report = inspect(contents, alphabet, too_long)
    if errors := list(report.errors()):
        more = f" (and {_count(errors[1:], 'other fault')})" if errors[1:] else ""
        raise UserError(f"{errors[0]}{more}", **errors[0].parameters)
    return report


def _count(things: Sized, what: str) -> str:
    return f"{len(things):,} {what}{'' if len(things) == 1 else 's'}"


def _some(names: list[str]) -> str:
    return ", ".join(map(short, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")


def shown(character: str) -> str:
    """A character for a message. A space or invisible character is shown by its Unicode name."""
    if character.isspace() or unicodedata.category(character)[0] in "CM":
        return unicodedata.name(character, f"U+{ord(character):04X}")
    return character
