from __future__ import annotations

import pytest

from model.training.adaptation import Augmentation, Curriculum


def strengths(losses: list[tuple[float, float]], first: float = 1.0) -> list[float]:
    """The strength of each epoch, given the loss and the validation loss of those before."""
    augmentation, history = Augmentation(lambda strength: None, first), list[dict[str, float]]()
    for loss, validation_loss in losses:
        strength = augmentation.following(history)
        history.append({"loss": loss, "validation_loss": validation_loss, "augmentation": strength})
    return [row["augmentation"] for row in history]


def test_augmentation_stays_where_its_pictures_are_nearly_as_easy() -> None:
    assert strengths([(0.8, 1.0)] * 5, first=0.6) == [0.6] * 5


def test_augmentation_weakens_while_pictures_are_much_harder_by_it() -> None:
    found = strengths([(3.0, 1.0)] * 30)
    assert found[:3] == [1.0, 1.0, pytest.approx(0.9)]
    assert found[1:] == sorted(found[1:], reverse=True)
    # Some of it stays.
    assert found[-1] == 0.1


def test_augmentation_strengthens_against_learning_by_heart_and_not_beyond_its_usual_strength() -> None:
    found = strengths([(0.1, 1.0)] * 20, first=0.2)
    assert found == sorted(found)
    assert found[-1] == 1.0


def test_a_loss_that_falls_fast_is_not_taken_for_augmentation() -> None:
    # The mean over an epoch, half way between the validations before and after it.
    assert strengths([(8.0, 4.0), (3.0, 2.0), (1.5, 1.0), (0.75, 0.5)]) == [1.0] * 4


def difficulties(error_rates: list[float], epochs: int, goal: float = 0.5) -> list[float]:
    """The difficulty of each epoch, given the character error rates of those before."""
    curriculum, history = Curriculum(lambda difficulty: None, goal, epochs), list[dict[str, float]]()
    for rate in error_rates:
        history.append({"difficulty": curriculum.following(history), "character_error_rate": rate})
    return [row["difficulty"] for row in history]


def test_a_curriculum_grows_harder_only_when_its_difficulty_is_learnt() -> None:
    assert difficulties([0.06, 0.04, 0.06, 0.05, 0.0], epochs=40) == pytest.approx([0.0, 0.0, 0.05, 0.05, 0.1])
    assert difficulties([0.0] * 14, epochs=40)[9:] == pytest.approx([0.45, 0.5, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("epochs", range(2, 30))
def test_a_curriculum_reaches_its_goal_in_half_of_its_epochs(epochs: int) -> None:
    found = difficulties([0.0] * epochs, epochs, goal=0.7)
    assert found[0] == 0
    assert found[-(epochs // 2) :] == [0.7] * (epochs // 2)


def test_a_curriculum_says_when_its_goal_was_missed() -> None:
    curriculum = Curriculum(lambda difficulty: None, goal=0.5, epochs=8)
    assert curriculum.remark([{"difficulty": 0.15}]).startswith("reached difficulty 0.15 of 0.5: ")
    assert not curriculum.remark([{"difficulty": 0.5}])
