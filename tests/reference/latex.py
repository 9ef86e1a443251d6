"""A strict reader of the LaTeX tables of a report: it knows the commands they may use, and refuses everything else."""

from __future__ import annotations

import re
from dataclasses import dataclass

COMMANDS = {
    *("begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "addlinespace"),
    *(
        "endhead",
        "endfoot",
        "mathbf",
        "underline",
        "pm",
        "times",
        "rightarrow",
        "leq",
        "geq",
        "approx",
        "circ",
        "infty",
    ),
    *("blacktriangle", "blacktriangledown", "blacktriangleleft", "checkmark", "ldots", "infty"),
    *("textperiodcentered", "textbackslash", "textasciitilde", "textasciicircum", "textasciigrave"),
    *("textless", "textgreater", "textbar"),
    *(
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
    ),
    *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
}
_TOKEN = re.compile(r"\\([a-zA-Z]+|.)|([{}$&%])|([^\\{}$&%]+)", re.DOTALL)


@dataclass
class LatexTable:
    """The columns of a table, its head and its rows as LaTeX, and the text of its caption."""

    columns: str
    head: list[str]
    rows: list[list[str]]
    caption: str
    packages: set[str]


def read_table(text: str) -> LatexTable:
    """Read a table, and fail where braces, formulas, environments or cells do not balance."""
    preamble, rest = text.split("\n", 1)
    packages = re.fullmatch(r"% In the preamble: \\usepackage\{([a-z,]+)\}", preamble)
    assert packages, preamble
    rest = "\n".join(line for line in rest.splitlines() if not line.startswith("%"))
    _check_tokens(rest)
    environments = re.findall(r"\\(begin|end)\{(\w+)\}", rest)
    opened: list[str] = []
    for kind, name in environments:
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    body = re.search(r"\\begin\{(?:tabular|longtable)\}\{([lr]+)\}(.*)\\end\{(?:tabular|longtable)\}", rest, re.DOTALL)
    assert body, rest
    caption = re.search(r"\\caption\{(.*)\}\\label\{tab:([a-z0-9_]+)\}", rest)
    assert caption, rest
    lines = [line for line in body[2].splitlines() if "&" in line]
    cells = [_cells(line) for line in lines]
    assert {len(row) for row in cells} == {len(body[1])}
    return LatexTable(body[1], cells[0], cells[1:], caption[1], set(packages[1].split(",")))


def _cells(line: str) -> list[str]:
    assert line.endswith(r" \\"), line
    return [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r" \\"))]


def _check_tokens(text: str) -> None:
    depth, in_formula, place = 0, False, 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        assert token, text[place:]
        place = token.end()
        command, sign, plain = token.groups()
        if command is not None:
            assert command in COMMANDS or command in "&%$#_{}\\-", command
            # Commands of formulas are in formulas, and those of texts do not.
            if command in ("pm", "mathbf", "rightarrow", "circ", "blacktriangle", "blacktriangledown", "checkmark"):
                assert in_formula, command
        elif sign == "$":
            in_formula = not in_formula
        elif sign in ("{", "}"):
            depth += 1 if sign == "{" else -1
            assert depth >= 0
        elif sign == "%":
            raise AssertionError("an unescaped % hides the rest of its line")
        elif plain is not None:
            assert not set(plain) & set("#~^") - ({"^"} if in_formula else set()) - {"~"}, plain
            assert "_" not in plain.replace("tab:", "") or re.search(r"\{tab:[a-z0-9_]*$", text[:place]), plain
    assert depth == 0
    assert not in_formula
