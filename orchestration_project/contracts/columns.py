"""A property of the standard as a column: its name, type, headers in the file, rules and expression.

Belongs here also: whether a column's values are personal, by its classification, or by its name where it has none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.expressions import Expression, parse_expression
from orchestration_project.contracts.feed import Column, Parsing, Required, Rule
from orchestration_project.contracts.fixed_width import read_span
from orchestration_project.contracts.outside import read_fill_down, read_value_from
from orchestration_project.contracts.parsing import (
    OF_A_COLUMN,
    Custom,
    read_column_parsing,
    read_custom,
    read_moments,
    read_words,
)
from orchestration_project.contracts.rules import read_enum, read_rules
from orchestration_project.contracts.sql_types import Literals, sql_type

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaProperty

NOT_PERSONAL = frozenset(
    {"", "public", "open", "internal", "unrestricted", "unclassified", "general", "nonpersonal", "none"}
)
"""Classifications (case, blanks and hyphens aside) whose values may be shown. Every other one is masked: a word that
this platform does not know, or a typing error, must not bring a customer's data into a log."""

PERSONAL_WORDS = frozenset(
    "mail email phone telephone tel mobile cell fax birth birthday birthdate dob ssn iban bic passport"
    " address addr street zip zipcode postal postcode postleitzahl plz strasse telefon geburtsdatum kunde kundennr"
    " surname firstname lastname fullname vorname nachname username login ip customer client household member person"
    " patient employee contact recipient cardholder".split()
)
THING_WORDS = frozenset(
    "product item article store shop branch category brand company file column country city region state channel sheet"
    " table event department vendor supplier campaign".split()
)
"""What has a name, but is no person."""
# `customerEMail_IPAddress` is customer, E, Mail, IP, Address.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# Names that start with _ are the platform's own columns.
_COLUMN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class BuiltColumn:
    """A column, and how its contract writes values of it."""

    column: Column
    literals: Literals


def read_columns(properties: "Sequence[SchemaProperty]", parsing: Parsing, place: Place) -> list[BuiltColumn]:
    """The columns of an object, in the contract's order; columns with problems are reported and left out.

    Args:
        properties: the object's properties.
        parsing: how the feed's files write values, unless a column says otherwise.
        place: that of the list of properties.
    """
    # Of broken columns, too: an expression that uses one is not at fault itself.
    names = [prop.name or "" for prop in properties]
    _check_names(names, place)
    built = []
    for index, prop in enumerate(properties):
        column = _read_column(prop, names, parsing, place.item(index).about(f"column {prop.name!r}"))
        if column is not None:
            built.append(column)
    _check_headers([item.column for item in built], names, place)
    return built


def _check_names(names: list[str], place: Place) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        here = place.item(index).key("name").about(f"column {name!r}")
        if not _COLUMN_NAME.fullmatch(name):
            here.problem(
                "allowed: a letter, then letters, digits and _ (63 at most);"
                " a header that is written differently goes to physicalName"
            )
        elif name.casefold() == "rowid":
            here.problem(
                "rowid is DuckDB's own name for the place of a row; choose another and put the header in physicalName"
            )
        elif name.casefold() in first:
            here.problem(f"the name is already that of properties[{first[name.casefold()]}] (case does not count)")
        # DuckDB's names have no case: A and a would be one column.
        first.setdefault(name.casefold(), index)


def _check_headers(columns: list[Column], names: list[str], place: Place) -> None:
    """Report headers that name two columns: headers are found without regard to case and surrounding blanks."""
    owners: dict[str, str] = {}
    for column in columns:
        if column.source is None:
            continue
        own: set[str] = set()
        for header in (column.source, *column.aliases):
            key = header.strip().casefold()
            # The same header twice for one column is harmless: an alias may differ from the name in its case alone.
            if key in own:
                continue
            own.add(key)
            here = place.item(names.index(column.name)).about(f"column {column.name!r}")
            if not key:
                here.problem("a header or alias is blank")
            elif key in owners:
                here.problem(f"the header {header!r} is also that of column {owners[key]!r}")
            owners.setdefault(key, column.name)


