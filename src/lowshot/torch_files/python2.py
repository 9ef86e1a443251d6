"""Translate torch files that Python 2 wrote, so that ``weights_only`` can read them.

Python 2 had one type for text and bytes. torch's safe reader decodes short strings as UTF-8, and does not know the
opcode of strings longer than 255 bytes, such as the content of a NumPy array. Here both become text with one character
per byte. The pickles are parsed and never run.
"""

from __future__ import annotations

import io
import pickletools
import struct

# The format before torch 1.6 begins with these pickles: magic number, protocol, machine, value, names of the storages.
LEGACY_PICKLES = 5


def translate_strings(content: bytes) -> bytes:
    """Rewrite the strings of Python 2 in the content of a legacy torch file as text."""
    file = io.BytesIO(content)
    parts = []
    copied = 0
    for _ in range(LEGACY_PICKLES):
        for opcode, argument, position in pickletools.genops(file):
            if opcode.name in ("BINSTRING", "SHORT_BINSTRING"):
                text = str(argument).encode("utf-8")
                parts += [content[copied:position], b"X", struct.pack("<I", len(text)), text]
                copied = file.tell()
    return b"".join([*parts, content[copied:]])
