"""Which pages are generated, and where they belong."""

from pathlib import Path

from orchestration_project.cli.docs.catalogue import catalogue
from orchestration_project.cli.docs.manual import manual
from orchestration_project.definitions import defs

DOCS = Path(__file__).parents[3] / "docs"


def pages() -> dict[str, str]:
    """The text of each generated page, by its name in docs/."""
    return {"catalogue.md": catalogue(defs()), "reference.md": manual()}
