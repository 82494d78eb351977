"""`Source`: files and rows are fetched into a feed's landing, as a Dagster component.

Belongs here: what `defs.yaml` may say. The asset that it makes is in `source_assets`; the work is in `sources`.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import dagster as dg
from pydantic import BaseModel, Field, field_validator

from orchestration_project.components.feed_sources import FeedSource, sources_of
from orchestration_project.components.feed_spec import FeedSpec, time_zone
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.project import with_platform
from orchestration_project.components.source_assets import (
    SourceSpec,
    build_asset,
    build_check,
    build_job,
    build_schedule,
)
from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.sources.kinds import KINDS
from orchestration_project.sources.session import DeclaredSource


def _resolved(context: dg.ResolutionContext, options: BaseModel | None) -> BaseModel | None:
    """The options of a kind, with their `{{ }}` replaced."""
    if options is None:
        return None
    return type(options)(**context.resolve_value(options.model_dump(exclude_unset=True)))


def _of_kind(kind: str) -> dg.Resolver:
    """How the field of a kind is read.

    Dagster takes a model's limits, such as `ge=1`, only if the model is one of its own, and those of `sources` know no
    Dagster. So the fields are of any model, and the resolver says which one.
    """
    return dg.Resolver(_resolved, model_field_type=KINDS[kind].options | None)


class Source(FeedSource, dg.Model, dg.Resolvable):
    """Files or rows that are fetched for a feed, from one place, which one of the last attributes tells.

    Makes the observable asset `source_x` above `landing_x`, with a check that all that was fetched is in the ledger;
    the job `fetch_x`, and the schedule `fetch_x_schedule`.
    """

    feed: Annotated[str, Field(description="The feed that it fetches for. A feed has at most one source.")]
    schedule: Annotated[str, Field(description="When to fetch: a cron expression.")]
    timezone: Annotated[
        str | None, Field(description="Time zone in which the schedule runs. Left out: the feed's.")
    ] = None
    max_bytes: Annotated[
        int | None,
        Field(ge=1, description="How large a file may be, as it is sent. Left out: `MAX_FILE_BYTES`."),
    ] = None
    max_files: Annotated[
        int, Field(ge=1, description="How many files one fetch takes. The next one goes on with those that are left.")
    ] = 10_000
    max_seconds: Annotated[
        float, Field(gt=0, description="After how long a fetch begins no further file. The next one goes on.")
    ] = 3600.0
    retries: Annotated[
        int,
        Field(ge=0, description="How often a fetch is tried again in its run, if the source does not answer."),
    ] = 3
    retry_seconds: Annotated[
        float, Field(ge=0, description="Pause before it, doubled each time, and up to a quarter longer or shorter.")
    ] = 30.0
    stale_after_hours: Annotated[
        float,
        Field(
            ge=0, description="How long a fetched file may wait in landing before the check `source_complete` warns."
        ),
    ] = 24.0
    owners: Annotated[
        Sequence[str],
        Field(description="Owners: mail addresses, or `team:` and a name. Left out: the feed's."),
    ] = ()
    # One field for each of `KINDS`.
    http: Annotated[BaseModel | None, _of_kind("http"), Field(description="Files behind HTTP or HTTPS.")] = None
    rest: Annotated[BaseModel | None, _of_kind("rest"), Field(description="Answers of a REST API.")] = None
    imap: Annotated[BaseModel | None, _of_kind("imap"), Field(description="Attachments of mails on a mail server.")] = (
        None
    )
    sql: Annotated[
        BaseModel | None, _of_kind("sql"), Field(description="Rows that a query of PostgreSQL or SQLite gives.")
    ] = None
    object_store: Annotated[
        BaseModel | None,
        _of_kind("object_store"),
        Field(description="Files in an object store: S3, Google Cloud Storage, Azure, or a folder."),
    ] = None
    sftp: Annotated[BaseModel | None, _of_kind("sftp"), Field(description="Files on an SFTP server.")] = None

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        return None if value is None else time_zone(value)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The source's definitions."""
        spec = self.spec(context.component_tree)
        job = build_job(spec)
        return with_platform(
            dg.Definitions(
                assets=[build_asset(spec)],
                asset_checks=[build_check(spec)],
                jobs=[job],
                schedules=[build_schedule(spec, job)],
            )
        )

    def spec(self, tree: dg.ComponentTree) -> SourceSpec:
        """The source, as the factories need it.

        Args:
            tree: all components, among which is the feed.

        Raises:
            DagsterInvalidDefinitionError: an attribute can't be used.
        """
        feed, (kind, options) = self._feed(tree), self._kind()
        declared = DeclaredSource(
            self.feed, kind, options, feed.options.batching, self.max_files, self.max_seconds, self.max_bytes
        )
        return SourceSpec(
            declared,
            feed,
            self.schedule,
            self.timezone or feed.options.batching.timezone.key,
            self.retries,
            self.retry_seconds,
            dt.timedelta(hours=self.stale_after_hours),
            self.owners or feed.owners,
        )

    def _feed(self, tree: dg.ComponentTree) -> FeedSpec:
        feeds = {spec.name: spec for spec in feeds_of(tree)}
        if self.feed not in feeds:
            there = ", ".join(feeds) or "none"
            raise self._refused(f"there is no such feed; there are {there}{did_you_mean(self.feed, feeds)}")
        if len(sources_of(tree, self.feed)) > 1:
            raise self._refused("the feed has two sources; make a feed for each, or put their files in one place")
        return feeds[self.feed]

    def _kind(self) -> tuple[str, Any]:
        given = {name: options for name in KINDS if (options := getattr(self, name)) is not None}
        if len(given) != 1:
            raise self._refused(f"it needs exactly one of {', '.join(KINDS)}, and has {', '.join(given) or 'none'}")
        return next(iter(given.items()))

    def _refused(self, what: str) -> dg.DagsterInvalidDefinitionError:
        return dg.DagsterInvalidDefinitionError(f"source of the feed {self.feed}: {what}")


def declared_sources(tree: dg.ComponentTree) -> dict[str, DeclaredSource]:
    """The sources below a `defs` folder, by the names of their feeds."""
    return {source.feed: source.spec(tree).declared for source in tree.get_all_components(of_type=Source)}
