"""Readers of the published copy, in processes of their own: one that polls, and one that stays connected."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SUMS = """
SELECT (SELECT sum(units_sold) FROM product_daily_sales), (SELECT sum(quantity) FROM cleaned_sales),
    (SELECT sum(units_sold) FROM product_warehouse), (SELECT sum(cleaned) FROM file_ledger WHERE feed = 'sales'),
    (SELECT count(*) FROM cleaned_sales), (SELECT number FROM _published.state)
"""
READ = f"""
import duckdb, json, sys, threading
path, stays, pause = sys.argv[1], sys.argv[2] == "stays", float(sys.argv[3])
told = {{"reads": 0, "failures": [], "unbalanced": [], "states": []}}
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
connect = lambda: duckdb.connect(path, read_only=True)
kept = connect() if stays else None
print("ready", flush=True)
while not ended.wait(pause):
    try:
        connection = kept or connect()
        daily, cleaned, products, counted, rows, number = connection.execute({SUMS!r}).fetchone()
        told["reads"] += 1
        if not (daily == cleaned == products and counted == rows):
            told["unbalanced"].append([daily, cleaned, products, counted, rows])
        if number not in told["states"]:
            told["states"].append(number)
        if not stays:
            connection.close()
    except duckdb.Error as error:
        told["failures"].append(str(error)[:200])
print(json.dumps(told))
"""


END_SECONDS = 120
"""How long a reader may take to end: one that hangs is a fault, and must not keep the tests from ending."""


@dataclass
class Reader:
    """A reader at work; and what it has seen, once it has ended."""

    process: "subprocess.Popen[str]"
    reads: int = 0
    failures: list[str] = field(default_factory=list)
    unbalanced: list[list[int]] = field(default_factory=list)
    states: list[int] = field(default_factory=list)


@contextmanager
def paused(*readers: Reader) -> Iterator[None]:
    """Readers that do nothing, and take no time of a CPU, as long as the block takes."""
    for reader in readers:
        reader.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for reader in readers:
            reader.process.send_signal(signal.SIGCONT)


@contextmanager
def reading(copy: Path, how: str, pause: float = 0.02) -> Iterator[Reader]:
    """A process that reads the copy as long as the block takes.

    Args:
        copy: the DuckDB file of the copy.
        how: `stays` connected, or `polls`.
        pause: for how many seconds it does nothing between two reads.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", READ, str(copy), how, str(pause)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    reader = Reader(process)
    try:
        yield reader
    finally:
        try:
            out, _ = process.communicate(timeout=END_SECONDS)
        finally:
            process.kill()
    # Of the last line: on a slow machine DuckDB prints a progress bar before it.
    vars(reader).update(json.loads(out.splitlines()[-1]))
