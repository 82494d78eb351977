"""What a verification can find, the commands that mend it, and how a mart takes part in it. No I/O here."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.warehouse.feed_tables import cleaned_table, raw_table, rejected_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Of the packaged shop. A project of somebody's own has its module, which its feeds know.
DEFINITIONS = "orchestration_project.definitions"
PAGE = "docs/recover.md"
OTHERWISE = (
    "{:,} batch(es) were validated by another contract, or by an earlier release with another look-back; they are"
    " validated anew when they are loaded again"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement between files, ledger and tables.

    Attributes:
        feed: the feed; empty where it is about the warehouse as a whole.
        batch: partition key, as far as one is concerned.
        file: the file's name, or the table's.
        what: what disagrees.
        expected: what should be there.
        found: what is.
        remedy: what to do.
    """

    feed: str
    batch: str
    file: str
    what: str
    expected: str
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How a mart takes part in a verification, which knows none by name.

    Attributes:
        table: the mart.
        find: asks a read-only connection what disagrees between the mart and what it is made from. It is asked only
            where the warehouse has the table and all of `needs`.
        needs: the other tables that it asks.
        batches_of: the cleaned table whose batches are the mart's partitions; None: it has none.
    """

    table: str
    find: Callable[["DuckDBPyConnection"], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    batches_of: str | None = None


@dataclass(slots=True)
class Verification:
    """What was compared, and what disagrees. `files` and `bytes` count what was read and hashed in the archive.

    `cold_files` are in the cold archive: they were compared with its list, by name (which is their hash) and size.

    `notes` tell what nothing is wrong with: batches that are right by the contract that validated them.
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    cold_files: int = 0
    bytes: int = 0
    records: int = 0

    @property
    def proven(self) -> bool:
        """Whether nothing disagrees."""
        return not self.findings

    def as_dict(self) -> dict[str, object]:
        """As plain data."""
        return {"proven": self.proven, **asdict(self)}


def rebuild_of(feed: str = "FEED") -> str:
    """The command that makes a feed's tables anew from its archived files."""
    return f"orchestration-project rebuild {feed}"


def rebuild_from_archive(feed: str = "FEED") -> str:
    """The advice to do so, where the tables or the ledger can't tell what is right."""
    return f"rebuild it from the archive: `{rebuild_of(feed)}` ({PAGE})"


def withdrawal(feed: str, file: str, key: str) -> str:
    """The command that takes an accepted file back."""
    # A name from outside becomes part of a command that a person copies into a shell.
    return f"orchestration-project withdraw {feed} {shlex.quote(file)} --batch {key} --reason WHY"


def load_again(source: ConfiguredFeed, keys: Iterable[str]) -> str:
    """The command that loads some batches again, from the archive where rows are missing."""
    # All three, since one load writes them in one transaction.
    tables = (raw_table(source.feed), cleaned_table(source.feed), rejected_table(source.feed))
    return materialize(tables, [] if source.options.snapshot else sorted(set(keys)), source.definitions)


def materialize(tables: Sequence[str], keys: Sequence[str], definitions: str = DEFINITIONS) -> str:
    """The command that materializes tables for the range of some partition keys.

    Args:
        tables: names of the assets.
        keys: partition keys, sorted; none for tables without partitions.
        definitions: module of the Dagster definitions that have them.
    """
    command = f"dagster asset materialize -m {definitions} --select {','.join(tables)}"
    if not keys:
        return command
    return (
        f"{command} --partition {keys[0]}" if len(keys) == 1 else f"{command} --partition-range {keys[0]}...{keys[-1]}"
    )
