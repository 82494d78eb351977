"""Zip archives: each member is a file of its own, whatever is in the archive; a bad archive costs itself only."""

import gzip
import io
import json
import os
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.quarantine import quarantine_of
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.settings import Settings
from orchestration_project.storage.sensor_evaluation import group_by_batch
from orchestration_project.storage.writers import delivered
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.shop import NOW, Shop, day, feed, named
from orchestration_project_tests.recovery.stock import CONTRACT, proven, weekly, whole
from orchestration_project_tests.recovery.test_withdraw import taken, undone
from orchestration_project_tests.reliability import zips
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.zips import packed, text_of

pytestmark = pytest.mark.promise("input")

DAYS = [day(number) for number in range(1, 6)]
OF_THE_FILE = ("_file", "_rejected_at", "_reject_id", "_reasons")
METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


def members(shop: Shop) -> dict[str, str]:
    """The status of every file that was not replaced, by name."""
    return {name: status for name, status in shop.ledger("file", "status") if status != "superseded"}


@pytest.mark.parametrize("how", METHODS.values(), ids=METHODS)
def test_members_are_files(how: int, tmp_path: Path) -> None:
    """An archive's files give the rows that they give when Python's zipfile unpacks them and they are delivered."""
    dice = random.Random(how)  # noqa: S311 - chance, not secrets
    for round_ in range(effort(1, 20)):
        packing, loose = (Shop(tmp_path / f"{name}{round_}", CONTRACT) for name in ("packed", "loose"))
        files = {
            f"{folder}{named(dice.randint(1, 5), f'm{number}')}": "\n".join(
                f"k{dice.randint(1, 30)},{dice.choice(['1', '-2', 'x', ''])}" for _ in range(dice.randint(1, 20))
            )
            for number, folder in enumerate(dice.choices(["", "till 1/", "till 1/märz/"], k=6))
        }
        content = packed({**files, "__MACOSX/._m": b"\0", ".DS_Store": b"\0", "till 1/": b""}, how)
        path = packing.deliver("shops.zip", content, minute=0)
        with zipfile.ZipFile(path) as archive:
            for name in files:
                loose.deliver(name.replace("/", "!"), archive.read(name), minute=0)
        packing.load(*DAYS)
        loose.load(*DAYS)
        for table in ("raw", "cleaned", "rejected"):
            plain = [
                {key: value for key, value in row.items() if key not in OF_THE_FILE} for row in packing.table(table)
            ]
            other = [{key: row[key] for key in plain[0]} for row in loose.table(table)] if plain else []
            assert sorted(map(str, plain)) == sorted(map(str, other))
        assert [name.removeprefix("shops.zip/") for name in packing.ledger("file")] == sorted(files)
        assert "3 more not looked at" in " ".join(packing.told)
        assert packing.landing() == []
        assert proven(packing)
        tried()


class Limited(Shop):
    """A shop in which files may have a megabyte."""

    @property
    def settings(self) -> Settings:
        """The shop's settings with a low limit."""
        return replace(super().settings, max_file_bytes=1_000_000)


