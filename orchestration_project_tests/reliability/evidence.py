"""What tests tell the reliability report: which promise they hold, how many cases they tried, what they found.

pytestmark = pytest.mark.promise("crash")            the promise, by its key in PROMISES
@pytest.mark.found("what went wrong, before it was fixed")
tried()                                              one more case, called once for each
measured("how long it took beside something else")   a figure that is shown, and never decides whether a test passes
"""

import os
from collections.abc import Sequence

PROMISES = {
    "crash": "A process that is killed at any step loses nothing and doubles nothing.",
    "concurrency": "Any number of processes may work at once: no row lost or doubled, no endless wait.",
    "deliveries": "Whatever is delivered, in whatever order and under whatever name, counts once.",
    "frames": "A DataFrame is stored as it is or refused: no value is changed, no other asset's table replaced.",
    "repair": "Rejected records can be corrected or waived, once, and the accounting shows it.",
    "input": "No file, however malformed, is misread, loses a record uncounted or stops another file.",
    "security": "Names, values and contracts from outside cannot run, read or reveal what they should not.",
    "disk": "A full disk or a broken warehouse gives a clear error and has a way back.",
    "seen": "What went wrong, and what was left out, is told where one looks for it.",
    "alerts": "Who must act hears of it once, and hears when it is over, whatever dies meanwhile.",
    "load": "Floods of files are worked off, and a look into landing stays bounded.",
}

TORTURE = bool(os.environ.get("TORTURE"))  # noqa: TID251 - set by `make torture`, for tests alone


def effort(usual: int, torture: int) -> int:
    """How many cases to try: in the usual run of the tests, and under `make torture`."""
    return torture if TORTURE else usual


class _Tally:
    tried = 0
    measured: tuple[str, ...] = ()


def tried(cases: int = 1) -> None:
    """Count cases that the running test has tried."""
    _Tally.tried += cases


def measured(sentence: str) -> None:
    """Have the report show a figure of the running test, in a sentence."""
    _Tally.measured += (sentence,)
    print(sentence)  # noqa: T201 - `pytest -s` and a failed test show it, too


def taken_figures() -> Sequence[str]:
    """The sentences since this was last called."""
    taken, _Tally.measured = _Tally.measured, ()
    return taken


def tally() -> int:
    """The cases tried in this process until now."""
    return _Tally.tried
