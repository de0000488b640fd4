"""Attention decoding: greedy or beam search, one character per step (Shi et al. 2016, arXiv 1603.03915)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime import LOG_PROBABILITIES, Runtime, named_inputs
from .automaton import Automaton
from .ctc import CharacterSpan, Decoded
from .formats import FormatIndex

if TYPE_CHECKING:
    from ..config import ModelConfig

#: Name of the layer, and of the output, with the padding mask of a network of any width.
MASK = "mask"
#: Outputs of the encoder, besides the mask. They are inputs of the decoding step, with ENCODED before their names.
COLUMNS, KEYS, ENCODED = "columns", "keys", "encoded_"
#: Input of the decoding step: the previous characters. Outputs: log-probabilities of the next characters, and attention
#: weights.
CHARACTERS, NEXT, WEIGHTS = "characters", f"next_{LOG_PROBABILITIES}", "weights"
#: Names of the recurrent state by cell, an input and an output of the decoding step.
STATES = {"gru": ("state",), "lstm": ("state", "carry")}
#: Units of the recurrent cell.
UNITS = 256

#: Memory limit for the hypotheses of a batch, in bytes.
BEAM_BYTES = 512 << 20


def encoded_names(config: ModelConfig) -> tuple[str, ...]:
    """Names of the encoder's outputs."""
    return (COLUMNS, KEYS) if config.width else (COLUMNS, KEYS, MASK)


def step_inputs(config: ModelConfig) -> tuple[str, ...]:
    """Names under which the decoding step takes the encoder's outputs."""
    return tuple(ENCODED + name for name in encoded_names(config))


def step_outputs(config: ModelConfig) -> tuple[str, ...]:
    """Names of the recurrent state after the decoding step."""
    return tuple(f"next_{name}" for name in STATES[config.cell])