GOOD = packed({"s_2024-01-01.csv": "a,1"})
LARGE = packed({"s_2024-01-01.csv": "a,1\n" * 300_000})
BAD = {
    "a path out of the archive": (zips.with_entry("../s_2024-01-01.csv"), "unsafe_name"),
    "a path through the archive": (zips.with_entry("a/../../s_2024-01-01.csv"), "unsafe_name"),
    "an absolute path": (zips.with_entry("/etc/s_2024-01-01.csv"), "unsafe_name"),
    "a drive": (zips.with_entry("C:s_2024-01-01.csv"), "unsafe_name"),
    "a backslash": (zips.with_entry("a\\s_2024-01-01.csv"), "unsafe_name"),
    "a line end in a name": (zips.with_entry("a\ns_2024-01-01.csv"), "unsafe_name"),
    "two slashes": (zips.with_entry("a//s_2024-01-01.csv"), "unsafe_name"),
    "a long name": (zips.with_entry("x" * 300 + "2024-01-01.csv"), "name_too_long"),
    "a link": (zips.link(), "link_in_archive"),
    "a password": (zips.encrypted(), "encrypted"),
    "an unknown compression": (zips.unknown_method(), "unsupported_compression"),
    "one name twice": (zips.twice("s_2024-01-01.csv", "s_2024-01-01.csv"), "duplicate_member"),
    "one name in two cases": (zips.twice("s_2024-01-01.csv", "S_2024-01-01.CSV"), "duplicate_member"),
    "one name in two forms": (zips.twice("\u00e9_2024-01-01.csv", "e\u0301_2024-01-01.csv"), "duplicate_member"),
    "a file that is a folder": (zips.twice("s_2024-01-01.csv", "s_2024-01-01.csv/t.csv"), "duplicate_member"),
    "nothing": (packed({}), "no_members"),
    "no data": (packed({"__MACOSX/._s.csv": b"x", "a/": b"", "x.tmp": b"y"}), "no_members"),
    "a changed byte": (zips.damaged(GOOD), "unreadable"),
    "cut off": (GOOD[:-30], "unreadable"),
    "a name in no encoding": (zips.bad_name(), "unreadable"),
    "too many members": (packed(dict.fromkeys(map(str, range(10_001)), b"")), "too_many_members"),
    "an endless table of contents": (zips.endless_contents(), "too_many_members"),
    "too large": (LARGE, "too_large"),
    "larger than it says": (zips.lying(LARGE, 10), "unreadable"),
    "smaller than it says": (zips.lying(GOOD, 1 << 30), "unreadable"),
}


def test_bad_archives_cost_themselves_only(tmp_path: Path) -> None:
    """Each is refused with its own reason and lies in quarantine with its bytes; other files are loaded."""
    shop = Limited(tmp_path)
    for number, (content, _) in enumerate(BAD.values()):
        shop.deliver(f"z{number}.zip", content)
    shop.deliver(named(1, "good"), text_of("a,1"))
    shop.load(*DAYS)
    notes = shop.quarantine()
    for number, (kind, (content, rule)) in enumerate(BAD.items()):
        assert (kind, notes[f"z{number}.zip"]["rule"]) == (kind, rule)
        assert (shop.settings.quarantine("f") / f"z{number}.zip").read_bytes() == content
        tried()
    assert len(notes) == len(BAD)
    assert {file for file, status in shop.ledger("file", "status") if status == "loaded"} == {named(1, "good")}
    assert shop.archive() == [f"2024-01-01/{named(1, 'good')}"]
    assert not (tmp_path / "s_2024-01-01.csv").exists()


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    """Members may be 200 times larger than their archive, whatever MAX_FILE_BYTES allows."""
    shop = Shop(tmp_path)
    shop.deliver(named(1).replace("csv", "zip"), packed({named(1): b"\n" * (65 << 20)}))
    shop.load(*DAYS)
    assert [note["rule"] for note in shop.quarantine().values()] == ["zip_bomb"]
    tried()


def test_a_refused_member_costs_itself_only(tmp_path: Path) -> None:
    """A nested archive, a file without a header, an empty one and one without a batch go to quarantine alone."""
    shop = Shop(tmp_path)
    content = packed(
        {
            named(1): "a,1",
            named(2, "inner"): GOOD,
            named(2): None,
            "till/" + named(2): b"",
            "undated.csv": "b,2",
            named(3): gzip.compress(text_of("c,3").encode()),
        }
    )
    shop.deliver("m.zip", content)
    shop.load(*DAYS)
    notes = shop.quarantine()
    assert {note["file"]: note["rule"] for note in notes.values()} == {
        f"m.zip/{named(2, 'inner')}": "nested_archive",
        f"m.zip/{named(2)}": "no_header",
        f"m.zip/till/{named(2)}": "empty_file",
        "m.zip/undated.csv": "no_batch_in_name",
    }
    assert shop.cleaned("_file", "id") == [(f"m.zip/{named(1)}", "a"), (f"m.zip/{named(3)}", "c")]
    # Corrected in a newer archive, the refusals stand no more; what was good loads nothing.
    shop.deliver("m.zip", packed({named(1): "a,1", named(2): "d,4", named(3): "c,3"}))
    report = shop.load(*DAYS)
    assert f"m.zip/{named(1)}" in report.again
    source = ConfiguredFeed(shop.feed, shop.options)
    entries = [item for item in quarantine_of(shop.settings, source, []) if item.file == f"m.zip/{named(2)}"]
    assert len(entries) == 1
    assert shop.cleaned("id") == ["a", "d", "c"]
    tried()


