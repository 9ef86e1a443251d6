"""The figures and scripts of the page as they are embedded."""

from __future__ import annotations

import base64
import io

import numpy as np
import PIL.Image
import pytest

from lowshot.report import Example
from lowshot.report.figures.accuracy import accuracy_plot
from lowshot.report.figures.strip import strip_plot
from lowshot.report.figures.style import render
from lowshot.report.page import _figure_uri
from lowshot.report.scripts import LIBRARIES, scripts
from lowshot.report.table_data import build_tables

from .conftest import make_records


def embedded(png: bytes) -> tuple[str, bytes]:
    head, data = str(_figure_uri(png)).split(",")
    return head, base64.b64decode(data)


def difference(a: bytes, b: bytes) -> float:
    images = [np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"), dtype=float) for data in (a, b)]
    return float(np.sqrt(np.square(images[0] - images[1]).mean()))


def test_a_line_figure_is_embedded_at_less_than_half_its_size_and_looks_the_same():
    table = build_tables(make_records(("A", "B"), [f"method {i}" for i in range(10)], metrics=["all_top5"]))[0]
    png = render(accuracy_plot(table))["png"]
    head, data = embedded(png)
    assert head == "data:image/png;base64"
    assert len(data) < len(png) / 2
    assert difference(png, data) < 2


def test_images_in_a_figure_keep_their_colours():
    noise = PIL.Image.effect_noise((48, 48), 90).convert("RGB")
    hue = PIL.Image.merge("RGB", [noise.getchannel(0), noise.getchannel(1).rotate(90), noise.getchannel(2).rotate(180)])
    png = render(strip_plot([Example(hue, "a", "b", "SGM", "Linear", 1)] * 8))["png"]
    head, data = embedded(png)
    assert head == "data:image/webp;base64"
    assert len(data) < len(png)
    assert difference(png, data) < 12


def test_the_chart_of_a_plot_has_the_numbers_of_its_table():
    table = build_tables(make_records(("A", "B", "C"), ["x", "y", "z"], metrics=["all_top5"]))[0]
    chart = accuracy_plot(table).chart.as_json()
    assert [panel["title"] for panel in chart["panels"]] == ["A", "B", "C"]
    lines = [line for panel in chart["panels"] for line in panel["lines"]]
    assert [line["row"] for line in lines] == list(range(9))
    for line in lines:
        row = table.rows[line["row"]]
        assert line["label"] == row.method
        for (n, mean, half_width, text), cell in zip(line["points"], row.cells, strict=True):
            assert n in table.n_shots
            assert mean == pytest.approx(cell.mean, abs=0.01)
            assert half_width == pytest.approx(cell.half_width, abs=0.01)
            assert text == str(cell)


def test_scripts_are_what_an_html_file_can_hold():
    assert len(scripts()) == len(LIBRARIES) + 3
    for script in scripts():
        assert "</script" not in script.text.lower()
        assert "<!--" not in script.text
        assert "\r" not in script.text  # which a browser would change, and the digest with it
        assert "eval(" not in script.text


def test_what_the_libraries_add_to_a_page_is_small():
    assert sum(len(script.text.encode()) for script in scripts()) < 260_000
