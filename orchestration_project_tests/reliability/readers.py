"""Readers of the published copy, in processes of their own: one that polls, and one that stays connected."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUMS = """
SELECT (SELECT sum(units_sold) FROM product_daily_sales), (SELECT sum(quantity) FROM cleaned_sales),
    (SELECT sum(units_sold) FROM product_warehouse), (SELECT sum(cleaned) FROM file_ledger WHERE feed = 'sales'),
    (SELECT count(*) FROM cleaned_sales), (SELECT number FROM _published.state)
"""
READ = f"""
import duckdb, json, sys, threading
path, stays = sys.argv[1], sys.argv[2] == "stays"
told = {{"reads": 0, "failures": [], "unbalanced": [], "states": []}}
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
connect = lambda: duckdb.connect(path, read_only=True)
kept = connect() if stays else None
print("ready", flush=True)
while not ended.wait(0.02):
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


class Reader:
    """What a reader has seen, once it has ended."""

    reads: int = 0
    failures: list[str]
    unbalanced: list[list[int]]
    states: list[int]


@contextmanager
def reading(copy: Path, how: str) -> Iterator[Reader]:
    """A process that reads the copy as long as the block takes.

    Args:
        copy: the DuckDB file of the copy.
        how: `stays` connected, or `polls`.
    """
    reader = Reader()
    process = subprocess.Popen(
        [sys.executable, "-c", READ, str(copy), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    try:
        yield reader
    finally:
        out, _ = process.communicate()
    # Of the last line: on a slow machine DuckDB prints a progress bar before it.
    reader.__dict__.update(json.loads(out.splitlines()[-1]))
