"""What the cells of workbooks hold, as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.formats.cell_values import (
    DATE,
    MOMENT,
    NUMBER,
    TEXT,
    TIME,
    Shown,
    iso_text,
    marked_text,
    number_text,
    plain,
    serial_text,
    shown_by,
    unescaped,
)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param("17", "17", id="whole"),
        pytest.param("0", "0", id="zero"),
        pytest.param("-0", "0", id="negative zero"),
        pytest.param("1.10", "1.1", id="zeros at the end are no value"),
        pytest.param("1001.0", "1001", id="a whole number with a fraction of zeros"),
        pytest.param("1.1000000000000001", "1.1", id="17 digits of a double"),
        pytest.param("9.390000000000001", "9.39", id="16 digits of a double"),
        pytest.param("0.30000000000000004", "0.30000000000000004", id="another double than 0.3"),
        pytest.param("12345678901234567890", "12345678901234567890", id="more digits than a double has"),
        pytest.param("9007199254740993", "9007199254740993", id="no double"),
        pytest.param("0.12345678901234567890", "0.1234567890123456789", id="more decimals than a double has"),
        pytest.param("1E-3", "0.001", id="small exponent"),
        pytest.param("1.5E+3", "1500", id="large exponent"),
        pytest.param("007", "7", id="leading zeros"),
        pytest.param("+.5", "0.5", id="no digit before the point"),
    ],
)
def test_numbers(stored: str, expected: str) -> None:
    """A number is the shortest text of what is stored, with every digit that is no noise of a double."""
    assert number_text(stored) == expected


@pytest.mark.parametrize("stored", ["", "x", "1,5", "NaN", "INF", "1e9999", "0x1", "1_0", "\u0661"])
def test_what_is_no_number(stored: str) -> None:
    """Text in the place of a number is an error."""
    with pytest.raises(ValueError, match="is no number"):
        number_text(stored)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["r", ".17g", ".16g", ".15g"]))
def test_numbers_stay_the_same_double(double: float, form: str) -> None:
    """Whatever digits a program writes, the text is the same double as they are."""
    stored = repr(double) if form == "r" else format(double, form)
    assert float(number_text(stored)) == float(stored)


@pytest.mark.parametrize(
    ("number", "code", "expected"),
    [
        pytest.param(0, None, Shown.NUMBER, id="General"),
        pytest.param(14, None, Shown.DATE, id="built-in date"),
        pytest.param(22, None, Shown.MOMENT, id="built-in moment"),
        pytest.param(20, None, Shown.TIME, id="built-in time"),
        pytest.param(46, None, Shown.ELAPSED, id="built-in hours"),
        pytest.param(31, None, Shown.BY_VALUE, id="of a language"),
        pytest.param(164, "dd/mm/yyyy", Shown.DATE, id="date"),
        pytest.param(164, "[$-409]mmmm", Shown.DATE, id="month"),
        pytest.param(164, "[$-F800]dddd, mmmm dd, yyyy;@", Shown.DATE, id="long date"),
        pytest.param(164, "m/d/yy h:mm AM/PM", Shown.MOMENT, id="moment"),
        pytest.param(164, "mm:ss.0", Shown.TIME, id="minutes"),
        pytest.param(164, "[h]:mm", Shown.ELAPSED, id="hours"),
        pytest.param(164, '#,##0.00 "days"', Shown.NUMBER, id="words"),
        pytest.param(164, '0.00;"d;y"', Shown.NUMBER, id="a semicolon in words"),
        pytest.param(164, r"0\d", Shown.NUMBER, id="escaped"),
        pytest.param(164, "_d0.00*y", Shown.NUMBER, id="padding"),
        pytest.param(164, "[Red]0.00E+00", Shown.NUMBER, id="colour and exponent"),
        pytest.param(164, "[$USD-409] 0.00", Shown.NUMBER, id="currency"),
        pytest.param(164, "0.00%", Shown.NUMBER, id="percent"),
        pytest.param(14, "0.00", Shown.NUMBER, id="its own code counts"),
    ],
)
def test_formats(number: int, code: str | None, expected: Shown) -> None:
    """Only what shows parts of a date or time makes a number one."""
    assert shown_by(number, code) is expected


@pytest.mark.parametrize(
    ("stored", "shown", "from_1904", "expected"),
    [
        pytest.param("45323", Shown.DATE, False, DATE + "2024-02-01", id="date"),
        pytest.param("43861", Shown.DATE, True, DATE + "2024-02-01", id="date since 1904"),
        pytest.param("0", Shown.DATE, True, DATE + "1904-01-01", id="first day of 1904"),
        pytest.param("1", Shown.DATE, False, DATE + "1900-01-01", id="first day of 1900"),
        pytest.param("59", Shown.DATE, False, DATE + "1900-02-28", id="last day before the one that never was"),
        pytest.param("60", Shown.DATE, False, "1900-02-29", id="the day that never was"),
        pytest.param("61", Shown.DATE, False, DATE + "1900-03-01", id="first day after it"),
        pytest.param("0", Shown.DATE, False, "1900-01-00", id="day zero"),
        pytest.param("45323.4375", Shown.DATE, False, MOMENT + "2024-02-01 10:30:00", id="a time that is not shown"),
        pytest.param("45323.4375", Shown.MOMENT, False, MOMENT + "2024-02-01 10:30:00", id="moment"),
        pytest.param("45323", Shown.MOMENT, False, MOMENT + "2024-02-01 00:00:00", id="midnight"),
        pytest.param("45000.521006944444", Shown.MOMENT, False, MOMENT + "2023-03-15 12:30:15", id="rounded"),
        pytest.param("45323.999999999", Shown.MOMENT, False, MOMENT + "2024-02-02 00:00:00", id="rounded to midnight"),
        pytest.param("0.4375", Shown.TIME, False, TIME + "10:30:00", id="time"),
        pytest.param("0.4375057870", Shown.TIME, False, TIME + "10:30:00.500", id="milliseconds"),
        pytest.param("45323.4375", Shown.TIME, False, MOMENT + "2024-02-01 10:30:00", id="a day that is not shown"),
        pytest.param("0.4375", Shown.MOMENT, False, TIME + "10:30:00", id="no day"),
        pytest.param("0.5", Shown.ELAPSED, False, TIME + "12:00:00", id="hours of less than a day"),
        pytest.param("1.5", Shown.ELAPSED, False, "36:00:00", id="hours"),
        pytest.param("45323", Shown.BY_VALUE, False, DATE + "2024-02-01", id="date by value"),
        pytest.param("0.5", Shown.BY_VALUE, False, TIME + "12:00:00", id="time by value"),
        pytest.param("45323.5", Shown.BY_VALUE, False, MOMENT + "2024-02-01 12:00:00", id="moment by value"),
        pytest.param("-1", Shown.DATE, False, NUMBER + "-1", id="negative"),
        pytest.param("2958465", Shown.DATE, False, DATE + "9999-12-31", id="last day"),
        pytest.param("2958466", Shown.DATE, False, NUMBER + "2958466", id="beyond the last day"),
        pytest.param("1E+308", Shown.DATE, True, NUMBER + "1" + "0" * 308, id="far beyond"),
        pytest.param("1E+999", Shown.ELAPSED, False, NUMBER + "1" + "0" * 999, id="beyond every double"),
    ],
)
def test_dates(stored: str, shown: Shown, from_1904: bool, expected: str) -> None:
    """A number of days is the date or time that is meant; what is none stays what it is, and breaks the type."""
    assert serial_text(stored, shown, from_1904) == expected


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param("2024-02-01", DATE + "2024-02-01", id="date"),
        pytest.param("2024-02-01T10:30:00.5", MOMENT + "2024-02-01 10:30:00.500", id="moment"),
        pytest.param("2024-12-31T23:59:59.9999", MOMENT + "2025-01-01 00:00:00", id="to the millisecond"),
        pytest.param("2024-02-30", "2024-02-30", id="no such day"),
        pytest.param("9999-12-31T23:59:59.9999", "9999-12-31T23:59:59.9999", id="beyond the last day"),
        pytest.param("23:59:59.9999", "23:59:59.9999", id="beyond the day"),
        pytest.param("10:30:00", TIME + "10:30:00", id="time"),
        pytest.param("2024-02-01T10:30:00Z", "2024-02-01T10:30:00Z", id="with a zone"),
        pytest.param("soon", "soon", id="text"),
    ],
)
def test_dates_that_are_stored_as_text(stored: str, expected: str) -> None:
    """A cell of the type date has ISO text."""
    assert iso_text(stored) == expected


@pytest.mark.parametrize("text", ["", "a", "\1a", "\5", " "])
def test_texts_are_never_taken_for_other_values(text: str) -> None:
    """A text that begins with a mark gets that of texts, and is the same without it."""
    assert plain(marked_text(text)) == text
    assert marked_text(text) == (TEXT + text if text[:1] in ("\1", "\5") and text else text)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param("a_x000D_b", "a\rb", id="control character"),
        pytest.param("_x005F_x000D_", "_x000D_", id="an escape that is meant"),
        pytest.param("_xD83D_", "_xD83D_", id="half a surrogate pair"),
        pytest.param("_x12_", "_x12_", id="none"),
    ],
)
def test_escapes(stored: str, expected: str) -> None:
    """Characters that XML can't hold are written as escapes."""
    assert unescaped(stored) == expected
