"""Shards on a Ray cluster make what one process makes, also when a node is lost."""

import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from orchestration_project.errors import ShardFailed
from orchestration_project.ingest.shard_runners import runner_of
from orchestration_project_tests.ingest.sharded import ShardedShop, evidence
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, options
from orchestration_project_tests.reliability.evidence import TORTURE, tried
from orchestration_project_tests.servers.ray_cluster import RayCluster, ray_cluster

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.promise("crash"),
    pytest.mark.xdist_group("ray"),
    # Ray leaves its files and sockets to the end of the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Tip. In future versions of Ray:FutureWarning"),
]

CONTRACT = feed(column("id"), column("n", "INTEGER"), primary_key=("id",))


def fill(shop: Shop) -> Shop:
    """Deliver four files, and load them."""
    for number in range(1, 5):
        shop.deliver(named(number), f"id,n\na,{number}\nb{number},x\n")
    shop.load()
    return shop


def test_a_cluster_makes_what_one_process_makes(tmp_path: Path) -> None:
    """The nodes of a cluster read and validate; a node that is lost at work costs its shard, which another one does."""
    tried()
    before = signal.getsignal(signal.SIGTERM)
    with ray_cluster(*([1, 1] if TORTURE else [2])) as cluster:
        shop = ShardedShop(tmp_path / "a", CONTRACT, options(), executor=f"ray:{cluster.address}")
        if TORTURE:
            threading.Thread(target=lose_a_node, args=(cluster, 1), daemon=True).start()
        fill(shop)
    assert evidence(shop) == evidence(fill(Shop(tmp_path / "b", CONTRACT, options())))
    assert signal.getsignal(signal.SIGTERM) is before
    assert any("2 of 2 shard(s) done" in line for line in shop.told)
    assert any("is done again" in line for line in shop.told) == TORTURE


def lose_a_node(cluster: RayCluster, number: int) -> None:
    """Lose a node as soon as it has a shard at work."""
    while not any(has_shard(pid) for pid in cluster.processes(number)):
        time.sleep(0.01)
    cluster.kill(number)


def has_shard(pid: int) -> bool:
    """Whether a process has the database of a shard open."""
    for file in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            if file.readlink().name == "scratch.duckdb":
                return True
    return False


def test_a_cluster_that_is_not_there_is_told_by_its_address() -> None:
    """A load for a cluster that does not answer fails, and says which one."""
    with pytest.raises(ShardFailed, match=r"ray:127\.0\.0\.1:1 can't be reached"), runner_of("ray:127.0.0.1:1"):
        pass
