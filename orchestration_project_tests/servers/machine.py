"""Another machine: a network of its own in the Linux kernel, on a cable to this one that can be cut and mended.

A cut cable is silent, as one between two switches: packets vanish, and neither side is told.
"""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

from orchestration_project_tests.browser.chromium import lacking

NOBODY = "02:00:00:00:00:01"
"""The hardware address of no machine at all."""
_numbers = itertools.count()


@dataclass(frozen=True)
class Machine:
    """Where processes see this machine as another one.

    Attributes:
        name: of its network; of the two ends of the cable, with `h` for here and `t` for there.
        here: the address of this machine on the cable.
        there: its own address.
    """

    name: str
    here: str
    there: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that runs there."""
        return ("ip", "netns", "exec", self.name)

    def connect(self) -> None:
        """Make the network and lay the cable."""
        _ip("netns", "add", self.name)
        _ip("link", "add", f"{self.name}h", "type", "veth", "peer", "name", f"{self.name}t", "netns", self.name)
        _ip("address", "add", f"{self.here}/30", "dev", f"{self.name}h")
        _ip("link", "set", f"{self.name}h", "up")
        self._ip("address", "add", f"{self.there}/30", "dev", f"{self.name}t")
        self._ip("link", "set", f"{self.name}t", "up")
        self._ip("link", "set", "lo", "up")

    def cut(self) -> None:
        """Let all packets vanish, in both directions."""
        # A link that is down would be noticed by those that use it.
        _ip("neighbour", "replace", self.there, "lladdr", NOBODY, "dev", f"{self.name}h", "nud", "permanent")
        self._ip("neighbour", "replace", self.here, "lladdr", NOBODY, "dev", f"{self.name}t", "nud", "permanent")

    def mend(self) -> None:
        """Let packets arrive again."""
        _ip("neighbour", "delete", self.there, "dev", f"{self.name}h")
        self._ip("neighbour", "delete", self.here, "dev", f"{self.name}t")

    def remove(self) -> None:
        """Take all of it away; its processes must have ended."""
        # A connection that was cut keeps the network in the kernel for a while, and with it the cable.
        _ip("link", "delete", f"{self.name}h")
        _ip("netns", "delete", self.name)

    def _ip(self, *arguments: str) -> None:
        _ip("-netns", self.name, *arguments)


@contextmanager
def machine() -> Iterator[Machine]:
    """Another machine. Without the right to make one, or without iproute2, the test is skipped, or fails in CI."""
    if not shutil.which("ip"):
        lacking("iproute2 is not installed; on Debian: apt install iproute2")
    # 198.18.0.0/15 is for tests of networks: nobody has these addresses. Tests of other processes have other ones.
    number = (os.getpid() * 8 + next(_numbers) % 8) % (1 << 15)
    first = IPv4Address("198.18.0.0") + 4 * number
    here, there = str(first + 1), str(first + 2)
    made = Machine(f"shop{number}", here, there)
    try:
        made.connect()
    except subprocess.CalledProcessError as error:
        lacking(f"this user may not make a network: {error.stderr}")
    try:
        yield made
    finally:
        made.remove()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
