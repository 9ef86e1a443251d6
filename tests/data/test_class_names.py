"""Two class lists are the same, label for label, or the message says in what they differ."""

from __future__ import annotations

import pytest

from lowshot.data.class_names import check_same_classes, same_naming
from lowshot.errors import InputError


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("abdefghi", "abcdefgi", "'h' is only in train; 'c' is only in test"),
        ("abc", "ab", "'c' is only in train"),
        ("ab", "abc", "'c' is only in test"),
        ("abc", "acb", "label 1 is 'b' in train but 'c' in test"),
        ("aab", "ab", "label 1 is 'a' in train but 'b' in test"),
        ("abb", "ab", "train names 3 classes and test 2"),
        ("abcdefghij", "a", "'b', 'c', 'd', 'e', 'f' and 4 more are only in train"),
    ],
)
def test_a_difference_is_named(one: str, other: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_same_classes("train", list(one), "test", list(other))
    assert str(caught.value).startswith(f"train and test have different classes: {message}. Use files")


def test_equal_and_unknown_lists_fit() -> None:
    check_same_classes("train", ["a", "b"], "test", ("a", "b"))
    check_same_classes("train", None, "test", ["a"])
    check_same_classes("train", ["a"], "test", None)


def test_lists_without_a_common_name_are_of_two_namings() -> None:
    assert same_naming(["a", "b"], ["b", "c"])
    assert not same_naming(["n01440764", "n01443537"], ["tench", "goldfish"])
