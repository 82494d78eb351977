"""Which format a file seems to have, told by how its text begins. Loads do not ask: their contract tells them."""

from orchestration_project.contracts.feed import FileFormat

PARQUET_MAGIC = b"PAR1"
BLANKS = b"\xef\xbb\xbf \t\r\n"


def kind_of(beginning: bytes) -> FileFormat:
    """The format that the first bytes of a decompressed file look like; CSV when they look like no other."""
    if beginning.startswith(PARQUET_MAGIC):
        return FileFormat.PARQUET
    return FileFormat.JSON if beginning.lstrip(BLANKS)[:1] in (b"{", b"[") else FileFormat.CSV
