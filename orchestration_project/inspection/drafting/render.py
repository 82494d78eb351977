"""Render a draft: contract and defs.yaml, each guess with `# check:` and what it rests on. Pure functions.

Texts from the samples are quoted as JSON, which YAML reads the same. Comments have only names that were made here, and
numbers: so no text of a sample can end a comment and become YAML.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestration_project.contracts.feed import Column
from orchestration_project.inspection.drafting.documents import path_of
from orchestration_project.inspection.drafting.groups import Groups
from orchestration_project.inspection.drafting.keys import FEWEST_RECORDS, Keys
from orchestration_project.inspection.drafting.layout import Layout
from orchestration_project.inspection.drafting.names import Naming, personal_because
from orchestration_project.inspection.drafting.tail import Edge
from orchestration_project.inspection.drafting.types import Guess

UNSURE = "which encoding they have can't be told from their bytes (cp1252, Mac Roman, Shift_JIS, ...)"
DATED = "told by the dates in the names of the samples"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Records that tell nothing of the columns: how many could not be split, and what looks like totals."""

    ragged: int = 0
    edges: tuple[Edge, ...] = ()

    @property
    def ignored(self) -> tuple[Edge, ...]:
        """Those that the draft ignores; the others are only proposed."""
        return tuple(edge for edge in self.edges if edge.certain)


@dataclass(frozen=True, slots=True)
class DraftParts:
    """What a draft is rendered from.

    Attributes:
        name: of the feed.
        files: the number of samples.
        layout: how the samples are written.
        naming: how their names tell their batch.
        columns: header and guess by column.
        keys: the possible primary keys.
        groups: the columns that only the first record of a group has.
        place: the column that the files' names tell.
        left_out: the records that types and keys were not guessed from.
    """

    name: str
    files: int
    layout: Layout
    naming: Naming
    columns: Mapping[str, tuple[str, Guess]]
    keys: Keys
    groups: Groups
    place: Column | None = None
    left_out: LeftOut = LeftOut()


def render_contract(parts: DraftParts) -> str:
    """The text of the contract."""
    return "\n".join([*_head(parts), *_columns(parts)]) + "\n"


def render_defs(parts: DraftParts) -> str:
    """The text of the defs.yaml."""
    naming = parts.naming
    lines = [
        "type: orchestration_project.components.FileFeed",
        "attributes:",
        f"  contract: {parts.name}.odcs.yaml",
        f"  cadence: {naming.cadence}{_check(DATED if naming.pattern else 'nothing tells it')}",
        f'  start_date: "{naming.first.year}-01-01"{_check("files for earlier batches are refused")}',
    ]
    # In single quotes: in double ones YAML would read the pattern's backslashes.
    if naming.pattern:
        lines.append(f"  batch_pattern: '{naming.pattern}'{_check(f'fits the names of all {parts.files} sample(s)')}")
    else:
        lines.append(
            "  # check: the samples' names have no date, so a file's batch is the day on which it was last modified; if"
            "\n  # each file is the whole truth, write `mode: snapshot` instead of the cadence"
        )
    return "\n".join(lines) + "\n"


def _check(*reasons: str) -> str:
    return f"  # check: {'; '.join(reason for reason in reasons if reason)}"


def _quoted(text: str) -> str:
    # YAML refuses many unprintable characters, and the surrogate pairs that JSON writes for the others.
    written = json.dumps(text, ensure_ascii=False)
    return "".join(mark if mark.isprintable() else f"\\U{ord(mark):08x}" for mark in written)


