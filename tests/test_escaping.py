"""Names from files are shown, and never obeyed, by a terminal, a spreadsheet, Markdown and a page."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowshot import progress
from lowshot.escaping import csv_cell, markdown, printable
from lowshot.features import FeatureStore
from tests.pipeline.recipes import features_files, write_features_recipe
from tests.report.reading import without_scripts

TEXTS = st.text(st.characters(codec=None), max_size=20)
HOSTILE = [
    "\x1b[31mred",
    "\x9b2J",
    "=1+1",
    "@SUM(A1)",
    "-2+3",
    "+cmd|' /C calc'!A0",
    "a|b`c*<b>",
    "a\u202eb",
    "\r\nx",
    "\x07",
]


@given(TEXTS)
def test_no_control_character_is_left_but_line_breaks_and_tabs(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n"]
    assert len(shown) == len(text)
    assert printable(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize("text", ["plain", "é中😀", "a\tb\nc", "עברית \u200f", "100 %", ""])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(TEXTS)
def test_no_cell_of_a_table_file_is_a_formula(text: str) -> None:
    cell = csv_cell(text)
    assert cell[:1] not in "=+-@\t\r" or not cell or re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", cell)
    assert csv_cell(cell) == cell


@pytest.mark.parametrize("value", [1, -1.5, None, "-1.25", "+3", "1e-5", "-.5", "a=b", "x-y"])
def test_numbers_and_ordinary_cells_stay_as_they_are(value: object) -> None:
    assert csv_cell(value) == value


def test_markdown_escapes_what_would_end_a_cell_or_start_a_tag() -> None:
    assert markdown("a|b *c* <b>\n`d`") == r"a\|b \*c\* \<b\> \`d\`"


def test_lines_on_a_terminal_have_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    progress.say("class \x1b[31mred\x1b[0m \x9b2J [/] :b: is left out", style="yellow")
    printed = capsys.readouterr().err
    assert "\x1b[31mred" not in printed
    assert "class ␛[31mred␛[0m \ufffd2J [/] :b: is left out" in printed


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and all that a run printed whose classes, representation and methods have hostile names."""
    folder = tmp_path_factory.mktemp("hostile")
    own = {}
    for part, file in features_files(folder / "features").items():
        store = FeatureStore.open(file)
        own[part] = str(folder / f"{part}.hdf5")
        with FeatureStore.create(own[part], store.dim, len(store), class_names=HOSTILE[:8]) as out:
            out.append(store.features, store.labels)
    methods = {f"m{n}": {"classifier": "nearest_mean", "label": label} for n, label in enumerate(HOSTILE)}
    path = write_features_recipe(
        folder,
        methods,
        representations={"given": {"label": "=\x1b[31mR|<script>", "features": own}},
        description="\x1b]0;title\x07 and <script>alert(1)</script>",
        episodes={"n_way": 2, "n_shots": [1], "n_query": 1, "n_tasks": 3},
        report={"title": "=\x1b[31mtitle", "paper": True},
    )
    command = [sys.executable, "-m", "lowshot", "run", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout + done.stderr


def test_a_run_with_hostile_names_prints_and_writes_no_control_character(hostile_run: tuple[Path, str]) -> None:
    folder, printed = hostile_run
    kinds = (".md", ".csv", ".html", ".tex", ".bib")
    every = {path: path.read_text() for path in folder.rglob("report/**/*") if path.suffix in kinds}
    outputs = {path.name: text for path, text in every.items() if path.parent.name == "report"}
    names = {"tables.md", "tables.csv", "paper.md", "paper.csv", "episodes.csv", "report.html"}
    names |= {"classes.csv", "comparisons.csv", "confusions.csv", "kinds.csv", "references.bib"}
    assert names == set(outputs)
    for path in set(every) - {folder / "out" / "report" / name for name in names}:
        assert not {c for c in every[path] if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n"}, path
    for name, text in {**outputs, "terminal": printed}.items():
        left = {c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n"}
        assert not left | (set(text) & {"\u202e"}), name
        assert "red" in text or name.startswith(("paper", "references")), name


def test_no_cell_of_its_table_files_is_a_formula(hostile_run: tuple[Path, str]) -> None:
    for path in (hostile_run[0] / "out" / "report").rglob("*.csv"):
        for line in csv.reader(io.StringIO(path.read_text())):
            for cell in line:
                assert not re.match(r"[=+@\t\r]|-(?![\d.])", cell), (path.name, cell)


def test_its_page_and_markdown_hold_the_names_as_text(hostile_run: tuple[Path, str]) -> None:
    report = hostile_run[0] / "out" / "report"
    page = report.joinpath("report.html").read_text()
    assert "<script" not in without_scripts(page)
    assert "&lt;script&gt;" in page
    assert r"a\|b\`c\*\<b\>" in report.joinpath("tables.md").read_text()
