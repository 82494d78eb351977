"""Time whole commands, in turns, and tell medians: what is compared is measured in the same session."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.session import ROOT, inherited

LAUNCHER = ROOT / "benchmarks/launch.py"
LINES_SHOWN = 15


class Failed(Exception):
    """A command failed, or made something else than it should have; the message is for people."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of a command took.

    Attributes:
        seconds: by the clock.
        peak_bytes: the peak memory of its largest process.
        cpu_seconds: CPU time of all of its processes, in Python and in the system.
    """

    seconds: float
    peak_bytes: int
    cpu_seconds: float


@dataclass(slots=True)
class Contender:
    """Something that is measured.

    Attributes:
        name: how results call it.
        command: what is run, and timed.
        environment: what the command sees beside the inherited environment.
        rounds: how often it runs.
        prepare: makes the state that the command starts from; not timed.
        verify: checks what the command has made, and raises Failed if that is wrong; not timed.
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

    @property
    def cpu_seconds(self) -> float | None:
        """The median of the CPU time; None for one that failed."""
        return None if self.failure or not self.usages else median(usage.cpu_seconds for usage in self.usages)


def take_turns(contenders: Sequence[Contender], log: Path) -> None:
    """Run all contenders, one after the other, some times over; the first of them changes from round to round.

    A contender that fails does not run again; the others go on.

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
        # Else the system would write the data of the previous contender during this one's time.
        os.sync()
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
    told = _launched(command, environment, log).split()
    if not told:
        raise Failed(f"{command[0]} can't be started:\n{last_lines(log)}")
    code, seconds, peak, cpu = told
    if code != "0":
        raise Failed(f"{Path(command[0]).name} ended with {code}; it said:\n{last_lines(log)}")
    return Usage(float(seconds), int(peak), float(cpu))


def _launched(command: Sequence[str], environment: Mapping[str, str], log: Path) -> str:
    """What the launcher tells of a command; nothing, if it can't start it."""
    reader, writer = os.pipe()
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(writer), *command]
    with os.fdopen(reader) as told, log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the commands are written in this package
            launcher,
            env={**inherited(), **environment},
            cwd=ROOT,
            stdout=output,
            stderr=output,
            pass_fds=[writer],
            start_new_session=True,
        )
        os.close(writer)
        try:
            process.wait()
        except BaseException:
            # A session that is stopped must not leave its command running.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return told.read()


def last_lines(log: Path) -> str:
    """The end of what a command said."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:])


def tell(line: str) -> None:
    """Tell whoever waits how far the session is."""
    print(f"  {line}", file=sys.stderr, flush=True)  # noqa: T201 - progress


def paired(
    item: Contender, yardstick: Contender, value: Callable[[Usage], float] = lambda usage: usage.seconds
) -> float | None:
    """The median of the rounds' ratios; None where one of both has failed.

    Args:
        item: the contender that is compared.
        yardstick: what it is compared with; it has run as often.
        value: what of a run is compared; by default its time.
    """
    if item.failure or yardstick.failure or not item.usages:
        return None
    pairs = zip(item.usages, yardstick.usages, strict=True)
    return median(value(usage) / value(other) for usage, other in pairs)


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """How many times as much; None where one of both is not known."""
    return numerator / denominator if numerator is not None and denominator else None
