"""Words of the lines that commands print."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """A number of things in words.

    Args:
        number (int): The number.
        thing (str): The thing in the singular, a photo or a class.

    Examples:
        >>> counted(1, "class"), counted(3, "class")
        ('1 class', '3 classes')
    """
    plural = "es" if thing.endswith("s") else "s"
    return f"{number} {thing}{'' if number == 1 else plural}"
