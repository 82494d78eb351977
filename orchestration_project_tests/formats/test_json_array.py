"""Splitting JSON arrays by blocks of any size."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.errors import FileRefused
from orchestration_project.formats import json_array as module
from orchestration_project.formats.json_array import write_elements

TEXTS = st.text(st.sampled_from('a\\"[]{},:\n\r ü'), max_size=6)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def lines(folder: Path, content: bytes, block: int) -> list[bytes]:
    (folder / "in.json").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        write_elements(folder / "in.json", 0, folder / "out.json", "in.json")
    return (folder / "out.json").read_bytes().splitlines()


@pytest.mark.parametrize("block", [1, 10, 1000])
def test_commas_between_elements_become_line_ends(block: int, tmp_path: Path) -> None:
    """Commas in elements and in strings stay, line ends between values become spaces."""
    content = b'[{"id": "a,b",\n "n": [1, 2]},\n 3]'
    assert lines(tmp_path, content, block) == [b' {"id": "a,b",  "n": [1, 2]}', b"  3"]


@settings(max_examples=200, deadline=None)
@given(elements=st.lists(VALUES, max_size=5), indent=st.sampled_from([None, 1]), block=st.integers(1, 12))
def test_every_element_is_a_line(
    elements: list[object], indent: int | None, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Elements of any kind arrive one a line, whatever stands in strings and wherever blocks end."""
    content = json.dumps(elements, indent=indent, ensure_ascii=False).encode()
    found = lines(tmp_path_factory.mktemp("array"), b" \n" + content + b"\n ", block)
    assert [json.loads(line) for line in found] == elements


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"[1, 2", "does not end", id="no end"),
        pytest.param(b'[1, "2]', "does not end", id="open string"),
        pytest.param(b'[1, "2\\"]', "does not end", id="escaped quote"),
        pytest.param(b"[1] 2", "after its end", id="more"),
        pytest.param(b"[1}", "ends with }", id="another bracket"),
        pytest.param(b"[1} [2]", "ends with }", id="another bracket, then an array"),
    ],
)
def test_what_is_no_array(content: bytes, told: str, block: int, tmp_path: Path) -> None:
    """An array that does not end where the file ends is refused, wherever blocks end."""
    with pytest.raises(FileRefused, match=told):
        lines(tmp_path, content, block)
