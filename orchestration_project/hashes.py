"""The hashes that people read and that stand in tables, and how long they are: a version, a contract, what waits.

Not here: how bytes are read and hashed, which is in `storage.files`.
"""

import hashlib

SHOWN_DIGITS = 16
"""64 bits: enough to tell the versions of one file apart, and short enough to be read."""


def shown(sha256: str) -> str:
    """The first hex digits of a SHA-256."""
    return sha256[:SHOWN_DIGITS]


def digest_of(text: str) -> str:
    """The first hex digits of the SHA-256 of a text."""
    return shown(hashlib.sha256(text.encode()).hexdigest())
