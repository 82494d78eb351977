"""Where a PostgreSQL server is: an address as people write it becomes parameters, and a text that may be shown.

Belongs here: what deliveries, sources and the catalog of a lake have in common before they connect. Does not belong
here: connections.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestration_project.errors import PlatformError

# Only defaults: an address may name others. Without them a server that vanished is waited for for hours.
PATIENCE = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
EXTRA = "postgres"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Attributes:
        shown: the address as it may be shown to anybody.
        parameters: libpq's parameters, secrets included.
    """

    shown: str
    parameters: Mapping[str, str] = field(repr=False)


def parse_address(url: str, whose: str, error: type[PlatformError], extra: str = EXTRA) -> Address:
    """Read `postgresql://user:password@host:port/database?sslmode=require`.

    Args:
        url: the address.
        whose: what it is the address of, for messages.
        error: what is raised if it can't be read, or the extra is not installed.
        extra: the extra of the package that brings psycopg.
    """
    psycopg = psycopg_or(error, extra)
    try:
        given = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(url).items()}
    except psycopg.Error:
        # The message of libpq quotes what it could not read, which may be the password.
        raise error(
            f"the {whose}'s address is none of PostgreSQL's: postgresql://user@host:port/database. Marks like @ : / in"
            " a password are written as %40 %3A %2F"
        ) from None
    port = given.get("port", "5432")
    # An @ that is not written %40 ends the password early, and libpq takes the rest of it for the host.
    if "@" in given.get("host", "") or not port.replace(",", "").isdecimal():
        raise error(f"the {whose}'s address has no such host or port; an @ in a password is written %40")
    shown = f"postgresql://{given.get('host', 'localhost')}:{port}/{given.get('dbname', '')}"
    return Address(shown, {"application_name": "orchestration-project"} | PATIENCE | given)


def without_password(
    parameters: Mapping[str, str], error: type[PlatformError], extra: str = EXTRA
) -> tuple[str, str | None]:
    """An address as libpq takes it, and its password apart, None if it has none.

    DuckDB's errors and lists quote the address of a server that is attached. So a password goes into a secret of the
    connection's own, which they never quote.

    Args:
        parameters: libpq's.
        error: what is raised if the extra is not installed.
        extra: the extra of the package that brings psycopg.
    """
    rest = {name: value for name, value in parameters.items() if name != "password"}
    return psycopg_or(error, extra).conninfo.make_conninfo(**rest), parameters.get("password")


def psycopg_or(error: type[PlatformError], extra: str = EXTRA) -> Any:
    """The library that speaks to servers; raises the error if it is not installed."""
    try:
        import psycopg
        import psycopg.conninfo
        import psycopg.errors
    except ImportError:
        raise error(f"PostgreSQL needs psycopg: pip install 'orchestration-project[{extra}]'") from None
    return psycopg
