"""Files as a target: what has changed is delivered whole or not at all, and read back from the target."""

import datetime as dt
import json
from pathlib import Path

import duckdb
import pytest

from orchestration_project.delivery import manifest
from orchestration_project.delivery.file_formats import FORMATS
from orchestration_project.delivery.source import Personal
from orchestration_project.errors import DeliveryConflict, DeliveryError, ObjectStoreDown
from orchestration_project.failpoints import Delivery, listen
from orchestration_project.storage.folder_objects import FolderStore
from orchestration_project_tests.delivery.delivered import TABLE, Outlet, correct_day, outlet, three_days
from orchestration_project_tests.ingest.shop import named
from orchestration_project_tests.reliability.stops import acting, dying

pytestmark = pytest.mark.xdist_group("s3")

SECOND = "2024-01-02"
DAYS = ["2024-01-01", SECOND, "2024-01-03"]


@pytest.fixture
def place(tmp_path: Path) -> Outlet:
    """Three days, delivered to a folder."""
    made = outlet(three_days(tmp_path / "shop"), str(tmp_path / "target"))
    made.deliver()
    return made


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_target_has_what_the_warehouse_has(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    place: str,
    format: str,  # noqa: A002 - as in defs.yaml
) -> None:
    """Every format on every kind of store has the warehouse's rows, by batch, and both sides agree."""
    url = str(tmp_path / "target") if place == "folder" else request.getfixturevalue("s3")
    made = outlet(three_days(tmp_path / "shop"), url, format)
    assert list(made.deliver().written) == DAYS
    assert made.rows() == made.expected()
    found = made.compare()
    assert (found.compared, found.rows, found.wrong, found.waiting) == (3, 6, {}, [])

    correct_day(made.shop, 2)
    before = made.files()
    assert list(made.deliver().written) == [SECOND]
    assert made.rows() == made.expected()
    assert {part for part, content in made.files().items() if before[part] != content} == {SECOND}
    assert not made.compare().wrong


def test_a_redelivery_writes_nothing(place: Outlet) -> None:
    """A delivery after which nothing has changed leaves every object as it is."""
    before = place.objects()
    delivered = place.deliver()
    assert (delivered.written, delivered.removed, delivered.size) == ({}, [], 0)
    assert place.objects() == before


def test_a_batch_that_is_gone_is_removed(place: Outlet) -> None:
    """A batch without rows is no part of the target any more."""
    place.shop.deliver(named(2), "id,amount,buyer\n,1.00,nobody\n")
    place.shop.load()
    assert list(place.deliver().removed) == [SECOND]
    assert place.rows() == place.expected()
    assert [file["part"] for file in place.manifest()["files"]] == ["2024-01-01", "2024-01-03"]


def test_rows_that_left_outside_of_a_load_leave_the_target_too(place: Outlet) -> None:
    """What loads have noted of a batch is not believed where the table has another number of rows."""
    with duckdb.connect(str(place.shop.settings.database)) as warehouse:
        warehouse.execute(f"DELETE FROM {TABLE} WHERE id = '2b'")
    place.deliver()
    assert place.rows() == place.expected()
    assert len(place.rows()) == 5
    assert not place.compare().wrong


def test_personal_columns_are_left_out(place: Outlet) -> None:
    """No byte of the target tells a personal value, nor that there is such a column."""
    assert all(b"Ann" not in content and b"buyer" not in content for content in place.files().values())
    assert "buyer" not in str(place.manifest())


