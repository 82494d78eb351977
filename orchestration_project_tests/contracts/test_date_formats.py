"""JDK date patterns in DuckDB."""

import datetime as dt
import re
from typing import Literal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.date_formats import DateFormat, translate

Kind = Literal["date", "timestamp", "time"]


def moment(*parts: int) -> dt.datetime:
    """A moment without an offset, which is what most texts hold."""
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - see above


MOMENT = moment(2024, 3, 7, 15, 4, 5, 678_000)


def parsed(form: DateFormat, text: str) -> dt.datetime | None:
    """What a warehouse does: the text has to match in full, then DuckDB reads it."""
    if form.utc_letter and text.endswith("Z"):
        text = text[:-1] + "+00:00"
    row = duckdb.execute(
        "SELECT CASE WHEN regexp_full_match($1, $2) THEN try_strptime($1, $3) END",
        [text, form.regex, form.strptime],
    ).fetchone()
    found: dt.datetime | None = row[0] if row else None
    return found.astimezone(dt.UTC).replace(tzinfo=None) if found and found.tzinfo else found


@pytest.mark.parametrize(
    ("pattern", "strptime", "width", "text", "expected"),
    [
        pytest.param("yyyy-MM-dd", "%Y-%m-%d", 10, "2024-03-07", moment(2024, 3, 7), id="ISO date"),
        pytest.param("uuuuMMdd", "%Y%m%d", 8, "20240307", moment(2024, 3, 7), id="no separators"),
        pytest.param("dd.MM.yy", "%d.%m.%y", 8, "07.03.24", moment(2024, 3, 7), id="two-digit year"),
        pytest.param("d/M/yyyy", "%-d/%-m/%Y", None, "7/3/2024", moment(2024, 3, 7), id="no padding"),
        pytest.param("dd-MMM-yyyy", "%d-%b-%Y", 11, "07-MAR-2024", moment(2024, 3, 7), id="short month"),
        pytest.param("d MMMM yyyy", "%-d %B %Y", None, "7 March 2024", moment(2024, 3, 7), id="month's name"),
        pytest.param(
            "yyyy-MM-dd HH:mm:ss", "%Y-%m-%d %H:%M:%S", 19, "2024-03-07 15:04:05",
            moment(2024, 3, 7, 15, 4, 5), id="timestamp",
        ),
        pytest.param(
            "yyyy-MM-dd'T'HH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%g", 23, "2024-03-07T15:04:05.678", MOMENT, id="millis"
        ),
        pytest.param(
            "yyyyMMddHHmmssSSSSSS", "%Y%m%d%H%M%S%f", 20, "20240307150405678000", MOMENT, id="microseconds"
        ),
        pytest.param(
            "MM/dd/yyyy hh:mm a", "%m/%d/%Y %I:%M %p", 19, "03/07/2024 03:04 PM",
            moment(2024, 3, 7, 15, 4), id="half day",
        ),
        pytest.param(
            "yyyy-MM-dd HH:mm:ssZ", "%Y-%m-%d %H:%M:%S%z", 24, "2024-03-07 15:04:05+0200",
            moment(2024, 3, 7, 13, 4, 5), id="Z",
        ),
        pytest.param(
            "yyyy-MM-dd'T'HH:mm:ssXXX", "%Y-%m-%dT%H:%M:%S%z", None, "2024-03-07T15:04:05+02:00",
            moment(2024, 3, 7, 13, 4, 5), id="XXX",
        ),
        pytest.param(
            "yyyy-MM-dd'T'HH:mm:ssXXX", "%Y-%m-%dT%H:%M:%S%z", None, "2024-03-07T15:04:05Z",
            moment(2024, 3, 7, 15, 4, 5), id="XXX with the letter Z",
        ),
        pytest.param(
            "yyyy-MM-dd HH:mm:ss VV", "%Y-%m-%d %H:%M:%S %Z", None, "2024-03-07 15:04:05 Europe/Berlin",
            moment(2024, 3, 7, 14, 4, 5), id="zone",
        ),
        pytest.param("yyyy'%'MM''dd", "%Y%%%m'%d", 10, "2024%03'07", moment(2024, 3, 7), id="literals"),
    ],
)  # fmt: skip
def test_translation(pattern: str, strptime: str, width: int | None, text: str, expected: dt.datetime) -> None:
    form = translate(pattern, "timestamp")
    assert (form.strptime, form.width) == (strptime, width)
    assert parsed(form, text) == expected


def test_a_time_needs_no_date() -> None:
    """A format for times has no date."""
    assert translate("HH:mm", "time").strptime == "%H:%M"


