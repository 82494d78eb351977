"""The result of each check of a feed on the batches of one run, with the numbers and rows that explain it.

Belongs here: when a check passes, its severity, its words and its metadata. What is measured is in `inspection`; which
checks there are is in `components.feed_checks`.
"""
