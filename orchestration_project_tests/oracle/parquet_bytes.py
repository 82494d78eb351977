"""Write small Parquet files byte by byte, also such as DuckDB would never write: any width of decimals, names twice.

One row group, one page a column, no compression, every value optional. Belongs here: the file format alone.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

BOOLEAN, INT32, INT64, DOUBLE, BYTE_ARRAY, FIXED = 0, 1, 2, 5, 6, 7
UTF8, DECIMAL, DATE, TIME_MICROS = 0, 5, 6, 8
I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
PLAIN, RLE = 0, 3

Field = tuple[int, int, Any]


@dataclass(frozen=True, slots=True)
class ParquetColumn:
    """A column: its name, its physical type, what that means, and its values, ready to be packed.

    `zoned` is None for all but timestamps. Decimals are given as whole numbers, moments as micros or days since 1970.
    """

    name: str
    physical: int
    values: Sequence[Any]
    converted: int | None = None
    width: int = 0
    precision: int = 0
    scale: int = 0
    zoned: bool | None = None


def parquet_bytes(columns: Sequence[ParquetColumn]) -> bytes:
    """A Parquet file of some columns, all of the same length."""
    body, chunks = b"PAR1", []
    rows = len(columns[0].values)
    for column in columns:
        page = _levels(column.values) + _packed(column)
        header = _struct(
            (1, I32, 0),
            (2, I32, len(page)),
            (3, I32, len(page)),
            (5, STRUCT, [(1, I32, rows), (2, I32, PLAIN), (3, I32, RLE), (4, I32, RLE)]),
        )
        size, place = len(header) + len(page), len(body)
        meta = [
            (1, I32, column.physical),
            (2, LIST, (I32, [PLAIN, RLE])),
            (3, LIST, (BINARY, [column.name.encode()])),
            (4, I32, 0),
            (5, I64, rows),
            (6, I64, size),
            (7, I64, size),
            (9, I64, place),
        ]
        chunks.append([(2, I64, place), (3, STRUCT, meta)])
        body += header + page
    group = [(1, LIST, (STRUCT, chunks)), (2, I64, len(body) - 4), (3, I64, rows)]
    root = [(4, BINARY, b"schema"), (5, I32, len(columns))]
    footer = _struct(
        (1, I32, 1),
        (2, LIST, (STRUCT, [root, *map(_schema, columns)])),
        (3, I64, rows),
        (4, LIST, (STRUCT, [group])),
    )
    return body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _schema(column: ParquetColumn) -> list[Field]:
    fields: list[Field] = [(1, I32, column.physical)]
    fields += [(2, I32, column.width)] if column.physical == FIXED else []
    fields += [(3, I32, 1), (4, BINARY, column.name.encode())]
    fields += [(6, I32, column.converted)] if column.converted is not None else []
    fields += [(7, I32, column.scale), (8, I32, column.precision)] if column.converted == DECIMAL else []
    if column.zoned is not None:
        fields.append(
            (10, STRUCT, [(8, STRUCT, [(1, 1 if column.zoned else 2, None), (2, STRUCT, [(2, STRUCT, [])])])])
        )
    return fields


def _levels(values: Sequence[Any]) -> bytes:
    """Which values are there, a bit each."""
    groups = (len(values) + 7) // 8
    bits = sum((value is not None) << place for place, value in enumerate(values))
    packed = _varint(groups << 1 | 1) + bits.to_bytes(groups, "little")
    return struct.pack("<I", len(packed)) + packed


def _packed(column: ParquetColumn) -> bytes:
    present = [value for value in column.values if value is not None]
    match column.physical:
        case 0:
            bits = sum(value << place for place, value in enumerate(present))
            return int(bits).to_bytes((len(present) + 7) // 8, "little")
        case 6:
            return b"".join(struct.pack("<I", len(value)) + value for value in present)
        case 7:
            return b"".join(int(value).to_bytes(column.width, "big", signed=True) for value in present)
        case kind:
            return struct.pack(f"<{len(present)}{ {1: 'i', 2: 'q', 5: 'd'}[kind] }", *present)


def _struct(*fields: Field) -> bytes:
    """A struct in Thrift's compact protocol."""
    written, last = b"", 0
    for number, kind, value in fields:
        written += bytes([number - last << 4 | kind]) + _value(kind, value)
        last = number
    return written + b"\0"


def _value(kind: int, value: Any) -> bytes:
    match kind:
        case 5 | 6:
            return _varint(value << 1 if value >= 0 else (-value << 1) - 1)
        case 8:
            return _varint(len(value)) + bytes(value)
        case 9:
            inner, items = value
            size = bytes([len(items) << 4 | inner]) if len(items) < 15 else bytes([0xF0 | inner]) + _varint(len(items))
            return size + b"".join(_value(inner, item) for item in items)
        case 12:
            return _struct(*value)
        case _:
            return b""  # a boolean field is its own type


def _varint(value: int) -> bytes:
    return bytes(_sevens(value))


def _sevens(value: int) -> Iterable[int]:
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value
