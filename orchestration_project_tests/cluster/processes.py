"""The processes of this machine, by what /proc tells of them."""

import os
from contextlib import suppress
from pathlib import Path


def processes_of(group: int) -> list[int]:
    """The processes of a group that run, by their ids."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            zombie = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
            if os.getpgid(int(folder.name)) == group and not zombie:
                found.append(int(folder.name))
    return found


def processes_about(folder: Path) -> list[int]:
    """The processes that have a folder in their command line or in their environment, by their ids."""
    found, name = [], str(folder).encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if name in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
                found.append(int(process.name))
    return found
