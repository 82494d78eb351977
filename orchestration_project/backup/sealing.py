"""Contents become objects and objects contents: compressed by zstd and, if there is a key, encrypted by age.

`BACKUP_KEY` has one or several words. A recipient, `age1...`, can only encrypt: whoever takes over the machine can't
read the backups. An identity, `AGE-SECRET-KEY-1...`, decrypts as well.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration_project.backup.model import BackupBroken, BackupError, Stored
from orchestration_project.storage.files import sha256_of

BLOCK = 1 << 20
LEVEL = 3
ZSTD, AGE = "zst", "age"
INSTALL = "pip install 'orchestration-project[encryption]'"
IDENTITY = "AGE-SECRET-KEY-1"


@dataclass(frozen=True, slots=True)
class Keys:
    """Who can read what is encrypted (age recipients), and what decrypts it here. Without both nothing is encrypted."""

    recipients: tuple[str, ...] = ()
    identities: tuple[str, ...] = field(default=(), repr=False)

    def can_read(self, sealed_for: tuple[str, ...]) -> bool:
        """Whether what was encrypted for some recipients can be decrypted here."""
        return not sealed_for or bool({*sealed_for} & {_recipient_of(identity) for identity in self.identities})


def read_keys(text: str) -> Keys:
    """The keys of `BACKUP_KEY`.

    Raises:
        BackupError: it has something else, or the package for it is missing. No part of it is told.
    """
    words = text.split()
    if not words:
        return Keys()
    identities = tuple(word for word in words if word.upper().startswith(IDENTITY))
    recipients = {word for word in words if word not in identities}
    try:
        recipients |= {_recipient_of(identity) for identity in identities}
        _ = [_pyrage().x25519.Recipient.from_str(recipient) for recipient in recipients]
    # The library's errors have the key in them, so nothing of them is shown.
    except (_pyrage().RecipientError, _pyrage().IdentityError):
        raise BackupError(
            "BACKUP_KEY has something else than age keys: a recipient begins with age1, an identity with"
            f" {IDENTITY}; several are separated by blanks"
        ) from None
    return Keys(tuple(sorted(recipients)), identities)


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise BackupError(f"BACKUP_KEY is set, and what encrypts is not installed: {INSTALL}") from error
    return pyrage


def _recipient_of(identity: str) -> str:
    return str(_pyrage().x25519.Identity.from_str(identity).to_public())


@dataclass(frozen=True, slots=True)
class Packed:
    """A content that was read once: the file that has it compressed, and the SHA-256 of the content."""

    path: Path
    sha256: str
    size: int
    how: str


def pack(source: Path, target: Path, compress: bool) -> Packed:
    """Copy a content, compressed or as it is.

    Args:
        source: the content.
        target: a new file.
        compress: whether it may get smaller by that.
    """
    import zstandard

    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("wb") as file:
        writer = zstandard.ZstdCompressor(LEVEL, write_checksum=True).stream_writer(file) if compress else file
        with writer:
            while block := reader.read(BLOCK):
                digest.update(block)
                writer.write(block)
                size += len(block)
    return Packed(target, digest.hexdigest(), size, ZSTD if compress else "")


def seal(packed: Packed, keys: Keys) -> Stored:
    """Encrypt a packed content, if there are keys, in place; returns where it has to be stored."""
    how = packed.how
    if keys.recipients:
        recipients = [_pyrage().x25519.Recipient.from_str(recipient) for recipient in keys.recipients]
        with _replacing(packed.path) as new:
            _pyrage().encrypt_file(str(packed.path), str(new), recipients)
        how = f"{how}+{AGE}".lstrip("+")
    return Stored(sha256_of(packed.path), packed.path.stat().st_size, packed.sha256, how)


def unseal(sealed: Path, target: Path, stored: Stored, keys: Keys) -> None:
    """Write the content of an object to a file, and make sure that it is the content that was saved.

    Args:
        sealed: the object's bytes, which may be changed.
        target: a new file.
        stored: what is known of it.
        keys: with an identity if it is encrypted.

    Raises:
        BackupBroken: it is another content, or can't be decrypted.
    """
    import zstandard

    ways = stored.how.split("+") if stored.how else []
    if AGE in ways:
        _decrypt(sealed, keys)
    digest = hashlib.sha256()
    try:
        with sealed.open("rb") as file, target.open("wb") as writer:
            reader = zstandard.ZstdDecompressor().stream_reader(file) if ZSTD in ways else file
            while block := reader.read(BLOCK):
                digest.update(block)
                writer.write(block)
    except zstandard.ZstdError as error:
        raise BackupBroken(f"the object {stored.object} can't be unpacked: {error}") from error
    if digest.hexdigest() != stored.sha256:
        raise BackupBroken(f"the object {stored.object} has another content than was saved")


def _decrypt(path: Path, keys: Keys) -> None:
    identities = [_pyrage().x25519.Identity.from_str(identity) for identity in keys.identities]
    try:
        with _replacing(path) as new:
            _pyrage().decrypt_file(str(path), str(new), identities)
    except _pyrage().DecryptError as error:
        raise BackupBroken(f"{path.name} can't be decrypted by the identities of BACKUP_KEY") from error


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    new = path.with_name(f"{path.name}.new")
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
