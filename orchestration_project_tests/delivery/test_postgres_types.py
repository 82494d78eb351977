"""Types of PostgreSQL: exact, or refused by name."""

import pytest

from orchestration_project.delivery.postgres_types import cast_type, postgres_type, postgres_types
from orchestration_project.errors import DeliveryError


@pytest.mark.parametrize(
    ("sql_type", "made", "cast"),
    [
        pytest.param("BIGINT", "bigint", None, id="an integer"),
        pytest.param("UBIGINT", "numeric(20,0)", "DECIMAL(20,0)", id="an integer without a sign"),
        pytest.param("UINTEGER", "bigint", None, id="a smaller integer without a sign"),
        pytest.param("DECIMAL(18,2)", "numeric(18,2)", None, id="money"),
        pytest.param("DECIMAL(38, 10)", "numeric(38,10)", None, id="as people write it"),
        pytest.param("TIMESTAMP", "timestamp without time zone", None, id="a moment without a zone"),
        pytest.param("TIMESTAMP_MS", "timestamp without time zone", "TIMESTAMP", id="milliseconds"),
        pytest.param("TIMESTAMP WITH TIME ZONE", "timestamp with time zone", None, id="a moment"),
        pytest.param("ENUM('a', 'b')", "text", "VARCHAR", id="an enumeration"),
        pytest.param("VARCHAR[]", "text[]", None, id="a list"),
        pytest.param("UBIGINT[]", "numeric(20,0)[]", "DECIMAL(20,0)[]", id="a list of large integers"),
    ],
)
def test_exact_types(sql_type: str, made: str, cast: str | None) -> None:
    """A type that PostgreSQL can hold exactly has one of PostgreSQL's, and a cast where the extension needs it."""
    assert (postgres_type(sql_type), cast_type(sql_type)) == (made, cast)


def test_refused_types() -> None:
    """All columns that would lose something are named at once, with their types."""
    columns = {
        "id": "BIGINT",
        "at": "TIMESTAMP_NS",
        "parts": "STRUCT(a INTEGER)",
        "matrix": "INTEGER[][]",
        "huge": "HUGEINT",
        "pair": "INTEGER[2]",
        "till": "TIME WITH TIME ZONE",
        "n" * 64: "BIGINT",
    }
    with pytest.raises(DeliveryError) as refused:
        postgres_types("orders", columns)
    message = str(refused.value)
    assert message.startswith("orders can't be delivered to PostgreSQL: ")
    assert all(repr(name) in message for name in columns if name != "id")
    assert "'id'" not in message
