"""Which target an URL means. Nothing is opened or imported before a delivery asks for it.

    deliveries/reports, file://, s3://, gs://, az://      files: `files.FilesTarget`
    postgresql://user@host/database                       tables of PostgreSQL: `postgres.PostgresTarget`
    dlt://snowflake/dataset                               any destination of dlt: `dlt_target.DltTarget`

A new kind of target is a row in `OPENERS`, and in `KINDS` what Dagster shows of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestration_project.delivery.model import Target
from orchestration_project.errors import DeliveryError
from orchestration_project.storage.objects import CLOUDS, masked

FILES = ("", "file", *CLOUDS)
"""The schemes of targets that are files; a folder has none."""
USUAL_FORMAT = "parquet"
"""What files are if a delivery does not say it."""


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """What a delivery says of its target.

    Attributes:
        name: the delivery's name.
        url: where the target is; it may hold a password.
        format: of files; empty: the target's own choice.
        options: whatever else the kind of target understands. It refuses names that it does not know.
        work: a folder on this machine for what is needed in between. It is there while the target is used.
    """

    name: str
    url: str = field(repr=False)
    format: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    work: Path = Path()


def _files(config: TargetConfig) -> Target:
    from orchestration_project.delivery.files import FilesTarget

    return FilesTarget.from_config(config)


def _postgres(config: TargetConfig) -> Target:
    from orchestration_project.delivery.postgres import PostgresTarget

    return PostgresTarget.from_config(config)


def _dlt(config: TargetConfig) -> Target:
    from orchestration_project.delivery.dlt_target import DltTarget

    return DltTarget.from_config(config)


OPENERS: Mapping[str, Callable[[TargetConfig], Target]] = {
    **dict.fromkeys(FILES, _files),
    **dict.fromkeys(["postgresql", "postgres"], _postgres),
    "dlt": _dlt,
}
"""What opens a target, by the scheme of its URL; a folder has none."""
KINDS: Mapping[str, str] = {
    "": "files",
    "file": "files",
    "s3": "s3",
    "gs": "gcs",
    "az": "azure",
    "abfss": "azure",
    "postgresql": "postgres",
    "postgres": "postgres",
    "dlt": "dlt",
}
"""What Dagster shows a target as, by the same."""


def scheme_of(url: str) -> str:
    """The scheme of a target's URL; empty for the path of a folder."""
    scheme, separator, _ = url.partition("://")
    return scheme if separator else ""


def open_target(config: TargetConfig) -> Target:
    """The target of an URL. Nothing is asked of it yet.

    Raises:
        DeliveryError: no kind of target has such an URL, or an option can't be used.
        PlatformError: what the kind of target needs is missing.
    """
    scheme = scheme_of(config.url)
    if scheme not in OPENERS:
        raise DeliveryError(
            f"delivery {config.name}: {masked(config.url)} is no target: it is a folder, or an URL that begins with"
            f" {', '.join(f'{known}://' for known in OPENERS if known)}"
        )
    return OPENERS[scheme](config)
