"""Values written in a contract (limits, enum, valid values) as text in the column's own type."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from orchestration_project.contracts.date_formats import DateFormat
from orchestration_project.contracts.schema_errors import shown
from orchestration_project.contracts.sql_types import Kind, SqlType

Comparable = Decimal | dt.date | dt.time | str | bool
"""What a value is compared as; two of the same column are of the same type."""


@dataclass(frozen=True, slots=True)
class Literals:
    """How the values of one column are written in its contract: dates in ISO 8601 or in the column's own format."""

    type: SqlType
    date_format: DateFormat | None = None
    timezone: str = "UTC"

    def read(self, value: Any) -> tuple[Comparable, str]:
        """The value for comparing, and as text in the column's type (dates in ISO 8601).

        Raises:
            ValueError: it is not a value of the type; the text tells what is allowed.
        """
        kind = self.type.kind
        if kind.is_number:
            number = self._number(value)
            return number, format(number, "f")
        if kind is Kind.BOOLEAN:
            if not isinstance(value, bool):
                raise ValueError(f"found {shown(value)}; allowed: true or false")
            return value, str(value).lower()
        if not isinstance(value, str):
            raise ValueError(f"found {shown(value)}; the column is {self.type.sql}: put the value in quotes")  # noqa: TRY004 - the contract's fault
        return (value, value) if kind is Kind.TEXT else self._moment(value)

    def text(self, value: Any) -> str:
        """The value as text in the column's type. Raises ValueError as `read` does."""
        return self.read(value)[1]

    def _number(self, value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise ValueError(f"found {shown(value)}; allowed: a number")  # noqa: TRY004 - the contract's fault
        try:
            number = Decimal(value.strip() if isinstance(value, str) else value)
        except InvalidOperation:
            raise ValueError(f"found {shown(value)}; allowed: a number") from None
        if not number.is_finite() or abs(number.adjusted()) > 300:
            raise ValueError(f"found {shown(value)}; allowed: a finite number")
        if self.type.kind is Kind.INTEGER and number != number.to_integral_value():
            raise ValueError(f"found {shown(value)}; the column is {self.type.sql}: only whole numbers")
        low, high = self.type.low, self.type.high
        if low is not None and high is not None and not low <= number <= high:
            raise ValueError(f"found {shown(value)}, which {self.type.sql} can't hold; allowed: {low} to {high}")
        if self.type.sql == "FLOAT" and abs(number) > Decimal("3.4e38"):
            raise ValueError(f"found {shown(value)}, which FLOAT can't hold")
        return number or Decimal(0)

    def _moment(self, text: str) -> tuple[Comparable, str]:
        kind = self.type.kind
        parsed = _iso(text, kind)
        if parsed is None and self.date_format and (moment := self.date_format.parse(text)):
            parsed = moment if kind is Kind.TIMESTAMP else moment.date() if kind is Kind.DATE else moment.time()
        if parsed is None:
            own = " or in the column's format" if self.date_format else ""
            raise ValueError(f"found {text!r}; allowed: a {kind} in ISO 8601, e.g. {_EXAMPLES[kind]!r}{own}")
        if isinstance(parsed, dt.datetime):
            return self._timestamp(parsed, text)
        if isinstance(parsed, dt.time) and parsed.tzinfo is not None:
            raise ValueError(f"found {text!r}; a time has no offset")
        return parsed, parsed.isoformat()

    def _timestamp(self, moment: dt.datetime, text: str) -> tuple[Comparable, str]:
        if self.type.sql == "TIMESTAMP":
            if moment.tzinfo is not None:
                raise ValueError(f"found {text!r}; the column is TIMESTAMP: no offset")
            return moment, moment.isoformat(sep=" ")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(self.timezone))
        try:
            moment = moment.astimezone(dt.UTC)
        except OverflowError:
            raise ValueError(f"found {text!r}, which lies outside of the years 1 to 9999") from None
        return moment, moment.isoformat(sep=" ")


_EXAMPLES = {Kind.DATE: "2025-01-31", Kind.TIME: "23:59:59", Kind.TIMESTAMP: "2025-01-31 23:59:59"}


def _iso(text: str, kind: Kind) -> dt.date | dt.time | None:
    try:
        if kind is Kind.DATE:
            return dt.date.fromisoformat(text)
        return dt.time.fromisoformat(text) if kind is Kind.TIME else dt.datetime.fromisoformat(text)
    except ValueError:
        return None
