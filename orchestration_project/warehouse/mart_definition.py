"""What a mart is: a table that one SELECT makes of other tables, and the check that the SELECT fits them.

Belongs here: what is known before any warehouse is asked. How its batches are made and compared is in `marts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestration_project.errors import PlatformError
from orchestration_project.warehouse.connection import SHUT
from orchestration_project.warehouse.published import CONTENT_TYPE
from orchestration_project.warehouse.tables import BATCH, Columns, ident, stand_in

# Other engines, DuckLake's among them, make a DOUBLE of the first two and refuse the last.
REFUSED_TYPES = ("HUGEINT", "UHUGEINT", "ENUM")


class MartError(PlatformError):
    """A mart's SELECT can't be used: it is no single SELECT, or does not fit its inputs."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Totals of a mart that have to equal sums over one of its inputs.

    Attributes:
        table: the input.
        totals: for each of the mart's columns that are compared, the expression over the input's rows that is added up.
    """

    table: str
    totals: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mart:
    """A table that one SELECT makes.

    Attributes:
        name: the table's name.
        query: the SELECT, over the tables of `inputs`.
        inputs: the tables that it reads, with their columns and types.
        columns: the columns that it gives, with their types.
        key: the columns that tell its rows apart.
        batches_of: the input whose batches are those of the mart; None: the mart is made as a whole.
        listed: the inputs whose batches `published_batches` lists: cleaned tables of feeds.
        reconciliation: the totals to compare; None for none.
    """

    name: str
    query: str
    inputs: Mapping[str, Columns]
    columns: Columns
    key: Sequence[str]
    batches_of: str | None = None
    listed: frozenset[str] = field(default_factory=frozenset)
    reconciliation: Reconciliation | None = None

    @property
    def built(self) -> str:
        """The table of what each batch was made from."""
        return f"{self.name}_built"

    @property
    def sums(self) -> dict[str, str]:
        """What `built` keeps of a batch's rows, with expressions: the totals that are compared, else their number."""
        # Rows that somebody deletes or adds show in it, and nobody has to read the inputs for that.
        if self.reconciliation is None:
            return {"rows": "count(*)"}
        return {name: f"sum({ident(name)})" for name in self.reconciliation.totals}

    @property
    def built_columns(self) -> dict[str, str]:
        """The columns of `built` and their types."""
        sums = {name: self.columns.get(name, "BIGINT") for name in self.sums}
        return {BATCH: self.columns[BATCH], "content": CONTENT_TYPE, **sums}

    @property
    def compared_by(self) -> list[str]:
        """The columns within which totals are compared: those of the key that the reconciled input has too."""
        assert self.reconciliation
        return [name for name in self.key if name in self.inputs[self.reconciliation.table]]


def compile_select(text: str, inputs: Mapping[str, Columns]) -> tuple[str, dict[str, str]]:
    """A SELECT as it can stand inside another one, and its columns with their types.

    No warehouse is asked: an empty database in memory has the inputs.

    Raises:
        MartError: it is no single SELECT, does not fit the inputs, or gives a column whose type no table may have.
    """
    import duckdb

    with duckdb.connect(config=SHUT | {"threads": 1}) as connection:
        # To describe a SELECT binds it, and a table function such as read_csv looks into its file for that.
        connection.execute("SET enable_external_access = false")
        stand_in(connection, inputs)
        try:
            # DuckDB's own parser tells how many statements there are; a semicolon may stand in a text or a comment.
            statements = connection.extract_statements(text)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise MartError("it has to be one SELECT")
            # The end of a line ends a comment that the text may end with.
            query = statements[0].query.strip().removesuffix(";") + "\n"
            columns = {name: sql_type for name, sql_type, *_ in connection.execute(f"DESCRIBE {query}").fetchall()}
        except duckdb.Error as error:
            raise MartError(str(error)) from error
    for name, sql_type in columns.items():
        if sql_type.startswith(REFUSED_TYPES):
            raise MartError(f"column {name} is {sql_type}, which no table may have: cast it, like {name}::BIGINT")
    return query, columns
