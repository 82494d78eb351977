"""Sources: files and rows are fetched from where they are, and land as files of a feed.

    model     what travels between a source and its fetch, and the protocol of sources
    memory    what was fetched before, crash-safely, outside of the warehouse
    fetch     one fetch: list, compare with the memory, download, land, remember

What was fetched is a file in the feed's landing like any other, so identity, archive, rejects, repair and rebuild hold
for it. A new kind of source is a module with a class that has the methods of `model.Source`.
"""
