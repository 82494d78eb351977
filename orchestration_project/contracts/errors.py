"""Strict reading of a contract's YAML text, and how its problems are collected, each with its line.

What a person wrote is what the program gets, or a problem. Plain words follow YAML 1.2's core schema: only `true` and
`false` are booleans (`NO` stays Norway), `12:30:00` and dates are text, decimal numbers keep every digit. Duplicate
keys, which PyYAML merges silently, are problems.

ruamel.yaml speaks YAML 1.2 by itself. It would replace the five resolvers below, and need as many lines of ours to give
up dates, `1_000`, `=` and binary fractions. It finds one duplicate key at a time. Dagster needs PyYAML in any case.

Belongs here also: `ContractError` and `Place`, through which every other module of this package reports. Does not
belong here: what a problem is.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

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
    # `null_values` differs from `nullValues` in two characters, but not for the person who typed it.
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


_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge"))
# DOUBLE ends at 1e308. Also how many digits a whole number may have.
_LARGEST_EXPONENT = 300
# No contract is half as deep. What comes after recurses, and Python ends that at a thousand calls.
_DEEPEST = 50
# Aliases of aliases make millions of values of a few lines, and everything that reads a contract visits each of them:
# such a contract once kept the process busy for minutes.
_MOST_VALUES = 100_000
# In a statement DuckDB ends at NUL, and half of a pair can't be encoded.
_UNPRINTABLE = re.compile("[\x00\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    # Without the resolvers of YAML 1.1, which would make NO false and 12:30:00 a number in base 60.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's class attribute


_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
# As in YAML 1.2: 007 is seven and not octal, 1_000 is text.
_Loader.add_implicit_resolver(
    _TAG + "int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    _TAG + "float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver(_TAG + "merge", re.compile(r"^<<$"), ["<"])


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    if len(text) > _LARGEST_EXPONENT:
        # Turning very many digits into a number takes quadratic time; Python refuses 4300 of them with an error.
        raise ValueError("the number is too long")
    return int(text[2:] if base != 10 else text, base)


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    # As a float, a limit of 0.1 would be another number than 0.1 in a file.
    number = Decimal(loader.construct_scalar(node))
    if abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError("the number is too large or too small")
    return number


_Loader.add_constructor(_TAG + "int", _int)
_Loader.add_constructor(_TAG + "float", _float)


def read_yaml(text: str, place: Place) -> Any:
    """The document in `text` as dicts with text keys, lists, str, int, Decimal, bool and None; None after a problem."""
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        # Only composed: the nodes know their lines, and an alias is still one node. Constructed values know neither.
        root = loader.get_single_node()
        if root is None:
            place.problem("the file is empty; a contract starts with `apiVersion: v3.1.0`")
            return None
        before = len(place.problems)
        for line, message in _problems(root):
            place.problem(f"line {line}: {message}")
        if len(place.problems) == before and _size(root, {}) > _MOST_VALUES:
            place.problem(f"its aliases make more than {_MOST_VALUES:,} values of it; write out what they stand for")
        return loader.construct_document(root) if len(place.problems) == before else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place.problem(f"line {mark.line + 1 if mark else '?'}: not valid YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        place.problem(f"not valid YAML: {' '.join(str(error).split())}")
    # PyYAML's parser calls itself for each bracket, so 5,000 of them never reach our own check of the depth.
    except RecursionError:
        place.problem("nested too deeply")
    finally:
        if loader is not None:
            loader.dispose()
    return None


def _problems(root: yaml.Node) -> Iterator[tuple[int, str]]:
    """Line and message of what YAML allows and a contract may not have.

    Each node is visited once: an alias is the same node again, and a few of them nested stand for millions of paths.
    """
    seen: set[int] = set()
    ancestors: list[int] = []

    def visit(node: yaml.Node) -> Iterator[tuple[int, str]]:
        if id(node) in ancestors:
            yield node.start_mark.line + 1, "a node that contains itself"
        elif len(ancestors) == _DEEPEST:
            yield node.start_mark.line + 1, "nested too deeply"
        elif id(node) not in seen:
            seen.add(id(node))
            yield from _node_problems(node)
            ancestors.append(id(node))
            for child in _children(node):
                yield from visit(child)
            ancestors.pop()

    return visit(root)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for when every alias is written out; each node is visited once."""
    if id(node) not in known:
        known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    return known[id(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _node_problems(node: yaml.Node) -> Iterator[tuple[int, str]]:
    line = node.start_mark.line + 1
    if node.tag not in _PLAIN_TAGS:
        yield line, f"the tag {node.tag!r} is not allowed"
    elif isinstance(node, yaml.ScalarNode):
        yield from _scalar_problems(node, line)
    elif isinstance(node, yaml.MappingNode):
        yield from _key_problems(node)


def _key_problems(node: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag not in (_TAG + "str", _TAG + "merge"):
            yield line, "a key must be text"
        elif key.value in first:
            yield line, f"the key {key.value!r} is already on line {first[key.value]}; each key may be given once"
        else:
            first[key.value] = line
            yield from _scalar_problems(key, line)


def _scalar_problems(node: yaml.ScalarNode, line: int) -> Iterator[tuple[int, str]]:
    if _UNPRINTABLE.search(node.value):
        yield line, "a text may not hold NUL or half of a surrogate pair"
    # Made here once to find out: an error from a constructor later would not know the line.
    if node.tag in (_TAG + "int", _TAG + "float"):
        try:
            (_int if node.tag.endswith("int") else _float)(yaml.SafeLoader(""), node)
        except (ValueError, InvalidOperation):
            yield line, f"{node.value[:40]!r} is not a number that can be used here"
    elif node.tag == _TAG + "bool" and node.value.casefold() not in ("true", "false"):
        yield line, f"{node.value[:40]!r} is neither true nor false"
