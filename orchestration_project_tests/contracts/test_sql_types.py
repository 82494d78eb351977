"""physicalType and logicalType as DuckDB types."""

import duckdb
import pytest

from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.sql_types import NAMES, sql_type


@pytest.mark.parametrize(
    ("physical", "logical", "number_format", "sql"),
    [
        pytest.param("varchar(20)", None, None, "VARCHAR", id="length"),
        pytest.param("character varying(3)", "string", None, "VARCHAR", id="standard SQL"),
        pytest.param("decimal(10, 2)", "number", None, "DECIMAL(10,2)", id="decimal"),
        pytest.param("NUMERIC(5)", "integer", None, "DECIMAL(5,0)", id="whole decimal"),
        pytest.param("numeric", None, None, "DECIMAL(18,4)", id="decimal without parameters"),
        pytest.param("int", "number", None, "INTEGER", id="integer is a number"),
        pytest.param("int8", None, None, "BIGINT", id="PostgreSQL's name"),
        pytest.param("double precision", "number", None, "DOUBLE", id="double"),
        pytest.param("real", None, None, "FLOAT", id="real"),
        pytest.param("uuid", "string", None, "VARCHAR", id="uuid"),
        pytest.param("timestamp(6)", "timestamp", None, "TIMESTAMP", id="precision"),
        pytest.param("timestamp with time zone", None, None, "TIMESTAMPTZ", id="zone"),
        pytest.param("timestamp", "date", None, "TIMESTAMP", id="a timestamp in version 3.0"),
        pytest.param("int", "integer", "i64", "INTEGER", id="physicalType decides"),
        pytest.param(None, "string", None, "VARCHAR", id="string"),
        pytest.param(None, "integer", None, "BIGINT", id="integer"),
        pytest.param(None, "integer", "u16", "USMALLINT", id="integer with a format"),
        pytest.param(None, "number", None, "DECIMAL(18,4)", id="number"),
        pytest.param(None, "number", "f64", "DOUBLE", id="number with a format"),
        pytest.param(None, "boolean", None, "BOOLEAN", id="boolean"),
        pytest.param(None, "time", None, "TIME", id="time"),
    ],
)
def test_types(physical: str | None, logical: str | None, number_format: str | None, sql: str) -> None:
    place = Place()
    found = sql_type(physical, logical, number_format, place)
    assert found is not None
    assert (found.sql, place.problems) == (sql, [])


@pytest.mark.parametrize(
    ("physical", "logical", "number_format", "message"),
    [
        pytest.param("varchr", None, None, "did you mean 'VARCHAR'?", id="typing error"),
        pytest.param("varchar[15]", None, None, "not supported", id="list"),
        pytest.param("json", None, None, "not supported", id="json"),
        pytest.param("float(3,2)", None, None, "can't have these parameters", id="parameters"),
        pytest.param("varchar(0)", None, None, "can't have these parameters", id="empty text"),
        pytest.param("decimal(39,2)", None, None, "1 to 38 digits", id="too precise"),
        pytest.param("decimal(2,3)", None, None, "1 to 38 digits", id="too many decimals"),
        pytest.param("varchar", "integer", None, "contradict each other", id="contradiction"),
        pytest.param("decimal(9,2)", "integer", None, "contradict each other", id="decimals in an integer"),
        pytest.param("bigint", "integer", "i8", "holds less than", id="narrower format"),
        pytest.param(None, "object", None, "object is not supported", id="object"),
        pytest.param("json", "array", None, "array is not supported", id="array"),
        pytest.param(None, None, None, "needs a physicalType or a logicalType", id="none"),
    ],
)
def test_refused_types(physical: str | None, logical: str | None, number_format: str | None, message: str) -> None:
    place = Place()
    assert sql_type(physical, logical, number_format, place) is None
    assert message in str(place.problems[0])


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_type_of_duckdb_with_the_same_limits(name: str) -> None:
    """Each name that is allowed gives a type that DuckDB has, and the limits are those of DuckDB."""
    found = sql_type(name, None, None, Place())
    assert found is not None
    duckdb.execute(f"SELECT NULL::{found.sql}")
    if found.low is not None and found.high is not None:
        duckdb.execute(f"SELECT '{found.low}'::{found.sql}, '{found.high}'::{found.sql}")
        assert duckdb.execute(f"SELECT TRY_CAST('{int(found.high) + 1}' AS {found.sql})").fetchone() == (None,)