def _head(parts: DraftParts) -> Iterator[str]:
    layout, records = parts.layout, parts.keys.records
    yield f"# A draft from {parts.files} sample file(s) with {records:,} records. Each `check:` is a guess and"
    yield "# what it rests on: let somebody who knows these files go through them, then take the comments out."
    yield "apiVersion: v3.1.0\nkind: DataContract"
    yield f"id: {parts.name.replace('_', '-')}\nname: {parts.name.replace('_', ' ').capitalize()}"
    yield "version: 0.1.0\nstatus: draft\n\nservers:\n  - server: landing\n    type: local"
    yield f"    path: landing/{parts.name}\n    format: {layout.format}"
    if layout.encoding:
        yield from _encoding(layout)
    if layout.declared_delimiter:
        yield "    customProperties:\n      - property: delimiter"
        yield f"        value: {_quoted(layout.declared_delimiter)}{_check('it gives the most even columns')}"
    if layout.sheet:
        yield "    customProperties:\n      - property: sheet"
        yield f"        value: {_quoted(layout.sheet)}{_check('the first with a header; * means all with this one')}"
    if layout.records_path:
        yield "    customProperties:\n      - property: recordsPath"
        yield f"        value: {_quoted(path_of(layout.records_path))}{_check('the only array of objects')}"
    if layout.left_out:
        yield f"# check: {layout.left_out} column(s) have no name, or one that stands twice; they go to _rescued"
    yield "\nslaProperties:"
    unit = {"daily": "d", "monthly": "mo"}[parts.naming.cadence]
    for name, why in (("latency", "how long after its end a batch may be missing"), ("frequency", "as the cadence")):
        yield f"  - property: {name}\n    value: 1{_check(why)}\n    unit: {unit}"
    yield f"\nschema:\n  - name: {parts.name}\n    physicalType: file"
    yield from _left_out(parts.left_out, parts.files)
    yield "    properties:"


def _left_out(left_out: LeftOut, files: int) -> Iterator[str]:
    if left_out.ragged:
        yield f"    # check: {left_out.ragged:,} records have more or fewer fields than the header, so they would be"
        yield "    # rejected; the types below rest on the others"
    for edge in left_out.edges:
        yield from _edge(edge, files)
    if left_out.ignored:
        yield "    customProperties:\n      - property: ignoredRecords\n        value:"
    for edge in left_out.ignored:
        yield f"          - name: {'summary' if edge.first else 'totals'}"
        yield f"            condition: {_in_quotes(edge.condition)}"


def _edge(edge: Edge, files: int) -> Iterator[str]:
    of = "every sample looks" if edge.samples == files else f"{edge.samples} of {files} samples looks"
    where, what = ("first", "a summary of the others") if edge.first else ("last", "a total")
    yield f"    # check: the {where} record of {of} like {what}; nothing below rests on it."
    if not edge.condition:
        yield "    # What tells such records from the others was not found: see `ignoredRecords` in docs/contracts.md"
    elif not edge.certain:
        # Data that is ignored would be missing, so this stays a proposal.
        yield "    # It would be rejected. If it is no data, let it be ignored by the custom property `ignoredRecords`:"
        yield f"    #   - {{name: totals, condition: {_in_quotes(edge.condition)}}}"
    if edge.summed:
        yield f"    # It has the sum of {', '.join(edge.summed)}."
        yield f"    # `controlTotal: {{column: {edge.summed[0]}}}` behind the condition would compare them."


def _in_quotes(text: str) -> str:
    """A text as YAML in single quotes, in which backslashes are read as they stand."""
    return "'" + text.replace("'", "''") + "'"


def _encoding(layout: Layout) -> Iterator[str]:
    encoding = str(layout.encoding)
    if encoding.startswith("utf"):
        yield f"    encoding: {encoding}{_check('every second byte of the samples is 0')}"
        return
    # Nearly any bytes are a text in each of these, of other letters.
    yield f"    # check: the samples are not UTF-8; {UNSURE}."
    if layout.other_encodings:
        yield f"    # They are text as {', '.join(layout.other_encodings)}, too, with letters of East Asia."
    if layout.has_controls:
        yield f"    # As {encoding} they have control characters, which no text has: it is rather another encoding."
    yield f"    # Read as {encoding}, wrong letters load without an error: ask who writes the files, or look at a name"
    yield "    # or a text with accents in a dry run (`explain`), and declare another encoding until it is right"
    yield f"    encoding: {encoding}"


