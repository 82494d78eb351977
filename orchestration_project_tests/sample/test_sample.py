"""The sample's generator: what it writes, and that its manifest tells the truth about it."""

import csv
import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.sample.defects import (
    CATALOGUE_DEFECTS,
    SALES_DEFECTS,
    SALES_HEADER,
    WRONG_VALUES,
    Defect,
    Manifest,
    SampleFile,
    SampleSpec,
)
from orchestration_project.sample.files import generate
from orchestration_project.sample.records import catalogue

REPOSITORY = Path(__file__).parents[2]
CHANNELS = {"store", "online", "marketplace", "phone"}
PRODUCTS = 40


def records(folder: Path, file: SampleFile) -> list[str]:
    """The lines after the header; record number n is at n - 1."""
    header, *lines = (folder / file.feed / file.name).read_text(encoding="utf-8").split("\n")[:-1]
    assert header == ",".join(SALES_HEADER)
    return lines


def broken_rules(line: str) -> set[str]:
    """The rules that one line breaks by itself, found independently of the generator and of the platform."""
    fields = line.split(",")
    if line.count('"') % 2:
        return {"_raw_line: bad_quoting"}
    if fields == list(SALES_HEADER):
        return {"_raw_line: repeated_header"}
    if len(fields) != len(SALES_HEADER):
        return {f"_raw_line: {'too_few_columns' if len(fields) < len(SALES_HEADER) else 'too_many_columns'}"}
    return set(broken_values(dict(zip(SALES_HEADER, fields, strict=True))))


