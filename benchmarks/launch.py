"""Runs a command and tells what it took: a small process between the session and what it measures.

    python -I -S launch.py FD COMMAND...

A process counts the memory of the one that started it as its own peak, until it grows beyond that, and a session that
has made ten million records is large. So this imports next to nothing.
"""

import os
import sys
import time


def main(told: int, command: list[str]) -> None:
    """Write exit code, seconds, peak memory in bytes and CPU seconds to a file descriptor.

    The command does not see it.
    """
    os.set_inheritable(told, False)
    began = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)  # noqa: TID251 - handed on
    seconds = time.perf_counter() - began
    # macOS counts bytes, others kilobytes.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = usage.ru_utime + usage.ru_stime
    os.write(told, f"{os.waitstatus_to_exitcode(status)} {seconds} {peak} {cpu}".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
