from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from lowshot.report import Example
from lowshot.report.figures.accuracy import accuracy_plot
from lowshot.report.figures.strip import strip_plot
from lowshot.report.figures.style import DARK, LIGHT, drawable, line_style, render, wrapped
from lowshot.report.figures.training import training_plot
from lowshot.report.table_data import build_tables

from .conftest import make_records

REPOSITORY = Path(__file__).parents[2]


def table_of(**changes):
    return build_tables(make_records(metrics=["all_top5"], **changes))[0]


def digests():
    files = render(accuracy_plot(table_of()), formats=("png", "pdf"))
    return {kind: hashlib.sha256(data).hexdigest() for kind, data in files.items()}


def test_lines_and_bars_are_the_numbers_of_the_table():
    table = table_of(representations=["R"], n_shots=(1, 2, 20))
    [axes] = accuracy_plot(table).draw(LIGHT).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "20"]
    for row, container in zip(table.rows, axes.containers, strict=True):
        line, _, (bars,) = container
        assert line.get_ydata() == pytest.approx([cell.mean for cell in row.cells])
        assert np.abs(np.log(line.get_xdata(orig=False) / np.array(table.n_shots))).max() < 0.07
        heights = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
        assert heights == pytest.approx([2 * cell.half_width for cell in row.cells])


def test_few_lines_share_axes_and_many_get_a_panel_per_representation():
    assert len(accuracy_plot(table_of()).draw(LIGHT).axes) == 1
    many = table_of(representations=["A", "B", "C", "D", "E"], methods=[f"method {i}" for i in range(6)])
    figure = accuracy_plot(many).draw(LIGHT)
    panels = [axes for axes in figure.axes if axes.containers]
    assert [axes.get_title(loc="left") or axes.get_title() for axes in panels] == ["A", "B", "C", "D", "E"]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"method {i}" for i in range(6)]


def test_thirty_lines_are_told_apart_by_more_than_colour():
    styles = [line_style(i, 0) for i in range(30)]
    assert len({(style.colour, style.marker) for style in styles}) == 30


def test_methods_with_missing_shots_and_single_experiments_are_drawn():
    records = [r for r in make_records(metrics=["all_top5"]) if r["n_shots"] != 1 or r["experiment"] == 1]
    records = [r for r in records if (r["method"], r["n_shots"]) != ("logistic", 5)]
    [axes] = accuracy_plot(build_tables(records)[0]).draw(LIGHT).axes
    assert [len(container[0].get_xdata()) for container in axes.containers] == [1, 2, 1, 2]


@pytest.mark.parametrize("method", ["_hidden", "", "$x^", "中", "a\nb"])
def test_any_name_is_drawn_and_stands_in_the_legend(method):
    plot = accuracy_plot(table_of(representations=["R"], methods=[method, "other"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render(plot)
    [legend] = plot.draw(LIGHT).legends
    assert len(legend.get_texts()) == 2


def test_the_scripts_of_the_embedded_data_are_drawn_as_they_are():
    assert drawable("Ωж Ֆ ∂ ✓ ✗") == "Ωж Ֆ ∂ ✓ ✗"
    assert drawable("中") == "[U+4E2D]"
    assert wrapped("aquarium_fish", 8) == "aquarium\n_fish"


LONG = " ".join(["an aquarium_fish of the species Carassius auratus"] * 5)


def test_no_name_is_cut_however_long_it_is():
    words = LONG.split()
    records = make_records(metrics=["all_top5"], representations=[LONG, "other"], methods=[LONG, *"abc"])
    plots = [
        strip_plot([Example(Image.new("L", (4, 8)), LONG, "x", LONG, "logistic", 1)]),
        accuracy_plot(build_tables(records)[0]),
        training_plot({LONG: [{"epoch": 1, "loss": 2.0}]}),
    ]
    for plot in plots:
        figure = plot.draw(LIGHT)
        texts = [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title)]
        texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        whole = [text for text in texts if " ".join(words) in " ".join(text.split())]
        assert whole
        assert not any("…" in text for text in texts)
        assert max(len(line) for text in whole for line in text.splitlines()) <= 90


def test_training_curves_show_what_the_logs_hold():
    logs = {
        "A": [{"epoch": e, "loss": 1 / e, "val_top1": 0.2 * e if e > 1 else None} for e in (1, 2, 3)],
        "B": [{"epoch": 1, "loss": 2.0, "cross_entropy": 1.5, "auxiliary": 0.0}],
    }
    losses, _, top1 = training_plot(logs).draw(LIGHT).axes
    assert [list(line.get_ydata()) for line in losses.lines] == [[1, 1 / 2, 1 / 3], [], [2.0], [1.5]]
    assert list(top1.lines[0].get_xdata()) == [2, 3]
    assert list(top1.lines[0].get_ydata()) == pytest.approx([40, 60])


def test_without_training_there_are_no_curves():
    assert training_plot({}) is None
    assert training_plot({"A": [], "B": [{"epoch": 1, "lr": 0.1}]}) is None


def test_the_strip_marks_right_and_wrong_by_symbol():
    image = Image.new("L", (4, 8))
    plot = strip_plot([Example(image, "Ա", said, "SGM", "logistic", 1) for said in ("Ա", "Ω")])
    texts = [text.get_text() for text in plot.draw(LIGHT).axes[0].texts]
    assert texts == ["SGM · logistic · n=1", "is Ա", "✓ said Ա", "is Ա", "✗ said Ω"]
    assert "1 of 2 right" in plot.alt


def test_themes_differ_and_leave_no_trace():
    before = matplotlib.rcParams.copy()
    plot = accuracy_plot(table_of())
    assert render(plot, LIGHT)["png"] != render(plot, DARK)["png"]
    assert matplotlib.rcParams.copy() == before


def test_another_process_with_own_settings_draws_the_same_bytes_without_pyplot(tmp_path):
    own_settings = tmp_path / "matplotlibrc"
    own_settings.write_text("axes.linewidth: 9\nxtick.major.size: 30\n")

    environment = os.environ | {"PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(own_settings)}
    code = "import sys, tests.report.test_figures as t; print(t.digests(), 'matplotlib.pyplot' in sys.modules)"
    command = [sys.executable, "-c", code]
    there = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout
    assert there == f"{digests()} False\n"


def test_a_guess_far_below_the_lines_is_words_and_no_line():
    def axes_of(n_novel):
        changes = {"data": {"base": 5, "novel": n_novel}}
        records = [r | changes | {"all_top5": 0.5 + r["all_top5"] / 20} for r in make_records(metrics=["all_top5"])]
        [axes] = accuracy_plot(build_tables(records)[0]).draw(LIGHT).axes
        return axes

    far = axes_of(95)
    assert far.get_ylim()[0] > 5
    assert [text.get_text() for text in far.texts] == ["a guess: 5 (below)"]
    near = axes_of(5)
    assert near.get_ylim()[0] < 50
    assert not near.texts
