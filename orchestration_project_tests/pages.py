"""README, CONTRIBUTING and docs as data: the pages, the fenced blocks in them, and their prose.

What the blocks do is not known here.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = {"docs/catalogue.md", "docs/reference.md", "docs/reliability.md"}
"""Pages whose text is made from the code; in `docs/commands.md` it is what stands below this mark."""
GENERATED_BELOW = "<!-- reference: begin -->"
WRITTEN = [page for page in [*PAGES, ROOT / "CHANGELOG.md"] if page.relative_to(ROOT).as_posix() not in GENERATED]
"""The pages whose prose is written by people."""
FENCE = re.compile(r"(?ms)^(?P<indent> *)```(?P<language>\w+)(?P<note>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$")
NO_TEST = "no-test: "


def page_id(page: Path) -> str:
    """A page's path from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        page: its page, from the root of the repository.
        line: of the page, where its fence opens.
        language: `sh`, `sql`, ...
        note: what stands behind the language: `no-test: REASON`, `exit: CODE` or nothing.
        text: what stands between the fences, without its indentation.
        follows: whether nothing stands between it and the block before.
    """

    page: str
    line: int
    language: str
    note: str
    text: str
    follows: bool

    @property
    def untested(self) -> str:
        """Why the block is not run; empty for one that is."""
        return self.note.removeprefix(NO_TEST) if self.note.startswith(NO_TEST) else ""

    @property
    def file(self) -> str:
        """The file that the block is the whole of, as its first line says; empty for others."""
        named = re.match(r"(?:#|--) ([\w./]+/[\w.]+)\n", self.text)
        return named[1] if named else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}\n{self.text}"


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page that name a language, from top to bottom."""
    text, end = page.read_text(encoding="utf-8"), 0
    for found in FENCE.finditer(text):
        follows = end > 0 and not text[end : found.start()].strip()
        end = found.end()
        yield Block(
            page_id(page),
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            found["note"].strip(),
            textwrap.dedent(found["text"]),
            follows,
        )


def prose_of(page: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a page that people wrote: no code, no generated part."""
    code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").partition(GENERATED_BELOW)[0].splitlines(), 1):
        fence = line.lstrip().startswith("```")
        if not code and not fence:
            yield number, line
        code ^= fence
