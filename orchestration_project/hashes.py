"""How long the hashes are that people read and that stand in tables: a version, a contract, what waits.

Not here: how bytes are read and hashed, which is in `storage.files`.
"""

SHOWN_DIGITS = 16
"""64 bits: enough to tell the versions of one file apart, and short enough to be read."""


def shown(sha256: str) -> str:
    """The first hex digits of a SHA-256."""
    return sha256[:SHOWN_DIGITS]
