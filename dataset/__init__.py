"""Labelled pictures, whatever their form: found, checked, split, packed, and fed in batches.

    pictures = dataset.collect("DB/train")                    # names and labels
    aspect, hues = dataset.image_statistics(pictures)                   # what they look like
    corpus   = dataset.pack(pictures, 128, 64, channels=1)    # decoded once, memory-mapped
    dataset.check(corpus, alphabet, too_long)                 # or UserError
    dataset.introduce(corpus)                                 # some labels, and what is doubtful about them
    train, validation = dataset.split(corpus.names, corpus.digests, 0.1)
    batches  = dataset.Batches(corpus, train, encode, batch_size=64)

`python -m dataset PATH` reports what is in a folder or list.
"""

from __future__ import annotations

from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import importlib
from typing import TYPE_CHECKING, Any

import parameter  # noqa: F401 (it says what to do where packages are missing)

if TYPE_CHECKING:
    from dataset.augmentation import augment
    from dataset.batches import Batches
    from dataset.cache import Corpus, pack
    from dataset.checks import Report, check, inspect
    from dataset.contact_sheets import contact_sheet
    from dataset.contents import Contents, examine
    from dataset.doubts import introduce
    from dataset.forms import FORMS, Sample, Samples, collect, samples
    from dataset.splitting import apart, split
    from dataset.statistics import ImageStatistics, image_statistics

#: The module of each public name. They are imported when they are first used, because a command that reads pictures
#: needs few of them and would start a tenth of a second later. No module has the name of what it offers: an imported
#: module would take the place of the function.
_MODULES = {
    "augment": "augmentation",
    "Batches": "batches",
    "Corpus": "cache",
    "pack": "cache",
    "Report": "checks",
    "check": "checks",
    "inspect": "checks",
    "contact_sheet": "contact_sheets",
    "Contents": "contents",
    "examine": "contents",
    "introduce": "doubts",
    "FORMS": "forms",
    "Sample": "forms",
    "Samples": "forms",
    "collect": "forms",
    "samples": "forms",
    "apart": "splitting",
    "split": "splitting",
    "ImageStatistics": "statistics",
    "image_statistics": "statistics",
}

__all__ = [
    "FORMS",
    "Batches",
    "Contents",
    "Corpus",
    "ImageStatistics",
    "Report",
    "Sample",
    "Samples",
    "apart",
    "augment",
    "check",
    "collect",
    "contact_sheet",
    "examine",
    "image_statistics",
    "inspect",
    "introduce",
    "pack",
    "samples",
    "split",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'dataset' has no attribute {name!r}")
    return getattr(importlib.import_module(f"dataset.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
