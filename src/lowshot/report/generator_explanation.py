"""Why generated features can cover a class and yet cost right answers, in words and with the numbers of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from markupsafe import Markup

from lowshot.report.gains import Gain, TableGains
from lowshot.report.generators import GeneratorView, Measures
from lowshot.report.tables import MISSING

_TITLE = "Why more coverage need not mean more right answers"
_ONE_CLASS = (
    "<strong>Coverage looks at one class alone.</strong> Shots and generated features cover {covered} of the images of "
    "their class, and {others} of those of a class that they were not made for. The difference of the two tells "
    "classes apart, and coverage does not say it."
)
_NEAREST = (
    "<strong>A classifier asks which class is nearest.</strong> That is their own class for {shots_own} of the shots "
    "and {own} of the generated features, and a base class for {shots_base} and {base}. Features that lie among "
    "another class pull its boundary inwards, which costs right answers on both sides."
)
_WORTH = (
    "<strong>A classifier takes generated features for images.</strong> The mean of all {examples} examples is as "
    "close to that of the class as the mean of {worth} real images would be; that of the shots alone, as that of "
    "{shots}. A classifier that trusts a class by its number of examples, as <code>gaussian</code> does, trusts such "
    "a mean as if all were real, and base classes, whose means are known well, take its answers."
)
_BALANCE = (
    "<strong>Generation shifts answers between base and novel classes</strong>, as a calibration bias does without any "
    "generation. A gain or a fall that does not remain among novel classes only is such a shift."
)
_NOTHING = Markup("<p>Nothing is generated at this number of shots: every class has its examples already.</p>")


def explanation(views: Sequence[GeneratorView], gains: Sequence[TableGains]) -> Markup:
    """What coverage does not measure, and the largest fall with all that is measured about it.

    Args:
        views (sequence of GeneratorView): The generators on their representations.
        gains (sequence of TableGains): What they gain in each accuracy.
    """
    made = [view for view in views if view.landing is not None]
    if not made:
        return _NOTHING

    def over(measure: Callable[[Measures], float]) -> str:
        return _span((100 * measure(view.measures) for view in made), "{:.0f}") + "\u00a0%"

    points = [
        Markup(_ONE_CLASS).format(covered=over(lambda m: m.covered), others=over(lambda m: m.covered_by_others)),
        Markup(_NEAREST).format(
            shots_own=over(lambda m: m.shots_near_own),
            own=over(lambda m: m.near_own),
            shots_base=over(lambda m: m.shots_near_base),
            base=over(lambda m: m.near_base),
        ),
        Markup(_WORTH).format(
            examples=listed(view.n_per_class for view in made),
            worth=_span((view.worth for view in made), "{:.1f}"),
            shots=_span((view.shots_worth for view in made), "{:.1f}"),
        ),
        Markup(_BALANCE),
    ]
    items = Markup("").join(Markup("<li>{}</li>").format(point) for point in points)
    return Markup("<h3>{}</h3><ul>{}</ul>{}").format(_TITLE, items, _largest_fall(made, gains))


def listed(numbers: Iterable[int]) -> str:
    """``5 or 20``: the different numbers, sorted."""
    return " or ".join(str(number) for number in sorted(set(numbers)))


def _span(values: Iterable[float], form: str) -> str:
    """The smallest and the largest of some values in words, once where they look alike."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return MISSING
    low, high = form.format(min(known)), form.format(max(known))
    return low if low == high else f"{low} to {high}"


def _largest_fall(views: Sequence[GeneratorView], gains: Sequence[TableGains]) -> Markup:
    """The largest fall of any accuracy, beside the method's other accuracies and the measures of its generator."""
    falls = [
        (one.mean, n, gain)
        for table in gains
        for gain in table.gains
        for n, one in gain.differences.items()
        if one.mean < 0 and not one.same
    ]
    if not falls:
        return Markup("<p>No accuracy that this page opens with falls by generation.</p>" if gains else "")
    _, n, worst = min(falls, key=lambda fall: fall[0])
    alike = {
        table: gain
        for table in gains
        for gain in table.of(worst.pairing.generator, worst.representation)
        if gain.pairing == worst.pairing and n in gain.differences
    }
    return Markup("<p><strong>The largest fall here:</strong> {} on {} at n = {}, against {}. {}.{}{}</p>").format(
        worst.pairing.method,
        worst.representation,
        n,
        worst.pairing.without,
        "; ".join(_from_to(table, gain, n) for table, gain in alike.items()),
        _kind_of_fall({table.table.metric: gain.differences[n].mean for table, gain in alike.items()}),
        Markup("").join(
            _of_features(view)
            for view in views
            if (view.generator, view.representation) == (worst.pairing.generator, worst.representation)
        ),
    )


def _from_to(one: TableGains, gain: Gain, n: int) -> str:
    column = one.table.n_shots.index(n)
    texts = [
        MISSING if cell is None else cell.mean_text for cell in (gain.without.cells[column], gain.row.cells[column])
    ]
    return f"{one.table.title}: {' → '.join(texts)}"


def _kind_of_fall(means: Mapping[str, float]) -> str:
    """What the accuracies of novel classes, in the joint space and among themselves, say about a fall."""
    joint, alone = (
        next((mean for metric, mean in means.items() if metric.startswith(scope)), None)
        for scope in ("novel_top", "novel_only_top")
    )
    if joint is None or alone is None or joint >= 0:
        return ""
    if alone > joint / 2:
        return (
            " Among novel classes only, less than half of the fall remains: most of it are images of novel classes "
            "that base classes now take."
        )
    return " Among novel classes only, half of the fall or more remains: they are told apart less well."


def _of_features(view: GeneratorView) -> Markup:
    m = view.measures
    shares = [
        _span([100 * share], "{:.0f}\u00a0%")
        for share in (m.covered, m.covered_by_others, m.shots_near_own, m.near_own, m.shots_near_base, m.near_base)
    ]
    return Markup(
        " The features of {} at n = {}: {} covered ({} by those of other classes); nearest to their own class {} of "
        "the shots and {} of the generated features, to a base class {} and {}; {} examples are worth {} images."
    ).format(view.title, view.n_shots, *shares, view.n_per_class, _span([m.worth], "{:.1f}"))
