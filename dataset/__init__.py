"""Labelled pictures of any format: found, checked, split, cached, and fed in batches.

    pictures = dataset.collect("DB/train")                  # names and labels
    aspect, contrast = dataset.image_statistics(pictures)    # shape and colours
    corpus = dataset.pack(pictures, 128, 64, channels=1)    # decoded once, memory-mapped
    dataset.check(corpus, alphabet, too_long)               # raises UserError for faults
    dataset.preview(corpus)                                 # logs some labels and warnings
    train, validation = dataset.split(corpus.names, corpus.digests, 0.1)
    batches = dataset.Batches(corpus, train, encode, batch_size=64)

`python -m dataset PATH` reports what a folder or list contains.
"""

from __future__ import annotations

from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import importlib
from typing import TYPE_CHECKING, Any

import parameter  # noqa: F401 (it says what to do if packages are missing)

if TYPE_CHECKING:
    from dataset.augmentation import augment
    from dataset.batches import Batches
    from dataset.cache import Corpus, pack
    from dataset.checks import Report, check, inspect
    from dataset.collecting import Sample, Samples, collect, samples
    from dataset.contact_sheets import contact_sheet
    from dataset.contents import Contents, ImageStatistics, examine, image_statistics
    from dataset.formats import FORMATS, WRITERS
    from dataset.label_warnings import preview
    from dataset.splitting import apart, split

#: The public names of each module. A module is imported when one of its names is first used, because a command that
#: reads pictures needs few of them and starts a tenth of a second faster. A module must not have the name of a
#: function: once imported, it would replace the function.
_MODULES = {
    "augmentation": ("augment",),
    "batches": ("Batches",),
    "cache": ("Corpus", "pack"),
    "checks": ("Report", "check", "inspect"),
    "collecting": ("Sample", "Samples", "collect", "samples"),
    "contact_sheets": ("contact_sheet",),
    "contents": ("Contents", "ImageStatistics", "examine", "image_statistics"),
    "formats": ("FORMATS", "WRITERS"),
    "label_warnings": ("preview",),
    "splitting": ("apart", "split"),
}

__all__ = ["FORMATS", "WRITERS", "Batches", "Contents", "Corpus", "ImageStatistics", "Report", "Sample", "Samples"]
__all__ += ["apart", "augment", "check", "collect", "contact_sheet", "examine", "image_statistics", "inspect", "pack"]
__all__ += ["preview", "samples", "split"]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"dataset.{module}"), name)
    raise AttributeError(f"module 'dataset' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
