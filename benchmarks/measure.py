"""Time whole commands, in turns, and tell medians: what is compared is measured in the same session."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median


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
        prepare: makes the state that the command starts from; not timed.
        environment: what the command sees beside the inherited environment.
        verify: looks at what the command has made, and raises if it is not what it should be; not timed.
    """

    name: str
    command: Sequence[str]
    prepare: Callable[[], object] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    verify: Callable[[], object] = lambda: None
    usages: list[Usage] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median time."""
        return median(usage.seconds for usage in self.usages)

    @property
    def peak_bytes(self) -> float:
        """The median of the peak memory."""
        return median(usage.peak_bytes for usage in self.usages)


def take_turns(contenders: Sequence[Contender], rounds: int, log: Path) -> None:
    """Run all contenders, one after the other, some times over; the first of them changes from round to round.

    Args:
        contenders: they get their usages.
        rounds: how often each runs.
        log: takes what the commands print.

    Raises:
        CalledProcessError: a command failed.
    """
    for turn in range(rounds):
        shift = turn % len(contenders)
        for contender in (*contenders[shift:], *contenders[:shift]):
            contender.prepare()
            contender.usages.append(run(contender.command, contender.environment, log))
            contender.verify()


def run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end.

    Raises:
        CalledProcessError: it failed.
    """
    with log.open("ab") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, f"see {log}")
    return Usage(seconds, usage.ru_maxrss * 1024)
