"""Time whole commands, in turns, and tell medians: what is compared is measured in the same session."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.session import ROOT, inherited

LINES_SHOWN = 15


class Failed(Exception):
    """A command failed, or made something else than it should have; the message is for people."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of a command took: wall-clock seconds, and the peak memory of its largest process in bytes."""

    seconds: float
    peak_bytes: int


@dataclass(slots=True)
class Contender:
    """Something that is measured.

    Attributes:
        name: how results call it.
        command: what is run, and timed.
        environment: what the command sees beside the inherited environment.
        rounds: how often it runs.
        prepare: makes the state that the command starts from; not timed.
        verify: looks at what the command has made, and raises Failed if it is not what it should be; not timed.
        usages: what its runs took.
        failure: why it has no further runs.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 1
    prepare: Callable[[], object] = lambda: None
    verify: Callable[[], object] = lambda: None
    usages: list[Usage] = field(default_factory=list)
    failure: str | None = None

    @property
    def seconds(self) -> float | None:
        """The median time; None for one that failed."""
        return None if self.failure or not self.usages else median(usage.seconds for usage in self.usages)

    @property
    def peak_bytes(self) -> float | None:
        """The median of the peak memory; None for one that failed."""
        return None if self.failure or not self.usages else median(usage.peak_bytes for usage in self.usages)


def take_turns(contenders: Sequence[Contender], log: Path) -> None:
    """Run all contenders, one after the other, some times over; the first of them changes from round to round.

    One that fails is out; the others go on.

    Args:
        contenders: they get their usages.
        log: takes what the commands print.
    """
    for turn in range(max(contender.rounds for contender in contenders)):
        shift = turn % len(contenders)
        for contender in (*contenders[shift:], *contenders[:shift]):
            if turn < contender.rounds and not contender.failure:
                _take_turn(contender, log)


def _take_turn(contender: Contender, log: Path) -> None:
    try:
        contender.prepare()
        usage = run(contender.command, contender.environment, log)
        contender.verify()
    except Failed as error:
        contender.failure = str(error)
        tell(f"{contender.name}: failed")
    else:
        contender.usages.append(usage)
        tell(f"{contender.name}: {usage.seconds:.2f} s, {usage.peak_bytes / 1e6:,.0f} MB")


def run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end.

    Raises:
        Failed: it could not be started, or ended with an error; the message has the end of what it said.
    """
    with log.open("wb") as output:
        began = time.perf_counter()
        try:
            process = subprocess.Popen(  # noqa: S603 - the commands are written in this package
                command, env={**inherited(), **environment}, cwd=ROOT, stdout=output, stderr=output
            )
        except OSError as error:
            raise Failed(f"{command[0]} can't be started: {error.strerror}") from error
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            # Whoever stops the session wants its commands stopped, too.
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{Path(command[0]).name} ended with {process.returncode}; it said:\n{last_lines(log)}")
    return Usage(seconds, usage.ru_maxrss * 1024)


def last_lines(log: Path) -> str:
    """The end of what a command said."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:])


def tell(line: str) -> None:
    """Tell whoever waits how far the session is."""
    print(f"  {line}", file=sys.stderr, flush=True)  # noqa: T201 - progress


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """How many times as much; None where one of both is not known."""
    return numerator / denominator if numerator is not None and denominator else None
