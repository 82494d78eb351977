"""Which batches were validated otherwise than a load would validate them now. Reads only.

Belongs here: what `status`, `verify` and the check `validated` tell of it. A contract that reads, types or computes
otherwise leaves no such batches: it makes all of them anew (`ingest.renew`).
"""

from typing import TYPE_CHECKING

from orchestration_project.ingest.fingerprints import version_of
from orchestration_project.ingest.keys import keys_of
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.warehouse.feed_tables import rejected_table
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import BATCH_DATE, TABLE, VALIDATED_AS
from orchestration_project.warehouse.ledger_batches import validated_otherwise
from orchestration_project.warehouse.tables import columns_of, exists, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def validated_by_another(connection: "DuckDBPyConnection", source: ConfiguredFeed) -> list[str]:
    """The partition keys of the batches that another contract or release validated, in order.

    Args:
        connection: to the warehouse, which has a ledger.
        source: the feed.
    """
    by_contract = validated_otherwise(connection, source.name, version_of(source.feed, source.options))
    return sorted({*by_contract, *_by_old_look_back(connection, source)})


def _by_old_look_back(connection: "DuckDBPyConnection", source: ConfiguredFeed) -> list[str]:
    """The batches that release 0.1 validated and that have records which it rejected for a key of another one.

    A key on the days 1, 8 and 15, with a look-back of 7 days: that release kept the record of day 1 alone, since that
    of day 8, though rejected, took the key. Now the record of day 15 is kept.
    """
    # Any earlier record took a key, kept or not; now only a kept one does. So that release rejected no record too few,
    # and a batch without such rejects has the rows that it would have now. It noted nothing, which tells its batches.
    keys, rejected = keys_of(source.feed), rejected_table(source.feed)
    if not keys or not source.options.key_look_back or not exists(connection, rejected):
        return []
    # A reader may not add the column that the ledgers of that release lack.
    noted = VALIDATED_AS.keys() <= columns_of(connection, TABLE).keys()
    beaten = " OR ".join(key.beaten("_reason") for key in keys)
    rows = connection.execute(
        f"""WITH duplicates AS (
                SELECT DISTINCT _batch_date FROM {ident(rejected)}
                WHERE len(list_filter(_reasons, lambda _reason: {beaten})) > 0)
            SELECT DISTINCT batch FROM {placed(connection)} AS loaded JOIN duplicates ON _batch_date = {BATCH_DATE}
            WHERE feed = $1 AND status = 'loaded' AND {"validated_as IS NULL" if noted else "true"}""",
        [source.name],
    ).fetchall()
    return [batch for (batch,) in rows]
