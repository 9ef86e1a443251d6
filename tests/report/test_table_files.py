"""Every table of the page lies beside it as CSV and as LaTeX, and says there what it says on the page."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowshot.errors import LowshotError
from lowshot.report import Section, write_report
from lowshot.report.table_data import build_tables
from lowshot.report.table_files import MOST_ROWS, as_csv, as_latex, save_tables
from lowshot.report.tables import TextTable, file_stem, result_table
from tests.reference.latex import read_table

from .conftest import make_records, report_input
from .reading import Page

NAMES = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


def links_of(page: Path) -> list[str]:
    found = [attributes.get("href", "") for tag, attributes in Page(page.read_text("utf-8")).tags if tag == "a"]
    return [link for link in found if not link.startswith("#")]


def csv_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_every_table_of_the_page_has_its_files_and_links_to_them(report):
    page = (report / "report.html").read_text("utf-8")
    tables = re.findall(r"<table(?! class=\"facts\")", page)
    below = re.findall(r'</table>(?:(?!<table).)*?<p class="files"><a href="tables/(\w+).csv">', page, re.DOTALL)
    assert len(below) + 1 == len(tables) > 5  # the best methods are a table per accuracy, in one file
    assert len(set(below)) == len(below)
    saved = {path.name for path in (report / "tables").iterdir()}
    assert saved == {f"{name}.{kind}" for name in below for kind in ("csv", "tex")}


def test_no_link_of_the_page_leads_nowhere(report):
    links = links_of(report / "report.html")
    assert {"tables.csv", "tables/best.csv", "figures/training.pdf"} <= set(links)
    assert [link for link in links if not (report / link).is_file()] == []


def test_latex_and_csv_say_what_the_page_says(report):
    for table in build_tables(make_records()):
        latex = read_table((report / "tables" / f"{table.metric}.tex").read_text("utf-8"))
        lines = csv_of((report / "tables" / f"{table.metric}.csv").read_text("utf-8"))
        assert lines[0] == ["Representation", "Method", "n=1", "n=1 ±", "5", "5 ±"]
        assert latex.head == ["Representation", "Method", "$n=1$", "5"]
        assert latex.columns == "llrr"
        for row, from_latex, from_csv in zip(table.rows, latex.rows, lines[1:], strict=True):
            assert from_csv[:2] == [row.representation, row.method]
            assert from_latex[0] in ("", row.representation)
            for n, cell in enumerate(row.cells):
                bold = cell.mean == table.best[n]
                bare = re.sub(r"\\(mathbf|underline)\{([\d.]+)\}", r"\2", from_latex[2 + n])
                assert bare == rf"${cell.mean:.1f} \pm {cell.half_width:.1f}$"
                assert ("mathbf" in from_latex[2 + n]) == bold
                assert from_csv[2 + 2 * n : 4 + 2 * n] == [f"{cell.mean:.1f}", f"{cell.half_width:.1f}"]


def test_rows_that_are_not_significantly_worse_are_underlined():
    (table,) = build_tables(make_records(metrics=["all_top5"]))
    best = {n: max(range(4), key=lambda i: table.rows[i].cells[j].mean) for j, n in enumerate(table.n_shots)}
    latex = as_latex(result_table(table, {1: {best[1], (best[1] + 1) % 4}}))
    assert latex.count(r"\underline{") == 1
    assert "Underlined: not significantly lower." in read_table(latex).caption
    assert "nderlined" not in as_latex(result_table(table, {}))


@given(st.lists(st.lists(NAMES, min_size=3, max_size=3), min_size=1, max_size=4), NAMES)
def test_no_name_breaks_a_table(rows, title):
    table = TextTable(title, ["a & b", "50 %", "n=1"], rows, title, name="t")
    found = read_table(as_latex(table))
    assert len(found.rows) == len(rows)
    assert len(csv_of(as_csv(table))) == len(rows) + 1


def test_signs_of_numbers_are_those_of_their_format():
    rows = [["a", "−1.2 ±0.3", "+0.4 ▲"], ["b", "–", "+0.0 ="], ["c", "7", "−3.0 ○"]]
    table = TextTable("T", ["x", "y", "z"], rows, names=1, name="t")
    latex = read_table(as_latex(table))
    assert latex.rows == [
        ["a", r"$-1.2 \pm 0.3$", r"$+0.4$ $\blacktriangle$"],
        ["b", "--", "$+0.0$ ="],
        ["c", "$7$", r"$-3.0$ $\circ$"],
    ]
    assert latex.packages == {"booktabs", "amssymb"}
    assert csv_of(as_csv(table)) == [
        ["x", "y", "y ±", "z", "z verdict"],
        ["a", "-1.2", "0.3", "0.4", "beats"],
        ["b", "", "", "0.0", "same"],
        ["c", "7", "", "-3.0", "tied"],
    ]


def test_a_long_table_goes_on_on_the_next_page():
    rows = [[f"class {i}", "1.0"] for i in range(MOST_ROWS + 1)]
    latex = as_latex(TextTable("T", ["class", "top-1"], rows, names=1, name="t"))
    assert r"\begin{longtable}{lr}" in latex
    assert read_table(latex).packages == {"booktabs", "longtable"}


def test_letters_that_pdflatex_does_not_have_are_announced():
    assert "LuaLaTeX" in as_latex(TextTable("T", ["x", "y"], [["中", "1"]], names=1, name="t"))
    assert "LuaLaTeX" not in as_latex(TextTable("T", ["x", "y"], [["Müller α=0.5", "1"]], names=1, name="t"))


@pytest.mark.parametrize(
    ("label", "stem"), [("all_top5", "all_top5"), ("../Ä b/<x>", "a_b_x"), ("中", ""), ("x" * 99, "x" * 60)]
)
def test_files_have_names_that_any_file_system_takes(label, stem):
    assert file_stem(label) == stem


def test_tables_of_one_name_are_refused(tmp_path):
    table = TextTable("T", ["x", "y"], [["a", "1"]], name="twice")
    with pytest.raises(LowshotError, match="twice"):
        save_tables(tmp_path, [table, table])
    with pytest.raises(LowshotError, match="no name"):
        save_tables(tmp_path, [TextTable("T", ["x", "y"], [["a", "1"]])])


def test_tables_of_further_sections_are_saved_too(tmp_path):
    table = TextTable("Mine", ["x", "y"], [["a", "1"]], names=1, name="mine")
    given = report_input(records=make_records(metrics=["all_top5"]), training_logs={}, examples=[])
    page = write_report(tmp_path, **given, sections=[Section("Mine", table.html(), tables=[table])])
    assert "tables/mine.tex" in links_of(page)
    assert read_table((tmp_path / "tables" / "mine.tex").read_text("utf-8")).rows == [["a", "$1$"]]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex with booktabs")
def test_latex_compiles_them(report, tmp_path):
    hostile = [['50 % & {x} \\cmd #1 ~ ^ _ $ <b> | " ` -- é', "−1.2 ±0.3 ▲"], ["λ α μ ² ✓ → ± …", "1"]]
    long = [[f"class {i}", "1.0"] for i in range(MOST_ROWS + 1)]
    save_tables(tmp_path, [TextTable("A_b", ["x", "y"], hostile, "1 %", names=1, name="hostile")])
    save_tables(tmp_path, [TextTable("L", ["x", "y"], long, "1 %", names=1, name="long")])
    files = sorted([*(report / "tables").glob("*.tex"), *(tmp_path / "tables").glob("*.tex")])
    assert len(files) > 8
    inputs = "\n".join(rf"\input{{{path}}}\clearpage" for path in files)
    packages = r"\usepackage{booktabs,longtable,amssymb}"
    source = rf"\documentclass{{article}}{packages}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "all.tex").write_text(source, "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]
