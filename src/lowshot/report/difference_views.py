"""The part of the page that says which differences are real: a matrix of all pairs of rows per number of shots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from lowshot.report.differences import SOURCE_WORDS, Difference, Differences, in_points
from lowshot.report.page import Section
from lowshot.report.tables import MISSING, TextTable, file_links, file_stem
from lowshot.report.training_views import trained_once

MOST_ROWS = 24
"""The most rows of a matrix on the page, the best ones; comparisons.csv has all."""

TITLE = "Which differences are real"


def difference_section(tables: Sequence[Mapping[int, Differences]]) -> Section | None:
    """The matrices of some tables; None where there are no two rows with a draw in common.

    Args:
        tables (sequence of mappings): The differences of each table at each number of shots.
    """
    shown = [(one, number == 0) for found in tables for number, one in enumerate(found.values()) if one.pairs]
    if not shown:
        return None
    every = [one for found in tables for one in found.values()]
    html = Markup("").join([_introduction(every), *(_matrix(one, is_open) for one, is_open in shown)])
    return Section(TITLE, html, tables=[_matrix_texts(one) for one, _ in shown])


def sources_in_words(differences: Iterable[Differences]) -> str:
    """What intervals and tests of some differences hold over, such as "draws of the shots and classes"."""
    found = [one.sources for one in differences if one.sources]
    return _joined([words for source, words in SOURCE_WORDS.items() if found and all(source in one for one in found)])


def copies_in_words(found: Differences) -> list[str]:
    """A sentence for each row that is the same as another."""
    rows = found.table.rows

    def name(i: int) -> str:
        return f"{rows[i].representation} · {rows[i].method}"

    return [f"{name(copy)} is the same as {name(original)}: {why}." for copy, (original, why) in found.copies.items()]


def _introduction(differences: Sequence[Differences]) -> Markup:
    tested = sources_in_words(differences)
    if not tested:
        return Markup("<p>Every number is from one draw of the shots: nothing tells chance from a real difference.</p>")
    text = Markup(
        "<p>Row minus column in points, within the same draws of the shots. <strong>▲</strong> the row beats the "
        "column, <strong>▼</strong> the column beats the row; ○ too close to call; = the same answers. "
        "± is a 95 % interval; point at a number, press it or move to it with the arrow keys for both names and its p "
        "values. Intervals and tests hold over {}: {}. At most 5 % of such tables have any "
        "▲ or ▼ that is due to chance (Holm's adjustment for all pairs of the table), so the more rows are compared, "
        "the larger a difference must be. comparisons.csv has all pairs in all accuracies, top-1 as well, with the p "
        "values before and after it.</p>"
    )
    return text.format(tested, _meaning(tested)) + _about_trainings(differences)


def _about_trainings(differences: Sequence[Differences]) -> Markup:
    """A warning where two representations are compared of which one at least is a single trained network."""
    table = differences[0].table
    if len(table.groups) < 2 or not (once := trained_once(table)):
        return Markup("")
    which = "each representation" if len(once) == len(table.groups) else ", ".join(once)
    return Markup(
        '<p class="between-networks">Of {} there is one trained network. Between representations of which one at least '
        "is a single network, ▲ and ▼ compare trained networks, not ways of training: another training of the same "
        "recipe could change them.</p>"
    ).format(which)


def _meaning(tested: str) -> str:
    if "classes" not in tested:
        return "with other images as shots the difference is expected to remain, for these very classes"
    trained = " and other trainings of the networks" if "trainings" in tested else ", with the networks as they are"
    return f"the difference is expected to remain with other images as shots, for other classes like these{trained}"


def _matrix(found: Differences, is_open: bool) -> Markup:
    rows, ranking = found.table.rows, found.ranking[:MOST_ROWS]
    places = {i: number for number, i in enumerate(ranking, start=1)}
    head = Markup("").join(
        Markup('<th scope="col" class="number" title="{}">{}</th>').format(_name(found, i), places[i]) for i in ranking
    )
    lines = [
        Markup('<tr><th scope="row" class="name">{}. {}</th><td class="number">{:.1f}</td>{}</tr>').format(
            places[i],
            _breakable(_name(found, i)),
            _mean(found, i),
            Markup("").join(_cell(found, i, j) for j in ranking),
        )
        for i in ranking
    ]
    notes = list(copies_in_words(found))
    if len(found.ranking) > MOST_ROWS:
        notes.append(f"The best {MOST_ROWS} of {len(rows)} rows; comparisons.csv has all.")
    title = f"{found.table.title}, n = {found.n_shots}"
    return Markup(
        '<details{}><summary>{}</summary><div class="scroll" tabindex="0" role="region" aria-label="Table: {}">'
        '<table class="matrix"><thead><tr><th scope="col">Row minus column</th><th scope="col" class="number">mean</th>'
        "{}</tr></thead><tbody>{}</tbody></table></div>{}{}</details>"
    ).format(
        Markup(" open" if is_open else ""),
        title,
        title,
        head,
        Markup("").join(lines),
        Markup("").join(Markup('<p class="quiet">{}</p>').format(note) for note in notes),
        file_links(_file_name(found)),
    )


def _matrix_texts(found: Differences) -> TextTable:
    """The matrix without the hints, for its files."""
    ranking = found.ranking[:MOST_ROWS]
    rows = [
        [f"{place}. {_name(found, i)}", f"{_mean(found, i):.1f}", *(_cell_text(found, i, j) for j in ranking)]
        for place, i in enumerate(ranking, start=1)
    ]
    caption = (
        "Row minus column in points ± a 95 % interval, within the same draws of the shots. ▲ the row beats the column, "
        "▼ the column beats the row; ○ too close to call; = the same answers (Holm's adjustment for all pairs of the "
        "table, 5 %)."
    )
    head = ["Row minus column", "mean", *map(str, range(1, len(ranking) + 1))]
    title = f"{found.table.title}, n = {found.n_shots}"
    return TextTable(title, head, rows, caption, names=1, name=_file_name(found))


def _file_name(found: Differences) -> str:
    return file_stem("differences", found.table.metric, f"n{found.n_shots}")


def _cell_text(found: Differences, i: int, j: int) -> str:
    one = found.between(i, j)
    if i == j or one is None:
        return "" if i == j else MISSING
    return f"{in_points(one.mean)} =" if one.same else f"{one} {_verdict(one)[1]}"


def _name(found: Differences, i: int) -> str:
    row = found.table.rows[i]
    return f"{row.representation} · {row.method}"


def _breakable(name: str) -> Markup:
    """A name that a narrow column breaks after an underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _mean(found: Differences, i: int) -> float:
    cell = found.table.rows[i].cells[found.table.n_shots.index(found.n_shots)]
    assert cell is not None
    return cell.mean


def _cell(found: Differences, i: int, j: int) -> Markup:
    if i == j:
        return Markup('<td class="number self"></td>')
    if (one := found.between(i, j)) is None:
        return Markup('<td class="number" title="no draw in common">–</td>')
    if one.same:
        return Markup('<td class="number tied" title="{}">=</td>').format(one.same)
    kind, mark = _verdict(one)
    tip = str(one)
    tip += "" if one.adjusted is None else f", p = {one.p_value:.2g} ({one.adjusted:.2g} adjusted)"
    interval = "" if one.half_width is None else Markup("<small>±{:.1f}</small>").format(one.half_width)
    cell = Markup('<td class="number {}" title="{}">{}&nbsp;{}{}</td>')
    return cell.format(kind, tip, in_points(one.mean), mark, interval)


def _verdict(one: Difference) -> tuple[str, str]:
    if not one.is_real:
        return "tied", "○"
    return ("beats", "▲") if one.mean > 0 else ("beaten", "▼")


def _joined(words: Sequence[str]) -> str:
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"
