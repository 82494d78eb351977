"""Results as text: tables of figures, and whether each target was met. Nothing is measured here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Contender

UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Target:
    """What was aimed at, and what came out.

    Attributes:
        what: what is compared, in words.
        found: the figure; None when it could not be measured.
        limit: what the figure should be at most, or at least.
        at_least: whether larger is better.
        unit: of figure and limit.
    """

    what: str
    found: float | None
    limit: float
    at_least: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether it came out as it should; not, when it is unknown."""
        if self.found is None:
            return False
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def __str__(self) -> str:
        outcome = "not measured" if self.found is None else "met" if self.met else "**missed**"
        found = UNKNOWN if self.found is None else f"{self.found:.2f} {self.unit}"
        sign = ">=" if self.at_least else "<="
        return f"- {self.what}: {found}, aimed at {sign} {self.limit:g} {self.unit}: {outcome}"


@dataclass(slots=True)
class Section:
    """The results of one part of the benchmarks."""

    title: str
    intro: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def add_failures(self, contenders: Iterable[Contender]) -> None:
        """Note which contenders failed, and why."""
        self.failures |= {item.name: item.failure for item in contenders if item.failure}

    def __str__(self) -> str:
        """As Markdown."""
        parts = [f"## {self.title}", self.intro]
        if self.rows:
            parts.append(table(self.columns, self.rows))
        if self.targets:
            parts.append("\n".join(map(str, self.targets)))
        parts += [f"**{name} failed:**\n\n```\n{why}\n```" for name, why in self.failures.items()]
        return "\n\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are figures."""
    cells = [list(columns), *map(list, rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in cells
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [aligned[0], rule, *aligned[1:]])


def seconds(value: float | None) -> str:
    """Seconds, with three digits or so."""
    return UNKNOWN if value is None else f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def megabytes(value: float | None) -> str:
    """Bytes as megabytes."""
    return UNKNOWN if value is None else f"{value / 1e6:,.0f} MB"


def times(value: float | None) -> str:
    """A ratio."""
    return UNKNOWN if value is None else f"{value:.2f} x"


def spread(contender: Contender) -> str:
    """The shortest and the longest time of a contender."""
    taken = [usage.seconds for usage in contender.usages]
    return f"{min(taken):.1f} to {max(taken):.1f} s" if taken else UNKNOWN
