from __future__ import annotations

import pytest

from model.training.adaptation import Augmentation, Curriculum


def strengths(losses: list[tuple[float, float]], first: float = 1.0) -> list[float]:
    """The strength of each epoch, given the loss and the validation loss of those before."""
    augmentation, history = Augmentation(first), list[dict[str, float]]()
    for loss, validation_loss in losses:
        strength = augmentation.next_value(history)
        history.append({"loss": loss, "validation_loss": validation_loss, "augmentation": strength})
    return [row["augmentation"] for row in history]


def test_augmentation_stays_if_augmented_pictures_are_nearly_as_easy() -> None:
    assert strengths([(0.8, 1.0)] * 5, first=0.6) == [0.6] * 5


def test_augmentation_weakens_while_augmented_pictures_are_much_harder() -> None:
    found = strengths([(3.0, 1.0)] * 30)
    assert found[:3] == [1.0, 1.0, pytest.approx(0.9)]
    assert found[1:] == sorted(found[1:], reverse=True)
    # It never goes below the minimum.
    assert found[-1] == 0.1


def test_augmentation_strengthens_up_to_1_against_memorising() -> None:
    found = strengths([(0.1, 1.0)] * 20, first=0.2)
    assert found == sorted(found)
    assert found[-1] == 1.0


def test_augmentation_does_not_change_because_the_loss_falls_fast() -> None:
    # The loss of an epoch is a mean over its steps, between the validations before and after it.
    assert strengths([(8.0, 4.0), (3.0, 2.0), (1.5, 1.0), (0.75, 0.5)]) == [1.0] * 4


def difficulties(error_rates: list[float], epochs: int, goal: float = 0.5) -> list[float]:
    """The difficulty of each epoch, given the character error rates of those before."""
    curriculum, history = Curriculum(goal, epochs), list[dict[str, float]]()
    for rate in error_rates:
        history.append({"difficulty": curriculum.next_value(history), "character_error_rate": rate})
    return [row["difficulty"] for row in history]


def test_a_curriculum_becomes_harder_only_when_a_difficulty_is_learnt() -> None:
    assert difficulties([0.06, 0.04, 0.06, 0.05, 0.0], epochs=40) == pytest.approx([0.0, 0.0, 0.05, 0.05, 0.1])
    assert difficulties([0.0] * 14, epochs=40)[9:] == pytest.approx([0.45, 0.5, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("epochs", range(2, 30))
def test_a_curriculum_reaches_its_goal_in_half_of_its_epochs(epochs: int) -> None:
    found = difficulties([0.0] * epochs, epochs, goal=0.7)
    assert found[0] == 0
    assert found[-(epochs // 2) :] == [0.7] * (epochs // 2)


def test_a_curriculum_reports_a_missed_goal() -> None:
    curriculum = Curriculum(goal=0.5, epochs=8)
    assert curriculum.remark([{"difficulty": 0.15}]).startswith("reached difficulty 0.15 of 0.5: ")
    assert not curriculum.remark([{"difficulty": 0.5}])
