"""From a contract to a `Feed`: `load_feed` is the only entrance.

What the platform does with each part of the Open Data Contract Standard:

Honoured
    version, name, description, tags; team: its name and the members without dateOut (owners)
    schema: one object, whose name is the feed's; of several objects the one with the feed's name
    object: ignoredRecords of its customProperties
    property: name, physicalName, synonyms, physicalType, logicalType, logicalTypeOptions, required, unique, primaryKey,
    primaryKeyPosition, enum, classification, description, transformLogic
    quality: library metrics and sql; severity `error` blocks, `warning`, `info` and none warn
    slaProperties: latency, frequency
    servers: format and encoding of the first one that holds files (the platform decides where they are)

Documentation only
    quality: text, and custom with severity `info`; businessImpact, dimension, method, schedule, scheduler
    property: relationships, partitioned, encryptedName, criticalDataElement, examples, transformSourceObjects,
    transformDescription, businessName, deprecated, tags
    all other slaProperties; support, price, roles, status, domain, tenant, dataProduct, context,
    authoritativeDefinitions

Refused, since ignoring it would accept records or batches that the contract forbids
    apiVersion before 3.0; fields that the standard does not know
    logicalType object, array, map, vector; nested properties; semanticType measure
    quality: custom rules other than `info`, unknown severities and units
    text formats that are not tested, but `password`; date patterns that DuckDB can't read; SQL that is not harmless
    servers none of which holds files
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.columns import BuiltColumn, read_columns
from orchestration_project.contracts.errors import ContractError, Place, did_you_mean, listed
from orchestration_project.contracts.feed import Column, Feed, FileFormat, QualityRule, SourceFormat
from orchestration_project.contracts.fixed_width import check_spans
from orchestration_project.contracts.ignored import PROPERTY as IGNORED
from orchestration_project.contracts.ignored import read_ignored
from orchestration_project.contracts.odcs import read_document
from orchestration_project.contracts.parsing import OF_AN_OBJECT, read_custom
from orchestration_project.contracts.patterns import unusable
from orchestration_project.contracts.quality import QualityReader
from orchestration_project.contracts.service import read_owners, read_service, read_source

# Only for the type checker: importing the model takes 300 ms, see `odcs`.
if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject

PatternCheck = Callable[[Collection[str]], Mapping[str, str]]
"""Tells why an engine can't compile regular expressions, by expression; leaves out those that it can."""

ConditionCheck = Callable[[Feed], Mapping[str, str]]
"""Tells why an engine can't compile the conditions of ignored records, by the rule's name; leaves out the others."""

_FEED_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


def load_feed(
    path: Path,
    name: str | None = None,
    refused_patterns: PatternCheck | None = None,
    refused_conditions: ConditionCheck | None = None,
) -> Feed:
    """The feed that a contract describes.

    Args:
        path: the contract, YAML in UTF-8.
        name: the feed's name: picks the object of that name; None when the contract has one object.
        refused_patterns: has the contract's regular expressions compiled by the engine that will run them. It is passed
            in because this package is free of engines; without it a pattern may fail in the load. It is not called for
            a contract without patterns.
        refused_conditions: the same for the conditions of ignored records.

    Raises:
        ContractError: the contract can't be used; it holds every problem that was found.
    """
    place = Place()
    document = read_document(path, place)
    feed = _feed(document, name, place) if document is not None else None
    if refused_patterns is not None and place.patterns:
        _check_patterns(place, refused_patterns)
    if feed is not None and feed.ignored and refused_conditions is not None and not place.problems:
        for rule, why in refused_conditions(feed).items():
            place.key("schema").about(f"{IGNORED} {rule!r}").problem(why)
    if feed is None or place.problems:
        raise ContractError(path, place.problems)
    return feed


def _check_patterns(place: Place, refused_patterns: PatternCheck) -> None:
    # All at once: the engine compiles the patterns of a contract in one statement.
    refused = refused_patterns([regex for _, regex in place.patterns])
    for here, regex in place.patterns:
        if regex in refused:
            here.problem(unusable(regex, refused[regex]))


def _feed(document: "OpenDataContractStandard", name: str | None, place: Place) -> Feed | None:
    source, parsing = read_source(document.servers, place.key("servers"))
    promised = read_service(document.slaProperties, place.key("slaProperties"))
    # None of ours belongs to the document: one that stands there was meant for an object, a column or a server.
    read_custom(document.customProperties, (), place)
    found = _object(document.schema_ or [], name, place.key("schema"))
    if found is None:
        return None
    table, here = found
    custom = read_custom(table.customProperties, OF_AN_OBJECT, here)
    built = read_columns(table.properties or [], parsing, here.key("properties"))
    # Columns with problems are left out of `built`, so this is only sure when there were none.
    _check_outside([item.column for item in built], source, here.key("properties"))
    if not any(item.column.is_in_records for item in built) and len(place.problems) == 0:
        here.key("properties").problem("needs at least one column that is read from the file")
    columns = _in_order(built, here.key("properties"))
    check_spans(columns, source.fixed, [prop.name or "" for prop in table.properties or []], here.key("properties"))
    purpose = document.description.purpose if document.description else None
    return Feed(
        name=table.name or "",
        version=document.version or "",
        columns=columns,
        source=source,
        primary_key=_primary_key(table, here.key("properties")),
        quality=tuple(_quality(table, built, here)),
        latency=promised.latency,
        frequency=promised.frequency,
        available_at=promised.available_at,
        owners=read_owners(document.team),
        title=document.name or table.businessName or "",
        description=" ".join((purpose or table.description or "").split()),
        tags=tuple(dict.fromkeys([*(document.tags or []), *(table.tags or [])])),
        ignored=read_ignored(*custom[IGNORED], columns, source.format) if IGNORED in custom else (),
    )


