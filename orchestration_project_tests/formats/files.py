"""Files straight into a raw table, without the rest of a load: for tests over many generated files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import duckdb

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.prepare import prepare
from orchestration_project.formats.stage import count, stage
from orchestration_project.formats.staging import ReadyFile


def staged(folder: Path, feed: Feed, contents: Mapping[str, str | bytes]) -> dict[tuple[str, int], object]:
    """What is read as each record, by file and number: its values, its parse error's code, or () if it is blank."""
    names = [column.name for column in feed.source_columns]
    with duckdb.connect(config={"threads": 1}) as connection:
        ready = []
        for index, (name, content) in enumerate(contents.items()):
            (work := folder / f"work{index}").mkdir()
            path = folder / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            prepared = prepare(feed, path, name, work, max_bytes=1 << 30)
            prepared = replace(prepared, records=count(connection, feed, prepared, max_bytes=1 << 30))
            ready.append(ReadyFile(prepared, "2024-01-01", "0", folder))
        found = stage(connection, feed, "DATE", ready)
        rows = connection.execute(
            f"SELECT _file, _row, _parse_error, {', '.join(names)} FROM {found.relation} ORDER BY _file, _row"
        ).fetchall()
        counts = dict(connection.execute(f"SELECT _file, count(*) FROM {found.relation} GROUP BY 1").fetchall())
        assert {file.name: counts.get(file.name, 0) for file in ready} == {
            file.name: file.prepared.records for file in ready
        }
        assert found.count == len(rows)
    return {
        (file, row): error.split(":")[0] if error else tuple(values) * any(value is not None for value in values)
        for file, row, error, *values in rows
    }


def records(folder: Path, feed: Feed, content: str | bytes, name: str = "s.csv") -> dict[int, object]:
    """What is read as each record of one file, by its number."""
    return {number: found for (_, number), found in staged(folder, feed, {name: content}).items()}
