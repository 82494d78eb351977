"""Charts over time of figures that any feed or mart has (rows, rejected share, a total), as small SVG pictures.

The same picture stands in a page and, as an image, in Dagster's UI. It is drawn here rather than by a charting library:
those that make pictures by themselves bring a browser's engine (84 MB on disk; 0.5 s of CPU and 70 MB of memory in each
process that loads files), and an engine that aborts takes the run along. Colours are the page's own, through classes;
as an image the picture carries them itself.

Belongs here: days, weeks, months and years without holes, and how their bars are drawn. Does not belong here: the
figures of one shop, which are where its report is.
"""

import base64
import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from xml.etree.ElementTree import Element, SubElement, tostring

# In units of the picture, which is scaled to the page. The room at the left is for the labels of the ticks, that below
# for the dates.
WIDTH, HEIGHT = 480, 200
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 12, 26
LABEL_WIDTH = 66
MOST_LABELS = 5
MOST_STEPS = 4
BAR_SHARE, WIDEST_BAR = 0.82, 60
# An image sees no style sheet of the page around it, so it has these inside. A white ground belongs to them: the page
# around it may be dark.
COLOURS = (
    "svg{background:#fff;font:12px system-ui,sans-serif}.bar{fill:#2a6f97}.warn .bar{fill:#b4570c}"
    ".grid{stroke:#dde2e7}.zero{stroke:#7b8794}text{fill:#52606d}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: the first day that it stands for, its height (None: nothing is known), what it says when pointed at."""

    start: dt.date
    height: float | None
    tip: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture: its title, what it shows for those who do not see it, and the SVG element."""

    title: str
    alt: str
    svg: str

    @property
    def markdown(self) -> str:
        """Markdown that shows the chart as an image, with its own colours."""
        # Without a width and a height of its own an image is scaled to the room that there is.
        start = self.svg.index(">") + 1
        coloured = f"{self.svg[:start]}<style>{COLOURS}</style>{self.svg[start:]}"
        sized = coloured.replace("<svg ", f'<svg width="{WIDTH}" height="{HEIGHT}" ', 1)
        return f"![{self.alt}](data:image/svg+xml;base64,{base64.b64encode(sized.encode()).decode()})"


def time_bars(title: str, bars: Sequence[Bar], percent: bool = False, warn: bool = False) -> Chart:
    """Bars over time.

    Args:
        title: what is shown, with the unit of time.
        bars: in order of time, without holes; at least one.
        percent: whether heights are shares (1 is 100 %).
        warn: whether high is bad, which has a colour of its own.
    """
    heights = [bar.height for bar in bars if bar.height is not None]
    alt = _alt(title, bars)
    # Zero is always among the ticks: bars that began elsewhere would show 100 and 101 as nothing and everything.
    # Returns may outweigh sales, so bars also go down.
    ticks = nice_ticks(min([0.0, *heights]), max([0.0, *heights]))
    # Elements, not text put together: a title or a product's name that looks like markup stays a text.
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "chart warn" if warn else "chart",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            "aria-label": alt,
        },
    )
    _draw_grid(svg, ticks, percent)
    _draw_bars(svg, bars, ticks)
    _draw_days(svg, bars)
    return Chart(title, alt, tostring(svg, encoding="unicode"))


def _alt(title: str, bars: Sequence[Bar]) -> str:
    known = [bar for bar in bars if bar.height is not None]
    if not known:
        return f"{title}: nothing is known"
    low, high = (choose(known, key=lambda bar: bar.height or 0.0).tip for choose in (min, max))
    return f"{title}, {bars[0].start} to {bars[-1].start}; lowest {low}; highest {high}"


def _draw_grid(svg: Element, ticks: Sequence[float], percent: bool) -> None:
    for tick in ticks:
        y = _number(_y(tick, ticks))
        kind = "grid" if tick else "zero"
        SubElement(svg, "line", {"class": kind, "x1": str(LEFT), "x2": str(WIDTH - RIGHT), "y1": y, "y2": y})
        label = SubElement(svg, "text", {"x": str(LEFT - 6), "y": y, "dy": ".35em", "text-anchor": "end"})
        label.text = f"{tick * 100:g}%" if percent else _short(tick)


def _draw_bars(svg: Element, bars: Sequence[Bar], ticks: Sequence[float]) -> None:
    slot, zero = _slot(bars), _y(0, ticks)
    for index, bar in enumerate(bars):
        y = _y(bar.height or 0.0, ticks)
        # The target that shows the tip is as high as the chart: small bars are hard to point at.
        group = SubElement(svg, "g")
        SubElement(group, "title").text = bar.tip
        area = {"x": _number(LEFT + index * slot), "width": _number(slot)}
        SubElement(group, "rect", {**area, "y": str(TOP), "height": str(HEIGHT - TOP - BOTTOM), "fill": "transparent"})
        if bar.height:
            width = min(slot * BAR_SHARE, WIDEST_BAR)
            drawn = {
                "x": LEFT + (index + 0.5) * slot - width / 2,
                "y": min(y, zero),
                "width": width,
                "height": abs(zero - y),
            }
            SubElement(group, "rect", {"class": "bar", **{name: _number(size) for name, size in drawn.items()}})


def _draw_days(svg: Element, bars: Sequence[Bar]) -> None:
    slot, every = _slot(bars), math.ceil(len(bars) / MOST_LABELS)
    for index in range(0, len(bars), every):
        x = LEFT + (index + 0.5) * slot
        place = {"x": _number(x), "text-anchor": "middle"}
        # Half of the label of the last bar would lie outside of the picture.
        if x + LABEL_WIDTH / 2 > WIDTH:
            place = {"x": str(WIDTH - RIGHT), "text-anchor": "end"}
        SubElement(svg, "text", {**place, "y": str(HEIGHT - 8)}).text = bars[index].start.isoformat()


def _slot(bars: Sequence[Bar]) -> float:
    return (WIDTH - LEFT - RIGHT) / len(bars)


def _y(value: float, ticks: Sequence[float]) -> float:
    share = (value - ticks[0]) / (ticks[-1] - ticks[0])
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers, evenly apart, from one that is not above `low` to one that is not below `high`; two at least."""
    #    nice_ticks(0, 87)    ->  [0, 50, 100]
    #    nice_ticks(-30, 87)  ->  [-50, 0, 50, 100]
    # People read steps of 1, 2 and 5, and their tens. If all values are 0 there is still a scale, from 0 to 1.
    span = (high - low) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(span / MOST_STEPS))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude * MOST_STEPS >= span * (1 - 1e-9))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _short(value: float) -> str:
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