class AttentionBeamSearch:
    """Decodes one character per step, until every text of the batch has ended or has `longest` characters."""

    weighs = False

    def __init__(self, run: Runtime, config: ModelConfig) -> None:
        self._run, self.longest, self._classes = run, config.longest, len(config.alphabet) + 1
        self._encoded, self._taken = encoded_names(config), step_inputs(config)
        self._states, self._after = STATES[config.cell], step_outputs(config)

    def outputs(self, inputs: Any) -> list[NDArray[Any]]:
        """Run the encoder. Returns columns, keys and, for networks of any width, the mask, each (batch, columns, …)."""
        return self._run(named_inputs(inputs), self._encoded)

    def decode(
        self,
        outputs: list[NDArray[Any]],
        search: str,
        beam_width: int,
        top: int,
        allowed: Automaton | None = None,
        formats: FormatIndex | None = None,
    ) -> list[list[Decoded]]:
        """Beam search; `greedy` is a beam of one. See :meth:`Decoder.decode` for arguments and result.

        Hypotheses are ranked by their mean log-probability per character, including the end, because a sum would favour
        short texts. The returned probability is that of the whole text. After `longest` characters a text is forced to
        end. With `allowed`, characters and ends that lead to no allowed text get a log-probability of -inf.
        `formats` are not used.
        """
        width = max(beam_width, top) if search == "beam" or top > 1 else 1
        batch = len(outputs[0])
        # Estimated memory per picture: its encoder outputs, float64 log-probabilities and state, in several copies.
        each = 4 * width * (sum(part[0].size for part in outputs) + 8 * (self._classes + UNITS))
        if batch > (most := max(1, BEAM_BYTES // each)):
            parts = ([part[start : start + most] for part in outputs] for start in range(0, batch, most))
            return [text for part in parts for text in self.decode(part, search, beam_width, top, allowed)]
        # Each picture has `width` hypotheses. At first they are identical, so all but one start with a score of -inf.
        encoded = {
            name: np.repeat(part, width, 0) if width > 1 else part
            for name, part in zip(self._taken, outputs, strict=True)
        }
        state = [np.zeros((batch * width, UNITS), np.float32) for _ in self._states]
        texts = np.zeros((batch, width, 0), np.int32)
        # For each character, its log-probability and the centre of its attention weights, in columns.
        spans = np.zeros((batch, width, 0, 2))
        numbers = np.arange(outputs[0].shape[1])
        scores = np.tile(np.where(np.arange(width) == 0, 0.0, -np.inf), (batch, 1))
        ended, lengths = np.zeros((batch, width), bool), np.zeros((batch, width), int)
        last, states = np.zeros(batch * width, np.int32), np.zeros((batch, width), np.int32)
        for position in range(self.longest + 1):
            given = {CHARACTERS: last, **dict(zip(self._states, state, strict=True)), **encoded}
            step, weights, *state = self._run(given, [NEXT, WEIGHTS, *self._after])
            step = np.asarray(step, np.float64).reshape(batch, width, -1)
            centres = (weights @ numbers).reshape(batch, width)
            if position == self.longest:
                step[..., 1:] = -np.inf
            if allowed:
                following = allowed.successors(states.ravel()).reshape(step.shape)
                # An allowed text must fit into the remaining steps.
                fits = (following >= 0) & (allowed.fewest[following] < self.longest - position)
                fits[..., 0] = allowed.accepting[states]
                step[~fits] = -np.inf
            # An ended hypothesis continues with the end, with a log-probability of 0.
            step[ended] = np.where(np.arange(step.shape[2]) == 0, 0.0, -np.inf)
            totals = scores[..., None] + step
            counted = lengths[..., None] + ~ended[..., None]
            ranked = (totals / counted).reshape(batch, -1)
            best = np.argsort(-ranked, axis=1, kind="stable")[:, :width]
            parents, characters = np.divmod(best, step.shape[2])
            chosen = np.take_along_axis(step.reshape(batch, -1), best, 1)
            scores = np.take_along_axis(totals.reshape(batch, -1), best, 1)
            lengths = np.take_along_axis(lengths + ~ended, parents, 1)
            ended = np.take_along_axis(ended, parents, 1) | (characters == 0)
            texts = np.take_along_axis(texts, parents[..., None], 1)
            texts = np.concatenate([texts, characters[..., None].astype(np.int32)], 2)
            new_spans = np.stack([chosen, np.take_along_axis(centres, parents, 1)], -1)
            spans = np.take_along_axis(spans, parents[..., None, None], 1)
            spans = np.concatenate([spans, new_spans[:, :, None]], 2)
            if allowed:
                # Ended hypotheses have the state -1. It is not used any more, but must be a valid index.
                states = np.maximum(np.take_along_axis(following.reshape(batch, -1), best, 1), 0)
            rows = (np.arange(batch)[:, None] * width + parents).ravel()
            state, last = [part[rows] for part in state], characters.ravel().astype(np.int32)
            if ended.all():
                break
        return [
            [
                Decoded(
                    tuple(text[text > 0].tolist()),
                    float(np.exp(min(score, 0.0))),
                    tuple(
                        CharacterSpan(float(np.exp(log)), centre, centre + 1)
                        for log, centre in where[text > 0].tolist()
                    ),
                )
                for text, score, where in zip(texts[row, :top], scores[row], spans[row], strict=False)
                if np.isfinite(score)
            ]
            for row in range(batch)
        ]

    def predictions(self, outputs: list[NDArray[Any]], texts: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
        """Decode with teacher forcing: feed `texts` instead of the predicted characters.

        Returns the log-probabilities, float (batch, steps, classes), and the attention weights, float (batch, steps,
        columns). In steps after the end of a text, the end has a log-probability of 0, and the weights are 0.
        """
        encoded, lengths = dict(zip(self._taken, outputs, strict=True)), np.array([len(text) for text in texts])
        characters = np.zeros((len(texts), lengths.max() + 1), np.int32)
        for row, text in zip(characters, texts, strict=True):
            row[1 : 1 + len(text)] = text
        state = [np.zeros((len(texts), UNITS), np.float32) for _ in self._states]
        steps, attention = [], []
        for position, last in enumerate(characters.T):
            given = {CHARACTERS: last, **dict(zip(self._states, state, strict=True)), **encoded}
            step, weights, *state = self._run(given, [NEXT, WEIGHTS, *self._after])
            over = (lengths < position)[:, None]
            steps.append(np.where(over, np.where(np.arange(step.shape[1]) == 0, 0, np.finfo(np.float32).min), step))
            attention.append(np.where(over, 0, weights))
        return [np.stack(steps, 1), np.stack(attention, 1)]


DECODER, HEADS = AttentionBeamSearch, ("attention", "joint")
