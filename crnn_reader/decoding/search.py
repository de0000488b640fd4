"""Exact constrained CTC decoding: best-first search for the most probable texts that an automaton accepts.

This is prefix search (Graves et al. 2006, "Connectionist Temporal Classification", section 3.2) over the prefixes of
allowed texts. Each prefix has an upper bound on the probability of any single text that it can be extended to. Once no
bound exceeds the best text found, that text is proven to be the most probable one.

Graves uses the probability of the prefix as the bound, which is the sum over all its texts and far too high if the
network is uncertain. The bound here is that of the best text, with one relaxation: the rest of the text may depend on
the column in which the last character of the prefix is entered.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..alphabet import BLANK
from .automaton import Automaton

Logs = NDArray[np.float64]

#: log(0). Small enough to vanish in every sum, and without the NaN of (-inf) - (-inf).
IMPOSSIBLE = -1e30
#: Lower bound of log-probabilities. Masked columns have such values for characters. A text needs more than this.
FLOOR = -1e4
#: Maximum number of prefixes times columns. Beyond it, the search returns the best text found, without a proof.
MAX_EXPANDED = 600_000
#: The first search only uses characters whose log-probability, over all columns together, is above LIKELY. ROUNDING is
#: the tolerance for rounding errors when their threshold is derived from a text.
LIKELY, ROUNDING = math.log(1e-3), 1e-6
#: Beam width of the initial beam search, and the number of prefixes to expand together later.
WIDTH, MAX_EXPANDED_TOGETHER = 4, 64
#: Limit on the effort for bounds: pairs of consecutive characters, over all states, times columns. It limits the number
#: of characters with bounds of their own, but at least MIN_SYMBOLS characters have them.
MAX_PAIRS, MIN_SYMBOLS = 4_000_000, 4


#: A text with its log-probability: (log-probability, class numbers).
Scored: TypeAlias = tuple[float, tuple[int, ...]]


class Found(NamedTuple):
    """The result of a search: texts, the most probable first, and whether they are proven to be the most probable."""

    texts: list[Scored]
    exact: bool
    #: Number of prefixes that were expanded.
    prefixes: int


@dataclass
class _Children:
    """The extensions of a prefix by one character, sorted by bound, the highest first."""

    parent: int
    bounds: Logs
    numbers: NDArray[np.int32]
    states: NDArray[np.int32]


@dataclass
class _Prefixes:
    """The expanded prefixes: a tree in which each prefix has its parent and its last character.

    The forward variables have an additional entry before the first column.
    """

    parents: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    #: Forward variables, float64 (columns + 1,) each: alignments that end in a blank, and in the last character.
    blank: list[Logs] = field(default_factory=list)
    character: list[Logs] = field(default_factory=list)

    def text(self, index: int) -> tuple[int, ...]:
        found = []
        while index:
            found.append(self.numbers[index])
            index = self.parents[index]
        return tuple(reversed(found))


def search(
    log_probabilities: NDArray[np.floating], automaton: Automaton, top: int = 1, known: Sequence[Scored] = ()
) -> Found:
    """Find the most probable texts of one picture that `automaton` accepts.

    Arguments:
        log_probabilities: float (steps, classes), class 0 is the blank.
        automaton: accepts the allowed texts.
        top: maximum number of texts.
        known: allowed texts whose log-probabilities are known already. They make the search faster.

    Returns no texts if no allowed text fits into the columns.
    """
    logs = np.maximum(log_probabilities.astype(np.float64), FLOOR)
    # Upper bound on the log-probability of any text with a character: the sum of the character over all columns.
    anywhere = np.logaddexp.reduce(logs, axis=0)
    found, likely = Found(list(known), True, 0), np.zeros(logs.shape[1], bool)
    if len(known) < top:
        likely = anywhere > LIKELY
        found = _Search(logs, automaton, top, likely, FLOOR).run()
    least = max(found.texts[-1][0] - ROUNDING, FLOOR) if len(found.texts) == top else FLOOR
    needed = anywhere > least
    if not (needed & ~likely)[automaton.relaxed.characters].any():
        return found
    whole = _Search(logs, automaton, top, needed, least).run()
    # If the second search gave up, it may have missed texts of the first one.
    scores = {text: score for score, text in found.texts + whole.texts}
    texts = sorted(((score, text) for text, score in scores.items()), reverse=True)[:top]
    return Found(texts, whole.exact, found.prefixes + whole.prefixes)


class _Search:
    """A search among texts of the `usable` characters, bool (classes,), with a log-probability above `least`."""

    def __init__(self, logs: Logs, automaton: Automaton, top: int, usable: NDArray[np.bool_], least: float) -> None:
        self._logs, self._automaton, self._top, self._usable = logs, automaton, top, usable
        self._bounds = _Bounds(logs, automaton.relaxed, usable)
        # Cumulative sums over the columns, with an entry before the first column.
        self._sums = np.concatenate([np.zeros((1, logs.shape[1])), np.cumsum(logs, axis=0)])
        self._prefixes = _Prefixes()
        self._best: list[Scored] = []
        #: Log-probability that a text must exceed to be one of the `top` texts.
        self._threshold = least

    def run(self) -> Found:
        waiting: list[tuple[float, int, int, _Children]] = []
        order = itertools.count()

        def wait(children: _Children, place: int) -> None:
            # Only the best remaining child is queued: the others have lower bounds.
            if place < len(children.bounds) and children.bounds[place] > self._threshold:
                heapq.heappush(waiting, (-children.bounds[place], next(order), place, children))

        # Start with a beam search: a good text found early prunes most of the rest.
        level = [self._root()]
        while level:
            ahead = [(bound, row, place) for row, c in enumerate(level) for place, bound in enumerate(c.bounds[:WIDTH])]
            ahead = sorted((item for item in ahead if item[0] > self._threshold), reverse=True)[:WIDTH]
            # The children of a row are sorted, so the selected ones are its first ones.
            followed = [sum(row == other for _, other, _ in ahead) for row in range(len(level))]
            for children, count in zip(level, followed, strict=True):
                wait(children, count)
            level = self._expand([(c, p) for c, count in zip(level, followed, strict=True) for p in range(count)])

        most = MAX_EXPANDED // len(self._logs)
        while waiting and -waiting[0][0] > self._threshold and len(self._prefixes.parents) < most:
            size = min(MAX_EXPANDED_TOGETHER, 1 + len(self._prefixes.parents) // 8)
            taken: list[tuple[_Children, int]] = []
            while waiting and len(taken) < size and -waiting[0][0] > self._threshold:
                _, _, place, children = heapq.heappop(waiting)
                taken.append((children, place))
                wait(children, place + 1)
            for children in self._expand(taken):
                wait(children, 0)
        exact = not waiting or -waiting[0][0] <= self._threshold
        return Found(self._best, bool(exact), len(self._prefixes.parents))

    def _root(self) -> _Children:
        """Expand the empty prefix."""
        blank = self._sums[:, BLANK]
        if self._automaton.accepting[0]:
            self._keep(blank[-1], 0)
        return self._add(np.array([0]), [0], [0], blank[None], np.full((1, len(blank)), IMPOSSIBLE))[0]

    def _expand(self, taken: list[tuple[_Children, int]]) -> list[_Children]:
        """Expand children, given by their parent's children and their place. Keeps those that are allowed texts."""
        if not taken:
            return []
        parents = [children.parent for children, _ in taken]
        numbers = np.array([children.numbers[place] for children, place in taken])
        states = np.array([children.states[place] for children, place in taken])
        blank, character = self._forward(parents, numbers)
        first = len(self._prefixes.parents)
        found = self._add(states, parents, numbers.tolist(), blank, character)
        totals = np.logaddexp(blank[:, -1], character[:, -1])
        for row in np.flatnonzero(self._automaton.accepting[states] & (totals > self._threshold)):
            self._keep(float(totals[row]), first + int(row))
        return found

    def _forward(self, parents: list[int], numbers: NDArray[np.int32]) -> tuple[Logs, Logs]:
        """Forward variables (prefixes, columns + 1) of the parents extended by one character (Graves, section 4.1).

        The recurrence x(t) = y(t) (x(t-1) + in(t)) is computed without a loop, as a cumulative sum of
        x(t) / (y(1) … y(t)).
        """
        entered = self._entered(parents, numbers) + self._logs[:, numbers].T
        stays = self._sums[:, numbers].T
        character = np.full(stays.shape, IMPOSSIBLE)
        character[:, 1:] = np.logaddexp.accumulate(entered - stays[:, 1:], axis=1) + stays[:, 1:]
        blanks = self._sums[:, BLANK]
        blank = np.full(stays.shape, IMPOSSIBLE)
        blank[:, 1:] = np.logaddexp.accumulate(character[:, :-1] - blanks[:-1], axis=1) + blanks[1:]
        return blank, character

    def _entered(self, parents: list[int], numbers: NDArray[np.int32]) -> Logs:
        """Log-probability of alignments of the parents before each column, after which `numbers` may come.

        Returns float64 (prefixes, columns).
        """
        blank = np.array([self._prefixes.blank[parent] for parent in parents])[:, :-1]
        character = np.array([self._prefixes.character[parent] for parent in parents])[:, :-1]
        # A character can follow itself only after a blank.
        same = numbers == np.array([self._prefixes.numbers[parent] for parent in parents])
        return np.where(same[:, None], blank, np.logaddexp(blank, character))

    def _add(
        self, states: NDArray[np.integer], parents: list[int], numbers: list[int], blank: Logs, character: Logs
    ) -> list[_Children]:
        """Store expanded prefixes. Returns their children with bounds above the threshold."""
        first = len(self._prefixes.parents)
        self._prefixes.parents += parents
        self._prefixes.numbers += numbers
        self._prefixes.blank += list(blank)
        self._prefixes.character += list(character)

        rows, edges = self._automaton.edges(states)
        rows, edges = (part[self._usable[self._automaton.numbers[edges]]] for part in (rows, edges))
        following, targets = self._automaton.numbers[edges], self._automaton.targets[edges]
        totals = np.logaddexp(blank, character)[:, :-1]
        same = following == np.array(numbers)[rows]
        entered = np.where(same[:, None], blank[rows, :-1], totals[rows])
        bounds = self._bounds.of(entered, following, self._automaton.relaxed_states(targets))
        found = []
        limits = np.searchsorted(rows, np.arange(len(states) + 1))
        for row, (start, end) in enumerate(itertools.pairwise(limits)):
            order = start + np.argsort(-bounds[start:end], kind="stable")
            order = order[bounds[order] > self._threshold]
            found.append(_Children(first + row, bounds[order], following[order], targets[order]))
        return found

    def _keep(self, score: float, index: int) -> None:
        self._best.append((min(score, 0.0), self._prefixes.text(index)))
        self._best.sort(key=lambda item: -item[0])
        del self._best[self._top :]
        if len(self._best) == self._top:
            self._threshold = max(self._best[-1][0], self._threshold)


