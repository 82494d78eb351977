"""Strategies that draw files for a contract: from the grammar of their format, and by damage to such files."""

import datetime as dt
import gzip
import itertools
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import strategies as st

from orchestration_project.contracts.feed import Column, FileFormat
from orchestration_project_tests.oracle.cells import json_value, moments, pools
from orchestration_project_tests.oracle.contracts import INTEGERS, contracts
from orchestration_project_tests.oracle.fixed import fixed_texts, with_layout
from orchestration_project_tests.oracle.ignored import Meanings, ignoring
from orchestration_project_tests.oracle.oracle import Rows
from orchestration_project_tests.oracle.parquet_bytes import (
    BOOLEAN,
    BYTE_ARRAY,
    DATE,
    DECIMAL,
    DOUBLE,
    FIXED,
    INT32,
    INT64,
    TIME_MICROS,
    UTF8,
    ParquetColumn,
    parquet_bytes,
)
from orchestration_project_tests.oracle.values import Cell, Contract, Number

PREAMBLE = ["Report of January", "", "total;12;;", '"quoted, preamble"', "a,b,c,d,e,f", "\t\t"]
EXTRAS = ["extra", "", "Extra", "x;y", "id2", "price ", "_row", "_rescued"]
EXTRA_TEXTS = ["", "", "1", "x", " ", 'q"']
KINDS = ["plain"] * 16 + "blank padded empties short long surplus open beside stray spaced nul header bom".split()
ENCODINGS = ["utf-8"] * 8 + ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"]
TOKENS = [
    b'"',
    b'""',
    b"'",
    b",",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\\",
    b"{",
    b"]",
    b" ",
    b"}",
    b":",
]
LINES = [
    "",
    " ",
    "\t",
    "5",
    "[]",
    '"x"',
    "{",
    "null",
    "{}",
    '{"a":1}x',
    "}",
    "nul",
    '{"a" 1}',
    "\x01",
    '{"a":1,}',
    "{'a':1}",
    "//",
    '{"a":"\\ud800"}',
    '{"a":NaN}',
]
BESIDE = ['"n": 1.10', '"x": {"items": [{"id": 7}]}', '"next": null', '"t": "]}\\""', '"e": []', '"a" : [ [1], {}]']
"""What stands beside the way to records."""
SEVENTY = 70
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class File:
    """What is delivered. The oracle can't read Parquet: of such a file here are its rows."""

    content: bytes
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Files for one contract, all of them different."""

    contract: Contract
    files: tuple[File, ...]
    meanings: Meanings = field(default_factory=dict)


@st.composite
def deliveries(draw: st.DrawFn, file_format: FileFormat, most: int, with_ignored: bool = False) -> Delivery:
    """A contract, perhaps one that ignores records, and up to `most` files for it."""
    contract = draw(contracts(file_format))
    if file_format is FileFormat.FIXED_WIDTH:
        contract = draw(with_layout(contract))
    columns = contract.feed.record_columns
    texts = {item.name: draw(pools(item, contract.patterns.get(item.name, ""))) for item in columns}
    one = {
        FileFormat.CSV: delimited_files,
        FileFormat.JSON: json_files,
        FileFormat.PARQUET: parquet_files,
        FileFormat.FIXED_WIDTH: fixed_width_files,
    }[file_format](contract, texts)
    files = draw(st.lists(one, min_size=draw(st.integers(1, most)), max_size=most, unique_by=lambda file: file.content))
    contract, meanings = draw(ignoring(contract, texts)) if with_ignored else (contract, {})
    return Delivery(contract, tuple(files), meanings)


@st.composite
def present(draw: st.DrawFn, contract: Contract) -> list[Column]:
    """The columns that a file has, in its order: all required ones, and most of the others."""
    missing = draw(st.sampled_from(["", "", "", *(item.name for item in contract.feed.record_columns)]))
    strict = draw(st.integers(0, 15)) != 15
    kept = [item for item in contract.feed.record_columns if item.name != missing or (item.required and strict)]
    return draw(st.permutations(kept or contract.feed.record_columns))


@st.composite
def spelled(draw: st.DrawFn, column: Column) -> str:
    """A column's name as a file may write it."""
    name = draw(st.sampled_from([column.source or column.name, *column.aliases]))
    odd = [name.upper(), f" {name}", name.title(), f"{name}\u00a0", f"{name}\u200b", decomposed(name)]
    return draw(st.sampled_from([name] * 40 + odd))


