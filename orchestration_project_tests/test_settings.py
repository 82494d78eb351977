"""The settings: what each variable means and which values are refused."""

from pathlib import Path

import pytest

from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings, secret


def test_defaults() -> None:
    """Without any variable everything lies under `data` and nothing starts by itself."""
    settings = Settings.from_env({})
    assert settings == Settings(data_dir=Path("data").absolute())
    assert settings.database == Path("data/warehouse.duckdb").absolute()
    assert not settings.automation


def test_every_variable() -> None:
    """Every variable is read; `~` is the home folder, and a path in a URL is decoded."""
    settings = Settings.from_env(
        {
            "DATA_DIR": "~/shop data",
            "LANDING_URL": " s3://bucket/landing/ ",
            "WAREHOUSE_URL": "duckdb:////srv/it%27s/w.duckdb",
            "AUTOMATION": " On ",
            "DAGSTER_HOME": "~/home",
            "WAREHOUSE_LOCK_TIMEOUT": "1.5",
            "WAREHOUSE_THREADS": "3",
            "WAREHOUSE_MEMORY_LIMIT": "2GB",
            "MAX_FILE_BYTES": "5000000",
            "SOURCE_URL": "https://example.org/shop/tree/main",
            "ALERT_URLS": " json://host stores=json://other ",
            "HEARTBEAT_URL": "https://example.org/ping",
            "DAILY_SUMMARY": "yes",
            "PUBLISH": "no",
            "PUBLISHED_TABLES": "product_*  cleaned_sales ",
            "PUBLISHED_PATH": "/mnt/shop/published/",
            "PUBLISHED_KEEP_HOURS": "1.5",
            "BACKUP_URL": " s3://bucket/backups ",
            "REPORT_KEEP_DAYS": "400",
            "QUARANTINE_KEEP_DAYS": "90",
            "COLD_ARCHIVE_URL": " s3://bucket/cold ",
            "COLD_ARCHIVE_DAYS": "365",
            "BACKUP_KEY": "age1key",
            "DELIVERY_HASH_KEY": "a long key",
        }
    )
    assert settings.data_dir == Path.home() / "shop data"
    assert settings.landing_url == "s3://bucket/landing"
    assert settings.database == Path("/srv/it's/w.duckdb")
    assert settings.automation
    assert settings.dagster_home == Path.home() / "home"
    assert (settings.lock_timeout, settings.threads, settings.memory_limit) == (1.5, 3, "2GB")
    assert settings.max_file_bytes == 5_000_000
    assert settings.source_url == "https://example.org/shop/tree/main"
    assert settings.alert_urls == "json://host stores=json://other"
    assert settings.heartbeat_url == "https://example.org/ping"
    assert settings.daily_summary
    assert not settings.publish
    assert settings.published_tables == "product_* cleaned_sales"
    assert settings.published_for_readers == "/mnt/shop/published"
    assert settings.published_keep_hours == 1.5
    assert (settings.backup_url, settings.backup_key) == ("s3://bucket/backups", "age1key")
    assert (settings.report_keep_days, settings.quarantine_keep_days) == (400, 90)
    assert (settings.cold_archive_url, settings.cold_archive_days) == ("s3://bucket/cold", 365)
    assert settings.delivery_hash_key == "a long key"
    assert "a long key" not in repr(settings)


def test_empty_variables_are_unset_ones() -> None:
    """A variable that is set to nothing has its default."""
    names = "DATA_DIR WAREHOUSE_URL AUTOMATION WAREHOUSE_LOCK_TIMEOUT WAREHOUSE_THREADS WAREHOUSE_MEMORY_LIMIT"
    names += " MAX_FILE_BYTES SOURCE_URL ALERT_URLS HEARTBEAT_URL DAILY_SUMMARY PUBLISH PUBLISHED_TABLES PUBLISHED_PATH"
    names += " LANDING_URL ARCHIVE_URL REPORT_KEEP_DAYS QUARANTINE_KEEP_DAYS COLD_ARCHIVE_URL COLD_ARCHIVE_DAYS"
    names += " PUBLISHED_KEEP_HOURS BACKUP_URL BACKUP_KEY DELIVERY_HASH_KEY"
    assert Settings.from_env(dict.fromkeys(names.split(), "")) == Settings.from_env({})


def test_a_secret_by_the_name_of_its_variable() -> None:
    """A secret is read from the variable that somebody has chosen for it; if it is not set, its name is told."""
    assert secret("REPORTS_URL", {"REPORTS_URL": " s3://bucket "}) == "s3://bucket"
    with pytest.raises(SettingsError, match="REPORTS_URL is not set"):
        secret("REPORTS_URL", {"REPORTS_URL": ""})