MAX_BUCKETS = 100
LEAST_SHARE = 0.001
DASH = "-"
Figure = int | float | Decimal


class Unit(StrEnum):
    """How much time one bar of a chart stands for; the names are those of DuckDB's `date_trunc`."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Quality:
    """The records of one day, week, month or year of a feed; without batches both are None."""

    start: dt.date
    cleaned: int | None
    rejected: int | None

    @property
    def share(self) -> float | None:
        """The share of records that were rejected; None if there was none to validate."""
        records = (self.cleaned or 0) + (self.rejected or 0)
        return (self.rejected or 0) / records if records else None


def floor(unit: Unit, day: dt.date) -> dt.date:
    """The first day of the bucket that a day falls into; weeks start on Monday, as those of `date_trunc` do."""
    match unit:
        case Unit.DAY:
            return day
        case Unit.WEEK:
            return day - dt.timedelta(days=day.weekday())
        case Unit.MONTH:
            return day.replace(day=1)
        case Unit.YEAR:
            return day.replace(month=1, day=1)


def starts(unit: Unit, first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """The first days of all buckets from the one of `first` to the one of `last`."""
    start = floor(unit, first)
    while start <= last:
        yield start
        start = _after(unit, start)


def _after(unit: Unit, start: dt.date) -> dt.date:
    # The days of the longest month or year lead from its first day into the next one, whatever its own length is.
    days = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.YEAR: 366}[unit]
    return floor(unit, start + dt.timedelta(days=days))


def unit_for(first: dt.date, last: dt.date) -> Unit:
    """The shortest unit that makes no more than `MAX_BUCKETS` buckets of a span; years if none does."""
    return next((unit for unit in Unit if _are_few(starts(unit, first, last))), Unit.YEAR)


def _are_few(buckets: Iterator[dt.date]) -> bool:
    # It takes one more than may be and no other: a file dated in the year 1 makes a span of 700,000 days.
    return next(islice(buckets, MAX_BUCKETS, None), None) is None


def whole(value: Figure | None) -> str:
    """A number with its thousands set apart; a dash where nothing is known."""
    return DASH if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A share of 1. A share above nothing is never written as nothing."""
    if value is None:
        return DASH
    return f"<{LEAST_SHARE:.1%}" if 0 < value < LEAST_SHARE else f"{value:.1%}"


def cleaned_rows(quality: Sequence[Quality], unit: str) -> Chart:
    """Cleaned rows over time."""
    return time_bars(f"Cleaned rows per {unit}", _bars(((item.start, item.cleaned) for item in quality), whole))


def reject_share(quality: Sequence[Quality], unit: str) -> Chart:
    """The share of rejected records over time."""
    shares = ((item.start, item.share) for item in quality)
    return time_bars(f"Share of rejected records per {unit}", _bars(shares, percent), percent=True, warn=True)


def total(
    name: str, values: Iterable[tuple[dt.date, Figure | None]], unit: str, written: Callable[[Figure], str] = whole
) -> Chart:
    """A total over time.

    Args:
        name: what is added up.
        values: by start of the day, week, month or year, in order and without holes; None: no batch.
        unit: what a bar stands for, in words.
        written: how a value is written.
    """
    return time_bars(f"{name} per {unit}", _bars(values, written))


def _bars(heights: Iterable[tuple[dt.date, Figure | None]], written: Callable[..., str]) -> list[Bar]:
    return [
        Bar(start, None, f"{start}: no batch")
        if height is None
        # The height is drawn, so rounding does not show; what is read, the tip, has the exact figure.
        else Bar(start, float(height), f"{start}: {written(height)}")
        for start, height in heights
    ]
