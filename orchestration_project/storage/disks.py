"""The disks that the platform writes to. How little room is too little is decided in `alerts`."""

import shutil
from dataclasses import dataclass

from orchestration_project.settings import Settings


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk with something of the platform.

    Attributes:
        name: what of the platform is on it: data, warehouse or history.
        folder: where.
        free, total: its bytes.
    """

    name: str
    folder: str
    free: int
    total: int


def disks_of(settings: Settings) -> list[Disk]:
    """The disk of the data, and those of warehouse and history where they are others."""
    folders = {"data": settings.data_dir, "warehouse": settings.warehouse_folder, "history": settings.dagster_home}
    found: dict[int, Disk] = {}
    for name, folder in folders.items():
        if folder and folder.is_dir():
            usage = shutil.disk_usage(folder)
            # By device: folders on one disk would be one full disk told three times.
            found.setdefault(folder.stat().st_dev, Disk(name, str(folder), usage.free, usage.total))
    return list(found.values())
