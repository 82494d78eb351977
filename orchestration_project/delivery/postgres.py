"""The target PostgreSQL: tables of a schema, each delivered in one transaction.

Belongs here: what a target has to answer (`model.Target`). How rows get there is in `postgres_write`.

    postgresql://loader@db.example.org/shop      the password in it, in PGPASSWORD, or in a password file

What was delivered is in the table `_deliveries` beside the tables, written in the transactions of the rows.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestration_project.delivery import postgres_layout as sql
from orchestration_project.delivery.model import Contents, Figures, Shape, StagedPart
from orchestration_project.delivery.postgres_layout import Layout
from orchestration_project.delivery.postgres_session import asking
from orchestration_project.delivery.postgres_types import MAX_NAME_BYTES, postgres_types
from orchestration_project.delivery.postgres_write import prepare, write_table
from orchestration_project.delivery.targets import TargetConfig
from orchestration_project.errors import DeliveryError
from orchestration_project.postgres_address import parse_address

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = "warehouse"
"""Where tables are made if a delivery does not say it."""


OPTIONS = ("schema", "reader")


class PostgresTarget:
    """Tables in a schema of a PostgreSQL database."""

    def __init__(self, url: str, schema: str = SCHEMA, reader: str | None = None) -> None:
        """A target; the server is not asked yet.

        Args:
            url: where it is, as libpq reads it.
            schema: the schema, which is made if there is none.
            reader: a role that may read the schema and nothing else; it is made if there is none.

        Raises:
            DeliveryError: the address can't be read, or the extra `postgres` is not installed.
        """
        self._address = parse_address(url, "target", DeliveryError)
        self._schema = schema
        self._reader = reader

    @classmethod
    def from_config(cls, config: TargetConfig) -> "PostgresTarget":
        """The target that a delivery describes; its options are `schema` and `reader`.

        Raises:
            DeliveryError: an option is not known, is no text, or the address can't be read.
        """
        texts = {name: value for name, value in config.options.items() if isinstance(value, str) and value}
        for name in config.options:
            if name not in OPTIONS or name not in texts:
                raise DeliveryError(
                    f"delivery {config.name}: PostgreSQL has no option {name!r} with such a value; it has"
                    f" {', '.join(OPTIONS)}, which are names"
                )
        if config.format:
            raise DeliveryError(f"delivery {config.name}: format is of files; PostgreSQL has none")
        return cls(config.url, **texts)

    @property
    def url(self) -> str:
        """Where it is, without the user and the password."""
        return f"{self._address.shown}/{self._schema}"

    def delivered(self, table: str) -> Contents:
        """See `model.Target`."""
        with asking(self._address) as connection:
            if not _has(connection, sql.qualified(self._schema, sql.STATE)):
                return {}
            return dict(connection.execute(sql.known_query(self._schema, table).encode()).fetchall())

    def deliver(self, shape: Shape, known: Contents, write: Sequence[StagedPart], remove: Sequence[str]) -> None:
        """See `model.Target`."""
        layout = self._layout(shape)
        prepare(self._address, self._schema, self._reader)
        write_table(self._address, layout, known, write, remove, self._reader)

    def read_back(self, shape: Shape, parts: Collection[str] | None) -> Mapping[str, Figures]:
        """See `model.Target`."""
        layout = self._layout(shape)
        with asking(self._address) as connection:
            if not _has(connection, layout.quoted):
                return {}
            rows = connection.execute(sql.figures_query(layout, parts).encode()).fetchall()
        return {
            part: Figures(count, dict(zip(shape.totals, sums, strict=True))) for part, count, *sums in rows if count
        }

    def _layout(self, shape: Shape) -> Layout:
        for name in (self._schema, shape.table):
            if len(name.encode()) > MAX_NAME_BYTES:
                raise DeliveryError(f"PostgreSQL takes no name of more than {MAX_NAME_BYTES} bytes, such as {name!r}")
        return Layout(self._schema, shape, postgres_types(shape.table, shape.columns))


def _has(connection: "Connection[tuple[Any, ...]]", table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone() == (True,)
