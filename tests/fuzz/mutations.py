"""Damage: bytes that are cut, flipped, moved and replaced, and values of JSON-like trees that nobody expects."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

TOKENS = [
    *(b"\x00" * 16, b"\xff" * 16, b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", b"\xff" * 8, b"\x7f" + b"\xff" * 7),
    *(
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x89HDF\r\n\x1a\n",
        b"\x80\x02c",
        b"cos\nsystem\n",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
    *(b"[" * 5000, b"{" * 5000, b"9" * 6000, b"-1", b"1e999", b"NaN", b"null", b'"\\ud800"', b"../../x", b"\n" * 9),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 10**7, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308),
    *("", "0", "nan", "yes", "../../../escape", "/dev/zero", "/dev/null", "/etc/passwd", "a" * 300, "\x00", "\x1b[31m"),
    *("[/]", ":b:", "\ud800", "=1+1", "${oc.env:HOME}", "null", "~", "1e5", "timm:resnet18", "http://127.0.0.1:9/x"),
    *([], {}, [[]], [None], [1, "a"], {"a": None}, {"": ""}, {"pretrained": True}, list(range(1000))),
]


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four kinds of damage."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(data))
        size = min(len(data) - place, int(2 ** rng.uniform(0, 12)))
        kind = rng.randrange(7)
        if kind == 0:
            data = data[:place]
        elif kind == 1 and data:
            at = min(place, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        elif kind == 2:
            data = data[:place] + rng.randbytes(size) + data[place + size :]
        elif kind == 3:
            data = data[:place] + data[place + size :]
        elif kind == 4:
            data = data[:place] + data[place : place + size] + data[place:]
        elif kind == 5:
            data = data[:place] + rng.choice(TOKENS) + data[place:]
        else:
            token = rng.choice(TOKENS)[:64]
            data = data[:place] + token + data[place + len(token) :]
    return data


def mutated_tree(tree: Any, rng: random.Random) -> Any:
    """The tree with one to three values replaced, removed, renamed or buried."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            return rng.choice(VALUES)
        parent, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind <= 2:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 3:
            del parent[key]
        elif kind == 4 and isinstance(parent, dict):
            parent[str(rng.choice(VALUES))] = parent.pop(key)
        else:
            parent[key] = [parent[key]]
    return tree


def mutated_text(tree: Any, dump: Callable[[Any], str], rng: random.Random) -> bytes:
    """A tree as text: most often a damaged tree that is well formed, else damaged text."""
    if rng.random() < 0.7:
        text = dump(mutated_tree(tree, rng))
        return text.encode("utf-8", "surrogatepass")
    return mutated_bytes(dump(tree).encode(), rng)


def json_text(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=False)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield tree, key
            yield from _places(value)
    elif isinstance(tree, list):
        for index, value in enumerate(tree[:50]):
            yield tree, index
            yield from _places(value)
