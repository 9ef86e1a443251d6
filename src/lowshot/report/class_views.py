"""The part of the page that says where methods fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from PIL.Image import Image

from lowshot.errors import counted
from lowshot.report.class_results import ClassResults, Confusion
from lowshot.report.page import Section, image_tag
from lowshot.report.table_data import shot_heads
from lowshot.report.tables import MISSING, NAMES, TextTable, file_stem

TITLE = "Where it fails"
MOST_METHODS = 12
"""The most methods whose classes the page lists, the best ones; classes.csv has all."""
MOST_CLASSES = 100
"""Of more classes the page lists these, the worst ones."""
PICTURED = 3
"""The methods whose confused pairs are shown with images."""
MOST_PAIRS = 8

_KINDS_CAPTION = (
    "Per cent of these images, of all draws; with bias: with the calibration bias chosen on the validation setup."
)

NOT_RECORDED = (
    "Not recorded: these results do not say which classes were answered rightly. They are of the original program, or "
    "of a lowshot that did not record it; `lowshot evaluate RECIPE --force` measures them again."
)


@dataclass(frozen=True)
class TestImages:
    """The images of the test part, where the report has them.

    Attributes:
        of_row (callable): Takes a row and returns its image.
        of_class (callable): Takes a label and returns the image of a query of that class.
    """

    __test__ = False  # no test of pytest's

    of_row: Callable[[int], Image]
    of_class: Callable[[int], Image]


def class_section(
    results: Sequence[ClassResults], ranking: Sequence[tuple[str, str]], images: TestImages | None
) -> Section:
    """What the records say about single classes, or that they do not.

    Args:
        results (sequence of ClassResults): The results by class.
        ranking (sequence of pairs): Representation and method of the rows to show, the best first.
        images (TestImages or None): The images of confused queries; the report shows none where there are none.
    """
    by_row: dict[tuple[str, str], list[ClassResults]] = {}
    for one in results:
        by_row.setdefault((one.representation, one.method), []).append(one)
    shown = [row for row in ranking if row in by_row][:MOST_METHODS]
    if not shown:
        return Section(TITLE, NOT_RECORDED)
    kinds = _kinds({row: by_row[row] for row in shown})
    classes = [_classes(by_row[row], rank) for rank, row in enumerate(shown, start=1)]
    parts = [_kinds_html(kinds)]
    parts += [
        _method(by_row[row], table, images if i < PICTURED else None, i == 0)
        for i, (row, table) in enumerate(zip(shown, classes))
    ]
    notes = [f"The {len(shown)} best methods of {len(by_row)}; classes.csv, confusions.csv and kinds.csv have all."]
    if missing := len([row for row in ranking if row not in by_row]):
        notes.append(f"The results of {counted(missing, 'more row')} do not say it.")
    html = Markup("").join([*parts, Markup('<p class="quiet">{}</p>').format(" ".join(notes))])
    return Section(TITLE, html, tables=[*kinds, *classes])


def _kinds(by_row: Mapping[tuple[str, str], Sequence[ClassResults]]) -> list[TextTable]:
    """How many queries of novel classes are answered with base classes, and the other way round."""
    n_shots = sorted({one.n_shots for some in by_row.values() for one in some})
    has_bias = any(one.answered_as_prior for some in by_row.values() for one in some)
    variants = {False: " as is", True: " with bias"} if has_bias else {False: ""}
    tables = []
    for kind, other in (("novel", "base"), ("base", "novel")):
        rows = [
            [
                *row,
                *(_taken({one.n_shots: one for one in some}.get(n), kind, bias) for n in n_shots for bias in variants),
            ]
            for row, some in by_row.items()
        ]
        title = f"Test images of {kind} classes that are answered with a {other} class"
        heads = [f"{head}{words}" for head in shot_heads(n_shots) for words in variants.values()]
        tables.append(TextTable(title, [*NAMES, *heads], rows, _KINDS_CAPTION, name=f"answered_{kind}"))
    return tables


def _kinds_html(tables: Sequence[TextTable]) -> Markup:
    parts = [Markup("<h3>{}</h3>{}").format(table.title, replace(table, caption="").html()) for table in tables]
    return Markup('{}<p class="quiet">{}</p>').format(Markup("").join(parts), _KINDS_CAPTION)


def _taken(one: ClassResults | None, kind: str, with_bias: bool) -> str:
    counts = None if one is None else one.answered_as_prior if with_bias else one.answered_as
    return MISSING if not counts else f"{100 * counts[kind][2] / max(1, sum(counts[kind])):.1f}"


def _method(some: Sequence[ClassResults], classes: TextTable, images: TestImages | None, is_open: bool) -> Markup:
    some = sorted(some, key=lambda one: one.n_shots)
    first = some[0]
    parts = [_pairs(first, images)]
    if len(some) > 1:
        parts.append(_pairs(some[-1], images))
    parts.append(Markup("<h3>Accuracy of each class</h3>{}").format(classes.html()))
    return Markup("<details{}><summary>{} · {}</summary>{}</details>").format(
        Markup(" open" if is_open else ""), first.representation, first.method, Markup("").join(parts)
    )


def _pairs(one: ClassResults, images: TestImages | None) -> Markup:
    if not one.confusions:
        return Markup("")
    pairs = one.confusions[:MOST_PAIRS]
    title = Markup("<h3>Confused most often at n = {}</h3>").format(one.n_shots)
    if images is None:
        words = [f"{pair.true} → {pair.answered} ({_share(pair)})" for pair in pairs]
        return Markup("{}<p>{}</p>").format(title, "; ".join(words))
    tiles = [
        Markup(
            '<figure class="tile pair">{}{}<figcaption>{} → {}<br><span class="quiet">{}</span></figcaption></figure>'
        ).format(
            image_tag(images.of_row(pair.row), f"A test image of class {pair.true}"),
            image_tag(images.of_class(pair.labels[1]), f"A test image of class {pair.answered}"),
            pair.true,
            pair.answered,
            _share(pair),
        )
        for pair in pairs
    ]
    caption = Markup(
        '<p class="quiet">The test image that is taken for the other class in most draws, and an image of that class. '
        "Per cent: of the test images of its class.</p>"
    )
    return Markup('{}<div class="tiles pairs">{}</div>{}').format(title, Markup("").join(tiles), caption)


def _share(pair: Confusion) -> str:
    return f"{100 * pair.share:.0f} %"


def _classes(some: Sequence[ClassResults], rank: int) -> TextTable:
    """Top-1 accuracy of each class, the worst at the smallest number of shots first; base and novel classes apart."""
    some = sorted(some, key=lambda one: one.n_shots)
    first = some[0]
    accuracies = [dict(zip(one.labels, one.accuracy(1))) for one in some]
    places = np.argsort(np.nan_to_num(first.accuracy(1), nan=np.inf), kind="stable")
    rows = [
        [
            first.names[i],
            "base" if i < first.n_base else "novel",
            *(_number(of_n.get(first.labels[i], np.nan)) for of_n in accuracies),
        ]
        for i in sorted(places[:MOST_CLASSES], key=lambda i: i < first.n_base)
    ]
    caption = "Top-1 accuracy of each class in the joint space, mean over all draws, the worst first."
    if len(places) > MOST_CLASSES:
        caption += f" The worst {MOST_CLASSES} of {len(places)} classes; classes.csv has all."
    title = f"{first.representation} · {first.method}"
    head = ["Class", "kind", *shot_heads([one.n_shots for one in some])]
    return TextTable(title, head, rows, caption, name=file_stem("classes", f"{rank:02d}", title))


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0f}"
