"""The package's exceptions.

PlatformError
├── contracts.ContractError   a contract can't be used; every problem with its path in the document
├── project.DefinitionsError  the definitions can't be built, for one of the other reasons
├── setting_values.SettingsError an environment variable can't be used
├── run_launcher.HistoryError the databases of Dagster's history can't be made
├── celery_worker.ClusterError a worker of a cluster can't be started
├── layout.DraftError         no feed can be drafted from sample files
├── mart_definition.MartError a mart's SELECT can't be used
├── store.AlarmStoreError     the file with the state of alarms can't be used
├── FileRefused               a file can't be accepted as a whole: it goes to quarantine, the others go on
├── FileChanged               a file changed while it was read: it stays in landing for the next run
├── FilesUnfit                some files of a load are refused or changed; caught by the load itself
├── RepairError               what was asked for rejects can't be done, or a waiver can't be read
├── RecoveryError             a rebuild, a withdrawal or the drop of a feed can't be done; nothing was changed
├── DiskFull                  a disk had no room for what was to be written; names it and what to do
├── NotWritable               a folder may not be written to; names it and what to do
├── DeliveryError             a table can't be delivered as it is; the target has what it had
│   ├── DeliveryConflict      somebody else delivered the same table at the same time
│   └── TargetDown            a database does not answer, or ended the connection
├── ObjectStoreError          an object store refuses what is asked of it, or can't be used
│   ├── ObjectMissing         it has no object of a key
│   ├── cold.ColdArchiveError the cold archive does not have a file as it was moved there
│   ├── ObjectChanged         an object was written while it was read
│   └── ObjectStoreDown       it does not answer, or fails
├── SourceError               a source refuses what is asked of it, has something else than declared, or can't be used
│   ├── ItemGone              what it listed is not there any more, or is another version
│   └── SourceDown            it does not answer, or fails
├── ShardFailed               a part of a load failed each time it was tried; nothing was changed
├── WarehouseBusy             the warehouse could not be locked in time; names the holder
└── WarehouseError            the warehouse does not have what a step needs, or a frame does not fit its table
    ├── WarehouseDown         a server that it needs does not answer, or somebody else's commit came in between
    │   └── overtaken.Overtaken  another load has changed what a load rests on; caught by the load itself
    ├── WarehouseBroken       its file can't be read; it has to be moved away and made again from the archive
    ├── frames.Unfit          a column of a DataFrame can't be stored as it is
    └── files.Unfit           a column of a table can't be published as it is
"""

import re
from collections.abc import Mapping
from typing import ClassVar

# `Could not convert string 'Ann "B"' to INT32` -> `Could not convert string ... to INT32`: from the first quote to the
# last one of any kind, since a value may have quotes in it. Without a second one all of the rest goes: too little is
# told rather than too much.
_QUOTED = re.compile(r"""["'`].*["'`]|["'`].*""")


class PlatformError(Exception):
    """Base of every error that the platform raises on purpose.

    Attributes:
        transient: whether it may pass while nobody changes a file, a contract or a setting: a new run may succeed.
    """

    transient: ClassVar[bool] = False


class FileRefused(PlatformError):
    """A file can't be accepted as a whole.

    Args:
        rule: short code of what it broke, e.g. `missing_column`; the ledger and the reason file carry it.
        message: what is wrong with which value, where, and what to do.
        line: 1-based line in the file, where there is one.
        byte: 0-based offset in the file, where there is one.
    """

    def __init__(self, rule: str, message: str, line: int | None = None, byte: int | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.line = line
        self.byte = byte


class FileChanged(PlatformError):
    """A file was changed, replaced or removed by somebody else while it was being read."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name!r} {what} while it was being read; the next run will look again")
        self.name = name


# Not the name alone: an undated feed has `export.csv` of many days in one load, and one of them may be refused.
FileKey = tuple[str, str]
"""What tells the files of one load apart: batch, as text, and logical name."""


class FilesUnfit(PlatformError):
    """Some files of a load turned out to be unfit after rows were written; the load starts again without them.

    Args:
        faults: what is wrong with each file.
    """

    def __init__(self, faults: "Mapping[FileKey, FileRefused | FileChanged]") -> None:
        super().__init__("; ".join(str(fault) for fault in faults.values()))
        self.faults = dict(faults)


class RepairError(PlatformError):
    """What was asked for rejects can't be done, or a waiver in the archive can't be read."""


class RecoveryError(PlatformError):
    """A feed can't be rebuilt or dropped, or a file not withdrawn; nothing was changed."""


class DiskFull(PlatformError):
    """A disk had no room for what was to be written."""

    transient = True


class NotWritable(PlatformError):
    """A folder that the platform has to write to is read-only, or somebody else's."""

    transient = True


class DeliveryError(PlatformError):
    """A table can't be delivered as it is; what the target had before is still there, whole."""


class DeliveryConflict(DeliveryError):
    """The target has changed since a delivery was planned; nothing of that delivery counts."""

    transient = True


class TargetDown(DeliveryError):
    """A target does not answer, or ended the connection; nothing of that delivery counts."""

    transient = True


class ObjectStoreError(PlatformError):
    """An object store refuses what is asked of it, or its URL can't be used; no message has credentials."""


class ObjectMissing(ObjectStoreError):
    """An object store has no object of a key."""


class ObjectChanged(ObjectStoreError):
    """An object was written while it was read."""


class ObjectStoreDown(ObjectStoreError):
    """An object store does not answer, or fails."""

    transient = True


class SourceError(PlatformError):
    """A source refuses what is asked of it, has something else than was declared, or can't be used.

    No message has credentials.
    """


class ItemGone(SourceError):
    """What a source has listed is not there any more, or is another version by now; the next fetch looks again."""


class SourceDown(SourceError):
    """A source does not answer, fails, or ended the connection."""

    transient = True


class ShardFailed(PlatformError):
    """A shard of a load could not be read and validated, however often it was tried; nothing was changed."""

    transient = True


class WarehouseBusy(PlatformError):
    """The warehouse stayed locked by somebody else for longer than the configured wait; `holder` tells by whom."""

    transient = True

    def __init__(self, message: str, holder: str = "") -> None:
        super().__init__(message)
        self.holder = holder


class WarehouseError(PlatformError):
    """The warehouse lacks what a step needs, or a frame does not fit its table."""


class WarehouseDown(WarehouseError):
    """A server that the warehouse needs does not answer, or failed; what was not committed has changed nothing."""

    transient = True


class WarehouseBroken(WarehouseError):
    """The warehouse can't be read: it is damaged, no DuckDB file or lake, or a newer DuckDB's."""


def platform_errors(base: type[PlatformError] = PlatformError) -> set[type[PlatformError]]:
    """All errors that the platform raises on purpose, as far as their modules are imported."""
    # Errors of errors, too: retries once knew only the direct subclasses.
    return {base}.union(*(platform_errors(error) for error in base.__subclasses__()))


def transient_errors() -> set[str]:
    """The names of the errors that may pass by themselves."""
    return {error.__name__ for error in platform_errors() if error.transient}


def without_values(error: Exception) -> str:
    """The first line of an engine's message without what it quotes: that may be personal."""
    return _QUOTED.sub("...", (str(error).splitlines() or [""])[0])


def visible(text: str) -> str:
    """A text from outside as one line in which a terminal finds no instruction."""
    # A product's name could clear the terminal, and a file's name begin a line of its own in the log.
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in text)
