"""Contracts as plain data, small enough that a test shows all that matters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.contracts import ContractError, Feed, load_feed
from orchestration_project.ingest.patterns import refused_patterns

Load = Callable[..., Feed]
Problems = Callable[..., list[str]]


def contract(*properties: dict[str, Any], quality: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A contract for the feed `f` with these columns (default: one text column `a`) and further fields."""
    table = {"name": "f", "properties": list(properties) or [{"name": "a", "physicalType": "VARCHAR"}]}
    if quality is not None:
        table["quality"] = quality
    required = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "x", "version": "1.2.3", "status": "active"}
    return {**required, "schema": [table], **fields}


def text(name: str = "a", **fields: Any) -> dict[str, Any]:
    """A text column."""
    return {"name": name, "physicalType": "VARCHAR", **fields}


def custom(**values: Any) -> dict[str, Any]:
    """Custom properties by name, as fields of their owner."""
    return {"customProperties": [{"property": name, "value": value} for name, value in values.items()]}


def number(name: str = "n", **fields: Any) -> dict[str, Any]:
    """A column of money."""
    return {"name": name, "physicalType": "DECIMAL(9,2)", **fields}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a contract given as plain data or as YAML text."""

    def load_document(document: dict[str, Any] | str, name: str | None = None) -> Feed:
        path = tmp_path / "f.odcs.yaml"
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return load_feed(path, name, refused_patterns)

    return load_document


@pytest.fixture
def problems(load: Load) -> Problems:
    """What is wrong with a contract, as `path: message`; a contract without problems has none."""

    def problems_of(document: dict[str, Any] | str, name: str | None = None) -> list[str]:
        try:
            load(document, name)
        except ContractError as error:
            return [str(problem) for problem in error.problems]
        return []

    return problems_of