def test_the_environment_is_the_default(data_dir: Path) -> None:
    """Without an argument the process's own environment is read."""
    assert Settings.from_env().data_dir == data_dir


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_words_for_yes(word: str) -> None:
    """Automation is switched on by any of the usual words."""
    assert Settings.from_env({"AUTOMATION": word}).automation


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("AUTOMATION", "maybe", id="neither yes nor no"),
        pytest.param("WAREHOUSE_LOCK_TIMEOUT", "soon", id="no number"),
        pytest.param("SOURCE_URL", "git@example.org:shop", id="no web address"),
        pytest.param("WAREHOUSE_LOCK_TIMEOUT", "-1", id="negative"),
        pytest.param("WAREHOUSE_LOCK_TIMEOUT", "inf", id="for ever"),
        pytest.param("WAREHOUSE_LOCK_TIMEOUT", "nan", id="NaN"),
        pytest.param("WAREHOUSE_THREADS", "0", id="no thread"),
        pytest.param("QUARANTINE_KEEP_DAYS", "0", id="no day"),
        pytest.param("WAREHOUSE_THREADS", "1.5", id="half a thread"),
        pytest.param("MAX_FILE_BYTES", "1GB", id="bytes with a unit"),
    ],
)
def test_refused_values(name: str, value: str) -> None:
    """A value that can't be used is refused with the variable's name and the value."""
    with pytest.raises(SettingsError, match=f"{name}='{value}'"):
        Settings.from_env({name: value})


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///prefix", "gs://bucket/x", "/srv/landing", "s3://me:word@bucket/x", "s3://bucket/x?word"]
)
def test_refused_landings(url: str) -> None:
    """A landing that is no place in a store with the S3 protocol is refused; its value, which may be secret, stays."""
    with pytest.raises(SettingsError, match="LANDING_URL is not a place") as told:
        Settings.from_env({"LANDING_URL": url})
    assert "word" not in str(told.value)


def test_one_place_for_archived_files() -> None:
    """The store of the archive is the one that links lead to; a second place, or an age, beside it is refused."""
    settings = Settings.from_env({"ARCHIVE_URL": " s3://bucket/archive "})
    assert (settings.archive_url, settings.cold_archive_url) == ("s3://bucket/archive",) * 2
    assert settings.moves_archive
    for more in ({"COLD_ARCHIVE_URL": "s3://bucket/cold"}, {"COLD_ARCHIVE_DAYS": "30"}):
        with pytest.raises(SettingsError, match="ARCHIVE_URL has all archived files"):
            Settings.from_env({"ARCHIVE_URL": "s3://bucket/archive", **more})


@pytest.mark.parametrize("url", ["postgresql://host/db", "duckdb:///", "duckdb://x", "warehouse.duckdb"])
def test_refused_warehouses(url: str) -> None:
    """A warehouse that is not supported is refused, and the message shows how to write one."""
    with pytest.raises(SettingsError, match="duckdb:///relative/path"):
        _ = Settings.from_env({"WAREHOUSE_URL": url}).database


def test_folders() -> None:
    """Each feed has its own folders under the data folder."""
    settings = Settings(data_dir=Path("/d"))
    assert [str(place("sales")) for place in (settings.landing, settings.archive, settings.quarantine)] == [
        "/d/landing/sales",
        "/d/archive/sales",
        "/d/quarantine/sales",
    ]


def test_a_lake_has_its_files_in_the_data_folder_unless_it_is_told() -> None:
    """A lake's files are in `lake` below DATA_DIR, in a folder of somebody's choice, or on S3."""
    given = {"DATA_DIR": "/srv/shop", "WAREHOUSE_URL": "ducklake:sqlite:////srv/shop/lake.sqlite"}
    assert Settings.from_env(given).is_lake
    assert Settings.from_env(given).lake_data == "/srv/shop/lake"
    assert Settings.from_env(given | {"WAREHOUSE_DATA": "/mnt/lake"}).warehouse_folder == Path("/mnt/lake")
    remote = Settings.from_env(given | {"WAREHOUSE_DATA": "s3://bucket/lake"})
    assert (remote.lake_data, remote.warehouse_folder) == ("s3://bucket/lake", Path("/srv/shop"))


@pytest.mark.parametrize("place", ["s3://key:word@bucket/lake", "gs://bucket/lake", "s3://bucket/lake?secret=word"])
def test_a_place_that_no_lake_can_have_is_refused_untold(place: str) -> None:
    """WAREHOUSE_DATA is a folder or a plain s3:// URL; another value is refused, and not shown."""
    with pytest.raises(SettingsError, match="WAREHOUSE_DATA is neither") as caught:
        _ = Settings.from_env({"WAREHOUSE_DATA": place}).lake_data
    assert "word" not in str(caught.value)
