"""Where reports are kept: the newest one as `index.html`, and one for each newest batch day that there was.

A report that is made again, because files came late or rejects were repaired, replaces that of its day: it tells the
same days better. A reader who has the old one open keeps it; nobody ever sees half of one.
"""

import datetime as dt
from pathlib import Path

from orchestration_project.storage.archive import write_whole

NEWEST = "index.html"


def put(folder: Path, page: str, day: dt.date | None) -> Path:
    """Write a report.

    Args:
        folder: where to; it is made where it is missing.
        page: the HTML.
        day: the newest batch day that it tells of; without any there is no dated copy.

    Returns:
        The path of the newest report.
    """
    content = page.encode()
    if day:
        write_whole(folder / f"sales_report_{day}.html", content, replacing=True)
    write_whole(folder / NEWEST, content, replacing=True)
    return folder / NEWEST
