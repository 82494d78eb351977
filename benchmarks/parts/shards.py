"""One load in shards: a month of files into a lake in PostgreSQL and S3, by one process, and divided into two."""

from contextlib import ExitStack
from statistics import median

from benchmarks.parts.writers import Batches, Writers, efficiency, ratio_of_rounds, run_all
from benchmarks.report import UNKNOWN, Section, megabytes, seconds, times
from benchmarks.session import Session
from benchmarks.warehouses import started

MONTH = Batches("Shards", 30, 33_333, 1, at_once=True)
ONE, TWO = {"WAREHOUSE_THREADS": "1"}, {"WAREHOUSE_THREADS": "2"}
SHARDED = ONE | {"SHARDS": "2", "SHARD_THREADS": "1", "SHARDS_FROM_BYTES": "1"}
COLUMNS = ["", "runs", "time", "of one process's", "efficiency", "CPU time", "peak memory"]
INTRO = """One load of {days} files of {rows:,} records into a lake that has another day, without Dagster. The load, and
each shard, has one thread of DuckDB; two threads without shards are beside it. *Efficiency* is the time of one process,
divided by twice the time of two: 1 is perfect. CPU time is that of all processes but the servers, the start of Python
included; peak memory is that of the largest process."""


def measure(session: Session) -> Section:
    """Measure the load with and without shards."""
    batches = MONTH.of(session)
    section = Section(batches.title, INTRO.format(days=batches.days, rows=batches.rows), COLUMNS)
    with ExitStack() as stack:
        both = started(session, section, stack)
        if both is None:
            return section
        ways = [
            Writers(session, both, batches, "1 process", settings=ONE),
            Writers(session, both, batches, "2 shards", settings=SHARDED),
            Writers(session, both, batches, "1 process, 2 threads", settings=TWO),
        ]
        contenders = run_all(ways)
    for way, item in zip(ways, contenders, strict=True):
        row = [way.name, str(len(way.times)), seconds(median(way.times) if way.times else None)]
        row += [times(ratio_of_rounds(way.times, ways[0].times)), times(efficiency(way.times, ways[0].times, 2))]
        section.rows.append([*row, seconds(item.cpu_seconds), megabytes(item.peak_bytes)])
    # One process has nobody to share with.
    section.rows[0] = [*section.rows[0][:3], UNKNOWN, UNKNOWN, *section.rows[0][5:]]
    section.add_failures(contenders)
    return section