def decomposed(name: str) -> str:
    """A name with each accent as a character of its own."""
    return unicodedata.normalize("NFD", name)


@st.composite
def delimited_files(draw: st.DrawFn, contract: Contract, texts: Mapping[str, Sequence[str]]) -> File:
    """A delimited file."""
    source = contract.feed.source
    delimiter = source.delimiter or draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    quoted, quoting = source.quote, draw(st.sampled_from(["needed", "needed", "all", "some"]))
    columns = [(draw(spelled(item)), texts[item.name]) for item in draw(present(contract))]
    for extra in draw(st.lists(st.sampled_from(EXTRAS), max_size=2)) if draw(st.booleans()) else []:
        columns.insert(draw(st.integers(0, len(columns))), (extra, EXTRA_TEXTS))

    def written(fields: Sequence[str]) -> str:
        return delimiter.join(
            f"{quoted}{value.replace(quoted, quoted * 2)}{quoted}"
            if quoting == "all" or (quoting == "some" and place % 2) or set(value) & {delimiter, quoted, "\r", "\n"}
            else value
            for place, value in enumerate(fields)
        )

    head = written([name for name, _ in columns])
    padded_header = draw(st.integers(0, 15)) == 15
    header = head.replace(delimiter + quoted, f"{delimiter} {quoted}") if padded_header else head
    lines = []
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=5)):
        record = written([draw(st.sampled_from(options)) for _, options in columns])
        lines.append(irregular(kind, record, head, delimiter, quoted, len(columns)))
    if draw(st.integers(0, 15)) == 15:
        lines = [line + delimiter for line in lines]
    ends = draw(st.sampled_from([["\n"], ["\n"], ["\r\n"], ["\r"], ["\n", "\r\n"], ["\r", "\n", "\r\n"]]))
    above = draw(st.lists(st.sampled_from(PREAMBLE), max_size=2)) if draw(st.integers(0, 3)) == 3 else []
    joined = [line + ends[place % len(ends)] for place, line in enumerate([*above, header, *lines])]
    beginning, body = "".join(joined[: len(above) + 1]), "".join(joined[len(above) + 1 :])
    if draw(st.booleans()):
        body = body.removesuffix("\n").removesuffix("\r")
    return File(draw(encoded(beginning, body)))


def irregular(kind: str, record: str, header: str, delimiter: str, quote: str, width: int) -> str:
    """A record of some kind, made from a plain one."""
    first, _, rest = record.partition(delimiter)
    return {
        "blank": "",
        "padded": " \t",
        "empties": delimiter * (width - 1),
        "short": rest,
        "long": f"{record}{delimiter}x",
        "surplus": f"{record}{delimiter}",
        "open": quote + record,
        "beside": f"{quote}a{quote}b{delimiter}{rest}",
        "stray": f"a{quote}b{delimiter}c{quote}{delimiter}{rest}",
        "spaced": f" {quote}{first}{quote}{delimiter}{rest}",
        "nul": f"a\0{record}",
        "header": header,
        "bom": f"\ufeff{header}",
    }.get(kind, record)


