"""The code location as a whole: the list of all there is, and that everything is described."""

import gc
import subprocess
import sys
import warnings

import dagster as dg
import pytest

from orchestration_project.definitions import defs as project_definitions
from orchestration_project.sources.kinds import KINDS as KINDS_OF_SOURCES
from orchestration_project_tests.components.workbench import REPOSITORY, project

RULES_OF_SALES = """
    channel_enum channel_required order_id_maxLength order_id_pattern order_id_required order_line_minimum
    order_line_required order_line_type primary_key product_id_minimum product_id_required product_id_type
    quantity_maximum quantity_minimum quantity_required quantity_type records_readable sold_at_required sold_at_type
    store_id_required total_amount_type unit_price_minimum unit_price_required unit_price_type
""".split()
RULES_OF_PRODUCTS = """
    category_required list_price_exclusiveMinimum list_price_required list_price_type name_required price_category_enum
    price_category_type primary_key product_code_type product_id_minimum product_id_required product_id_type
    records_readable
""".split()
OF_RAW = [
    "delivered",
    "missing_columns",
    "files_accepted",
    "newest_batch",
    "unexpected_columns",
    "volume",
    "zip_members",
]
CHECKS = {
    "cleaned_products": [*RULES_OF_PRODUCTS, "accounting", "not_empty", "validated"],
    "cleaned_sales": [
        *RULES_OF_SALES,
        "accounting",
        "free_items_are_rare",
        "known_customers",
        "not_empty",
        "validated",
    ],
    "platform_health": ["disk_space", "success_rate"],
    "product_daily_sales": ["matches_cleaned_sales"],
    "product_warehouse": ["orphan_products", "totals_match"],
    "products_history": ["history_matches", "usual_changes"],
    "raw_products": OF_RAW,
    "raw_sales": [*OF_RAW, "repeated_bytes"],
    "rejected_products": ["reject_rate"],
    "rejected_sales": ["reject_rate"],
    "verification": ["everything_proven"],
    "warehouse_backup": ["restorable"],
}
GROUPS = {
    "landing_products": "products",
    "landing_sales": "sales",
    "raw_products": "products",
    "raw_sales": "sales",
    "cleaned_products": "products",
    "cleaned_sales": "sales",
    "rejected_products": "products",
    "rejected_sales": "sales",
    "products_history": "products",
    "product_daily_sales": "product_marts",
    "product_warehouse": "product_marts",
    "sales_report": "delivery",
    "platform_health": "operations",
    "verification": "operations",
    "warehouse_backup": "operations",
    "file_retention": "operations",
}
KINDS = {
    "landing_products": {"file", "json"},
    "landing_sales": {"file", "csv"},
    "platform_health": {"duckdb", "html"},
    "product_warehouse": {"duckdb", "pandas"},
    "sales_report": {"duckdb", "html"},
    "verification": {"duckdb", "file"},
    "warehouse_backup": {"file", "parquet"},
    "file_retention": {"file"},
}
NO_TABLES = {"sales_report", "warehouse_backup", "file_retention"}
PARTITIONED = {"raw_sales", "cleaned_sales", "rejected_sales", "product_daily_sales"}
SPECS = {spec.key.to_user_string(): spec for spec in project().resolve_all_asset_specs()}


def test_assets() -> None:
    """These are the assets, in these groups."""
    assert {name: spec.group_name for name, spec in SPECS.items()} == GROUPS


def test_checks() -> None:
    """These are the checks of each asset."""
    found: dict[str, list[str]] = {}
    for key in project().resolve_asset_graph().asset_check_keys:
        found.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    assert {name: sorted(checks) for name, checks in found.items()} == {
        name: sorted(checks) for name, checks in CHECKS.items()
    }


def test_jobs_sensors_and_schedules() -> None:
    """Each feed has a job, a sensor and a schedule; what watches the platform has its own; each is described."""
    repository = project().get_repository_def()
    names = {"daily_summary_job", "platform_health_job", "products_job", "sales_job", "verification_job"}
    names |= {"warehouse_backup_job", "file_retention_job"}
    jobs = [repository.get_job(name) for name in sorted(names)]
    assert {name for name in repository.job_names if not name.startswith("__")} == names
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "alerts_sensor",
        "products_files_sensor",
        "sales_files_sensor",
    }
    assert {item.name for item in repository.schedule_defs} == {
        "daily_summary_schedule",
        "platform_health_hourly_schedule",
        "products_daily_schedule",
        "sales_daily_schedule",
        "verification_weekly_schedule",
        "warehouse_backup_nightly_schedule",
        "file_retention_nightly_schedule",
    }
    described = [item.description for item in jobs]
    described += [item.description for item in repository.sensor_defs]
    described += [item.description for item in repository.schedule_defs]
    assert all(described)


@pytest.mark.parametrize("name", GROUPS)
def test_every_asset_is_described(name: str) -> None:
    """An asset has a description, owners, kinds; a table also the columns, each with a description."""
    spec = SPECS[name]
    assert spec.description
    assert spec.owners
    assert spec.kinds == KINDS.get(name, {"duckdb", "sql"})
    if name in NO_TABLES:
        return
    assert [column.name for column in columns_of(name) if not column.description] == []
    if not name.startswith("landing_") and name != "verification":
        assert spec.metadata["dagster/table_name"] == f"main.{name}"


def columns_of(name: str) -> list[dg.TableColumn]:
    schema = SPECS[name].metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    return list(schema.columns)


