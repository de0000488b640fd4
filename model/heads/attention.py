"""A recurrent decoder that looks at the columns (Shi et al., arXiv 1603.03915); the layer is in model/attention.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.constraints import Automaton
from model.decoding import Decoded, Place
from model.runtimes import IMAGES, LOG_PROBABILITIES, WIDTHS, Part, Runtime, pictures

if TYPE_CHECKING:
    from model.features import Features
    from model.heads import Head
    from model.model_file import Card

#: Names of layers in a network.
DECODER, MASK = "attention", "mask"

#: What the encoder gives, with the mask where widths differ; each step takes it under a name that begins with ENCODED.
COLUMNS, KEYS, ENCODED = "columns", "keys", "encoded_"
#: A step: the last characters, the parts of the state before and after by cell; what comes next, where it looked.
CHARACTERS, NEXT, WEIGHTS = "characters", f"next_{LOG_PROBABILITIES}", "weights"
STATES = {"gru": ("state",), "lstm": ("state", "carry")}
#: Features of each part of a state.
UNITS = 256

#: Memory that the texts of a beam may take, side by side.
BEAM_BYTES = 512 << 20

#: Of the characters fed back in training, the part that the decoder wrote itself rises to this.
OWN_READINGS = 0.25


class Attention:
    """Outputs are logits, float32 (batch, longest + 1, classes), class 0 the end of the text."""

    def outputs(self, columns: Features, classes: int, card: Card) -> tuple[list[Any], Any]:
        import keras

        from model.attention import AttentionDecoder

        texts, mask = keras.Input((None,), dtype="int32", name="texts"), columns.mask()
        if mask is not None:
            # Named, so that the network can be cut here for reading.
            mask = keras.layers.Identity(name=MASK, dtype="bool")(mask)
        decoder = AttentionDecoder(classes, card.cell, UNITS, name=DECODER)
        return [texts], decoder(columns.maps, texts, mask=mask)

    def loss(self, card: Card) -> Any:
        from model.attention import TextCrossEntropy

        return TextCrossEntropy(card.label_smoothing)

    def targets(self, labels: NDArray[np.int32]) -> Any:
        return labels

    def teaching(self, labels: NDArray[np.int32]) -> list[Any]:
        return [labels]

    def schedule(self, network: Any, progress: float) -> None:
        # At first nothing it writes is worth reading; a linear schedule (Bengio et al. 2015).
        network.get_layer(DECODER).own.assign(OWN_READINGS * progress)

    def steps_needed(self, text: str) -> int:
        return 1

    def parts(self, network: Any, card: Card) -> list[Part]:
        import keras

        decoder = network.get_layer(DECODER)
        columns = network.get_layer(COLUMNS).output
        mask = [] if card.width else [network.get_layer(MASK).output]
        encoder = keras.Model(picture_inputs(network), [columns, decoder.key(columns), *mask])

        characters = keras.Input((), dtype="int32")
        states = [keras.Input((UNITS,)) for _ in STATES[card.cell]]
        encoded = [keras.Input((None, tensor.shape[-1])) for tensor in (columns, decoder.key(columns))]
        masks = [keras.Input((None,), dtype="bool") for _ in mask]
        after, features, weights = decoder.step(characters, states, *encoded, masks[0] if masks else None)
        following = keras.ops.log_softmax(decoder.classes(features))
        step = keras.Model([characters, *states, *encoded, *masks], [following, weights, *after])
        return [
            Part(encoder, (IMAGES,) if card.width else (IMAGES, WIDTHS), _encoded(card)),
            Part(step, (CHARACTERS, *STATES[card.cell], *_taken(card)), (NEXT, WEIGHTS, *_after(card))),
        ]

    def decoder(self, run: Runtime, card: Card) -> AttentionReader:
        return AttentionReader(run, card)


def _encoded(card: Card) -> tuple[str, ...]:
    return (COLUMNS, KEYS) if card.width else (COLUMNS, KEYS, MASK)


def _taken(card: Card) -> tuple[str, ...]:
    return tuple(ENCODED + name for name in _encoded(card))


def _after(card: Card) -> tuple[str, ...]:
    return tuple(f"next_{name}" for name in STATES[card.cell])


def picture_inputs(network: Any) -> Any:
    """The inputs of a network that reading needs: images, or images and widths."""
    inputs = [tensor for tensor in network.inputs if tensor.name != "texts"]
    return inputs if len(inputs) > 1 else inputs[0]


class AttentionReader:
    """Writes texts character by character, until every text of the batch has ended or has `card.longest` characters."""

    def __init__(self, run: Runtime, card: Card) -> None:
        self._run, self._longest, self._classes = run, card.longest, len(card.alphabet) + 1
        self._encoded, self._taken = _encoded(card), _taken(card)
        self._states, self._after = STATES[card.cell], _after(card)

    def outputs(self, inputs: Any) -> list[NDArray[Any]]:
        """Columns, keys and, where widths differ, the mask, each (batch, steps, …)."""
        return self._run(pictures(inputs), self._encoded)

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
        for place in range(self._longest + 1):
            given = {CHARACTERS: last, **dict(zip(self._states, state, strict=True)), **encoded}
            step, weights, *state = self._run(given, [NEXT, WEIGHTS, *self._after])
            step = np.asarray(step, np.float64).reshape(batch, width, -1)
            centres = (weights @ numbers).reshape(batch, width)
            if place == self._longest:
                step[..., 1:] = -np.inf
            if allowed:
                following = allowed.successors(states.ravel()).reshape(step.shape)
                # An allowed text must be left in the places that are.
                fits = (following >= 0) & (allowed.fewest[following] < self._longest - place)
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


HEAD: Head = Attention()
