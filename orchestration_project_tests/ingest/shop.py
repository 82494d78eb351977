"""A feed with its folders and its warehouse, small enough that a test shows all that matters."""

import datetime as dt
import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from orchestration_project.contracts.feed import Column, Feed, Parsing, Required, Rule, SourceFormat
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.report import Report
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batch, Batching, Cadence, is_any_key
from orchestration_project.storage.members import unpacked
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.feed_tables import PLATFORM_COLUMNS
from orchestration_project_tests.servers.warehouses import copied_folder, place

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
PATTERN = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
DAY = dt.date(2024, 1, 1)

Row = dict[str, Any]


def column(name: str, sql_type: str = "VARCHAR", *rules: Rule, source: str | None = None, **fields: Any) -> Column:
    """A column that is read from the field of its own name unless `source` or `expression` is given."""
    derived = "expression" in fields
    return Column(name, sql_type, None if derived else source or name, rules=rules, **fields)


def feed(*columns: Column, source: SourceFormat | None = None, **fields: Any) -> Feed:
    """A contract; without columns it has a required `id` and an integer `n`."""
    default = (column("id", "VARCHAR", Required()), column("n", "INTEGER"))
    return Feed("f", "1.0.0", columns or default, source=source or SourceFormat(), **fields)


def parsed(feed: Feed, **parsing: Any) -> Feed:
    """The feed, all of whose columns are parsed in a certain way."""
    columns = tuple(replace(item, parsing=replace(item.parsing, **parsing)) for item in feed.columns)
    return replace(feed, columns=columns)


def options(**fields: Any) -> FeedOptions:
    """Daily batches by the date in the name; nothing is refused for its reject rate."""
    batching = Batching(Cadence.DAILY, dt.date(2000, 1, 1), re.compile(PATTERN))
    return FeedOptions(**{"batching": batching, "max_reject_rate": 1.0, **fields})


def day(number: int) -> dt.date:
    """The n-th day, from 1 on."""
    return DAY + dt.timedelta(days=number - 1)


def named(number: int, name: str = "s") -> str:
    """The name of a file for the n-th day."""
    return f"{name}_{day(number)}.csv"


