"""The reference: settings, the attributes of a feed's `defs.yaml`, and what a contract may say."""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestration_project.cli.docs import code, codes, page, table
from orchestration_project.components import FileFeed, SqlTable
from orchestration_project.contracts import parsing, quality, rules, service, sql_types
from orchestration_project.contracts.columns import NOT_PERSONAL
from orchestration_project.contracts.describe import COMPARISONS
from orchestration_project.contracts.odcs import API_VERSIONS
from orchestration_project.contracts.patterns import TEXT_FORMATS
from orchestration_project.settings import Settings

INTRODUCTION = (
    "What can be set: by environment variables, in a feed's `defs.yaml`, and in its contract."
    " [Contracts](contracts.md) explains the latter with an example, [Add a feed](add-a-feed.md) leads through it all."
)
SETTING = re.compile(r"^    (\w+): (.*?);\s+`([A-Z_]+)`\.$", re.MULTILINE | re.DOTALL)


YAML_WORDS = {"array": "list", "object": "mapping"}


def manual() -> str:
    """The page."""
    return page(
        "Reference",
        INTRODUCTION,
        "## Settings",
        settings(),
        "## Attributes of `defs.yaml`",
        "Of the component `orchestration_project.components.FileFeed`.",
        attributes(FileFeed),
        "Of the component `orchestration_project.components.SqlTable`.",
        attributes(SqlTable),
        "## Contracts",
        contracts(),
        "Each type may also be written with these names:",
        types(),
    )


def settings() -> str:
    """The environment variables, as the docstring of `Settings` describes them."""
    listed = (inspect.getdoc(Settings) or "").partition("Attributes:\n")[2]
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    rows = [
        (code(variable), _default(defaults[name]), _sentence(meaning))
        for name, meaning, variable in SETTING.findall(listed)
    ]
    return table(("variable", "default", "meaning"), rows)


def attributes(component: type[FileFeed] | type[SqlTable]) -> str:
    """The attributes of a component, as its model describes them."""
    schema = component.model_json_schema()
    rows = [
        (
            code(name),
            _type(field),
            "required" if name in schema.get("required", ()) else _default(field.get("default")),
            field["description"],
        )
        for name, field in schema["properties"].items()
    ]
    return table(("attribute", "type", "default", "meaning"), rows)


def contracts() -> str:
    """What a contract may say, as the modules that read it have it."""
    rows = [
        ("`apiVersion`", codes(API_VERSIONS)),
        ("`format` of a server", codes(service.FORMATS)),
        *((f"`logicalTypeOptions` of {kind} columns", codes(names)) for kind, names in rules.OPTIONS.items() if names),
        ("`format` of a text", codes(TEXT_FORMATS)),
        ("`classification` that masks nothing", codes(sorted(NOT_PERSONAL - {""}))),
        ("`metric` of a quality rule", codes(quality.METRICS)),
        ("its operator", codes(COMPARISONS)),
        ("its `severity`", codes(quality.SEVERITIES)),
        ("`unit` in `slaProperties`", codes(service.UNITS)),
        ("`customProperties` of a server", codes(parsing.OF_A_SERVER)),
        ("`customProperties` of a column", codes(parsing.OF_A_COLUMN)),
    ]
    return table(("of a contract", "what is understood"), rows)


def types() -> str:
    """The types of columns and their other names."""
    return table(
        ("`physicalType`", "also written"), [(code(name), codes(others)) for name, others in sql_types.SYNONYMS.items()]
    )


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(code(value) for value in field["enum"])
    kinds = [YAML_WORDS.get(kind, kind) for kind in _kinds(field) if kind != "null"]
    limits = [f"{word} {field[name]:g}" for name, word in (("minimum", "from"), ("maximum", "to")) if name in field]
    return " ".join([" or ".join(kinds), *limits])


def _kinds(field: Mapping[str, Any]) -> Iterator[str]:
    """The types of JSON; a reference is to another model."""
    yield from (kind.get("type", "object") for kind in field.get("anyOf", [field]))


def _default(value: object) -> str:
    if isinstance(value, list):
        return codes(value) or "none"
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return code("on" if value else "off")
    return code(f"{value:g}" if isinstance(value, float) else value)


def _sentence(text: str) -> str:
    joined = " ".join(text.split())
    return joined[:1].upper() + joined[1:] + "."