def test_a_newer_archive_replaces_all_members(tmp_path: Path) -> None:
    """Corrected ones are replaced, lacking ones go with a word, renamed ones stay, and ones that come again count."""
    shop = Shop(tmp_path, CONTRACT)
    name = named(1).replace("csv", "zip")
    shop.deliver(name, packed({named(1): "a,1", named(2): "b,2", named(3): "c,3"}))
    shop.load(*DAYS)
    shop.deliver(name, packed({named(1): "a,9", named(3, "other"): "c,3"}))
    # For a single day: what the archive lacks goes whatever is asked for.
    shop.load(*DAYS[:1])
    assert shop.cleaned("id", "n") == [("a", 9)]
    shop.load(*DAYS)
    assert shop.cleaned("id", "n") == [("a", 9), ("c", 3)]
    gone = {f"{name}/{named(2)}": "withdrawn", f"{name}/{named(3)}": "withdrawn"}
    loaded = {f"{name}/{named(1)}": "loaded", f"{name}/{named(3, 'other')}": "loaded"}
    assert members(shop) == {**gone, **loaded}
    assert any("goes: the newer version" in line for line in shop.told)
    assert proven(shop)
    shop.deliver(name, packed({named(1): "a,1", named(2): "b,2"}))
    shop.load(*DAYS)
    assert shop.cleaned("id", "n") == [("a", 1), ("b", 2)]
    assert proven(shop)
    # The same again changes nothing.
    before = shop.tables()
    shop.deliver(name, packed({named(1): "a,1", named(2): "b,2"}))
    shop.load(*DAYS)
    assert shop.tables() == before
    tried()


def stocked(folder: Path) -> Shop:
    """Archives with corrections, lacking and refused members, a duplicate, a withdrawn one, beside plain files."""
    shop = Shop(folder, CONTRACT)
    shop.deliver("m_2024-01-01.zip", packed({named(1): "a,1\n,2", named(2): "b,2\nx,-1", "d/" + named(2): "b,2\nx,-1"}))
    shop.deliver("undated.zip", packed({named(3): "a,3\nc,3", named(4): "d,4", named(4, "bad"): None}))
    shop.deliver(named(3, "plain"), text_of("c,3\ne,5"))
    shop.load(*DAYS)
    shop.deliver("m_2024-01-01.zip", packed({named(1): "a,1\nf,2", "d/" + named(2): "b,2\nx,-1"}))
    shop.deliver("undated.zip", packed({named(3): "c,8", named(4): "d,4", named(5): "g,1"}))
    shop.load(*DAYS)
    taken(shop, f"undated.zip/{named(4)}")
    return shop


def test_archives_come_back_from_the_archive(tmp_path: Path) -> None:
    """A lost warehouse, a rebuild in the same and in other batches, and a new name of the feed give the same rows."""
    shop = stocked(tmp_path)
    before, state = shop.tables(), members(shop)
    assert state[f"m_2024-01-01.zip/{named(2)}"] == "withdrawn"
    assert proven(shop)
    shop.lose_warehouse()
    shop.load(*DAYS)
    tables = shop.tables()
    for name in ("raw", "cleaned"):
        assert tables[name] == before[name]
    assert {name: status for name, status in state.items() if status != "quarantined"} == members(shop)
    assert proven(shop)
    before = whole(shop)
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None)
    after = whole(shop)
    assert {name: after[name] for name in ("raw", "cleaned", "files")} == {
        name: before[name] for name in ("raw", "cleaned", "files")
    }
    shop.options = weekly(shop.options)
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None)
    assert {row["id"] for row in shop.table("cleaned")} == {row["id"] for row in tables["cleaned"]}
    assert proven(shop)
    tried(3)


