"""Warn of labels that may not be labels, such as running numbers and identifiers in file names.

None of this is an error: captchas may have four digits, and a corpus one word. Five examples and a sentence let the
user decide.
"""

from __future__ import annotations

import html
import os
import re
from collections import Counter

import numpy as np

from cli.messages import warn
from dataset.checks import shown
from dataset.contents import Contents
from dataset.formats.normalize import padded, short

#: Number of labels to show.
EXAMPLES = 5

#: Minimum number of labels from which something can be concluded.
_FEW = 5

#: Maximum number of pictures to look at.
_MOST = 200_000

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{12,}", re.IGNORECASE)
#: Names that cameras, browsers and storage services generate.
_GENERATED = re.compile(r"(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z])[0-9A-Za-z_-]{16,}")
_NUMBERED = re.compile(r"(?P<before>\D*)(?P<number>\d{1,18})")
_SUFFIX = re.compile(r"\.(?:png|jpe?g|bmp|gif|tiff?|webp)$", re.IGNORECASE)
#: Unix times in seconds or milliseconds from 2001 to 2033.
_TIMES = ((10**9, 2 * 10**9), (10**12, 2 * 10**12))

#: Patterns of labels that still contain a part of their list's notation, and what to do about it.
_NOTATIONS = (
    (
        re.compile(r"[“”„«»‹›「『‘‚].+[”“»«›‹」』’‘]|\".+\"|'.+'|`.+`", re.DOTALL),
        "are between quotes: remove these if the pictures do not show them",
    ),
    (
        re.compile(r"\[\s*[bu]?(['\"]).*\1\s*\]|\(\s*(['\"]).*\2,?\s*\)|[bu](['\"]).*\3", re.DOTALL),
        "look like Python's way of writing a value: write the text itself",
    ),
    (re.compile(r"\[?\{.*:.*\}\]?", re.DOTALL), "look like objects of JSON: write the text itself"),
    (
        re.compile(r"(?:->|=>|→|::|[|:;,=])\s*\S.*"),
        "begin with a sign that may separate them from the name: remove it if the pictures do not show it",
    ),
    (
        re.compile(r"(?:\d+ ){2,}(?=\S*[^\W\d])\S+|(?:ok|err) (?:-?\d+ ){5,}\S.*"),  # the latter in lists of IAM
        "begin with numbers, which may be sizes or places: remove these if the pictures do not show them",
    ),
    (
        re.compile(r"\S+\.(?:png|jpe?g|bmp|gif|tiff?|webp)[\s,;:|]+\S.*", re.IGNORECASE),
        "begin like file names: remove these if the pictures do not show them",
    ),
    (
        re.compile(r"(?:label|text|plate|transcription|gt)\s*[:=]\s*\S.*", re.IGNORECASE),
        "begin with the name of a field: remove it if the pictures do not show it",
    ),
    (
        re.compile(r".+[\s,;|](?:train|val|valid|validation|dev|test)"),
        "end in the name of a split: put it in a column of its own",
    ),
    (re.compile(r".+[\s,;|][01]?\.\d+"), "end in a number that may be a score: put it in a column of its own"),
)
#: Number of labels to match first. The others are matched only if most of these are doubtful.
_SAMPLE = 100
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d+|#x[0-9a-fA-F]+);")

_REMEDY = "say with --label-pattern where in the file names the label is, or list the labels (docs/formats.md)"


def preview(contents: Contents) -> None:
    """Print the labels of some pictures, and warnings of doubtful labels."""
    labels = [f"{short(label)} ({short(name)})" for name, label in examples(contents)]
    if labels:
        warn(f"labels, for example: {', '.join(labels)}")
    for sentence in doubts(contents):
        warn(f"warning: {sentence}")


def examples(contents: Contents) -> list[tuple[str, str]]:
    """The names and labels of some evenly spaced pictures."""
    rows = np.flatnonzero(contents.labels != "")
    places = np.linspace(0, len(rows) - 1, min(len(rows), EXAMPLES)).round().astype(int)
    return [(str(contents.names[row]), str(contents.labels[row])) for row in rows[places]]


def doubts(contents: Contents) -> list[str]:
    """A sentence for each kind of doubtful labels."""
    pairs = zip(contents.names[:_MOST], contents.labels[:_MOST], strict=True)
    known = [(str(name), str(label)) for name, label in pairs if label]
    labels = [label for _, label in known]
    found = [_same_label(contents), _identifiers(labels), _running(known), _times(labels), _file_names(labels)]
    found += [_alphabet(labels), _misread(labels), _padded(known), _spaces(labels), *_notations(labels), _html(labels)]
    return [sentence for sentence in found if sentence]


def _same_label(contents: Contents) -> str | None:
    """One label for many different pictures."""
    if len(contents) < 2 * _FEW:
        return None
    different = dict(zip(contents.digests[:_MOST].tolist(), map(str, contents.labels[:_MOST]), strict=True))
    counts = Counter(label for label in different.values() if label)
    if not counts:
        return None
    label, count = counts.most_common(1)[0]
    # A corpus of single characters may have few different labels.
    part = 0.3 if len(label) > 2 else 0.9
    if count < 2 * _FEW or count < part * len(different):
        return None
    return (
        f"{count:,} of {len(different):,} different pictures have the label {short(label)}: if they show other texts, "
        f"{_REMEDY}"
    )


def _identifiers(labels: list[str]) -> str | None:
    if len(labels) < _FEW or len(set(labels)) < len(labels):
        return None
    for pattern in (_UUID, _HEX, _GENERATED):
        if sum(bool(pattern.fullmatch(label)) for label in labels) >= 0.8 * len(labels):
            return f"labels such as {short(labels[0])} look like identifiers, each used once: if they are, {_REMEDY}"
    return None