def test_columns_show_what_the_contract_says() -> None:
    """Types, constraints in words, computation and classification of a column are those of the contract."""
    columns = {column.name: column for column in columns_of("cleaned_sales")}
    assert columns["order_id"].constraints == dg.TableColumnConstraints(
        nullable=False, other=["primary key", "has at most 40 characters", "matches `^[A-Za-z0-9_-]+$`"]
    )
    assert columns["quantity"].constraints.other == ["at least 1", "at most 10000"]
    assert columns["customer_id"].constraints.nullable
    assert columns["customer_id"].tags == {"classification": "personal"}
    assert '`"quantity" * "unit_price"`' in (columns["total_amount"].description or "")
    assert SPECS["cleaned_sales"].metadata["dagster/column_schema"].constraints == dg.TableConstraints(
        ["primary key: order_id, order_line"]
    )


def test_one_column_that_is_the_key_is_unique() -> None:
    """A key of one column makes it unique; columns of a longer key are so together only."""
    tables = GROUPS.keys() - NO_TABLES
    unique = {name: [column.name for column in columns_of(name) if column.constraints.unique] for name in tables}
    assert {name: found for name, found in unique.items() if found} == {
        "landing_products": ["product_id"],
        "cleaned_products": ["product_id"],
        "product_warehouse": ["product_id"],
    }


def test_what_is_not_yet_checked_promises_nothing() -> None:
    """Raw and rejected columns are text that may hold anything, so they show no constraints."""
    found = [column for name in ("raw_sales", "rejected_sales") for column in columns_of(name)]
    assert [column.name for column in found if column.constraints != dg.TableColumnConstraints()] == []


def test_a_drop_folder_shows_what_files_must_look_like() -> None:
    """The columns of a drop folder are those that are read from files, as cleaned, without the computed ones."""
    cleaned = {column.name: column.constraints for column in columns_of("cleaned_sales") if column.name[0] != "_"}
    assert {column.name: column.constraints for column in columns_of("landing_sales")} == {
        name: constraints for name, constraints in cleaned.items() if name != "total_amount"
    }


@pytest.mark.promise("seen")
@pytest.mark.found("A contract's tags, which were said to be shown in the UI, were read and thrown away.")
def test_tags_tell_the_feed_and_personal_data() -> None:
    """Assets of a feed are found by the feed, the contract's own tags, and whether they hold personal data."""
    assert {name: value for name, value in SPECS["raw_sales"].tags.items() if not name.startswith("dagster/")} == {
        "feed": "sales",
        "sales": "",
        "personal_data": "",
    }
    assert "personal_data" not in SPECS["raw_products"].tags


@pytest.mark.parametrize("name", [name for name in GROUPS if not name.startswith("landing")])
def test_partitions_and_backfills(name: str) -> None:
    """What belongs to a day is partitioned by it; any range is one run."""
    asset = project().get_assets_def(name)
    assert isinstance(asset.partitions_def, dg.DailyPartitionsDefinition) == (name in PARTITIONED)
    assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    # These hold the warehouse for a part of their time only, so loads need not wait for all of it.
    assert asset.op.pool == {"warehouse_backup": "backup", "file_retention": "retention"}.get(name, "warehouse")


def check_specs() -> list[dg.AssetCheckSpec]:
    """The specs of all checks."""
    assets = [asset for asset in project().assets or () if isinstance(asset, dg.AssetsDefinition)]
    return [spec for item in [*assets, *(project().asset_checks or ())] for spec in item.check_specs]


def test_every_check_is_described() -> None:
    """A check says in a sentence what holds when it passes."""
    specs = check_specs()
    assert [spec.name for spec in specs if not (spec.description or "").endswith(".")] == []


def test_blocking_checks() -> None:
    """What must never be built upon blocks: rules in published rows, accounting, empty deliveries, totals."""
    specs = check_specs()
    others = {spec.name for spec in specs if not spec.blocking}
    assert others == {
        *OF_RAW,
        "repeated_bytes",
        "disk_space",
        "success_rate",
        "reject_rate",
        "known_customers",
        "validated",
        "free_items_are_rare",
        "orphan_products",
        "usual_changes",
        "everything_proven",
        "restorable",
    }


def test_lineage_runs_from_landing_to_the_mart() -> None:
    """Landing feeds raw, raw feeds both sides, the cleaned sides feed the marts."""
    graph = project().resolve_asset_graph()
    parents = {
        name: {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys}
        for name in ("raw_sales", "rejected_sales", "product_daily_sales", "product_warehouse")
    }
    assert parents == {
        "raw_sales": {"landing_sales"},
        "rejected_sales": {"raw_sales"},
        "product_daily_sales": {"cleaned_sales"},
        "product_warehouse": {"product_daily_sales", "cleaned_products", "products_history"},
    }


def test_loading_warns_of_nothing() -> None:
    """Whoever loads the code location sees no warning that is not theirs to act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dg.Definitions.validate_loadable(project_definitions())


def test_they_are_built_once() -> None:
    """However often a process of Dagster asks for the definitions, they are the same."""
    assert project_definitions() is project_definitions()


def test_importing_the_module_loads_no_engine() -> None:
    """What takes time to import comes when the definitions are asked for."""
    slow = "{'duckdb', 'numpy', 'pandas', 'sqlglot'}"
    command = f"import sys, orchestration_project.definitions; print({slow} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_no_kind_of_source_is_loaded() -> None:
    """What fetches, delivers and sends is imported when it is used, and so are the libraries of all extras."""
    kinds = [f"orchestration_project.sources.{kind}" for kind in KINDS_OF_SOURCES]
    slow = {*kinds, "obstore", "asyncssh", "dlt", "psycopg", "pyrage", "pyarrow", "apprise"}
    command = (
        f"import sys; from orchestration_project.definitions import defs; defs(); print({slow} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_what_is_defined_is_no_garbage() -> None:
    """The collector leaves alone what stays until the process ends: the end of a command would take half a second."""
    project_definitions()
    assert gc.get_freeze_count() > 0
