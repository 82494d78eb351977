"""The process of one shard: it reads a task from its standard input, and writes what became of it to its output.

It ends with the process that started it: that one keeps the input open, and whoever it was that ended it, the system
closes it then. Both sides are this package's own, so what passes between them may be pickled objects.
"""

import os
import pickle
import sys
import threading
from typing import BinaryIO

from orchestration_project.ingest.shard import ShardFailure, ShardResult, run_shard

ORPHANED = 3
"""Exit status of a process whose parent has gone."""


def main() -> None:
    """Do the task of the standard input."""
    task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    threading.Thread(target=_end_with_parent, args=(sys.stdin.buffer,), daemon=True).start()
    # A library that prints must not print into the answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answer: ShardResult | ShardFailure
    try:
        answer = run_shard(task)
    except Exception as error:  # noqa: BLE001 - whatever it is, the load decides what becomes of it
        answer = ShardFailure.of(error)
    with answers:
        pickle.dump(answer, answers)


def _end_with_parent(stream: BinaryIO) -> None:
    stream.read()
    # Not `sys.exit`: the main thread may be deep in DuckDB.
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