def _columns(parts: DraftParts) -> Iterator[str]:
    yield from (f"      # check: {line}" for line in _key_lines(parts.keys))
    for name, (header, guess) in parts.columns.items():
        yield f"      - name: {name}"
        if parts.place and parts.place.name == name:
            yield from _place(parts.place)
        else:
            yield f"        physicalName: {_quoted(header)}"
        reasons = [*_type_reasons(guess), _amount(name, parts.groups)]
        yield f"        physicalType: {guess.option.physical}{_check(*reasons)}"
        yield f"        logicalType: {guess.option.logical}"
        yield from _options(guess, parts.groups.within if name in parts.groups.filled else "")
        yield from _presence(name, guess, parts.keys)
        if why := personal_because(name, guess.values):
            yield f"        classification: personal{_check(f'likely about people, by {why}')}"


def _place(column: Column) -> Iterator[str]:
    pattern = column.value_from.text if column.value_from else ""
    yield "        customProperties:\n          - property: valueFrom"
    yield f"            value: {{fileName: {_quoted(pattern)}}}{_check('the names of the samples differ in it')}"


def _type_reasons(guess: Guess) -> Iterator[str]:
    values = guess.records - guess.missing
    if guess.misfits:
        yield f"{guess.misfits:,} of {values:,} values do not fit and would be rejected"
    elif values:
        yield f"all {values:,} values fit"
    if guess.also:
        yield f"so do the forms {', '.join(guess.also)}"
    yield from guess.doubts


def _amount(name: str, groups: Groups) -> str:
    """What is said of an amount of a group, which stands on the first record only."""
    if name not in groups.amounts:
        return ""
    return f"only on the first record of each {groups.within}; not filled down, or sums would count it several times"


def _options(guess: Guess, within: str) -> Iterator[str]:
    if guess.option.options:
        yield "        logicalTypeOptions:"
        for name, value in guess.option.options.items():
            yield f"          {name}: {_quoted(value) if isinstance(value, str) else json.dumps(value)}"
    if guess.option.custom or within:
        yield "        customProperties:"
    if within:
        why = f"only the first record of each {within} has a value"
        yield "          - property: fillDown"
        yield f"            value: {{within: {_quoted(within)}}}{_check(why)}"
    if guess.option.custom:
        for name, value in guess.option.custom.items():
            yield f"          - property: {name}"
            why = "read as no value" if name == "nullValues" else "told by the values"
            yield f"            value: {json.dumps(value, ensure_ascii=False)}{_check(why)}"


def _presence(name: str, guess: Guess, keys: Keys) -> Iterator[str]:
    # Without a record nothing is known, and nothing is said.
    if guess.records and not guess.missing:
        yield f"        required: true{_check(f'none of {guess.records:,} records is without it')}"
    elif guess.missing:
        yield f"        required: false{_check(f'{guess.missing:,} of {guess.records:,} records are without it')}"
    if name in keys.claimed:
        yield f"        primaryKey: true{_check(f'unique in {keys.records:,} records: ' + ', '.join(keys.chosen))}"
        yield f"        primaryKeyPosition: {keys.chosen.index(name) + 1}"
    elif name in keys.chosen:
        yield f"        # primaryKey: true{_check(f'unique in {keys.records:,} records, too few to know')}"


def _key_lines(keys: Keys) -> Iterator[str]:
    if keys.claimed:
        yield "records with the same primaryKey count once, also of different files; take it out if they should not"
    elif keys.chosen:
        yield f"{_joined(keys.chosen)} called like a key and unique, but only in {keys.records:,} records: in few"
        yield f"(below {FEWEST_RECORDS}) that may be by chance, so no primaryKey is declared, no record a duplicate"
    elif not keys.others:
        yield "no primaryKey, so no record is taken for a duplicate: no combination of up to 3 columns is unique"
    for group in keys.others:
        yield f"{_joined(group)} unique in {keys.records:,} records; `primaryKey: true` makes a key of it"
    for group, repeated in keys.nearly.items():
        yield f"{_joined(group)} unique but for {repeated:,} of {keys.records:,} records"


def _joined(group: Sequence[str]) -> str:
    return f"{', '.join(group)} {'is' if len(group) == 1 else 'are together'}"