def _read_column(prop: "SchemaProperty", names: list[str], base: Parsing, place: Place) -> BuiltColumn | None:
    before = len(place.problems)
    options = prop.logicalTypeOptions or {}
    # What is no text is reported with the other options, in `rules`.
    number_format = options.get("format")
    declared = sql_type(
        prop.physicalType, prop.logicalType, number_format if isinstance(number_format, str) else None, place
    )
    _check_structure(prop, place)
    if declared is None:
        # Without a type every other message about the column would be a consequence.
        return None
    literals, parsing = read_moments(declared, options, base, place.key("logicalTypeOptions"))
    custom = read_custom(prop.customProperties, OF_A_COLUMN, place)
    # Not `declared`: an offset in the texts has made a TIMESTAMPTZ of a TIMESTAMP.
    parsing = read_column_parsing(custom, parsing, literals.type, derived=prop.transformLogic is not None)
    span = read_span(custom, place)
    rules = _rules(prop, literals, place)
    expression = _expression(prop, names, place)
    value_from = read_value_from(*custom["valueFrom"]) if "valueFrom" in custom else None
    fill_down = read_fill_down(custom["fillDown"][0], names, custom["fillDown"][1]) if "fillDown" in custom else None
    if value_from and fill_down:
        custom["fillDown"][1].problem("fillDown has no effect: each record has the value that valueFrom gives")
    if len(place.problems) > before:
        return None
    column = _column(prop, literals.type.sql, custom, parsing, rules, expression)
    return BuiltColumn(replace(column, span=span, value_from=value_from, fill_down=fill_down), literals)


def _column(
    prop: "SchemaProperty",
    sql: str,
    custom: Custom,
    parsing: Parsing,
    rules: Sequence[Rule],
    expression: Expression | None,
) -> Column:
    classification = (prop.classification or "").strip()
    return Column(
        name=prop.name or "",
        sql_type=sql,
        source=None if expression else prop.physicalName or prop.name,
        aliases=() if expression else tuple(_aliases(prop, custom)),
        expression=expression.sql if expression else None,
        uses=expression.columns if expression else (),
        rules=tuple(rules),
        unique=bool(prop.unique),
        parsing=parsing,
        description=" ".join((prop.description or prop.transformDescription or prop.businessName or "").split()),
        classification=classification,
        personal=is_personal(classification),
    )


def is_personal(classification: str) -> bool:
    """Whether values of a column with this classification are masked when shown."""
    return re.sub(r"[\s_-]", "", classification.casefold()) not in NOT_PERSONAL


def is_about_people(name: str) -> bool:
    """Whether a column's name says that it is about people: `customer_email`, `CustomerEmail`, `name of buyer`.

    It is for columns without a contract, such as those of a DataFrame or a draft. A contract's classification decides
    by itself.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    # `name` alone is as a rule that of a thing: the one that the table is about.
    has_name = "name" in words and not THING_WORDS & {*words} and words != ["name"]
    return has_name or bool(PERSONAL_WORDS & {*words})


def _rules(prop: "SchemaProperty", literals: Literals, place: Place) -> list[Rule]:
    """The rules of a column, the one that forbids missing values first."""
    # As in SQL: a primary key forbids missing values, whether the contract repeats that or not.
    rules: list[Rule] = [Required()] if prop.required or prop.primaryKey else []
    rules += read_rules(prop.logicalTypeOptions or {}, literals, place.key("logicalTypeOptions"))
    if prop.enum:
        rules += read_enum([entry.value for entry in prop.enum], literals, place.key("enum"))
    return rules


def _check_structure(prop: "SchemaProperty", place: Place) -> None:
    """Report what a flat table can't have."""
    for field in ("properties", "items", "map"):
        if getattr(prop, field) is not None:
            place.key(field).problem("nested values are not supported; a feed's columns hold one value each")
    if prop.semanticType == "measure":
        place.key("semanticType").problem(
            "measure is an aggregate over rows and is not supported; allowed: column, dimension"
        )
    # Tools write the standard's default, -1, for columns outside of the key.
    if (prop.primaryKeyPosition or -1) > 0 and not prop.primaryKey:
        place.key("primaryKeyPosition").problem("has no effect without `primaryKey: true`")
    if prop.transformLogic is not None and prop.physicalName not in (None, prop.name):
        place.key("physicalName").problem(
            "a column with transformLogic is computed, not read from the file; remove one of the two"
        )
    for name, keyed in (("primaryKey", prop.primaryKey), ("unique", prop.unique)):
        if keyed and prop.transformLogic is not None:
            # Duplicates are also found among rejected records, which have no computed columns.
            place.key(name).problem(
                "is not supported for a column with transformLogic; name the columns that it is computed from"
            )


def _aliases(prop: "SchemaProperty", custom: Custom) -> Iterator[str]:
    """The other headers of a column: the standard's synonyms, then our aliases, each once."""
    seen = {(prop.physicalName or prop.name or "").strip().casefold()}
    written = read_words(*custom["aliases"]) if "aliases" in custom else []
    for alias in [*(synonym.synonym or "" for synonym in prop.synonyms or []), *written]:
        if alias.strip().casefold() not in seen:
            seen.add(alias.strip().casefold())
            yield alias.strip()


def _expression(prop: "SchemaProperty", names: list[str], place: Place) -> Expression | None:
    if prop.transformLogic is None:
        return None
    return parse_expression(prop.transformLogic, names, place.key("transformLogic"))