def test_personal_columns_are_hashed_with_a_key(tmp_path: Path) -> None:
    """A value has the same hash on each day, another one under another key, and none is made without a key."""
    shop, personal = three_days(tmp_path / "shop"), {"buyer": Personal.HASHED, "_rescued": Personal.LEFT_OUT}
    made = outlet(shop, str(tmp_path / "target"), personal=personal)
    with pytest.raises(DeliveryError, match="DELIVERY_HASH_KEY"):
        made.deliver()
    assert not made.objects()

    def hashes(key: str) -> set[str]:
        made = outlet(shop, str(tmp_path / "target"), personal=personal, hash_key=key)
        assert list(made.deliver().written) == DAYS
        (tmp_path / "read").mkdir(exist_ok=True)
        for part, content in made.files().items():
            (tmp_path / "read" / f"{part}.parquet").write_bytes(content)
        return {row[0] for row in duckdb.sql(f"SELECT DISTINCT buyer FROM '{tmp_path}/read/*.parquet'").fetchall()}

    first, second = hashes("one long key"), hashes("another long key")
    assert [len(first), len(second), len(first & second)] == [2, 2, 0]
    assert all(len(text) == 64 for text in first)


def test_a_column_that_the_contract_has_no_more_is_left_out(tmp_path: Path) -> None:
    """Of a column that nobody has classified, nothing leaves the warehouse."""
    made = outlet(three_days(tmp_path / "shop"), str(tmp_path / "target"), declared=frozenset({"id", "_batch_date"}))
    assert list(made.deliver().shape.columns) == ["id", "_batch_date"]


def test_a_table_is_delivered_as_a_whole(tmp_path: Path) -> None:
    """One file has all batches where a delivery asks for it, and is written anew when one of them changes."""
    made = outlet(three_days(tmp_path / "shop"), str(tmp_path / "target"), whole=True)
    assert list(made.deliver().written) == ["all"]
    correct_day(made.shop, 3)
    assert (made.compare().waiting, made.compare().wrong) == (["all"], {})
    assert list(made.deliver().written) == ["all"]
    assert sorted(row[1:] for row in made.rows()) == sorted(row[1:] for row in made.expected())
    assert not made.compare().wrong
    assert not made.deliver().written


def test_another_format_replaces_all_files(place: Outlet) -> None:
    """A delivery whose format was changed writes all parts anew, and readers see one format."""
    place.format = "csv"
    assert list(place.deliver().written) == DAYS
    assert {file["format"] for file in place.manifest()["files"]} == {"csv"}
    assert place.rows() == place.expected()


def test_what_somebody_has_changed_is_told(place: Outlet) -> None:
    """A part that was damaged, replaced or removed at the target is found by reading it back."""
    keys = {file["part"]: f"{TABLE}/{file['file']}" for file in place.manifest()["files"]}
    place.store.put(keys[SECOND], place.store.get(keys["2024-01-03"]))
    place.store.delete([keys["2024-01-01"]])
    wrong = place.compare().wrong
    assert wrong[SECOND] == "sum of amount 2.30 in the warehouse, 3.30 at the target"
    assert "is not at the target" in wrong["2024-01-01"]
    place.store.put(keys[SECOND], b"PAR1 half a file")
    with pytest.raises(DeliveryError, match=f"{SECOND}.*can't be read back"):
        place.compare({SECOND})


def test_a_part_that_was_loaded_since_waits(place: Outlet) -> None:
    """A batch that was loaded after its delivery is no difference: it is told as waiting."""
    correct_day(place.shop, 2)
    found = place.compare()
    assert (found.compared, found.wrong, found.waiting) == (2, {}, [SECOND])


def test_two_deliveries_at_once_do_not_mix(place: Outlet) -> None:
    """Of two deliveries at once the slower one is refused, and leaves no file; what the faster one delivered counts."""
    correct_day(place.shop, 2)
    other = Outlet(place.shop, place.url)

    def overtake() -> None:
        listen(None)  # the faster one is not overtaken in its turn
        other.deliver()

    with acting(Delivery.WRITTEN, overtake), pytest.raises(DeliveryConflict):
        place.deliver()
    assert place.rows() == place.expected()
    assert place.manifest()["number"] == 2
    current = {f"{TABLE}/{file['file']}" for file in place.manifest()["files"]}
    parts = {key for key in place.objects() if key.endswith(".parquet")}
    assert len(parts - current) == 1  # the day of the first delivery, which readers may still have open
    assert not place.deliver().written


