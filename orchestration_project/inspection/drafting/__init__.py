"""Draft a feed from sample files: a contract and a defs.yaml, for a person to check.

    layout   how the samples are written        types    the columns' types
    names    names, batches, personal data and keys
    render   contract and defs.yaml             draft    all of it, and a dry run with the samples

This is the only place where the platform guesses, and each guess says what it rests on. No value of a sample gets into
a draft, except words for missing values such as `N/A`.
"""
