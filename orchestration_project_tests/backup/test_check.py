"""The check of a backup: what it looks at each night, and what it finds in a restored copy."""

import datetime as dt
from dataclasses import replace

import pytest

from orchestration_project.backup.check import new_and_sample
from orchestration_project_tests.backup.saved import Saved

pytestmark = pytest.mark.promise("disk")


def test_each_object_has_its_night(saved: Saved) -> None:
    """New objects are looked at at once, and all others within the days that are asked for, each of them once."""
    snapshot = saved.night().taken.snapshot
    names = sorted(snapshot.objects)
    assert new_and_sample(snapshot, [], dt.date(2024, 1, 1), 30) == set(names)
    assert new_and_sample(snapshot, names[1:], dt.date(2024, 1, 1), 10**9) == {names[0]}
    nights = [new_and_sample(snapshot, names, dt.date(2024, 1, 1) + dt.timedelta(days=n), 7) for n in range(7)]
    assert sorted(name for night in nights for name in night) == names


def test_a_whole_check_loads_a_batch_again(saved: Saved) -> None:
    """Everything is restored and proven, and one batch's tables are made anew from its restored files."""
    night = saved.night(whole=True)
    assert night.checked.proven
    assert any("is loaded again from its restored files" in line for line in saved.told)
    assert list((saved.settings.data_dir / ".backup").glob("work/*")) == []


def test_what_was_wrong_in_the_original_shows(saved: Saved) -> None:
    """A faithful copy of a warehouse whose rows are not those of its files is no proven backup."""
    # As many rows as before, in one of them another value: only reading the file again can tell.
    with saved.shop.warehouse.transaction("test") as connection:
        connection.execute("UPDATE cleaned_f SET n = 77")
    saved.now += dt.timedelta(days=-saved.now.toordinal() % 3)
    found = saved.night(whole=True).checked
    assert [line for line in found.findings if "loaded again" in line]
    assert not found.damaged


def test_the_platform_s_own_proof_is_asked(saved: Saved) -> None:
    """What `verify` finds in the restored copy is a finding of the backup."""
    saved.archived(2).unlink()
    found = saved.night(whole=True).checked
    assert [line for line in found.findings if line.startswith("of the restored copy, `verify` says:")]


def test_another_duckdb_compares_by_counts(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of another version mean nothing: bytes and counts are compared, and everything is exported anew."""
    saved.night()
    monkeypatch.setattr("orchestration_project.backup.unpack.version", lambda _: "9.9")
    assert saved.check().proven
    monkeypatch.setattr("orchestration_project.backup.look.version", lambda _: "9.9")
    saved.night()
    assert "14 batch(es) exported" in [line for line in saved.told if "exported" in line][-1]
    assert replace(saved).restored().state() == saved.state()
