"""A delivered table in Dagster: its asset, and the check that compares the target with the warehouse.

Belongs here: what Dagster shows of a delivery, and which parts a run is about. The work is in `delivery`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from orchestration_project.components.check_states import noted
from orchestration_project.components.delivered_tables import Catalogue, Table
from orchestration_project.components.feed_metadata import Metadata, compared
from orchestration_project.components.feed_spec import DELIVERY_TAG, keys_of
from orchestration_project.components.resources import Platform
from orchestration_project.delivery.deliver import Comparison, Delivered, compare, deliver, work_folder
from orchestration_project.delivery.model import WHOLE, Target
from orchestration_project.delivery.source import Personal, Selection
from orchestration_project.delivery.targets import FILES, KINDS, USUAL_FORMAT, TargetConfig, open_target, scheme_of
from orchestration_project.errors import DeliveryError, PlatformError
from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings, revealed
from orchestration_project.storage.objects import masked
from orchestration_project.warehouse.connection import reading
from orchestration_project.warehouse.tables import columns_of

CHECK = "target_matches"
# A target that is slow or dead takes this slot, and not the one for the warehouse.
POOL = "deliveries"
FOLDER = "deliveries"
"""The folder below the data folder for relative targets and for copies that are on their way."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class DeliverySpec:
    """A table and where it is delivered to, as the definitions see it; see `Delivery` for the attributes."""

    name: str
    catalogue: Catalogue
    table: Table
    target: str = field(repr=False)  # it may hold a password
    format: str
    options: Mapping[str, object]
    by_batch: bool
    personal: Personal
    columns: Mapping[str, Personal]
    retries: int
    retry_seconds: float
    group: str
    owners: Sequence[str]

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key."""
        return dg.AssetKey([self.name, self.table.name])

    def url(self, settings: Settings) -> str:
        """Where the target is.

        Raises:
            SettingsError: the variable that has it is not set.
        """
        url = revealed(self.target)
        # Relative to what is the same for every process: their working directories differ.
        return url if scheme_of(url) else str(settings.data_dir / FOLDER / Path(url).expanduser())

    def part_of(self, key: str) -> str:
        """The part that a partition key stands for."""
        assert self.table.feed
        return str(self.table.feed.options.batching.from_key(key))

    def key_of(self, part: str) -> str | None:
        """The partition key of a part; None if it has none."""
        feed = self.table.feed
        if feed is None or part == WHOLE:
            return None
        batching = feed.options.batching
        batch = type(batching.start).fromisoformat(part)
        return batching.key(batch) if batch >= batching.start else None

    @contextmanager
    def opened(self, settings: Settings) -> Iterator[tuple[Target, Path]]:
        """The target, and an empty folder for copies."""
        with work_folder(settings.data_dir / FOLDER / ".work") as work:
            for folder in ("copies", "target"):
                (work / folder).mkdir()
            config = TargetConfig(self.name, self.url(settings), self.format, self.options, work / "target")
            yield open_target(config), work / "copies"

    def selection(self, settings: Settings, columns: Sequence[str]) -> Selection:
        """What is delivered of the table, which has these columns."""
        personal = dict.fromkeys(self.catalogue.personal(self.table.name, columns), self.personal)
        return Selection(
            self.table.name,
            personal | {name: how for name, how in self.columns.items() if name in columns},
            frozenset(columns),
            settings.delivery_hash_key,
            not self.by_batch,
            self.table.key,
            self.table.required,
            self.table.description,
            self.table.descriptions,
        )


def build_asset(spec: DeliverySpec) -> dg.AssetsDefinition:
    """The asset of a delivered table, partitioned as its source."""
    feed = spec.table.feed

    @dg.asset(
        key=spec.key,
        deps=[dg.AssetKey(spec.table.name)],
        partitions_def=feed.partitions_def if feed else None,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        group_name=spec.group,
        kinds=_kinds(spec),
        tags={DELIVERY_TAG: ""},
        owners=list(spec.owners),
        retry_policy=dg.RetryPolicy(spec.retries, spec.retry_seconds, dg.Backoff.EXPONENTIAL),
        description=f"{spec.table.name} at its target: whatever has changed there or here is delivered, and nothing"
        " else.",
        metadata=_uri(spec),
    )
    def deliver_table(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        settings, purpose = platform.settings, f"delivery of {spec.table.name}, run {context.run.run_id}"
        with _without_vain_retries(), spec.opened(settings) as (target, work):
            selection = spec.selection(settings, _columns(platform, spec, purpose))
            delivered = deliver(platform.warehouse, selection, target, work, purpose)
        _tell_parts(context, spec, delivered, {*keys_of(context)} if feed else set())
        return dg.MaterializeResult(metadata=_metadata(spec, delivered, target))

    return deliver_table


@contextmanager
def _without_vain_retries() -> Iterator[None]:
    """Have a fault tried again only if it may pass by itself."""
    try:
        yield
    except PlatformError as error:
        if error.transient:
            raise
        raise dg.Failure(str(error), allow_retries=False) from error


def _columns(platform: Platform, spec: DeliverySpec, purpose: str) -> list[str]:
    """The columns that the component declares which makes the table; else those that it has."""
    if spec.table.columns is not None:
        return list(spec.table.columns)
    with reading(platform.warehouse, purpose) as connection:
        return list(columns_of(connection, spec.table.name))


def _tell_parts(context: dg.AssetExecutionContext, spec: DeliverySpec, delivered: Delivered, asked: set[str]) -> None:
    """An event for each part that was written, also for those that the run did not name."""
    for part, figures in delivered.written.items():
        if (key := spec.key_of(part)) is None:
            continue
        metadata: Metadata = {"dagster/partition_row_count": dg.MetadataValue.int(figures.rows)}
        if key in asked:
            context.add_asset_metadata(metadata, partition_key=key)
        else:
            context.log_event(dg.AssetMaterialization(spec.key, partition=key, metadata=metadata))


def _metadata(spec: DeliverySpec, delivered: Delivered, target: Target) -> Metadata:
    written, removed = list(delivered.written), list(delivered.removed)
    return {
        "dagster/uri": dg.MetadataValue.text(f"{target.url}/{spec.table.name}"),
        "written": dg.MetadataValue.text(_listed(written)),
        "removed": dg.MetadataValue.text(_listed(removed)),
        "rows_written": dg.MetadataValue.int(sum(figures.rows for figures in delivered.written.values())),
        "bytes_copied": dg.MetadataValue.int(delivered.size),
        "parts": dg.MetadataValue.int(delivered.parts),
        "columns": dg.MetadataValue.text(", ".join(delivered.shape.columns)),
    }


def _listed(parts: Sequence[str]) -> str:
    shown = ", ".join(parts[:SHOWN])
    return f"{shown} and {len(parts) - SHOWN} more" if len(parts) > SHOWN else shown or "none"


def _kinds(spec: DeliverySpec) -> set[str]:
    try:
        scheme = scheme_of(spec.url(Settings.from_env()))
    except SettingsError:
        return set()
    kind = KINDS.get(scheme, scheme)
    return {kind, spec.format or USUAL_FORMAT} if scheme in FILES else {kind}


def _uri(spec: DeliverySpec) -> dict[str, object]:
    """The target as it may be shown; nothing where a variable has it that is not set yet."""
    try:
        return {"dagster/uri": f"{masked(spec.url(Settings.from_env()))}/{spec.table.name}"}
    except SettingsError:
        return {}


def build_check(spec: DeliverySpec) -> dg.AssetChecksDefinition:
    """The blocking check that rows and sums at the target are those of the warehouse."""

    @dg.asset_check(
        name=CHECK,
        asset=spec.key,
        blocking=True,
        pool=POOL,
        additional_deps=[dg.AssetKey(spec.table.name)],
        description=f"Rows and sums of the numeric columns of {spec.table.name}, read back from the target, equal those"
        " of the warehouse: in a run that delivers, of the parts that it was asked for or wrote; else of all.",
    )
    def match(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        settings, purpose = platform.settings, f"check of {spec.key.to_user_string()}"
        parts = _parts_of_run(context, spec)
        try:
            with spec.opened(settings) as (target, _):
                selection = spec.selection(settings, _columns(platform, spec, purpose))
                result = _result(compare(platform.warehouse, selection, target, parts, purpose))
        except DeliveryError as error:
            if error.transient:
                raise
            result = dg.AssetCheckResult(
                passed=False, description=str(error), metadata=compared("what was delivered", "what can't be read")
            )
        keys = {key for part in parts or () if (key := spec.key_of(part))}
        return noted(context, platform, spec.key.to_user_string(), CHECK, result, keys)

    return match


def _parts_of_run(context: dg.AssetCheckExecutionContext, spec: DeliverySpec) -> set[str] | None:
    """The parts that a run is about: those it names and those it has written; None, if it only checks: all."""
    feed = spec.table.feed
    if feed is None or not spec.by_batch:
        return None
    named = feed.keys_of_run(context.run.tags)
    events = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    own = [event for entry in events if (event := entry.dagster_event) and event.asset_key == spec.key]
    if named is None and not own:
        return None
    written = {event.partition for event in own if event.partition}
    return {spec.part_of(key) for key in {*(named or ()), *written}}


def _result(found: Comparison) -> dg.AssetCheckResult:
    waiting = f" {len(found.waiting)} part(s) have changed since; the next delivery brings them." * bool(found.waiting)
    wrong = "; ".join(f"{part}: {what}" for part, what in list(found.wrong.items())[:SHOWN])
    description = f"{len(found.wrong)} part(s) differ: {wrong}." if wrong else f"{found.compared} part(s) agree."
    return dg.AssetCheckResult(
        passed=not found.wrong,
        description=description + waiting,
        metadata={
            **compared("rows and sums as in the warehouse", f"{len(found.wrong)} parts that differ"),
            "parts_compared": found.compared,
            "rows_read_back": found.rows,
            "parts_waiting": len(found.waiting),
        },
    )