def broken_values(row: dict[str, str]) -> Iterator[str]:
    """The rules that the values of a record break."""
    if not row["product_id"]:
        yield "product_id: required"
    if row["channel"] not in CHANNELS:
        yield "channel: enum"
    if not row["quantity"].lstrip("-").isdigit():
        yield "quantity: type"
    elif int(row["quantity"]) < 1:
        yield "quantity: minimum"
    if Decimal(row["unit_price"]) != round(Decimal(row["unit_price"]), 2):
        yield "unit_price: type"
    if Decimal(row["unit_price"]) < 0:
        yield "unit_price: minimum"
    try:
        dt.datetime.strptime(row["sold_at"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
    except ValueError:
        yield "sold_at: type"


def lost_keys(folder: Path, manifest: Manifest) -> set[tuple[str, int]]:
    """File name and number of each sound record whose key stands again later that day, or stood on an earlier day."""
    lost, earlier = set(), set[str]()
    for file in manifest.of("sales"):
        sound = {
            number: ",".join(line.split(",")[:2])
            for number, line in enumerate(records(folder, file), start=1)
            if line.strip(",") and not broken_rules(line)
        }
        last = {key: number for number, key in sound.items()}
        lost |= {(file.name, number) for number, key in sound.items() if key in earlier or last[key] != number}
        earlier |= last.keys()
    return lost


specs = st.builds(
    SampleSpec,
    days=st.integers(1, 4),
    rows=st.integers(1, 60),
    defect_rate=st.floats(0, 0.5),
    defects=st.lists(st.sampled_from(Defect), unique=True).map(tuple),
    seed=st.integers(0, 2**40),
)


@settings(max_examples=40, deadline=None)
@given(spec=specs)
def test_manifest_names_exactly_what_is_wrong(spec: SampleSpec, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every record that breaks a rule is in the manifest with that rule, and no other record is."""
    folder = tmp_path_factory.mktemp("sample")
    manifest = generate(spec, folder)
    lost = lost_keys(folder, manifest)
    for file in manifest.of("sales"):
        lines = records(folder, file)
        expected = file.rejected
        assert len(lines) == file.records == spec.rows
        assert sum(not line.strip(",") for line in lines) == file.blank
        for number, line in enumerate(lines, start=1):
            found = broken_rules(line) if line.strip(",") else set()
            if (file.name, number) in lost:
                found.add("order_id, order_line: duplicate_key")
            assert found == set(expected.get(number, ())), (file.name, number, line)


def test_committed_sample_is_the_generators_output(tmp_path: Path) -> None:
    """`data/sample` is, byte for byte, what the generator makes by default: on every platform."""
    generate(SampleSpec(), tmp_path)
    committed = REPOSITORY / "data" / "sample"
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.relative_to(committed): path.read_bytes() for path in committed.rglob("*.*")} == made


def test_default_sample_has_every_defect(tmp_path: Path) -> None:
    """Nobody has to look for an example of a defect."""
    assert set(generate(SampleSpec(), tmp_path).injected) == set(Defect)


def test_same_spec_gives_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    """The seed alone decides."""
    texts = []
    for number, seed in enumerate((1, 1, 2)):
        generate(SampleSpec(days=1, seed=seed), tmp_path / str(number))
        texts.append((tmp_path / str(number) / "sales" / "sales_2024-01-15.csv").read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_chunks_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is the same however much of it is in memory at a time."""
    generate(SampleSpec(days=2), tmp_path / "whole")
    monkeypatch.setattr("orchestration_project.sample.files.CHUNK_ROWS", 7)
    generate(SampleSpec(days=2), tmp_path / "chunks")
    for name in ("sales_2024-01-15.csv", "sales_2024-01-16.csv"):
        assert (tmp_path / "whole/sales" / name).read_bytes() == (tmp_path / "chunks/sales" / name).read_bytes()


def test_without_defects_all_is_sound(tmp_path: Path) -> None:
    """With a rate of zero every record is accepted and every product is in the catalogue."""
    manifest = generate(SampleSpec(defect_rate=0), tmp_path)
    assert not manifest.injected
    assert all(file.cleaned == file.records for file in manifest.files)
    sold = {int(line.split(",")[2]) for file in manifest.of("sales") for line in records(tmp_path, file)}
    assert sold <= set(range(1, PRODUCTS + 1))


def test_catalogue_defects_stand_where_the_manifest_says(tmp_path: Path) -> None:
    """The catalogue is a JSON array; the records named are the nameless, the free and the outdated product."""
    (file,) = generate(SampleSpec(days=0), tmp_path).files
    entries = json.loads((tmp_path / "products" / file.name).read_text(encoding="utf-8"))
    at = {kind: entries[numbers[0] - 1] for kind, numbers in file.injected.items()}
    assert set(at) == set(CATALOGUE_DEFECTS)
    assert at[Defect.NAMELESS_PRODUCT]["name"] is None
    assert at[Defect.FREE_PRODUCT]["list_price"] == 0
    outdated = file.injected[Defect.STALE_PRODUCT][0]
    assert entries[outdated - 1]["product_id"] == entries[outdated]["product_id"]
    assert len(entries) == file.records == PRODUCTS + len(CATALOGUE_DEFECTS)


def test_catalogue_covers_all_price_categories() -> None:
    """There are products on, below and above the limits of 25 and 35, and names do not repeat."""
    products = catalogue(PRODUCTS, seed=7)
    cents = [product.cents for product in products]
    assert {2500, 3500} <= set(cents)
    assert min(cents) < 2500 < 3500 < max(cents)
    assert any(2500 < price < 3500 for price in cents)
    assert len({product.name for product in products}) == PRODUCTS


def test_many_products_have_names_of_their_own() -> None:
    """A catalogue of thousands is possible."""
    assert len({product.name for product in catalogue(5000, seed=1)}) == 5000


def test_lines_of_an_order_belong_together(tmp_path: Path) -> None:
    """The lines of an order count from 1 and share customer, store, channel and time."""
    (_, file) = generate(SampleSpec(days=1, defect_rate=0), tmp_path).files
    with (tmp_path / "sales" / file.name).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    orders: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        orders.setdefault(row["order_id"], []).append(row)
    assert len(orders) > 50
    for lines in orders.values():
        assert [int(row["order_line"]) for row in lines] == list(range(1, len(lines) + 1))
        assert len({(row["customer_id"], row["store_id"], row["channel"], row["sold_at"]) for row in lines}) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"days": -1}, id="days below zero"),
        pytest.param({"rows": 0}, id="no rows"),
        pytest.param({"products": 0}, id="no products"),
        pytest.param({"seed": -1}, id="seed below zero"),
        pytest.param({"defect_rate": 0.6}, id="more than every second record"),
    ],
)
def test_impossible_specs_are_refused(wrong: dict[str, int]) -> None:
    """What cannot be generated is said before anything is written."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SampleSpec(**wrong)  # type: ignore[arg-type]  # the fields have different types


def test_every_defect_is_explained() -> None:
    """Each kind has a meaning, and a reason unless the record is blank or good."""
    for kind in Defect:
        assert kind.meaning
        assert bool(kind.reasons) != (kind.blank or kind is Defect.UNKNOWN_PRODUCT)
    assert set(WRONG_VALUES) < set(SALES_DEFECTS)
