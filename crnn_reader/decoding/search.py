"""The most probable texts that an automaton accepts, by CTC's log-probabilities: exact, by best-first search.

A prefix search (Graves et al. 2006, "Connectionist Temporal Classification", section 3.2) over the beginnings of
allowed texts. A beginning is worth no more than a bound on the probability of every single text that it can become;
when no bound is above the best text found, that text is proven the most probable. Graves' bound, the probability of the
beginning itself, counts all its texts together and is far too high where nothing is sure. The one here is that of the
best text, but for one licence: what follows may differ with the column at which a character is entered.
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
from .constraints import Automaton

Logs = NDArray[np.float64]

#: Stands for log(0): small enough to vanish in every sum, and free of the NaN of (-inf) - (-inf).
IMPOSSIBLE = -1e30
#: The least log-probability of a step that counts, and of a text: what a masked column says of a character.
FLOOR = -1e4
#: Beginnings, times columns, that are looked at before the search gives up the proof and keeps the best text found.
MOST_LOOKED_AT = 600_000
#: Characters less likely than this in all columns together are looked at only where the text found is no more likely;
#: and what is lost in its sums.
SEEN, ROUNDING = math.log(1e-3), 1e-6
#: Beginnings of each length that are followed at once at first, and looked at together later.
WIDTH, LARGEST_BATCH = 4, 64
#: Neighbouring characters, in all states together, times columns that bounds look at: so many characters are told
#: apart, and not fewer than these.
MOST_PAIRS, FEWEST_TOLD_APART = 4_000_000, 4


#: A log-probability and the text that has it.
Scored: TypeAlias = tuple[float, tuple[int, ...]]


class Found(NamedTuple):
    """Texts and their log-probabilities, the most probable first; `exact` where this is proven."""

    texts: list[Scored]
    exact: bool
    #: Beginnings that were looked at.
    prefixes: int


@dataclass
class _Children:
    """What a beginning can go on with, the most promising first."""

    parent: int
    bounds: Logs
    numbers: NDArray[np.int32]
    states: NDArray[np.int32]


@dataclass
class _Prefixes:
    """Beginnings that were looked at, in order; their forward variables have an entry before the first column, too."""

    parents: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    #: float64 (columns + 1,) each: alignments that end in a blank, and in the last character.
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
    """The `top` most probable texts that `automaton` accepts; log_probabilities are (steps, classes).

    Texts of that kind that are `known` already make it faster. None are found where no allowed text fits into the
    columns.
    """
    logs = np.maximum(log_probabilities.astype(np.float64), FLOOR)
    # A text with a character is no more probable than that the character is in any column.
    anywhere = np.logaddexp.reduce(logs, axis=0)
    found, seen = Found(list(known), True, 0), np.zeros(logs.shape[1], bool)
    if len(known) < top:
        seen = anywhere > SEEN
        found = _Search(logs, automaton, top, seen, FLOOR).run()
    least = max(found.texts[-1][0] - ROUNDING, FLOOR) if len(found.texts) == top else FLOOR
    needed = anywhere > least
    if not (needed & ~seen)[automaton.relaxed.characters].any():
        return found
    whole = _Search(logs, automaton, top, needed, least).run()
    # One that gave up may have missed what was found before.
    scores = {text: score for score, text in found.texts + whole.texts}
    texts = sorted(((score, text) for text, score in scores.items()), reverse=True)[:top]
    return Found(texts, whole.exact, found.prefixes + whole.prefixes)


class _Search:
    """One search among texts of `usable` characters, (classes,), that are more probable than `least`."""

    def __init__(self, logs: Logs, automaton: Automaton, top: int, usable: NDArray[np.bool_], least: float) -> None:
        self._logs, self._automaton, self._top, self._usable = logs, automaton, top, usable
        self._bounds = _Bounds(logs, automaton.relaxed, usable)
        # Sums over the columns so far, with an entry before the first.
        self._sums = np.concatenate([np.zeros((1, logs.shape[1])), np.cumsum(logs, axis=0)])
        self._prefixes = _Prefixes()
        self._best: list[Scored] = []
        #: What a text must be more probable than.
        self._mark = least

    def run(self) -> Found:
        waiting: list[tuple[float, int, int, _Children]] = []
        order = itertools.count()

        def wait(children: _Children, place: int) -> None:
            # The next child alone stands for all behind it, which are no better.
            if place < len(children.bounds) and children.bounds[place] > self._mark:
                heapq.heappush(waiting, (-children.bounds[place], next(order), place, children))

        # Straight down at first: a good text early spares most of the rest.
        level = [self._root()]
        while level:
            ahead = [(bound, row, place) for row, c in enumerate(level) for place, bound in enumerate(c.bounds[:WIDTH])]
            ahead = sorted((item for item in ahead if item[0] > self._mark), reverse=True)[:WIDTH]
            # Of each row the first ones are taken, being its best.
            followed = [sum(row == other for _, other, _ in ahead) for row in range(len(level))]
            for children, count in zip(level, followed, strict=True):
                wait(children, count)
            level = self._look_at([(c, p) for c, count in zip(level, followed, strict=True) for p in range(count)])

        most = MOST_LOOKED_AT // len(self._logs)
        while waiting and -waiting[0][0] > self._mark and len(self._prefixes.parents) < most:
            size = min(LARGEST_BATCH, 1 + len(self._prefixes.parents) // 8)
            taken: list[tuple[_Children, int]] = []
            while waiting and len(taken) < size and -waiting[0][0] > self._mark:
                _, _, place, children = heapq.heappop(waiting)
                taken.append((children, place))
                wait(children, place + 1)
            for children in self._look_at(taken):
                wait(children, 0)
        exact = not waiting or -waiting[0][0] <= self._mark
        return Found(self._best, bool(exact), len(self._prefixes.parents))

    def _root(self) -> _Children:
        """The empty beginning."""
        blank = self._sums[:, BLANK]
        if self._automaton.accepting[0]:
            self._keep(blank[-1], 0)
        return self._remember(np.array([0]), [0], [0], blank[None], np.full((1, len(blank)), IMPOSSIBLE))[0]

    def _look_at(self, taken: list[tuple[_Children, int]]) -> list[_Children]:
        """What each child can go on with; those that are allowed texts are kept."""
        if not taken:
            return []
        parents = [children.parent for children, _ in taken]
        numbers = np.array([children.numbers[place] for children, place in taken])
        states = np.array([children.states[place] for children, place in taken])
        blank, character = self._forward(parents, numbers)
        first = len(self._prefixes.parents)
        found = self._remember(states, parents, numbers.tolist(), blank, character)
        totals = np.logaddexp(blank[:, -1], character[:, -1])
        for row in np.flatnonzero(self._automaton.accepting[states] & (totals > self._mark)):
            self._keep(float(totals[row]), first + int(row))
        return found

    def _forward(self, parents: list[int], numbers: NDArray[np.int32]) -> tuple[Logs, Logs]:
        """Forward variables (beginnings, columns + 1) of the parents with one character more (Graves, section 4.1).

        x(t) = y(t) (x(t-1) + in(t)) is summed without a loop, with x(t) / (y(1) … y(t)).
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
        """(beginnings, columns): alignments of the parents up to each column, in which the number may follow."""
        blank = np.array([self._prefixes.blank[parent] for parent in parents])[:, :-1]
        character = np.array([self._prefixes.character[parent] for parent in parents])[:, :-1]
        # The same character again only follows a blank.
        same = numbers == np.array([self._prefixes.numbers[parent] for parent in parents])
        return np.where(same[:, None], blank, np.logaddexp(blank, character))

    def _remember(
        self, states: NDArray[np.integer], parents: list[int], numbers: list[int], blank: Logs, character: Logs
    ) -> list[_Children]:
        """Keep beginnings; their children with bounds above the mark."""
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
            order = order[bounds[order] > self._mark]
            found.append(_Children(first + row, bounds[order], following[order], targets[order]))
        return found

    def _keep(self, score: float, index: int) -> None:
        self._best.append((min(score, 0.0), self._prefixes.text(index)))
        self._best.sort(key=lambda item: -item[0])
        del self._best[self._top :]
        if len(self._best) == self._top:
            self._mark = max(self._best[-1][0], self._mark)