def test_what_waits_comes_with_a_renamed_feed(tmp_path: Path) -> None:
    """Members that wait for their batch wait under the new name, too."""
    shop = Shop(tmp_path)
    shop.deliver("m.zip", packed({named(1): "a,1", named(2): "b,2"}))
    shop.load(DAYS[0])
    shop.feed = replace(shop.feed, name="g")
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None, renamed_from="f")
    waiting = delivered(shop.settings.landing("g"), shop.settings.archive("g"))
    assert [file.name for file in waiting] == [f"m.zip/{named(2)}"]
    shop.load(*DAYS)
    assert shop.rows("SELECT id FROM cleaned_g ORDER BY id") == [{"id": "a"}, {"id": "b"}]
    tried()


def test_a_member_is_withdrawn_and_taken_back(tmp_path: Path) -> None:
    """Each by its own name; what an archive lacks can be taken back as well."""
    shop = stocked(tmp_path)
    rows = shop.cleaned("id")
    undone(shop, f"undated.zip/{named(4)}")
    assert sorted([*rows, "d"]) == sorted(shop.cleaned("id"))
    lacking = f"m_2024-01-01.zip/{named(2)}"
    undone(shop, lacking)
    # Another member has the same bytes.
    assert members(shop)[lacking] == "duplicate"
    assert proven(shop)
    tried()


def test_members_wait_for_their_batches(tmp_path: Path) -> None:
    """A load of one day unpacks the archive; the other days' files wait, and the sensor sees each under its day."""
    shop = Shop(tmp_path)
    shop.deliver("m.zip", packed({named(1): "a,1", named(2): "b,2", "s_2024-03-02.csv": "c,3"}))
    shop.load(DAYS[0])
    assert shop.cleaned("id") == ["a"]
    waiting = delivered(shop.settings.landing("f"), shop.settings.archive("f"))
    assert [file.name for file in waiting] == [f"m.zip/{named(2)}", "m.zip/s_2024-03-02.csv"]
    # The batch of the second one has not begun.
    assert group_by_batch(waiting, shop.options.batching, NOW) == {DAYS[1]: waiting[:1]}
    # A newer archive of the day replaces what waits.
    shop.deliver("m.zip", packed({named(1): "a,1", named(2): "z,2"}))
    shop.load(*DAYS)
    assert shop.cleaned("id") == ["a", "z"]
    assert delivered(shop.settings.landing("f"), shop.settings.archive("f")) == []
    tried()


def test_batches_of_members(tmp_path: Path) -> None:
    """The member's own name tells, else a folder in the archive, else the archive, else the archive's time."""
    shop = Shop(tmp_path)
    content = packed({named(2): "a,1", "2024-01-03/s.csv": "b,2", "s.csv": "c,3"})
    shop.deliver(named(1).replace("csv", "zip"), content)
    shop.load(*DAYS)
    assert shop.rows("SELECT id, _batch_date AS day FROM raw_f ORDER BY id") == [
        {"id": "a", "day": DAYS[1]},
        {"id": "b", "day": DAYS[2]},
        {"id": "c", "day": DAYS[0]},
    ]
    undated = Shop(tmp_path / "undated")
    undated.options = replace(shop.options, batching=replace(shop.options.batching, pattern=None))
    undated.deliver("s.zip", content)
    undated.load()
    assert {str(row["_batch_date"]) for row in undated.table("raw")} == {"2024-02-01"}
    tried(2)


def test_a_late_write_is_a_newer_version(tmp_path: Path) -> None:
    """What a writer does to an archive after it was unpacked comes in as a correction."""
    shop = Shop(tmp_path)
    path = shop.deliver("m.zip", packed({named(1): "a,1"}))
    with path.open("r+b") as writer:
        inode = path.stat().st_ino
        os.close(os.open(path, os.O_RDONLY))
        writer.close()
        shop.load(*DAYS)
        taken_aside = next(found for found in tmp_path.rglob("m.zip") if found.stat().st_ino == inode)
        taken_aside.write_bytes(packed({named(1): "a,2"}))
    shop.load(*DAYS)
    assert shop.cleaned("n") == [2]
    assert proven(shop)
    tried()


