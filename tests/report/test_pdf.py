"""The PDF of a figure holds text, not outlines: it is found, copied and set by the fonts that the file brings."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from pypdf import PdfReader

from lowshot.report import Example
from lowshot.report.figures.accuracy import accuracy_plot
from lowshot.report.figures.strip import strip_plot
from lowshot.report.figures.style import DARK, LIGHT, render
from lowshot.report.figures.training import training_plot
from lowshot.report.table_data import build_tables

from .conftest import make_records

NAMES = ["Baseline", "SGM ±ε", "Ωmega Ж", "$x_1$ & 50 %"]


def plots():
    table = build_tables(make_records(representations=NAMES[:2], methods=NAMES[2:], metrics=["all_top5"]))[0]
    log = [{"epoch": e, "loss": 3 / e, "train_top1": 0.1 * e, "val_top5": 0.2 * e} for e in (1, 2, 3)]
    tiles = [Example(Image.new("RGB", (8, 8)), NAMES[2], said, "SGM", "logistic", 5) for said in NAMES[2:]]
    return [accuracy_plot(table), training_plot(dict.fromkeys(NAMES, log)), strip_plot(tiles)]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("plot", plots(), ids=lambda plot: plot.name)
def test_every_word_of_a_figure_is_text_in_its_pdf(plot, theme):
    document = PdfReader(io.BytesIO(render(plot, theme, ("pdf",))["pdf"]))
    assert len(document.pages) == 1
    text = re.sub(r"\s+", "", document.pages[0].extract_text())
    with_text = plot.draw(theme)
    words = {item.get_text() for item in with_text.findobj(match=lambda artist: hasattr(artist, "get_text"))}
    words = {re.sub(r"\s+", "", word) for word in words if word.strip()}
    assert len(words) >= 4
    assert {word for word in words if word not in text} <= hidden(with_text)


def hidden(figure) -> set[str]:
    """The texts that the figure has but does not show, such as ticks outside of its axes."""
    figure.canvas.draw()
    found = set()
    for item in figure.findobj(match=lambda artist: hasattr(artist, "get_text")):
        word = re.sub(r"\s+", "", item.get_text())
        if word and (not item.get_visible() or word.replace("−", "").replace(".", "").isdigit()):
            found.add(word)
    return found


@pytest.mark.parametrize("plot", plots(), ids=lambda plot: plot.name)
def test_the_fonts_of_a_pdf_are_embedded_and_no_bitmaps(plot):
    (page,) = PdfReader(io.BytesIO(render(plot, LIGHT, ("pdf",))["pdf"])).pages
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
        assert font["/Subtype"] in ("/Type0", "/TrueType"), font  # Type 3 is refused by some publishers
        assert "/FontFile2" in inner["/FontDescriptor"].get_object()
        assert "/ToUnicode" in font
