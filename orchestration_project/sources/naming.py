r"""What a file from a source is called in landing: a pattern that its key must match, and a template of its name.

Belongs here: how a key becomes a name, and pieces a file, the same for each kind of source that lists files. Does not
belong here: whether such a name can land (`fetch`), and where the two options are read.

    pattern                          name                key                     lands as
    -                                {name}              eu/2024/03/sales.csv    sales.csv
    -                                {path}              eu/2024/03/sales.csv    eu_2024_03_sales.csv
    (?P<shop>\w+)/.*/(?P<what>.+)    {what}-of-{shop}    eu/2024/03/sales.csv    sales.csv-of-eu
    .*\.csv                          {name}              eu/2024/03/notes.txt    nothing: it is not wanted
    -                                {name}              eu/sales.csv.part       nothing: it is not finished
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from orchestration_project.errors import SourceError, visible
from orchestration_project.sources.model import Item
from orchestration_project.storage.files import is_unfinished

USUAL_NAME = "{name}"
OWN = ("name", "path")
"""The fields of a template that are there without a pattern."""
FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Naming:
    """Which keys are wanted, and how their files are named.

    Attributes:
        pattern: a regular expression that a key must match as a whole; None wants every key.
        name: the template of the name in landing. `{name}` is the key's last part, `{path}` the whole key, and every
            named group of the pattern is a field too. A `/` in a field becomes `_`.
    """

    pattern: str | None = None
    name: str = USUAL_NAME

    def name_of(self, key: str) -> str | None:
        """The name under which a key's file lands; None if it is not wanted, hidden, unfinished or only a folder.

        Raises:
            SourceError: the template needs a group of the pattern that this key has nothing for.
        """
        own = key.rpartition("/")[2]
        found = self._wanted.fullmatch(key)
        if found is None or not own or own.startswith(".") or is_unfinished(own):
            return None
        fields = {"name": own, "path": key, **found.groupdict()}
        return FIELD.sub(lambda field: self._value(key, field[1], fields), self.name)

    def item(self, key: str, version: str, size: int, modified_at: dt.datetime) -> Item | None:
        """What a source lists of a key; None if it is not wanted. One that can't be named has that as its problem."""
        try:
            name = self.name_of(key)
        except SourceError as error:
            return Item(key, version, "", size, modified_at, problem=str(error))
        return None if name is None else Item(key, version, name, size, modified_at)

    def problem(self) -> str | None:
        """What is wrong with the pattern or the template; None if they can be used."""
        try:
            groups = self._wanted.groupindex
        except re.error as error:
            return f"pattern {self.pattern!r} is no regular expression: {error}"
        if taken := [name for name in OWN if name in groups]:
            return f"pattern: a group can't be called {taken[0]}, which is a field of its own; choose another name"
        if not self.name or set("{}") & set(FIELD.sub("", self.name)):
            return f"name {self.name!r} is no template, such as {USUAL_NAME!r}: each brace belongs to a field"
        fields = [*OWN, *groups]
        if unknown := [field for field in FIELD.findall(self.name) if field not in fields]:
            return f"name has {{{unknown[0]}}}, and the fields are {', '.join(f'{{{field}}}' for field in fields)}"
        return None

    @cached_property
    def _wanted(self) -> re.Pattern[str]:
        # A key may have a line break in it, which a dot does not match.
        return re.compile(".*" if self.pattern is None else self.pattern, re.DOTALL)

    def _value(self, key: str, field: str, fields: dict[str, str | None]) -> str:
        value = fields.get(field)
        if value is None:
            raise SourceError(
                f"{visible(key)} has nothing for {{{field}}} of the name {self.name!r}; have the pattern demand it, or"
                " leave the field out"
            )
        return value.replace("/", "_")


class NamedFiles(BaseModel, frozen=True, extra="forbid"):
    """What `defs.yaml` may say of every kind of source that lists files."""

    pattern: Annotated[
        str | None,
        Field(
            description="Regular expression which the whole key of a file must match to be fetched, folders included."
            " Left out: every file. Hidden and unfinished files (`.part`, `.tmp`, ...) are never fetched."
        ),
    ] = None
    name: Annotated[
        str,
        Field(
            description="Name of a file in landing: `{name}` is the last part of its key, `{path}` the whole key with"
            " `_` for `/`, and each named group of `pattern` is a field, too."
        ),
    ] = USUAL_NAME

    @property
    def naming(self) -> Naming:
        """How the files are named."""
        return Naming(self.pattern, self.name)

    @model_validator(mode="after")
    def _can_be_named(self) -> Self:
        if problem := self.naming.problem():
            raise ValueError(problem)
        return self


def written(pieces: Iterator[bytes], target: Path, item: Item, limit: int) -> int:
    """Write what a source gives of an item to a new file; returns how many bytes.

    Raises:
        SourceError: the item is larger than the limit. Not more than that is asked for.
    """
    count = 0
    with target.open("xb") as stream:
        for piece in pieces:
            count += len(piece)
            require_size(item, count, limit)
            stream.write(piece)
    return count


def require_size(item: Item, size: int, limit: int) -> None:
    """Raise SourceError if an item has more bytes than the limit."""
    if size > limit:
        raise SourceError(
            f"{visible(item.key)} has more than {limit:,} bytes; raise the source's `max_bytes` if such a file is meant"
        )
