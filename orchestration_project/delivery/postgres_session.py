"""Ways into a PostgreSQL server: psycopg for questions and DDL, DuckDB's extension for a transaction with many rows.

Belongs here: connections, and what their errors say. Does not belong here: what a delivery is.

No message has a password in it: libpq's have the whole address, so they are taken apart, never passed on.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration_project.errors import DeliveryError, TargetDown, without_values
from orchestration_project.postgres_address import Address, psycopg_or, without_password
from orchestration_project.warehouse.connection import SHUT
from orchestration_project.warehouse.extensions import extension_file
from orchestration_project.warehouse.tables import ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg import Connection

SECRETS = ("password", "sslpassword", "oauth_client_secret")
"""What an address may hold that nobody may see."""
LOCK_TIMEOUT = "60s"
"""How long to wait for another delivery, or for somebody who reads a table that is to be replaced."""
# Of a statement that ends because of the server's state, and of a connection that is gone.
PASSING = re.compile(
    r"server closed|terminating connection|connection to server|no connection|not connected|connection not open"
    r"|starting up|shutting down|recovery mode|SSL connection|lock timeout|deadlock|could not serialize|too many"
    r"|resolve host|translate host name|Unable to connect|could not (receive|send) data|EOF detected"
    r"|Connection (refused|reset|timed out)|timeout expired|No space left",
    re.IGNORECASE,
)
# libpq says "connection to server ... failed" before these, too.
REFUSING = re.compile(r"authentication failed|does not exist|no pg_hba|permission denied|must be|no password supplied")
# No such folder can exist, so nothing is read from it.
NO_SECRETS = "/dev/null/secrets"
_SERVER_SAID = re.compile(r"(?:ERROR|FATAL|PANIC): +(.*)")
_COLUMN = re.compile(r"CONTEXT: +COPY .*?, column (.*?)[:\n]")


def masked(text: str, address: Address) -> str:
    """A text without an address's secrets."""
    for name in SECRETS:
        if secret := address.parameters.get(name):
            text = text.replace(secret, "***")
    return text


@contextmanager
def asking(address: Address) -> Iterator["Connection[tuple[Any, ...]]"]:
    """A connection for questions and DDL, each statement in a transaction of its own.

    Raises:
        TargetDown: the server does not answer, or lets nobody in at the moment.
        DeliveryError: it refuses the user, or a statement.
    """
    psycopg = psycopg_or(DeliveryError)
    try:
        with psycopg.connect(**address.parameters, autocommit=True) as connection:
            # Dates and moments as text have to be the same whatever the server's defaults are.
            connection.execute("SET datestyle = 'ISO'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'")
            connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
            yield connection
    except psycopg.Error as error:
        raise fault_of(address, str(error)) from None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction on a server, in which DuckDB copies rows into its tables.

    Attributes:
        connection: DuckDB's connection; the server's tables are in its catalogue `target`.
    """

    connection: "DuckDBPyConnection"

    def execute(self, *statements: str) -> None:
        """Let the server execute statements."""
        for statement in statements:
            self.connection.execute("CALL postgres_execute('target', $1)", [statement])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Let the server answer a query. All of its columns need names of their own."""
        return self.connection.execute("FROM postgres_query('target', $1)", [query]).fetchall()

    def insert(self, schema: str, table: str, columns: Mapping[str, str], source: str) -> int:
        """Copy the rows of one of DuckDB's queries into a table of the server; returns their number.

        Args:
            schema: the table's schema.
            table: the table.
            columns: its columns, each with the expression over the source that fills it.
            source: what follows FROM.
        """
        # DuckDB remembers the server's tables, and this one may have been made a moment ago.
        self.connection.execute("CALL pg_clear_cache()")
        names = ", ".join(map(ident, columns))
        inserted = self.connection.execute(
            f"INSERT INTO target.{ident(schema)}.{ident(table)} ({names})"
            f" SELECT {', '.join(columns.values())} FROM {source}"
        ).fetchone()
        return int(inserted[0]) if inserted else 0


@contextmanager
def transaction(address: Address) -> Iterator[Transaction]:
    """A transaction, committed when the block ends. When it raises, or this process dies, the server rolls it back.

    Raises:
        TargetDown: the server does not answer, or ended the connection, or others kept a lock for too long.
        DeliveryError: the server refused a statement.
    """
    import duckdb

    # Secrets that somebody stored for DuckDB in the home folder must not decide where rows go.
    config = {name: value for name, value in SHUT.items() if name != "allow_persistent_secrets"}
    config |= {"secret_directory": NO_SECRETS, "custom_user_agent": "orchestration_project"}
    with closing(duckdb.connect(config=config)) as connection:
        try:
            connection.execute("SET TimeZone = 'UTC'")
            _attach(connection, address)
            connection.execute("BEGIN TRANSACTION")
            opened = Transaction(connection)
            opened.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            yield opened
            connection.execute("COMMIT")
        except duckdb.Error as error:
            raise fault_of(address, str(error)) from None
        finally:
            # Without it DuckDB's extension ends this process, when the connection is closed in the middle of a
            # transaction whose server is gone. After COMMIT there is nothing to roll back.
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")


def _attach(connection: "DuckDBPyConnection", address: Address) -> None:
    connection.execute(f"LOAD {literal(str(extension()))}")
    where, password = without_password(address.parameters, DeliveryError)
    secret = "" if password is None else f", PASSWORD {literal(password)}"
    connection.execute(f"CREATE TEMPORARY SECRET target (TYPE postgres{secret})")
    # With another isolation a transaction would not see what the one that it waited for has written.
    connection.execute(
        f"ATTACH {literal(where)} AS target (TYPE postgres, SECRET target, ISOLATION_LEVEL 'READ COMMITTED')"
    )


def extension() -> Path:
    """The file of DuckDB's postgres extension, from its wheel: nothing is downloaded, and no home folder needed.

    Raises:
        DeliveryError: it is not installed for this release of DuckDB.
    """
    if (file := extension_file("postgres_scanner")) is None:
        import duckdb

        raise DeliveryError(
            f"deliveries to PostgreSQL need DuckDB's extension for release {duckdb.__version__}: pip install"
            " 'orchestration-project[postgres]'"
        )
    return file


def fault_of(address: Address, message: str) -> DeliveryError:
    """What an error of libpq, the server or DuckDB means, without secrets and without values of rows."""
    text = masked(message, address)
    said = _SERVER_SAID.findall(text)
    # libpq tells of each address of a host, the last one last.
    cause = said[-1] if said else text.rpartition("failed: ")[2] or text
    column = _COLUMN.search(text)
    told = without_values(Exception(cause)) + (f" (column {column[1]})" if column else "")
    if PASSING.search(text) and not REFUSING.search(text):
        return TargetDown(
            f"{address.shown} can't be used now: {told}. It has what it had, or all of the delivery; the next run"
            " compares"
        )
    if "depend on it" in told:
        told += "; drop the views that read it, deliver, and make them again"
    return DeliveryError(f"{address.shown} refused the delivery: {told}. What was delivered before is untouched")
