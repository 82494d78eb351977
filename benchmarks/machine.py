"""What the figures were measured on: the machine and the versions."""

import platform
import re
from importlib.metadata import version
from os import cpu_count, sysconf
from pathlib import Path

PACKAGES = ("dagster", "duckdb", "pandas", "dagster-duckdb-pandas")


def described(folder: Path) -> dict[str, str]:
    """The machine, and the versions of what counts.

    Args:
        folder: on the disk that the benchmarks use.
    """
    return {
        "CPU": f"{_cpu()}, {cpu_count()} cores",
        "memory": f"{sysconf('SC_PAGE_SIZE') * sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "disk": _disk(folder),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*: (.*)$", info.read_text(encoding="utf-8"), re.MULTILINE) if info.exists() else None
    )
    return found[1].strip() if found else platform.processor() or platform.machine()


def _disk(folder: Path) -> str:
    """File system and device of the mount that holds a folder, as far as the system tells."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    lines = [line.split()[:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    here = str(folder.absolute())
    device, _, system = max(
        (line for line in lines if here == line[1] or here.startswith(line[1].rstrip("/") + "/")),
        key=lambda line: len(line[1]),
    )
    return f"{system} on {_kind(folder, device)}"


def _kind(folder: Path, device: str) -> str:
    number = folder.stat().st_dev
    block = Path(f"/sys/dev/block/{number >> 8}:{number & 255}")
    flags = [place / "queue/rotational" for place in (block, block.resolve().parent)]
    flag = next((path.read_text(encoding="utf-8").strip() for path in flags if path.exists()), None)
    kind = {"0": "solid state or virtual disk", "1": "rotating disk"}.get(flag or "", "unknown kind of disk")
    return f"{device.removeprefix('/dev/')}, {kind}"