class _Bounds:
    """Bounds on what can follow a character, computed from the last column to the first over a relaxed automaton.

    The most probable characters are told apart, the rest is one that is as probable in each column as any of them.
    """

    def __init__(self, logs: Logs, automaton: Automaton, usable: NDArray[np.bool_]) -> None:
        self._logs = logs
        used = automaton.characters[usable[automaton.characters]]
        part = math.sqrt(MOST_PAIRS / (len(logs) * max(automaton.neighbours, 1)))
        symbols = min(max(int(part * len(automaton.characters)), FEWEST_TOLD_APART), len(used))
        ranked = used[np.argsort(-logs[:, used].max(axis=0), kind="stable")]
        self._symbol = np.full(automaton.classes, symbols)
        self._symbol[ranked[:symbols]] = np.arange(symbols)
        rest = ranked[symbols:]
        worst = logs[:, rest].max(axis=1) if len(rest) else np.full(len(logs), IMPOSSIBLE)
        emissions = np.column_stack([logs[:, ranked[:symbols]], worst])
        self._pair, self._after = _suffixes(emissions, logs[:, BLANK], automaton, usable, self._symbol, symbols)

    def of(self, entered: Logs, numbers: NDArray[np.integer], states: NDArray[np.integer]) -> Logs:
        """Bounds on texts that go on with `numbers` and then from `states`; `entered` is (texts, columns)."""
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
    """For each pair of a state and the symbol by which it was entered, its row; and rows (pairs, columns).

    Entry t bounds the log-probability, in the columns behind t, of every single text that leads from the state to an
    accepting one, with the symbol still there in column t.
    """
    symbols, steps = rest + 1, len(emissions)
    sources, edges = automaton.edges(np.arange(automaton.states))
    sources, edges = (part[usable[automaton.numbers]] for part in (sources, edges))
    # Edges with the same symbol between the same states are one.
    keys = (sources * symbols + symbol[automaton.numbers[edges]]) * automaton.states + automaton.targets[edges]
    keys = np.unique(keys)
    sources, entries = np.divmod(keys, symbols * automaton.states)
    pairs, edge_pairs = np.unique(entries, return_inverse=True)
    pair_symbols, pair_states = np.divmod(pairs, automaton.states)
    rows = np.full((automaton.states, symbols), -1)
    rows[pair_states, pair_symbols] = np.arange(len(pairs))

    # Each pair with each edge that leads on from its state.
    starts = np.searchsorted(sources, np.arange(automaton.states + 1))
    counts = np.diff(starts)[pair_states]
    pair = np.repeat(np.arange(len(pairs)), counts)
    firsts = np.cumsum(counts) - counts
    edge = np.arange(len(pair)) - firsts[pair] + starts[pair_states[pair]]
    going_on = np.flatnonzero(counts)
    same = (pair_symbols[pair] == pair_symbols[edge_pairs[edge]]) & (pair_symbols[pair] < rest)

    # The last columns: a text ends; another character never comes.
    after = np.empty((steps, len(pairs)))
    ends = np.where(automaton.accepting[pair_states], 0.0, IMPOSSIBLE)
    after[-1] = ends
    ending, blanks_only = np.zeros(symbols), 0.0
    stays, blanks = np.full(len(pair), IMPOSSIBLE), np.full(len(sources), IMPOSSIBLE)
    for step in range(steps - 1, 0, -1):
        entering = (emissions[step, pair_symbols] + after[step])[edge_pairs]
        waiting = blank[step] + blanks
        blanks = np.logaddexp(waiting, entering)
        # From a character: it stays; or a blank comes, or another character.
        stays = np.logaddexp(emissions[step, pair_symbols[pair]] + stays, np.where(same, waiting[edge], blanks[edge]))
        blanks_only += blank[step]
        ending = np.logaddexp(emissions[step] + ending, blanks_only)
        after[step - 1] = ends + ending[pair_symbols]
        if len(going_on):
            onwards = np.maximum.reduceat(stays, firsts[going_on])
            after[step - 1, going_on] = np.maximum(after[step - 1, going_on], onwards)
    return rows, np.ascontiguousarray(after.T)
