"""Delimited files, read by a load from the bytes of the file to the records in `raw_f`."""

import csv
import io
import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import FileFormat, Required, SourceFormat
from orchestration_project.formats.delimited import repeats
from orchestration_project.formats.header import find_header
from orchestration_project_tests.formats.files import records, staged
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, read

HEADER = "id,n\n"
TORTURE = Path(__file__).parents[3] / "shared" / "data" / "csv_torture"
SPECTRUM = sorted(path.stem for path in (TORTURE / "csv-spectrum" / "csvs").glob("*.csv")) or ["absent"]

BLANK: tuple[str, ...] = ()
A, B = ("a", "1"), ("b", "2")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("id,n\na,1\n", {1: A}, id="plain"),
        pytest.param("n,id\n1,a\n", {1: A}, id="columns in another order"),
        pytest.param("ID, N \na,1\n", {1: A}, id="header in other case and padded"),
        pytest.param('"id","n"\n"a","1"\n', {1: A}, id="everything quoted"),
        pytest.param("identifier;n\na;1\n", {1: A}, id="alias"),
        pytest.param("id;n\na;1\nb;2\n", {1: A, 2: B}, id="semicolon"),
        pytest.param("id\tn\na\t1\n", {1: A}, id="tab"),
        pytest.param("id|n\na|1\n", {1: A}, id="pipe"),
        pytest.param("id;n\na,b;1\n", {1: ("a,b", "1")}, id="comma as data in a semicolon file"),
        pytest.param("Sales of the day;;\nshop 7\n\nid,n\na,1\n", {1: A}, id="preamble"),
        pytest.param("report of id\nid,n\na,1\n", {1: A}, id="preamble that names a column"),
        pytest.param("id,n\n----,----\na,1\n", {1: ("----", "----"), 2: A}, id="junk below the header is a record"),
        pytest.param("id,n\na,1\ntotal: 1 row\n", {1: A, 2: "too_few_columns"}, id="footer"),
        pytest.param("id,n\na\na,1\na,1,x\n", {1: "too_few_columns", 2: A, 3: "too_many_columns"}, id="ragged"),
        pytest.param("id,n\na,1\nID,N\nb,2\n", {1: A, 2: "repeated_header", 3: B}, id="repeated header"),
        pytest.param(
            "id,n\n\na,1\n\n\nb,2\n\n", {1: BLANK, 2: A, 3: BLANK, 4: BLANK, 5: B, 6: BLANK}, id="blank lines"
        ),
        pytest.param("id,n\n,\na,1\n , \n", {1: BLANK, 2: A, 3: (" ", " ")}, id="empty fields"),
        pytest.param("id,n\n   \na,1\n\t\n", {1: BLANK, 2: A, 3: BLANK}, id="lines of blanks"),
        pytest.param("id,n\na,1\nb,2", {1: A, 2: B}, id="no final line end"),
        pytest.param("id,n\r\na,1\r\nb,2\r\n", {1: A, 2: B}, id="CR LF"),
        pytest.param("id,n\ra,1\rb,2\r", {1: A, 2: B}, id="CR only"),
        pytest.param("id,n\r\na,1\nb,2\r\n\rc,3\n", {1: A, 2: B, 3: BLANK, 4: ("c", "3")}, id="mixed line ends"),
        pytest.param("id,n\na,1\r\nb,2\r\n", {1: A, 2: B}, id="header by LF over CR LF"),
        pytest.param("id,n\ra,1\nb,2\n", {1: A, 2: B}, id="header by CR over LF"),
        pytest.param("\ufeffid,n\na,1\n", {1: A}, id="byte order mark"),
        pytest.param('\ufeff"id","n"\na,1\n', {1: A}, id="byte order mark before a quote"),
        pytest.param('id,n\n"x\ny",1\nb,2\n', {1: ("x\ny", "1"), 2: B}, id="line end in a field"),
        pytest.param('id,n\r\n"x\r\ny",1\r\nb,2\r\n', {1: ("x\r\ny", "1"), 2: B}, id="CR LF in a field"),
        pytest.param('id,n\n"x\ry",1\nb,2\n', {1: ("x\ry", "1"), 2: B}, id="CR in a field"),
        pytest.param('id,n\n"say ""hi""",1\n', {1: ('say "hi"', "1")}, id="doubled quotes"),
        pytest.param('id,n\n"a,1\nb,2\nc,3\n', {1: "bad_quoting", 2: B, 3: ("c", "3")}, id="unclosed quote"),
        pytest.param('id,n\na,1\nb,"2\n', {1: A, 2: "bad_quoting"}, id="unclosed quote in the last line"),
        pytest.param('id,n\n"a"x,1\nb,2\n', {1: "bad_quoting", 2: B}, id="text beside a closed quote"),
        pytest.param('id,n\n5" pipe,1\n6"-7" pipe,2\n', {1: "bad_quoting", 2: ('6"-7" pipe', "2")}, id="inch marks"),
        pytest.param(
            'id,n\n5"-6" pipe,1\n"x\ny",2\nb\n',
            {1: ('5"-6" pipe', "1"), 2: ("x\ny", "2"), 3: "too_few_columns"},
            id="inch marks beside quoted line ends and ragged lines",
        ),
        pytest.param(
            'id,n\nb\n"a"x,1\nb\n\nb,2\nb\n',
            {1: "too_few_columns", 2: "bad_quoting", 3: "too_few_columns", 4: BLANK, 5: B, 6: "too_few_columns"},
            id="ragged lines around a broken quote",
        ),
        pytest.param("id,n\na\0,1\nb,2\n", {1: "nul_byte", 2: B}, id="NUL"),
        pytest.param("id,n\r\na\0,1\r\nb,2\n", {1: "nul_byte", 2: B}, id="NUL and mixed line ends"),
        pytest.param('id,n\na\0,"1\n2"\nb,2\n', {1: "nul_byte", 2: B}, id="NUL beside a line end in quotes"),
        pytest.param('id,n\r\na\0,"1\n2"\nb,2\n', {1: "nul_byte", 2: B}, id="both, and mixed line ends"),
        pytest.param(
            "id,n\na\x0bb\u2028c\x85,1\n", {1: ("a\x0bb\u2028c\x85", "1")}, id="line separators of Unicode are data"
        ),
        pytest.param("id,n,x\x0cy\na,1,2\n", {1: A}, id="form feed in the header"),
        pytest.param("id,n\n", {}, id="header only"),
        pytest.param("id,n", {}, id="header only, without a line end"),
        pytest.param("id,n\n\n\n", {1: BLANK, 2: BLANK}, id="header and blank lines"),
        pytest.param('"id\n",n\na,1\n', {1: A}, id="line end in the header"),
        pytest.param("id,n\n#a,1\n", {1: ("#a", "1")}, id="what others take for a comment"),
        pytest.param("id,n\nNULL,\\N\n", {1: ("NULL", "\\N")}, id="no null words but those of the contract"),
        pytest.param("id,n\n=cmd|' /C calc'!A0,1\n", {1: ("=cmd|' /C calc'!A0", "1")}, id="formula"),
    ],
)
def test_every_record_has_its_number_and_its_text(content: str, expected: dict[int, object], tmp_path: Path) -> None:
    """Each record of a file arrives once, with its number, whatever stands before, between and after the good ones."""
    contract = feed(column("id", "VARCHAR", Required(), aliases=("identifier",)), column("n", "INTEGER"))
    assert records(tmp_path, contract, content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("id\na\n\nb\n", {1: ("a",), 2: BLANK, 3: ("b",)}, id="plain"),
        pytest.param('id\n""\nb\n', {1: BLANK, 2: ("b",)}, id="quoted nothing"),
        pytest.param("id\n \nb\n", {1: (" ",), 2: ("b",)}, id="a blank"),
        pytest.param('id\na"\n"b\nc"\nd,e\n', {1: "bad_quoting", 2: ("b\nc",), 3: "too_many_columns"}, id="quotes"),
        pytest.param('id\n"a\nb\n', {1: "bad_quoting", 2: ("b",)}, id="unclosed quote"),
        pytest.param("id\rb\r\rc", {1: ("b",), 2: BLANK, 3: ("c",)}, id="CR only"),
    ],
)
def test_files_of_a_single_column(content: str, expected: dict[int, object], tmp_path: Path) -> None:
    """A file of one column is read like any other, and its blank lines are seen."""
    assert records(tmp_path, feed(column("id", "VARCHAR", Required())), content) == expected


