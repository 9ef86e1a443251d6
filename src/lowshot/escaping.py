"""Names from files and folders, made safe for each place that shows them.

A class, an image or a method may be called anything: a terminal would obey an escape sequence in its name, a
spreadsheet would compute a cell that begins with ``=``, Markdown would end a table at a bar. Each output calls one of
these functions where it is written, and nothing else has to think of it. HTML is escaped by its template engine.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_BIDIRECTIONAL = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""Code points that make the text after them appear in another order."""

_SHOWN = {
    **{code: 0x2400 + code for code in range(0x20)},  # ␀ to ␟
    0x7F: 0x2421,  # ␡
    **dict.fromkeys([*range(0x80, 0xA0), *_BIDIRECTIONAL, *range(0xD800, 0xE000)], 0xFFFD),
    **dict.fromkeys([0x2028, 0x2029], 0x2424),  # ␤
    **{ord(kept): ord(kept) for kept in "\t\n"},
}
_LATEX = {
    **{ord(letter): f"\\{letter}" for letter in "&%$#_{}"},
    ord("\\"): r"\textbackslash{}",
    ord("~"): r"\textasciitilde{}",
    ord("^"): r"\textasciicircum{}",
    ord("<"): r"\textless{}",
    ord(">"): r"\textgreater{}",
    ord("|"): r"\textbar{}",
    ord('"'): "{''}",
    ord("`"): r"\textasciigrave{}",
    ord("\u00a0"): "~",
    ord("\u00ad"): r"\-",
    ord("–"): "--",
    ord("—"): "---",
    ord("…"): r"\ldots{}",
    ord("·"): r"\textperiodcentered{}",
    **{ord(sign): f"${command}$" for sign, command in {
        "±": r"\pm", "−": "-", "×": r"\times", "→": r"\rightarrow", "≤": r"\leq", "≥": r"\geq", "≈": r"\approx",
        "○": r"\circ", "▲": r"\blacktriangle", "▼": r"\blacktriangledown", "◀": r"\blacktriangleleft",
        "✓": r"\checkmark", "²": "^2", "∞": r"\infty",
    }.items()},
}  # fmt: skip
_GREEK = re.compile("[α-νξπ-ρσ-ω]")
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def printable(text: str) -> str:
    """The text with a visible sign in place of each control character, for a terminal, a log or a page.

    Escape sequences lose their effect, and so do characters that reorder or hide what follows. Line breaks and tabs
    stay. Half of a surrogate pair, as Python makes it of a file name that is no UTF-8, becomes a replacement character,
    since no output can hold it.
    """
    return text.translate(_SHOWN)


def markdown(name: str) -> str:
    """A name that neither ends its table cell nor starts a tag or emphasis in Markdown."""
    return "".join(f"\\{letter}" if letter in r"\|*_`<>[]" else letter for letter in " ".join(printable(name).split()))


def latex(text: str) -> str:
    """A text as LaTeX sets it, all in one line, outside of formulas.

    Signs that pdfLaTeX knows as formulas alone become formulas, the triangles and the tick those of amssymb; letters of
    other scripts stay as they are, which needs LuaLaTeX or XeLaTeX and a font that has them.
    """
    parts = [part.translate(_LATEX) for part in re.split("(?<=-)(?=-)", " ".join(printable(text).split()))]
    safe = "{}".join(parts)  # two hyphens would become a dash
    return _GREEK.sub(lambda letter: f"${_greek(letter[0])}$", safe)


def _greek(letter: str) -> str:
    return f"\\{unicodedata.name(letter).rpartition(' ')[2].lower()}".replace("lamda", "lambda")


def csv_cell(value: Any) -> Any:
    """A value that a spreadsheet shows as it is: a text that it would take for a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else text
