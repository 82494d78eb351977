"""One delivery of a table, and the comparison afterwards.

The order is what makes two deliveries at once harmless: first what the target has, then the warehouse, then the target
again, which refuses if it has something else by now. So no older state of the warehouse replaces a newer one.

Nothing of the target is asked while the warehouse is open. A target that is slow or dead makes no load wait.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

from filelock import FileLock, Timeout

from orchestration_project.delivery.model import (
    WHOLE,
    Contents,
    Figures,
    Plan,
    Shape,
    StagedPart,
    Target,
    differences,
    plan,
)
from orchestration_project.delivery.source import Selection, contents_of, copy_parts, figures_of, shape_of
from orchestration_project.errors import DeliveryError
from orchestration_project.failpoints import Delivery, reached
from orchestration_project.storage.archive import ensure_folder
from orchestration_project.warehouse.connection import Warehouse

LOCK = "in-use.lock"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a delivery has done: the table's shape, what was written with its figures, and what was removed.

    `size` is the bytes of the copies that were made; `parts` is how many the target has now.
    """

    shape: Shape
    written: Mapping[str, Figures] = field(default_factory=dict)
    removed: Collection[str] = ()
    size: int = 0
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both sides have.

    Attributes:
        compared: how many parts were compared.
        rows: how many rows the target has in them.
        wrong: what differs, by part.
        waiting: the parts whose rows have changed since they were delivered; the next delivery brings them.
    """

    compared: int
    rows: int
    wrong: Mapping[str, str]
    waiting: Collection[str] = ()


def deliver(warehouse: Warehouse, selection: Selection, target: Target, work: Path, purpose: str) -> Delivered:
    """Bring a target up to date with a table of the warehouse.

    Args:
        warehouse: with the table.
        selection: what is delivered of it.
        target: where to.
        work: an empty folder for the copies, with room for what has changed.
        purpose: what the delivery is for, shown to whoever waits for the warehouse.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        DeliveryConflict: another delivery of the table was faster.
        DeliveryError: the table can't be delivered as it is. The target has what it had.
        PlatformError: the target does not answer, or refuses.
    """
    known = target.delivered(selection.table)
    shape, contents, todo, staged = _copied(warehouse, selection, known, work, purpose)
    reached(Delivery.PLANNED)
    size = sum(part.path.stat().st_size for part in staged)
    if not todo.is_empty:
        target.deliver(shape, known, staged, todo.remove)
    written = {part.part: part.figures for part in staged}
    return Delivered(shape, written, todo.remove, size, len(contents))


def _copied(
    warehouse: Warehouse, selection: Selection, known: Contents, work: Path, purpose: str
) -> tuple[Shape, Contents, Plan, list[StagedPart]]:
    _require_warehouse(warehouse)
    with warehouse.connection(purpose, [work], read_only=True, shared=True) as connection:
        shape = shape_of(connection, selection)
        contents = contents_of(connection, selection, shape)
        todo = plan(contents, known)
        return shape, contents, todo, copy_parts(connection, selection, shape, contents, todo.write, work)


def compare(
    warehouse: Warehouse, selection: Selection, target: Target, parts: Collection[str] | None, purpose: str
) -> Comparison:
    """Compare parts (None: all) as the target's readers see them with the warehouse.

    A part that was loaded anew since its delivery is not compared: it waits for the next one.

    Raises:
        As `deliver`.
    """
    known = target.delivered(selection.table)
    _require_warehouse(warehouse)
    with warehouse.connection(purpose, read_only=True, shared=True) as connection:
        shape = shape_of(connection, selection)
        contents = contents_of(connection, selection, shape)
        if parts is not None and shape.batch is None:
            parts = [WHOLE]
        todo = plan(contents, known)
        waiting = {*todo.write, *todo.remove}
        asked = ({*contents, *known} if parts is None else {*parts} & {*contents, *known}) - waiting
        expected = figures_of(connection, shape, asked)
    # Of all parts, where nothing waits: then also what nobody has delivered is found.
    everything = parts is None and not waiting
    found = target.read_back(shape, None if everything else asked) if everything or asked else {}
    rows = sum(figures.rows for figures in found.values())
    told = waiting if parts is None else waiting & {*parts}
    return Comparison(len(asked), rows, differences(expected, found), sorted(told))


def _require_warehouse(warehouse: Warehouse) -> None:
    # A read-only connection makes no file.
    if not warehouse.exists():
        raise DeliveryError("there is no warehouse yet: load something first")


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    """An empty folder for copies, which is removed in the end. What a killed delivery has left goes, too."""
    ensure_folder(root)
    # Else one process could remove the folder that another has made and not locked yet.
    with FileLock(root / LOCK):
        for left in root.iterdir():
            if left.is_dir():
                _remove_unless_in_use(left)
        folder = Path(tempfile.mkdtemp(dir=root))
        in_use = FileLock(folder / LOCK)
        in_use.acquire()
    try:
        copies = folder / "copies"
        copies.mkdir()
        yield copies
    finally:
        in_use.release()
        rmtree(folder, ignore_errors=True)


def _remove_unless_in_use(folder: Path) -> None:
    # A lock is its process's: a kill frees it.
    try:
        with FileLock(folder / LOCK, timeout=0):
            rmtree(folder, ignore_errors=True)
    except Timeout:
        return
