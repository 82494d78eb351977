"""How it stands with a feed's source: what the last fetch did, as the memory of the source has it.

Belongs here: a look into `$DATA_DIR/sources/<feed>.sqlite`, which changes nothing. Does not belong here: to ask the
source itself; `fetch --dry-run` does that.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestration_project.errors import PlatformError, visible
from orchestration_project.settings import Settings


@dataclass(frozen=True, slots=True)
class FetchStatus:
    """The last fetch of a feed's source. The names of the fields are those of `status --json`.

    Attributes:
        fetched_at: when it began; None: there was none yet, or the memory can't be read.
        listed: how many items the source had.
        landed: how many files it put into landing.
        bytes: of all of these.
        left: how many items wait for the next fetch.
        failed: by key, why an item could not be fetched.
        error: why the source could not be listed, or its memory not be read; empty if it could.
        files: how many files are remembered of all fetches.
        lag_seconds: how long ago the newest of these was modified at the source; None where the source does not tell.
    """

    fetched_at: dt.datetime | None = None
    listed: int = 0
    landed: int = 0
    bytes: int = 0
    left: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    files: int = 0
    lag_seconds: float | None = None

    @property
    def problems(self) -> Iterator[str]:
        """What needs a person, until a fetch succeeds."""
        if self.error:
            yield f"fetching fails: {visible(self.error)}"
        if self.failed:
            key, why = next(iter(self.failed.items()))
            yield f"{len(self.failed):,} item(s) of the source could not be fetched, such as {visible(f'{key}: {why}')}"


def fetch_status(settings: Settings, feed: str, now: dt.datetime) -> FetchStatus:
    """The last fetch of a feed's source.

    Args:
        settings: where memories are.
        feed: a feed that has a source.
        now: the present moment, with a time zone.
    """
    # Here, since the commands import this module for their help.
    from orchestration_project.sources.memory import reading_memory

    try:
        with reading_memory(settings.fetched(feed)) as memory:
            last, (files, newest) = memory.last, memory.extent()
    except PlatformError as error:
        return FetchStatus(error=str(error))
    lag = (now - newest).total_seconds() if newest else None
    if last is None:
        return FetchStatus(files=files, lag_seconds=lag)
    return FetchStatus(last.at, last.listed, last.landed, last.bytes, last.left, last.failed, last.error, files, lag)