@pytest.mark.parametrize(
    ("source", "content"),
    [
        pytest.param(SourceFormat(delimiter="^"), "id^n\na,x^1\n", id="declared delimiter"),
        pytest.param(SourceFormat(delimiter="¦"), "id¦n\na,x¦1\n", id="delimiter beyond ASCII"),
        pytest.param(SourceFormat(quote="'"), "id,n\n'a,x',1\n", id="declared quote"),
        pytest.param(SourceFormat(quote="'"), "id,n\n'a,x',1\r\n'b,\"',2\n", id="declared quote, mixed line ends"),
        pytest.param(SourceFormat(quote="'"), "id,n\n'a,x',1\n5'6' pipe,2\n", id="declared quote in a field"),
    ],
)
def test_declared_dialects(source: SourceFormat, content: str, tmp_path: Path) -> None:
    """The delimiter and the quote of the contract are the ones that count."""
    assert records(tmp_path, feed(source=source), content)[1] == ("a,x", "1")


def test_fields_that_the_contract_does_not_know_are_rescued(tmp_path: Path) -> None:
    """Values of unexpected columns are kept as JSON, and a name that stands twice is told apart."""
    shop = read(tmp_path, 'id,n,note,x,x\na,1,"say ""é""",1,2\nb,2,,,\n')
    assert [row["_rescued"] and json.loads(row["_rescued"]) for row in shop.table("cleaned")] == [
        {"note": 'say "é"', "x_4": "1", "x_5": "2"},
        None,
    ]


