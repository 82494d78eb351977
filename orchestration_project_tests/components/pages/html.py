"""Pages, taken apart: what the tests of every HTML page need, and texts that try to be more than text."""

from html.parser import HTMLParser

import pytest

HOSTILE = [
    pytest.param("<script>alert(1)</script>", id="markup"),
    pytest.param("\"><img src=x onerror='x'>", id="end of an attribute"),
    pytest.param("{{ 7 * 7 }}{% raw %}", id="template"),
    pytest.param("</title></style></script><!--", id="ends of elements"),
    pytest.param("a\x00b\x1b[31mc\r\nd", id="control characters"),
    pytest.param("\u202egnp.exe\u2066\u200f", id="marks that turn the direction"),
]
VOID = {"meta", "br", "input", "rect", "line"}


class Page(HTMLParser):
    """A page, taken apart; every element that is opened has to be closed in turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Make sure that it is the innermost one that ends."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note what people read."""
        if not {"style", "script"} & {*self.open}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that people read, in order."""
        return " ".join(" ".join(self.texts).split())

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        """The attributes of all elements with these names."""
        return [attributes for tag, attributes in self.tags if tag in tags]
