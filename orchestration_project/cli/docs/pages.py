"""Which pages are generated, and what stands in them.

The reference has the settings, the attributes of components, and what a contract may say. The commands stand in a page
that people write. The third page is in `catalogue`.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from orchestration_project.cli.docs import code, codes, default, page, table
from orchestration_project.cli.docs.catalogue import catalogue
from orchestration_project.cli.main import main
from orchestration_project.components import (
    Alerts,
    Backup,
    Delivery,
    FileFeed,
    LakeMaintenance,
    PlatformHealth,
    Retention,
    Source,
    SqlTable,
)
from orchestration_project.components.feed_deliveries import Deliveries
from orchestration_project.contracts import ignored, parsing, quality, rules, service, sql_types
from orchestration_project.contracts.columns import NOT_PERSONAL
from orchestration_project.contracts.odcs import API_VERSIONS
from orchestration_project.contracts.patterns import TEXT_FORMATS
from orchestration_project.contracts.rules import COMPARISONS
from orchestration_project.definitions import defs
from orchestration_project.health.model import METRICS
from orchestration_project.settings import Settings
from orchestration_project.sources.kinds import KINDS
from orchestration_project.sources.sql_options import SqlBatches

INTRODUCTION = (
    "What can be set: by environment variables, in a feed's `defs.yaml`, and in its contract."
    " [Contracts](contracts.md) explains the latter with an example, [Add a feed](add-a-feed.md) leads through it all."
)
# From "automation: whether sensors and schedules start switched on; `AUTOMATION`." it takes the field's name, the
# sentence, and the variable.
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
        "Of its `deliveries`:",
        attributes(Deliveries),
        "Of the component `orchestration_project.components.SqlTable`.",
        attributes(SqlTable),
        "Of the component `orchestration_project.components.Delivery`: [Deliver tables](deliver.md) says more.",
        attributes(Delivery),
        "Of the component `orchestration_project.components.Source`: [Fetch files](fetch.md) says more.",
        attributes(Source),
        *sources(),
        "Of the `batches` of `sql`:",
        attributes(SqlBatches),
        "Of the component `orchestration_project.components.PlatformHealth`.",
        attributes(PlatformHealth),
        "Of the component `orchestration_project.components.Backup`: [Backups](backup.md) says what they are for.",
        attributes(Backup),
        "Of the component `orchestration_project.components.Retention`: [For how long things stay](retention.md).",
        attributes(Retention),
        "Of the component `orchestration_project.components.LakeMaintenance`: [A lake](lake.md#maintenance) says more.",
        attributes(LakeMaintenance),
        "Of the component `orchestration_project.components.Alerts`: [Alarms](alerts.md) says what they are for.",
        attributes(Alerts),
        "## Metrics",
        "Of the table `platform_health`, and of the file for Prometheus: [Health](health.md) says more.",
        metrics(),
        "## Contracts",
        contracts(),
        "Each type may also be written with these names:",
        types(),
    )


def settings() -> str:
    """The environment variables, as the docstring of `Settings` describes them."""
    # The docstring is the one place that describes a setting; a field without an entry there is missing on the page,
    # which a test compares with what settings.py reads.
    listed = (inspect.getdoc(Settings) or "").partition("Attributes:\n")[2]
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    rows = [
        (code(variable), default(defaults[name]), _sentence(meaning))
        for name, meaning, variable in SETTING.findall(listed)
    ]
    return table(("variable", "default", "meaning"), rows)


def sources() -> Iterator[str]:
    """The attributes of each kind of source."""
    for name, kind in KINDS.items():
        yield f"Of its `{name}`:"
        yield attributes(kind.options)


def attributes(component: type[BaseModel]) -> str:
    """The attributes of a component, or of a part of it, as its model describes them."""
    schema = component.model_json_schema()
    rows = [
        (
            code(name),
            _type(field),
            "required" if name in schema.get("required", ()) else default(field.get("default")),
            field["description"],
        )
        for name, field in schema["properties"].items()
    ]
    return table(("attribute", "type", "default", "meaning"), rows)


def metrics() -> str:
    """The metrics of the platform's health."""
    rows = [
        (metric.kind.value, code(metric.name), code(metric.unit.value), metric.description, code(metric.exported_as))
        for metric in METRICS
    ]
    return table(("of each", "metric", "unit", "meaning", "for Prometheus"), rows)


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
        ("`customProperties` of an object", codes(parsing.OF_AN_OBJECT)),
        ("a rule of `ignoredRecords`", codes(ignored.FIELDS)),
        ("its `controlTotal`", codes(ignored.TOTAL_FIELDS)),
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


def _sentence(text: str) -> str:
    joined = " ".join(text.split())
    return joined[:1].upper() + joined[1:] + "."


DOCS = Path(__file__).parents[3] / "docs"
COMMANDS = DOCS / "commands.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def pages() -> dict[str, str]:
    """The text of each generated page, by its name in docs/."""
    return {
        "catalogue.md": catalogue(defs()),
        "commands.md": with_reference(COMMANDS.read_text(encoding="utf-8")),
        "reference.md": manual(),
    }


def reference() -> str:
    """The reference of all commands: of each one its usage, its help and its options."""
    return "\n".join(line for name, command in commands_of(main) for line in _command(name, command))


def commands_of(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands by their whole name; a group is left out, and those in it are listed: `backup now`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def with_reference(page: str) -> str:
    """A page with the reference between its two marks as it is now."""
    # People write the rest of that page, so it is never made anew as a whole.
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{rest.partition(END)[2]}"


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### `{name}`\n"
    yield f"`orchestration-project {name} {usage}`\n"
    # The help's last paragraph is "Example: orchestration-project ...", which becomes code.
    for paragraph in (command.help or "").split("\n\n"):
        text = " ".join(paragraph.split())
        before, example, typed = text.partition("Example: ")
        yield f"{before}`{typed}`\n" if example else f"{text}\n"
    options = [item for item in command.params if isinstance(item, click.Option)]
    if options:
        records = [option.get_help_record(context) or ("", "") for option in options]
        yield table(("option", "meaning"), [(code(names), meaning) for names, meaning in records])
        yield ""
