"""The oracle by itself, against files whose truth somebody else wrote down, and against the documentation."""

import datetime as dt
import json
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from orchestration_project.contracts.feed import FileFormat, Parsing, Pattern, Required, SourceFormat
from orchestration_project_tests.ingest.shop import column, feed
from orchestration_project_tests.oracle.oracle import BLANK, Cleaned, Rejected, Rows, outcome, split
from orchestration_project_tests.oracle.values import Cell, Contract, NoValue, Number, value_of
from orchestration_project_tests.reliability.hostile import TORTURE_FILES

SPECTRUM = TORTURE_FILES / "csv-spectrum"
NAMES = sorted(path.stem for path in (SPECTRUM / "csvs").glob("*.csv")) or ["absent"]
JSON = SourceFormat(FileFormat.JSON)
PARQUET = SourceFormat(FileFormat.PARQUET)
TEXTS = feed(column("id", "VARCHAR", Required()), column("item"), column("note"))
NUMBERED = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER"))
D = Decimal


@pytest.mark.parametrize("name", NAMES)
def test_csv_spectrum(name: str) -> None:
    """The files of csv-spectrum have the records that its authors say."""
    path = SPECTRUM / "csvs" / f"{name}.csv"
    if not path.is_file():
        pytest.skip("csv-spectrum is not beside the checkout (../shared/data/csv_torture)")
    truth = json.loads((SPECTRUM / "json" / f"{name}.json").read_text(encoding="utf-8"))
    rows = [truth] if isinstance(truth, dict) else truth
    # Its truth of location_coordinates.csv has another telephone number than the file.
    headers = [header for header in rows[0] if header != "Contact Phone Number"]
    contract = Contract(feed(*(column(f"c{place}", source=header) for place, header in enumerate(headers))))
    found = [record for record in split(contract, path.read_bytes()) if not record.blank]
    # The truth of the files with CR LF was written down with LF alone.
    assert [[str(cell).replace("\r\n", "\n") for cell in record.cells.values()] for record in found] == [
        [row[header].replace("\r\n", "\n") for header in headers] for row in rows
    ]


def told(contract: Contract, content: bytes | Rows) -> object:
    """What becomes of a file in short: of each record its values, its reasons without columns, or that it is blank."""
    found = outcome(contract, content, "f.csv")
    if isinstance(found, str):
        return found
    return [
        tuple(record.values.values())
        if isinstance(record, Cleaned)
        else [*record.reasons]
        if isinstance(record, Rejected)
        else record
        for _, record in sorted(found.items())
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("id,item,note\n1,a,b\n2,,a,\n", [("1", "a", "b"), ["_raw_line: too_many_columns"]], id="shifted"),
        pytest.param("id,item,note\n1,a,b,\n2,c,d,\n", [("1", "a", "b"), ("2", "c", "d")], id="surplus in all"),
        pytest.param('id,item,note\n1,a"b, c",d\n', [["_raw_line: bad_quoting"]], id="quotes inside"),
        pytest.param("id,item,note\n1,2'3\"N 4'5\"W,d\n", [("1", "2'3\"N 4'5\"W", "d")], id="pairs of quotes"),
        pytest.param('id,item,note\n1,5" pipe,d\n', [["_raw_line: bad_quoting"]], id="inch mark"),
        pytest.param('id,"item,"note",x\n1,a,b,c\n', "bad_quoting", id="quotes of the header"),
        pytest.param("id,item,no\0te\n1,a,b\n", "nul_byte", id="NUL in the header"),
        pytest.param('id, "item", "note"\n1,a,b\n', [("1", "a", "b")], id="blanks before the header's quotes"),
        pytest.param('"id"\u00a0,"item" ,"note"\t\n1,a,b\n', [("1", "a", "b")], id="blanks behind the header's quotes"),
        pytest.param(
            '"id"\t\t"item"\t"note"\n1\t\ta\tb\t\n',
            [("1", "a", "b")],
            id="tabs beside quotes are no blanks in a file of tabs",
        ),
        pytest.param("id\u00a0,\u200bitem,note\n1,a,b\n", [("1", "a", "b")], id="blanks that are not seen"),
        pytest.param("i\ufeffd,it\u200bem,note\n1,a,b\n", [("1", "a", "b")], id="what is not seen inside of names"),
        pytest.param(
            "i\ufeffd,item,note\n1,a,b\nid,ITEM,note\n",
            [("1", "a", "b"), ["_raw_line: repeated_header"]],
            id="the header again in another spelling",
        ),
        pytest.param(
            "id,item,note\n1,a,b\n\ufeffid,item,note\n", [("1", "a", "b"), ["_raw_line: repeated_header"]], id="mark"
        ),
        pytest.param('id,item,note\n1,"a,b\n2,c,d\n', [["_raw_line: bad_quoting"], ("2", "c", "d")], id="open quote"),
        pytest.param('id,item,note\n1,a\0,"b\nc"\n', [["_raw_line: nul_byte"]], id="NUL"),
        pytest.param("id,item,note\n\n,,\n \t\n1\n", [BLANK, BLANK, BLANK, ["_raw_line: too_few_columns"]], id="blank"),
        pytest.param("Report\n;;\nid;note\r1; \r\n", [("1", None, None)], id="preamble, delimiter, line ends"),
        pytest.param("id,note,NOTE\n1,a,b\n", "ambiguous_column", id="twice"),
        pytest.param("item,note\n1,a\n", "missing_column", id="required"),
        pytest.param('item,note\nnote,"x,1\n', "missing_column", id="a broken quote in a line that is no header"),
        pytest.param("a,b\n1,2\n", "no_header", id="no header"),
        pytest.param("", "empty_file", id="empty"),
    ],
)
def test_delimited(content: str, expected: object) -> None:
    """Delimited files are split by the documented rules."""
    assert told(Contract(TEXTS), content.encode()) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param('{"id":1.10}\n{"id":1.1}\n', [("1.10", None), ("1.1", None)], id="digits of numbers"),
        pytest.param('{"id":"a\\u0000"}', [["_raw_line: nul_byte"]], id="NUL"),
        pytest.param('{"id":"a\x01b"}', [["_raw_line: invalid_json"]], id="control character"),
        pytest.param('{"id":"a","ID":"b"}', [["_raw_line: ambiguous_key"]], id="twice"),
        pytest.param('{"id":"a","n":1e3}\n\n{}', [["n: type"], BLANK, BLANK], id="exponent, blank"),
        pytest.param(
            '[{"id":"a"}, 3, {"id":"b","n":"7"}]', [("a", None), ["_raw_line: invalid_json"], ("b", 7)], id="array"
        ),
        pytest.param('[{"id":"a"}', "unreadable", id="array without its end"),
        pytest.param("[]", [], id="nothing"),
    ],
)
def test_json(content: str, expected: object) -> None:
    """JSON is split by the documented rules."""
    assert told(Contract(replace(NUMBERED, source=JSON)), content.encode()) == expected


