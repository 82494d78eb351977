"""Which records are the headers of other tables."""

from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Feed, Required
from orchestration_project_tests.ingest.shop import Shop, column, feed, named

TEXTS = feed(column("id", "VARCHAR", Required(), aliases=("key",)), column("place"))
TYPED = feed(column("id", "VARCHAR", Required()), column("place"), column("n", "INTEGER"))


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
