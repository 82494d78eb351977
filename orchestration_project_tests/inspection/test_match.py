"""Which feeds a file matches that lies in no feed's folder."""

from pathlib import Path

import pytest

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.inspection.match import matching_feeds
from orchestration_project.storage.files import find
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.shop import feed, options


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"id,n\na,1\n", ["csv"], id="CSV"),
        pytest.param(b'{"id": "a", "n": 1}\n', ["json"], id="JSON"),
        pytest.param(workbook({"Data": [("id", "n")]}), ["xlsx"], id="workbook"),
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
