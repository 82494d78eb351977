"""Files that are made to fill the memory: what a load of them takes stays below a bound, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from orchestration_project.contracts.feed import Feed, FileFormat, Required, SourceFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.errors import WarehouseError
from orchestration_project.settings import Settings
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("input")

MB = 1 << 20
LINES = effort(1, 4) * 500_000
DUCKDB_MB = 512
"""What DuckDB may use."""
OTHERS_MB = 450
"""What the interpreter, its libraries (about 130) and the reading in Python may use beside it."""

CHILD = """
import sys
from pathlib import Path
from orchestration_project_tests.reliability.test_input_memory import FrugalShop, contract_of
shop = FrugalShop(Path(sys.argv[1]), contract_of(sys.argv[2]))
shop.load()
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
entries = shop.ledger("file", "status", "records", "cleaned", "rejected", "blank_records", "reason")
print(int(status["VmHWM"].split()[0]) // 1024, entries[0][1:])
"""


def contract_of(kind: str) -> Feed:
    """A contract for files of a format, or for CSV in an encoding, or for fixed width ones of which bytes count."""
    if kind == "gb18030":
        return feed(source=SourceFormat(encoding=kind))
    if kind != "fixed_width":
        return feed(source=SourceFormat(FileFormat(kind)))
    columns = (column("id", "VARCHAR", Required(), span=Span(1, 6)), column("n", "INTEGER", span=Span(7, 3)))
    fixed = FixedWidth(count_bytes=True)
    return feed(*columns, source=SourceFormat(FileFormat.FIXED_WIDTH, encoding="gb18030", fixed=fixed))


class FrugalShop(Shop):
    """A shop whose DuckDB has little memory, and which takes files of up to 4 GB."""

    memory = f"{DUCKDB_MB}MB"

    @property
    def settings(self) -> Settings:
        """The settings."""
        return Settings(
            data_dir=self.folder, lock_timeout=0.2, threads=1, memory_limit=self.memory, max_file_bytes=4 << 30
        )


class StarvedShop(FrugalShop):
    """A shop whose DuckDB can't even open a file."""

    memory = "1MB"


def long_line(scale: int) -> Iterator[bytes]:
    yield b"id,n\na,1\n"
    for _ in range(80 * scale):
        yield b"x" * MB


def long_field(_: int) -> Iterator[bytes]:
    yield b'id,n\n"'
    for _ in range(50):
        yield b"x" * MB
    yield b'",1\na,1\n'


def long_line_beside_quotes(scale: int) -> Iterator[bytes]:
    yield b'id,n\n"a,1\n'
    for _ in range(80 * scale):
        yield b"x" * MB
    yield b"\na,1\n"


def empty_lines(scale: int) -> Iterator[bytes]:
    yield b"id,n\n"
    for _ in range(10 * scale):
        yield b"\n" * 50_000


def wide(_: int) -> Iterator[bytes]:
    yield b"id,n" + b"".join(b",c%d" % number for number in range(2000)) + b"\n"
    yield b"a,1" + b",z" * 2000 + b"\n"


def array(scale: int) -> Iterator[bytes]:
    yield b'[{"id":"a","n":1}'
    for _ in range(scale):
        yield b',{"id":"abcdefghijklmnop","n":123}' * 100_000
    yield b"]"


def letters_of_two_bytes(scale: int) -> Iterator[bytes]:
    yield b"id,n\n"
    for _ in range(scale):
        yield "中国茅台,17\n".encode("gb18030") * 500_000


def lines_in_bytes(scale: int) -> Iterator[bytes]:
    for _ in range(scale):
        yield "中国a  17\n".encode("gb18030") * 500_000
    yield "中".encode("gb18030") * (2 * MB) + b"\n"


def bomb(scale: int) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor().compressobj()
    for _ in range(200 * scale):
        yield packer.compress(bytes(MB))
    yield packer.flush()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("make", "file_format", "expected"),
    [
        pytest.param(long_line, "csv", "'loaded', 2, 1, 1, 0", id="a line without an end"),
        pytest.param(long_field, "csv", "'loaded', 2, 2, 0, 0", id="a field of 50 MB"),
        pytest.param(long_line_beside_quotes, "csv", "'loaded', 3, 1, 2, 0", id="a long line beside a broken quote"),
        pytest.param(empty_lines, "csv", "'loaded', 0, 0", id="empty lines"),
        pytest.param(wide, "csv", "'loaded', 1, 1, 0, 0", id="2,000 columns"),
        pytest.param(array, "json", "'loaded'", id="a JSON array"),
        pytest.param(letters_of_two_bytes, "gb18030", f"'loaded', {LINES}, {LINES}, 0, 0", id="GB 18030"),
        pytest.param(
            lines_in_bytes, "fixed_width", f"'loaded', {LINES + 1}, {LINES}, 1, 0", id="fixed width, in bytes"
        ),
        pytest.param(bomb, "csv", "no_header", id="a bomb"),
    ],
)
@pytest.mark.found("Lines without an end, empty lines and JSON arrays were taken into memory as a whole.")
def test_memory_is_bounded(make: object, file_format: str, expected: str, tmp_path: Path) -> None:
    """The peak of a process that loads the file is below what DuckDB may use and a constant, however large it is."""
    assert callable(make)
    path = tmp_path / "landing" / "f" / named(1)
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.writelines(make(effort(1, 4)))
    command = [sys.executable, "-W", "error", "-c", CHILD, str(tmp_path), file_format]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # DuckDB may draw a bar of its progress before it.
    peak, told = done.stdout.splitlines()[-1].split(" ", 1)
    if make is empty_lines:
        expected = f"'loaded', {LINES}, 0, 0, {LINES}"
    assert expected in told
    assert int(peak) < DUCKDB_MB + OTHERS_MB
    tried()


@pytest.mark.found("With less than 1 GB for DuckDB every delimited file was refused: its buffers did not fit.")
def test_a_small_memory_limit_is_enough_for_small_files(tmp_path: Path) -> None:
    """A file is read in buffers of its own size, not of the longest record that there could be."""
    shop = FrugalShop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    assert shop.cleaned("id") == ["a"]


@pytest.mark.found("A file was refused, as unreadable, when DuckDB ran out of memory.")
def test_too_little_memory_is_not_the_fault_of_the_file(tmp_path: Path) -> None:
    """The load stops and says what to do; the file stays in landing and loads when there is memory."""
    starved = StarvedShop(tmp_path)
    starved.deliver(named(1), "id,n\n" + "a,1\n" * 100_000)
    with pytest.raises(WarehouseError, match="WAREHOUSE_MEMORY_LIMIT higher"):
        starved.load()
    assert starved.landing() == [named(1)]
    shop = FrugalShop(tmp_path)
    shop.load()
    assert len(shop.cleaned("id")) == 100_000