@pytest.mark.parametrize(
    ("content", "rule", "told"),
    [
        pytest.param("id,n,ID\na,1,b\n", "ambiguous_column", "'id' stands 2 times", id="column twice"),
        pytest.param("n,x\n1,2\n", "missing_column", "lacks id", id="required column missing"),
        pytest.param("id:n\na:1\n", "no_header", "a header line is needed", id="looks like one column"),
        pytest.param("a,1\nb,2\n", "no_header", "a header line is needed", id="no header"),
        pytest.param("", "empty_file", "no bytes", id="empty"),
        pytest.param("\n\n\n", "no_header", "a header line is needed", id="nothing but line ends"),
        pytest.param("\ufeff", "no_header", "a header line is needed", id="nothing but a byte order mark"),
    ],
)
def test_refused_files_do_not_stop_the_others(content: str, rule: str, told: str, tmp_path: Path) -> None:
    """A file without a usable header goes to quarantine with the reason, and the other files of the load go on."""
    shop = Shop(tmp_path)
    shop.deliver("a_2024-01-01.csv", content)
    shop.deliver("b_2024-01-01.csv", HEADER + "b,2\n")
    report = shop.load()
    assert [(item.file.name, item.error.rule) for item in report.refused] == [("a_2024-01-01.csv", rule)]
    assert told in shop.quarantine()["a_2024-01-01.csv"]["reason"]
    assert shop.cleaned("id", "n") == [("b", 2)]
    assert shop.landing() == []


def test_files_of_many_dialects_are_read_in_one_load(tmp_path: Path) -> None:
    """Files keep their own records and numbers, whatever other files are read beside them."""
    shop = Shop(tmp_path)
    contents = [
        "id,n\na,1\n\nb\n",
        "id;n\na;1\nb;2\n",
        "id,n\n",
        'id,n\n"x"y,1\nb,2\n',
        "id,n\nb\na,1\n",
        "n,id\r1,a\r",
    ]
    for number, content in enumerate(contents, start=1):
        shop.deliver(named(number), content)
    shop.load()
    found = [shop.records(named(number)) for number in range(1, len(contents) + 1)]
    assert found == [
        {1: A, 2: BLANK, 3: "too_few_columns"},
        {1: A, 2: B},
        {},
        {1: "bad_quoting", 2: B},
        {1: "too_few_columns", 2: A},
        {1: A},
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(["id", "Größe", "x"], True, id="as in the header"),
        pytest.param([" ID", "größe\u00a0", "other"], True, id="other case, padded, another unexpected field"),
        pytest.param(["id", "1", "x"], False, id="one name as a value"),
        pytest.param(["id", None, "x"], False, id="one name and nothing"),
    ],
)
def test_a_line_that_repeats_the_header(fields: list[str | None], expected: bool) -> None:
    """All names of columns of the contract stand in their fields again, as the header has them."""
    header = find_header(feed(column("id"), column("n", source="Größe")), "id,Größe,x\n")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (c0 VARCHAR, c1 VARCHAR, c2 VARCHAR)")
        connection.execute("INSERT INTO t VALUES (?, ?, ?)", fields)
        assert connection.execute(f"SELECT {repeats(header)} FROM t").fetchall() == [(expected,)]


TEXT = st.text(st.sampled_from("ab1 ,;\"\n\r'é\t"), max_size=6)
GOOD = st.tuples(TEXT, TEXT).filter(lambda cells: any(cell.strip() for cell in cells))
RECORDS = st.one_of(
    GOOD,
    st.just(()),
    st.sampled_from(["lonely", "x,y,z", '"x"y,1', 'a"b,c', 'a"b",c', "a\0,1"]),
)


