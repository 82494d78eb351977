"""Column lineage: of a feed's tables from its contract, of a query from its SQL."""

import pytest
from sqlglot.errors import SqlglotError

from orchestration_project.components.feed_metadata import Origin, published_lineage, query_lineage, raw_lineage
from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.defs.product_marts import queries
from orchestration_project.warehouse.feed_tables import cleaned_layout, rejected_layout
from orchestration_project.warehouse.tables import Columns
from orchestration_project_tests.defs.product_marts.shop_marts import daily

FEED = Feed(
    "receipts",
    "1",
    (
        Column("units", "INTEGER", "Stück", aliases=("Menge",)),
        Column("price", "DECIMAL(18,2)", "Preis"),
        Column("gross", "DECIMAL(18,2)", None, expression='"net" * 1.19', uses=("net",)),
        Column("net", "DECIMAL(18,2)", None, expression='"units" * "price"', uses=("units", "price")),
        Column("shop", "VARCHAR", None, expression="'main'"),
    ),
)
TABLES = {
    "a": {"id": "INTEGER", "x": "INTEGER", "day": "DATE"},
    "b": {"id": "INTEGER", "x": "INTEGER"},
}


def test_raw_columns_come_from_the_headers_of_the_file() -> None:
    """A raw column is the file's column, under the header that the contract gives it; computed ones are not there."""
    assert raw_lineage(FEED, "landing_receipts") == {
        "units": (Origin("landing_receipts", "Stück"),),
        "price": (Origin("landing_receipts", "Preis"),),
    }


def test_computed_columns_come_from_what_they_use() -> None:
    """Computed columns come from the raw columns that they use, if need be through other computed ones."""
    found = published_lineage(FEED, cleaned_layout(FEED, "DATE"))
    assert {name: [origin.column for origin in found[name]] for name in ("units", "net", "gross", "shop", "_row")} == {
        "units": ["units"],
        "net": ["units", "price"],
        "gross": ["units", "price"],
        "shop": [],
        "_row": ["_row"],
    }
    assert {origin.table for origins in found.values() for origin in origins} == {"raw_receipts"}


def test_rejected_columns_are_raw_columns() -> None:
    """Rejects keep the raw text; what the platform says of them comes from no column."""
    found = published_lineage(FEED, rejected_layout(FEED, "DATE"))
    assert found["_raw_line"] == (Origin("raw_receipts", "_raw_line"),)
    assert {"_reasons", "_reject_id", "net"} & set(found) == set()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("SELECT id, x AS y FROM a", {"id": ["a.id"], "y": ["a.x"]}, id="renamed"),
        pytest.param("SELECT a.x + b.x AS s FROM a JOIN b USING (id)", {"s": ["a.x", "b.x"]}, id="two tables"),
        pytest.param("WITH c AS (SELECT x * 2 AS z FROM a) SELECT z FROM c", {"z": ["a.x"]}, id="through WITH"),
        pytest.param("SELECT sum(x) FILTER (day > '2024-01-01') AS s FROM a", {"s": ["a.day", "a.x"]}, id="filter"),
        pytest.param("SELECT 1 AS one, count(*) AS n FROM a", {"one": [], "n": []}, id="from no column"),
        pytest.param(
            "SELECT n FROM (SELECT max(x) AS n FROM b), (SELECT min(x) AS m FROM a)", {"n": ["b.x"]}, id="subqueries"
        ),
    ],
)
def test_lineage_of_a_query(query: str, expected: dict[str, list[str]]) -> None:
    """Each column of a query comes from the columns of tables that its expression reads, through everything between."""
    found = query_lineage(query, TABLES)
    assert {name: [f"{item.table}.{item.column}" for item in origins] for name, origins in found.items()} == expected


def test_a_column_that_no_table_has_is_an_error() -> None:
    """A query that does not fit the tables has no lineage; nothing is guessed."""
    with pytest.raises(SqlglotError, match="nowhere"):
        query_lineage("SELECT nowhere FROM a", TABLES)


@pytest.mark.parametrize(
    ("query", "columns", "sources"),
    [
        pytest.param(daily().query, daily().columns, daily().inputs, id="daily"),
        pytest.param(queries.PRODUCT_SELECT, queries.COLUMNS, queries.SOURCES, id="products"),
    ],
)
def test_every_column_of_the_marts_has_origins(query: str, columns: Columns, sources: dict[str, Columns]) -> None:
    """The marts' SQL is understood: each of their columns is made from columns that the tables before them have."""
    found = query_lineage(query, sources)
    assert list(found) == list(columns)
    assert all(found.values())
    assert all(item.column in sources[item.table] for items in found.values() for item in items)
