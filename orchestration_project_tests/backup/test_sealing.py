"""Encryption: who has the recipient alone saves, who has the identity restores, and nobody else reads anything."""

from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from orchestration_project.backup.model import BackupError
from orchestration_project.backup.sealing import read_keys
from orchestration_project_tests.backup.saved import Saved

pytestmark = pytest.mark.promise("security")
IDENTITY, OTHER = (str(pyrage.x25519.Identity.generate()) for _ in range(2))
RECIPIENT = read_keys(IDENTITY).recipients[0]


def test_a_recipient_saves_and_an_identity_restores(saved: Saved) -> None:
    """A machine that has the recipient alone takes incremental backups and hashes them, and can't read them."""
    saved.key = RECIPIENT
    first = saved.night()
    assert first.taken.snapshot.sealed_for == (RECIPIENT,)
    assert "no identity that decrypts it" in first.checked.notes[0]
    assert saved.night().taken.new_objects <= 1
    stored = b"".join(path.read_bytes() for path in saved.objects().values())
    assert b"PAR1" not in stored
    with pytest.raises(BackupError, match=f"encrypted for {RECIPIENT}: BACKUP_KEY has to have an identity"):
        saved.restored()
    with pytest.raises(BackupError, match="encrypted for"):
        replace(saved, key=OTHER).restored()
    owner = replace(saved, key=IDENTITY)
    assert owner.check().proven
    assert owner.restored().state() == saved.state()


def test_damage_shows_without_the_identity(saved: Saved) -> None:
    """Objects are named by the hash of what is stored, so whoever can't decrypt them can tell that one is damaged."""
    saved.key = RECIPIENT
    saved.night()
    name, path = next(iter(saved.objects().items()))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert saved.check().damaged == {name}


def test_another_key_encrypts_everything_anew(saved: Saved) -> None:
    """From the moment on that a key is set or changed, nothing new refers to what it does not encrypt."""
    plain = saved.night().taken.snapshot
    saved.key = IDENTITY
    sealed = saved.night()
    assert sealed.checked.proven
    assert plain.objects.keys() & sealed.taken.snapshot.objects.keys() == set()
    assert saved.night().taken.new_objects <= 1


@pytest.mark.parametrize("text", ["secret-word", "age1secret-word", "AGE-SECRET-KEY-1SECRET-WORD"])
def test_what_is_no_key_is_not_told(text: str) -> None:
    """The error says what a key looks like, and nothing of what was given."""
    with pytest.raises(BackupError, match="something else than age keys") as caught:
        read_keys(text)
    assert "secret-word" not in str(caught.value).casefold()
    assert "secret-word" not in repr(caught.value.__cause__).casefold()


def test_settings_do_not_show_the_key(tmp_path: Path) -> None:
    """The key is in no text that somebody may log."""
    saved = Saved(tmp_path, key=IDENTITY)
    assert IDENTITY not in repr(saved.settings)
    assert IDENTITY not in repr(read_keys(IDENTITY))
