"""Torch files that Python 2 wrote, in words that ``weights_only`` knows.

Python 2 had one type for text and bytes. torch's safe reader takes short ones for UTF-8, and does not know the opcode
of those longer than 255 bytes, such as the content of a numpy array. Here both become text, with a character a byte.
The pickles are only taken apart, never run.
"""

from __future__ import annotations

import io
import pickletools
import struct

# A legacy torch file begins with so many pickles: magic number, protocol, machine, value, names of the storages.
_PICKLES = 5


def translated(content: bytes) -> io.BytesIO:
    """The same legacy torch file with every string of Python 2 written as text."""
    file = io.BytesIO(content)
    parts = []
    done = 0
    for _ in range(_PICKLES):
        for opcode, argument, place in pickletools.genops(file):
            if opcode.name in ("BINSTRING", "SHORT_BINSTRING"):
                text = str(argument).encode("utf-8")
                parts += [content[done:place], b"X", struct.pack("<I", len(text)), text]
                done = file.tell()
    return io.BytesIO(b"".join([*parts, content[done:]]))