@st.composite
def encoded(draw: st.DrawFn, beginning: str, body: str) -> bytes:
    """A text as bytes, perhaps with damage to its body or, rarely, anywhere; perhaps compressed."""
    encoding = draw(st.sampled_from(ENCODINGS))
    start, data = beginning.encode(encoding, "replace"), (beginning + body).encode(encoding, "replace")
    harm = draw(st.integers(0, 9))
    if harm == 9:
        data = draw(damaged(data))
    elif harm > 6:
        data = start + draw(damaged(data[len(start) :]))
    return gzip.compress(data, mtime=0) if draw(st.integers(0, 15)) == 15 else data


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with up to three changes."""
    for _ in range(draw(st.integers(1, 3))):
        start, stop = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        match draw(st.sampled_from(["flip", "insert", "insert", "delete", "double", "cut"])):
            case "flip":
                data = data[:start] + bytes([draw(st.integers(0, 255))]) + data[start + 1 :]
            case "insert":
                data = data[:start] + draw(st.sampled_from(TOKENS)) + data[start:]
            case "delete":
                data = data[:start] + data[stop:]
            case "double":
                data = data[:stop] + data[start:stop] + data[stop:]
            case _:
                data = data[:stop]
    return data


@st.composite
def fixed_width_files(draw: st.DrawFn, contract: Contract, texts: Mapping[str, Sequence[str]]) -> File:
    """A fixed width file."""
    return File(draw(encoded(*draw(fixed_texts(contract, texts)))))


@st.composite
def json_files(draw: st.DrawFn, contract: Contract, texts: Mapping[str, Sequence[str]]) -> File:
    """A file of JSON: objects in lines or in an array, and what is no object."""
    keys = [(json.dumps(draw(spelled(item)), ensure_ascii=False), texts[item.name]) for item in draw(present(contract))]
    keys += [(json.dumps(extra), EXTRA_TEXTS) for extra in draw(st.lists(st.sampled_from(EXTRAS), max_size=1))]
    found: list[str] = []
    for kind in draw(st.lists(st.sampled_from(["object"] * 8 + ["partly", "other", "twice", "control"]), max_size=5)):
        pairs = [f"{key}: {json_value(draw(st.sampled_from(values)), draw(st.booleans()))}" for key, values in keys]
        if kind == "partly":
            pairs = pairs[: draw(st.integers(0, len(pairs)))]
        text = "{" + ", ".join(pairs + pairs[:1] * (kind == "twice")) + "}"
        text = text.replace('"', '"\x01', 1) if kind == "control" else text
        found.append(draw(st.sampled_from(LINES)) if kind == "other" else text)
    if contract.feed.source.records_path is not None:
        data = draw(documents(found, contract.feed.source.records_path)).encode()
        return File(draw(damaged(data)) if draw(st.integers(0, 3)) == 3 else data)
    if draw(st.integers(0, 3)) == 3:
        data = ("[" + ",\n".join(found) + "]").encode()
        return File(draw(damaged(data)) if draw(st.integers(0, 7)) == 7 else data)
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    return File(draw(encoded("", end.join(found) + end * draw(st.integers(0, 1)))))


@st.composite
def documents(draw: st.DrawFn, found: Sequence[str], path: Sequence[str]) -> str:
    """Records in arrays inside of one to three documents, some of which have none."""
    cuts = sorted(draw(st.lists(st.integers(0, len(found)), max_size=2)))
    texts = []
    for start, stop in itertools.pairwise([0, *cuts, len(found)]):
        value = f"[{draw(st.sampled_from(['', ' ', chr(10)]))}{', '.join(found[start:stop])}]"
        for key in reversed(path):
            pairs = [f"{json.dumps(key)}: {value}", *draw(st.lists(st.sampled_from(BESIDE), max_size=2))]
            value = "{" + ",".join(draw(st.permutations(pairs))) + "}"
        texts.append(value)
    return draw(st.sampled_from(["", "\n", " \r\n"])).join(texts)


@st.composite
def parquet_files(draw: st.DrawFn, contract: Contract, texts: Mapping[str, Sequence[str]]) -> File:
    """A Parquet file: columns of text, or of the type that a program would give them."""
    count = draw(st.integers(0, 4))
    columns, cells, kinds = list[ParquetColumn](), list[list[Cell]](), list[str]()
    for item in draw(present(contract)):
        name = draw(spelled(item))
        kind = draw(st.sampled_from(["text", *kinds_for(item.sql_type)]))
        some = st.none() | values_of(kind, texts[item.name])
        values = draw(st.lists(some, min_size=count, max_size=count))
        kinds.append(kind)
        columns.append(stored(name, kind, values))
        cells.append([cell_of(kind, value) for value in values])
    if draw(st.integers(0, 7)) == 7:
        other = draw(st.sampled_from(["extra", columns[0].name.swapcase()]))
        columns.append(ParquetColumn(other, INT32, [7] * count))
        cells.append([Number("7")] * count)
    names = tuple(column.name for column in columns)
    rows = tuple(dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)) if count else ()
    return File(parquet_bytes(columns), Rows(names, rows, "wide" in kinds))


def kinds_for(sql_type: str) -> list[str]:
    """How a program may store the values of a column."""
    match sql_type:
        case "VARCHAR":
            return ["blob", "int", "double", "decimal", "date", "bool"]
        case "BOOLEAN":
            return ["bool", "int"]
        case "DATE":
            return ["date", "naive"]
        case "TIME":
            return ["time"]
        case "TIMESTAMP" | "TIMESTAMPTZ":
            return ["naive", "zoned", "date"]
        case _:
            return (
                ["int", "double", "decimal", "wide"]
                if sql_type not in INTEGERS
                else ["int", "int", "double", "decimal"]
            )


def values_of(kind: str, texts: Sequence[str]) -> st.SearchStrategy[object]:
    """Values of a kind: whole numbers for decimals, which have two places."""
    match kind:
        case "text" | "blob":
            return st.sampled_from(texts)
        case "bool":
            return st.booleans()
        case "int":
            return st.integers(-200, 200) | st.sampled_from([0, 1, 2**31, -(2**63), 2**63 - 1])
        case "double":
            return st.sampled_from([0.0, -0.0, 1.0, 1001.0, 0.1, 1.5, 1e16, 1e22, 0.30000000000000004, 5e-324, -2.25])
        case "decimal" | "wide":
            return st.sampled_from([0, 110, 100, -5, 12345, 10**17 - 1])
        case "date":
            return moments().map(lambda moment: moment.date())
        case "time":
            return moments().map(lambda moment: moment.time()) | st.just(dt.time(1, 2, 3, 40))
        case "zoned":
            return moments().map(lambda moment: moment.replace(tzinfo=dt.UTC))
        case _:
            return moments() | st.just(dt.datetime(2024, 1, 2, 3, 4, 5, 600))  # noqa: DTZ001 - it has no zone


def stored(name: str, kind: str, values: Sequence[object]) -> ParquetColumn:
    """Values as Parquet stores them."""
    present = [to_physical(value) for value in values]
    match kind:
        case "text" | "blob":
            return ParquetColumn(name, BYTE_ARRAY, present, UTF8 if kind == "text" else None)
        case "bool":
            return ParquetColumn(name, BOOLEAN, present)
        case "int":
            return ParquetColumn(name, INT64, present)
        case "double":
            return ParquetColumn(name, DOUBLE, present)
        case "decimal":
            return ParquetColumn(name, FIXED, present, DECIMAL, width=16, precision=38, scale=2)
        case "wide":
            return ParquetColumn(name, FIXED, present, DECIMAL, width=30, precision=SEVENTY, scale=2)
        case "date":
            return ParquetColumn(name, INT32, present, DATE)
        case "time":
            return ParquetColumn(name, INT64, present, TIME_MICROS)
        case _:
            return ParquetColumn(name, INT64, present, zoned=kind == "zoned")


def to_physical(value: object) -> object:
    """A value as the whole number, bytes or flag that is stored."""
    match value:
        case str():
            return value.encode("utf-8", "replace")
        case dt.datetime():
            return (value.replace(tzinfo=dt.UTC) - EPOCH) // dt.timedelta(microseconds=1)
        case dt.date():
            return (value - dt.date(1970, 1, 1)).days
        case dt.time():
            return ((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond
        case _:
            return value


def cell_of(kind: str, value: object) -> Cell:
    """A stored value as the oracle takes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() if kind in ("decimal", "wide"):
            return Number(f"{Decimal(value).scaleb(-2):f}")
        case int() | float():
            return Number(repr(value), isinstance(value, float))
        case _:
            return value  # type: ignore[return-value]  # text, a moment or nothing
