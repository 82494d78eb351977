"""What every page has: one file with its own style and policy, escaped values, and how numbers are written.

A page's template begins with `{% extends "base.html" %}`, fills its blocks, and imports what it draws with:

    {% from "parts.html" import named, figure, table, share_of with context %}

Every value is escaped by the template engine, and no character stays in it that a browser would act upon unseen. The
page's own policy lets it run its own script and nothing else.
"""

import base64
import datetime as dt
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestration_project.components.charts import DASH, percent, whole
from orchestration_project.errors import visible

SHARED = Path(__file__).with_name("templates")
KILO = 1000
SIZES = ("kB", "MB", "GB", "TB")
MINUTE, HOUR, DAY = 60, 3600, 86_400
Filter = Callable[..., str]


def render_page(
    templates: Path, name: str, script: str = "", filters: tuple[Filter, ...] = (), **values: object
) -> str:
    """A page as HTML; the same values give the same bytes.

    Args:
        templates: the folder of the page's own template and script.
        name: the template.
        script: the name of its script; empty without one.
        filters: functions that write values, beside those of this module, known by their names.
        values: what the template shows.
    """
    style = (SHARED / "style.css").read_text(encoding="utf-8")
    code = (templates / script).read_text(encoding="utf-8") if script else ""
    template = _environment(templates, filters).get_template(name)
    return template.render(
        values,
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(code),  # noqa: S704 - a file beside the template
        # The page's policy names its one style and one script by these. Should a value ever get out of its element, a
        # browser still does not run what it says.
        style_hash=_hash(style),
        script_hash=_hash(code),
    )


@cache
def _environment(templates: Path, filters: tuple[Filter, ...]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([templates, SHARED]),
        autoescape=True,
        # A misspelt name in a template is an error; without this it would be an empty cell.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    for written in (whole, percent, size, moment, seconds, *filters):
        environment.filters[written.__name__] = written
    environment.globals["drawn"] = lambda chart: Markup(chart.svg)  # noqa: S704 - whoever drew it has escaped it
    return environment


def _finalize(value: object) -> object:
    """What is written for a value: text from outside without control characters and marks that turn its direction."""
    if value is None:
        return DASH
    # Escaping leaves control characters and direction marks as they are: a file may be named so that it reads as
    # another one. What is Markup was escaped before, by a macro of the templates.
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def size(value: float | None) -> str:
    """A number of bytes, in decimal units."""
    if value is None:
        return DASH
    whole_bytes = round(value)
    if abs(whole_bytes) < KILO:
        return f"{whole_bytes} B"
    # By digits: a logarithm of 1000 may come out a little below 3.
    power = min(len(SIZES), (len(str(abs(whole_bytes))) - 1) // 3)
    return f"{whole_bytes / KILO**power:,.1f} {SIZES[power - 1]}"


def moment(value: dt.datetime | float | None) -> str:
    """A moment in UTC, to the minute. A number is seconds since the epoch; what is without a zone is in UTC."""
    if value is None:
        return DASH
    if not isinstance(value, dt.datetime):
        value = dt.datetime.fromtimestamp(value, dt.UTC)
    utc = value if value.tzinfo is None else value.astimezone(dt.UTC)
    return f"{utc:%Y-%m-%d %H:%M} UTC"


def seconds(value: float | None) -> str:
    """A span of time in its two largest units."""
    if value is None:
        return DASH
    if value < MINUTE:
        return f"{value:.1f} s"
    for unit, name, smaller, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if value >= unit:
            rest = int(value % unit) // smaller
            return f"{int(value) // unit} {name} {rest} {small}" if rest else f"{int(value) // unit} {name}"
    return f"{value:.1f} s"
