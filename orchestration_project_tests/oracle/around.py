"""Values that a record does not have itself: from its file's name, from its contract, from the records above.

Written from the documentation, as all of the oracle.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project_tests.oracle.values import Cell, plain, significant


def given_cells(feed: Feed, name: str) -> dict[str, Cell]:
    """What a file's name and its contract tell of all of its records."""
    found: dict[str, Cell] = {}
    for column in feed.given_columns:
        assert column.value_from
        match = re.search(column.value_from.text, name)
        is_constant = column.value_from.origin == "constant"
        found[column.name] = column.value_from.text if is_constant else match[1] if match else None
    return found


@dataclass
class Above:
    """What the records of a file so far say of the columns that are filled down."""

    feed: Feed
    cells: dict[str, Cell] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    groups: dict[str, str | None] = field(default_factory=dict)

    @property
    def _columns(self) -> list[Column]:
        return [column for column in self.feed.columns if column.fill_down]

    def broken(self) -> None:
        """A record came that can't be split: what it says, nobody knows."""
        self.cells, self.groups = {}, {}
        self.unknown = {column.name for column in self._columns}

    def filled(self, cells: Mapping[str, Cell]) -> tuple[dict[str, Cell], list[str]]:
        """The cells of the next record, filled, and the columns of which nobody knows the value."""
        result, lacking = dict(cells), list[str]()
        for column in self._columns:
            own = cells.get(column.name)
            self._begin_group(column, cells)
            if significant(own, column) is not None:
                self.cells[column.name] = own
                self.unknown.discard(column.name)
            elif column.name in self.unknown:
                lacking.append(column.name)
            else:
                result[column.name] = self.cells.get(column.name, own)
        return result, lacking

    def _begin_group(self, column: Column, cells: Mapping[str, Cell]) -> None:
        within = column.fill_down.within if column.fill_down else None
        if within is None:
            return
        other = next(item for item in self.feed.columns if item.name == within)
        cell = significant(cells.get(within), other)
        group = None if cell is None else plain(cell)
        if column.name in self.groups and self.groups[column.name] != group:
            self.cells.pop(column.name, None)
            self.unknown.discard(column.name)
        self.groups[column.name] = group
