"""The benchmarks: `python -m benchmarks [PART]...`.

Belongs here: reading arguments, printing and writing results. Does not belong here: what is measured.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from benchmarks import machine
from benchmarks.measure import tell
from benchmarks.parts import (
    drafting,
    feeds,
    increment,
    load,
    orchestration,
    out,
    publishing,
    scaling,
    shards,
    warehouses,
    writers,
)
from benchmarks.report import Section
from benchmarks.session import Session

HERE = Path(__file__).parent
PARTS: Mapping[str, Callable[[Session], Section]] = {
    "load": load.measure,
    "increment": increment.measure,
    "publishing": publishing.measure,
    "out": out.measure,
    "orchestration": orchestration.measure,
    "scaling": scaling.measure,
    "drafting": drafting.measure,
    "feeds": feeds.measure,
    "warehouses": warehouses.measure,
    "shards": shards.measure,
    "workers": partial(writers.measure, writers.LARGE),
    "writers": partial(writers.measure, writers.SMALL),
}
BY_NAME = frozenset({"feeds", "warehouses", "shards", "workers", "writers"})
"""What is measured only when it is named, because it takes long."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)), metavar="[PART]...")
@click.option(
    "--rows", type=click.IntRange(3000), help="Records of the large loads; each part's own size when left out."
)
@click.option("--rounds", type=click.IntRange(1), help="How often the main contenders run.")
@click.option("--full", is_flag=True, help="More rounds, and more records; takes about two hours.")
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False, writable=True),
    default=HERE / ".work",
    help="Folder for data and warehouses; it should be on a real disk. What is put there is taken away again.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Where to write the results; benchmarks/results.md when left out and all parts are measured.",
)
def main(
    parts: Sequence[str], rows: int | None, rounds: int | None, full: bool, work: Path, results: Path | None
) -> None:
    """Measure each PART, print what came out, and write it to a file.

    Parts: load increment publishing out orchestration scaling drafting. By their names alone: feeds, and those of make
    bench-cluster, which are warehouses shards workers writers.

    Exits with 1 when something could not be measured.
    """
    # As Ctrl-C does: what was begun is ended, and nothing is left of it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    facts = {"load when it began": f"{os.getloadavg()[0]:.1f}"}
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=work, ignore_cleanup_errors=True) as folder:
        session = Session(Path(folder).absolute(), rows, rounds, full)
        sections = [_measured(name, session) for name in PARTS if name in (parts or PARTS.keys() - BY_NAME)]
        facts |= machine.described(session.work)
    target = results or (None if parts else HERE / "results.md")
    if target:
        target.write_text(_page(facts, sections, parts), encoding="utf-8")
        click.echo(f"Written to {target}")
    if any(section.failures for section in sections):
        raise SystemExit(1)


def _measured(name: str, session: Session) -> Section:
    tell(f"-- {name}")
    began = time.monotonic()
    section = PARTS[name](session)
    session.clear()
    tell(f"{name} took {time.monotonic() - began:.0f} s altogether")
    click.echo(section)
    return section


def _page(facts: Mapping[str, str], sections: Sequence[Section], parts: Sequence[str]) -> str:
    described = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    command = f"python -m benchmarks {' '.join(parts)}" if parts else "make bench"
    intro = f"Written by `{command}`; [how to read it](../docs/performance.md).\nTimes are medians."
    return "\n\n".join(["# Results", intro, described, *map(str, sections)])


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
