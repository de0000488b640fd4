"""Labels that may not be labels, such as running numbers and identifiers in file names.

Nothing here is an error: there are captchas of four digits, and corpora of one word. Whoever looks at five examples and
a sentence knows.
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
from dataset.forms.normal import padded, short

#: Labels that are shown.
EXAMPLES = 5

#: Fewer pictures than these say nothing.
_FEW = 5

#: Pictures that are looked at.
_MOST = 200_000

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{12,}", re.IGNORECASE)
#: Names that cameras, browsers and storage services make up.
_MIXED = re.compile(r"(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z])[0-9A-Za-z_-]{16,}")
_NUMBERED = re.compile(r"(?P<before>\D*)(?P<number>\d{1,18})")
_SUFFIX = re.compile(r"\.(?:png|jpe?g|bmp|gif|tiff?|webp)$", re.IGNORECASE)
#: Seconds, or thousandths of them, since 1970: the years 2001 to 2033.
_TIMES = ((10**9, 2 * 10**9), (10**12, 2 * 10**12))

#: Patterns of labels that still contain part of their list's notation, and what to do about it.
_SHAPES = (
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
#: Number of labels looked at first; the others are checked only if most of these are doubtful.
_SAMPLE = 100
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d+|#x[0-9a-fA-F]+);")

_TEACH = "say with --label-pattern where in the file names the label is, or list the labels (docs/forms.md)"


def introduce(contents: Contents) -> None:
    """Say on stderr which labels some pictures have, and what is doubtful about them."""
    shown_labels = [f"{short(label)} ({short(name)})" for name, label in examples(contents)]
    if shown_labels:
        warn(f"labels, for example: {', '.join(shown_labels)}")
    for sentence in doubts(contents):
        warn(f"warning: {sentence}")


def examples(contents: Contents) -> list[tuple[str, str]]:
    """Names and labels of some pictures, evenly spread."""
    rows = np.flatnonzero(contents.labels != "")
    places = np.linspace(0, len(rows) - 1, min(len(rows), EXAMPLES)).round().astype(int)
    return [(str(contents.names[row]), str(contents.labels[row])) for row in rows[places]]


def doubts(contents: Contents) -> list[str]:
    """What is doubtful about the labels, a sentence each that says what to do."""
    looked_at = zip(contents.names[:_MOST], contents.labels[:_MOST], strict=True)
    known = [(str(name), str(label)) for name, label in looked_at if label]
    labels = [label for _, label in known]
    found = [_same_label(contents), _identifiers(labels), _running(known), _times(labels), _file_names(labels)]
    found += [_characters(labels), _misread(labels), _padded(known), _spaces(labels), *_shapes(labels), _html(labels)]
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
    # A digit or letter each is what there may be few of.
    part = 0.3 if len(label) > 2 else 0.9
    if count < 2 * _FEW or count < part * len(different):
        return None
    return (
        f"{count:,} of {len(different):,} different pictures have the label {short(label)}: if they show other texts, "
        f"{_TEACH}"
    )


def _identifiers(labels: list[str]) -> str | None:
    if len(labels) < _FEW or len(set(labels)) < len(labels):
        return None
    for pattern in (_UUID, _HEX, _MIXED):
        if sum(bool(pattern.fullmatch(label)) for label in labels) >= 0.8 * len(labels):
            return f"labels such as {short(labels[0])} look like identifiers, each used once: if they are, {_TEACH}"
    return None


def _running_in_folders(known: list[tuple[str, str]]) -> str | None:
    """Numbers in a row that begin again in each folder, as where the folders' names are the labels."""
    numbers: dict[str, list[int]] = {}
    for name, label in known:
        if not label.isdecimal() or len(label) > 18:
            return None
        numbers.setdefault(name.rpartition("/")[0], []).append(int(label))
    if len(numbers) < 2 or len(known) < 2 * len(numbers):
        return None
    for found in numbers.values():
        if len(set(found)) < len(found) or len(found) < 0.9 * (max(found) - min(found) + 1):
            return None
    return (
        f"the labels are running numbers in each of {len(numbers):,} folders: if the folders' names are the labels, "
        "list them (docs/forms.md)"
    )


def _running(known: list[tuple[str, str]]) -> str | None:
    """Numbers in a row, all different, maybe with the same word before each."""
    if len(known) < _FEW:
        return None
    if folders := _running_in_folders(known):
        return folders
    matches = [_NUMBERED.fullmatch(label) for _, label in known]
    if not all(matches) or len({match["before"] for match in matches if match}) > 1:
        return None
    numbers = {int(match["number"]) for match in matches if match}
    low, high = min(numbers), max(numbers)
    # Of four digits drawn by lot so many do not lie side by side.
    if len(numbers) < len(known) or len(numbers) < 0.9 * (high - low + 1):
        return None
    by_number = sorted((int(match["number"]), label) for match, (_, label) in zip(matches, known, strict=True) if match)
    stems = [os.path.splitext(name.rpartition("/")[2])[0] for name, _ in known]
    behind = sum(
        stem.count("_") > 0 and stem.partition("_")[0] == label for stem, (_, label) in zip(stems, known, strict=True)
    )
    remedy = (
        "--label-pattern '_(?P<label>[^_]+)' takes what stands behind the number" if behind == len(known) else _TEACH
    )
    return (
        f"the labels are running numbers, {by_number[0][1]} to {by_number[-1][1]}, each there once: if they only count "
        f"the pictures, {remedy}"
    )


def _times(labels: list[str]) -> str | None:
    if len(labels) < _FEW or len(set(labels)) < len(labels) or not all(map(str.isdecimal, labels)):
        return None
    numbers = [int(label[:20]) for label in labels]
    if any(all(low <= number < high for number in numbers) for low, high in _TIMES):
        return f"labels such as {short(labels[0])} look like times at which pictures were saved: if they are, {_TEACH}"
    return None


def _file_names(labels: list[str]) -> str | None:
    named = [label for label in labels if _SUFFIX.search(label)]
    if not named or 2 * len(named) < len(labels):
        return None
    return (
        f"{len(named):,} labels end like file names, such as {short(named[0])}: give the column or the list with the "
        "texts"
    )


def _characters(labels: list[str]) -> str | None:
    """An alphabet far larger than the pictures suggest."""
    seen = Counter(character for label in labels for character in label)
    rare = sum(count <= 2 for count in seen.values())
    if len(seen) < 64 or 2 * rare < len(seen) or len(seen) < len(labels):
        return None
    return (
        f"{len(labels):,} labels hold {len(seen):,} different characters, {rare:,} of them once or twice, which is too "
        "few to learn: check that these are the labels, or add pictures"
    )


def _misread(labels: list[str]) -> str | None:
    """UTF-8 that was read as something else: `Ã¤` for `ä`."""
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


def _shapes(labels: list[str]) -> list[str]:
    """The part of a list's notation that most labels still contain."""
    found = []
    sample = labels[:_SAMPLE]
    for pattern, advice in _SHAPES:
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
    """Spaces that look like the usual one beside it."""
    odd = Counter(
        character for label in labels if not label.isascii() for character in set(label)
        if character.isspace() and character not in " \u3000"
    )  # fmt: skip
    if not odd:
        return None
    return (
        f"{sum(odd.values()):,} labels hold {' and '.join(map(shown, sorted(odd)))}, which looks like a space and "
        "becomes a character of its own: write a space if that is intended"
    )
