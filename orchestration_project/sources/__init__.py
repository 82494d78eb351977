"""Sources: files and rows are fetched from where they are, and land as files of a feed.

    model     what travels between a source and its fetch, and the protocol of sources
    memory    what was fetched before, crash-safely, outside of the warehouse
    fetch     one fetch: list, compare with the memory, download, land, remember
    session   a source as it was declared, and what is done with it
    complete  where the files are that were fetched: in landing, in the ledger, nowhere
    naming    which keys are wanted, and what their files are called
    dated     addresses and names with a batch in them
    addresses which addresses of web servers can be used, and what may be shown of them
    kinds     the kinds of sources, and how each is opened

The other modules are those of the kinds: `http`, `rest`, `imap`, `sql`, `object_store`, `sftp`. What `defs.yaml` may
say of one is in its `..._options`, which opens nothing and imports nothing large.

What was fetched is a file in the feed's landing like any other, so identity, archive, rejects, repair and rebuild hold
for it. A new kind of source is a class that has the methods of `model.Source`, a row in `kinds`, and a field of the
component `Source`.
"""
