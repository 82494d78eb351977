"""Hostile files beside good ones: what a load makes of them, and that a second load changes nothing."""

from collections.abc import Mapping
from pathlib import Path

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.reliability.evidence import tried

TORTURE_FILES = Path(__file__).parents[3] / "shared" / "data" / "csv_torture"
NEIGHBOUR = named(2, "neighbour")

FileOutcome = tuple[int, int, int] | str
"""How many records are cleaned, rejected and blank; of a refused file, the rule that it broke."""
TABLES = ("raw", "cleaned", "rejected")


def loaded_beside(folder: Path, contract: Feed, contents: Mapping[str, bytes], neighbour: bytes) -> Shop:
    """A shop that has loaded hostile files, by name, and a good one, whose only record is there whatever happens."""
    shop = Shop(folder, contract)
    shop.deliver(NEIGHBOUR, neighbour)
    for name, content in contents.items():
        shop.deliver(name, content)
        tried()
    shop.load()
    assert outcomes(shop)[NEIGHBOUR] == (1, 0, 0)
    assert shop.landing() == []
    before = _everything(shop)
    shop.load()
    assert _everything(shop) == before
    return shop


def _everything(shop: Shop) -> tuple[object, ...]:
    entries = shop.ledger("file", "status", "records", "cleaned", "rejected", "seen_at")
    return shop.tables(), entries, shop.archive(), shop.quarantine()


def outcomes(shop: Shop) -> dict[str, FileOutcome]:
    """What became of each file, from the ledger, with which the tables and the folders must agree."""
    notes = shop.quarantine()
    parts = [
        f"SELECT _file, {', '.join(str(int(table == other)) for other in TABLES)} FROM {table}_f" for table in TABLES
    ]
    counted = shop.rows(
        f"""SELECT _file, sum(raw), sum(cleaned), sum(rejected)
            FROM ({" UNION ALL ".join(parts)}) counted(_file, raw, cleaned, rejected) GROUP BY _file"""
    )
    found = {name: tuple(counts) for name, *counts in (row.values() for row in counted)}
    told: dict[str, FileOutcome] = {}
    for file, status, *counts, blank in shop.ledger(
        "file", "status", "records", "cleaned", "rejected", "blank_records"
    ):
        if status == "quarantined":
            assert file not in found
            told[file] = notes[file]["rule"]
            continue
        records, cleaned, rejected = counts
        assert status == "loaded"
        assert found.get(file, (0, 0, 0)) == (records, cleaned, rejected)
        assert records == cleaned + rejected + blank
        told[file] = (cleaned, rejected, blank)
    return told


def neighbour_of(contract: Feed) -> bytes:
    """A file with one good record of the columns `id` and `n`."""
    if contract.source.format is FileFormat.JSON:
        path = contract.source.records_path
        written = '{"id":"neighbour","n":7}' if path is None else '[{"id":"neighbour","n":7}]'
        for key in reversed(path or ()):
            written = f'{{"{key}":{written}}}'
        return f"{written}\n".encode()
    delimiter, codec = contract.source.delimiter or ",", contract.source.encoding or "utf-8"
    return f"id{delimiter}n\nneighbour{delimiter}7\n".encode(codec)
