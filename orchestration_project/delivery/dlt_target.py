"""The target dlt: whatever dlt has a destination for, such as BigQuery, Snowflake, Databricks or SQL Server.

    dlt://snowflake/warehouse      dlt's name of the destination, then the dataset

The credentials are in the environment, by dlt's own names: DESTINATION__SNOWFLAKE__CREDENTIALS__PASSWORD.

Belongs here: one pipeline with one table, run in a folder of ours. How rows and types become dlt's is in `dlt_rows`.

Each row carries its part and the part's content. So what was delivered is known from the rows themselves, whatever the
destination: dlt replaces the rows of parts of one table in one go, and has no transaction over two tables.
"""

import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestration_project.delivery.dlt_rows import CONTENT, PART, hints_of, rows_of
from orchestration_project.delivery.model import Contents, Figures, Shape, StagedPart
from orchestration_project.delivery.targets import TargetConfig
from orchestration_project.errors import DeliveryConflict, DeliveryError, TargetDown, without_values

STRATEGY = "delete-insert"
"""How parts are replaced: all rows of a part are deleted, then the new ones inserted."""
BROKEN = "broken"
"""The content of a part that is not whole; no part of a source has it, so the part is written again."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class DltTarget:
    """Tables in a dataset of a dlt destination.

    Attributes:
        destination: dlt's name of the destination.
        dataset: the dataset.
        work: a folder for the pipeline's files; nothing in it is needed again.
    """

    destination: str
    dataset: str
    work: Path

    @classmethod
    def from_config(cls, config: TargetConfig) -> "DltTarget":
        """The target that a delivery describes.

        Raises:
            DeliveryError: the URL or an option can't be used, or the destination can't replace parts of a table.
        """
        parts = urlsplit(config.url)
        dataset = parts.path.strip("/")
        if not _NAME.fullmatch(parts.netloc) or not _NAME.fullmatch(dataset) or parts.query or parts.fragment:
            # It is not quoted: whoever puts a password there should not find it in a log.
            raise DeliveryError(
                f"delivery {config.name}: the URL is dlt://destination/dataset, in small letters; credentials are in"
                " the environment, by dlt's names"
            )
        if config.format or config.options:
            raise DeliveryError(f"delivery {config.name}: a dlt destination has no format and no options")
        return cls(parts.netloc, dataset, config.work)

    @property
    def url(self) -> str:
        """Where it is, by dlt's names."""
        return f"dlt://{self.destination}/{self.dataset}"

    def delivered(self, table: str) -> Contents:
        """See `model.Target`. A part whose rows are not those of one delivery, or not all of them, is `BROKEN`."""
        with self._pipeline(table) as pipeline:
            found = _ask(pipeline, table, [PART, CONTENT], [])
        listed: dict[str, list[str]] = {}
        for part, noted, rows in found:
            content, _, expected = str(noted).rpartition(" ")
            listed.setdefault(str(part), []).append(content if expected == str(rows) else BROKEN)
        return {part: contents[0] if len(contents) == 1 else BROKEN for part, contents in listed.items()}

    def deliver(self, shape: Shape, known: Contents, write: Sequence[StagedPart], remove: Sequence[str]) -> None:
        """See `model.Target`. All parts of a table are replaced by one merge."""
        hints = hints_of(shape)
        if self.delivered(shape.table) != dict(known):
            raise DeliveryConflict(f"{self.url}: another delivery has changed {shape.table} meanwhile")
        with self._pipeline(shape.table) as pipeline:
            _require_same_types(pipeline, shape.table, hints)
            _require_decimals(pipeline, shape)
            # A type that dlt would guess from values, and does not find among ours, is an error.
            resource = _dlt().resource(
                rows_of(shape, write, remove),
                name=shape.table,
                write_disposition={"disposition": "merge", "strategy": STRATEGY},
                merge_key=PART,
                columns=hints,
                schema_contract={"data_type": "freeze"},
            )
            pipeline.run(resource).raise_on_failed_jobs()

    def read_back(self, shape: Shape, parts: Collection[str] | None) -> Mapping[str, Figures]:
        """See `model.Target`."""
        if parts is not None and not parts:
            return {}
        with self._pipeline(shape.table) as pipeline:
            found = _ask(pipeline, shape.table, [PART], shape.totals)
        return {
            part: Figures(rows, dict(zip(shape.totals, totals, strict=True)))
            for part, rows, *totals in found
            if parts is None or part in parts
        }

    @contextmanager
    def _pipeline(self, table: str) -> Iterator[Any]:
        """The pipeline for a table, with the schema that the destination remembers."""
        dlt = _dlt()
        _silence(dlt)
        pipeline = None
        try:
            # What a killed or failed delivery has left there would be loaded now.
            shutil.rmtree(self.work / "dlt", ignore_errors=True)
            destination = dlt.common.destination.Destination.from_reference(self.destination)
            if STRATEGY not in (destination.capabilities().supported_merge_strategies or ()):
                raise DeliveryError(
                    f"{self.url}: dlt can't replace parts of tables in {self.destination}; deliver files to a folder or"
                    " a bucket instead"
                )
            pipeline = dlt.pipeline(
                f"deliver_{table}",
                pipelines_dir=str(self.work / "dlt"),
                destination=destination,
                dataset_name=self.dataset,
            )
            pipeline.sync_destination()
            yield pipeline
        except dlt.common.exceptions.DltException as error:
            raise _fault(self.url, error) from None
        finally:
            if pipeline is not None:
                pipeline.deactivate()


