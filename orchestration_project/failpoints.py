"""Named points between the steps of a load, at which a test may stop the process.

Nobody listens in production: a point then costs one comparison. There is a point after every step that another process,
or the next run, could see the effect of.
"""

from collections.abc import Callable
from enum import StrEnum


class Recovery(StrEnum):
    """What a rebuild, a withdrawal or the drop of a feed has just done, each in its order."""

    TREE_BUILT = "tree built"
    RANGE_LOADED = "range loaded"
    TABLES_COPIED = "tables copied"
    REBUILD_COMMITTED = "rebuild committed"
    REPLACED = "old folder set aside"
    SWITCHED = "new tree is next"
    PLACED = "new folder in place"
    OLD_REMOVED = "old tree removed"
    RENAMED = "folder of the old name moved"
    TOGETHER_NOTED = "files noted that go together"
    WITHDRAWAL_NOTED = "withdrawal noted"
    SET_ASIDE = "file set aside"
    TAKEN_BACK = "file taken back"
    UNNOTED = "note removed"
    ROWS_DROPPED = "rows dropped"
    FOLDER_KEPT = "folder kept aside"


class Migration(StrEnum):
    """What the move of a warehouse has just done, in its order."""

    WRITTEN = "table written"
    COPIED = "table copied"
    COMMITTED = "tables committed"


class Publishing(StrEnum):
    """What has just been done for the published copy, in its order."""

    OPENED = "warehouse opened"
    FILE_WRITTEN = "file written"
    VIEWS_MADE = "views made"
    RETIRED = "old files retired"
    SWITCHED = "views switched"
    NOTED = "manifest written"
    SWEPT = "old files swept"


class Delivery(StrEnum):
    """What a delivery has just done, in its order."""

    PLANNED = "delivery planned"
    COPIED = "part copied"
    WRITTEN = "part written to the target"
    COUNTS = "parts count at the target"
    TIDIED = "old parts removed"


class Backup(StrEnum):
    """What a backup or a restore has just done, each in its order."""

    MARKED = "backup marked"
    COPIED = "warehouse copied"
    EXPORTED = "warehouse exported"
    OBJECT_PUT = "object stored"
    CATALOGUED = "catalogue stored"
    COMMITTED = "snapshot stored"
    CHECKED = "backup checked"
    FORGOTTEN = "snapshots deleted"
    REMOVED = "objects deleted"
    STAGED = "backup unpacked"
    PLACED = "history in place"


class Cold(StrEnum):
    """What a move to the cold archive has just done, each in its order."""

    PUT = "bytes stored in the cold archive"
    READ_BACK = "bytes read back from the cold archive"
    MEMBERS_NOTED = "members of a zip archive noted"
    INDEXED = "index of the cold archive stored"
    LINKED = "archived file replaced by its link"


class Fetching(StrEnum):
    """What a fetch has just done with a file, in its order."""

    DOWNLOADED = "file downloaded"
    REMEMBERED = "file remembered"
    LANDED = "file in landing"
    NOTED = "landing noted"


class Landing(StrEnum):
    """What has just been done with an object of a landing in a store, in its order."""

    CLAIMED = "object claimed"
    FETCHED = "object fetched"
    NOTED = "fetched object noted"
    LANDED = "fetched object in landing"
    MARKED = "object marked as dealt with"
    REFUSED = "object in the quarantine of the store"
    DELETED = "object deleted"
    UNCLAIMED = "claim deleted"


class Lake(StrEnum):
    """What has just been done for a transaction of a lake whose catalog is in PostgreSQL."""

    PROVEN = "lock proven to be held"


class Point(StrEnum):
    """What has just been done, in the order of a load."""

    LOCKED = "locked"
    RECOVERED = "recovered"
    RENEWING = "renewing"
    RENEWED = "renewed"
    REPLACED = "replaced"
    UNPACKED = "unpacked"
    KEPT = "kept"
    LISTED = "listed"
    FINGERPRINTED = "fingerprinted"
    PREPARED = "prepared"
    STAGED = "staged"
    VALIDATED = "validated"
    BEGUN = "begun"
    REMOVED = "removed"
    ENTERED = "entered"
    REMEMBERED = "remembered"
    PUBLISHED = "published"
    INSERTED = "inserted"
    COUNTED = "counted"
    SECURED = "secured"
    COMMITTED = "committed"
    ARCHIVED = "archived"
    FLUSHED = "flushed"
    TAKEN = "taken"
    CLEARED = "cleared"
    NOTED = "noted"
    QUARANTINED = "quarantined"
    MOVED = "moved"
    UNLOCKED = "unlocked"
    REPORTED = "reported"


AnyPoint = Point | Recovery | Migration | Publishing | Delivery | Backup | Cold | Fetching | Landing | Lake
_listener: Callable[[AnyPoint], None] | None = None


def listen(listener: Callable[[AnyPoint], None] | None) -> None:
    """Have a function called at every point of this process; None: at none."""
    global _listener  # noqa: PLW0603 - one process, one listener
    _listener = listener


def reached(point: AnyPoint) -> None:
    """Tell that a step is done."""
    if _listener is not None:
        _listener(point)
