"""Shops that load in shards, and what has to be equal to what a shop has that loads in one process."""

import pickle
from dataclasses import dataclass, replace
from typing import Any

from orchestration_project.ingest.shard import ShardResult, ShardTask, run_shard
from orchestration_project.setting_values import SHARD_PROCESSES
from orchestration_project.settings import Settings
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


TABLES = ("raw_f", "cleaned_f", "rejected_f", "published_batches", "file_ledger", "file_batches", "waivers")


def evidence(shop: Shop) -> dict[str, Any]:
    """All that a shop has: tables with types and times, ledger, archive, quarantine, what is left in landing."""
    tables = [*TABLES, *(["f_history"] if shop.options.history else [])]
    # Of one connection: to open a lake takes longer than to read it.
    with shop.warehouse.connection("test") as connection:
        types = {name: connection.execute(f"DESCRIBE {name}").fetchall() for name in tables}
        # As text: a NaN is not equal to itself.
        rows = {name: repr(connection.execute(f"FROM {name} ORDER BY ALL").fetchall()) for name in tables}
    return {
        "types": types,
        "rows": rows,
        "archive": shop.archive(),
        "quarantine": {name: note | {"refused_at": None} for name, note in shop.quarantine().items()},
        "landing": shop.landing(),
    }


def loads_in_shards(shop: ShardedShop) -> bool:
    """Whether its last loads were in shards."""
    return any("shard(s) done" in line for line in shop.told)
