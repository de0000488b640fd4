"""The split stays where it is, and the same bytes are never on both sides."""

from __future__ import annotations

import numpy as np

import dataset
from dataset.collecting import strings


def sides(names: list[str], digests: list[int], fraction: float) -> tuple[set[str], set[str]]:
    train, validation = dataset.split(strings(names), np.array(digests, np.uint64), fraction)
    assert sorted([*train, *validation]) == list(range(len(names)))
    return {names[row] for row in train}, {names[row] for row in validation}


NAMES = [f"folder/{i}.png" for i in range(2000)]


def test_about_the_fraction_goes_to_validation() -> None:
    for fraction in (0.05, 0.1, 0.5):
        _, validation = sides(NAMES, list(range(2000)), fraction)
        assert abs(len(validation) - 2000 * fraction) < 4 * (2000 * fraction * (1 - fraction)) ** 0.5


def test_known_names_are_split_by_sha1() -> None:
    # sha1("abc") is a9993e36…, sha1("") da39a3ee…, sha1("a") 86f7e437…
    train, validation = sides(["abc", "a"], [1, 2], 0.6)
    assert (train, validation) == ({"abc"}, {"a"})


def test_nothing_moves_when_files_are_added_or_the_order_changes() -> None:
    _, before = sides(NAMES[::2], list(range(1000)), 0.1)
    _, after = sides(NAMES[::-1], list(range(2000)), 0.1)
    assert after & set(NAMES[::2]) == before


def test_a_larger_fraction_keeps_the_smaller_one() -> None:
    _, small = sides(NAMES, list(range(2000)), 0.1)
    _, large = sides(NAMES, list(range(2000)), 0.2)
    assert small < large


def test_copies_follow_their_smallest_name() -> None:
    alone = sides(NAMES, list(range(2000)), 0.3)[1]
    train, validation = sides(NAMES, [i // 3 for i in range(2000)], 0.3)
    for group in (NAMES[i : i + 3] for i in range(0, 2000, 3)):
        side = validation if min(group) in alone else train
        assert set(group) <= side


def test_nothing_to_split() -> None:
    assert sides([], [], 0.1) == (set(), set())


def test_two_different_pictures_are_enough_for_two_sides() -> None:
    for fraction in (1e-9, 1 - 1e-9):
        for names, digests in ((["abc", "a"], [1, 2]), (["abc", "a", "copy"], [1, 2, 1])):
            train, validation = sides(names, digests, fraction)
            assert train and validation
            assert {"abc", "copy"} & set(names) <= train or {"abc", "copy"} & set(names) <= validation
    assert set() in sides(["a", "abc"], [1, 1], 0.1)


def test_apart_drops_pictures_of_the_other_side() -> None:
    train, validation = np.array([5, 6, 7, 5], np.uint64), np.array([7, 9], np.uint64)
    assert dataset.apart(train, validation).tolist() == [0, 1, 3]
