"""How the problems of a contract are collected and put into words.

Belongs here: `ContractError`, `Place`, through which every other module of this package reports, and the words that
their messages share. Does not belong here: what is a problem.
"""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestration_project.errors import PlatformError

# Enough for every type with its synonyms; a contract may have hundreds of columns.
_MOST_LISTED = 60
_LONGEST_EXCERPT = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one path of the document, and what is allowed there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ContractError(PlatformError):
    """A contract can't be used; `problems` is everything that is wrong with it, never empty."""

    def __init__(self, file: Path, problems: Iterable[Problem]) -> None:
        self.file = file
        # Two checks may find the same problem.
        self.problems = tuple(dict.fromkeys(problems))
        count = "a problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"contract {file} has {count}:", *(f"  {problem}" for problem in self.problems)]))


@dataclass(frozen=True, slots=True)
class Place:
    """A path in the document. All places that are made from one another share one list of problems.

    Attributes:
        path: as it is shown to a reader, e.g. `schema[0].properties[3].name`.
        subject: opens each message, e.g. `column 'price'`, since an index in a path tells a reader little.
        problems: what was reported here, above or below.
        patterns: the regular expressions of the document with their places. This package has no engine that could
            compile them, so whoever loads the contract has it done (`build.load_feed`).
    """

    path: str = ""
    subject: str = ""
    problems: list[Problem] = field(default_factory=list)
    patterns: "list[tuple[Place, str]]" = field(default_factory=list, repr=False, compare=False)

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

    def pattern(self, regex: str) -> None:
        """Remember a regular expression that stands here."""
        self.patterns.append((self, regex))


def listed(words: Iterable[object]) -> str:
    """The words with commas between them; of very many only the first."""
    texts = list(map(str, words))
    more = len(texts) - _MOST_LISTED
    return ", ".join(texts if more <= 0 else [*texts[:_MOST_LISTED], f"... ({more} more)"])


def did_you_mean(word: str, allowed: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean 'x'?` for the allowed word that is closest to `word`, or nothing when none is close."""
    by_key = {_without_spelling(candidate): candidate for candidate in allowed}
    close = difflib.get_close_matches(_without_spelling(word), by_key, n=1, cutoff=cutoff)
    return f"; did you mean {by_key[close[0]]!r}?" if close else ""


def _without_spelling(word: str) -> str:
    """A word without the differences that a typist does not see: case, and `_`, `-` or blanks between its parts."""
    return "".join(character for character in word.casefold() if character.isalnum())


def excerpt(value: Any) -> str:
    """A value as the contract's author wrote it, shortened."""
    if isinstance(value, dict | list):
        text = json.dumps(value, default=str, ensure_ascii=False)
    elif isinstance(value, bool | None):
        text = {True: "true", False: "false", None: "nothing"}[value]
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}..."
