"""The accuracy that generators add: methods with one against the same methods without."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lowshot.benchmark.results import Record
from lowshot.report.differences import Difference, find_differences
from lowshot.report.table_data import Row, TableData


@dataclass(frozen=True)
class Pairing:
    """Two methods that differ in a generator alone.

    Attributes:
        generator (str): The name of the generator for people.
        method (str): The method with the generator, as tables name it.
        without (str): The method without, as tables name it.
    """

    generator: str
    method: str
    without: str


@dataclass(frozen=True)
class Gain:
    """An accuracy of one method on one representation, with a generator and without.

    Attributes:
        pairing (Pairing): The two methods.
        row (Row): The row of the method with the generator.
        without (Row): The row of the method without.
        differences (mapping): {n: row minus the row without, in points, within the same draws}; no entry where they
            share no draw.
    """

    pairing: Pairing
    row: Row
    without: Row
    differences: Mapping[int, Difference]

    @property
    def representation(self) -> str:
        """The representation, as tables name it."""
        return self.row.representation


@dataclass(frozen=True, eq=False)
class TableGains:
    """The gains in one accuracy, in the order of the table's rows."""

    table: TableData
    gains: Sequence[Gain]

    def of(self, generator: str, representation: str) -> list[Gain]:
        """The gains of all methods with one generator on one representation."""
        return [
            gain for gain in self.gains if gain.pairing.generator == generator and gain.representation == representation
        ]


def find_gains(records: Iterable[Record], table: TableData, pairings: Collection[Pairing]) -> TableGains:
    """What each pairing gains on each representation at each number of shots.

    Args:
        records (iterable of mappings): The records that the table was built from.
        table (TableData): The table.
        pairings (collection of Pairing): The methods to compare; those without results are left out.
    """
    places = {(row.representation, row.method): place for place, row in enumerate(table.rows)}
    by_method = {pairing.method: pairing for pairing in pairings}
    pairs = {
        (place, places[row.representation, pairing.without]): pairing
        for place, row in enumerate(table.rows)
        if (pairing := by_method.get(row.method)) and (row.representation, pairing.without) in places
    }
    found = find_differences(records, table, only=[(min(pair), max(pair)) for pair in pairs])
    gains = []
    for (place, other), pairing in pairs.items():
        differences = {n: one for n in table.n_shots if (one := found[n].between(place, other)) is not None}
        gains.append(Gain(pairing, table.rows[place], table.rows[other], differences))
    return TableGains(table, gains)
