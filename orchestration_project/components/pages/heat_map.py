"""Pictures of deliveries: a heat map with a cell for each batch, and at which times of the day files arrive.

A cell tells its state by a colour and, where somebody has to look, by a letter too: not everybody sees colours, and not
every printer has them.

    daily feed    a column a week, a row a weekday
    hourly feed   a column an hour of the day, a row a day
    others        a column a batch, one row
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from orchestration_project.components.charts import Chart
from orchestration_project.health.deliveries import Delivery, State, WeekdayArrivals
from orchestration_project.storage.batches import Batching, Cadence

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MARKS = {State.LATE: "L", State.REFUSED: "R", State.MISSING: "M"}
CELL, GAP = 20, 3
LEFT, TOP, RIGHT = 44, 20, 36
LABEL_EVERY = 4
HOURS_WIDTH, ROW = 480, 24
HOURS = range(0, 25, 6)
SECONDS_A_DAY = 86_400
Place = tuple[int, int]
"""Column and row of a cell, from 0."""


def heat_map(deliveries: Sequence[Delivery], cadence: Cadence) -> Chart:
    """What became of each batch, one cell a batch.

    Args:
        deliveries: in order, without holes; at least one.
        cadence: how often batches are delivered.
    """
    places = [_place(item, deliveries[0], cadence) for item in deliveries]
    columns, rows = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    counts = Counter(item.state for item in deliveries)
    told = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    title = f"Batches from {deliveries[0].key} to {deliveries[-1].key}"
    svg = _canvas("heat", LEFT + columns * (CELL + GAP) + RIGHT, TOP + rows * (CELL + GAP), f"{title}: {told}")
    _draw_labels(svg, deliveries, places, cadence)
    for item, place in zip(deliveries, places, strict=True):
        _draw_cell(svg, item, place)
    return Chart(title, f"{title}: {told}", tostring(svg, encoding="unicode"))


def _place(item: Delivery, first: Delivery, cadence: Cadence) -> Place:
    day, start = Batching.date(item.batch), Batching.date(first.batch)
    match cadence:
        case Cadence.HOURLY:
            assert isinstance(item.batch, dt.datetime)
            return item.batch.hour, (day - start).days
        case Cadence.DAILY:
            return (day - start + dt.timedelta(days=start.weekday())).days // 7, day.weekday()
        case Cadence.WEEKLY:
            return (day - start).days // 7, 0
        case Cadence.MONTHLY:
            return (day.year - start.year) * 12 + day.month - start.month, 0


def _canvas(kind: str, width: int, height: int, alt: str) -> Element:
    box = {"class": f"chart {kind}", "viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": alt}
    # Cells of one size on every page: a short heat map is not stretched.
    return Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **box, "width": str(width), "height": str(height)})


def _draw_labels(svg: Element, deliveries: Sequence[Delivery], places: Sequence[Place], cadence: Cadence) -> None:
    """Rows are named at their left, columns above, not all of them."""
    rows = {row: _row_label(item, cadence) for item, (_, row) in zip(deliveries, places, strict=True)}
    for row, label in rows.items():
        place = {"x": str(LEFT - 6), "y": str(_y(row) + CELL // 2), "dy": ".35em", "text-anchor": "end"}
        SubElement(svg, "text", place).text = label
    columns: dict[int, Delivery] = {}
    for item, (column, _) in zip(deliveries, places, strict=True):
        columns.setdefault(column, item)
    for column, item in columns.items():
        if column % LABEL_EVERY == 0:
            SubElement(svg, "text", {"x": str(_x(column)), "y": str(TOP - 7)}).text = _column_label(item, cadence)


def _row_label(item: Delivery, cadence: Cadence) -> str:
    match cadence:
        case Cadence.HOURLY:
            return f"{item.batch:%d %b}"
        case Cadence.DAILY:
            return WEEKDAYS[item.batch.weekday()]
        case _:
            return ""


def _column_label(item: Delivery, cadence: Cadence) -> str:
    return f"{item.batch:%H}" if cadence is Cadence.HOURLY else f"{item.batch:%d %b}"


def _draw_cell(svg: Element, item: Delivery, place: Place) -> None:
    group = SubElement(svg, "g", {"class": item.state.value.replace(" ", "-")})
    SubElement(group, "title").text = f"{item.key}: {item.state}{f' ({item.why})' if item.why else ''}"
    x, y = _x(place[0]), _y(place[1])
    SubElement(group, "rect", {"x": str(x), "y": str(y), "width": str(CELL), "height": str(CELL), "rx": "2"})
    if mark := MARKS.get(item.state):
        middle = {"x": str(x + CELL // 2), "y": str(y + CELL // 2), "dy": ".35em", "text-anchor": "middle"}
        SubElement(group, "text", middle).text = mark


def _x(column: int) -> int:
    return LEFT + column * (CELL + GAP)


def _y(row: int) -> int:
    return TOP + row * (CELL + GAP)


def arrival_times(arrivals: Sequence[WeekdayArrivals], zone: str) -> Chart:
    """A mark for each arrival, on a row for its weekday, from midnight to midnight.

    Args:
        arrivals: of the weekdays that have any; at least one.
        zone: the time zone of the times.
    """
    title = f"Arrival times by weekday ({zone})"
    told = "; ".join(f"{WEEKDAYS[item.weekday]} {item.earliest:%H:%M} to {item.latest:%H:%M}" for item in arrivals)
    svg = _canvas("times", LEFT + HOURS_WIDTH + RIGHT, TOP + len(WEEKDAYS) * ROW, f"{title}: {told}")
    for hour in HOURS:
        x = str(LEFT + hour * HOURS_WIDTH // 24)
        SubElement(svg, "line", {"class": "grid", "x1": x, "x2": x, "y1": str(TOP), "y2": str(TOP + 7 * ROW)})
        SubElement(svg, "text", {"x": x, "y": str(TOP - 7), "text-anchor": "middle"}).text = f"{hour}:00"
    for weekday, name in enumerate(WEEKDAYS):
        place = {"x": str(LEFT - 6), "y": str(TOP + weekday * ROW + ROW // 2), "dy": ".35em", "text-anchor": "end"}
        SubElement(svg, "text", place).text = name
    for item in arrivals:
        _draw_arrivals(svg, item)
    return Chart(title, f"{title}: {told}", tostring(svg, encoding="unicode"))


def _draw_arrivals(svg: Element, item: WeekdayArrivals) -> None:
    y = TOP + item.weekday * ROW + ROW // 2
    for time in item.times:
        seconds = time.hour * 3600 + time.minute * 60 + time.second
        x = LEFT + seconds * HOURS_WIDTH // SECONDS_A_DAY
        group = SubElement(svg, "g")
        SubElement(group, "title").text = f"{WEEKDAYS[item.weekday]} {time:%H:%M}"
        SubElement(group, "circle", {"class": "bar", "cx": str(x), "cy": str(y), "r": "4", "fill-opacity": ".6"})
