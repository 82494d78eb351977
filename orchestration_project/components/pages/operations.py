"""The operations page: how runs, deliveries, stores and disks do.

Belongs here: what the page shows, and its own pictures: a heat map with a cell for each batch, and at which times of
the day files arrive. Its template is in `templates`; charts that other pages have too are in `components.charts`.

    daily feed    a column a week, a row a weekday
    hourly feed   a column an hour of the day, a row a day
    others        a column a batch, one row
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from orchestration_project.components.charts import Bar, Chart, percent, time_bars
from orchestration_project.components.pages.skeleton import KILO, SHARED, SIZES, render_page, seconds, size
from orchestration_project.health.deliveries import NEEDS_ATTENTION, Delivery, State, WeekdayArrivals
from orchestration_project.health.operations import Operations, RunsOfDay
from orchestration_project.storage.batches import Batching, Cadence

PAGE = "operations.html"
BATCHES_SHOWN = 30
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Where somebody has to look, a letter says so beside the colour: not everybody sees colours, and not every printer has
# them.
MARKS = {State.LATE: "L", State.REFUSED: "R", State.MISSING: "M"}
CELL, GAP = 20, 3
LEFT, TOP, RIGHT = 44, 20, 36
LABEL_EVERY = 4
HOURS_WIDTH, ROW = 480, 24
HOURS = range(0, 25, 6)
SECONDS_A_DAY = 86_400
Place = tuple[int, int]
"""Column and row of a cell, from 0."""


def render_operations(operations: Operations) -> str:
    """The page as HTML."""
    return render_page(
        SHARED,
        PAGE,
        operations=operations,
        weekdays=WEEKDAYS,
        states=list(State),
        success=success_chart(operations.days),
        took=duration_chart(operations.days),
        sizes=[size_chart(name, values) for name, values in operations.sizes.items() if len(values) > 1],
        heat_map=heat_map,
        arrival_times=arrival_times,
        attention=attention,
    )


def attention(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The newest batches that somebody should look at, the newest first."""
    return [item for item in reversed(deliveries) if item.state in NEEDS_ATTENTION][:BATCHES_SHOWN]


def success_chart(days: Sequence[RunsOfDay]) -> Chart:
    """The share of runs that succeeded, day by day."""
    bars = [
        Bar(item.day, item.share, f"{item.day}: {percent(item.share)} of {item.runs} run(s)")
        if item.runs
        else Bar(item.day, None, f"{item.day}: no run")
        for item in days
    ]
    return time_bars("Runs that succeeded, per day", bars, percent=True)


def duration_chart(days: Sequence[RunsOfDay]) -> Chart:
    """How long runs took, day by day."""
    bars = [Bar(item.day, item.mean, f"{item.day}: {seconds(item.mean) if item.runs else 'no run'}") for item in days]
    return time_bars("Mean duration of a run in seconds, per day", bars)


def size_chart(name: str, sizes: Mapping[dt.date, float]) -> Chart:
    """The size of a store, day by day, in the unit that fits the largest.

    Args:
        name: of the store.
        sizes: by day; days without one were not measured.
    """
    # One unit for all bars: that of the largest, by the number of its digits.
    power = min(len(SIZES), max(1, (len(str(round(max(sizes.values())))) - 1) // 3))
    first, last = min(sizes), max(sizes)
    # Days on which nothing was measured keep their place, or growth would look faster than it was.
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    bars = [
        Bar(day, sizes[day] / KILO**power, f"{day}: {size(sizes[day])}")
        if day in sizes
        else Bar(day, None, f"{day}: not measured")
        for day in days
    ]
    return time_bars(f"Size of the {name} in {SIZES[power - 1]}, per day", bars)


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
            #    first batch Wednesday 3 January:  Wednesday 3rd -> (0, 2)   Sunday 7th -> (0, 6)   Monday 8th -> (1, 0)
            # Counted from the Monday of the first batch's week.
            return (day - start + dt.timedelta(days=start.weekday())).days // 7, day.weekday()
        case Cadence.WEEKLY:
            return (day - start).days // 7, 0
        case Cadence.MONTHLY:
            return (day.year - start.year) * 12 + day.month - start.month, 0
        case Cadence.YEARLY:
            return day.year - start.year, 0


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
        since_midnight = time.hour * 3600 + time.minute * 60 + time.second
        x = LEFT + since_midnight * HOURS_WIDTH // SECONDS_A_DAY
        group = SubElement(svg, "g")
        SubElement(group, "title").text = f"{WEEKDAYS[item.weekday]} {time:%H:%M}"
        SubElement(group, "circle", {"class": "bar", "cx": str(x), "cy": str(y), "r": "4", "fill-opacity": ".6"})
