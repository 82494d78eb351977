"""Which snapshots are kept, and that nothing goes that one of them needs."""

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.backup.model import STAMP
from orchestration_project.backup.retention import Keep, Pruned, kept, prune
from orchestration_project_tests.backup.saved import Saved
from orchestration_project_tests.ingest.shop import named

EARLIEST, LATEST = (dt.datetime.fromisoformat(f"{year}-01-01") for year in (2020, 2026))


def name_of(*moment: int) -> str:
    return f"{dt.datetime(*moment, tzinfo=dt.UTC):{STAMP}}"  # type: ignore[misc,arg-type]


def test_the_newest_of_each_period_is_kept() -> None:
    """Of each day, week and month the last backup stays, as many as are asked for."""
    names = [name_of(2024, 1, day, hour) for day in range(1, 32) for hour in (2, 14)]
    assert sorted(kept(names, Keep(3, 2, 0))) == [
        name_of(2024, 1, 28, 14),
        name_of(2024, 1, 29, 14),
        name_of(2024, 1, 30, 14),
        name_of(2024, 1, 31, 14),
    ]
    assert sorted(kept([*names, name_of(2024, 3, 5)], Keep(1, 0, 12))) == [
        name_of(2024, 1, 31, 14),
        name_of(2024, 3, 5),
    ]


@given(
    st.lists(st.datetimes(EARLIEST, LATEST), min_size=1),
    st.builds(Keep, st.integers(1, 9), st.integers(0, 9), st.integers(0, 14)),
)
@settings(max_examples=50)
def test_what_is_kept_stays_kept(moments: list[dt.datetime], keep: Keep) -> None:
    """The newest is always kept, never more than asked for, and to decide again takes nothing away."""
    names = {f"{moment:{STAMP}}" for moment in moments}
    found = kept(sorted(names), keep)
    assert max(names) in found <= names
    assert len(found) <= keep.days + keep.weeks + keep.months
    assert kept(sorted(found), keep) == found


def test_old_backups_go_with_what_only_they_need(saved: Saved) -> None:
    """After pruning the places hold exactly what the kept snapshots name, and these are whole."""
    saved.night()
    for number in (4, 5, 6):
        saved.shop.deliver(named(number), f"id,n\nd{number},4\n", 9 + number)
        saved.shop.load()
        saved.night()
    before = len(saved.objects())
    night = saved.night(Keep(2, 0, 0))
    assert night.pruned.snapshots == 3
    ids = saved.vault.snapshot_ids()
    assert len(ids) == 2
    needed = {name for item in ids for name in saved.vault.snapshot(item).objects}
    assert saved.objects().keys() == needed
    assert night.pruned.objects == before + night.taken.new_objects - len(needed)
    assert saved.check().proven
    assert saved.restored().state() == saved.state()


def test_nothing_goes_while_a_backup_is_not_proven(saved: Saved) -> None:
    """What is old may be all that is whole: it stays until a backup is proven again."""
    first = saved.night().taken.snapshot
    path = saved.settings.data_dir / "dropped/new"
    path.parent.mkdir()
    path.write_text("new")

    from orchestration_project.failpoints import Backup
    from orchestration_project_tests.reliability.stops import acting

    def damage() -> None:
        for name, found in saved.objects().items():
            if name not in first.objects:
                found.write_bytes(b"x")

    with acting(Backup.COMMITTED, damage):
        night = saved.night(Keep(1, 0, 0))
    assert not night.checked.proven
    assert night.pruned == Pruned()
    assert first.id in saved.vault.snapshot_ids()
    assert saved.night(Keep(1, 0, 0)).pruned.snapshots == 2
    assert saved.check().proven


def test_what_cannot_be_read_keeps_everything(saved: Saved) -> None:
    """Of a snapshot that can't be read nobody knows what it needs."""
    name = saved.night().taken.snapshot.id
    saved.night()
    (saved.folder / "vault/snapshots" / name).write_bytes(b"damaged")
    notes: list[str] = []
    assert prune(saved.vault, Keep(9, 9, 9), notes.append) == Pruned()
    assert notes[0].startswith("nothing old is deleted")
