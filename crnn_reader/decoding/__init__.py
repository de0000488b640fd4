"""From the outputs of a network to texts and their probabilities, with NumPy.

ctc.py          alignments of log-probabilities; and what all decoders return
attention.py    texts written character by character
search.py       the most probable texts that a constraint allows
constraints.py  what is known of texts before they are read
calibration.py  probabilities that are as often right as they say
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from numpy.typing import NDArray

from ..runtime import Runtime
from .attention import AttentionDecoder
from .constraints import Automaton
from .ctc import CTCDecoder, Decoded

if TYPE_CHECKING:
    from ..config import ModelConfig


Reads: TypeAlias = Literal["ctc", "attention"]


class Decoder(Protocol):
    """Runs a network on a batch of pictures, and finds the texts in its outputs."""

    @property
    def longest(self) -> int | None:
        """The most characters that it writes; None if only the picture limits them."""

    def outputs(self, inputs: Any) -> Any:
        """The outputs of the network for `inputs`, pictures or (pictures, widths): an array or a list of arrays.

        The first two axes of the first array are the batch and the columns.
        """

    def decode(
        self, outputs: Any, decoder: str, beam_width: int, top: int, allowed: Automaton | None = None
    ) -> list[list[Decoded]]:
        """For each picture up to `top` texts, the most probable first; `decoder` is `greedy` or `beam`.

        With `allowed`, only texts that it accepts, and none if no such text is possible. The first text has the places
        of its characters.
        """

    def predictions(self, outputs: Any, texts: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
        """All that texts are chosen by, to compare runtimes: first log-probabilities, float (batch, places, classes).

        A decoder that writes character by character is made to write `texts`, class numbers for each picture.
        """


#: By the head of a network, the decoders that can read it, by name.
DECODERS: Mapping[str, Mapping[Reads, Callable[[Runtime, ModelConfig], Decoder]]] = {
    "ctc": {"ctc": CTCDecoder},
    "attention": {"attention": AttentionDecoder},
    "joint": {"ctc": CTCDecoder, "attention": AttentionDecoder},
}


def decoder_of(run: Runtime, config: ModelConfig) -> Decoder:
    """The decoder that reads with the network of `config`, which `run` computes."""
    choices = DECODERS[config.head]
    return choices.get(config.reads, next(iter(choices.values())))(run, config)