def written(record: tuple[str, ...] | str, end: str) -> str:
    """A record as a line: cells in quotes where they need them; text as it is."""
    if not record:
        return end
    if isinstance(record, str):
        return record + end
    stream = io.StringIO(newline="")
    # Everything quoted: a carriage return in a field stays the writer's affair otherwise.
    csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL).writerow(record)
    return stream.getvalue()


def told(record: tuple[str, ...] | str) -> object:
    """What a record is read as."""
    codes = {"lonely": "too_few_columns", "x,y,z": "too_many_columns", '"x"y,1': "bad_quoting"}
    codes |= {"a\0,1": "nul_byte"}
    codes |= {'a"b,c': "bad_quoting"}
    if isinstance(record, str):
        return codes.get(record, ('a"b"', "c"))
    return tuple(cell or None for cell in record)


@settings(max_examples=100, deadline=None)
@given(
    files=st.lists(st.lists(RECORDS, max_size=12), min_size=1, max_size=3),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    final=st.booleans(),
)
def test_what_was_written_is_what_is_read(
    files: list[list[tuple[str, ...] | str]], end: str, final: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Records of generated files, good, blank and broken, arrive with their numbers and values."""
    contents: dict[str, str] = {}
    expected: dict[tuple[str, int], object] = {}
    for number, lines in enumerate(files, start=1):
        content = "".join(written(record, end) for record in lines)
        contents[named(number)] = f"id,n{end}" + (content if final else content.removesuffix(end))
        kept = lines if final or not lines or lines[-1] != () else lines[:-1]
        expected |= {(named(number), place): told(record) for place, record in enumerate(kept, start=1)}
    assert staged(tmp_path_factory.mktemp("files"), feed(column("id"), column("n")), contents) == expected


@pytest.mark.parametrize("name", SPECTRUM)
def test_csv_spectrum(name: str, tmp_path: Path) -> None:
    """Every file of csv-spectrum is read as its truth says, but for line ends and a number that the truth has wrong."""
    path = TORTURE / "csv-spectrum" / "csvs" / f"{name}.csv"
    if not path.is_file():
        pytest.skip("csv-spectrum is not beside the checkout (../shared/data/csv_torture)")
    truth = json.loads((TORTURE / "csv-spectrum" / "json" / f"{name}.json").read_text(encoding="utf-8"))
    rows = [truth] if isinstance(truth, dict) else truth
    headers = [header for header in rows[0] if header != "Contact Phone Number"]
    contract = feed(*(column(f"c{index}", source=header) for index, header in enumerate(headers)))
    found = records(tmp_path, contract, path.read_bytes())
    assert found == {
        number: tuple(row[header].replace("\r\n", "\n") or None for header in headers)
        for number, row in enumerate(rows, start=1)
    }


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        pytest.param("smallpop.csv", SourceFormat(), (10, 0), id="plain"),
        pytest.param("smallpop-colon.csv", SourceFormat(delimiter=":"), (10, 0), id="colon"),
        pytest.param("smallpop-colon.csv", SourceFormat(), "no_header", id="colon, undeclared"),
        pytest.param("smallpop-no-headers.csv", SourceFormat(), "no_header", id="no header"),
        pytest.param("uspop.csv", SourceFormat(), (100, 0), id="larger"),
        pytest.param("uspop-latin1.csv", SourceFormat(encoding="iso8859-1"), (100, 0), id="latin-1"),
        pytest.param("uspop-latin1.csv", SourceFormat(), "undecodable", id="latin-1, undeclared"),
    ],
)
def test_rust_csv(name: str, source: SourceFormat, expected: object, tmp_path: Path) -> None:
    """The files of rust-csv are read whole, or refused for the right reason."""
    path = TORTURE / "rust-csv" / name
    if not path.is_file():
        pytest.skip("rust-csv is not beside the checkout (../shared/data/csv_torture)")
    contract = feed(column("city", "VARCHAR", Required()), column("region", aliases=("state",)), source=source)
    shop = read(tmp_path, path.read_bytes(), contract)
    refused = [item["rule"] for item in shop.quarantine().values()]
    assert (refused[0] if refused else (len(shop.table("cleaned")), len(shop.table("rejected")))) == expected


def test_json_is_not_taken_for_a_delimited_file(tmp_path: Path) -> None:
    """A file in another format than the contract's is refused."""
    contract = feed(source=SourceFormat(FileFormat.PARQUET))
    assert read(tmp_path, HEADER + "a,1\n", contract).quarantine()[named(1)]["rule"] == "unreadable"
