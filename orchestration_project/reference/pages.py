"""Which pages are generated, and where they belong."""

from pathlib import Path

from orchestration_project.definitions import defs
from orchestration_project.reference.catalogue import catalogue
from orchestration_project.reference.manual import manual

DOCS = Path(__file__).parents[2] / "docs"


def pages() -> dict[str, str]:
    """The text of each generated page, by its name in docs/."""
    return {"catalogue.md": catalogue(defs()), "reference.md": manual()}
