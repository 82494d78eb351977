"""What loads and checks leave behind for those who watch: small JSON files, which are read without the warehouse.

    state/<feed>.json            the feed's open rejects, reject rates and sizes, after each load
    state/checks/<asset>.json    the last result of each check of an asset

They are notes, not records: a file that is lost or can't be read is one that is not there, and the next load or check
writes it anew. So they are renamed into place, but not flushed to disk. What is told of them is in `alerts`.
"""

import datetime as dt
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from orchestration_project.settings import Settings

CHECKS = "checks"
LOCK_SECONDS = 5.0
"""How long a writer waits for another one. Each of them takes milliseconds."""
MOST_BATCHES = 1000
"""How many failed batches of a check are kept; of more, the newest ones."""
RATES_KEPT = 7
"""The reject rates of how many batches are kept: the newest ones."""


@dataclass(frozen=True, slots=True)
class FeedState:
    """How it stands with a feed after its last load.

    Attributes:
        at: when this was written.
        open_rejects: the rejected records that nobody has corrected or waived.
        oldest_open_reject: partition key of the first batch that has one; empty if there are none.
        open_since: when the first of them was loaded; None if there are none, or that is unknown.
        reject_rates: by partition key, the share of open rejects among the records of the newest batches, without
            duplicates.
        records: by partition key, the records of the newest batches, the oldest first.
        first_load: when the first of the feed's files was loaded; None if none was, or that is unknown. It stays when
            the ledger is made anew.
    """

    at: dt.datetime
    open_rejects: int = 0
    oldest_open_reject: str = ""
    open_since: dt.datetime | None = None
    reject_rates: Mapping[str, float] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    first_load: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class CheckState:
    """The last result of a check, which also counts the failed batches of earlier runs.

    Attributes:
        asset: the asset that was checked.
        name: the check's name.
        passed: whether it passed, for this run's batches and all that failed before.
        severity: `error` or `warn`.
        description: what it says.
        batches: the partition keys that it is about: of a failed check those that failed. Empty: it is about the
            table as a whole.
        run_id: the run.
        at: when.
    """

    asset: str
    name: str
    passed: bool
    severity: str
    description: str
    batches: tuple[str, ...]
    run_id: str
    at: dt.datetime

    @property
    def failed(self) -> bool:
        """Whether it failed as an error, which stops what is downstream if the check blocks."""
        return not self.passed and self.severity == "error"

    def after(self, last: "CheckState | None") -> "CheckState":
        """This result, with the batches that failed before and that it is not about.

        A run of another day that passes says nothing of the day that failed.
        """
        if last is None or not last.failed or not last.batches or not self.batches:
            return self
        remaining = [key for key in last.batches if key not in set(self.batches)]
        if self.failed:
            return replace(self, batches=tuple(sorted({*remaining, *self.batches})[-MOST_BATCHES:]))
        # The older result stays with its words and its run: they say what is wrong with the batches that are left.
        return replace(last, batches=tuple(remaining)) if remaining else self


def read_state(settings: Settings, feed: str) -> FeedState | None:
    """How it stands with a feed; None if no load has told yet."""
    return _feed_state(_read(_of_feed(settings, feed)))


def record_state(settings: Settings, feed: str, state: FeedState, log: Callable[[str], None]) -> None:
    """Write how it stands with a feed. Reject rates of batches that `state` does not have are kept from before.

    It never fails: what can't be written, because the disk is full, is logged.
    """

    def renewed(found: object) -> object:
        before = _feed_state(found) or FeedState(state.at)
        rates = {**before.reject_rates, **state.reject_rates}
        # Keys sort as time does. Without an end the note would grow with each day that is loaded.
        kept = {key: rates[key] for key in sorted(rates)[-RATES_KEPT:]}
        # The earliest: by a ledger that is made anew the feed began today, and batches that were due before would not
        # be missed.
        first = min((at for at in (before.first_load, state.first_load) if at), default=None)
        return asdict(replace(state, reject_rates=kept, first_load=first))

    _update(_of_feed(settings, feed), renewed, log)


def forget_state(settings: Settings, feed: str) -> None:
    """Remove what is noted of a feed; of one without notes there is nothing to do."""
    _of_feed(settings, feed).unlink(missing_ok=True)


def read_checks(settings: Settings) -> list[CheckState]:
    """The last result of every check, by asset and name."""
    folder = settings.data_dir / "state" / CHECKS
    files = sorted(folder.glob("[!.]*.json")) if folder.is_dir() else []
    found = [state for path in files for state in _check_states(_read(path)).values()]
    return sorted(found, key=lambda state: (state.asset, state.name))


def record_checks(settings: Settings, results: Iterable[CheckState], log: Callable[[str], None]) -> None:
    """Write the results of some checks, each of which counts with its earlier failures.

    It never fails: what can't be written, because the disk is full, is logged.
    """
    by_asset: dict[str, list[CheckState]] = {}
    for result in results:
        by_asset.setdefault(result.asset, []).append(result)
    for asset, own in by_asset.items():
        _record_asset(_of_asset(settings, asset), own, log)


def _record_asset(path: Path, results: Sequence[CheckState], log: Callable[[str], None]) -> None:
    def renewed(found: object) -> object:
        states = _check_states(found)
        states |= {result.name: result.after(states.get(result.name)) for result in results}
        return [asdict(states[name]) for name in sorted(states)]

    _update(path, renewed, log)


def _of_feed(settings: Settings, feed: str) -> Path:
    return settings.data_dir / "state" / f"{feed}.json"


def _of_asset(settings: Settings, asset: str) -> Path:
    # An asset's key may have several parts, with a slash between them.
    return settings.data_dir / "state" / CHECKS / f"{quote(asset, safe='')}.json"


def _update(path: Path, renewed: Callable[[object], object], log: Callable[[str], None]) -> None:
    """Replace a file's content by what is made of it, one writer after the other."""
    # Renamed into place, so that no reader finds half a file.
    new = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS):
            try:
                # Read under the lock: of two runs that end together, one would put back what the other has replaced.
                new.write_text(json.dumps(renewed(_read(path)), default=dt.datetime.isoformat), encoding="utf-8")
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)
    except Timeout:
        log(f"{path} was not written: another process has it locked. Alarms know of this run when the next one ends")
    except OSError as error:
        log(f"{path} was not written: {error.strerror or error}. Alarms know of this run when the next one ends")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _feed_state(found: Any) -> FeedState | None:
    try:
        return FeedState(**_with_moments(found, "open_since", "first_load"))
    except (TypeError, ValueError, LookupError):
        return None  # of another release


def _check_states(found: Any) -> dict[str, CheckState]:
    try:
        listed = [CheckState(**_with_moments(item)) for item in found]
    except (TypeError, ValueError, LookupError):
        return {}
    return {state.name: replace(state, batches=tuple(state.batches)) for state in listed}


def _with_moments(found: Any, *names: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError("no object")
    moments = {name: dt.datetime.fromisoformat(found[name]) for name in names if found.get(name)}
    return {**found, **moments, "at": dt.datetime.fromisoformat(found["at"])}
