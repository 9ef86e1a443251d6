"""JSON and YAML from anywhere → plain values of bounded size, or an InputError that names the source.

Both formats can say much in few bytes: brackets nested deeper than a parser's stack, a number of a million digits,
aliases of aliases that unfold to terabytes. Lone surrogates, NaN and infinity are well formed for some parsers, and
fail later in code that writes UTF-8 or computes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import yaml

from lowshot.errors import InputError

MAX_DEPTH = 50
MAX_YAML_CHARACTERS = 2**20
MAX_YAML_VALUES = 10_000  # with every alias written out
_LARGEST = 2**64  # of a whole number; seeds and fingerprints fit, and so does what NumPy computes with
_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_MANY_DIGITS = re.compile(r"[-+]?[\d_:.xXbBoOa-fA-F]{400,}")


def parse_json(text: str | bytes, source: str) -> Any:
    """The value of a JSON text.

    Args:
        text (str or bytes): The text; bytes are UTF-8.
        source (str): The noun for it in error messages, such as ``"class split label_idx.json"``.

    Raises:
        InputError: The text is not JSON, is nested deeper than :data:`MAX_DEPTH`, or holds NaN, infinity, a whole
            number of more than 64 bits, or half of a surrogate pair.
    """
    if isinstance(text, bytes):
        text = decode(text, source)
    try:
        value = json.loads(text, parse_int=_whole_number, parse_float=_real_number, parse_constant=_real_number)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except _UnfitNumber as error:
        raise InputError(f"{source} holds {error}") from None
    except RecursionError:
        raise _too_deep(source) from None
    if _depth_exceeds(value, MAX_DEPTH):
        raise _too_deep(source)
    if _HALF_OF_A_PAIR.search(text):
        _require_unicode(value, source)
    return value


def decode(data: bytes, source: str) -> str:
    """The text of UTF-8 bytes.

    Raises:
        InputError: The bytes are not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text: {error}") from None


def parse_yaml(text: str, source: str, load: Callable[[str], Any] = yaml.safe_load) -> Any:
    """The value of a YAML text.

    Args:
        text (str): The text.
        source (str): The noun for it in error messages, such as ``"recipe glyphs.yaml"``.
        load (callable): The function that parses a text that was found to be of bounded size.

    Raises:
        InputError: The text is not YAML of one document, is longer than :data:`MAX_YAML_CHARACTERS`, nested deeper
            than :data:`MAX_DEPTH`, has more than :data:`MAX_YAML_VALUES` values with aliases written out, or holds a
            number of hundreds of digits or half of a surrogate pair.
    """
    if len(text) > MAX_YAML_CHARACTERS:
        raise InputError(
            f"{source} has {len(text)} characters; at most {MAX_YAML_CHARACTERS} are read. Lists of images and the "
            "like belong in files of their own"
        )
    try:
        _check_events(text, source)
        value = load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from None
    except (ValueError, OverflowError) as error:  # of a date or a number that only looks like one
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source} is not valid YAML: {error}") from None
    return value


def _check_events(text: str, source: str) -> None:
    """Refuse what would unfold, without building any of it; the events of a parser take no more than the text does."""
    sizes: dict[str, int] = {}  # of the anchors that are complete
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the number of values before it
    count = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise InputError(f"{source} is not valid YAML: alias *{event.anchor} is within what it names")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            _check_scalar(event, source)
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
            if len(open_nodes) > MAX_DEPTH:
                raise _too_deep(source)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - before
        if count > MAX_YAML_VALUES:
            raise InputError(f"{source} has more than {MAX_YAML_VALUES} values, with those of aliases (*name) counted")


def _check_scalar(event: yaml.ScalarEvent, source: str) -> None:
    if not event.style and _MANY_DIGITS.fullmatch(event.value):
        raise InputError(f"{source} holds a number of {len(event.value)} digits: {_short(event.value)}")
    if _HALF_OF_A_PAIR.search(event.value):
        _require_unicode(event.value, source)


class _UnfitNumber(ValueError):
    pass


def _whole_number(text: str) -> int:
    if len(text) < 40 and abs(value := int(text)) < _LARGEST:
        return value
    raise _UnfitNumber(f"a whole number of {len(text.lstrip('-'))} digits, more than 64 bits: {_short(text)}")


def _real_number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise _UnfitNumber(f"{_short(text)}, which is no finite number")
    return value


def _depth_exceeds(value: Any, most: int) -> bool:
    """True where lists and objects are nested deeper than ``most``; looks at one level after the other."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _require_unicode(value: Any, source: str) -> None:
    """Refuse texts that no file could hold."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _require_unicode(key, source)
            _require_unicode(inner, source)
    elif isinstance(value, list):
        for inner in value:
            _require_unicode(inner, source)
    elif isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"{source} holds half of a surrogate pair, which is no text: {value!a}") from None


def _too_deep(source: str) -> InputError:
    return InputError(f"{source} is nested deeper than {MAX_DEPTH} levels")


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}…"
