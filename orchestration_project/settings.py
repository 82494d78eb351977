"""The platform's settings, and the only place that reads the environment. What a text may be is in `setting_values`."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from orchestration_project.setting_values import (
    SHARD_PROCESSES,
    SettingsError,
    bucket,
    executor,
    flag,
    number,
    only_archive,
    secret_address,
    web_address,
    whole,
)

FROM_ENVIRONMENT = "env:"
# Below it the processes of the shards take longer to start than they save.
SHARDS_FROM_BYTES = 200_000_000
# Decompressed: a frame of zstd may hold 32,000 times its size.
MAX_FILE_BYTES = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are and how patient the platform is.

    Attributes:
        data_dir: root of landing, archive, quarantine, repairs, reports and (by default) the warehouse; `DATA_DIR`.
        landing_url: where files are delivered besides landing in the data folder: a place in an object store,
            `s3://bucket/prefix`, none for nowhere else; `LANDING_URL`.
        archive_url: where accepted files are kept from their load on, a folder or an object store's URL, none for the
            data folder; it is then the cold archive as well; `ARCHIVE_URL`.
        warehouse_url: the warehouse, `duckdb:///path/to/file`, or none for `warehouse.duckdb` in the data
            folder; or a lake by its catalog, `ducklake:sqlite:///path/to/file` or `ducklake:postgres://...`;
            `WAREHOUSE_URL`.
        warehouse_data: where a lake's files are, a folder or `s3://bucket/prefix`; none for `lake` in the data folder;
            `WAREHOUSE_DATA`.
        automation: whether sensors and schedules start switched on; `AUTOMATION`.
        dagster_home: where Dagster's history is, None when it is not set; `DAGSTER_HOME`.
        lock_timeout: seconds to wait for the warehouse before giving up; `WAREHOUSE_LOCK_TIMEOUT`.
        threads: DuckDB threads, none for DuckDB's own choice; `WAREHOUSE_THREADS`.
        memory_limit: DuckDB memory limit such as `2GB`, none for DuckDB's own choice; `WAREHOUSE_MEMORY_LIMIT`.
        shards: into how many shards a large load is divided, none for no shards; `SHARDS`.
        shards_executor: where shards run: `processes` of this machine, a Ray cluster (`ray`, `ray:HOST:PORT`,
            `ray://HOST:PORT`), or a function `package.module:name`; `SHARDS_EXECUTOR`.
        shards_from_bytes: how large the files of a load must be, decompressed, for shards; `SHARDS_FROM_BYTES`.
        shard_threads: DuckDB threads of each shard; `SHARD_THREADS`.
        shard_memory_limit: DuckDB memory limit of each shard; `SHARD_MEMORY_LIMIT`.
        max_file_bytes: how large a delivered file may be, decompressed; `MAX_FILE_BYTES`.
        ui_url: where Dagster's UI is, for links in messages, none for no links; `UI_URL`.
        source_url: where the checkout can be read on the web, none for links to the local files; `SOURCE_URL`.
        alert_urls: who is told of alarms: Apprise URLs, each with or without a name; `ALERT_URLS`.
        heartbeat_url: called at every tick of the alerts sensor; `HEARTBEAT_URL`.
        daily_summary: whether the schedule of the daily summary starts switched on; `DAILY_SUMMARY`.
        publish: whether the end of each run brings the published copy up to date; `PUBLISH`.
        published_tables: which tables are copied, their names or patterns such as `product_*`, with blanks between
            them, none for all but the raw ones; `PUBLISHED_TABLES`.
        published_path: where readers find the folder of the copy, none for `published` in the data folder;
            `PUBLISHED_PATH`.
        published_keep_hours: how long files of the copy stay that a reader may have open; `PUBLISHED_KEEP_HOURS`.
        backup_url: where backups go, a folder or an object store's URL; empty: nowhere; `BACKUP_URL`.
        report_keep_days: for how many days dated reports stay, none for ever; `REPORT_KEEP_DAYS`.
        quarantine_keep_days: for how many days refused files stay that were replaced, none for ever;
            `QUARANTINE_KEEP_DAYS`.
        cold_archive_url: where old files of the archive are moved, a folder or an object store's URL; empty: nowhere;
            `COLD_ARCHIVE_URL`.
        cold_archive_days: how many days ago a file was last modified that is moved, none: files stay, and those that
            were moved are fetched from there; `COLD_ARCHIVE_DAYS`.
        backup_key: the age keys of backups: recipients encrypt, identities decrypt as well; `BACKUP_KEY`.
        delivery_hash_key: the secret by which deliveries hash personal values; `DELIVERY_HASH_KEY`.
    """

    data_dir: Path = Path("data")
    landing_url: str = ""
    archive_url: str = field(default="", repr=False)  # somebody may write a password into it
    warehouse_url: str = field(default="", repr=False)  # it may hold a password
    warehouse_data: str = field(default="", repr=False)  # somebody may write a password into it
    automation: bool = False
    dagster_home: Path | None = None
    lock_timeout: float = 300.0
    threads: int | None = None
    memory_limit: str | None = None
    shards: int | None = None
    shards_executor: str = SHARD_PROCESSES
    shards_from_bytes: int = SHARDS_FROM_BYTES
    shard_threads: int = 1
    shard_memory_limit: str = "1GB"
    max_file_bytes: int = MAX_FILE_BYTES
    ui_url: str | None = None
    source_url: str | None = None
    alert_urls: str = field(default="", repr=False)  # they hold passwords
    heartbeat_url: str = field(default="", repr=False)  # whoever knows it can call it
    daily_summary: bool = False
    publish: bool = True
    published_tables: str = ""
    published_path: str = ""
    published_keep_hours: float = 24.0
    backup_url: str = field(default="", repr=False)  # somebody may write a password into it
    report_keep_days: int | None = None
    quarantine_keep_days: int | None = None
    cold_archive_url: str = field(default="", repr=False)  # somebody may write a password into it
    cold_archive_days: int | None = None
    backup_key: str = field(default="", repr=False)
    delivery_hash_key: str = field(default="", repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment.

        Raises:
            SettingsError: a variable's value can't be used; the message names it and what is allowed.
        """
        env = os.environ if environ is None else environ
        cold, cold_days = env.get("COLD_ARCHIVE_URL", "").strip(), env.get("COLD_ARCHIVE_DAYS", "")
        archive = only_archive(env.get("ARCHIVE_URL", "").strip(), cold, cold_days)
        return cls(
            data_dir=Path(env.get("DATA_DIR") or "data").expanduser().absolute(),
            landing_url=bucket("LANDING_URL", env.get("LANDING_URL", "").strip()),
            archive_url=archive,
            warehouse_url=env.get("WAREHOUSE_URL", ""),
            warehouse_data=env.get("WAREHOUSE_DATA", "").strip(),
            automation=flag("AUTOMATION", env.get("AUTOMATION", "")),
            dagster_home=Path(home).expanduser() if (home := env.get("DAGSTER_HOME")) else None,
            lock_timeout=number("WAREHOUSE_LOCK_TIMEOUT", env.get("WAREHOUSE_LOCK_TIMEOUT") or "300"),
            threads=whole("WAREHOUSE_THREADS", env.get("WAREHOUSE_THREADS", "")),
            memory_limit=env.get("WAREHOUSE_MEMORY_LIMIT") or None,
            shards=whole("SHARDS", env.get("SHARDS", "")),
            shards_executor=executor(env.get("SHARDS_EXECUTOR", "").strip() or SHARD_PROCESSES),
            shards_from_bytes=whole("SHARDS_FROM_BYTES", env.get("SHARDS_FROM_BYTES", "")) or SHARDS_FROM_BYTES,
            shard_threads=whole("SHARD_THREADS", env.get("SHARD_THREADS", "")) or 1,
            shard_memory_limit=env.get("SHARD_MEMORY_LIMIT") or "1GB",
            max_file_bytes=whole("MAX_FILE_BYTES", env.get("MAX_FILE_BYTES", "")) or MAX_FILE_BYTES,
            ui_url=web_address("UI_URL", env.get("UI_URL", "")),
            source_url=web_address("SOURCE_URL", env.get("SOURCE_URL", "")),
            alert_urls=env.get("ALERT_URLS", "").strip(),
            heartbeat_url=secret_address("HEARTBEAT_URL", env.get("HEARTBEAT_URL", "").strip()),
            daily_summary=flag("DAILY_SUMMARY", env.get("DAILY_SUMMARY", "")),
            publish=flag("PUBLISH", env.get("PUBLISH") or "yes"),
            published_tables=" ".join(env.get("PUBLISHED_TABLES", "").split()),
            published_path=env.get("PUBLISHED_PATH", "").rstrip("/"),
            published_keep_hours=number("PUBLISHED_KEEP_HOURS", env.get("PUBLISHED_KEEP_HOURS") or "24", "hours"),
            backup_url=env.get("BACKUP_URL", "").strip(),
            report_keep_days=whole("REPORT_KEEP_DAYS", env.get("REPORT_KEEP_DAYS", "")),
            quarantine_keep_days=whole("QUARANTINE_KEEP_DAYS", env.get("QUARANTINE_KEEP_DAYS", "")),
            cold_archive_url=archive or cold,
            cold_archive_days=whole("COLD_ARCHIVE_DAYS", cold_days),
            backup_key=env.get("BACKUP_KEY", "").strip(),
            delivery_hash_key=env.get("DELIVERY_HASH_KEY", ""),
        )

    @property
    def is_lake(self) -> bool:
        """Whether the warehouse is a lake, not a file."""
        return self.warehouse_url.startswith("ducklake:")

    @property
    def lake_data(self) -> str:
        """Where a lake's files are: the path of a folder, or an URL.

        Raises:
            SettingsError: `WAREHOUSE_DATA` is neither.
        """
        data = self.warehouse_data
        if data.startswith("s3://") and "@" not in data and "?" not in data:
            return data
        if "://" in data:
            raise SettingsError(
                "WAREHOUSE_DATA is neither a folder nor s3://bucket/prefix; credentials are read from the environment"
            )
        return str(Path(data).expanduser().absolute() if data else self.data_dir / "lake")

    @property
    def warehouse_folder(self) -> Path:
        """The folder on this machine in which the warehouse grows; the data folder if it grows elsewhere."""
        if not self.is_lake:
            return self.database.parent
        return self.data_dir if "://" in self.lake_data else Path(self.lake_data)

    @property
    def database(self) -> Path:
        """The DuckDB file of the warehouse; whether it is a file is asked before."""
        if not self.warehouse_url:
            return self.data_dir / "warehouse.duckdb"
        scheme, _, path = self.warehouse_url.partition(":///")
        if scheme != "duckdb" or not path:
            # The value is not told: it may hold a password.
            raise SettingsError(
                "WAREHOUSE_URL has another form than duckdb:///relative/path or duckdb:////absolute/path, which are the"
                " ones supported for a file; a lake begins with ducklake:"
            )
        # As in any URL: a blank is written %20.
        return Path(unquote(path)).expanduser().absolute()

    @property
    def moves_archive(self) -> bool:
        """Whether archived files are moved to another place: old ones, or all."""
        return bool(self.cold_archive_url and (self.archive_url or self.cold_archive_days))

    def landing(self, feed: str) -> Path:
        """The drop folder of a feed."""
        return self.data_dir / "landing" / feed

    def archive(self, feed: str) -> Path:
        """Where a feed's accepted files are kept for ever, or links to them."""
        return self.data_dir / "archive" / feed

    def quarantine(self, feed: str) -> Path:
        """Where a feed's refused files are moved, each with its reason."""
        return self.data_dir / "quarantine" / feed

    def fetched(self, feed: str) -> Path:
        """What is remembered of what was fetched for a feed."""
        return self.data_dir / "sources" / f"{feed}.sqlite"

    def repairs(self, feed: str) -> Path:
        """Where a feed's rejects are exported to, to be corrected."""
        return self.data_dir / "repairs" / feed

    @property
    def published(self) -> Path:
        """The folder of the published copy."""
        return self.data_dir / "published"

    @property
    def published_for_readers(self) -> str:
        """Where readers find the folder of the published copy."""
        return self.published_path or str(self.published)

    @property
    def readers_file(self) -> str | None:
        """The DuckDB file that readers open; None for the warehouse itself."""
        return f"{self.published_for_readers}/warehouse.duckdb" if self.publish else None

    @property
    def reports(self) -> Path:
        """Where the sales report is written."""
        return self.data_dir / "reports"


def secret(name: str, environ: Mapping[str, str] | None = None) -> str:
    """The value of a variable whose name somebody has chosen for a secret, such as the URL of a delivery's target.

    Raises:
        SettingsError: it is not set.
    """
    env = os.environ if environ is None else environ
    if not (value := env.get(name, "").strip()):
        raise SettingsError(f"{name} is not set in the environment")
    return value


def documented(name: str, environ: Mapping[str, str] | None = None) -> str:
    """The value of a variable whose name a service documents, such as AWS_REGION; empty if it is not set."""
    env = os.environ if environ is None else environ
    return env.get(name, "").strip()


def is_named(text: str) -> bool:
    """Whether a text of a `defs.yaml` is `env:NAME`: its value is that of an environment variable."""
    return text.startswith(FROM_ENVIRONMENT)


def revealed(text: str, read: Callable[[str], str] = secret) -> str:
    """A text of a `defs.yaml`; of `env:NAME` the value of that variable.

    Args:
        text: as it was written.
        read: gives the value of a variable.

    Raises:
        SettingsError: the variable is not set.
    """
    return read(text.removeprefix(FROM_ENVIRONMENT)) if is_named(text) else text
