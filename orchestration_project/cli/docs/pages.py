"""Which pages are generated, and what stands in them.

The catalogue is what the definitions have, as a page to read. The reference has the settings, the attributes of a
feed's `defs.yaml`, what a contract may say, and the commands; these stand in a page that people write.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import dagster as dg

from orchestration_project.cli.docs import code, codes, default, page, table
from orchestration_project.cli.main import main
from orchestration_project.components import Alerts, Delivery, FileFeed, PlatformHealth, SqlTable
from orchestration_project.components.feed_deliveries import Deliveries
from orchestration_project.contracts import ignored, parsing, quality, rules, service, sql_types
from orchestration_project.contracts.columns import NOT_PERSONAL
from orchestration_project.contracts.odcs import API_VERSIONS
from orchestration_project.contracts.patterns import TEXT_FORMATS
from orchestration_project.contracts.rules import COMPARISONS
from orchestration_project.definitions import defs
from orchestration_project.health.model import METRICS
from orchestration_project.settings import Settings

if TYPE_CHECKING:
    # Dagster has no public names for these two. For type checks only, so an upgrade can't break the pages.
    from dagster._core.definitions.assets.graph.asset_graph import AssetGraph, AssetNode

CATALOGUE_INTRODUCTION = (
    "All that the code location defines: tables with their columns, checks, jobs, schedules, sensors and resources."
    " [How it works](how-it-works.md) says how they play together, [the reference](reference.md) what can be set."
)


def catalogue(definitions: dg.Definitions) -> str:
    """The page about these definitions."""
    graph, repository = definitions.resolve_asset_graph(), definitions.get_repository_def()
    nodes = [graph.get(key) for key in graph.toposorted_asset_keys]
    groups = dict.fromkeys(node.group_name for node in nodes)
    assets = [
        block
        for group in groups
        for block in [f"## Assets: {group}", *(_asset(node, graph) for node in nodes if node.group_name == group)]
    ]
    return page("Catalogue", CATALOGUE_INTRODUCTION, *assets, *_automation(repository), *_resources(definitions))


def _asset(node: "AssetNode", graph: "AssetGraph") -> str:
    # Tags with a slash are Dagster's own, such as the kinds, which have a line of their own.
    facts = [
        ("Owners", codes(owner.removeprefix("team:") for owner in node.owners)),
        ("Kinds", codes(sorted(node.kinds))),
        ("Tags", codes(sorted(": ".join(filter(None, tag)) for tag in node.tags.items() if "/" not in tag[0]))),
        ("Made from", codes(key.to_user_string() for key in sorted(node.parent_keys))),
        ("Partitions", str(node.partitions_def) if node.partitions_def else ""),
    ]
    lines = [f"- {name}: {value}" for name, value in facts if value]
    blocks = [f"### {node.key.to_user_string()}", node.description or "", "\n".join(lines), _columns(node)]
    return "\n\n".join(filter(None, [*blocks, _checks(node, graph)]))


def _columns(node: "AssetNode") -> str:
    schema = node.metadata.get("dagster/column_schema")
    schema = schema.value if isinstance(schema, dg.TableSchemaMetadataValue) else schema
    if not isinstance(schema, dg.TableSchema):
        return ""
    rows = [
        (code(column.name), column.type, "; ".join(_constraints(column)), column.description or "")
        for column in schema.columns
    ]
    return table(("column", "type", "constraints", "meaning"), rows)


def _constraints(column: dg.TableColumn) -> Iterator[str]:
    if not column.constraints.nullable:
        yield "not null"
    if column.constraints.unique:
        yield "unique"
    yield from column.constraints.other
    yield from (f"{name}: {value}" for name, value in column.tags.items())


def _checks(node: "AssetNode", graph: "AssetGraph") -> str:
    specs = [graph.get_check_spec(key) for key in sorted(node.check_keys)]
    rows = [(code(spec.name), "yes" if spec.blocking else "no", spec.description or "") for spec in specs]
    return table(("check", "stops downstream", "passes when"), rows)


def _automation(repository: dg.RepositoryDefinition) -> Iterator[str]:
    # Names that begin with __ are Dagster's own jobs for assets that somebody materializes by hand.
    jobs = [repository.get_job(name) for name in sorted(repository.job_names) if not name.startswith("__")]
    yield "## Jobs"
    yield table(("job", "does"), [(code(job.name), job.description or "") for job in jobs])
    yield "## Schedules"
    yield table(
        ("schedule", "job", "cron", "time zone", "does"),
        [
            (
                code(item.name),
                code(item.job_name),
                code(item.cron_schedule),
                item.execution_timezone or "UTC",
                item.description or "",
            )
            for item in sorted(repository.schedule_defs, key=lambda item: item.name)
        ],
    )
    yield "## Sensors"
    yield table(
        ("sensor", "job", "every", "does"),
        [
            (
                code(item.name),
                codes(target.job_name for target in item.targets),
                f"{item.minimum_interval_seconds} s",
                item.description or "",
            )
            for item in sorted(repository.sensor_defs, key=lambda item: item.name)
        ],
    )


def _resources(definitions: dg.Definitions) -> Iterator[str]:
    yield "## Resources"
    rows = []
    for name, resource in sorted((definitions.resources or {}).items()):
        about = (inspect.getdoc(type(resource)) or "").partition("\n\n")[0]
        rows.append((code(name), code(type(resource).__name__), about))
    yield table(("key", "class", "is"), rows)


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
        "Of the component `orchestration_project.components.PlatformHealth`.",
        attributes(PlatformHealth),
        "Of the component `orchestration_project.components.Backup`: [Backups](backup.md) says what they are for.",
        attributes(Backup),
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


def attributes(component: type[Alerts | Deliveries | Delivery | FileFeed | PlatformHealth | SqlTable]) -> str:
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