def _dlt() -> Any:
    try:
        import dlt
        import dlt.common.destination
        import dlt.common.exceptions
    except ImportError:
        raise DeliveryError("deliveries by dlt need it: pip install 'orchestration-project[dlt]'") from None
    return dlt


def _silence(dlt: Any) -> None:
    """Keep dlt from telling its makers of pipelines, and from writing the rows of failed jobs to the log."""
    from dlt.common.runtime.telemetry import stop_telemetry

    dlt.config["runtime.dlthub_telemetry"] = False
    dlt.config["runtime.log_level"] = "CRITICAL"
    # The first use of `config` has started both by dlt's defaults, and what is set afterwards changes neither.
    stop_telemetry()
    dlt.current.run_context().initialize_runtime()


def _ask(pipeline: Any, table: str, by: Sequence[str], totals: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows and sums of a table by some columns, asked of the destination; nothing if it has no such table."""
    # What the destination knows of earlier deliveries came with the pipeline's schema.
    if pipeline.default_schema_name is None or table not in pipeline.default_schema.tables:
        return []
    with pipeline.sql_client() as client:
        grouped = ", ".join(map(client.escape_column_name, by))
        sums = "".join(f", sum({client.escape_column_name(name)})" for name in totals)
        name = client.make_qualified_table_name(table)
        return list(client.execute_sql(f"SELECT {grouped}, count(*){sums} FROM {name} GROUP BY {grouped}") or ())


def _require_same_types(pipeline: Any, table: str, hints: Mapping[str, Mapping[str, Any]]) -> None:
    """Make sure that no column is to have another type than it has: dlt would go on in a second column of that type."""
    known = pipeline.default_schema.tables.get(table, {}).get("columns", {}) if pipeline.default_schema_name else {}
    same = ("data_type", "precision", "scale")
    for name, hint in hints.items():
        if name in known and any(known[name].get(field) != hint.get(field) for field in same):
            raise DeliveryError(
                f"{table}: column {name!r} has another type at the destination, and dlt does not change types. Deliver"
                " to a dataset of another name, and drop the old one when nobody reads it"
            )


def _require_decimals(pipeline: Any, shape: Shape) -> None:
    """Make sure that amounts stay exact: SQLite would make binary fractions of them."""
    amounts = [name for name, sql_type in shape.columns.items() if sql_type.startswith(("DECIMAL", "UBIGINT"))]
    with pipeline.sql_client() as client:
        if amounts and getattr(client, "dialect_name", "") == "sqlite":
            raise DeliveryError(
                f"{shape.table}: SQLite has no exact decimals, so {', '.join(amounts)} can't be delivered to it."
                " Deliver a mart of whole numbers, such as cents, or to another database"
            )


def _fault(url: str, error: Exception) -> DeliveryError:
    """What an error of dlt means. Messages of drivers may quote rows and addresses, so what is quoted is left out."""
    from dlt.common.exceptions import TransientException

    chain = list(_causes(error))
    told = f"{type(chain[-1]).__name__}: {without_values(chain[-1])}"
    # A driver's own error of a lost or refused connection, by the name that Python's database API gives it.
    if any(isinstance(cause, TransientException) or type(cause).__name__ == "OperationalError" for cause in chain):
        return TargetDown(f"{url} can't be used now: {told}. The next run delivers")
    return DeliveryError(f"{url} refused the delivery: {told}")


def _causes(error: BaseException | None) -> Iterator[Exception]:
    """An error and what it came from. dlt keeps that in attributes, too."""
    seen: list[BaseException] = []
    while isinstance(error, Exception) and error not in seen:
        seen.append(error)
        yield error
        error = getattr(error, "exception", None) or getattr(error, "client_exception", None) or error.__cause__
