"""How far an increment has come: the largest value so far, and the rows of the overlap, which come again.

Belongs here: the cursor of a source of rows as plain data, what the next query begins with, and which rows are new. No
I/O here.

    overlap 10 minutes                    12:00       12:10       12:20
    first fetch,  :since 2024-01-01         a     b     c           largest 12:12; b and c are remembered
    second fetch, :since 12:02                    b     c  d  e     b and c are left out, d and e land

d is a row that was committed late: its transaction began before the first fetch, and ended after it.
"""

import base64
import datetime as dt
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

from orchestration_project.errors import SourceError

Value = int | dt.date | dt.datetime
MOST_REMEMBERED = 500_000
"""So many rows of an overlap are remembered, with 16 bytes each."""
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Progress:
    """What is remembered between two fetches.

    Attributes:
        largest: of the increment so far, as a text; None before the first rows.
        number: how many files have landed.
        rows: digests of the rows that the next query gives again.
    """

    largest: str | None = None
    number: int = 0
    rows: bytes = b""

    @classmethod
    def of(cls, cursor: str | None) -> "Progress":
        """From a cursor."""
        if cursor is None:
            return cls()
        known = json.loads(cursor)
        return cls(known["largest"], known["number"], base64.b64decode(known["rows"]))

    def cursor(self) -> str:
        """As a cursor."""
        rows = base64.b64encode(self.rows).decode("ascii")
        return json.dumps({"largest": self.largest, "number": self.number, "rows": rows})

    def counted(self) -> Counter[bytes]:
        """How often each digest is remembered: equal rows may stand in a table several times."""
        size = DIGEST_BYTES
        return Counter(self.rows[at : at + size] for at in range(0, len(self.rows), size))


def value_of(text: str) -> Value:
    """The value that a text of an increment stands for.

    Raises:
        ValueError: it is no whole number, no date, and no moment in UTC.
    """
    if text.lstrip("-").isdecimal():
        return int(text)
    if len(text) == len("2024-01-01"):
        return dt.date.fromisoformat(text)
    moment = dt.datetime.fromisoformat(text)
    if moment.utcoffset():
        # As texts, moments of several zones do not sort as time goes.
        raise ValueError("not in UTC")
    # One without a zone counts as UTC: only with each other, and with now, values are compared.
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment


def less(value: Value, overlap: int) -> Value:
    """A value less an overlap: seconds, days or a number.

    Moments are cut to whole seconds: where they are texts (SQLite), 12:00:05 stands before 12:00:05.2.
    """
    if isinstance(value, int):
        return value - overlap
    if isinstance(value, dt.datetime):
        return value.replace(microsecond=0) - dt.timedelta(seconds=overlap)
    return value - dt.timedelta(days=overlap)


def text_of(value: Value, like: str) -> str:
    """A value as a query takes it, in the form of another text."""
    if not isinstance(value, dt.datetime):
        return str(value)
    separator = "T" if "T" in like else " "
    time = "%H:%M" if len(like) == len("2024-01-01 00:00") else "%H:%M:%S"
    zone = "+00:00" if like[19:].lstrip(".0123456789").startswith(("+", "-")) else ""
    return value.astimezone(dt.UTC).strftime(f"%Y-%m-%d{separator}{time}") + zone


def since(progress: Progress, start: str, overlap: int) -> str:
    """What the next query begins with.

    Raises:
        SourceError: the start is no value of an increment.
    """
    try:
        if progress.largest is None:
            value_of(start)
            return start
        return text_of(less(value_of(progress.largest), overlap), progress.largest)
    except (ValueError, OverflowError):
        raise SourceError(
            f"{progress.largest or start!r} is no whole number, date or moment in UTC to begin with"
        ) from None


@dataclass(slots=True)
class Window:
    """The rows of one fetch of an increment, as they come.

    Attributes:
        column: the increment, as messages name it.
        before: how far the fetch before this one came.
        begin: what the query began with.
        overlap: how far the next fetch goes back.
        now: the present moment at the database, with a time zone.
    """

    column: str
    before: Progress
    begin: str
    overlap: int
    now: dt.datetime
    _largest: tuple[Value, str] | None = None
    _next: Value | None = None
    _known: Counter[bytes] = field(default_factory=Counter)
    _recent: list[tuple[Value, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known = self.before.counted()
        if self.before.largest is not None:
            self._grow(value_of(self.before.largest), self.before.largest)

    def is_new(self, text: str | None, row: str) -> bool:
        """Whether a row did not come with the fetch before.

        Args:
            text: its value of the increment.
            row: all of its values.

        Raises:
            SourceError: the value is none of an increment, or lies before the query's begin.
        """
        value = self._value(text)
        self._grow(value, text or "")
        digest = hashlib.blake2b(row.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()
        if self._is_recent(value):
            self._recent.append((value, digest))
            if len(self._recent) > 2 * MOST_REMEMBERED:
                self._forget_old()
        if self._known[digest]:
            self._known[digest] -= 1
            return False
        return True

    def after(self, landed: bool) -> Progress:
        """How far this fetch came. Raises SourceError if too many rows would have to be remembered."""
        self._forget_old()
        rows = b"".join(digest for _, digest in self._recent)
        return Progress(self._largest[1] if self._largest else None, self.before.number + landed, rows)

    def _value(self, text: str | None) -> Value:
        if text is None:
            raise SourceError(f"a row has no {self.column}, by which it is told whether it is new")
        try:
            value = value_of(text)
            is_early = _is_less(value, value_of(self.begin))
        except (ValueError, TypeError):
            raise SourceError(
                f"{self.column} has values of another form than {self.begin!r}; an increment is a whole number, a date"
                " or a moment in UTC, and `start` is written like its values"
            ) from None
        if is_early:
            raise SourceError(
                f"the query gives rows whose {self.column} is before :since ({self.begin}): they would come each time;"
                f" write {self.column} >= :since"
            )
        return value

    def _grow(self, value: Value, text: str) -> None:
        # With a row from the future as the largest, all rows until then would be passed over.
        if isinstance(value, dt.datetime):
            if value > self.now:
                value, text = self.now, text_of(self.now, text)
        elif isinstance(value, dt.date) and value > self.now.date():
            value, text = self.now.date(), str(self.now.date())
        if self._largest is None or _is_less(self._largest[0], value):
            self._largest, self._next = (value, text), less(value, self.overlap)

    def _is_recent(self, value: Value) -> bool:
        return self._next is None or not _is_less(value, self._next)

    def _forget_old(self) -> None:
        self._recent = [(value, digest) for value, digest in self._recent if self._is_recent(value)]
        if len(self._recent) > MOST_REMEMBERED:
            raise SourceError(
                f"the next fetch would get more than {MOST_REMEMBERED:,} rows again, those from {self.column} ="
                f" {self._next} on: make `overlap` smaller, or divide by `batches`"
            )


def _is_less(value: Value, other: Value) -> bool:
    """Whether a value stands before another one. Raises TypeError for a number and a date."""
    if isinstance(value, dt.datetime) and not isinstance(other, int | dt.datetime):
        other = dt.datetime.combine(other, dt.time(), dt.UTC)
    return value < other  # type: ignore[operator]
