"""Shops that load in shards, and what has to be equal to what a shop has that loads in one process."""

import pickle
from dataclasses import dataclass, replace
from typing import Any

from orchestration_project.ingest.shard import ShardResult, ShardTask, run_shard
from orchestration_project.settings import SHARD_PROCESSES, Settings
from orchestration_project_tests.ingest.shop import Shop

HERE = f"{__name__}:in_this_process"


@dataclass
class ShardedShop(Shop):
    """A shop that loads in shards, however little there is to load."""

    shards: int = 2
    executor: str = SHARD_PROCESSES

    @property
    def settings(self) -> Settings:
        """The settings of a shop, and those of shards."""
        return replace(super().settings, shards=self.shards, shards_executor=self.executor, shards_from_bytes=1)


def in_this_process(task: ShardTask) -> ShardResult:
    """An executor: what it is given and what it gives back could go to another process and come back."""
    given = pickle.loads(pickle.dumps(task))  # noqa: S301 - of this very line
    result: ShardResult = pickle.loads(pickle.dumps(run_shard(given)))  # noqa: S301 - of this very line
    return result


def evidence(shop: Shop) -> dict[str, Any]:
    """All that a shop has: tables with every type and time, ledger, archive, quarantine, what is left in landing."""
    notes = {
        name: {key: value for key, value in note.items() if key != "refused_at"}
        for name, note in shop.quarantine().items()
    }
    parts = shop.rows("FROM file_batches ORDER BY ALL")
    tables = {name: {key: repr(value) for key, value in enumerate(rows)} for name, rows in shop.tables().items()}
    return {
        **tables,
        "types": {name: types(shop, name) for name in ("raw_f", "cleaned_f", "rejected_f")},
        "ledger": shop.rows("FROM file_ledger ORDER BY ALL"),
        "parts": parts,
        "archive": shop.archive(),
        "quarantine": notes,
        "landing": shop.landing(),
    }


def types(shop: Shop, table: str) -> list[tuple[str, str]]:
    """The columns of a table and their types."""
    return [(row["column_name"], row["column_type"]) for row in shop.rows(f"DESCRIBE {table}")]


def loads_in_shards(shop: ShardedShop) -> bool:
    """Whether its last loads were in shards."""
    return any("shard(s) done" in line for line in shop.told)