def test_typed_rows() -> None:
    """Typed values are taken as they are, or not at all."""
    moment = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
    contract = feed(column("id"), column("at", "TIMESTAMPTZ"), column("n", "DECIMAL(18,2)"), source=PARQUET)
    rows: list[dict[str, Cell]] = [
        {"id": Number("1001.0", binary=True), "at": moment, "n": Number("1.10")},
        {"id": "é", "at": None, "n": Number("1.105")},
    ]
    assert told(Contract(contract), Rows(("id", "at", "n"), tuple(rows))) == [("1001", moment, D("1.10")), ["n: type"]]


def test_patterns_are_those_of_re2() -> None:
    r"""What is a blank only beyond ASCII is one of `\S`, and `$` is the very end."""
    contract = feed(column("id", "VARCHAR", Pattern(r"^\S*$"), parsing=Parsing(trim=False)))
    found = told(Contract(contract), 'id\na\u0085b\na\vb\n"a\n"\n'.encode())
    assert found == [("a\u0085b",), ("a\vb",), ["id: pattern"]]


def test_the_last_record_keeps_a_key() -> None:
    """Of records with one key the last counts, and the reason names it; those that break a rule do not count."""
    contract = Contract(replace(NUMBERED, primary_key=("id",)))
    found = outcome(contract, b"id,n\na,1\nb,2\na,3\na,x\n", "f.csv")
    assert found == {
        1: Rejected(("id: duplicate_key (kept: f.csv row 3)",)),
        2: Cleaned({"id": "b", "n": 2}),
        3: Cleaned({"id": "a", "n": 3}),
        4: Rejected(("n: type",)),
    }


@pytest.mark.parametrize(
    ("sql_type", "text", "expected"),
    [
        pytest.param(
            "DECIMAL(38,2)", "3.133713371337133713371337e24", D("3133713371337133713371337.00"), id="large exponent"
        ),
        pytest.param("DECIMAL(18,2)", "1e-20", None, id="exponent that loses a digit"),
        pytest.param("DECIMAL(18,2)", "1.00000000000000000001e0", None, id="many digits"),
        pytest.param("DECIMAL(38,18)", "1e-18", D("0.000000000000000001"), id="all of the scale"),
        pytest.param("DOUBLE", "-0", 0.0, id="one zero"),
        pytest.param("UTINYINT", "-0.0", 0, id="zero of unsigned numbers"),
        pytest.param("UTINYINT", "256", None, id="beyond the type"),
        pytest.param("INTEGER", "1e3", None, id="integer with an exponent"),
        pytest.param("DATE", "2023-02-29", None, id="no leap year"),
        pytest.param("TIME", "24:00", None, id="beyond the day"),
    ],
)
def test_values(sql_type: str, text: str, expected: object) -> None:
    """A text is a value when it says exactly that."""
    assert worth(sql_type, text) == (type(expected), str(expected))


@pytest.mark.parametrize(
    ("parsing", "pattern", "text", "expected"),
    [
        pytest.param(Parsing(has_timezone=True), "", "2024-07-01 12:00:00+99:99", None, id="offset of days"),
        pytest.param(
            Parsing(has_timezone=True), "", "2024-07-01 12:00+02:00", "2024-07-01 10:00:00+00:00", id="offset"
        ),
        pytest.param(Parsing(default_timezone="Europe/Berlin"), "", "2024-03-31 02:30", None, id="skipped hour"),
        pytest.param(Parsing(), "d MMM yy h:mm a", "5 Feb 68 12:30 am", "2068-02-05 00:30:00+00:00", id="pattern"),
        pytest.param(Parsing(), "d MMM yy h:mm a", "5 Feb 69 0:30 am", None, id="no hour of half a day"),
    ],
)
def test_moments(parsing: Parsing, pattern: str, text: str, expected: str | None) -> None:
    """Moments are read in the declared form, in their zone."""
    found = worth("TIMESTAMPTZ", text, parsing, pattern)
    assert found[1] == str(expected)


def worth(sql_type: str, text: str, parsing: Parsing | None = None, pattern: str = "") -> tuple[type, str]:
    """The value of a text with its type, None for one that is none."""
    value: Any = None
    with suppress(NoValue):
        value = value_of(text, column("v", sql_type, parsing=parsing or Parsing()), pattern)
    return type(value), str(value)
