"""Where a delimited file's header is: pure, over the file's first characters."""

import pytest

from orchestration_project.contracts.feed import Required, SourceFormat
from orchestration_project.errors import FileRefused
from orchestration_project.formats.header import LINES_SEARCHED, find_header, is_one_line
from orchestration_project_tests.ingest.shop import column, feed

CONTRACT = feed(
    column("order_id", "VARCHAR", Required(), source="Order No", aliases=("order", "ORDER-ID")),
    column("amount", "DECIMAL(18,2)", Required()),
    column("note"),
)


@pytest.mark.parametrize(
    ("head", "delimiter", "positions", "line"),
    [
        pytest.param("Order No,amount\n1,2\n", ",", {"order_id": 0, "amount": 1}, 1, id="plain"),
        pytest.param(
            "note;AMOUNT;order no\n", ";", {"order_id": 2, "amount": 1, "note": 0}, 1, id="other order and case"
        ),
        pytest.param('"order"\t" amount "\n', "\t", {"order_id": 0, "amount": 1}, 1, id="alias, padded quotes"),
        pytest.param("a|b|c\n\nOrder-Id|amount\n", "|", {"order_id": 0, "amount": 1}, 3, id="preamble"),
        pytest.param(
            "note: amount,x\nOrder No,amount\n", ",", {"order_id": 0, "amount": 1}, 2, id="half a header first"
        ),
        pytest.param("x\r\nOrder No,amount\r\n", ",", {"order_id": 0, "amount": 1}, 2, id="CR LF"),
        pytest.param("x\rOrder No,amount\r", ",", {"order_id": 0, "amount": 1}, 2, id="CR"),
        pytest.param('"never closed\nOrder No,amount\n', ",", {"order_id": 0, "amount": 1}, 2, id="stray quote before"),
        pytest.param("x\u2028y\nOrder No,amount\n", ",", {"order_id": 0, "amount": 1}, 2, id="line separator before"),
    ],
)
def test_found(head: str, delimiter: str, positions: dict[str, int], line: int) -> None:
    """The first line with every required column is the header; what stands before it is skipped."""
    header = find_header(CONTRACT, head)
    assert (header.delimiter, header.positions, header.line) == (delimiter, positions, line)
    rest = head[header.length :]
    assert rest in ("", "1,2\n")


@pytest.mark.parametrize(
    ("head", "rule", "told", "line"),
    [
        pytest.param(
            "Order No,price\n", "missing_column", "line 1 lacks amount; found Order No, price", 1, id="one missing"
        ),
        pytest.param("x\n\nnote,y\n", "missing_column", "line 3 lacks Order No, amount", 3, id="best candidate"),
        pytest.param(
            "Order No,amount,order\n", "ambiguous_column", "'Order No' stands 2 times", None, id="two spellings"
        ),
        pytest.param("", "no_header", "a header line is needed", None, id="nothing"),
        pytest.param(
            "x\n" * LINES_SEARCHED + "Order No,amount\n", "no_header", "first 100 lines", None, id="too far down"
        ),
        pytest.param("Order No:amount\n", "no_header", "a header line is needed", None, id="undeclared delimiter"),
    ],
)
def test_refused(head: str, rule: str, told: str, line: int | None) -> None:
    """A file without a header is refused, and the line that comes nearest is named with what it lacks."""
    with pytest.raises(FileRefused, match=told) as caught:
        find_header(CONTRACT, head)
    assert (caught.value.rule, caught.value.line) == (rule, line)


def test_a_declared_delimiter_is_the_only_one() -> None:
    """When the contract declares the delimiter, no other one is tried."""
    contract = feed(*CONTRACT.columns, source=SourceFormat(delimiter=":"))
    assert find_header(contract, "Order No:amount\n").positions == {"order_id": 0, "amount": 1}
    with pytest.raises(FileRefused):
        find_header(contract, "Order No,amount\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n", True),
        ("a,b", True),
        ("a,b\r\n", True),
        ("a\x0cb\n", True),
        ('"a\nb"\n', False),
        ("a\rb\n", False),
        ("", False),
    ],
)
def test_is_one_line(text: str, expected: bool) -> None:
    """Only LF, CR LF and CR end a line."""
    assert is_one_line(text) is expected
