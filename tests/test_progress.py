"""Progress bars can be read on a terminal of 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from lowshot.progress import NARROW, _columns


def line_of(width: int, title: str, note: str, done: int = 12345, total: int = 20000) -> str:
    """The bar as a terminal of this width shows it."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bar = Progress(*_columns(width < NARROW), console=console, auto_refresh=False)
    bar.add_task(title, total=total, completed=done, note=note)
    console.print(bar.get_renderable())
    shown = [line for line in console.file.getvalue().splitlines() if line.strip()]
    assert len(shown) == 1
    return shown[0]


NOTES = [
    "",
    "loss 3.4",
    "epoch 12/90  loss 3.398  1220 images/s  lr 0.1",
    "baseline/a_method_with_a_long_name n=20 " * 3,
]


@pytest.mark.parametrize("width", [80, 90, 100, 140])
@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("title", ["tune", "Training the delta-encoder", "Matching network episodes"])
def test_the_count_and_the_time_are_never_cut(width, note, title):
    line = line_of(width, title, note)
    assert len(line) <= width
    assert title in line
    assert " 12345/20000 " in line
    assert "-:--:--" in line
    assert "━━━━━" in line


def test_the_note_is_cut_and_says_so():
    line = line_of(80, "train resnet10", NOTES[3])
    assert "baseline/a_method" in line
    assert "…" in line


def test_a_training_shows_epoch_loss_and_speed_at_80_columns():
    line = line_of(80, "train resnet10", NOTES[2])
    assert "epoch 12/90  loss 3.398" in line
