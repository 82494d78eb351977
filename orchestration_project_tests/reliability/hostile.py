"""Hostile files beside good ones: what a load makes of them, and that a second load changes nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.reliability.evidence import tried

TORTURE_FILES = Path(__file__).parents[3] / "shared" / "data" / "csv_torture"
NEIGHBOUR = named(2, "neighbour")

Verdict = tuple[int, int, int] | str
"""How many records are cleaned, rejected and blank; of a refused file, the rule that it broke."""


def loaded_beside(folder: Path, contract: Feed, contents: Mapping[str, bytes], neighbour: bytes) -> Shop:
    """A shop that has loaded hostile files, by name, and a good one, whose only record is there whatever happens."""
    shop = Shop(folder, contract)
    shop.deliver(NEIGHBOUR, neighbour)
    for name, content in contents.items():
        shop.deliver(name, content)
        tried()
    shop.load()
    assert verdict(shop, NEIGHBOUR) == (1, 0, 0)
    assert shop.landing() == []
    before = _everything(shop)
    shop.load()
    assert _everything(shop) == before
    return shop


def _everything(shop: Shop) -> tuple[object, ...]:
    entries = shop.ledger("file", "status", "records", "cleaned", "rejected", "seen_at")
    return shop.tables(), entries, shop.archive(), shop.quarantine()


def verdict(shop: Shop, name: str) -> Verdict:
    """What became of a file, from the ledger, which must agree with the tables and the folders."""
    columns = ("file", "status", "records", "cleaned", "rejected", "blank_records")
    (entry,) = [item[1:] for item in shop.ledger(*columns) if item[0] == name]
    status, records, cleaned, rejected, blank = entry
    tables = shop.rows(
        " UNION ALL ".join(
            f"SELECT {place} AS place, count(*) AS rows FROM {table}_f WHERE _file = '{name}'"
            for place, table in enumerate(("raw", "cleaned", "rejected"))
        )
        + " ORDER BY place"
    )
    found = [row["rows"] for row in tables]
    if status == "quarantined":
        assert found == [0, 0, 0]
        note: dict[str, Any] = shop.quarantine()[name]
        return str(note["rule"])
    assert status == "loaded"
    assert found == [records, cleaned, rejected]
    assert records == cleaned + rejected + blank
    return cleaned, rejected, blank


def neighbour_of(contract: Feed) -> bytes:
    """A file with one good record of the columns `id` and `n`."""
    if contract.source.format is FileFormat.JSON:
        return b'{"id":"neighbour","n":7}\n'
    delimiter, codec = contract.source.delimiter or ",", contract.source.encoding or "utf-8"
    return f"id{delimiter}n\nneighbour{delimiter}7\n".encode(codec)