def test_a_delivery_that_was_planned_long_ago_is_refused(place: Outlet) -> None:
    """What was planned from an older state of the target is not delivered."""
    correct_day(place.shop, 2)
    other = Outlet(place.shop, place.url)

    def overtake() -> None:
        listen(None)
        other.deliver()

    with acting(Delivery.PLANNED, overtake), pytest.raises(DeliveryConflict):
        place.deliver()
    assert place.rows() == place.expected()


def test_a_delivery_that_fails_half_way_leaves_the_previous_state(
    place: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that fails at the second file leaves the target as it was; the next delivery makes it up."""
    for number in (1, 2):
        correct_day(place.shop, number)
    before, put, calls = place.rows(), FolderStore.put, iter([True, False])

    def failing(self: FolderStore, key: str, content: bytes | Path) -> None:
        if not next(calls):
            raise ObjectStoreDown("no more")
        put(self, key, content)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "put", failing)
        with pytest.raises(ObjectStoreDown):
            place.deliver()
    assert place.rows() == before
    assert list(place.deliver().written) == DAYS[:2]
    assert place.rows() == place.expected()


def test_what_does_not_count_is_removed_after_a_day(place: Outlet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old files, those of a delivery that died, and old manifests stay for a day, then they go."""
    with dying(Delivery.WRITTEN):
        correct_day(place.shop, 1)
        place.deliver()
    correct_day(place.shop, 2)
    place.deliver()
    assert len(place.objects()) == 3 + 3 + 2  # counting files, those of before and of the dead one, two manifests
    monkeypatch.setattr(manifest, "KEPT", dt.timedelta(hours=-1))
    correct_day(place.shop, 3)
    place.deliver()
    assert len(place.objects()) == 3 + 1
    assert place.rows() == place.expected()


def test_a_manifest_that_somebody_has_changed_is_told(place: Outlet) -> None:
    """A manifest that can't be read stops the delivery, with what to do; one of a newer release, too."""
    key = f"{TABLE}/manifest/00000002.json"
    place.store.put(key, b"{}")
    with pytest.raises(DeliveryError, match=r"00000002\.json is no manifest.*Delete it"):
        place.deliver()
    place.store.put(key, json.dumps({**place.manifest(), "format": 99}).encode())
    with pytest.raises(DeliveryError, match="newer release"):
        place.deliver()
    place.store.delete([key])
    assert not place.deliver().written


def test_parquet_files_are_compressed_and_have_statistics(place: Outlet, tmp_path: Path) -> None:
    """Readers can skip row groups by their smallest and largest values; all of it is compressed by zstd."""
    path = tmp_path / "part.parquet"
    path.write_bytes(place.files()[SECOND])
    found = duckdb.sql(
        f"SELECT path_in_schema, compression, stats_min, stats_max FROM parquet_metadata('{path}')"
    ).fetchall()
    assert {compression for _, compression, _, _ in found} == {"ZSTD"}
    assert {(name, low, high) for name, _, low, high in found} >= {("amount", "0.05", "2.25"), ("id", "2a", "2b")}


def test_what_is_not_understood_is_refused(tmp_path: Path) -> None:
    """An unknown format, scheme or table is refused with what there is."""
    shop = three_days(tmp_path / "shop")
    with pytest.raises(DeliveryError, match="did you mean 'parquet'"):
        outlet(shop, str(tmp_path / "target"), "parket").deliver()
    with pytest.raises(DeliveryError, match="ftp://host is no target"):
        outlet(shop, "ftp://me:word@host").deliver()
    with pytest.raises(DeliveryError, match="materialize it first"):
        outlet(shop, str(tmp_path / "target"), table="nothing").deliver()