def _object(objects: "Sequence[SchemaObject]", name: str | None, place: Place) -> "tuple[SchemaObject, Place] | None":
    """The object of the contract that the feed is, with its place; None after something was reported."""
    names = [item.name or "" for item in objects]
    if not objects:
        place.problem("needs an object with the columns of the files")
        return None
    if name is not None and name not in names:
        place.problem(f"no object is called {name!r}; found {listed(names)}{did_you_mean(name, names)}")
        return None
    # To pick the first would silently change the feed when somebody sorts the contract.
    if len(objects) > 1 and name is None:
        place.problem(
            f"a feed is one object; found {len(objects)}: {listed(names)};"
            " name the feed after one of them, or split the contract"
        )
        return None
    index = names.index(name) if name is not None else 0
    if names.count(names[index]) > 1:
        place.problem(f"several objects are called {names[index]!r}")
        return None
    here = place.item(index)
    if not _FEED_NAME.fullmatch(names[index]):
        here.key("name").problem(
            f"found {names[index]!r}; a feed's name is part of its tables' names: a small letter,"
            " then small letters, digits and _ (48 at most)"
        )
    return objects[index], here


def _check_outside(columns: Sequence[Column], source: SourceFormat, place: Place) -> None:
    """Report columns that their feed's files can't give, and groups that can't tell where to stop filling.

    Args:
        columns: of the contract.
        source: how its files are written.
        place: that of the list of columns.
    """
    known = {column.name: column for column in columns}
    for column in columns:
        here = place.about(f"column {column.name!r}")
        origin = column.value_from.origin if column.value_from else None
        if origin == "preamble" and source.format not in (FileFormat.CSV, FileFormat.XLSX):
            here.problem(f"valueFrom: {source.format} files have no lines above a header")
        if origin == "sheetName" and source.format is not FileFormat.XLSX:
            here.problem(f"valueFrom: {source.format} files have no sheets")
        group = column.fill_down.within if column.fill_down else None
        # A computed group has no text; one that is filled itself would depend on the order of filling.
        if group and group in known and (not known[group].is_in_records or known[group].fill_down):
            here.problem(f"fillDown: within needs a column that each record of the file has itself, not {group!r}")


def _primary_key(table: "SchemaObject", place: Place) -> tuple[str, ...]:
    """The key's columns by position; those without one come last, in the contract's order."""
    keyed = [prop for prop in table.properties or [] if prop.primaryKey]
    positions = [prop.primaryKeyPosition or -1 for prop in keyed]
    # The standard's own default for columns outside of the key is -1; some tools write it for each column.
    taken = [position for position in positions if position > 0]
    if len(set(taken)) < len(taken):
        place.problem(f"several columns have the same primaryKeyPosition: {listed(sorted(taken))}")
    order = sorted(range(len(keyed)), key=lambda index: (positions[index] <= 0, positions[index], index))
    return tuple(keyed[index].name or "" for index in order)


def _quality(table: "SchemaObject", built: list[BuiltColumn], place: Place) -> Iterator[QualityRule]:
    # Queries in contracts are often copied from a database, where the table has its physical name.
    names = tuple(dict.fromkeys(name for name in (table.name, table.physicalName) if name))
    columns = tuple(prop.name or "" for prop in table.properties or [])
    reader = QualityReader(names, columns, {item.column.name: item.literals for item in built})
    yield from reader.read(table.quality, None, place.key("quality"))
    for index, prop in enumerate(table.properties or []):
        here = place.key("properties").item(index).about(f"column {prop.name!r}")
        yield from reader.read(prop.quality, prop.name, here.key("quality"))


def _in_order(built: list[BuiltColumn], place: Place) -> tuple[Column, ...]:
    """The columns in the contract's order. Derived ones change places so that each comes after those that it uses."""
    # Example: total (net + tax), price, net (price * 2), tax become net, price, total, tax. Columns of the file keep
    # their places, and the two computed ones change theirs.
    derived = {item.column.name: item for item in built if item.column.source is None}
    ready: list[Column] = []
    waiting = dict(derived)
    while waiting:
        free = [name for name, item in waiting.items() if not any(used in waiting for used in item.column.uses)]
        if not free:
            # The columns of the circle are told with those that wait for them.
            place.problem(f"the transformLogic of {listed(waiting)} use each other in a circle")
            break
        ready.append(waiting.pop(free[0]).column)
    in_turn = iter([*ready, *(item.column for item in waiting.values())])
    return tuple(next(in_turn) if item.column.source is None else item.column for item in built)
