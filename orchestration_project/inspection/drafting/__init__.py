"""Draft a feed from sample files: a contract and a defs.yaml, for a person to check.

    layout   how the samples are written        headers  which record names the columns
    documents  where their records are, inside of JSON documents
    read     the samples as text                tail     totals and broken records
    values   the texts of many columns at once  options  the types that texts may have
    types    the columns' types                 names    names, batches, personal data
    places   what the files' names tell         keys     the primary key
    groups   what only first records have       trial    a dry run with the samples
    render   contract and defs.yaml             draft    all of it

This is the only place where the platform guesses, and each guess says what it rests on. No value of a sample gets into
a draft, except words for missing values such as `N/A`.
"""
