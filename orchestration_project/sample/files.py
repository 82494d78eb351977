"""Write the sample's files, tell what is wrong with them, and put them into the drop folders."""

import datetime as dt
import filecmp
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.sample.defects import (
    SALES_DEFECTS,
    SALES_HEADER,
    Defect,
    Manifest,
    SampleFile,
    SampleSpec,
    damaged,
)
from orchestration_project.sample.records import (
    Product,
    RandomNumbers,
    SalesDay,
    catalogue,
    catalogue_defects,
    sales_day,
)

CHUNK_ROWS = 200_000
"""Records that are text in memory at a time."""


def generate(spec: SampleSpec, into: Path) -> Manifest:
    """Write `products/products_<day>.json` and `sales/sales_<day>.csv` for each day below a folder.

    Args:
        spec: what to generate.
        into: the folder; made when missing. Files of the same names are replaced.

    Returns:
        What was written, with every injected defect.
    """
    products = catalogue(spec.products, spec.seed)
    prices = [product.cents for product in products]
    files = [_write_products(spec, products, into)]
    yesterday = None
    for index in range(spec.days):
        today = sales_day(
            spec.first_day + dt.timedelta(days=index), spec.rows, prices, RandomNumbers(spec.seed, 1, index)
        )
        files.append(_write_sales(spec, index, today, yesterday, into))
        yesterday = today
    return Manifest(tuple(files))


def _write_products(spec: SampleSpec, products: list[Product], into: Path) -> SampleFile:
    entries, injected = catalogue_defects(products, spec.defects if spec.defect_rate else ())
    name = f"products_{spec.first_day:%Y-%m-%d}.json"
    text = json.dumps([entry.as_json() for entry in entries], indent=2, ensure_ascii=False)
    _write(into / "products" / name, iter([text, "\n"]))
    return SampleFile("products", name, spec.first_day, len(entries), injected)


def _write_sales(spec: SampleSpec, index: int, today: SalesDay, yesterday: SalesDay | None, into: Path) -> SampleFile:
    chosen = _choose(spec, index)
    unknown = spec.products + 1000
    changed: dict[int, str] = {}
    for position, kind in chosen.items():
        # The record before lends its key: of today, or of yesterday's file where the key is to repeat across days.
        lender = yesterday if kind is Defect.REPEATED_KEY and yesterday else today
        key = lender.fields(position - 1)[:2]
        changed[position] = ",".join(damaged(kind, today.fields(position), key, unknown))
    name = f"sales_{today.day:%Y-%m-%d}.csv"
    _write(into / "sales" / name, _sales_text(today, spec.rows, changed))
    return SampleFile("sales", name, today.day, spec.rows, _numbers(chosen))


def _choose(spec: SampleSpec, index: int) -> dict[int, Defect]:
    """Which records of a day (0-based) are damaged and how.

    Only every second record is eligible: the one before a damaged record is sound and can lend its key.
    """
    # On the first day there is no day before, whose keys could repeat.
    kinds = [kind for kind in spec.defects if kind in SALES_DEFECTS and (index or kind is not Defect.REPEATED_KEY)]
    count = min(round(spec.rows * spec.defect_rate), spec.rows // 2) if kinds else 0
    pairs = RandomNumbers(spec.seed, 2, index).shuffled(spec.rows // 2)[:count]
    positions = sorted((pairs * 2 + 1).tolist())
    # Each day goes on where the one before ended, so that every kind comes even if a day has fewer defects than kinds.
    return {position: kinds[(index * count + turn) % len(kinds)] for turn, position in enumerate(positions)}


def _numbers(chosen: Mapping[int, Defect]) -> dict[Defect, tuple[int, ...]]:
    found: defaultdict[Defect, list[int]] = defaultdict(list)
    for position, kind in chosen.items():
        # The copy of a key comes right after its original, and the original must lose.
        found[kind].append(position if kind is Defect.DUPLICATE_KEY else position + 1)
    return {kind: tuple(numbers) for kind, numbers in found.items()}


def _sales_text(today: SalesDay, rows: int, changed: Mapping[int, str]) -> Iterator[str]:
    yield ",".join(SALES_HEADER) + "\n"
    for start in range(0, rows, CHUNK_ROWS):
        stop = min(start + CHUNK_ROWS, rows)
        lines = today.lines(start, stop)
        for position in changed.keys() & range(start, stop):
            lines[position - start] = changed[position]
        yield "\n".join(lines) + "\n"


def _write(path: Path, parts: Iterator[str]) -> None:
    """Write under a name that readers of a drop folder leave alone, until all is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    # newline="" keeps line ends as they are: the same bytes on every platform.
    with partial.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(parts)
    partial.replace(path)


@dataclass(frozen=True, slots=True)
class Delivered:
    """Names of the files that were put into landing, and of those that had been delivered before."""

    new: tuple[str, ...]
    known: tuple[str, ...]


def deliver(source: Path, landing: Callable[[str], Path], archive: Callable[[str], Path]) -> Delivered:
    """Copy `<source>/<feed>/*` to the feeds' drop folders.

    A file that lies in landing or in the archive already, with the same name and bytes, is left out.

    Args:
        source: one folder a feed.
        landing: tells a feed's drop folder.
        archive: tells a feed's archive.
    """
    new, known = [], []
    for file in sorted(path for path in source.glob("*/*") if path.is_file() and not path.name.startswith(".")):
        feed = file.parent.name
        if _has(landing(feed), file) or _has(archive(feed), file):
            known.append(file.name)
        else:
            _copy(file, landing(feed) / file.name)
            new.append(file.name)
    return Delivered(tuple(new), tuple(known))


def _has(folder: Path, file: Path) -> bool:
    # Below the folder, because an archive has a folder a batch. By bytes: a correction has the same name.
    return any(filecmp.cmp(file, found, shallow=False) for found in folder.rglob(file.name) if found.is_file())


def _copy(file: Path, target: Path) -> None:
    """Under a name that readers of the folder leave alone, until all is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.copyfile(file, partial)
    partial.replace(target)
