"""DuckDB's signed extensions, from the wheels that have them: nothing is downloaded, and no home folder is needed."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse.tables import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def extension_file(name: str) -> Path | None:
    """The file of an extension for this release of DuckDB; None: it is not installed."""
    import duckdb

    try:
        wheel = importlib.import_module(f"duckdb_extension_{name}")
    except ImportError:
        return None
    folders = (Path(folder) / "extensions" / f"v{duckdb.__version__}" for folder in wheel.__path__)
    return next((file for folder in folders if (file := folder / f"{name}.duckdb_extension").exists()), None)


def load(connection: "DuckDBPyConnection", name: str) -> None:
    """Load an extension into a connection that is not shut yet.

    Raises:
        WarehouseError: it is not installed for this release of DuckDB.
    """
    import duckdb

    if (file := extension_file(name)) is None:
        raise WarehouseError(
            f"a lake needs DuckDB's extension {name} for release {duckdb.__version__}: pip install"
            " 'orchestration-project[lake]'"
        )
    connection.execute(f"LOAD {literal(str(file))}")
