"""Compare the class lists of two files: a label means the same class in both, or both are refused."""

from __future__ import annotations

from collections.abc import Sequence

from lowshot.errors import InputError, first_few


def check_same_classes(one: str, names: Sequence[str] | None, other: str, other_names: Sequence[str] | None) -> None:
    """Check that two class lists are the same, label for label; a list that is not known fits any.

    Args:
        one (str): What messages call the owner of the first list, such as the path of a file.
        names (sequence of str, or None): The first list.
        other (str): What messages call the owner of the second list.
        other_names (sequence of str, or None): The second list.

    Raises:
        InputError: They differ; the message says in what.
    """
    if names is None or other_names is None or list(names) == list(other_names):
        return
    missing, further = set(names) - set(other_names), set(other_names) - set(names)
    difference = [
        f"{first_few([repr(name) for name in sorted(extra)])} {'is' if len(extra) == 1 else 'are'} only in {owner}"
        for owner, extra in ((one, missing), (other, further))
        if extra
    ]
    if not difference:
        pairs = zip(names, other_names)
        label = next((label for label, (here, there) in enumerate(pairs) if here != there), None)
        difference = (
            [f"{one} names {len(names)} classes and {other} {len(other_names)}"]
            if label is None
            else [f"label {label} is {names[label]!r} in {one} but {other_names[label]!r} in {other}"]
        )
    raise InputError(
        f"{one} and {other} have different classes: {'; '.join(difference)}. Use files that were made from the same "
        "class folders"
    )


def same_naming(names: Sequence[str], other_names: Sequence[str]) -> bool:
    """False where two class lists share no name, as WordNet numbers and words do: no label can be compared then."""
    return not set(names).isdisjoint(other_names)
