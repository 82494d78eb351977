"""How a feed learns of its source: the component that fetches for it tells the feed's name.

Apart from `source`, because that one asks for the feeds, and each feed asks for its source.
"""

import dagster as dg


class FeedSource(dg.Component):
    """A component that fetches files for a feed.

    Attributes:
        feed: the feed's name.
    """

    feed: str


def source_key(feed: str) -> dg.AssetKey:
    """Key of the asset that stands for a feed's source."""
    return dg.AssetKey(f"source_{feed}")


def sources_of(tree: dg.ComponentTree, feed: str) -> list[dg.AssetKey]:
    """The keys of what a feed's landing is filled from; none where people and other programs drop the files.

    Two are a mistake, which the sources tell.
    """
    # Where nobody has a source, Dagster compares types, and loads no component. It finds subclasses of an abstract
    # class as well as of others; its annotation does not say so.
    found = tree.get_all_components(of_type=FeedSource)  # type: ignore[type-abstract]
    return [source_key(feed) for source in found if source.feed == feed]
