"""A Dagster project with a few feeds and marts, whose commands are typed as a person types them."""

import datetime as dt
import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from orchestration_project.cli.main import main
from orchestration_project.cli.project import project_here
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.settings import Settings
from orchestration_project.warehouse import marts
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.ingest.shop import NOW, PATTERN

MAIL = "zoe@example.com"
COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "physicalType": "VARCHAR", "required": True, "primaryKey": True},
    {"name": "value", "physicalType": "VARCHAR"},
    {"name": "mail", "physicalType": "VARCHAR", "classification": "personal"},
    {"name": "row", "physicalType": "INTEGER", "physicalName": "Row No", "logicalType": "integer"},
    {"name": "file", "physicalType": "DECIMAL(18,2)", "logicalType": "number", "logicalTypeOptions": {"minimum": 0}},
]
HEAD = "id,value,mail,Row No,file\n"


def feed(
    name: str, form: str = "csv", columns: Sequence[Mapping[str, Any]] = COLUMNS, ignored: Any = None, **options: Any
) -> dict[str, str]:
    """The files of a feed's folder."""
    contract: dict[str, Any] = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": "1.0.0",
        "status": "active",
        "servers": [{"server": "here", "type": "local", "path": name, "format": form}],
        "schema": [{"name": name, "properties": list(columns)}],
    }
    if ignored:
        contract["schema"][0]["customProperties"] = [{"property": "ignoredRecords", "value": ignored}]
    attributes = {"contract": "contract.yaml", "batch_pattern": PATTERN, "max_reject_rate": 1.0, **options}
    component = {
        "type": "orchestration_project.components.FileFeed",
        "attributes": {key: value for key, value in attributes.items() if value is not None},
    }
    return {"contract.yaml": yaml.safe_dump(contract), "defs.yaml": yaml.safe_dump(component)}


def mart(name: str, select: str, inputs: Sequence[str], key: Sequence[str], **attributes: Any) -> dict[str, str]:
    """The files of a mart's folder."""
    document = {
        "type": "orchestration_project.components.SqlTable",
        "attributes": {"query": f"{name}.sql", "description": name, "inputs": list(inputs), "key": list(key)}
        | attributes,
    }
    return {"defs.yaml": yaml.safe_dump(document), f"{name}.sql": select}


@dataclass
class Desk:
    """A project and its data; the working folder is the project's."""

    root: Path
    data_dir: Path
    minutes: list[int] = field(default_factory=list)

    def add(self, **folders: Mapping[str, str]) -> "Desk":
        """Add feeds and marts by their folders."""
        for folder, files in folders.items():
            for name, text in files.items():
                path = self.root / self.root.name / "defs" / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return self

    @property
    def settings(self) -> Settings:
        """The settings that the commands have."""
        return Settings(data_dir=self.data_dir, threads=1)

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse."""
        return Warehouse.from_settings(self.settings)

    def deliver(self, name: str, content: str | bytes, feed: str = "orders") -> Path:
        """Put a file in landing, a minute newer than the one before."""
        path = self.settings.landing(feed) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.minutes.append(len(self.minutes))
        modified = dt.datetime(2024, 2, 1, tzinfo=dt.UTC).timestamp() + 60 * len(self.minutes)
        os.utime(path, (modified, modified))
        return path

    def load(self, name: str = "orders") -> None:
        """Load all files that a feed has in landing."""
        spec = project_here().feeds()[name]
        batching = spec.options.batching
        wanted = {
            batching.batch_of(path.name, dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC))
            for path in self.settings.landing(name).glob("[!.]*")
        }
        request = Request(None if spec.options.snapshot else sorted(wanted), now=NOW)
        load(self.warehouse, self.settings, spec.feed, spec.options, request, lambda _: None)

    def build(self) -> None:
        """Make all marts, each after those that it is made from."""
        with self.warehouse.transaction("marts") as connection:
            for followed in project_here().feeds_and_marts()[1]:
                if followed.mart.batches_of:
                    marts.replace(connection, followed.mart, [])
                else:
                    marts.replace_whole(connection, followed.mart)

    def change(self, sql: str) -> None:
        """Write to the warehouse from outside."""
        with self.warehouse.connection("test") as connection:
            connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The result of a query."""
        with self.warehouse.connection("test") as connection:
            return connection.execute(sql).fetchall()

    def run(self, *arguments: str | int | Path) -> Result:
        """The result of a command, whatever its exit code."""
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit | click.ClickException)
        return result

    def type(self, *arguments: str | int | Path, exit_code: int = 0) -> Result:
        """The result of a command that ends with an exit code."""
        result = self.run(*arguments)
        assert result.exit_code == exit_code, result.output
        return result

    def where(self, *arguments: str | int | Path, exit_code: int = 0) -> list[dict[str, Any]]:
        """The files that `where` tells of."""
        told: list[dict[str, Any]] = json.loads(self.type("where", *arguments, "--json", exit_code=exit_code).stdout)[
            "files"
        ]
        return told

    def record(self, *arguments: str | int | Path, exit_code: int = 0) -> dict[str, Any]:
        """The record in the first of the files that `where` tells of."""
        record: dict[str, Any] = self.where(*arguments, exit_code=exit_code)[0]["record"]
        return record

    def find(self, *arguments: str | int, exit_code: int = 0) -> list[dict[str, Any]]:
        """The records that `find` lists, of all feeds."""
        told = json.loads(self.type("find", *arguments, "--json", exit_code=exit_code).stdout)
        return [match | {"feed": feed["feed"]} for feed in told["feeds"] for match in feed["matches"]]


def new_desk(folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A project without feeds in a folder, which becomes the working folder; no other test has its module's name."""
    name = f"desk_{uuid.uuid4().hex}"
    root = folder / name
    (root / name / "defs").mkdir(parents=True)
    for package in (root / name, root / name / "defs"):
        (package / "__init__.py").write_text("", encoding="utf-8")
    (root / "pyproject.toml").write_text(f'[tool.dg.project]\nroot_module = "{name}"\n', encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(root)
    return Desk(root, data_dir)
