"""The part of the page about generators: all of them in one comparison, and pictures of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields, replace
from statistics import fmean

import numpy as np
from markupsafe import Markup

from lowshot.report.differences import in_points
from lowshot.report.gains import Gain, TableGains
from lowshot.report.generator_explanation import explanation, listed
from lowshot.report.generators import (
    PER_CLASS,
    GeneratedClass,
    GeneratorView,
    Measures,
    neighbours_in_words,
    neighbours_plot,
    projection_plot,
)
from lowshot.report.page import Fold, Section, image_tag
from lowshot.report.table_data import shot_heads
from lowshot.report.tables import MISSING, NAMES, TextTable, csv_text

TITLE = "Generators"
_MEASURES = ("covered, %", "by others, %", "near own class, %", "near base, %", "worth, images")
_CAPTION = (
    "Features at n = {n_shots}, {examples} examples a class; means over {classes} novel classes. Covered: the held-out "
    "test images of a class with a shot nearby → with a shot or a generated feature nearby, that is, no farther than "
    "their fifth neighbour in the class. By others: the same with shots and generated features of another class. Near "
    "own class, near base: the shots → the generated features whose nearest test image is of their own class, of a "
    "base class. Worth: the number of real images whose mean would be as close to that of the class as the mean of "
    "the shots → of shots and generated features. n = …: what a generator adds to the accuracy {accuracy}, in "
    "points{spread}; =: nothing is generated at this n."
)
_GAINS = (
    "The method minus the one without its generator, in points ± a 95 % interval, within the same draws of the shots; "
    "each with its own parameters where it was tuned. =: nothing is generated at this n."
)
_NEIGHBOURS = (
    "The shots of a class, and the test images nearest to its generated features, up to {}: ×3 is nearest to three of "
    "them. Solid frame and ✓: an image of the class; dashed and ✗: of another one."
)


def generator_section(views: Sequence[GeneratorView], gains: Sequence[TableGains]) -> Section:
    """The comparison of all generators, what its numbers say, and the numbers and pictures of each, folded away.

    Args:
        views (sequence of GeneratorView): The generators on their representations.
        gains (sequence of TableGains): What they gain in each accuracy that the page opens with; there may be none.
    """
    table = comparison_table(views, gains)
    shown = [
        [representation, _link(view), *(_two_lines(str(cell)) for cell in cells)]
        for (representation, _, *cells), view in zip(table.rows, views)
    ]
    head = [text.replace(" %", "\u00a0%") for text in table.head]
    compared = Markup('<div class="compared">{}</div>').format(replace(table, head=head, rows=shown).html())
    parts = [compared, explanation(views, gains)]
    gained = [_gain_table(one) for one in gains if one.gains]
    parts += [_gains_of_methods(one) for one in gained]
    strips = [plot for view in views if (plot := neighbours_plot(view)) is not None]
    folds, html = [_fold(view) for view in views], Markup("").join(parts)
    return Section(TITLE, html, tables=[table, *gained], folds=folds, files=strips)


def comparison_table(views: Sequence[GeneratorView], gains: Sequence[TableGains]) -> TextTable:
    """A row per generator and representation: measures of the generated features, and the accuracy gained at each n.

    Args:
        views (sequence of GeneratorView): The generators on their representations.
        gains (sequence of TableGains): What they gain; the accuracy over all classes is shown, or the first one.
    """
    shown = next((one for one in gains if one.table.metric.startswith("all_top")), gains[0] if gains else None)
    n_shots = () if shown is None else shown.table.n_shots
    found = [[] if shown is None else shown.of(view.generator, view.representation) for view in views]
    rows = [
        [view.representation, view.generator, *_texts(view.measures), *(_gained(of_view, n) for n in n_shots)]
        for view, of_view in zip(views, found)
    ]
    several = any(len(of_view) > 1 for of_view in found)
    caption = _CAPTION.format(
        n_shots=listed(view.n_shots for view in views),
        examples=listed(view.n_per_class for view in views),
        classes=max(len(view.spread.classes) for view in views),
        accuracy="" if shown is None else f"“{shown.table.title}”",
        spread=" (mean over the methods, and in small the least and the most)" if several else " ± a 95 % interval",
    )
    return TextTable(TITLE, [NAMES[0], "Generator", *_MEASURES, *shot_heads(n_shots)], rows, caption, name="generators")


def generators_csv(views: Sequence[GeneratorView]) -> str:
    """A line per generator and representation: the measures of its features, shares of 1 with four decimals."""
    head = ["representation", "generator", "n_shots", "n_per_class", *(field.name for field in fields(Measures))]
    lines: list[list[object]] = [[*head]]
    for view in views:
        numbers = ["" if np.isnan(value) else f"{value:.4f}" for value in astuple(view.measures)]
        lines.append([view.representation, view.generator, view.n_shots, view.n_per_class, *numbers])
    return csv_text(lines)


def _number(value: float, form: str = "{:.1f}") -> str:
    return MISSING if np.isnan(value) else form.format(value)


def _percent(share: float) -> str:
    return MISSING if np.isnan(share) else f"{100 * share:.1f} %"


def _texts(m: Measures) -> list[str]:
    return [
        _from_to(100 * m.covered_by_shots, 100 * m.covered, "{:.0f}"),
        _number(100 * m.covered_by_others, "{:.0f}"),
        _from_to(100 * m.shots_near_own, 100 * m.near_own, "{:.0f}"),
        _from_to(100 * m.shots_near_base, 100 * m.near_base, "{:.0f}"),
        _from_to(m.shots_worth, m.worth, "{:.1f}"),
    ]


def _from_to(before: float, after: float, form: str) -> str:
    return f"{_number(before, form)} → {_number(after, form)}"


def _gained(gains: Sequence[Gain], n: int) -> str:
    """The gain of all methods with a generator at one n: of several the mean, and the least to the most."""
    found = [gain.differences[n] for gain in gains if n in gain.differences]
    if not found:
        return MISSING
    if all(one.same for one in found):
        return "="
    if len(found) == 1:
        return str(found[0])
    means = [one.mean for one in found]
    return f"{in_points(fmean(means))} ({in_points(min(means))} to {in_points(max(means))})"


def _two_lines(text: str) -> str:
    """A gain with its range below it, which makes the column narrow; any other text as it is."""
    mean, bracket, rest = text.partition(" (")
    return Markup('{}<br><span class="pm">{}</span>').format(mean, rest.rstrip(")")) if bracket else text


def _link(view: GeneratorView) -> Markup:
    return Markup('<a href="#{}" title="Its pictures">{}</a>').format(_anchor(view), view.generator)


def _anchor(view: GeneratorView) -> str:
    return f"generator-{view.key}"


def _gain_table(one: TableGains) -> TextTable:
    """The gain of every method in one accuracy."""
    rows = [
        [gain.representation, gain.pairing.method, *(_gained([gain], n) for n in one.table.n_shots)]
        for gain in one.gains
    ]
    head = [*NAMES, *shot_heads(one.table.n_shots)]
    return TextTable(f"Gain of each method: {one.table.title}", head, rows, _GAINS, name=f"gains_{one.table.metric}")


def _gains_of_methods(table: TextTable) -> Markup:
    """Such a table, folded away."""
    return Markup('<details class="fold"><summary>{}</summary>{}</details>').format(table.title, table.html())


def _fold(view: GeneratorView) -> Fold:
    """The numbers, the neighbours and the projection of one generator."""
    m = view.measures
    lines = [
        ("covered by the real shots alone", _percent(m.covered_by_shots)),
        ("covered by shots and generated features", _percent(m.covered)),
        ("covered by shots and generated features of another class", _percent(m.covered_by_others)),
        ("generated features that lie near a held-out one", _percent(m.precision)),
        ("variance of the generated over that of the held-out", _number(m.variance_ratio, "{:.2f}")),
        ("generated features whose nearest test image is of their class", _percent(m.near_own)),
        ("… of another novel class", _percent(m.near_novel)),
        ("… of a base class", _percent(m.near_base)),
        ("real images whose mean would be as close to that of the class", _number(m.worth)),
    ]
    row = Markup('<tr><th scope="row">{}</th><td class="whole">{}</td></tr>')
    body = Markup("").join(row.format(*line) for line in lines)
    text = Markup(
        "<p>With n={} the generator brings each of {} novel classes to {} examples. Mean over classes:</p>"
        '<div class="scroll"><table><tbody>{}</tbody></table></div>{}'
    ).format(view.n_shots, len(view.spread.classes), view.n_per_class, body, _tiles(view))
    return Fold(f"Pictures: {view.title}", _anchor(view), text, [projection_plot(view)])


def _tiles(view: GeneratorView) -> Markup:
    classes = [one for one in view.classes if one.neighbours]
    if not classes:
        return Markup("")
    caption = Markup('<p class="quiet">{}</p>').format(_NEIGHBOURS.format(PER_CLASS))
    return caption + Markup("").join(_class_tiles(one) for one in classes)


def _class_tiles(one: GeneratedClass) -> Markup:
    tile = Markup('<figure class="tile{}">{}<figcaption>{}</figcaption></figure>')
    tiles = [
        tile.format(" shot", image_tag(image, f"A shot of class {one.name}"), f"shot {number}")
        for number, image in enumerate(one.shots, start=1)
    ]
    for found in one.neighbours:
        image = image_tag(found.image, f"A test image of class {found.name}")
        words = Markup('<span class="said">{}</span>').format(found.caption)
        tiles.append(tile.format("" if found.is_same else " wrong", image, words))
    further = one.n_nearest - len(one.neighbours)
    note = f"{neighbours_in_words(one)}{f'; {further} further ones are not shown' if further > 0 else ''}."
    return Markup('<h3>{}</h3><div class="tiles near">{}</div><p class="quiet">{}</p>').format(
        one.name, Markup("").join(tiles), note
    )
