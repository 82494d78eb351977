"""The report as one HTML page that needs no network, with its charts and how numbers are written on it.

Template, style and script are files beside this module.

Every value is escaped by the template engine, and no character stays in it that a browser would act upon unseen. The
page's own policy lets it run its one script and nothing else.
"""

import base64
import datetime as dt
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestration_project.components.charts import (
    DASH,
    Chart,
    Figure,
    cleaned_rows,
    percent,
    reject_share,
    total,
    whole,
)
from orchestration_project.defs.sales_report.model import Report, Stretch
from orchestration_project.errors import visible

TEMPLATES = Path(__file__).with_name("templates")
KILO = 1000
SIZES = ("kB", "MB", "GB", "TB")


def render(report: Report) -> str:
    """The report as an HTML page; the same report gives the same bytes."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "search.js"))
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            sales=report.sales,
            charts={
                "revenue": revenue_chart,
                "units": units_chart,
                "cleaned_rows": cleaned_rows,
                "reject_share": reject_share,
            },
            drawn=lambda chart: Markup(chart.svg),  # noqa: S704 - whoever drew it has escaped it
            style=Markup(style),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - likewise
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    for written in (whole, money, percent, size, moment):
        environment.filters[written.__name__] = written
    return environment


def _finalize(value: object) -> object:
    """What is written for a value: text from outside without control characters and marks that turn its direction."""
    if value is None:
        return DASH
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def revenue_chart(stretches: Sequence[Stretch], unit: str) -> Chart:
    """Revenue over time."""
    values = ((item.start, item.figures.revenue if item.figures else None) for item in stretches)
    return total("Revenue", values, unit, money)


def units_chart(stretches: Sequence[Stretch], unit: str) -> Chart:
    """Units sold over time."""
    values = ((item.start, item.figures.units if item.figures else None) for item in stretches)
    return total("Units sold", values, unit)


def money(value: Figure | None) -> str:
    """An amount in the shop's currency, which no contract names."""
    return DASH if value is None else f"{value:,.2f}"


def size(value: int | None) -> str:
    """A number of bytes, in decimal units."""
    if value is None or value < KILO:
        return DASH if value is None else f"{value} B"
    power = min(len(SIZES), (len(str(value)) - 1) // 3)
    return f"{value / KILO**power:,.1f} {SIZES[power - 1]}"


def moment(value: dt.datetime | None) -> str:
    """A moment in UTC, to the minute. The warehouse's are without a zone and in UTC."""
    if value is None:
        return DASH
    utc = value if value.tzinfo is None else value.astimezone(dt.UTC)
    return f"{utc:%Y-%m-%d %H:%M} UTC"
