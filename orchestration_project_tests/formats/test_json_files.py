"""JSON files: lines of objects and arrays of objects."""

import json
from pathlib import Path

import duckdb
import pytest

from orchestration_project.contracts.feed import FileFormat, Required, SourceFormat
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats import json_files
from orchestration_project.formats.json_files import AMBIGUOUS, keep_ambiguous, keep_digits, mark_ambiguous, rescued
from orchestration_project_tests.formats.files import records
from orchestration_project_tests.ingest.shop import Shop, column, feed, parsed

JSON = SourceFormat(FileFormat.JSON)
CONTRACT = feed(column("id", "VARCHAR", Required(), aliases=("key",)), column("n", "INTEGER"), source=JSON)
A, B = ("a", "1"), ("b", "2")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param('{"id":"a","n":1}\n{"id":"b","n":2}\n', {1: A, 2: B}, id="lines"),
        pytest.param('{"id":"a","n":1}\r\n\r\n{"id":"b","n":2}', {1: A, 2: (), 3: B}, id="CR LF, a blank line, no end"),
        pytest.param('{"id":"a","n":1}\r\n{"id":"b","n":2}\n', {1: A, 2: B}, id="mixed line ends"),
        pytest.param('{"id":"a","n":1}\r{"id":"b","n":2}\r', {1: A, 2: B}, id="CR only"),
        pytest.param('{"id":"a","n":1}\n   \n{"id":"b","n":2}\n', {1: A, 2: (), 3: B}, id="a line of blanks"),
        pytest.param(
            '{"id":"a","n":1}\n{"id":"b",\n[1]\n"x"\n',
            {1: A, 2: "invalid_json", 3: "invalid_json", 4: "invalid_json"},
            id="broken lines",
        ),
        pytest.param(
            '{"n":1,"ID":"a"}\n{"key":"b","n":2}\n', {1: A, 2: B}, id="keys in another order, case and spelling"
        ),
        pytest.param('{"id":"a"}\n{"id":null,"n":2}\n', {1: ("a", None), 2: (None, "2")}, id="absent and null"),
        pytest.param('{"id":"x \\"y\\", z\\n","n":true}\n', {1: ('x "y", z\n', "true")}, id="escapes"),
        pytest.param('{"id":{"x":[1]},"n":1.50}\n', {1: ('{"x":[1]}', "1.50")}, id="nested"),
        pytest.param(
            '{"id":"a","n":12345678901234567890123}\n', {1: ("a", "12345678901234567890123")}, id="huge integer"
        ),
        pytest.param('\ufeff{"id":"a","n":1}\n', {1: A}, id="byte order mark"),
        pytest.param('[{"id":"a","n":1},\n {"id":"b","n":2}]', {1: A, 2: B}, id="array"),
        pytest.param(' \n[{"id":"a","n":1}]\n', {1: A}, id="array after blanks"),
        pytest.param('\ufeff[{"id":"a","n":1}]', {1: A}, id="array after a byte order mark"),
        pytest.param("[]", {}, id="empty array"),
        pytest.param("{}\n", {1: ()}, id="nothing but an object without keys"),
        pytest.param(
            '[{"id":"a","n":1}, 3, {"id":"b","n":2}]', {1: A, 2: "invalid_json", 3: B}, id="array of other things too"
        ),
    ],
)
def test_every_record_has_its_number_and_its_text(content: str, expected: dict[int, object], tmp_path: Path) -> None:
    """Each object arrives once, with its number, as the text that a delimited file would have."""
    assert records(tmp_path, CONTRACT, content) == expected


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        pytest.param('[{"id":"a"}, {"id":', "unreadable", id="cut off"),
        pytest.param('[{"id":"a"}] trailing', "unreadable", id="text after the array"),
        pytest.param('{"n":1}\n{"n":2}\n', "missing_column", id="required key in no record"),
        pytest.param('[{"n":1}]', "missing_column", id="required key in no element"),
        pytest.param('[{"id":"secret-value"}, {"id":"secret-value}]', "unreadable", id="message without values"),
    ],
)
def test_refused_files(content: str, rule: str, tmp_path: Path) -> None:
    """A file that is no JSON, or that lacks a required key throughout, is refused without telling its values."""
    with pytest.raises((FileRefused, FilesUnfit)) as caught:
        records(tmp_path, CONTRACT, content)
    fault = next(iter(caught.value.faults.values())) if isinstance(caught.value, FilesUnfit) else caught.value
    assert isinstance(fault, FileRefused)
    assert fault.rule == rule
    assert "secret" not in str(fault)


def test_keys_that_the_contract_does_not_know_are_rescued(tmp_path: Path) -> None:
    """Values of unexpected keys are kept as JSON in the records that have them."""
    shop = Shop(tmp_path, CONTRACT)
    shop.deliver("s_2024-01-01.json", '{"id":"a","n":1,"x/y~z":{"k":[1]},"t":"ü"}\n{"id":"b","n":2}\n')
    shop.load()
    assert [row["_rescued"] and json.loads(row["_rescued"]) for row in shop.table("cleaned")] == [
        {"x/y~z": {"k": [1]}, "t": "ü"},
        None,
    ]