def rows_of(cursor: "DuckDBPyConnection") -> list[Row]:
    """The result of a query that was executed."""
    names = [item[0] for item in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def of_table(name: str) -> str:
    """A query for all rows of `raw`, `cleaned` or `rejected`, in order of batch, file and record."""
    return f"SELECT * FROM {name}_f ORDER BY {', '.join(PLATFORM_COLUMNS)}"


@dataclass
class Shop:
    """One feed over one folder. Files are a minute apart unless a test says otherwise."""

    folder: Path
    feed: Feed = field(default_factory=feed)
    options: FeedOptions = field(default_factory=options)
    minutes: "itertools.count[int]" = field(default_factory=itertools.count)
    told: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The settings, with a DuckDB that leaves a core to others and a short patience."""
        url, data = place(self.folder)
        return Settings(data_dir=self.folder, warehouse_url=url, warehouse_data=data, lock_timeout=0.2, threads=1)

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse."""
        return Warehouse.from_settings(self.settings)

    def deliver(self, name: str, content: str | bytes, minute: int | None = None) -> Path:
        """Put a file in landing."""
        path = self.settings.landing(self.feed.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        modified = dt.datetime(2024, 2, 1, tzinfo=dt.UTC).timestamp() + 60 * (
            next(self.minutes) if minute is None else minute
        )
        os.utime(path, (modified, modified))
        return path

    def load(self, *batches: Batch, **request: Any) -> Report:
        """Load some batches, by default those of the files in landing (all for a snapshot feed)."""
        wanted = None if self.options.snapshot else list(batches or self.due())
        return load(
            self.warehouse,
            self.settings,
            self.feed,
            self.options,
            Request(wanted, now=request.pop("now", NOW), **request),
            self.told.append,
        )

    def copied(self, folder: Path) -> Self:
        """The same shop in another folder, with a warehouse of its own."""
        return replace(self, folder=copied_folder(self.folder, folder))

    def due(self) -> set[Batch]:
        """The batches of the files in landing and in the archive."""
        batching = self.options.batching
        keys = [
            path.name
            for path in self.settings.archive(self.feed.name).glob("*")
            if path.is_dir() and is_any_key(path.name)
        ]
        found = [*self.settings.landing(self.feed.name).glob("*")]
        found += [file.path for file in unpacked(self.settings.archive(self.feed.name))]
        dated = [path for path in found if batching.pattern is None or batching.pattern.search(path.name)]
        modified = {path: dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) for path in dated}
        return {*(batching.batch_of(path.name, modified[path]) for path in dated), *map(batching.from_key, keys)}

    def rows(self, sql: str) -> list[Row]:
        """The result of a query."""
        return self.asked({"": sql})[""]

    def asked(self, queries: Mapping[str, str]) -> dict[str, list[Row]]:
        """The results of queries by name, on one connection: to open one takes longer than most queries."""
        with self.warehouse.connection("test") as connection:
            return {name: rows_of(connection.execute(sql)) for name, sql in queries.items()}

    def table(self, name: str) -> list[Row]:
        """All rows of `raw`, `cleaned` or `rejected`, in order of batch, file and record."""
        return self.rows(of_table(name))

    def tables(self) -> dict[str, list[Row]]:
        """Everything that loads must agree on."""
        queries = {"published": "FROM published_batches ORDER BY _batch_date"}
        queries |= {"history": "FROM f_history ORDER BY ALL"} if self.options.history else {}
        return {"history": []} | self.asked(queries | {name: of_table(name) for name in ("raw", "cleaned", "rejected")})

    def records(self, file: str | None = None) -> dict[int, tuple[str | None, ...] | str]:
        """What was read as each record, by its number: its values, its parse error's code, or () if it is blank."""
        names = [item.name for item in self.feed.source_columns]
        return {
            row["_row"]: row["_parse_error"].split(":")[0]
            if row["_parse_error"]
            else tuple(row[name] for name in names) * any(row[name] is not None for name in [*names, "_rescued"])
            for row in self.table("raw")
            if file in (None, row["_file"])
        }

    def cleaned(self, *columns: str) -> list[Any]:
        """Values of the cleaned rows: of one column, or tuples of several."""
        return picked(self.table("cleaned"), columns)

    def rejected(self) -> dict[int, list[str]]:
        """The reasons of each rejected record, by its number."""
        return {row["_row"]: row["_reasons"] for row in self.table("rejected")}

    def ledger(self, *columns: str) -> list[Any]:
        """The ledger in order of files and deliveries."""
        return picked(self.rows("SELECT * FROM file_ledger ORDER BY file, delivery, seen_at"), columns)

    def landing(self) -> list[str]:
        """Names of the files that are left in landing; those that are only watched are not."""
        return sorted(path.name for path in self.settings.landing(self.feed.name).glob("*") if path.name != ".taken")

    def archive(self) -> list[str]:
        """The files in the archive, without those that are only watched."""
        root = self.settings.archive(self.feed.name)
        files = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        return sorted(file for file in files if not file.startswith(".taken/"))

    def quarantine(self) -> dict[str, Row]:
        """The files in quarantine with their reasons."""
        folder = self.settings.quarantine(self.feed.name)
        notes = {path.name.removesuffix(".reason.json"): path for path in folder.glob("*.reason.json")}
        assert all((folder / name).is_file() for name in notes)
        return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in notes.items()}

    def lose_warehouse(self) -> None:
        """Delete the warehouse."""
        for path in self.folder.glob("warehouse.duckdb*"):
            path.unlink()


def picked(rows: Iterable[Row], columns: tuple[str, ...]) -> list[Any]:
    """Values of one column, or tuples of several."""
    return [row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns) for row in rows]


def read(folder: Path, content: str | bytes, contract: Feed | None = None, name: str = "s_2024-01-01.csv") -> Shop:
    """A shop that has loaded one file."""
    shop = Shop(folder, contract or feed())
    shop.deliver(name, content)
    shop.load()
    return shop


__all__ = ["DAY", "NOW", "Parsing", "Row", "Shop", "column", "day", "feed", "named", "options", "parsed", "read"]
