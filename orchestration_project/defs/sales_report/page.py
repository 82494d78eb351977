"""The report as one HTML page, with its charts and how its numbers are written on it.

Template and script are files beside this module; what all pages have is in `components.pages`.
"""

from collections.abc import Sequence
from pathlib import Path

from orchestration_project.components.charts import DASH, Chart, Figure, cleaned_rows, reject_share, total
from orchestration_project.components.pages.skeleton import render_page
from orchestration_project.defs.sales_report.model import Report, Stretch

TEMPLATES = Path(__file__).with_name("templates")


def render(report: Report) -> str:
    """The report as an HTML page; the same report gives the same bytes."""
    charts = {
        "revenue": revenue_chart,
        "units": units_chart,
        "cleaned_rows": cleaned_rows,
        "reject_share": reject_share,
    }
    return render_page(
        TEMPLATES, "report.html", "search.js", (money,), report=report, sales=report.sales, charts=charts
    )


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
