"""Which records are the headers of other tables."""

from itertools import product
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Feed, Required
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, parsed

TEXTS = feed(column("id", "VARCHAR", Required(), aliases=("key",)), column("place"))
TYPED = feed(column("id", "VARCHAR", Required()), column("place"), column("n", "INTEGER"))
FLAG = feed(column("id", "VARCHAR", Required()), column("yes", "BOOLEAN"), column("n", "INTEGER"))
YEAR = feed(column("id"), column("2024", "INTEGER"), column("n", "INTEGER"))


@pytest.mark.parametrize(
    ("contract", "content", "refused"),
    [
        pytest.param(TEXTS, "id,place\na,x\nplace,id\ny,b\n", True, id="all text"),
        pytest.param(TEXTS, "id,place\na,x\nPlace, KEY\ny,b\n", True, id="another spelling"),
        pytest.param(TEXTS, "id,place\na,x\nplace,London\n", False, id="text that has a column's name in it"),
        pytest.param(TYPED, "id,place,n\na,x,1\nid,place,city\n", True, id="an unknown name"),
        pytest.param(TEXTS, "id,place\na,x\nid,\nb,y\n", False, id="one field that is a name"),
        pytest.param(TEXTS, "id,place\na,x\nid,place\nb,y\n", False, id="the same header"),
        pytest.param(TYPED, "id,place,n\na,x,1\nid,n,place\nb,2,y\n", True, id="typed"),
        pytest.param(TYPED, "id,place,n\na,x,1\nid,place,2\n", False, id="names as values of a record that holds"),
        pytest.param(TYPED, "id,place,n\na,x,1\nid,x,\n", False, id="a record that holds"),
        pytest.param(TYPED, "id,place,n\na,x,1\nN,,y\n", False, id="a value that is another column's name"),
        pytest.param(TYPED, "id,place,n\na,x,1\nid,,y\n", True, id="one name in its own place"),
        pytest.param(TYPED, "id,place,n\na,x,1\nid,x,y\n", False, id="a broken record with one name"),
        pytest.param(FLAG, "id,yes,n\na,no,1\nn,yes,id\n", True, id="a name that is a value"),
        pytest.param(YEAR, "id,2024,n\na,7,1\nn,2024,id\n", True, id="a name that is a number"),
        pytest.param(parsed(TYPED, null_words=("place",)), "id,place,n\na,x,1\nb,place,n\n", True, id="a null word"),
    ],
)
def test_another_header_refuses_a_file(contract: Feed, content: str, refused: bool, tmp_path: Path) -> None:
    """A file is refused for a record that names columns where data is due, and told which record that is."""
    shop = Shop(tmp_path, contract)
    shop.deliver(named(1), content)
    shop.load()
    notes = shop.quarantine()
    assert [note["rule"] for note in notes.values()] == ["several_tables"] * refused
    if refused:
        assert "record 2 is the header of another table" in notes[named(1)]["reason"]


@pytest.mark.parametrize("contract", [TYPED, FLAG, YEAR, parsed(TYPED, null_words=("place",))])
def test_a_broken_record_is_a_header_if_half_of_it_are_names(contract: Feed, tmp_path: Path) -> None:
    """What its values tell of a record, before its text is looked at, hides no header: all records of three fields."""
    shop = Shop(tmp_path, contract)
    names = [column.name for column in contract.source_columns]
    drawn = dict(enumerate(product(["", "x", "7", " N ", *names], repeat=3)))
    for number, fields in drawn.items():
        shop.deliver(named(1, str(number)), f"{','.join(names)}\na,,1\n{','.join(fields)}\n")
    shop.load()
    headers = {number for number, fields in drawn.items() if _is_header(contract, names, fields)}
    assert {int(name.partition("_")[0]) for name in shop.quarantine()} == headers
    assert 0 < len(headers) < len(drawn)


def _is_header(contract: Feed, names: list[str], fields: tuple[str, ...]) -> bool:
    texts = [text.strip().lower() for text in fields]
    named, filled = sum(text in names for text in texts), sum(map(bool, texts))
    own = any(text == name for text, name in zip(texts, names, strict=True))
    # The same header once more is one record too many, not another table.
    return not _holds(contract, texts) and texts != names and named * 2 >= filled >= 2 and (named > 1 or own)


def _holds(contract: Feed, texts: list[str]) -> bool:
    """Whether each text is a value of its column, or missing where it may be."""
    values = {"VARCHAR": lambda _: True, "BOOLEAN": {"n", "yes"}.__contains__, "INTEGER": {"7", "2024"}.__contains__}
    return all(
        not column.required if text in ("", *column.parsing.null_words) else values[column.sql_type](text)
        for text, column in zip(texts, contract.source_columns, strict=True)
    )
