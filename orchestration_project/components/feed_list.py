"""The feeds of a code location: the one list for whatever is about all of them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.file_feed import FileFeed


def feeds_of(tree: dg.ComponentTree) -> list[FeedSpec]:
    """The feeds below a `defs` folder, by name. A tree reads each contract once."""
    return sorted((feed.spec for feed in tree.get_all_components(of_type=FileFeed)), key=lambda spec: spec.name)


def feeds_of_project(path_within: Path) -> list[FeedSpec]:
    """The feeds of the project that a path lies in, by name, without building any definition."""
    with project_tree(path_within) as tree:
        return feeds_of(tree)


@contextmanager
def project_tree(path_within: Path) -> Iterator[dg.ComponentTree]:
    """The components of the project that a path lies in."""
    with warnings.catch_warnings():
        # As `load_from_defs_folder` does: Dagster uses what it warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield dg.ComponentTree.for_project(path_within)
