"""Draft a feed from sample files: a contract and a defs.yaml, for a person to check.

Here, and only here, it is guessed: from the samples' values, each guess with what it rests on. No value of a sample
gets into a draft, but for the words that stand for a missing one.
"""
