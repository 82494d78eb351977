"""Parts of a table as the core of deliveries hands them to a target, made by a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration_project.delivery.model import Figures, Shape, StagedPart, Target
from orchestration_project.warehouse.tables import ident

SALES = Shape(
    "sales",
    {"_batch_date": "DATE", "order_id": "VARCHAR", "quantity": "BIGINT", "amount": "DECIMAL(18,2)", "note": "VARCHAR"},
    batch="_batch_date",
    totals=("quantity", "amount"),
    key=("order_id",),
    required=frozenset({"order_id", "quantity"}),
    description="Lines of orders; it's what was sold.",
    descriptions={"amount": "Price times quantity."},
)
ROWS = """SELECT DATE '{day}' AS _batch_date, 'o' || i AS order_id, i AS quantity,
        (i * {price})::DECIMAL(18,2) AS amount, {note} AS note
    FROM range(1, {rows} + 1) AS numbers(i)"""


@dataclass(frozen=True, slots=True)
class Staging:
    """A folder for parts."""

    folder: Path

    def part(self, shape: Shape, part: str, content: str, query: str) -> StagedPart:
        """A part whose rows a query makes."""
        path = self.folder / f"{shape.table} {part} {content}.parquet".replace(":", "")
        sums = "".join(f", sum({ident(name)})" for name in shape.totals)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE TABLE made AS {query}")
            connection.execute(f"COPY made TO '{path}' (FORMAT parquet)")
            rows, *totals = connection.execute(f"SELECT count(*){sums} FROM made").fetchall()[0]
        return StagedPart(part, content, path, Figures(rows, dict(zip(shape.totals, totals, strict=True))))

    def day(self, day: str, content: str, rows: int = 3, price: str = "1.25", note: str = "'ok'") -> StagedPart:
        """A day of `SALES`."""
        query = ROWS.format(day=day, rows=rows, price=price, note=note)
        return self.part(SALES, day, content, query)


def deliver(target: Target, *parts: StagedPart, shape: Shape = SALES, remove: tuple[str, ...] = ()) -> None:
    """Deliver parts as the core would, without looking whether that is needed."""
    target.deliver(shape, target.delivered(shape.table), parts, remove)


def contents(*parts: StagedPart) -> Mapping[str, str]:
    """What a target has when it has these parts."""
    return {part.part: part.content for part in parts}


def figures(*parts: StagedPart) -> Mapping[str, Figures]:
    """The figures of parts, by name."""
    return {part.part: part.figures for part in parts}
