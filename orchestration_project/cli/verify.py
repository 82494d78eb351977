"""`verify` as a command: which feeds and batches are meant, and how the result is shown."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration_project.components.feed_list import feeds_of, project_tree
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.proofs import proofs_of
from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.errors import PlatformError
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import Verification
from orchestration_project.inspection.verify import verify
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse


class NoSuchFeed(PlatformError):
    """A feed or batch that was named is none of the project's."""


def verify_project(feeds: Sequence[str], keys: Sequence[str] | None) -> Verification:
    """Verify feeds of this project.

    Args:
        feeds: their names; none for all.
        keys: partition keys of the batches; None for all.

    Raises:
        PlatformError: there is no such feed or batch, or the warehouse is busy.
    """
    with project_tree(Path(__file__).parent) as tree:
        known, proofs = {spec.name: spec for spec in feeds_of(tree)}, proofs_of(tree)
    if strange := [name for name in feeds if name not in known]:
        hint = did_you_mean(strange[0], known)
        raise NoSuchFeed(f"no such feed: {', '.join(strange)}; there are {', '.join(known)}{hint}")
    chosen = [known[name] for name in feeds or known]
    for spec in chosen:
        _require_keys(spec, keys or [])
    settings = Settings.from_env()
    sources = [ConfiguredFeed(spec.feed, spec.options) for spec in chosen]
    return verify(Warehouse.from_settings(settings), settings, sources, keys, proofs)


def _require_keys(spec: FeedSpec, keys: Sequence[str]) -> None:
    for key in keys:
        try:
            spec.options.batching.from_key(key)
        except ValueError as error:
            example = spec.options.batching.key(spec.options.batching.start)
            raise NoSuchFeed(f"{key!r} is no batch of the feed {spec.name}; write it like {example}") from error


def print_verification(console: Console, found: Verification) -> None:
    """Print what was compared, what disagrees, and the remedies, each once and unbroken, to be copied."""
    if found.findings:
        table = Table(title="Findings", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for name in ("feed", "batch", "file", "what", "expected", "found"):
            table.add_column(name, no_wrap=name in ("feed", "batch"), overflow="fold")
        for item in found.findings:
            cells = (item.feed, item.batch, item.file, item.what, item.expected, item.found)
            table.add_row(*(escape(cell) for cell in cells))
        console.print(table)
        console.print("[bold]What to do[/bold]")
        for remedy in dict.fromkeys(item.remedy for item in found.findings):
            console.print(f"  {remedy}", soft_wrap=True, markup=False, highlight=False)
    compared = f"{found.files:,} archived files ({found.bytes:,} bytes) and {found.records:,} records compared: "
    console.print(compared + (f"{len(found.findings):,} finding(s)" if found.findings else "all proven"))
