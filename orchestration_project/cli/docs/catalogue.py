"""The catalogue: what the definitions have, as a page to read."""

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.cli.docs import code, codes, page, table

if TYPE_CHECKING:
    # Dagster has no public names for these two. For type checks only, so an upgrade can't break the pages.
    from dagster._core.definitions.assets.graph.asset_graph import AssetGraph, AssetNode

INTRODUCTION = (
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
    return page("Catalogue", INTRODUCTION, *assets, *_automation(repository), *_resources(definitions))


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
