"""Decode the outputs of a network to texts with probabilities, using NumPy.

ctc.py          CTC decoding: best path, prefix beam search and forward algorithm; the result types of all decoders
attention.py    attention decoding: greedy and beam search
search.py       exact constrained CTC decoding
posterior.py    exact CTC decoding with a prior
formats.py      formats of plates -> automata and priors
layouts.py      layouts and countries of texts
constraints.py  constraints on texts: length, characters, pattern or lexicon
pattern.py      patterns -> automata
lexicon.py      lexicons -> automata
automaton.py    deterministic finite automata
calibration.py  temperature scaling of probabilities
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from ..runtime import Runtime
from .automaton import Automaton
from .ctc import Decoded
from .formats import FormatIndex

if TYPE_CHECKING:
    from ..config import ModelConfig

#: The decoders. Each is a module here with constants `DECODER`, a class with the methods of :class:`Decoder`, and
#: `HEADS`, the heads of networks whose outputs it decodes.
NAMES = ("ctc", "attention")


class Decoder(Protocol):
    """Runs a network on a batch of pictures and decodes its outputs."""

    @property
    def longest(self) -> int | None:
        """Maximum number of characters of a text. None if only the width of the picture limits it."""

    @property
    def weighs(self) -> bool:
        """Whether :meth:`decode` takes formats as a prior."""

    def outputs(self, inputs: Any) -> Any:
        """Run the network.

        Arguments:
            inputs: pictures, uint8 (batch, height, width, channels). For networks of any width, a pair of pictures and
                their widths, int32 (batch,).

        Returns an array or a list of arrays. The first array has the shape (batch, columns, …).
        """

    def decode(
        self,
        outputs: Any,
        search: str,
        beam_width: int,
        top: int,
        allowed: Automaton | None = None,
        formats: FormatIndex | None = None,
    ) -> list[list[Decoded]]:
        """Decode the outputs of the network.

        Arguments:
            outputs: what :meth:`outputs` returned.
            search: `greedy` or `beam`.
            beam_width: number of hypotheses that beam search keeps.
            top: maximum number of texts per picture.
            allowed: accepts the allowed texts; None allows all texts.
            formats: the prior of texts; None is the same for all. Only CTC uses it, without `allowed`: then there may
                be more than `top` texts, with their posterior probabilities.

        Returns the texts of each picture, the most probable first, or an empty list if no allowed text is possible.
        Only the first text has the positions of its characters.
        """

    def predictions(self, outputs: Any, texts: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
        """Return everything that decoding depends on, to compare runtimes.

        Arguments:
            outputs: what :meth:`outputs` returned.
            texts: the class numbers of a text for each picture. An autoregressive decoder is fed these (teacher
                forcing).

        Returns a list of arrays. The first one has the log-probabilities, float (batch, steps, classes).
        """


#: Decoders for each head of a network, by their names.
DECODERS: dict[str, dict[str, Callable[[Runtime, ModelConfig], Decoder]]] = {}
for _name in NAMES:
    _module = importlib.import_module(f".{_name}", __name__)
    for _head in _module.HEADS:
        DECODERS.setdefault(_head, {})[_name] = _module.DECODER


def decoder_of(run: Runtime, config: ModelConfig) -> Decoder:
    """Create the decoder for a model from its runtime and configuration."""
    choices = DECODERS[config.head]
    return choices.get(config.reads, next(iter(choices.values())))(run, config)
