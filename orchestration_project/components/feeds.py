"""The project's feeds by name, for commands that work on one without a run."""

from pathlib import Path

import dagster as dg
import yaml

from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.file_feed import FileFeed
from orchestration_project.contracts import load_feed

DEFINITIONS = Path(__file__).parents[1] / "defs"


def feed_specs(folder: Path = DEFINITIONS) -> dict[str, FeedSpec]:
    """The feeds that the `defs.yaml` files below a folder define, by name."""
    found = {}
    for path in sorted(folder.rglob("defs.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if str((document or {}).get("type")).endswith(f".{FileFeed.__name__}"):
                model = FileFeed.model().model_validate(document["attributes"])
                feed = FileFeed.resolve_from_model(dg.ResolutionContext.default(), model)
                spec = feed.spec_of(load_feed(path.parent / feed.contract))
                found[spec.name] = spec
    return found