@pytest.mark.parametrize(
    ("pattern", "kind", "message"),
    [
        pytest.param("YYYY-MM-dd", "date", "the letter 'Y' is not supported in a date format", id="week year"),
        pytest.param("YYYY-MM-dd", "date", "did you mean y (year)?", id="week year: hint"),
        pytest.param("yyyy-MM-DD", "date", "did you mean d (day of the month)?", id="day of the year"),
        pytest.param("kk:mm", "time", "the letter 'k'", id="hour 1-24"),
        pytest.param("EEE, d MMM yyyy", "date", "the letter 'E'", id="day of the week"),
        pytest.param("yyyyy-MM-dd", "date", "'yyyyy' is not supported", id="five-digit year"),
        pytest.param("yyy-MM-dd", "date", "'yyy' is not supported", id="three letters"),
        pytest.param("yyyy-MM", "date", "lacks the day", id="no day"),
        pytest.param("HH:mm", "timestamp", "lacks the year, month, day", id="no date"),
        pytest.param("yyyy-MM-dd", "time", "lacks the hour", id="no hour"),
        pytest.param(
            "yyyy-MM-dd HH", "time", "has a year, month, day, which a time does not have", id="date in a time"
        ),
        pytest.param("hh:mm", "time", "go together", id="h without a"),
        pytest.param("HH:mm a", "time", "go together", id="a without h"),
        pytest.param("HH:hh a", "time", "both H and h", id="H and h"),
        pytest.param("HH:ss", "time", "has a second but no minute", id="no minute"),
        pytest.param("yyyy-MM-dd dd", "date", "has the day more than once", id="twice"),
        pytest.param("yyyy-MM-ddXXX HH:mm", "timestamp", "must be the last field", id="offset in the middle"),
        pytest.param("yyyy-MM-dd'T", "date", "without its pair", id="open quote"),
        pytest.param("yyyy-MM-dd[ HH:mm]", "timestamp", "optional parts are not supported", id="optional part"),
        pytest.param("HH:mmX", "time", "has a offset", id="time with an offset"),
    ],
)
def test_refused(pattern: str, kind: Kind, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        translate(pattern, kind)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param("d/M/yyyy", "1/2/20", id="short year, which strptime reads as the year 20"),
        pytest.param("yyyy-MM-dd", "2024-3-7", id="no padding"),
        pytest.param("yyyy-MM-dd", " 2024-03-07", id="blank before"),
        pytest.param("yyyy-MM-dd", "2024-03-07 ", id="blank after"),
        pytest.param("yyyy-MM-dd", "2024-02-30", id="no such day"),
        pytest.param("yyyy-MM-dd HH:mm:ss.SSS", "2024-03-07 15:04:05.6", id="fewer digits"),
        pytest.param("yyyy-MM-dd HH:mm", "2024-03-07 24:00", id="hour 24"),
    ],
)
def test_texts_that_are_not_in_the_format(pattern: str, text: str) -> None:
    form = translate(pattern, "timestamp")
    assert parsed(form, text) is None
    assert form.parse(text) is None


def rendered(pattern: str, at: dt.datetime) -> str:
    """What a JDK writes for the fields of the property test below."""
    values = {
        "yyyy": f"{at.year:04}", "MM": f"{at.month:02}", "M": f"{at.month}", "MMM": at.strftime("%b"),
        "MMMM": at.strftime("%B"), "dd": f"{at.day:02}", "d": f"{at.day}", "HH": f"{at.hour:02}",
        "H": f"{at.hour}", "hh": at.strftime("%I"), "h": str((at.hour + 11) % 12 + 1),
        "a": at.strftime("%p"), "mm": f"{at.minute:02}", "m": f"{at.minute}", "ss": f"{at.second:02}",
        "s": f"{at.second}", "SSS": f"{at.microsecond // 1000:03}", "SSSSSS": f"{at.microsecond:06}",
        "'T'": "T", "''": "'",
    }  # fmt: skip
    return re.sub(r"''|'T'|([A-Za-z])\1*", lambda match: values[match[0]], pattern)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    date = draw(
        st.permutations(
            [draw(st.sampled_from(fields)) for fields in (["yyyy"], ["MM", "M", "MMM", "MMMM"], ["dd", "d"])]
        )
    )
    separator = draw(st.sampled_from(["-", "/", ".", " ", "''"]))
    hour, half = draw(st.sampled_from([("HH", ""), ("H", ""), ("hh", " a"), ("h", " a")]))
    second = draw(st.sampled_from(["", ":ss", ":s", ":ss.SSS", ":ss.SSSSSS"]))
    middle = draw(st.sampled_from(["'T'", " ", ", "]))
    return f"{separator.join(date)}{middle}{hour}:{draw(st.sampled_from(['mm', 'm']))}{second}{half}"


@settings(max_examples=150, deadline=None)
@given(patterns(), st.datetimes(min_value=moment(1000, 1, 1), max_value=moment(9999, 12, 31)))
def test_what_a_jdk_writes_is_read_back(pattern: str, at: dt.datetime) -> None:
    """DuckDB and the contract's own reader take a text in a format as the moment that it was made from."""
    form = translate(pattern, "timestamp")
    text = rendered(pattern, at)
    kept = at.replace(
        second=at.second if "s" in pattern else 0,
        microsecond=at.microsecond if "SSSSSS" in pattern else at.microsecond // 1000 * 1000 if "SSS" in pattern else 0,
    )
    assert parsed(form, text) == kept
    assert form.parse(text) == kept
    assert form.width is None or len(text) == form.width


@given(st.text(alphabet="yMdHhmsSaXZz'T-: []%é", max_size=20), st.sampled_from(["date", "timestamp", "time"]))
def test_every_pattern_is_translated_or_refused(pattern: str, kind: Kind) -> None:
    """No pattern raises anything but ValueError, and DuckDB accepts what is translated."""
    try:
        form = translate(pattern, kind)
    except ValueError:
        return
    parsed(form, "2024-03-07")
