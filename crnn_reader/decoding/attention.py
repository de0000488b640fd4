"""Attention: texts are written character by character (Shi et al., arXiv 1603.03915), greedily or by beam search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime import LOG_PROBABILITIES, Runtime, named_inputs
from .constraints import Automaton
from .ctc import Decoded, Place

if TYPE_CHECKING:
    from ..config import ModelConfig

#: The columns of a picture that are padding, where widths differ: the name of a layer, and of an output.
MASK = "mask"
#: What the encoder gives, with the mask where widths differ; each step takes it under a name that begins with ENCODED.
COLUMNS, KEYS, ENCODED = "columns", "keys", "encoded_"
#: A step: the last characters, the parts of the state before and after by cell; what comes next, where it looked.
CHARACTERS, NEXT, WEIGHTS = "characters", f"next_{LOG_PROBABILITIES}", "weights"
STATES = {"gru": ("state",), "lstm": ("state", "carry")}
#: Features of each part of a state.
UNITS = 256

#: Memory that the texts of a beam may take, side by side.
BEAM_BYTES = 512 << 20


def encoded_names(config: ModelConfig) -> tuple[str, ...]:
    return (COLUMNS, KEYS) if config.width else (COLUMNS, KEYS, MASK)


def step_inputs(config: ModelConfig) -> tuple[str, ...]:
    return tuple(ENCODED + name for name in encoded_names(config))


def step_outputs(config: ModelConfig) -> tuple[str, ...]:
    return tuple(f"next_{name}" for name in STATES[config.cell])


class AttentionDecoder:
    """Writes texts character by character, until every text of the batch has ended or has `longest` characters."""

    def __init__(self, run: Runtime, config: ModelConfig) -> None:
        self._run, self.longest, self._classes = run, config.longest, len(config.alphabet) + 1
        self._encoded, self._taken = encoded_names(config), step_inputs(config)
        self._states, self._after = STATES[config.cell], step_outputs(config)

    def outputs(self, inputs: Any) -> list[NDArray[Any]]:
        """Columns, keys and, where widths differ, the mask, each (batch, steps, …)."""
        return self._run(named_inputs(inputs), self._encoded)

    def decode(
        self,
        outputs: list[NDArray[Any]],
        decoder: str,
        beam_width: int,
        top: int,
        allowed: Automaton | None = None,
    ) -> list[list[Decoded]]:
        """Beam search over texts; greedy is a beam of one.

        Texts are ranked by their mean log-probability per character, the end counted as one, since a sum would favour
        short ones; the probability given is that of the whole text. A text cut off at its longest is made to end there.
        With `allowed`, characters and ends after which no allowed text is left are impossible.
        """
        width = max(beam_width, top) if decoder == "beam" or top > 1 else 1
        batch = len(outputs[0])
        # What each picture takes, with probabilities of all characters in float64, several times over.
        each = 4 * width * (sum(part[0].size for part in outputs) + 8 * (self._classes + UNITS))
        if batch > (most := max(1, BEAM_BYTES // each)):
            parts = ([part[start : start + most] for part in outputs] for start in range(0, batch, most))
            return [text for part in parts for text in self.decode(part, decoder, beam_width, top, allowed)]
        # Every picture has `width` texts side by side; all but the first begin impossible, being the same.
        encoded = {
            name: np.repeat(part, width, 0) if width > 1 else part
            for name, part in zip(self._taken, outputs, strict=True)
        }
        state = [np.zeros((batch * width, UNITS), np.float32) for _ in self._states]
        texts = np.zeros((batch, width, 0), np.int32)
        # Of each character: its log-probability, and the centre of what was looked at, in columns.
        places = np.zeros((batch, width, 0, 2))
        numbers = np.arange(outputs[0].shape[1])
        scores = np.tile(np.where(np.arange(width) == 0, 0.0, -np.inf), (batch, 1))
        ended, lengths = np.zeros((batch, width), bool), np.zeros((batch, width), int)
        last, states = np.zeros(batch * width, np.int32), np.zeros((batch, width), np.int32)
        for place in range(self.longest + 1):
            given = {CHARACTERS: last, **dict(zip(self._states, state, strict=True)), **encoded}
            step, weights, *state = self._run(given, [NEXT, WEIGHTS, *self._after])
            step = np.asarray(step, np.float64).reshape(batch, width, -1)
            centres = (weights @ numbers).reshape(batch, width)
            if place == self.longest:
                step[..., 1:] = -np.inf
            if allowed:
                following = allowed.successors(states.ravel()).reshape(step.shape)
                # An allowed text must be left in the places that are.
                fits = (following >= 0) & (allowed.fewest[following] < self.longest - place)
                fits[..., 0] = allowed.accepting[states]
                step[~fits] = -np.inf
            # An ended text goes on with its end, at no cost.
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
            looked = np.stack([chosen, np.take_along_axis(centres, parents, 1)], -1)
            places = np.take_along_axis(places, parents[..., None, None], 1)
            places = np.concatenate([places, looked[:, :, None]], 2)
            if allowed:
                # An ended text needs no state any more.
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
                    tuple(Place(float(np.exp(log)), centre, centre + 1) for log, centre in seen[text > 0].tolist()),
                )
                for text, score, seen in zip(texts[row, :top], scores[row], places[row], strict=False)
                if np.isfinite(score)
            ]
            for row in range(batch)
        ]

    def predictions(self, outputs: list[NDArray[Any]], texts: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
        """Log-probabilities of each step (batch, steps, classes), and where it looked, (batch, steps, columns).

        After the end of a text its end is certain, and it looks nowhere.
        """
        encoded, lengths = dict(zip(self._taken, outputs, strict=True)), np.array([len(text) for text in texts])
        characters = np.zeros((len(texts), lengths.max() + 1), np.int32)
        for row, text in zip(characters, texts, strict=True):
            row[1 : 1 + len(text)] = text
        state = [np.zeros((len(texts), UNITS), np.float32) for _ in self._states]
        steps, looks = [], []
        for place, last in enumerate(characters.T):
            given = {CHARACTERS: last, **dict(zip(self._states, state, strict=True)), **encoded}
            step, weights, *state = self._run(given, [NEXT, WEIGHTS, *self._after])
            over = (lengths < place)[:, None]
            steps.append(np.where(over, np.where(np.arange(step.shape[1]) == 0, 0, np.finfo(np.float32).min), step))
            looks.append(np.where(over, 0, weights))
        return [np.stack(steps, 1), np.stack(looks, 1)]
