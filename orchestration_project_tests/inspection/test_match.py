"""Which feeds a file matches that lies in no feed's folder."""

from pathlib import Path

import pytest

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.inspection.match import matching_feeds
from orchestration_project.storage.files import find
from orchestration_project_tests.formats.open_documents import open_document
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.shop import column, feed, options


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"id,n\na,1\n", ["csv"], id="CSV"),
        pytest.param(b'{"id": "a", "n": 1}\n', ["json"], id="JSON"),
        pytest.param(workbook({"Data": [("id", "n")]}), ["xlsx"], id="workbook"),
        pytest.param(open_document({"Data": [("id", "n")]}), ["xlsx"], id="OpenDocument"),
    ],
)
def test_the_format_tells_the_feed(content: bytes, expected: list[str], tmp_path: Path) -> None:
    """A file matches the feeds of its own format."""
    feeds = {form.value: (feed(source=SourceFormat(form)), options()) for form in FileFormat}
    path = tmp_path / "s_2024-01-01"
    path.write_bytes(content)
    file = find(path)
    assert file
    assert [match.feed for match in matching_feeds(feeds, file, max_bytes=1 << 20)] == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b'{"n": [1], "data": {"items": [{"id": "a", "n": 1}, {"id"', ["inside"], id="inside"),
        pytest.param(b'[{"id": "a", "n": 1}', ["arrays", "plain"], id="an array"),
        pytest.param(b'{"data": {"items": []}}', [], id="no record"),
    ],
)
def test_json_is_told_by_the_first_record(content: bytes, expected: list[str], tmp_path: Path) -> None:
    """A JSON file matches the feeds that find a record with their columns where their contract says."""
    paths = {"arrays": (), "inside": ("data", "items"), "plain": None}
    feeds = {
        name: (feed(source=SourceFormat(FileFormat.JSON, records_path=way)), options()) for name, way in paths.items()
    }
    path = tmp_path / "s_2024-01-01"
    path.write_bytes(content)
    file = find(path)
    assert file
    assert [match.feed for match in matching_feeds(feeds, file, max_bytes=1 << 20)] == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"a   1\nb   2\n", ["plain"], id="a line of that width"),
        pytest.param(b"id  n\na   1\n", ["headed", "plain"], id="with a header"),
        pytest.param(b"id   n\na    1\n", [], id="a wider one"),
        pytest.param(b"id,n\n", [], id="CSV"),
    ],
)
def test_fixed_width_is_told_by_lines(content: bytes, expected: list[str], tmp_path: Path) -> None:
    """A fixed width file matches by its header where the contract has one, else by the width of its first line."""
    columns = (column("id", span=Span(1, 4)), column("n", span=Span(5, 1)))
    layouts = {"headed": FixedWidth(header_line=True), "plain": FixedWidth()}
    feeds = {
        name: (feed(*columns, source=SourceFormat(FileFormat.FIXED_WIDTH, fixed=layout)), options())
        for name, layout in layouts.items()
    }
    path = tmp_path / "s_2024-01-01"
    path.write_bytes(content)
    file = find(path)
    assert file
    assert [match.feed for match in matching_feeds(feeds, file, max_bytes=1 << 20)] == expected
