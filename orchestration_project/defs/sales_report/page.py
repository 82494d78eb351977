"""The report as one HTML page that needs no network: template, style and script are files beside this module.

Every value is escaped by the template engine, and no character stays in it that a browser would act upon unseen. The
page's own policy lets it run its one script and nothing else.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestration_project.components import number_formats, pictures
from orchestration_project.defs.sales_report.model import Report
from orchestration_project.errors import visible

TEMPLATES = Path(__file__).with_name("templates")


def render(report: Report) -> str:
    """The report as an HTML page; the same report gives the same bytes."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "search.js"))
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            sales=report.sales,
            pictures=pictures,
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
    for written in (
        number_formats.whole,
        number_formats.money,
        number_formats.percent,
        number_formats.size,
        number_formats.moment,
    ):
        environment.filters[written.__name__] = written
    return environment


def _finalize(value: object) -> object:
    """What is written for a value: text from outside without control characters and marks that turn its direction."""
    if value is None:
        return number_formats.DASH
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
