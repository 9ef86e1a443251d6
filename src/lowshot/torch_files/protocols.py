"""Translate pickles that ``weights_only`` does not read into ones that it does, without running anything in them.

torch's safe reader knows the opcodes of pickle protocol 2, in a file that torch wrote. Protocols 3 to 5 say the same in
other opcodes, and files of the first years are pickles without the parts that torch writes around the value. Here
pickles are parsed into opcodes and written anew; what they may call is for torch's reader to judge.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from typing import IO, NamedTuple

from lowshot.torch_files.python2 import LEGACY_PICKLES

_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_HEAD = (_MAGIC, 1001, {"protocol_version": 1001, "little_endian": True})
_TEXTS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_BYTES = frozenset({"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"})
_PUTS = frozenset({"BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"BINGET", "LONG_BINGET"})


def translate_protocol(content: bytes) -> bytes:
    """Rewrite the pickles of a file in protocol 2, and a file of one plain pickle in torch's format before 1.6.

    Args:
        content (bytes): The bytes of the file, in either of torch's formats or a plain pickle.

    Returns:
        bytes: The translated file, or ``content`` itself where nothing is to be translated.

    Raises:
        ValueError: The bytes are no whole pickle, or a pickle looks names up in an unusual way.
    """
    file = io.BytesIO(content)
    if zipfile.is_zipfile(file):
        return _translate_archive(content)
    if not content.startswith(b"\x80"):
        return content
    if _is_plain_pickle(content):
        head = b"".join(pickle.dumps(part, protocol=2) for part in _LEGACY_HEAD)
        return head + _in_protocol_2(io.BytesIO(content)) + pickle.dumps([], protocol=2)
    file.seek(0)
    parts = [_in_protocol_2(file) for _ in range(LEGACY_PICKLES)]
    return b"".join([*parts, content[file.tell() :]])


def _translate_archive(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            data = source.read(entry)
            archive.writestr(entry.filename, _in_protocol_2(io.BytesIO(data)) if _is_pickle(entry.filename) else data)
    return target.getvalue()


def _is_pickle(name: str) -> bool:
    return name.rpartition("/")[2] == "data.pkl"


def _is_plain_pickle(content: bytes) -> bool:
    """True for a pickle that does not begin with the magic number of torch's format before 1.6."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in ("PROTO", "FRAME"):
            return bool(argument != _MAGIC)
    return True


class _Part(NamedTuple):
    """A translated opcode; ``text`` is the string that it pushes, if it pushes one."""

    code: bytes
    text: str | None = None


def _in_protocol_2(file: IO[bytes]) -> bytes:
    """The pickle that begins at the position of ``file``, which is left at its end."""
    begin = file.tell()
    operations = [
        (opcode.name, argument, (position or 0) - begin) for opcode, argument, position in pickletools.genops(file)
    ]
    end = file.tell()
    file.seek(begin)
    raw = file.read(end - begin)
    ends = [position for *_, position in operations[1:]] + [len(raw)]
    parts: list[_Part] = []
    texts: dict[int, str | None] = {}  # the memo: strings are repeated where they are looked up, never stored
    for (name, argument, position), stop in zip(operations, ends):
        if name == "PROTO":
            parts.append(_Part(b"\x80\x02"))
        elif name == "FRAME":
            continue
        elif name in _TEXTS:
            parts.append(_text(str(argument)))
        elif name in _BYTES:
            assert isinstance(argument, bytes | bytearray)
            parts.append(_Part(_bytes(bytes(argument))))
        elif name in _PUTS:
            number = len(texts) if argument is None else int(str(argument))
            texts[number] = parts[-1].text if parts else None
            if texts[number] is None:
                parts.append(_Part(b"r" + struct.pack("<I", number)))
        elif name in _GETS and (text := texts.get(int(str(argument)))) is not None:
            parts.append(_text(text))
        elif name == "STACK_GLOBAL":
            parts[-2:] = [_global([part.text for part in parts[-2:]])]
        else:
            parts.append(_Part(raw[position:stop]))
    return b"".join(part.code for part in parts)


def _text(text: str) -> _Part:
    encoded = text.encode("utf-8", "surrogatepass")
    return _Part(b"X" + struct.pack("<I", len(encoded)) + encoded, text)


def _bytes(content: bytes) -> bytes:
    """Bytes as protocol 2 writes them: as text with a character for each, to be encoded."""
    return b"c_codecs\nencode\n" + _text(content.decode("latin-1")).code + _text("latin1").code + b"\x86R"


def _global(names: list[str | None]) -> _Part:
    if len(names) != 2 or any(name is None or not name or "\n" in name for name in names):
        raise ValueError("a pickle looks up a name that is not in it as text")
    return _Part("c{}\n{}\n".format(*names).encode())
