"""Warn of labels that may not be labels, such as running numbers and identifiers in file names.

None of this is an error: captchas may have four digits, and a corpus one word. Five examples and a sentence let the
user decide.
"""

from __future__ import annotations

import contextlib
import html
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from cli.flags import with_flags
from dataset.checks import shown
from dataset.contents import Contents
from dataset.formats.normalize import padded, short

logger = logging.getLogger(__name__)

#: Number of labels to show.
EXAMPLES = 5

#: Minimum number of labels from which something can be concluded.
_FEW = 5

#: Maximum number of pictures to look at.
_LOOKED_AT = 200_000

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


def preview(contents: Contents) -> None:
    """Log the labels of some pictures, and warnings of doubtful labels."""
    labels = [f"{short(label)} ({short(name)})" for name, label in examples(contents)]
    if labels:
        logger.info(f"labels, for example: {', '.join(labels)}")
    for sentence in warnings_about(contents):
        logger.warning(f"warning: {sentence}")


def examples(contents: Contents) -> list[tuple[str, str]]:
    """The names and labels of some evenly spaced pictures."""
    rows = np.flatnonzero(contents.labels != "")
    places = np.linspace(0, len(rows) - 1, min(len(rows), EXAMPLES)).round().astype(int)
    return [(str(contents.names[row]), str(contents.labels[row])) for row in rows[places]]


def warnings_about(contents: Contents) -> list[str]:
    """A sentence for each kind of doubtful labels."""
    pairs = zip(contents.names[:_LOOKED_AT], contents.labels[:_LOOKED_AT], strict=True)
    known = [(str(name), str(label)) for name, label in pairs if label]
    labels = [label for _, label in known]
    found = [_same_label(contents), _identifiers(labels), _running(known), _times(labels), _file_names(labels)]
    found += [_alphabet(labels), _misread(labels), _padded(known), _spaces(labels), _notations(labels), _html(labels)]
    return [sentence for sentences in found for sentence in sentences]


def _same_label(contents: Contents) -> Iterator[str]:
    """One label for many different pictures."""
    if len(contents) < 2 * _FEW:
        return
    different = dict(zip(contents.digests[:_LOOKED_AT].tolist(), map(str, contents.labels[:_LOOKED_AT]), strict=True))
    counts = Counter(label for label in different.values() if label)
    if not counts:
        return
    label, count = counts.most_common(1)[0]
    # A corpus of single characters may have few different labels.
    share = 0.3 if len(label) > 2 else 0.9
    if count < 2 * _FEW or count < share * len(different):
        return
    yield _with_remedy(
        f"{count:,} of {len(different):,} different pictures have the label {short(label)}: if they show other texts"
    )


def _with_remedy(fault: str) -> str:
    """A fault of labels from file names, and what to do about it."""
    remedy = "list the labels, see docs/formats.md, or give a pattern that finds them in the file names"
    return with_flags(f"{fault}, {remedy}", label_pattern="")


def _identifiers(labels: list[str]) -> Iterator[str]:
    if len(labels) < _FEW or len(set(labels)) < len(labels):
        return
    for pattern in (_UUID, _HEX, _GENERATED):
        if sum(bool(pattern.fullmatch(label)) for label in labels) >= 0.8 * len(labels):
            yield _with_remedy(f"labels such as {short(labels[0])} look like identifiers, each used once: if they are")
            return


def _are_running(numbers: list[int]) -> bool:
    """Whether at least 90 % of a range of numbers occur, each once. Random codes do not do that."""
    return len(set(numbers)) == len(numbers) >= 0.9 * (max(numbers) - min(numbers) + 1)


def _folders_of_running(known: list[tuple[str, str]]) -> int:
    """The number of folders if each has running numbers as labels. 0 otherwise, and for a single folder."""
    numbers: dict[str, list[int]] = {}
    for name, label in known:
        if not label.isdecimal() or len(label) > 18:
            return 0
        numbers.setdefault(name.rpartition("/")[0], []).append(int(label))
    several = len(numbers) > 1 and len(known) >= 2 * len(numbers)
    return len(numbers) if several and all(map(_are_running, numbers.values())) else 0


