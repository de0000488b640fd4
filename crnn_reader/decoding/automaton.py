"""Deterministic finite automata over class numbers, which constrained decoding follows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int32]

#: Maximum number of states and edges of an intersection.
MAX_STATES, MAX_EDGES = 50_000, 5_000_000


@dataclass(frozen=True)
class Automaton:
    """A deterministic finite automaton that accepts the allowed texts. State 0 is the start.

    Attributes:
        classes: number of classes, including the blank.
        offsets: the outgoing edges of state s are `offsets[s]` to `offsets[s + 1]`, exclusive. int64 (states + 1,).
        numbers: class number of each edge, ascending within a state. int32 (edges,).
        targets: state that each edge leads to. int32 (edges,).
        accepting: whether a text may end in the state. bool (states,).

    An accepting state can be reached from every state.
    """

    classes: int
    offsets: NDArray[np.int64]
    numbers: Integers
    targets: Integers
    accepting: NDArray[np.bool_]
    #: The first state of each depth, if the automaton is a tree. Its states are numbered by depth. None otherwise.
    depths: NDArray[np.int64] | None = None

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.accepting)

    def accepts(self, text: tuple[int, ...]) -> bool:
        """Whether the automaton accepts a text, given as class numbers."""
        state = 0
        for number in text:
            start, end = self.offsets[state : state + 2]
            edge = start + np.searchsorted(self.numbers[start:end], number)
            if edge == end or self.numbers[edge] != number:
                return False
            state = self.targets[edge]
        return bool(self.accepting[state])

    def edges(self, states: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The outgoing edges of some states, ordered by state.

        Returns the index into `states` and the index of the edge, both int64 (edges,).
        """
        starts = self.offsets[states]
        counts = self.offsets[states + 1] - starts
        rows = np.repeat(np.arange(len(states)), counts)
        first = np.cumsum(counts) - counts
        return rows, np.arange(len(rows)) - first[rows] + starts[rows]

    def successors(self, states: NDArray[np.integer]) -> Integers:
        """The state after each character, int32 (len(states), classes); -1 if the character is not allowed."""
        found = np.full((len(states), self.classes), -1, np.int32)
        rows, edges = self.edges(states)
        found[rows, self.numbers[edges]] = self.targets[edges]
        return found

    @cached_property
    def fewest(self) -> Integers:
        """For each state, the minimum number of characters to an accepting state. int32 (states,)."""
        fewest = np.where(self.accepting, 0, np.iinfo(np.int32).max - 1).astype(np.int32)
        inner = np.flatnonzero(np.diff(self.offsets))
        while len(inner):
            nearest = np.minimum.reduceat(fewest[self.targets], self.offsets[inner]) + 1
            closer = nearest < fewest[inner]
            if not closer.any():
                break
            fewest[inner[closer]] = nearest[closer]
        return fewest

    @cached_property
    def characters(self) -> Integers:
        """Class numbers of all characters in accepted texts, ascending."""
        return np.unique(self.numbers)

    @cached_property
    def neighbours(self) -> int:
        """Number of pairs of consecutive characters, summed over all states."""
        entries = np.unique(self.targets.astype(np.int64) * self.classes + self.numbers)
        return int(np.diff(self.offsets)[entries // self.classes].sum())

    @cached_property
    def relaxed(self) -> Automaton:
        """A smaller automaton that accepts all these texts and possibly others, for computing bounds.

        For a tree, all states of a depth are merged. Any other automaton is returned unchanged.
        """
        if self.depths is None:
            return self
        levels = [np.unique(self.numbers[start:end]) for start, end in self._edges_of_depths()]
        bounds = [*self.depths.tolist(), self.states]
        accepting = [self.accepting[start:end].any() for start, end in itertools.pairwise(bounds)]
        return Automaton(
            self.classes,
            np.cumsum([0, *map(len, levels)]),
            np.concatenate(levels).astype(np.int32),
            np.repeat(np.arange(1, len(levels) + 1, dtype=np.int32), [len(level) for level in levels]),
            np.array(accepting),
        )

    def relaxed_states(self, states: NDArray[np.integer]) -> NDArray[np.integer]:
        """Map states to those of :attr:`relaxed`."""
        return states if self.depths is None else np.searchsorted(self.depths, states, "right") - 1

    def _edges_of_depths(self) -> Iterator[tuple[int, int]]:
        assert self.depths is not None
        bounds = self.offsets[[*self.depths, self.states]].tolist()
        return itertools.pairwise(bounds)


def intersection(left: Automaton, right: Automaton) -> Automaton | None:
    """An automaton that accepts the texts that both accept, over the same classes. None if there are none.

    Raises ValueError if it would have more than MAX_STATES states or MAX_EDGES edges.
    """
    states, edges = {(0, 0): 0}, 0
    moves: list[dict[int, int]] = []
    for pair in (waiting := list(states)):
        one, other = (slice(*part.offsets[state : state + 2]) for part, state in zip((left, right), pair, strict=True))
        numbers, *places = np.intersect1d(left.numbers[one], right.numbers[other], True, return_indices=True)
        after = {}
        targets = zip(left.targets[one][places[0]].tolist(), right.targets[other][places[1]].tolist(), strict=True)
        for number, key in zip(numbers.tolist(), targets, strict=True):
            if key not in states:
                states[key] = len(states)
                waiting.append(key)
            after[number] = states[key]
        moves.append(after)
        edges += len(after)
        if len(states) > MAX_STATES or edges > MAX_EDGES:
            raise ValueError("too many texts begin alike and go on differently")
    accepting = np.array([left.accepting[one] and right.accepting[other] for one, other in states])
    return trimmed(moves, [[number] for number in range(left.classes)], accepting, left.classes)


def trimmed(
    moves: list[dict[int, int]], groups: list[list[int]], accepting: NDArray[np.bool_], classes: int
) -> Automaton | None:
    """Build an automaton without the states from which no accepting state can be reached. None if no text remains.

    Arguments:
        moves: for each state, the state after a character of each group.
        groups: class numbers that are treated alike.
        accepting: whether a text may end in each state.
        classes: number of classes, including the blank.
    """
    before: list[list[int]] = [[] for _ in moves]
    for state, after in enumerate(moves):
        for target in after.values():
            before[target].append(state)
    alive, waiting = accepting.copy(), np.flatnonzero(accepting).tolist()
    while waiting:
        for state in before[waiting.pop()]:
            if not alive[state]:
                alive[state] = True
                waiting.append(state)
    if not alive[0]:
        return None
    renumbered = np.cumsum(alive) - 1
    offsets, numbers, targets = [0], [], []
    for state in np.flatnonzero(alive).tolist():
        edges = sorted(
            (number, renumbered[target])
            for group, target in moves[state].items()
            if alive[target]
            for number in groups[group]
        )
        numbers += [number for number, _ in edges]
        targets += [target for _, target in edges]
        offsets.append(len(numbers))
    if not numbers:
        # Only the empty text is accepted.
        return None
    return Automaton(
        classes, np.array(offsets), np.array(numbers, np.int32), np.array(targets, np.int32), accepting[alive]
    )
