"""How a contract's problems are collected and told.

Belongs here: `ContractError`, and `Place`, through which every other module of this package reports. Does not belong
here: what is a problem.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestration_project.errors import PlatformError

_MOST_LISTED = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one path of the document, and what is allowed there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ContractError(PlatformError):
    """A contract can't be used; `problems` is all that is wrong with it, never empty."""

    def __init__(self, file: Path, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(dict.fromkeys(problems))
        count = "a problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"contract {file} has {count}:", *(f"  {problem}" for problem in self.problems)]))


@dataclass(frozen=True, slots=True)
class Place:
    """A path in the document; problems reported here and at every place reached from here land in one list.

    `subject` (e.g. `column 'price'`) opens each message, since an index in a path tells a reader little.
    """

    path: str = ""
    subject: str = ""
    problems: list[Problem] = field(default_factory=list)

    def key(self, *names: str) -> "Place":
        """The place of a field below this one."""
        return replace(self, path=".".join([self.path, *names] if self.path else names))

    def item(self, index: int) -> "Place":
        """The place of an entry of the list here."""
        return replace(self, path=f"{self.path}[{index}]")

    def about(self, subject: str) -> "Place":
        """The same place, with what it is about in words."""
        return replace(self, subject=subject)

    def problem(self, message: str) -> None:
        """Report what is wrong here."""
        self.problems.append(Problem(self.path, f"{self.subject}: {message}" if self.subject else message))


def listed(words: Iterable[object]) -> str:
    """The words with commas between them; of very many only the first."""
    texts = list(map(str, words))
    more = len(texts) - _MOST_LISTED
    return ", ".join(texts if more <= 0 else [*texts[:_MOST_LISTED], f"... ({more} more)"])


def did_you_mean(word: str, allowed: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean 'x'?` for the allowed word that is closest to `word`, or nothing when none is close."""
    by_key = {spelled(candidate): candidate for candidate in allowed}
    close = difflib.get_close_matches(spelled(word), by_key, n=1, cutoff=cutoff)
    return f"; did you mean {by_key[close[0]]!r}?" if close else ""


def spelled(word: str) -> str:
    """A word without the differences that a typist does not see: case, and `_`, `-` or blanks between its parts."""
    return "".join(character for character in word.casefold() if character.isalnum())