def _running(known: list[tuple[str, str]]) -> Iterator[str]:
    """Running numbers, all with the same text before them."""
    if len(known) < _FEW:
        return
    if folders := _folders_of_running(known):
        yield (
            f"the labels are running numbers in each of {folders:,} folders: if the folders' names are the labels, "
            "list them (docs/formats.md)"
        )
        return
    matches = [match for _, label in known if (match := _NUMBERED.fullmatch(label))]
    numbers = [int(match["number"]) for match in matches]
    if len(matches) < len(known) or len({match["before"] for match in matches}) > 1 or not _are_running(numbers):
        return
    by_number = sorted((number, label) for number, (_, label) in zip(numbers, known, strict=True))
    stems = [os.path.splitext(name.rpartition("/")[2])[0] for name, _ in known]
    after = all("_" in stem and stem.partition("_")[0] == label for stem, (_, label) in zip(stems, known, strict=True))
    fault = (
        f"the labels are running numbers, {by_number[0][1]} to {by_number[-1][1]}, each there once: if they only count "
        "the pictures"
    )
    if after:
        remedy = "give a pattern that finds the text after the number"
        yield with_flags(f"{fault}, {remedy}", label_pattern="_(?P<label>[^_]+)")
    else:
        yield _with_remedy(fault)


def _times(labels: list[str]) -> Iterator[str]:
    if len(labels) < _FEW or len(set(labels)) < len(labels) or not all(map(str.isdecimal, labels)):
        return
    numbers = [int(label[:20]) for label in labels]
    if any(all(low <= number < high for number in numbers) for low, high in _TIMES):
        yield _with_remedy(
            f"labels such as {short(labels[0])} look like times at which pictures were saved: if they are"
        )


def _file_names(labels: list[str]) -> Iterator[str]:
    named = [label for label in labels if _SUFFIX.search(label)]
    if named and 2 * len(named) >= len(labels):
        yield (
            f"{len(named):,} labels end like file names, such as {short(named[0])}: give the column or the list with "
            "the texts"
        )


def _alphabet(labels: list[str]) -> Iterator[str]:
    """A large alphabet of rare characters."""
    seen = Counter(character for label in labels for character in label)
    rare = sum(count <= 2 for count in seen.values())
    if len(seen) >= 64 and 2 * rare >= len(seen) >= len(labels):
        yield (
            f"{len(labels):,} labels hold {len(seen):,} different characters, {rare:,} of them once or twice, which is "
            "too few to learn: check that these are the labels, or add pictures"
        )


def _misread(labels: list[str]) -> Iterator[str]:
    """UTF-8 that was decoded as another encoding: `Ã¤` for `ä`."""
    found = [(label, meant) for label in labels if not label.isascii() and (meant := _as_utf8(label))]
    if found:
        label, meant = found[0]
        yield (
            f"{len(found):,} labels look as if UTF-8 had been read as another encoding, such as {short(label)}, which "
            f"may be {short(meant)}: save the list again from a program that shows it correctly"
        )


def _as_utf8(label: str) -> str | None:
    for encoding in ("cp1252", "latin-1"):
        with contextlib.suppress(UnicodeError):
            return label.encode(encoding).decode("utf-8")
    return None


def _padded(known: list[tuple[str, str]]) -> Iterator[str]:
    if found := [name for name, label in known if padded(label)]:
        yield (
            f"{len(found):,} labels begin or end with white space ({', '.join(map(short, found[:3]))}"
            f"{', …' if len(found) > 3 else ''}), which becomes a character of the alphabet: correct them if that is "
            "not intended"
        )


def _notations(labels: list[str]) -> Iterator[str]:
    """Most labels still contain a part of their list's notation."""
    sample = labels[:_SAMPLE]
    for pattern, advice in _NOTATIONS:
        if len(sample) >= _FEW and sum(bool(pattern.fullmatch(label)) for label in sample) >= 0.8 * len(sample):
            alike = [label for label in labels if pattern.fullmatch(label)]
            yield f"{len(alike):,} labels, such as {short(alike[0])}, {advice}"


def _html(labels: list[str]) -> Iterator[str]:
    if found := [label for label in labels if "&" in label and _ENTITY.search(label)]:
        yield (
            f"{len(found):,} labels hold characters as HTML writes them, such as {short(found[0])}: write "
            f"{short(html.unescape(found[0]))} if the picture shows that"
        )


def _spaces(labels: list[str]) -> Iterator[str]:
    """Characters that look like a space."""
    characters = (character for label in labels if not label.isascii() for character in set(label))
    if odd := Counter(character for character in characters if character.isspace() and character not in " \u3000"):
        yield (
            f"{sum(odd.values()):,} labels hold {' and '.join(map(shown, sorted(odd)))}, which looks like a space and "
            "becomes a character of its own: write a space if that is intended"
        )