def test_workbooks_are_told_from_archives(tmp_path: Path) -> None:
    """A workbook is no archive, whatever its name; an archive of workbooks is one."""
    shop = Shop(tmp_path, feed(source=SourceFormat(FileFormat.XLSX)))
    book = workbook({"Sales": [("id", "n"), ("a", 1)]})
    other = workbook({"Sales": [("id", "n"), ("b", 2)]})
    shop.deliver("s_2024-01-01.zip", book)
    shop.load(*DAYS)
    # An archive of that name lies beside the workbook of that name.
    shop.deliver("s_2024-01-01.zip", packed({"s_2024-01-01.xlsx": other}, zipfile.ZIP_STORED))
    shop.deliver("t_2024-01-02.zip", packed({"s_2024-01-02.xlsx": other}))
    shop.load(*DAYS)
    assert sorted(shop.cleaned("_file", "id")) == [
        ("s_2024-01-01.zip", "a"),
        ("s_2024-01-01.zip/s_2024-01-01.xlsx", "b"),
        ("t_2024-01-02.zip/s_2024-01-02.xlsx", "b"),
    ]
    assert proven(shop)
    csv = Shop(tmp_path / "csv")
    csv.deliver("s_2024-01-01.zip", book)
    csv.load()
    assert [note["rule"] for note in csv.quarantine().values()] == ["unsupported_format"]
    tried(4)


def test_a_snapshot_is_one_file(tmp_path: Path) -> None:
    """An archive with one file is a snapshot; one with several is refused, since only one of them would count."""
    shop = Shop(tmp_path)
    shop.options = replace(shop.options, snapshot=True)
    shop.deliver("c_2024-01-01.zip", packed({"catalogue.csv": "a,1"}))
    shop.deliver("c_2024-01-02.zip", packed({"one.csv": "b,1", "two.csv": "c,1"}))
    shop.load()
    assert shop.cleaned("id") == ["a"]
    assert [note["rule"] for note in shop.quarantine().values()] == ["several_members"]
    tried()


def test_large_archives(tmp_path: Path) -> None:
    """An archive in the form for more than 4 GB, and one with a text before it, are read."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written, written.open(named(1), "w", force_zip64=True) as member:
        member.write(text_of("a,1").encode())
    shop = Shop(tmp_path)
    shop.deliver("m.zip", stream.getvalue())
    shop.load(*DAYS)
    assert shop.cleaned("id") == ["a"]
    tried()


def test_damage_of_a_kept_archive_is_found(tmp_path: Path) -> None:
    """`verify` tells when the archive as it was delivered, or a member of it, has other bytes or is gone."""
    shop = Shop(tmp_path)
    shop.deliver("m.zip", packed({named(1): "a,1"}))
    shop.load(*DAYS)
    (kept,) = (shop.settings.archive("f") / "zips").glob("*/m.zip")
    assert proven(shop)
    kept.write_bytes(kept.read_bytes() + b"x")
    assert not proven(shop)
    kept.unlink()
    (shop.settings.archive("f") / f"2024-01-01/m.zip/{named(1)}").unlink()
    assert not proven(shop)
    # Delivered again, the same bytes mend the archive.
    shop.deliver("m.zip", packed({named(1): "a,1"}))
    shop.load(*DAYS)
    assert proven(shop)
    tried(2)


def test_commands_look_into_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`explain` tells of each file in an archive, and `new-feed` drafts from them."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "m.zip"
    head = "product_id,product_code,name,category,list_price\n"
    path.write_bytes(
        packed(
            {"products_2024-01-01.csv": f"{head}1,ABC-1,x,y,2.00\n".encode(), "products_2024-01-02.csv": head.encode()}
        )
    )
    result = CliRunner().invoke(main, ["explain", str(path), "--feed", "products", "--json"])
    found = json.loads(result.stdout)
    assert [item["file"] for item in found] == ["m.zip/products_2024-01-01.csv", "m.zip/products_2024-01-02.csv"]
    assert found[0]["batch"] == "2024-01-01"
    drafted = CliRunner().invoke(main, ["new-feed", str(path), "--name", "wares", "--output", str(tmp_path / "wares")])
    assert drafted.exit_code == 0, drafted.output
    assert "product_code" in (tmp_path / "wares" / "wares.odcs.yaml").read_text()
    tried()