def _are_running(numbers: list[int]) -> bool:
    """Whether at least 90 % of a range of numbers occur, each once. Random codes do not do that."""
    return len(set(numbers)) == len(numbers) >= 0.9 * (max(numbers) - min(numbers) + 1)


def _running_in_folders(known: list[tuple[str, str]]) -> str | None:
    """Running numbers that begin again in each folder. The names of the folders may be the labels."""
    numbers: dict[str, list[int]] = {}
    for name, label in known:
        if not label.isdecimal() or len(label) > 18:
            return None
        numbers.setdefault(name.rpartition("/")[0], []).append(int(label))
    if len(numbers) < 2 or len(known) < 2 * len(numbers) or not all(map(_are_running, numbers.values())):
        return None
    return (
        f"the labels are running numbers in each of {len(numbers):,} folders: if the folders' names are the labels, "
        "list them (docs/formats.md)"
    )


def _running(known: list[tuple[str, str]]) -> str | None:
    """Running numbers, all with the same text before them."""
    if len(known) < _FEW:
        return None
    if folders := _running_in_folders(known):
        return folders
    matches = [match for _, label in known if (match := _NUMBERED.fullmatch(label))]
    numbers = [int(match["number"]) for match in matches]
    if len(matches) < len(known) or len({match["before"] for match in matches}) > 1 or not _are_running(numbers):
        return None
    by_number = sorted((number, label) for number, (_, label) in zip(numbers, known, strict=True))
    stems = [os.path.splitext(name.rpartition("/")[2])[0] for name, _ in known]
    behind = all("_" in stem and stem.partition("_")[0] == label for stem, (_, label) in zip(stems, known, strict=True))
    remedy = "--label-pattern '_(?P<label>[^_]+)' takes what stands behind the number" if behind else _REMEDY
    return (
        f"the labels are running numbers, {by_number[0][1]} to {by_number[-1][1]}, each there once: if they only count "
        f"the pictures, {remedy}"
    )


def _times(labels: list[str]) -> str | None:
    if len(labels) < _FEW or len(set(labels)) < len(labels) or not all(map(str.isdecimal, labels)):
        return None
    numbers = [int(label[:20]) for label in labels]
    if any(all(low <= number < high for number in numbers) for low, high in _TIMES):
        return f"labels such as {short(labels[0])} look like times at which pictures were saved: if they are, {_REMEDY}"
    return None


def _file_names(labels: list[str]) -> str | None:
    named = [label for label in labels if _SUFFIX.search(label)]
    if not named or 2 * len(named) < len(labels):
        return None
    return (
        f"{len(named):,} labels end like file names, such as {short(named[0])}: give the column or the list with the "
        "texts"
    )


def _alphabet(labels: list[str]) -> str | None:
    """A large alphabet of rare characters."""
    seen = Counter(character for label in labels for character in label)
    rare = sum(count <= 2 for count in seen.values())
    if len(seen) < 64 or 2 * rare < len(seen) or len(seen) < len(labels):
        return None
    return (
        f"{len(labels):,} labels hold {len(seen):,} different characters, {rare:,} of them once or twice, which is too "
        "few to learn: check that these are the labels, or add pictures"
    )


def _misread(labels: list[str]) -> str | None:
    """UTF-8 that was decoded as another encoding: `Ã¤` for `ä`."""
    found = []
    for label in labels:
        if label.isascii():
            continue
        for encoding in ("cp1252", "latin-1"):
            try:
                meant = label.encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
            found.append((label, meant))
            break
    if not found:
        return None
    label, meant = found[0]
    return (
        f"{len(found):,} labels look as if UTF-8 had been read as another encoding, such as {short(label)}, which may "
        f"be {short(meant)}: save the list again from a program that shows it correctly"
    )


def _padded(known: list[tuple[str, str]]) -> str | None:
    found = [name for name, label in known if padded(label)]
    if not found:
        return None
    return (
        f"{len(found):,} labels begin or end with white space ({', '.join(map(short, found[:3]))}"
        f"{', …' if len(found) > 3 else ''}), which becomes a character of the alphabet: correct them if that is not "
        "intended"
    )


def _notations(labels: list[str]) -> list[str]:
    """Most labels still contain a part of their list's notation."""
    found = []
    sample = labels[:_SAMPLE]
    for pattern, advice in _NOTATIONS:
        if len(sample) >= _FEW and sum(bool(pattern.fullmatch(label)) for label in sample) >= 0.8 * len(sample):
            alike = [label for label in labels if pattern.fullmatch(label)]
            found.append(f"{len(alike):,} labels, such as {short(alike[0])}, {advice}")
    return found


def _html(labels: list[str]) -> str | None:
    found = [label for label in labels if "&" in label and _ENTITY.search(label)]
    if not found:
        return None
    return (
        f"{len(found):,} labels hold characters as HTML writes them, such as {short(found[0])}: write "
        f"{short(html.unescape(found[0]))} if the picture shows that"
    )


def _spaces(labels: list[str]) -> str | None:
    """Characters that look like a space."""
    characters = (character for label in labels if not label.isascii() for character in set(label))
    odd = Counter(character for character in characters if character.isspace() and character not in " \u3000")
    if not odd:
        return None
    return (
        f"{sum(odd.values()):,} labels hold {' and '.join(map(shown, sorted(odd)))}, which looks like a space and "
        "becomes a character of its own: write a space if that is intended"
    )