class _Bounds:
    """Upper bounds on the rest of a text, computed from the last column to the first over a relaxed automaton.

    The most probable characters are separate symbols. All other characters share one symbol, whose probability in each
    column is the maximum of theirs.
    """

    def __init__(self, logs: Logs, automaton: Automaton, usable: NDArray[np.bool_]) -> None:
        self._logs = logs
        used = automaton.characters[usable[automaton.characters]]
        part = math.sqrt(MAX_PAIRS / (len(logs) * max(automaton.neighbours, 1)))
        symbols = min(max(int(part * len(automaton.characters)), MIN_SYMBOLS), len(used))
        ranked = used[np.argsort(-logs[:, used].max(axis=0), kind="stable")]
        self._symbol = np.full(automaton.classes, symbols)
        self._symbol[ranked[:symbols]] = np.arange(symbols)
        rest = ranked[symbols:]
        worst = logs[:, rest].max(axis=1) if len(rest) else np.full(len(logs), IMPOSSIBLE)
        emissions = np.column_stack([logs[:, ranked[:symbols]], worst])
        self._pair, self._after = _suffixes(emissions, logs[:, BLANK], automaton, usable, self._symbol, symbols)

    def of(self, entered: Logs, numbers: NDArray[np.integer], states: NDArray[np.integer]) -> Logs:
        """Bounds on texts that continue with `numbers`, which lead to `states`, (texts,).

        `entered` has the log-probability of the alignments before each column, (texts, columns).
        """
        if not len(numbers):
            return np.zeros(0)
        terms = entered + self._logs[:, numbers].T + self._after[self._pair[states, self._symbol[numbers]]]
        most = terms.max(axis=1)
        return most + np.log(np.exp(terms - most[:, None]).sum(axis=1))


