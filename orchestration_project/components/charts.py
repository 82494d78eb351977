"""Bar charts over time as small SVG pictures: the same one stands in a page and, as an image, in Dagster's UI.

Drawn here rather than by a charting library: those that make pictures by themselves bring a browser's engine (84 MB on
disk; 0.5 s of CPU and 70 MB of memory in each process that loads files), and an engine that aborts takes the run along.

Colours are the page's own, through classes; as an image the picture carries them itself.
"""

import base64
import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

WIDTH, HEIGHT = 480, 200
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 12, 26
LABEL_WIDTH = 66
MOST_LABELS = 5
MOST_STEPS = 4
BAR_SHARE, WIDEST_BAR = 0.82, 60
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
    ticks = nice_ticks(min([0.0, *heights]), max([0.0, *heights]))
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
