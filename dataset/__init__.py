"""Labelled pictures, whatever their form: found, checked, split, packed, and fed in batches.

    pictures = dataset.collect("DB/train")                    # names and labels
    aspect, hues = dataset.survey(pictures)                   # what they look like
    corpus   = dataset.pack(pictures, 128, 64, channels=1)    # decoded once, memory-mapped
    dataset.check(corpus, alphabet, too_long)                 # or UserError
    dataset.introduce(corpus)                                 # some labels, and what is doubtful about them
    train, validation = dataset.split(corpus.names, corpus.digests, 0.1)
    batches  = dataset.Batches(corpus, train, encode, batch_size=64)

`python -m dataset PATH` reports what is in a folder or list.
"""

import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)
import parameter  # noqa: F401 (it says what to do where packages are missing)
from dataset.augmentation import augment
from dataset.batches import Batches
from dataset.cache import Corpus, pack
from dataset.checks import Report, check, inspect
from dataset.contact_sheet import contact_sheet
from dataset.contents import Contents, examine
from dataset.doubts import introduce
from dataset.forms import FORMS, Sample, Samples, collect, samples
from dataset.split import apart, split
from dataset.survey import Survey, survey

__all__ = [
    "FORMS",
    "Batches",
    "Contents",
    "Corpus",
    "Report",
    "Sample",
    "Samples",
    "Survey",
    "apart",
    "augment",
    "check",
    "collect",
    "contact_sheet",
    "examine",
    "inspect",
    "introduce",
    "pack",
    "samples",
    "split",
    "survey",
]