def _suffixes(
    emissions: Logs,
    blank: Logs,
    automaton: Automaton,
    usable: NDArray[np.bool_],
    symbol: NDArray[np.integer],
    rest: int,
) -> tuple[NDArray[np.integer], Logs]:
    """Compute the bounds for each pair of a state and the symbol by which it was entered.

    Returns the row of each pair, int (states, symbols), -1 for pairs that do not occur, and the rows, float64 (pairs,
    columns). Entry t is an upper bound on the log-probability, in the columns after t, of any single text that leads
    from the state to an accepting state, given that column t has the symbol.
    """
    symbols, steps = rest + 1, len(emissions)
    sources, edges = automaton.edges(np.arange(automaton.states))
    sources, edges = (part[usable[automaton.numbers]] for part in (sources, edges))
    # Merge edges with the same symbol between the same states.
    keys = (sources * symbols + symbol[automaton.numbers[edges]]) * automaton.states + automaton.targets[edges]
    keys = np.unique(keys)
    sources, entries = np.divmod(keys, symbols * automaton.states)
    pairs, edge_pairs = np.unique(entries, return_inverse=True)
    pair_symbols, pair_states = np.divmod(pairs, automaton.states)
    rows = np.full((automaton.states, symbols), -1)
    rows[pair_states, pair_symbols] = np.arange(len(pairs))

    # Combine each pair with each outgoing edge of its state.
    starts = np.searchsorted(sources, np.arange(automaton.states + 1))
    counts = np.diff(starts)[pair_states]
    pair = np.repeat(np.arange(len(pairs)), counts)
    firsts = np.cumsum(counts) - counts
    edge = np.arange(len(pair)) - firsts[pair] + starts[pair_states[pair]]
    going_on = np.flatnonzero(counts)
    same = (pair_symbols[pair] == pair_symbols[edge_pairs[edge]]) & (pair_symbols[pair] < rest)

    # In the last column a text can only end.
    after = np.empty((steps, len(pairs)))
    ends = np.where(automaton.accepting[pair_states], 0.0, IMPOSSIBLE)
    after[-1] = ends
    ending, blanks_only = np.zeros(symbols), 0.0
    stays, blanks = np.full(len(pair), IMPOSSIBLE), np.full(len(sources), IMPOSSIBLE)
    for step in range(steps - 1, 0, -1):
        entering = (emissions[step, pair_symbols] + after[step])[edge_pairs]
        waiting = blank[step] + blanks
        blanks = np.logaddexp(waiting, entering)
        # A character is followed by itself, by a blank, or by the next character of the text.
        stays = np.logaddexp(emissions[step, pair_symbols[pair]] + stays, np.where(same, waiting[edge], blanks[edge]))
        blanks_only += blank[step]
        ending = np.logaddexp(emissions[step] + ending, blanks_only)
        after[step - 1] = ends + ending[pair_symbols]
        if len(going_on):
            onwards = np.maximum.reduceat(stays, firsts[going_on])
            after[step - 1, going_on] = np.maximum(after[step - 1, going_on], onwards)
    return rows, np.ascontiguousarray(after.T)
