"""From a file to a document of the Open Data Contract Standard that is known to follow the standard's JSON schema.

Belongs here: what the standard itself says, and errors against its schema in words: where, what was found, what is
allowed. Does not belong here: what this platform makes of a document (`build.py`).

The schema is the one that `open-data-contract-standard` ships: version 3.2.0, which also holds everything of 3.1 and
3.0. jsonschema (150 ms) and the package's model (300 ms) are imported when the first contract is read, so that
importing this package stays cheap.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed, read_yaml

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator
    from open_data_contract_standard.model import OpenDataContractStandard

API_VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0")
METRIC_OF_RULE = {"duplicateCount": "duplicateValues", "validValues": "invalidValues"}
"""What `rule` was called in 3.0 where the name differs from the `metric` that replaced it."""

_CHOICE_FIELDS = {"properties", "required"}
_TYPE_NAMES = {
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
}
_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "minItems": "length at least",
    "maxItems": "length at most",
}


def read_document(path: Path, place: Place) -> "OpenDataContractStandard | None":
    """The contract in a file; None after something was reported to `place`."""
    try:
        # Editors on Windows may put a byte order mark first.
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        place.problem(f"can't be read: {error.strerror or error}")
        return None
    except UnicodeDecodeError as error:
        place.problem(f"not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}")
        return None
    data = read_yaml(text, place)
    return None if place.problems else parse_document(data, place)


def parse_document(data: Any, place: Place) -> "OpenDataContractStandard | None":
    """The contract in plain data (as `read_yaml` returns it); None after something was reported to `place`."""
    import pydantic
    from open_data_contract_standard.model import OpenDataContractStandard

    if not isinstance(data, dict):
        place.problem(
            f"a contract is a mapping with apiVersion, kind, id, version and schema; found {type(data).__name__}"
        )
        return None
    version = data.get("apiVersion")
    if isinstance(version, str) and version not in API_VERSIONS:
        # Checked against the schema of another version, nearly every field would be a problem.
        place.key("apiVersion").problem(
            f"{version!r} is not supported; allowed: {listed(API_VERSIONS)}{did_you_mean(version, API_VERSIONS)}"
        )
        return None
    document = _with_metrics(data)
    # The package's model drops unknown nested fields silently, so the schema comes first.
    try:
        _report(_validator().iter_errors(document), document, _validator().schema, place)
        return None if place.problems else OpenDataContractStandard.model_validate(document)
    except pydantic.ValidationError as error:
        for detail in error.errors():
            place.key(*(str(part) for part in detail["loc"])).problem(detail["msg"])
    return None


@cache
def _validator() -> "Validator":
    """The standard's schema, with one mistake of it mended.

    Its `if: {properties: {logicalType: {const: map}}}` also holds when `logicalType` is absent, so that every
    property without it would have to be a map. Each such condition also requires the field that it looks at.
    """
    from jsonschema import Draft201909Validator

    text = resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    for branch in schema["$defs"]["SchemaBaseProperty"]["allOf"]:
        if "if" in branch:
            branch["if"] = {"allOf": [branch["if"]], "required": ["logicalType"]}
    return Draft201909Validator(schema)


def _with_metrics(node: Any) -> Any:
    """A copy in which each quality rule names its `metric`; up to 3.0 the field was called `rule`."""
    if isinstance(node, list):
        return [_with_metrics(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _with_metrics(value) for key, value in node.items()}
    if isinstance(copy.get("quality"), list):
        copy["quality"] = [dict(_renamed(rule)) if isinstance(rule, dict) else rule for rule in copy["quality"]]
    return copy


def _renamed(rule: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    # `{rule: duplicateCount, mustBe: 0}` becomes `{metric: duplicateValues, mustBe: 0}`. Where a rule has both with
    # different values, both stay: which of them its author meant is unknown.
    old_name = rule.get("rule")
    for key, value in rule.items():
        if key == "rule" and isinstance(old_name, str) and rule.get("metric") in (None, old_name):
            yield "metric", METRIC_OF_RULE.get(old_name, old_name)
        elif key != "metric" or "rule" not in rule or value != old_name:
            yield key, value


def _report(errors: Iterable["ValidationError"], document: Any, root: Any, place: Place) -> None:
    """Report every error at its place below `place`; of the branches of a choice only the one that was meant."""
    leaves = [leaf for error in errors for leaf in _leaves(error)]
    for leaf in leaves:
        where = _place(tuple(leaf.absolute_path), document, place)
        for message in _messages(leaf, leaves, root):
            where.problem(message)


def _messages(leaf: "ValidationError", leaves: "list[ValidationError]", root: Any) -> list[str]:
    """What to report of one error among all errors of the document."""
    if leaf.validator not in ("additionalProperties", "unevaluatedProperties"):
        return [_message(leaf)]
    if unknown := _unexpected(leaf, root):
        return unknown
    # The properties of a branch that failed count as unevaluated. That repeats the failure and is no further problem.
    path = list(leaf.absolute_path)
    if any(other is not leaf and list(other.absolute_path)[: len(path)] == path for other in leaves):
        return []
    words = "fields that do not go with the others here"
    return [leaf.message.replace("Unevaluated properties are not allowed", words)]


def _leaves(error: "ValidationError") -> Iterator["ValidationError"]:
    """The errors that tell a reader what to change: a choice is followed into the branch that was meant."""
    # Of `team: {membrs: []}` jsonschema says that it is neither a list of members nor a team. Only the branch of a team
    # says that `membrs` is no field, which is what the author has to know.
    if error.validator not in ("oneOf", "anyOf") or not error.context or _required_choice(error) or _types(error):
        yield error
        return
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    for inner in _meant(list(branches.values())):
        yield from _leaves(inner)


def _meant(branches: "list[list[ValidationError]]") -> "list[ValidationError]":
    """The errors of the branch that needs the fewest changes: of the right type, all fields there, few errors."""
    # Where a mapping stands, the branch for lists is not the one that was meant, however few errors it has.
    right_type = [errors for errors in branches if not any(e.validator == "type" and not e.path for e in errors)]
    return min(right_type or branches, key=lambda errors: (any(e.validator == "required" for e in errors), len(errors)))


def _place(path: tuple[str | int, ...], document: Any, place: Place) -> Place:
    """The place of a path of jsonschema below `place`; a column on the way becomes the subject."""
    # (schema, 0, properties, 3, name) is `schema[0].properties[3].name`, about the column that `node` holds on the way.
    node, container = document, ""
    for part in path:
        node = node[part]
        if isinstance(part, int):
            place = place.item(part)
            if container == "properties" and isinstance(node, dict) and isinstance(node.get("name"), str):
                place = place.about(f"column {node['name']!r}")
        else:
            place, container = place.key(part), part
    return place


def _message(error: "ValidationError") -> str:
    """One error in words."""
    allowed: Any = error.validator_value
    found: Any = error.instance
    if error.validator == "required":
        names = [name for name in allowed if name not in found]
        return f"{listed(names)} {'is' if len(names) == 1 else 'are'} missing"
    if error.validator == "enum":
        hint = did_you_mean(found, map(str, allowed)) if isinstance(found, str) else ""
        return f"found {excerpt(found)}; allowed: {listed(allowed)}{hint}"
    if error.validator == "type":
        return f"found {excerpt(found)}; allowed: {_type_name(allowed)}{_quote_hint(found, allowed)}"
    if choice := _required_choice(error):
        present = listed(name for name in choice if name in found)
        return f"needs exactly one of {listed(choice)}; found {present or 'none'}"
    if types := _types(error):
        return f"found {excerpt(found)}; allowed: {' or '.join(map(_type_name, types))}"
    if error.validator in _LIMITS:
        return f"found {excerpt(found)}; allowed: {_LIMITS[error.validator]} {allowed}"
    return f"found {excerpt(found)}, which breaks the standard's {error.validator}: {excerpt(allowed)}"


def _branches(error: "ValidationError") -> list[dict[str, Any]]:
    value: Any = error.validator_value
    return list(value) if error.validator in ("oneOf", "anyOf") else []


def _required_choice(error: "ValidationError") -> list[str]:
    """The fields of a choice whose branches each require one field, unless just one is there (its value is wrong)."""
    # Each operator of a quality rule is such a branch: `{required: [mustBe]}`, `{required: [mustNotBe]}` and so on.
    branches, found = _branches(error), error.instance
    names = [branch["required"][0] for branch in branches if "required" in branch and set(branch) <= _CHOICE_FIELDS]
    if not names or len(names) != len(branches) or not isinstance(found, dict):
        return []
    return names if sum(name in found for name in names) != 1 else []


def _types(error: "ValidationError") -> list[Any]:
    """The types of a choice between plain types."""
    branches = _branches(error)
    types = [branch.get("type") for branch in branches if set(branch) <= {"type", "description", "title"}]
    return types if len(types) == len(branches) else []


def _unexpected(error: "ValidationError", root: Any) -> list[str]:
    """A message for each field that the schema does not know at all at this place."""
    allowed = sorted(_known_fields(error.schema, root))
    found: Any = error.instance
    return [
        f"{name!r} is not a field of the standard here{did_you_mean(name, allowed) or f'; allowed: {listed(allowed)}'}"
        for name in found
        if name not in allowed
    ]


def _known_fields(schema: Any, root: Any) -> set[str]:
    """Every field that a schema names, in whichever of its branches."""
    fields = set(schema.get("properties", {}))
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        fields |= _known_fields(target, root)
    # Of the branches that failed, too. Their fields are no typing errors, though jsonschema calls both unevaluated.
    branches = [
        *schema.get("allOf", []),
        *schema.get("oneOf", []),
        *schema.get("anyOf", []),
        *([schema["then"]] if "then" in schema else []),
    ]
    for inner in branches:
        fields |= _known_fields(inner, root)
    return fields


def _type_name(name: Any) -> str:
    return " or ".join(map(_type_name, name)) if isinstance(name, list) else _TYPE_NAMES.get(name, str(name))


def _quote_hint(value: Any, allowed: Any) -> str:
    # `version: 1.0` is what people write, and YAML makes a number of it.
    plain = not isinstance(value, dict | list) and value is not None
    return " (put it in quotes)" if allowed == "string" and plain else ""