def test_keys_that_are_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with more different keys than any table has columns is refused before they are asked for one by one."""
    monkeypatch.setattr(json_files, "MAX_KEYS", 3)
    records(tmp_path, CONTRACT, '{"id":"a","x":1}\n{"id":"b","y":1}\n')
    (more := tmp_path / "more").mkdir()
    with pytest.raises(FilesUnfit, match="more than 3 different keys"):
        records(more, CONTRACT, '{"id":"a","x":1}\n{"id":"b","y":1,"z":1}\n')


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """Arrays and lines are loaded beside files that are refused."""
    shop = Shop(tmp_path, CONTRACT)
    shop.deliver("a_2024-01-01.json", '[{"id":"a","n":1}]')
    shop.deliver("b_2024-01-01.json", '[{"id":"b","n":')
    shop.deliver("c_2024-01-01.json", '{"n":1}\n')
    shop.deliver("d_2024-01-01.json", '{"id":"d","n":4}\n')
    shop.load()
    assert shop.cleaned("id", "n") == [("a", 1), ("d", 4)]
    assert {name: note["rule"] for name, note in shop.quarantine().items()} == {
        "b_2024-01-01.json": "unreadable",
        "c_2024-01-01.json": "missing_column",
    }


def test_numbers_are_not_read_in_the_notation_of_text(tmp_path: Path) -> None:
    """A JSON number has a decimal point, whatever the contract says of numbers in text."""
    contract = parsed(feed(column("n", "DECIMAL(18,3)"), source=JSON), decimal_separator=",", thousands_separator=".")
    shop = Shop(tmp_path, contract)
    shop.deliver("s_2024-01-01.json", '{"n":1.234}\n{"n":"1.234"}\n{"n":"1,5"}\n')
    shop.load()
    assert [str(value) for value in shop.cleaned("n")] == ["1.234", "1234.000", "1.500"]


def test_lines_without_an_object_beside_numbers_in_another_notation(tmp_path: Path) -> None:
    """A line that is no JSON costs itself alone also where numbers have to be told from texts."""
    contract = parsed(feed(source=JSON), decimal_separator=",")
    content = '{"id":"a","n":1}\n{\n \n{"id":"b","n":"2"}\n'
    assert records(tmp_path, contract, content) == {1: ("a", "1"), 2: "invalid_json", 3: (), 4: ("b", "2")}


def json_lines(*contents: str) -> duckdb.DuckDBPyConnection:
    """A session with lines of JSON in `seen`, as they are after each was looked at."""
    connection = duckdb.connect()
    connection.execute("CREATE TEMP TABLE seen (_f UBIGINT, c0 VARCHAR, error VARCHAR, exact VARCHAR)")
    connection.executemany("INSERT INTO seen (_f, c0) VALUES (0, ?)", [[content] for content in contents])
    return connection


@pytest.mark.parametrize(
    ("content", "exact"),
    [
        pytest.param('{"n":1.5}', None, id="few digits"),
        pytest.param('{"n":0.12345678901234567}', r'{"n":"\u00000.12345678901234567"}', id="many digits"),
        pytest.param('{"n":[1e5,-2.50E-7,3]}', r'{"n":["\u00001e5","\u0000-2.50E-7","\u00003"]}', id="exponents"),
        pytest.param('{"s":"1e5","n":1e5}', r'{"s":"1e5","n":"\u00001e5"}', id="a number in a string"),
        pytest.param(
            '{"a \\"1e5\\"":"0.12345678901234567"}',
            '{"a \\"1e5\\"":"0.12345678901234567"}',
            id="escaped quotes around a number",
        ),
    ],
)
def test_numbers_that_duckdb_would_round_become_marked_strings(content: str, exact: str | None) -> None:
    """Every digit of a JSON number is kept, and strings are left as they are."""
    with json_lines(content) as connection:
        connection.execute(keep_digits("seen"))
        assert connection.execute("SELECT exact FROM seen").fetchall() == [(exact,)]


def test_an_object_with_a_key_or_two_spellings_of_it_twice_is_ambiguous() -> None:
    """Only the objects that have both are marked; the key may stand twice in a file."""
    contents = ['{"id":1,"n":2}', '{"key":1,"n":2}', '{"id":1,"key":2}', '{"x":1,"x":2}']
    with json_lines(*contents) as connection:
        connection.execute("CREATE TEMP TABLE lists AS SELECT DISTINCT _f, json_keys(c0) AS keys FROM seen")
        connection.execute(keep_ambiguous("lists"), {"spellings": [["id", "key"], ["n"]]})
        connection.execute(mark_ambiguous("seen", "lists"))
        marked = connection.execute("SELECT c0 FROM seen WHERE error = ? ORDER BY rowid", [AMBIGUOUS]).fetchall()
        assert [content for (content,) in marked] == contents[2:]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param('{"id":"a","n":1}', None, id="nothing else"),
        pytest.param('{"id":"a","x":{"n":[1]},"y":true}', '{"x":{"n":[1]},"y":true}', id="two keys, one nested"),
        pytest.param('{"id":"a","x":null}', None, id="a key without a value"),
    ],
)
def test_what_is_rescued_of_an_object(content: str, expected: str | None) -> None:
    """What stands under other keys than those of the columns, without those that are null."""
    with json_lines(content) as connection:
        assert connection.execute(f"SELECT {rescued(['id', 'n'])} FROM seen").fetchall() == [(expected,)]
